"""`run.json` of a run: what ran, where, how it ended, and the summary of its figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from phasewise.profiling.artefacts.schemas import SCHEMA, told

Status = Literal["complete", "overloaded", "stopped", "failed", "interrupted"]

STATUSES: Final[Mapping[str, str]] = {
    "complete": "Every counted job completed, except those that were refused or dropped.",
    "overloaded": "More work arrived than the cluster can do, so the run was ended before its window was complete. "
    "JCT measures the length of the run.",
    "stopped": "The run was stopped at a limit of its scenario. JCT covers only completed jobs.",
    "failed": "The run failed. The results up to that point are shown.",
    "interrupted": "The run was interrupted. The results up to that point are shown.",
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
    calls: Annotated[int, told("number of times it was entered; 0 for `other`")] = 0
    share: Annotated[float, told("share of the loop's wall time", "fraction")] = 0.0


class Rho(msgspec.Struct, frozen=True, kw_only=True):
    """Finish-time fairness of the counted jobs."""

    mean: Annotated[float, told("mean over the jobs")]
    p99: Annotated[float, told("99th percentile, linearly interpolated")]
    worst: Annotated[float, told("largest")]
    share_above_1: Annotated[
        float, told("share of the jobs with rho above 1: slower than on an isolated share of the cluster", "fraction")
    ]
    jobs: Annotated[int, told("number of jobs in these statistics", "jobs")]


class JctInterval(msgspec.Struct, frozen=True, kw_only=True):
    """Confidence interval of the mean JCT, from this run alone."""

    low: Annotated[float, told("lower end, 95 %", "s")]
    high: Annotated[float, told("upper end, 95 %", "s")]
    batches: Annotated[int, told("number of batches of consecutive arrivals whose means give the interval")]


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Wait of the jobs of one size, from arrival to first start."""

    p50_s: Annotated[float, told("median", "s")]
    p95_s: Annotated[float, told("95th percentile, linearly interpolated", "s")]
    jobs: Annotated[int, told("number of jobs in these statistics", "jobs")]


class Slowdown(msgspec.Struct, frozen=True, kw_only=True):
    """Bounded slowdown of the counted jobs: JCT over `ideal_s` (taken as at least 10 s), and at least 1."""

    mean: Annotated[float, told("mean over the jobs")]
    p95: Annotated[float, told("95th percentile, linearly interpolated")]
    p99: Annotated[float, told("99th percentile, linearly interpolated")]
    worst: Annotated[float, told("largest")]
    jobs: Annotated[int, told("number of jobs in these statistics", "jobs")]


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """Share of the arriving jobs by which the backlog grows."""

    share: Annotated[float, told("growth rate of the number of active jobs over the arrival rate", "fraction")]
    low: Annotated[float, told("lower end of its 95 % confidence interval", "fraction")]
    high: Annotated[float, told("upper end of the same interval", "fraction")]


