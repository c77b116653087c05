"""Scenario: everything a run is determined by, as frozen structs, one a TOML section.

A scenario resolves completely before a run starts: `run.json` and the `run_start` event hold every value.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of the scenario file: immutable, and an unknown key is an error."""


class Cluster(Section):
    """The machines.

    Attributes
    ----------
    gpus
        GPUs of each worker type.
    gpus_per_node
        GPUs of one node of each type; 1 where a type is not named. A remainder makes a smaller last node.
    """

    gpus: dict[str, int]
    gpus_per_node: dict[str, int] = {}


class Workload(Section):
    """Where jobs come from: a trace, or the generator.

    Attributes
    ----------
    trace
        Path of a Gavel 10-field trace; empty means generate. A trace ignores the generator's keys.
    throughputs
        Path of a CSV job_type,scale_factor,gpu_type,steps_per_second; empty means the built-in table.
    jobs
        Generate this many (or keep the first so many of the trace); 0 means no limit (needs a window or `stop.rounds`).
    rate_per_hour
        Mean Poisson arrival rate, jobs/h; 0 puts all jobs at time 0.
    initial_jobs
        Jobs active at time 0 with length-biased residual work.
    scale_factors
        ``single``: one GPU each; ``gavel``: 1, 2, 4, 8 with probabilities .70, .10, .15, .05.
    scale_factor_cap
        Upper limit of the drawn scale factor; 0 means none.
    priorities
        Whether one job in five gets priority weight 5.
    reference_type
        Worker type whose throughput turns a drawn duration into steps.
    """

    trace: str = ""
    throughputs: str = ""
    jobs: int = 0
    rate_per_hour: float = 0.0
    initial_jobs: int = 0
    scale_factors: Literal["single", "gavel"] = "single"
    scale_factor_cap: int = 0
    priorities: bool = False
    reference_type: str = "v100"


class PolicyChoice(Section):
    """Which policy, and the options that policies share.

    Attributes
    ----------
    name
        A registered policy.
    canonical
        Add the small linear term that makes a max-min optimum unique.
    """

    name: str = "max_min_fairness_perf"
    canonical: bool = False


class Recorded(Section):
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


class SolverChoice(Section):
    """Which solver backend (or chain ``A,B``) and its native options."""

    name: str = "highs-direct"
    kwargs: dict[str, Any] = {}


class PlacementChoice(Section):
    """Which placement."""

    name: str = "strided"


class TimingChoice(Section):
    """The round and its rules; ``preset`` sets every rule that is left at None (see `phasewise.sched.timing`).

    Attributes
    ----------
    preset
        ``gavel`` reproduces the original exactly, ``corrected`` mends its defects.
    round_s
        Longest time a round may last, seconds.
    reallocation_interval_s
        Least simulated seconds between two allocations.
    """

    preset: Literal["gavel", "corrected"] = "corrected"
    round_s: float = 360.0
    reallocation_interval_s: float | None = None


class Stop(Section):
    """When a run ends, besides all jobs (or the window) being complete. None means no such limit.

    Attributes
    ----------
    window
        [A, B]: the ids A <= id < B whose completion ends the run and whose JCT counts; arrivals go on until then.
    rounds
        Stop after so many rounds.
    sim_time_s
        Stop at this simulated time, seconds.
    wall_s
        Stop after so many wall seconds (a limit of the run, never of a decision).
    stragglers
        Stop when at most so many of the window's jobs (or of all) are left and no other is waiting to arrive.
    saturation
        Whether to stop, with status ``saturated``, once the last 100 completions came at fewer than 0.1 an hour
        while utilisation was above 0.99.
    """

    window: tuple[int, int] | None = None
    rounds: int | None = None
    sim_time_s: float | None = None
    wall_s: float | None = None
    stragglers: int = 0
    saturation: bool = True


class Output(Section):
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
    """

    profile_every: int = 100
    debug: bool = False
    trace: bool = True
    check_invariants: bool = False
    chunk_rounds: int = 512


class Scenario(Section, kw_only=True):
    """A complete, resolved scenario."""

    name: str
    description: str = ""
    seed: int = 0
    cluster: Cluster
    workload: Workload = Workload()
    policy: PolicyChoice = PolicyChoice()
    recorded: Recorded = Recorded()
    solver: SolverChoice = SolverChoice()
    placement: PlacementChoice = PlacementChoice()
    timing: TimingChoice = TimingChoice()
    stop: Stop = Stop()
    output: Output = Output()
