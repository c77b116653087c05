"""From records of what happened to the run directory: tables, lines, summary.

Rounds are gathered in fixed arrays and written in chunks, so that memory does not grow with the run. A chunk's end is
also a checkpoint: `run.json` then holds the summary so far, marked as interrupted until the run says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from phasewise.profiling.artefacts import line_fields
from phasewise.profiling.artefacts.lines import LineKind, encode
from phasewise.profiling.artefacts.run_json import RunJson, Status, Summary
from phasewise.profiling.artefacts.sinks import FileSink, Folder, Sink, TeeSink, write_atomically
from phasewise.profiling.environment import describe_environment, release_memory
from phasewise.profiling.errors import OutputError, ProfilingError
from phasewise.profiling.phases import PhaseProfile, PhaseTotals
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.recording import intervals, rounds
from phasewise.sched.recording.run_tables import NoTables, Origins, RunTables, Tables
from phasewise.sched.recording.summary import Totals
from phasewise.sched.round.outcome import NOTHING_PAID, AllocationRecord, JobRecord, News, RoundOutcome
from phasewise.sched.round.rules import MAX_FAILURES
from phasewise.sched.scenario.config import Scenario
from phasewise.sched.workload.arrivals import Arrival
from phasewise.solvers.api import RebuildReason
from phasewise.solvers.certify import GAP_LIMIT, LESSER_GAP_LIMIT

DROPPED: Final = f"failed in {MAX_FAILURES} rounds in a row"


class Recorder:
    """What the engine tells of a run, kept and written.

    Parameters
    ----------
    out
        The run directory, or None where only lines are wanted.
    lines
        Gets every line, besides `lines.log`.
    command
        The command line, for `run.json`.
    """

    def __init__(
        self, scenario: Scenario, layout: ClusterLayout, out: Path | None, lines: Sink, command: Sequence[str] = ()
    ) -> None:
        self.scenario = scenario
        self._worker_types = layout.worker_types
        self._log = rounds.RoundLog(layout.worker_types, layout.capacity, scenario.output.chunk_rounds)
        self._intervals = intervals.Intervals(layout)
        self._jobs: list[JobRecord] = []
        self._profile: PhaseProfile | None = None
        self._solver, self._iterations = scenario.solver.name, 0
        self._rebuild: RebuildReason | None = None
        self._busy_s = np.zeros(layout.gpus)
        self.totals = Totals(layout.gpus, scenario.stop.window)
        self.out = out
        self._lines = lines
        self._folder: Folder | None = None
        self._file: FileSink | None = None
        self._tables: Tables = NoTables()
        if out is not None:
            self._origin: dict[str, Any] = {
                "command": list(command),
                "environment": describe_environment(),
                "layout": layout.description(),
            }
            self._folder = Folder(out)
            self._file = FileSink(out / "lines.log")
            self._lines = TeeSink(self._file, lines)
            self._tables = RunTables(out, layout.worker_types)
            self._write_run("interrupted")
        self._event("run_start", scenario=msgspec.to_builtins(scenario))

    def imported(self, account: Mapping[str, Any], origins: Origins) -> None:
        """Note where the jobs came from: how their trace was read, and whose each is."""
        if self.out is not None:
            self._origin["workload"] = dict(account)
        self._tables.origins = origins

    # -- what is told of a run -----------------------------------------------------------------------------------

    def begun(self, news: News) -> None:
        """Note what a round began with; of a round that ends, `round` does so."""
        for job, reason in news.refused:
            self._refused(news, job, reason)
        for job in news.arrived:
            self._arrived(news.round_index, job)
        if news.last_arrival is not None:
            self.totals.last_arrival_s, self.totals.busy_until_last_arrival_s = news.last_arrival
        if news.allocation is not None:
            self._allocated(news.round_index, news.now_s, news.allocation)

    def _arrived(self, round_index: int, job: Arrival) -> None:
        """Note that a job was admitted."""
        self.totals.arrived(job.job_id, job.arrival_s, job.slo_s)
        self._event(
            "job_arrival",
            round=round_index,
            job_id=job.job_id,
            job_type=job.job_type,
            scale_factor=job.scale_factor,
            **_request(job),
            priority_weight=job.priority_weight,
            total_steps=job.total_steps,
            arrival_s=job.arrival_s,
            **({} if job.slo_s is None else {"slo_s": job.slo_s}),
        )

    def _refused(self, news: News, job: Arrival, reason: str) -> None:
        """Note that a job can never run here."""
        self.totals.arrived(job.job_id, job.arrival_s, job.slo_s)
        needs = job.needs
        record = JobRecord(
            job.job_id, job.job_type, job.arrival_s, job.scale_factor, job.priority_weight, job.total_steps,
            None, "refused", 0, 0, end_s=news.now_s,
            demand_milli=needs.demand_milli, cpu_milli=needs.cpu_milli, memory_mib=needs.memory_mib, slo_s=job.slo_s,
            cost=0.0 if self.scenario.cluster.gpu_hour_prices else None,
        )  # fmt: skip
        self.totals.over(record, reason)
        self._jobs.append(record)
        self._event("job_refused", round=news.round_index, job_id=job.job_id, job_type=job.job_type, reason=reason)

    def _allocated(self, round_index: int, now_s: float, record: AllocationRecord) -> None:
        """Note a call of the policy."""
        self.totals.allocated(record)
        for solution in record.solutions:
            for index, fallback in enumerate(solution.fallbacks):
                behind = solution.fallbacks[index + 1 :]
                self._event(
                    "solver_fallback",
                    round=round_index,
                    sim_time_s=now_s,
                    solver=fallback.backend,
                    reason=fallback.reason,
                    next=behind[0].backend if behind else solution.backend,
                )
            if solution.less_accurate:
                self._event(
                    "solver_less_accurate",
                    round=round_index,
                    sim_time_s=now_s,
                    solver=solution.backend,
                    gap=solution.gap,
                    allowed=GAP_LIMIT,
                    limit=LESSER_GAP_LIMIT,
                )
            self._solver, self._rebuild = solution.backend, solution.rebuild
            self._iterations += solution.iterations
        if record.given_up is not None:
            lists = {name: list(ids) for name, ids in record.given_up._asdict().items()}
            self._event("slos_given_up", round=round_index, sim_time_s=now_s, **lists)
        last = record.solutions[-1] if record.solutions else None
        self._event(
            "allocation",
            round=round_index,
            sim_time_s=now_s,
            jobs=record.jobs,
            solves=len(record.solutions),
            solver=None if last is None else last.backend,
            objective=None if last is None else last.objective,
            utilization=None if last is None else last.utilization,
        )

    def round(self, outcome: RoundOutcome) -> None:
        """Note a round, from what it began with to what it came to."""
        self.begun(outcome.news)
        self._complete_last_round()
        totals, log = self.totals, self._log
        totals.round(outcome)
        self._busy_s = outcome.busy_s
        for job in outcome.over:
            self._over(outcome.round_index, job)
        log.add(outcome, totals.jobs_completed)
        self._intervals.observe(outcome.round_index, outcome.holding, outcome.job_id, outcome.gpu_milli)
        active = len(outcome.job_id)
        self._event(
            "schedule_round",
            round=outcome.round_index,
            sim_time_s=outcome.start_s,
            end_s=outcome.end_s,
            running=outcome.running,
            moves=outcome.moves,
            lease_extensions=outcome.lease_extensions,
        )
        telemetry = {
            "round": outcome.round_index,
            "sim_time_s": outcome.start_s,
            "active": active,
            "running": outcome.running,
            "queued": active - outcome.running,
            "completed": totals.jobs_completed,
            "utilization": log.utilization,
            "utilization_by_type": dict(zip(self._worker_types, log.utilization_by_type, strict=True)),
        }
        use = outcome.use
        telemetry["unallocated_gpus"] = use.unallocated_gpus
        telemetry["pending_gpus"] = use.pending_gpus
        if use.fragmented_gpus is not None:
            telemetry |= {
                "fragmented_gpus": use.fragmented_gpus,
                "occupied_nodes": use.occupied_nodes,
                "unplaced": use.unplaced,
            }
        if outcome.migration is not NOTHING_PAID:
            telemetry["migrations"] = outcome.migration.starts
            telemetry["migration_s"] = outcome.migration.job_s
        line_fields.TELEMETRY.require(telemetry)
        self._lines.write(encode(LineKind.TELEMETRY, telemetry))

    def took(self, profile: PhaseProfile) -> None:
        """Note where the time of the last round went (or of work after it); written with the next round."""
        if self._profile is not None:
            self.totals.phases.add(profile)  # the call after the last round belongs to the run, not to a round
        else:
            self._profile = profile

    def flush(self) -> None:
        """Write what is held back: the rounds so far with their lines, and how far the run is."""
        self._complete_last_round()
        self._write_chunk()
        self._write_run("interrupted")
        if self._file is not None:
            self._file.flush()

    def leave(self, jobs: Sequence[JobRecord]) -> None:
        """Note the jobs that the end of the run leaves behind."""
        self._jobs.extend(jobs)
        for job in jobs:
            self.totals.spent(job)

    # -- writing -------------------------------------------------------------------------------------------------

    def _event(self, event: str, **fields: object) -> None:
        line_fields.EVENTS[event].require(fields)
        self._lines.write(encode(LineKind.EVENT, {"event": event, **fields}))

    def _over(self, round_index: int, job: JobRecord) -> None:
        self.totals.over(job, DROPPED)
        self._jobs.append(job)
        if job.completion_s is None:
            self._event("job_failed", round=round_index, job_id=job.job_id)
            return
        done_s, jct_s = job.completion_s, job.jct_s
        self._event("job_complete", round=round_index, job_id=job.job_id, completion_s=done_s, jct_s=jct_s)

    def _complete_last_round(self) -> None:
        """Give the last round its times, and write what is due: a PROFILE line, a chunk."""
        if self._profile is None:
            return
        self._log.time(self._profile)
        self._profile = None
        output = self.scenario.output
        if output.debug or self.totals.rounds % output.profile_every == 0:
            self._write_profile(self._log.since_last_line())
        if self._log.full:
            self._write_chunk()
            self._write_run("interrupted")
            release_memory()

    def _write_profile(self, profile: PhaseProfile, **extra: object) -> None:
        record = {
            "v": 1,
            "round": self.totals.rounds - 1,
            "sim_time_s": self.totals.now_s,
            "jobs": self.totals.active,
            "solver": self._solver,
            "rebuild": self._rebuild,
            "iterations": self._iterations,
            "total_s": profile.total_s,
            "phases_s": profile.phases_s,
            "phases_cpu_s": profile.phases_cpu_s,
            "other_s": profile.other_s,
            **extra,
        }
        self._iterations = 0
        line_fields.PROFILE.require(record)
        self._lines.write(encode(LineKind.PROFILE, record))

    @property
    def place(self) -> Path | None:
        """The run directory, None where nothing is written or somebody has taken it away."""
        return self.out if self._folder is not None and self._folder.stands else None

    def explained(self, error: Exception) -> str:
        """Return why the run failed: not by the first file that could not be written where its folder is gone."""
        try:
            if self._folder is not None:
                self._folder.require()
        except OutputError as gone:
            return str(gone)
        return str(error)

    def _write_chunk(self) -> None:
        if self._folder is not None:
            self._folder.require()
        columns, profile = self._log.take()
        self.totals.phases.add(profile)
        placements, jobs, self._jobs = self._intervals.take(), self._jobs, []
        self._tables.write(rounds=columns, placements=placements, jobs=jobs)

    def _write_run(self, status: Status) -> None:
        if self.out is None or self._folder is None:
            return
        run = RunJson(
            scenario=msgspec.to_builtins(self.scenario), **self._origin, summary=self._summary(), status=status
        )
        content = msgspec.json.format(msgspec.json.encode(run, enc_hook=_own), indent=1) + b"\n"
        self._folder.require()
        write_atomically(self.out / "run.json", content)

    def summary(self) -> dict[str, Any]:
        """Return the summary of the run so far."""
        return msgspec.json.decode(msgspec.json.encode(self._summary(), enc_hook=_own), type=dict[str, Any])

    def _summary(self) -> Summary:
        return self.totals.summary(self._busy_s)

    def finish(self, status: Status, reason: str) -> dict[str, Any]:
        """Write all that is left and return the summary."""
        if self._profile is None and self._log.untimed:
            self._profile = PhaseTotals().profile  # cut short after the round, before its times were known
        self._complete_last_round()
        self._intervals.close(self.totals.rounds)
        self._write_chunk()
        self._write_profile(self.totals.phases.profile, final=True)
        self._event("run_end", status=status, reason=reason, rounds=self.totals.rounds, sim_time_s=self.totals.now_s)
        if self._file is not None:
            self._file.close()  # the other sink belongs to the caller
        self._tables.close()
        self._write_run(status)
        return self.summary()

    def abandon(self, status: Status, reason: str) -> None:
        """Write what can still be written of a run that failed or was interrupted."""
        try:
            with suppress(ProfilingError):
                self.finish(status, reason)
        finally:
            with suppress(ProfilingError):
                self._write_run(status)  # a full disk may have kept the tables from being completed, not this


def _own(number: np.generic) -> object:
    """Return a number of NumPy's in Python's own, whoever counted with it."""
    return number.item()


def _request(job: Arrival) -> dict[str, object]:
    """Return what a job needs on its node, where that is more than whole GPUs."""
    if job.request is None:
        return {}
    needs = job.request
    return {
        "gpu_milli": needs.gpu_milli,
        "cpu_milli": needs.cpu_milli,
        "memory_mib": needs.memory_mib,
        "gpu_spec": needs.gpu_spec,
    }