class LostGpuTime(msgspec.Struct, frozen=True, kw_only=True):
    """GPU time without training progress, by cause."""

    migration: Annotated[float | None, told("spent on moving jobs to other GPUs", "GPU s", null="unknown")]
    round_end: Annotated[
        float | None,
        told("held until the round ends, after the last whole step or in a failed micro-task", "GPU s", null="unknown"),
    ]
    fragmented: Annotated[
        float | None,
        told("idle although waiting jobs requested as much and were not placed there", "GPU s", null="unknown"),
    ]
    no_work: Annotated[float | None, told("idle beyond the total request of the waiting jobs", "GPU s", null="unknown")]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Results of a run. A value that does not exist is null.

    The counted jobs are those of the window or, without a window, all that have arrived.
    """

    avg_jct_s: Annotated[
        float | None,
        told("mean job completion time (completion minus arrival) of the counted jobs", "s", null=_NO_MEAN),
    ] = None
    jct_s_p50: Annotated[float | None, told("median of the same", "s", null=_NO_MEAN)] = None
    jct_s_p95: Annotated[
        float | None, told("95th percentile of the same, linearly interpolated", "s", null=_NO_MEAN)
    ] = None
    jct_jobs: Annotated[int | None, told("number of jobs in these three statistics", "jobs")] = None
    avg_jct_interval_s: Annotated[
        JctInterval | None,
        told(
            "confidence interval of `avg_jct_s`, by batch means",
            "s",
            null="`censored`, or fewer than 20 jobs",
            since=2,
        ),
    ] = None
    avg_jct_lower_bound_s: Annotated[
        float | None,
        told(
            "lower bound on the mean JCT of the counted jobs that have arrived: an unfinished job counts with its "
            "current age; refused and failed jobs are left out",
            "s",
            null="there is no such job",
            since=2,
        ),
    ] = None
    window: Annotated[
        tuple[int, int] | None, told("`[A, B]`: jobs with A <= id < B are counted", "ids", null="all jobs are counted")
    ] = None
    window_jobs: Annotated[
        int | None, told("jobs in the window; without a window, jobs that have arrived", "jobs", since=2)
    ] = None
    window_done: Annotated[
        int | None, told("those of them that have ended: completed, failed or refused", "jobs", since=2)
    ] = None
    censored: Annotated[
        bool | None, told("`window_done < window_jobs`: unfinished jobs are missing from `avg_jct_s`", since=2)
    ] = None
    rho: Annotated[
        Rho | None,
        told(
            "finish-time fairness (Themis) of the counted jobs that completed: JCT over the time the job would take "
            "on an isolated share of the cluster; see below",
            null=_NO_MEAN,
            since=2,
        ),
    ] = None
    slowdown: Annotated[
        Slowdown | None,
        told(
            "bounded slowdown of the same jobs: JCT over the run time on the job's fastest worker type; see below",
            null=_NO_MEAN,
            since=2,
        ),
    ] = None
    jain: Annotated[
        float | None,
        told(
            "Jain's fairness index of isolated time over JCT, over the same jobs; 1 means that all were served equally",
            null=_NO_MEAN,
            since=2,
        ),
    ] = None
    jain_users: Annotated[
        float | None,
        told(
            "Jain's index over users, each with the mean of isolated time over JCT of its jobs",
            null="no user is known, or none of their jobs completed",
            since=2,
        ),
    ] = None
    jain_vcs: Annotated[
        float | None,
        told("the same over virtual clusters", null="none is known, or none of their jobs completed", since=2),
    ] = None
    queue_s_p50: Annotated[
        float | None,
        told("median wait from arrival to first start, over the jobs of `jct_jobs`", "s", null=_NO_MEAN, since=2),
    ] = None
    queue_s_p95: Annotated[float | None, told("95th percentile of the same", "s", null=_NO_MEAN, since=2)] = None
    queue_by_gpus: Annotated[
        dict[str, Wait] | None,
        told("the wait by job size: `<1`, `1`, `2`, `3-4`, `5-8`, `>8` GPUs; sizes without jobs are left out"),
    ] = None
    makespan_s: Annotated[float | None, told("simulated time at the end", "s")] = None
    utilization: Annotated[
        float | None,
        told("mean over all GPUs of busy time over simulated time, warm-up and drain-out included", "fraction"),
    ] = None
    utilization_scope: Annotated[str | None, told("definition of `utilization`, kept beside the value")] = None
    utilization_until_last_arrival: Annotated[
        float | None,
        told(
            "the same up to the last arrival", "fraction", null="more jobs could have arrived, or all arrived at time 0"
        ),
    ] = None
    goodput: Annotated[
        float | None,
        told("share of the held GPU time that made training progress", "fraction", null="no GPU was held", since=2),
    ] = None
    lost_gpu_s: Annotated[
        LostGpuTime | None, told("GPU time without training progress, by cause: see below", since=2)
    ] = None
    drift: Annotated[
        Drift | None,
        told("share of arrivals by which the backlog grows: see below", null="too few jobs have arrived", since=2),
    ] = None
    offered_load: Annotated[
        float | None,
        told(
            "arrival rate times the mean GPU time of a job on its cheapest worker type, over the number of GPUs; jobs "
            "present at the start are left out",
            "fraction",
            null="all jobs arrived at once",
            since=2,
        ),
    ] = None
    slo_misses: Annotated[
        int | None,
        told(
            "jobs that did not complete within `slo_s`, including unfinished jobs that are already late",
            "jobs",
            null="no job has an SLO",
            since=2,
        ),
    ] = None
    cost: Annotated[
        float | None,
        told(
            "price of the GPU time that jobs held",
            "as `cluster.gpu_hour_prices`",
            null="no prices are given",
            since=2,
        ),
    ] = None
    rounds: Annotated[
        int, told("simulated rounds; the last, empty scheduling call of preset `gavel` is not counted", "rounds")
    ] = 0
    allocations: Annotated[int | None, told("number of calls of the policy, that last call included", "calls")] = None
    lp_solves: Annotated[int | None, told("allocation problems solved", "solves")] = None
    lp_rebuilds: Annotated[
        dict[str, int] | None,
        told(
            "solves for which the solver model was built anew, by reason; the reasons are those of `lp_rebuild`",
            "solves",
        ),
    ] = None
    lp_reuse_rate: Annotated[
        float | None,
        told(
            "share of the solves that reused the model of the previous solve: the hit rate of `cvxpy-dpp`, "
            "`highs-warm` and `structured`; 0 for a solver that always builds a new model",
            "fraction",
            null="nothing was solved",
        ),
    ] = None
    solver_fallbacks: Annotated[
        int | None, told("times that a chain, or `auto`, fell back to its next backend", "times")
    ] = None
    solver_less_accurate: Annotated[
        int | None,
        told(
            "answers with a proven gap of up to 1e-4, accepted because no backend reached 1e-6; each has an EVENT",
            "solves",
        ),
    ] = None
    jobs_arrived: Annotated[int | None, told("jobs that arrived, refused ones included", "jobs")] = None
    jobs_completed: Annotated[int | None, told("jobs that completed all their steps", "jobs")] = None
    jobs_failed: Annotated[
        int | None, told("jobs dropped after five failed micro-tasks in a row (preset `gavel` only)", "jobs")
    ] = None
    jobs_failed_example: Annotated[str | None, told("the first of them, with the reason", null="there is none")] = None
    jobs_refused: Annotated[
        int | None,
        told("jobs that can never fit on the cluster, or whose throughput is 0 on every worker type", "jobs"),
    ] = None
    jobs_refused_example: Annotated[str | None, told("the first of them, with the reason", null="there is none")] = None
    sim_time_s: Annotated[float | None, told("simulated time at the end", "s")] = None
    version: Annotated[str | None, told("version of the package that made the run", null="it was not installed")] = None
    moves: Annotated[
        int | None, told("times that a job ran in two consecutive rounds on different sets of GPUs", "times")
    ] = None
    moves_per_job: Annotated[
        float | None, told("mean number of `moves` over the jobs of `jct_jobs`", "times", null=_NO_MEAN, since=2)
    ] = None
    restarts_per_job: Annotated[
        float | None, told("mean number of `restarts` over the same jobs", "times", null=_NO_MEAN, since=2)
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
    migrations: Annotated[int | None, told("starts that took time; 0 where moving is free", "times")] = None
    migration_s: Annotated[
        float | None, told("simulated time that those starts took, without training progress", "s")
    ] = None
    migration_gpu_s: Annotated[float | None, told("the same times GPUs", "GPU s")] = None
    teams_mean: Annotated[
        float | None, told("mean over rounds of `teams`", "teams", null="the policy does not pack", since=2)
    ] = None
    sharing_gain: Annotated[
        float | None, told("mean of the gains of all these teams", null="there was no team", since=2)
    ] = None
    lease_extensions: Annotated[
        int | None, told("times that a job kept exactly the GPUs of the previous round", "times")
    ] = None
    lease_extension_opportunities: Annotated[
        int | None, told("times that a job of the previous round was still active", "times")
    ] = None
    wall_s: Annotated[float | None, told("wall time of the loop", "s")] = None
    cpu_s: Annotated[float | None, told("CPU time of the loop, all threads of the process", "s")] = None
    rounds_per_cpu_s: Annotated[
        float | None, told("rounds over CPU time of the loop", "1/s", null="it took no measurable time")
    ] = None
    compile_s: Annotated[
        float | None,
        told("wall time spent compiling kernels before the run; not included in any other time", "s"),
    ] = None
    peak_rss_mib: Annotated[float | None, told("peak memory of the process", "MiB")] = None
    phases: Annotated[
        dict[str, PhaseTimes],
        told(
            "by phase: see below. `other` is the time outside all phases. A phase defined by a plug-in has its own "
            "entry here and in PROFILE lines; in `rounds.parquet` it is part of `other`"
        ),
    ] = {}
    phase_coverage: Annotated[float | None, told("share of the loop's wall time inside named phases", "fraction")] = (
        None
    )


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What determines a run besides its scenario: with another basis, results may differ."""

    version: Annotated[str | None, told("version of the package", null="it was not installed")] = None
    rules: Annotated[
        str, told("SHA-256 of the sources that determine results: simulation, solvers, built-in tables")
    ] = ""
    inputs: Annotated[
        dict[str, str],
        told("SHA-256 of each file that was read, unpacked, by its key in the scenario; and of plug-ins' modules"),
    ] = {}


