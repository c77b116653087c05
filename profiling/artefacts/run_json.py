"""`run.json` of a run: what ran, where, how it ended, and the summary of its figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from phasewise.profiling.artefacts.schemas import SCHEMA, told

Status = Literal["complete", "overloaded", "stopped", "failed", "interrupted"]

STATUSES: Final[Mapping[str, str]] = {
    "complete": "Every job that counts was completed, but for those that were refused or dropped.",
    "overloaded": "More work arrived than the cluster can do, so the run was ended before its window was done. "
    "JCT measures the length of the run.",
    "stopped": "The run was stopped at a limit of its scenario. JCT covers finished jobs only.",
    "failed": "The run failed. What it computed until then is shown.",
    "interrupted": "The run was interrupted. What it computed until then is shown.",
}
"""How a run may have ended."""

RENAMED: Final[Mapping[str, Status]] = {"saturated": "overloaded"}
"""Statuses of schema 1 that have another name now."""

LEAST_DRIFT: Final = 0.005
"""Part of arrivals above which the whole interval of a drift has to lie before it is said that jobs pile up."""

_NO_MEAN = "none of them completed"
_SPANS = "jobs may span nodes"


class PhaseTimes(msgspec.Struct, frozen=True):
    """Exclusive time of one phase over a whole run."""

    wall_s: Annotated[float, told("wall time", "s")]
    cpu_s: Annotated[float, told("CPU time, all threads of the process", "s")]
    calls: Annotated[int, told("how often it was entered; 0 for `other`")] = 0
    share: Annotated[float, told("share of the loop's wall time", "fraction")] = 0.0


class Rho(msgspec.Struct, frozen=True, kw_only=True):
    """Finish-time fairness of the jobs that count."""

    mean: Annotated[float, told("mean over the jobs")]
    p99: Annotated[float, told("99th percentile, linear between neighbours")]
    worst: Annotated[float, told("largest")]
    share_above_1: Annotated[float, told("share of the jobs that took longer than on an isolated share", "fraction")]
    jobs: Annotated[int, told("how many jobs these figures are over", "jobs")]


class JctInterval(msgspec.Struct, frozen=True, kw_only=True):
    """How sure the mean JCT is, from this run alone."""

    low: Annotated[float, told("lower end, 95 %", "s")]
    high: Annotated[float, told("upper end, 95 %", "s")]
    batches: Annotated[int, told("stretches of jobs, in order of arrival, over whose means it is")]


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """How long jobs of a size waited from arrival to first start."""

    p50_s: Annotated[float, told("median", "s")]
    p95_s: Annotated[float, told("95th percentile, linear between neighbours", "s")]
    jobs: Annotated[int, told("how many jobs these figures are over", "jobs")]


class Slowdown(msgspec.Struct, frozen=True, kw_only=True):
    """Bounded slowdown of the jobs that count: JCT over `ideal_s`, which counts as 10 s at least; 1 at least."""

    mean: Annotated[float, told("mean over the jobs")]
    p95: Annotated[float, told("95th percentile, linear between neighbours")]
    p99: Annotated[float, told("99th percentile, likewise")]
    worst: Annotated[float, told("largest")]
    jobs: Annotated[int, told("how many jobs these figures are over", "jobs")]


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what arrives piles up."""

    share: Annotated[float, told("growth of active jobs over simulated time, over that of arrivals", "fraction")]
    low: Annotated[float, told("lower end of its interval, 95 %", "fraction")]
    high: Annotated[float, told("upper end of its interval", "fraction")]


