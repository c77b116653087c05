"""Totals of a run, kept as it goes, and the summary made of them."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from phasewise.profiling.environment import package_version, peak_rss_mib
from phasewise.profiling.phases import PhaseTotals
from phasewise.sched.recording.metrics import in_window, jct_statistics, worker_utilization
from phasewise.sched.round.outcome import NOTHING_PAID, USE, AllocationRecord, ClusterUse, JobRecord, RoundOutcome

Floats = npt.NDArray[np.float64]

UTILIZATION_SCOPE = (
    "mean over all GPUs of busy time over simulated time, from 0 to the end of the run: warm-up and drain-out included"
)


@dataclass(slots=True)
class Totals:
    """What a run came to so far. Memory grows by 16 bytes a completed job, nothing else.

    Attributes
    ----------
    window
        Ids A <= id < B whose JCT counts; None counts all completed jobs.
    active
        Jobs active in the last round.
    failed_example, refused_example
        The first job that was dropped, or refused, and why; None where there is none.
    in_window
        Jobs of the window that are over.
    lp_rebuilds, lp_reuses
        Solves of problems with jobs for which a model was built, by reason, and those that reused one.
    less_accurate
        Answers that are proven within the certifier's lesser limit only, see `Solution.less_accurate`.
    use
        Sums over rounds of how the machines were used, by the names of `USE`.
    migrations, migration_s, migration_gpu_s
        Starts at a cost, and the seconds and GPU-seconds they took in which no step was made; 0 where moving is free.
    compile_s
        Wall seconds of compiling, before the loop and within it; in no other figure.
    last_arrival_s, busy_until_last_arrival_s
        When the last job arrived (None while more may come), and the mean busy seconds of a GPU by then.
    """

    window: tuple[int, int] | None = None
    phases: PhaseTotals = field(default_factory=PhaseTotals)
    rounds: int = 0
    active: int = 0
    now_s: float = 0.0
    allocations: int = 0
    lp_solves: int = 0
    lp_rebuilds: Counter[str] = field(default_factory=Counter)
    lp_reuses: int = 0
    fallbacks: int = 0
    less_accurate: int = 0
    jobs_arrived: int = 0
    jobs_completed: int = 0
    jobs_failed: int = 0
    failed_example: str | None = None
    jobs_refused: int = 0
    refused_example: str | None = None
    in_window: int = 0
    moves: int = 0
    migrations: int = 0
    migration_s: float = 0.0
    migration_gpu_s: float = 0.0
    lease_extensions: int = 0
    lease_opportunities: int = 0
    compile_s: float = 0.0
    last_arrival_s: float | None = None
    busy_until_last_arrival_s: float = 0.0
    use: dict[str, float] = field(default_factory=dict)
    _completed_id: array[int] = field(default_factory=lambda: array("q"))
    _completed_jct_s: array[float] = field(default_factory=lambda: array("d"))

    def allocated(self, record: AllocationRecord) -> None:
        """Count one call of the policy."""
        self.allocations += 1
        self.lp_solves += len(record.solutions)
        for solution in record.solutions:
            self.fallbacks += len(solution.fallbacks)
            self.less_accurate += solution.less_accurate
            if solution.rebuild is not None:
                self.lp_rebuilds[solution.rebuild.value] += 1
            elif solution.x.size:  # no model is needed where there is nobody to share with
                self.lp_reuses += 1

    def round(self, outcome: RoundOutcome) -> None:
        """Count one round."""
        self.rounds += 1
        self.active = len(outcome.job_id)
        self.now_s = outcome.end_s
        self.moves += outcome.moves
        self._used(outcome.use)
        if outcome.migration is not NOTHING_PAID:
            self.migrations += outcome.migration.starts
            self.migration_s += outcome.migration.job_s
            self.migration_gpu_s += outcome.migration.gpu_s
        self.lease_extensions += outcome.lease_extensions
        self.lease_opportunities += outcome.lease_opportunities

    def _used(self, use: ClusterUse) -> None:
        """Add how the machines were used in a round to the sums over rounds."""
        sums = self.use
        for name in USE:
            value = getattr(use, name)
            if value is not None:
                sums[name] = sums.get(name, 0.0) + value

    def over(self, job: JobRecord, reason: str = "") -> None:
        """Count a job that completed, or was dropped or refused for a ``reason``."""
        if self.window is not None and self.window[0] <= job.job_id < self.window[1]:
            self.in_window += 1
        if job.completion_s is None:
            example = f"job {job.job_id} ({job.job_type}) {reason}"
            if job.status == "refused":
                self.jobs_refused += 1
                self.refused_example = self.refused_example or example
            else:
                self.jobs_failed += 1
                self.failed_example = self.failed_example or example
            return
        self.jobs_completed += 1
        self._completed_id.append(job.job_id)
        self._completed_jct_s.append(job.completion_s - job.arrival_s)

    def summary(self, busy_s: Floats) -> dict[str, Any]:
        """Return the summary of `run.json`; ``busy_s`` (G,) is the busy time of every GPU."""
        window = self.window
        ids = np.array(self._completed_id, np.int64)
        order = np.argsort(ids)
        counts = in_window(ids[order], window)
        jct = jct_statistics(np.array(self._completed_jct_s)[order][counts])
        drained = self.last_arrival_s
        return {
            "avg_jct_s": jct.avg_s,
            "jct_s_p50": jct.p50_s,
            "jct_s_p95": jct.p95_s,
            "jct_jobs": jct.completed,
            "makespan_s": self.now_s,
            "utilization": worker_utilization(busy_s, self.now_s),
            "utilization_scope": UTILIZATION_SCOPE,
            "utilization_until_last_arrival": self.busy_until_last_arrival_s / drained if drained else None,
            "rounds": self.rounds,
            "allocations": self.allocations,
            "lp_solves": self.lp_solves,
            "lp_rebuilds": dict(sorted(self.lp_rebuilds.items())),
            "lp_reuse_rate": self.lp_reuse_rate,
            "solver_fallbacks": self.fallbacks,
            "solver_less_accurate": self.less_accurate,
            "jobs_arrived": self.jobs_arrived,
            "jobs_completed": self.jobs_completed,
            "jobs_failed": self.jobs_failed,
            "jobs_failed_example": self.failed_example,
            "jobs_refused": self.jobs_refused,
            "jobs_refused_example": self.refused_example,
            "window": None if window is None else list(window),
            "sim_time_s": self.now_s,
            "version": package_version(),
            "moves": self.moves,
            **{f"{name}_mean": self.use[name] / self.rounds if name in self.use else None for name in USE},
            "migrations": self.migrations,
            "migration_s": self.migration_s,
            "migration_gpu_s": self.migration_gpu_s,
            "lease_extensions": self.lease_extensions,
            "lease_extension_opportunities": self.lease_opportunities,
            **self._cost(),
        }

    @property
    def lp_reuse_rate(self) -> float | None:
        """Share of the solves that reused what the last one left, 0 to 1; None where nothing was solved."""
        solves = self.lp_reuses + self.lp_rebuilds.total()
        return self.lp_reuses / solves if solves else None

    def _cost(self) -> dict[str, Any]:
        """Return what the loop cost on this machine."""
        phases = self.phases
        cpu_s = phases.cpu_s
        return {
            "wall_s": phases.wall_s,
            "cpu_s": cpu_s,
            "rounds_per_cpu_s": self.rounds / cpu_s if cpu_s > 0.0 else None,
            "compile_s": self.compile_s,
            "peak_rss_mib": peak_rss_mib(),
            "phases": phases.phases(),
            "phase_coverage": phases.coverage,
        }
