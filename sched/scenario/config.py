"""Scenario: everything a run is determined by, as frozen structs, one a TOML section.

A scenario resolves completely before a run starts: `run.json` and the `run_start` event hold every value.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

LARGEST = 10_000_000  # jobs or GPUs: far above what fits a run, so a slip of the finger is told before memory is gone

MOST_INTEGER = (1 << 53) - 1  # the largest that JSON's readers keep exactly
MOST_SIZE = 1e15  # of a number with a unit: sums and quotients with larger ones leave what can be told apart

Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
AtLeastOne = Annotated[int, msgspec.Meta(ge=1, le=MOST_INTEGER)]
Some = Annotated[int, msgspec.Meta(ge=1, le=LARGEST)]
Natural = Annotated[int, msgspec.Meta(ge=0, le=MOST_INTEGER)]
NotNegative = Annotated[float, msgspec.Meta(ge=0.0, le=MOST_SIZE)]
Positive = Annotated[float, msgspec.Meta(gt=0.0, le=MOST_SIZE)]
Length = Annotated[float, msgspec.Meta(ge=1e-3, le=1e9)]  # seconds: a millisecond to thirty years
Bandwidth = Annotated[float, msgspec.Meta(ge=1e-6, le=MOST_SIZE)]
Weight = Annotated[float, msgspec.Meta(ge=0.0, le=1e6)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Name = Annotated[str, msgspec.Meta(min_length=1)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of the scenario file: immutable, and an unknown key is an error."""


class Cluster(Section, frozen=True):
    """The machines: GPUs by type, or a list of nodes.

    Attributes
    ----------
    nodes
        A built-in inventory of nodes with their GPUs, CPU and memory (``openb``, ``openb-uniform``, ``cluster-h``,
        ``spot2026``), or the path of a node list in openb CSV form, relative to the scenario file; empty means
        ``gpus``.
    copies
        The machines of ``nodes`` so many times over, for studies of how costs grow with the cluster.
    gpus
        GPUs of each worker type, for example ``{ v100 = 36, p100 = 36 }``; a type with 0 is left out. Their nodes have
        no limit of CPU and memory. With ``nodes`` it is not given; the resolved scenario holds what they add up to.
    gpus_per_node
        GPUs of one node of each type; 1 where a type is not named. A remainder makes a smaller last node.
    gpu_hour_prices
        What an hour of one GPU of each worker type costs, for example ``{ v100 = 2.48, k80 = 0.45 }``, in any currency:
        none is built in. Of every type of the cluster, or empty; then nothing is told of cost, and policies that weigh
        it are refused.
    """

    nodes: str = ""
    copies: Some = 1
    gpus: dict[Name, Count] = {}
    gpus_per_node: dict[Name, Some] = {}
    gpu_hour_prices: dict[Name, Positive] = {}