class LostGpuTime(msgspec.Struct, frozen=True, kw_only=True):
    """GPU time in which no step was made, by cause."""

    migration: Annotated[float | None, told("jobs that started on other GPUs, at a cost", "GPU s", null="unknown")]
    round_end: Annotated[
        float | None,
        told("held until the end of a round, after the last whole step or in a failed task", "GPU s", null="unknown"),
    ]
    fragmented: Annotated[
        float | None,
        told("idle while jobs waited that asked for as much and were not placed there", "GPU s", null="unknown"),
    ]
    no_work: Annotated[
        float | None, told("idle beyond what the waiting jobs asked for together", "GPU s", null="unknown")
    ]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a run. What is not given is null.

    The jobs that count are those of the window; where there is none, all that have arrived.
    """

    avg_jct_s: Annotated[
        float | None,
        told("mean job completion time (completion minus arrival) of the jobs that count", "s", null=_NO_MEAN),
    ] = None
    jct_s_p50: Annotated[float | None, told("median of the same", "s", null=_NO_MEAN)] = None
    jct_s_p95: Annotated[
        float | None, told("95th percentile of the same, linear between neighbours", "s", null=_NO_MEAN)
    ] = None
    jct_jobs: Annotated[int | None, told("how many jobs these three figures are over", "jobs")] = None
    avg_jct_interval_s: Annotated[
        JctInterval | None,
        told(
            "interval of `avg_jct_s` by batch means",
            "s",
            null="`censored`, or fewer than 20 jobs",
            since=2,
        ),
    ] = None
    avg_jct_lower_bound_s: Annotated[
        float | None,
        told(
            "mean JCT of the jobs that count and have arrived, unfinished ones at their present age; refused and "
            "failed ones are left out",
            "s",
            null="there is no such job",
            since=2,
        ),
    ] = None
    window: Annotated[tuple[int, int] | None, told("`[A, B]`: ids A <= id < B count", "ids", null="all jobs count")] = (
        None
    )
    window_jobs: Annotated[
        int | None, told("jobs of the window; without one, jobs that have arrived", "jobs", since=2)
    ] = None
    window_done: Annotated[
        int | None, told("those of them that are over: completed, failed or refused", "jobs", since=2)
    ] = None
    censored: Annotated[
        bool | None, told("`window_done < window_jobs`: `avg_jct_s` leaves unfinished jobs out", since=2)
    ] = None
    rho: Annotated[
        Rho | None,
        told(
            "finish-time fairness (Themis) over the jobs that count and completed: JCT over the job's time under an "
            "isolated share of the cluster; see below",
            null=_NO_MEAN,
            since=2,
        ),
    ] = None
    slowdown: Annotated[
        Slowdown | None,
        told(
            "bounded slowdown of the same jobs: JCT over the time on their best worker type; see below",
            null=_NO_MEAN,
            since=2,
        ),
    ] = None
    jain: Annotated[
        float | None,
        told(
            "Jain's index over the same jobs, of the isolated time over the JCT: 1 where all were served alike",
            null=_NO_MEAN,
            since=2,
        ),
    ] = None
    queue_s_p50: Annotated[
        float | None,
        told("median wait from arrival to first start, of the jobs of `jct_jobs`", "s", null=_NO_MEAN, since=2),
    ] = None
    queue_s_p95: Annotated[float | None, told("95th percentile of the same", "s", null=_NO_MEAN, since=2)] = None
    queue_by_gpus: Annotated[
        dict[str, Wait] | None,
        told(
            "the wait by the size of a job: `<1`, `1`, `2`, `3-4`, `5-8`, `>8` GPUs; sizes without a job are left out"
        ),
    ] = None
    makespan_s: Annotated[float | None, told("simulated time at the end", "s")] = None
    utilization: Annotated[
        float | None,
        told("mean over all GPUs of busy time over simulated time, warm-up and drain-out included", "fraction"),
    ] = None
    utilization_scope: Annotated[str | None, told("that same sentence, kept with the figure")] = None
    utilization_until_last_arrival: Annotated[
        float | None,
        told("the same up to the last arrival", "fraction", null="jobs might still have come, or all came at time 0"),
    ] = None
    goodput: Annotated[
        float | None,
        told("GPU time in which steps were made over GPU time held", "fraction", null="no GPU was held", since=2),
    ] = None
    lost_gpu_s: Annotated[LostGpuTime | None, told("GPU time without a step, by cause: see below", since=2)] = None
    drift: Annotated[
        Drift | None,
        told("part of arrivals that piles up: see below", null="too few jobs have arrived to say", since=2),
    ] = None
    offered_load: Annotated[
        float | None,
        told(
            "arrival rate times the mean over jobs of the least GPU time on any type, over the GPUs; jobs of the first "
            "moment are left out",
            "fraction",
            null="all jobs came at once",
            since=2,
        ),
    ] = None
    slo_misses: Annotated[
        int | None,
        told(
            "jobs that did not complete within `slo_s`, those among them that are late already",
            "jobs",
            null="no job has an SLO",
            since=2,
        ),
    ] = None
    cost: Annotated[
        float | None,
        told(
            "what the GPU time that jobs held costs",
            "as `cluster.gpu_hour_prices`",
            null="no prices are given",
            since=2,
        ),
    ] = None
    rounds: Annotated[
        int, told("rounds that were run; the last, empty scheduling call of preset `gavel` does not count", "rounds")
    ] = 0
    allocations: Annotated[int | None, told("how often the policy was asked, that last call included", "calls")] = None
    lp_solves: Annotated[int | None, told("problems that the policy stated", "solves")] = None
    lp_rebuilds: Annotated[
        dict[str, int] | None,
        told("by reason, those for which the model was built; the reasons are those of `lp_rebuild`", "solves"),
    ] = None
    lp_reuse_rate: Annotated[
        float | None,
        told(
            "share of the solves that reused the model of the last one: the hit rate of `cvxpy-dpp`, `highs-warm` and "
            "`structured`; 0 of a solver that builds anew every time",
            "fraction",
            null="nothing was solved",
        ),
    ] = None
    solver_fallbacks: Annotated[
        int | None, told("how often a backend of a chain gave way, or one that `auto` had picked", "times")
    ] = None
    solver_less_accurate: Annotated[
        int | None,
        told(
            "answers that are proven to 1e-4 of their bound only, where no backend came within 1e-6; each has an EVENT",
            "solves",
        ),
    ] = None
    jobs_arrived: Annotated[int | None, told("jobs that came, refused ones included", "jobs")] = None
    jobs_completed: Annotated[int | None, told("jobs that did all their steps", "jobs")] = None
    jobs_failed: Annotated[
        int | None, told("jobs dropped after five failed micro-tasks in a row (preset `gavel` only)", "jobs")
    ] = None
    jobs_failed_example: Annotated[str | None, told("the first of them, and why", null="there is none")] = None
    jobs_refused: Annotated[
        int | None,
        told("jobs that no pool of the cluster can ever hold, or whose speed is 0 on every worker type", "jobs"),
    ] = None
    jobs_refused_example: Annotated[str | None, told("the first of them, and why", null="there is none")] = None
    sim_time_s: Annotated[float | None, told("simulated time at the end", "s")] = None
    version: Annotated[str | None, told("version of the package that made the run", null="it was not installed")] = None
    moves: Annotated[int | None, told("a job ran in two rounds in a row on different sets of GPUs", "times")] = None
    moves_per_job: Annotated[
        float | None, told("mean of `moves` over the jobs of `jct_jobs`", "times", null=_NO_MEAN, since=2)
    ] = None
    restarts_per_job: Annotated[
        float | None, told("mean of `restarts` over the same jobs", "times", null=_NO_MEAN, since=2)
    ] = None
    frag_rate_mean: Annotated[
        float | None, told("mean over rounds of `frag_rate` in rounds.parquet", "fraction", null=_SPANS)
    ] = None
    fragmented_gpus_mean: Annotated[float | None, told("the same of `fragmented_gpus`", "GPUs", null=_SPANS)] = None
    occupied_nodes_mean: Annotated[float | None, told("the same of `occupied_nodes`", "nodes", null=_SPANS)] = None
    unallocated_gpus_mean: Annotated[
        float | None, told("the same of `unallocated_gpus`", "GPUs", null="there was no round")
    ] = None
    pending_gpus_mean: Annotated[
        float | None, told("the same of `pending_gpus`", "GPUs", null="there was no round")
    ] = None
    unplaced_mean: Annotated[
        float | None, told("the same of `unplaced`; 0 where jobs may span nodes", "jobs", null="there was no round")
    ] = None
    migrations: Annotated[int | None, told("starts that cost something; 0 where moving is free", "times")] = None
    migration_s: Annotated[
        float | None, told("simulated time that those starts took, in which no step was made", "s")
    ] = None
    migration_gpu_s: Annotated[float | None, told("the same times GPUs", "GPU s")] = None
    teams_mean: Annotated[
        float | None, told("mean over rounds of `teams`", "teams", null="the policy does not pack", since=2)
    ] = None
    sharing_gain: Annotated[
        float | None, told("mean of the gains of all these teams", null="there was no team", since=2)
    ] = None
    lease_extensions: Annotated[int | None, told("a job of the last round kept exactly its GPUs", "times")] = None
    lease_extension_opportunities: Annotated[int | None, told("a job of the last round was still active", "times")] = (
        None
    )
    wall_s: Annotated[float | None, told("wall time of the loop", "s")] = None
    cpu_s: Annotated[float | None, told("CPU time of the loop, all threads of the process", "s")] = None
    rounds_per_cpu_s: Annotated[
        float | None, told("rounds over CPU time of the loop", "1/s", null="it took no measurable time")
    ] = None
    compile_s: Annotated[
        float | None,
        told("what the run waited for kernels to be compiled, by the wall clock; in no other figure", "s"),
    ] = None
    peak_rss_mib: Annotated[float | None, told("the most memory the process ever held", "MiB")] = None
    phases: Annotated[
        dict[str, PhaseTimes],
        told(
            "by phase: see below. `other` is the time outside all phases. A phase that a plug-in names has an entry "
            "of its own here and in PROFILE lines; in `rounds.parquet` it counts under `other`"
        ),
    ] = {}
    phase_coverage: Annotated[float | None, told("share of the loop's wall time inside named phases", "fraction")] = (
        None
    )


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What a run follows from, besides its scenario: another basis, another run."""

    version: Annotated[str | None, told("version of the package", null="it was not installed")] = None
    rules: Annotated[str, told("SHA-256 of the sources that decide: simulation, solvers, built-in tables")] = ""
    inputs: Annotated[
        dict[str, str],
        told("SHA-256 of each file that was read, unpacked, by its key in the scenario; and of plug-ins' modules"),
    ] = {}


