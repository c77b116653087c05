"""Totals of a run, kept as it goes, and the summary made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from phasewise.profiling.artefacts.run_json import Drift, LostGpuTime, PhaseTimes, Summary
from phasewise.profiling.environment import package_version, peak_rss_mib
from phasewise.profiling.phases import PhaseTotals
from phasewise.sched.recording.completed import Completed, figures
from phasewise.sched.recording.metrics import worker_utilization
from phasewise.sched.recording.owners import Served
from phasewise.sched.round.outcome import (
    NOTHING_PAID,
    USE,
    AllocationRecord,
    ClusterUse,
    JobRecord,
    News,
    RoundOutcome,
    use_figures,
)

Floats = npt.NDArray[np.float64]

UTILIZATION_SCOPE = (
    "mean over all GPUs of busy time over simulated time, from 0 to the end of the run: warm-up and drain-out included"
)


@dataclass(slots=True)
class Totals:
    """What a run came to so far. Memory grows by the rows of `completed`, nothing else.

    Attributes
    ----------
    gpus
        GPUs of the cluster.
    window
        Ids A <= id < B whose JCT counts; None counts all jobs that have arrived.
    active
        Jobs active in the last round.
    failed_example, refused_example
        The first job that was dropped, or refused, and why; None where there is none.
    done
        Jobs that count and are over.
    lp_rebuilds, lp_reuses
        Solves of problems with jobs for which a model was built, by reason, and those that reused one.
    less_accurate
        Answers that are proven within the certifier's lesser limit only, see `Solution.less_accurate`.
    fragmented_gpu_s, no_work_gpu_s
        GPU-seconds that nobody held: as many as the waiting jobs asked for at the time, and those beyond.
    first_arrival_s, latest_arrival_s, offered_gpu_s
        When the first and the latest job came, None before, and the least GPU-seconds that those after the first take.
    completed
        A row a completed job.
    users, vcs
        What the completed jobs of each user and of each virtual cluster got, as far as they are written.
    drift
        The part of arrivals that piles up, and the ends of its interval, as of the last round; empty where too few have
        come to say.
    use
        Sums over rounds of how the machines were used, by the names of `USE`.
    busy_gpu_s, round_end_gpu_s
        GPU-seconds in which jobs ran or moved, and those that they held besides, until the end of a round.
    migrations, migration_s, migration_gpu_s
        Starts at a cost, and the seconds and GPU-seconds they took in which no step was made; 0 where moving is free.
    teams, sharing_gain
        Teams of two, added up over rounds, None where the policy does not pack, and their gains, added up.
    cost
        What the GPU time costs that jobs held which are over, or that the run left behind; None without prices.
    promised, slo_misses
        Jobs that count and were promised a duration, and those of them that ended without completing within it.
    compile_s
        Wall seconds of compiling, before the loop and within it; in no other figure.
    peak_rss_mib
        The most memory that a process held which made an earlier part of the run.
    last_arrival_s, busy_until_last_arrival_s
        When the last job arrived (None while more may come), and the mean busy seconds of a GPU by then.
    """

    gpus: int
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
    done: int = 0
    moves: int = 0
    busy_gpu_s: float = 0.0
    round_end_gpu_s: float = 0.0
    fragmented_gpu_s: float = 0.0
    no_work_gpu_s: float = 0.0
    migrations: int = 0
    migration_s: float = 0.0
    migration_gpu_s: float = 0.0
    lease_extensions: int = 0
    lease_opportunities: int = 0
    teams: int | None = None
    sharing_gain: float = 0.0
    cost: float | None = None
    promised: int = 0
    slo_misses: int = 0
    compile_s: float = 0.0
    peak_rss_mib: float = 0.0
    last_arrival_s: float | None = None
    busy_until_last_arrival_s: float = 0.0
    first_arrival_s: float | None = None
    latest_arrival_s: float | None = None
    offered_gpu_s: float = 0.0
    drift: tuple[float, ...] = ()
    use: dict[str, float] = field(default_factory=dict)
    completed: Completed = field(default_factory=Completed)
    users: Served = field(default_factory=Served)
    vcs: Served = field(default_factory=Served)
    _present: dict[int, float] = field(default_factory=dict)  # jobs that count and are active: id -> arrival, seconds
    _due_s: dict[int, float] = field(default_factory=dict)  # of these with an SLO: id -> when it will have been missed

    def counts(self, job_id: int) -> bool:
        """Return whether a job counts: it is of the window, or there is none."""
        return self.window is None or self.window[0] <= job_id < self.window[1]

    def arrived(self, job_id: int, arrival_s: float, slo_s: float | None = None) -> None:
        """Count a job that came in."""
        self.jobs_arrived += 1
        if self.counts(job_id):
            self._present[job_id] = arrival_s
            if slo_s is not None:
                self.promised += 1
                self._due_s[job_id] = arrival_s + slo_s

    def offered(self, news: News) -> None:
        """Count what the jobs that came ask for; those of the first moment begin the time that the others are over."""
        if not news.arrived:
            return
        self.latest_arrival_s = news.arrived[-1].arrival_s
        if self.first_arrival_s is None:
            self.first_arrival_s = self.latest_arrival_s
        else:
            self.offered_gpu_s += news.offered_gpu_s

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
        if outcome.drift is not None:
            self.drift = tuple(outcome.drift)
        self._used(outcome.use)
        self._spent(outcome)
        if outcome.migration is not NOTHING_PAID:
            self.migrations += outcome.migration.starts
            self.migration_s += outcome.migration.job_s
            self.migration_gpu_s += outcome.migration.gpu_s
        if outcome.shared is not None:
            self.teams = (self.teams or 0) + outcome.shared.teams
            self.sharing_gain += outcome.shared.gain
        self.lease_extensions += outcome.lease_extensions
        self.lease_opportunities += outcome.lease_opportunities

    def _used(self, use: ClusterUse) -> None:
        """Add how the machines were used in a round to the sums over rounds."""
        sums = self.use
        for name, value in zip(USE, use_figures(use), strict=True):
            if value is not None:
                sums[name] = sums.get(name, 0.0) + value

    def _spent(self, outcome: RoundOutcome) -> None:
        """Add what became of the GPU time that jobs held in a round."""
        busy_gpu_s = sum(outcome.busy_gpu_s)
        round_s, idle, pending = outcome.end_s - outcome.start_s, outcome.use.unallocated_gpus, outcome.use.pending_gpus
        held_gpu_s = (self.gpus - idle) * round_s
        asked = min(idle, pending)
        self.fragmented_gpu_s += asked * round_s
        self.no_work_gpu_s += (idle - asked) * round_s
        self.busy_gpu_s += busy_gpu_s
        self.round_end_gpu_s += max(0.0, held_gpu_s - busy_gpu_s)  # sums of the same times, rounded otherwise

    def over(self, job: JobRecord, reason: str = "") -> None:
        """Count a job that completed, or was dropped or refused for a ``reason``."""
        if self.counts(job.job_id):
            self.done += 1
            self._present.pop(job.job_id, None)
            self._due_s.pop(job.job_id, None)
            self.slo_misses += job.missed
        self.spent(job)
        jct_s = job.jct_s
        if jct_s is None:
            example = f"job {job.job_id} ({job.job_type}) {reason}"
            if job.status == "refused":
                self.jobs_refused += 1
                self.refused_example = self.refused_example or example
            else:
                self.jobs_failed += 1
                self.failed_example = self.failed_example or example
            return
        self.jobs_completed += 1
        self.completed.add(job, jct_s)

    def owned(self, jobs: Sequence[JobRecord], origins: Mapping[str, Sequence[str | None]]) -> None:
        """Count whose the jobs are that completed, by the columns of jobs.parquet that tell it."""
        rho = [job.rho if job.completion_s is not None and self.counts(job.job_id) else None for job in jobs]
        for served, column in ((self.users, "user"), (self.vcs, "vc")):
            if column in origins:
                served.add(origins[column], rho)

    def spent(self, job: JobRecord) -> None:
        """Add what a job's GPU time costs, which is over or left behind."""
        if job.cost is not None:
            self.cost = (self.cost or 0.0) + job.cost

    def summary(self, busy_s: Floats) -> Summary:
        """Return the summary of `run.json`; ``busy_s`` (G,) is the busy time of every GPU."""
        drained = self.last_arrival_s
        use: dict[str, Any] = {
            f"{name}_mean": self.use[name] / self.rounds if name in self.use else None for name in USE
        }
        return Summary(
            **self._judged_by(),
            window=self.window,
            makespan_s=self.now_s,
            utilization=worker_utilization(busy_s, self.now_s),
            utilization_scope=UTILIZATION_SCOPE,
            utilization_until_last_arrival=self.busy_until_last_arrival_s / drained if drained else None,
            goodput=self._goodput,
            lost_gpu_s=LostGpuTime(
                migration=self.migration_gpu_s,
                round_end=self.round_end_gpu_s,
                fragmented=self.fragmented_gpu_s,
                no_work=self.no_work_gpu_s,
            ),
            offered_load=self._offered_load,
            drift=Drift(share=self.drift[0], low=self.drift[1], high=self.drift[2]) if self.drift else None,
            slo_misses=self._missed,
            cost=self.cost,
            rounds=self.rounds,
            allocations=self.allocations,
            lp_solves=self.lp_solves,
            lp_rebuilds=dict(sorted(self.lp_rebuilds.items())),
            lp_reuse_rate=self.lp_reuse_rate,
            solver_fallbacks=self.fallbacks,
            solver_less_accurate=self.less_accurate,
            jobs_arrived=self.jobs_arrived,
            jobs_completed=self.jobs_completed,
            jobs_failed=self.jobs_failed,
            jobs_failed_example=self.failed_example,
            jobs_refused=self.jobs_refused,
            jobs_refused_example=self.refused_example,
            sim_time_s=self.now_s,
            version=package_version(),
            moves=self.moves,
            **use,
            migrations=self.migrations,
            migration_s=self.migration_s,
            migration_gpu_s=self.migration_gpu_s,
            teams_mean=None if self.teams is None or not self.rounds else self.teams / self.rounds,
            sharing_gain=self.sharing_gain / self.teams if self.teams else None,
            lease_extensions=self.lease_extensions,
            lease_extension_opportunities=self.lease_opportunities,
            **self._cost(),
        )

    def _judged_by(self) -> dict[str, Any]:
        """Return the figures of the jobs that count, by name."""
        counting = self.completed.within(self.window)
        ages_s = [self.now_s - arrival_s for arrival_s in self._present.values()]
        at_least_s = np.concatenate([counting("jct_s"), ages_s])
        lower_bound_s = float(at_least_s.mean()) if at_least_s.size else None
        del at_least_s
        jobs = self.jobs_arrived if self.window is None else self.window[1] - self.window[0]
        censored = self.done < jobs
        return {
            "avg_jct_lower_bound_s": lower_bound_s,
            **figures(counting, censored=censored),
            "jain_users": self.users.jain(),
            "jain_vcs": self.vcs.jain(),
            "window_jobs": jobs,
            "window_done": self.done,
            "censored": censored,
        }

    @property
    def _offered_load(self) -> float | None:
        """Arriving work, each job on its best worker type, over the GPUs; None where all came at once."""
        first_s, last_s = self.first_arrival_s, self.latest_arrival_s
        if first_s is None or last_s is None or last_s <= first_s:
            return None
        return self.offered_gpu_s / (self.gpus * (last_s - first_s))

    @property
    def _missed(self) -> int | None:
        """Jobs that did not complete within their SLO, those that are late already among them; None without SLOs."""
        late = sum(due_s < self.now_s for due_s in self._due_s.values())
        return self.slo_misses + late if self.promised else None

    @property
    def _goodput(self) -> float | None:
        """Share of the GPU time held in which steps were made; None where none was held."""
        held_gpu_s = self.busy_gpu_s + self.round_end_gpu_s
        return (self.busy_gpu_s - self.migration_gpu_s) / held_gpu_s if held_gpu_s > 0.0 else None

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
            "peak_rss_mib": max(self.peak_rss_mib, peak_rss_mib()),
            "phases": {
                name: PhaseTimes(row["wall_s"], row["cpu_s"], int(row["calls"]), row["share"])
                for name, row in phases.phases().items()
            },
            "phase_coverage": phases.coverage,
        }