class Workload(Section, frozen=True):
    """Where jobs come from: a trace, or the generator.

    Attributes
    ----------
    trace
        Path of a trace, relative to the scenario file; empty means generate. A trace ignores the generator's keys.
    throughputs
        Path of a CSV job_type,scale_factor,gpu_type,steps_per_second, relative to the scenario file; empty means the
        built-in table.
    jobs
        Generate this many besides the initial ones, or keep the first so many of the trace; 0 means no limit: with a
        rate and a window, jobs keep coming until the window is complete.
    rate_per_hour
        Mean Poisson arrival rate, jobs/h, at least 1e-6; 0 puts all jobs at time 0.
    initial_jobs
        Jobs active at time 0, numbered before the generated ones: length-biased duration x uniform(0, 1).
    filled
        Whether as many of the generated jobs as the cluster has GPUs come at time 0, whole, besides ``jobs``: the start
        of the published runs in steady state. Without ``initial_jobs`` only.
    pods
        A built-in table of what pods ask for on a node (``openb``, ``spot2026``), or the path of a pod list in openb
        CSV form, relative to the scenario file: each generated job draws its GPUs, or its share of one, CPU, memory and
        allowed worker types from it, all together. ``spot2026`` also says how long jobs take, and how many have
        priority. Empty means whole GPUs and nothing else.
    scale_factors
        ``single``: one GPU each; ``gavel``: 1, 2, 4, 8 with probabilities .70, .10, .15, .05. Without ``pods`` only.
    scale_factor_cap
        Upper limit of the drawn scale factor; 0 means none. Without ``pods`` only.
    priorities
        Whether one job in five gets priority weight 5; with the pods of ``spot2026``, as many as are of high priority.
    slos
        Whether each job is promised a duration: 1.2, 2 or 10 times the one that was drawn, each of a third of them.
    reference_type
        Worker type whose throughput turns a drawn duration into steps; in a trace, a job's steps into the duration that
        its SLO is a multiple of. In an imported trace, the type on which a duration counts as taken where none is
        recorded.
    trace_format
        What it is: a name of `phasewise trace formats`; empty means by its content.
    map
        Of a trace of format ``csv`` or ``swf``, which column is what: ``{ submit = "submit_time", gpus = "num_gpu" }``.
    states
        Final states of the jobs that are taken, for example ``["COMPLETED"]``; empty means all.
    speed
        How fast a job of an imported trace is on each worker type, one ratio a type: ``{ v100 = 1.0, p100 = 0.5 }``;
        empty means by the table of throughputs, of a job type that is drawn where the trace has none of the table.
    scale_factor_rule
        The speed of an imported job on a number of GPUs for which the table has no row: ``linear``, the row of the
        largest number below, scaled up; ``single``, the row of one GPU, scaled up; ``refuse``, an error.
    """

    trace: str = ""
    throughputs: str = ""
    jobs: Count = 0
    rate_per_hour: NotNegative = 0.0
    initial_jobs: Count = 0
    filled: bool = False
    pods: str = ""
    scale_factors: Literal["single", "gavel"] = "single"
    scale_factor_cap: Natural = 0
    priorities: bool = False
    slos: bool = False
    reference_type: Name = "v100"
    trace_format: str = ""
    map: dict[Name, Name] = {}
    states: tuple[Name, ...] = ()
    speed: dict[Name, Positive] = {}
    scale_factor_rule: Literal["linear", "single", "refuse"] = "linear"


class PolicyChoice(Section, frozen=True):
    """Which policy, and its options: those that a policy takes are listed with it; any other is refused.

    Attributes
    ----------
    name
        A registered policy, or ``FILE.py:CLASS``, relative to the scenario file, which the resolved scenario holds with
        a digest of the file. One that an override names takes over those of the file's options that it has, too.
    canonical
        Add the small linear term that makes a max-min optimum unique.
    options
        Further options of the policy, by name; checked by the policy.
    """

    name: Name = "max_min_fairness_perf"
    canonical: bool = False
    options: dict[str, Any] = {}


class Recorded(Section, frozen=True):
    """The allocations that policy ``recorded`` replays.

    Attributes
    ----------
    allocations
        Path of a JSON or gzipped JSON file of recorded allocations.
    policy
        Whose selection rules apply; empty means the third part of the file's ``case``.
    """

    allocations: str = ""
    policy: str = ""


class SolverChoice(Section, frozen=True):
    """Which solver.

    Attributes
    ----------
    name
        A registered backend, or ``FILE.py:CLASS``, or a chain ``A,B``: B answers where A fails.
    kwargs
        Native options of the solver, verbatim; checked when its session opens.
    """

    name: Name = "auto"
    kwargs: dict[str, Any] = {}


class PlacementChoice(Section, frozen=True):
    """Which placement.

    Attributes
    ----------
    name
        A registered placement, or ``FILE.py:CLASS``.
    """

    name: Name = "strided"


class TimingChoice(Section, frozen=True):
    """The round and its rules; ``preset`` sets every rule that is left at None (see `phasewise.sched.round.rules`).

    Attributes
    ----------
    preset
        ``gavel`` reproduces the original exactly, ``corrected`` mends its defects.
    round_s
        Longest time a round may last, seconds.
    reallocation_interval_s
        Least simulated seconds between two allocations; none means the preset's.
    """

    preset: Literal["gavel", "corrected"] = "corrected"
    round_s: Length = 360.0
    reallocation_interval_s: NotNegative | None = None