class Resumption(msgspec.Struct, frozen=True, kw_only=True):
    """That a run went on from a checkpoint."""

    round: Annotated[int, told("rounds completed before the checkpoint; anything after it was dropped", "rounds")]
    changed: Annotated[
        dict[str, tuple[str | None, str | None]],
        told("differences in processor, Python and packages, as `[before, after]`"),
    ] = {}


class RunJson(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    schema: Annotated[int, told("version of the format that this page describes")] = SCHEMA
    scenario: Annotated[dict[str, Any], told("the scenario, with all defaults filled in")]
    command: Annotated[list[str], told("the command line, a list of words")] = []
    environment: Annotated[
        dict[str, Any],
        told(
            "`commit` and `dirty` of the checkout (null if there is none, as with a wheel), `version` of the package, "
            "`python`, `platform`, `cpu`, `cores`, `threads` (limits that were set), `packages` (name to version)"
        ),
    ] = {}
    layout: Annotated[
        dict[str, Any],
        told(
            "the machines: `worker_types`, `nodes_per_type`, and `gpus_per_node` as pairs (consecutive nodes, "
            "GPUs of each); nodes are numbered across the types in this order"
        ),
    ] = {}
    basis: Annotated[
        Basis | None, told("what else determines the run: see below", null="an earlier version wrote the file")
    ] = None
    resumed: Annotated[list[Resumption], told("the points at which the run was [resumed](../howto/resume.md)")] = []
    workload: Annotated[
        dict[str, Any] | None,
        told(
            "for an imported trace: `format`, `source`, `rows_read`, `rows_kept`, `dropped` (rows by reason), `states` "
            "(those kept), `first_arrival_s` (subtracted from every time), and `assumptions`, one sentence each",
            null="jobs are generated, or of a Gavel trace",
            since=2,
        ),
    ] = None
    summary: Annotated[Summary, told("the results: see below")] = Summary()
    status: Annotated[Status, told("how the run ended: see below")]
