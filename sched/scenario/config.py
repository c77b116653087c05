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
        ``spot2026``), or the path of a node list in openb CSV format, relative to the scenario file; empty: use
        ``gpus``.
    copies
        Number of copies of the machines in ``nodes``, for studies of how costs grow with the cluster.
    gpus
        Number of GPUs of each worker type, for example ``{ v100 = 36, p100 = 36 }``; types with 0 are left out. Their
        nodes have unlimited CPU and memory. Do not give it with ``nodes``; the resolved scenario then holds the totals.
    gpus_per_node
        GPUs per node, for each type; 1 for types that are not named. A remainder makes a smaller last node.
    gpu_hour_prices
        Price of one GPU-hour of each worker type, for example ``{ v100 = 2.48, k80 = 0.45 }``, in any currency; no
        prices are built in. Give all types of the cluster or none. Without prices, no costs are reported, and policies
        that use them are refused.
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
        Path of a trace, relative to the scenario file; empty: generate jobs. With a trace, keys of the generator are
        ignored.
    throughputs
        Path of a CSV job_type,scale_factor,gpu_type,steps_per_second, relative to the scenario file; empty: the
        built-in table.
    co_throughputs
        Path of a CSV job_type_0,scale_factor_0,job_type_1,scale_factor_1,gpu_type,steps_per_second_0,steps_per_second_1
        of jobs that share GPUs, relative to the scenario file; empty means the built-in table. Read by policies that
        pack.
    jobs
        Number of jobs to generate in addition to the initial ones, or to keep of the trace; 0: no limit, so with a rate
        and a window, jobs keep arriving until the window is complete.
    rate_per_hour
        Mean Poisson arrival rate, jobs/h, at least 1e-6; 0: all jobs arrive at time 0.
    initial_jobs
        Jobs already in the system at time 0, numbered before the generated ones. Their remaining work is a
        length-biased duration x uniform(0, 1).
    filled
        Whether one generated job per GPU of the cluster arrives at time 0, with all its work, in addition to ``jobs``.
        The published steady-state runs start so. Not with ``initial_jobs``.
    pods
        A built-in table of pod requests (``openb``, ``spot2026``), or the path of a pod list in openb CSV format,
        relative to the scenario file. Each generated job draws its GPUs (or its share of one), CPU, memory and allowed
        worker types jointly from it. ``spot2026`` also gives durations and the share of jobs with priority. Empty: jobs
        need only whole GPUs.
    gangs
        Whether generated jobs of more than 8 GPUs come too, on several nodes: 16, 32, 64, 128 and 256 GPUs, with
        durations of their own. Only with the pods of ``spot2026``, which have counts of them.
    scale_factors
        GPUs of a generated job. ``single``: one; ``gavel``: 1, 2, 4, 8 with probabilities .70, .10, .15, .05. Not with
        ``pods``.
    scale_factor_cap
        Upper limit of the drawn scale factor; 0: none. Not with ``pods``.
    priorities
        Whether one generated job in five gets the priority weight 5; with the pods of ``spot2026``, those of high
        priority get it.
    slos
        Whether each job gets an SLO (a deadline) of 1.2, 2 or 10 times its drawn duration, with probability 1/3 each.
    reference_type
        Worker type whose throughput converts a drawn duration into steps or, in a trace, a job's steps into the
        duration that its SLO is a multiple of. In an imported trace, the type assumed for durations whose type is not
        recorded.
    trace_format
        Format of the trace, a name of `phasewise trace formats`; empty: recognised by content.
    map
        For a trace of format ``csv`` or ``swf``, the column of each field:
        ``{ submit = "submit_time", gpus = "num_gpu" }``.
    states
        Keep only jobs that ended in these states, for example ``["COMPLETED"]``; empty: all.
    speed
        Speed of the jobs of an imported trace on each worker type, as ratios: ``{ v100 = 1.0, p100 = 0.5 }``. Empty:
        from the throughput table; a job whose type is not in the table is given a drawn one.
    scale_factor_rule
        Speed of an imported job on a number of GPUs that the table does not cover. ``linear``: scale up the row of the
        largest smaller number; ``single``: scale up the row of one GPU; ``refuse``: an error.
    arrivals
        Arrival times of a trace's jobs. ``recorded``: those of the trace. ``poisson``: a control without its bursts; as
        many jobs over the same time, in the same order, at the times of a Poisson process of equal rate.
    """

    trace: str = ""
    throughputs: str = ""
    co_throughputs: str = ""
    jobs: Count = 0
    rate_per_hour: NotNegative = 0.0
    initial_jobs: Count = 0
    filled: bool = False
    pods: str = ""
    gangs: bool = False
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
    arrivals: Literal["recorded", "poisson"] = "recorded"


class PolicyChoice(Section, frozen=True):
    """The policy and its options; an option that the policy does not take is refused.

    Attributes
    ----------
    name
        A registered policy, or ``FILE.py:CLASS``, relative to the scenario file; the resolved scenario then holds a
        digest of the file. A policy given as an override keeps those options of the file that it also takes.
    canonical
        Add the small linear term that makes a max-min optimum (nearly) unique.
    options
        Options of the policy, by name; the policy checks them.
    """

    name: Name = "max_min_fairness_perf"
    canonical: bool = False
    options: dict[str, Any] = {}


class Recorded(Section, frozen=True):
    """The allocations that the policy ``recorded`` replays.

    Attributes
    ----------
    allocations
        Path of a JSON or gzipped JSON file of recorded allocations.
    policy
        Policy whose selection rules apply; empty: the third part of the file's ``case``.
    """

    allocations: str = ""
    policy: str = ""


class SolverChoice(Section, frozen=True):
    """The solver.

    Attributes
    ----------
    name
        A registered backend, or ``FILE.py:CLASS``, or a chain ``A,B``, which falls back to B when A fails.
    kwargs
        Options passed to the solver unchanged; checked before the first round.
    """

    name: Name = "auto"
    kwargs: dict[str, Any] = {}


class PlacementChoice(Section, frozen=True):
    """The placement.

    Attributes
    ----------
    name
        A registered placement, or ``FILE.py:CLASS``.
    """

    name: Name = "strided"


class TimingChoice(Section, frozen=True):
    """The round and its rules; ``preset`` sets every rule that is None (see `phasewise.sched.round.rules`).

    Attributes
    ----------
    preset
        ``gavel`` reproduces the original exactly, ``corrected`` fixes its defects.
    round_s
        Maximum length of a round, seconds.
    reallocation_interval_s
        Minimum simulated time between two allocations, seconds; none: as in the preset.
    mechanism
        ``rounds``; or ``ideal``: jobs progress by the allocation itself, each on every worker type for its share of the
        time, and nothing is placed: the limit of short rounds. ``round_s`` is then not used.
    own_types_first
        Whether jobs are first offered the worker types that X gives them, all types in turn, and only then what is
        left; if not, each type goes to whoever wants it before the next type is looked at.
    """

    preset: Literal["gavel", "corrected"] = "corrected"
    mechanism: Literal["rounds", "ideal"] = "rounds"
    round_s: Length = 360.0
    reallocation_interval_s: NotNegative | None = None
    own_types_first: bool = False


class Migration(Section, frozen=True):
    """What moving a job costs, in the allocation and in its progress (see `phasewise.sched.round.migration`).

    Attributes
    ----------
    enabled
        Whether moving a job takes time; if not, the other keys have no effect.
    fixed_s
        Fixed cost of a start on other GPUs, seconds: container, data loader, libraries.
    bandwidth_mb_per_s
        Bandwidth at which a checkpoint is transferred, MB/s.
    checkpoint_mb
        Size of a checkpoint, MB, by job type or model family; extends and overrides the built-in table.
    warm_discount
        Fraction by which the cost is reduced on a worker type on which the job ran before.
    weight
        Weight of the cost in a max-min objective; 0: not in the objective.
    patience
        How strongly running jobs are favoured: the priority of a job that would have to start is multiplied by
        ``exp(-patience * seconds of its start / round_s)``, but by at least 1/8; 0: plain order.
    """

    enabled: bool = False
    fixed_s: NotNegative = 90.0
    bandwidth_mb_per_s: Bandwidth = 200.0
    checkpoint_mb: dict[Name, NotNegative] = {}
    warm_discount: Share = 0.5
    weight: Weight = 1.0
    patience: NotNegative = 5.0


class Stop(Section, frozen=True):
    """When a run ends before all jobs (or the window) are complete. None: no such limit.

    Attributes
    ----------
    window
        [A, B]: the run ends when all jobs with A <= id < B are complete, and only their JCT counts. Jobs keep arriving
        until then, or until ``workload.jobs`` have arrived.
    rounds
        Stop after this number of rounds.
    sim_time_s
        Stop at this simulated time, seconds. Every built-in scenario has such a limit, far above what it needs.
    wall_s
        Stop after this wall time, seconds. It never influences a scheduling decision.
    stragglers
        Stop when at most this number of jobs of the window (or of all jobs) are left and no more will arrive.
    saturation
        Whether to stop with status ``overloaded`` when the drift is certainly above 0.5 % of arrivals. Applies while
        generated jobs keep arriving, once all jobs of the window have arrived and not all are done. Checked after 3,000
        arrivals, then each time their number has doubled. Does not apply to replayed allocations.
    """

    window: tuple[Count, Count] | None = None
    rounds: AtLeastOne | None = None
    sim_time_s: Positive | None = None
    wall_s: Positive | None = None
    stragglers: Natural = 0
    saturation: bool = True


class Output(Section, frozen=True):
    """What is written, and how often.

    Attributes
    ----------
    profile_every
        Rounds between two PROFILE lines.
    debug
        Whether to write a PROFILE line every round.
    trace
        Whether to write `trace.json.gz`.
    check_invariants
        Whether to check the state after every phase (slow).
    chunk_rounds
        Rounds kept in memory before they are written.
    checkpoint_rounds
        Rounds between two checkpoints, from which ``run --resume`` continues; 0: none. At a checkpoint, solvers drop
        their warm state and all rounds in memory are written, so a run with checkpoints may differ from one without.
    lines
        ``all``: write every line to `lines.log`; ``none``: no such file.
    placements
        Whether `placements.parquet` has rows; without them, no tool can show where jobs ran.
    rounds_every
        Number of rounds per row of `rounds.parquet`. Times and counts of events are sums, utilisations are means over
        the time of the row, all else is as in its last round. The last row before a checkpoint or the end may have
        fewer.
    memory
        Whether to read resident memory at every change of phase, for the columns of `rounds.parquet` that say what each
        phase added. It makes a round about 40 us dearer.
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
    memory: bool = False


class Limits(Section, frozen=True):
    """Limits on the cost of a run. They do not change the run, only how far it gets.

    Attributes
    ----------
    sim_time_s
        Stop at this simulated time, seconds, unless ``stop.sim_time_s`` is earlier; status ``stopped``.
    cpu_s
        Stop after the round in which the run exceeds this CPU time, seconds; status ``stopped``.
    memory_mib
        Fail after the round in which the process holds more memory, MiB; a study ends its process at once.
    """

    sim_time_s: Positive | None = None
    cpu_s: Positive | None = None
    memory_mib: AtLeastOne | None = None


class Scenario(Section, frozen=True, kw_only=True):
    """A complete, resolved scenario.

    Attributes
    ----------
    name
        Name of the scenario, used for the run directory; default: the name of the file.
    description
        One line for `phasewise list scenarios`.
    seed
        Seed of all random numbers.
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