class Migration(Section, frozen=True):
    """What moving a job costs, in the allocation and in its progress (see `phasewise.sched.round.migration`).

    Attributes
    ----------
    enabled
        Whether moving costs anything; without it every other key is idle.
    fixed_s
        Seconds of any start on other GPUs: container, data loader, libraries.
    bandwidth_mb_per_s
        At which a checkpoint is brought, MB/s.
    checkpoint_mb
        Size of a checkpoint, MB, by job type or model family; it adds to the built-in table, and replaces it.
    warm_discount
        Part of the cost that falls away on a worker type on which the job ran before.
    weight
        Of the cost in a max-min objective; 0 leaves it out there.
    patience
        How much longer than its turn a job stays where it runs: what would have to start anew stands back in the order
        of a round by ``exp(-patience * seconds of its start / round_s)``, at most eightfold; 0 keeps the plain order.
    """

    enabled: bool = False
    fixed_s: NotNegative = 90.0
    bandwidth_mb_per_s: Bandwidth = 200.0
    checkpoint_mb: dict[Name, NotNegative] = {}
    warm_discount: Share = 0.5
    weight: Weight = 1.0
    patience: NotNegative = 5.0


class Stop(Section, frozen=True):
    """When a run ends, besides all jobs (or the window) being complete. None means no such limit.

    Attributes
    ----------
    window
        [A, B]: the ids A <= id < B whose completion ends the run and whose JCT counts; arrivals go on until then,
        or until ``workload.jobs`` have come.
    rounds
        Stop after so many rounds.
    sim_time_s
        Stop at this simulated time, seconds. Every built-in scenario has such a limit, far above what it takes.
    wall_s
        Stop after so many wall seconds (a limit of the run, never of a decision).
    stragglers
        Stop when at most so many of the window's jobs (or of all) are left and no other is waiting to arrive.
    saturation
        Whether to stop, with status ``overloaded``, once more than half a per cent of what arrives piles up for certain
        (drift): where generated jobs keep arriving, and all of the window are there and not all done. It is judged
        after 3,000 arrivals, then each time that their number has doubled. Not where allocations are replayed.
    """

    window: tuple[Count, Count] | None = None
    rounds: AtLeastOne | None = None
    sim_time_s: Positive | None = None
    wall_s: Positive | None = None
    stragglers: Natural = 0
    saturation: bool = True


class Output(Section, frozen=True):
    """What is written and how often.

    Attributes
    ----------
    profile_every
        Rounds between two PROFILE lines.
    debug
        A PROFILE line every round.
    trace
        Write `trace.json.gz`.
    check_invariants
        Check the state after every phase (slow).
    chunk_rounds
        Rounds held in memory before they are written.
    checkpoint_rounds
        Rounds between two barriers: there the solvers forget what they are warm with, all that is held in memory is
        written, and a checkpoint, from which ``run --resume`` goes on; 0: none. A run with barriers is another run than
        one without.
    lines
        ``all``: every line goes to `lines.log`; ``none``: there is no such file.
    placements
        Whether `placements.parquet` has rows; without them nobody can see where jobs ran.
    rounds_every
        Rounds that share a row of `rounds.parquet`: times and counts of what happened are sums, utilisations means over
        the row's time, everything else is as in its last round. The last row before a barrier, or the end, has fewer.
    """

    profile_every: AtLeastOne = 100
    debug: bool = False
    trace: bool = True
    check_invariants: bool = False
    chunk_rounds: Some = 512
    checkpoint_rounds: Natural = 0
    lines: Literal["all", "none"] = "all"
    placements: bool = True
    rounds_every: Some = 1


class Limits(Section, frozen=True):
    """What a run may take. The same run under other limits is the same run, of which there is more or less.

    Attributes
    ----------
    sim_time_s
        Stop at this simulated time, seconds, where ``stop.sim_time_s`` is not earlier; status ``stopped``.
    cpu_s
        Stop after the round in which the process has taken so many CPU seconds for it; status ``stopped``.
    memory_mib
        Fail after the round in which the process is seen to hold more, MiB; a study ends its process at once.
    """

    sim_time_s: Positive | None = None
    cpu_s: Positive | None = None
    memory_mib: AtLeastOne | None = None


class Scenario(Section, frozen=True, kw_only=True):
    """A complete, resolved scenario.

    Attributes
    ----------
    name
        Names the run directory; the file's name where it is not given.
    description
        One line for `phasewise list scenarios`.
    seed
        Seed of every random stream.
    """

    name: Name
    description: str = ""
    seed: Natural = 0
    cluster: Cluster
    workload: Workload = Workload()
    policy: PolicyChoice = PolicyChoice()
    recorded: Recorded = Recorded()
    solver: SolverChoice = SolverChoice()
    placement: PlacementChoice = PlacementChoice()
    timing: TimingChoice = TimingChoice()
    migration: Migration = Migration()
    stop: Stop = Stop()
    output: Output = Output()
    limits: Limits = Limits()