class Resumption(msgspec.Struct, frozen=True, kw_only=True):
    """That a run went on from a checkpoint."""

    round: Annotated[int, told("rounds that were run before; what came behind them was dropped", "rounds")]
    changed: Annotated[
        dict[str, tuple[str | None, str | None]],
        told("what of processor, Python and packages was another there than here, as `[there, here]`"),
    ] = {}


class RunJson(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    schema: Annotated[int, told("version of what this page describes")] = SCHEMA
    scenario: Annotated[dict[str, Any], told("the scenario with every default in place")]
    command: Annotated[list[str], told("the command line, a list of words")] = []
    environment: Annotated[
        dict[str, Any],
        told(
            "`commit` and `dirty` of the checkout (null where it runs from none, as from a wheel), `version` of "
            "the package, `python`, `platform`, `cpu`, `cores`, `threads` (the pins that were "
            "set), `packages` (name to version)"
        ),
    ] = {}
    layout: Annotated[
        dict[str, Any],
        told(
            "the machines: `worker_types`, `nodes_per_type`, and `gpus_per_node` as pairs of nodes in a row and the "
            "GPUs each has; nodes are numbered over the types in this order"
        ),
    ] = {}
    basis: Annotated[
        Basis | None, told("what else it follows from: see below", null="an earlier version wrote the file")
    ] = None
    resumed: Annotated[list[Resumption], told("where the parts that it is made of [meet](../howto/resume.md)")] = []
    workload: Annotated[
        dict[str, Any] | None,
        told(
            "of an imported trace: `format`, `source`, `rows_read`, `rows_kept`, `dropped` (rows by reason), `states` "
            "that were asked for, `first_arrival_s` that was taken from every time, and `assumptions`, a sentence each",
            null="jobs are generated, or of a Gavel trace",
            since=2,
        ),
    ] = None
    summary: Annotated[Summary, told("the figures: see below")] = Summary()
    status: Annotated[Status, told("how the run ended: see below")]
