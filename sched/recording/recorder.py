"""From records of what happened to the run directory: tables, lines, summary.

Rounds are recorded some at a time, gathered in fixed arrays, and written in chunks, so that memory does not grow with
the run. A chunk is written with `run.json`, which holds the summary so far, marked as interrupted until the run says
otherwise. At a barrier all that is kept here is written down, too, so that a run can go on from there.
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
from phasewise.profiling.artefacts.run_json import Status, Summary
from phasewise.profiling.artefacts.sinks import NullSink, Sink
from phasewise.profiling.environment import peak_rss_mib, release_memory
from phasewise.profiling.errors import OutputError, ProfilingError
from phasewise.profiling.phases import PhaseProfile, PhaseTotals
from phasewise.sched.api import Leaf
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.recording import intervals, kept, rounds, thinning, told
from phasewise.sched.recording.checkpoint import Checkpoint
from phasewise.sched.recording.run_files import OVER, RunFiles, origin, own_number
from phasewise.sched.recording.run_tables import Origins, nobodys
from phasewise.sched.recording.summary import Totals
from phasewise.sched.recording.waiting import WaitingRounds
from phasewise.sched.round.outcome import AllocationRecord, JobRecord, News, RoundOutcome
from phasewise.sched.round.rules import MAX_FAILURES
from phasewise.sched.scenario.config import Output, Scenario
from phasewise.sched.workload.arrivals import Arrival
from phasewise.solvers.api import RebuildReason

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
    begun
        Where the run in ``out`` stood, to go on from there; None begins it.
    """

    def __init__(
        self,
        scenario: Scenario,
        layout: ClusterLayout,
        out: Path | None,
        lines: Sink,
        command: Sequence[str] = (),
        begun: Checkpoint | None = None,
    ) -> None:
        self.scenario = scenario
        self._worker_types = layout.worker_types
        output = scenario.output
        self._log = rounds.RoundLog(layout.worker_types, layout.capacity, _whole_rows(output))
        self._intervals = intervals.Intervals(layout)
        self._jobs: list[JobRecord] = []
        self._profile: PhaseProfile | None = None
        self._solver, self._iterations = scenario.solver.name, 0
        self._rebuild: RebuildReason | None = None
        self._busy_s = np.zeros(layout.gpus)
        self._totals = Totals(layout.gpus, scenario.stop.window)
        self._waiting = WaitingRounds(_whole_rows(output))
        self._left: Sequence[JobRecord] | None = None
        self.out = out
        self._lines = lines
        self._is_heard = (out is not None and output.lines == "all") or not isinstance(lines, NullSink)
        self._files: RunFiles | None = None
        self._origins: Origins = nobodys
        start = {"scenario": msgspec.to_builtins(scenario)}
        if out is not None:
            self._files = RunFiles(out, layout.worker_types, origin(scenario, layout, command, begun), output)
        if self._files is not None and begun is not None:
            self._refill(begun.recorder)
            self._write_run("interrupted")  # before a row is cut off: a kill in between leaves a run to be resumed
            self._files.go_on(begun.marks, self._encoded("run_start", start))
            return
        if self._files is not None:
            self._files.begin()
            self._write_run("interrupted")
        self._event("run_start", start)

    @property
    def totals(self) -> Totals:
        """What the run came to so far."""
        self._note_waiting()
        return self._totals

    def imported(self, account: Mapping[str, Any]) -> None:
        """Note how the trace of the jobs was read."""
        if self._files is not None:
            self._files.imported(account)

    def owned(self, origins: Origins) -> None:
        """Note what tells whose each job is."""
        self._origins = origins

    # -- what is told of a run -----------------------------------------------------------------------------------

    def begun(self, news: News) -> None:
        """Note what a round began with; of a round that ends, `round` does so."""
        self._note_waiting()
        self._begun(news)

    def _begun(self, news: News) -> None:
        for job, reason in news.refused:
            self._refused(news, job, reason)
        for job in news.arrived:
            self._arrived(news.round_index, job)
        self._totals.offered(news)
        if news.last_arrival is not None:
            self._totals.last_arrival_s, self._totals.busy_until_last_arrival_s = news.last_arrival
        if news.allocation is not None:
            self._allocated(news.round_index, news.now_s, news.allocation)

    def _arrived(self, round_index: int, job: Arrival) -> None:
        """Note that a job was admitted."""
        self._totals.arrived(job.job_id, job.arrival_s, job.slo_s)
        self._event("job_arrival", told.arrival(round_index, job))

    def _refused(self, news: News, job: Arrival, reason: str) -> None:
        """Note that a job can never run here."""
        self._totals.arrived(job.job_id, job.arrival_s, job.slo_s)
        needs = job.needs
        record = JobRecord(
            job.job_id, job.job_type, job.arrival_s, job.scale_factor, job.priority_weight, job.total_steps,
            None, "refused", 0, 0, end_s=news.now_s,
            demand_milli=needs.demand_milli, cpu_milli=needs.cpu_milli, memory_mib=needs.memory_mib, slo_s=job.slo_s,
            cost=0.0 if self.scenario.cluster.gpu_hour_prices else None,
        )  # fmt: skip
        self._totals.over(record, reason)
        self._jobs.append(record)
        refused = {"round": news.round_index, "job_id": job.job_id, "job_type": job.job_type, "reason": reason}
        self._event("job_refused", refused)

    def _allocated(self, round_index: int, now_s: float, record: AllocationRecord) -> None:
        """Note a call of the policy."""
        self._totals.allocated(record)
        for solution in record.solutions:
            self._solver, self._rebuild = solution.backend, solution.rebuild
            self._iterations += solution.iterations
        for event, fields in told.allocation(round_index, now_s, record):
            self._event(event, fields)

    def round(self, outcome: RoundOutcome) -> None:
        """Note a round, from what it began with to what it came to."""
        if self._waiting.add(outcome):
            self._note_waiting()

    def took(self, profile: PhaseProfile) -> None:
        """Note where the time of the last round went (or of work after it); written with the next round."""
        if not self._waiting.took(profile):
            self._took(profile)

    def _note_waiting(self) -> None:
        for outcome, profile in self._waiting.taken():
            try:
                self._round(outcome)
            finally:
                if profile is not None:
                    self._took(profile)

    def _round(self, outcome: RoundOutcome) -> None:
        self._begun(outcome.news)
        self._complete_last_round()
        totals, log = self._totals, self._log
        totals.round(outcome)
        self._busy_s = outcome.busy_s
        for job in outcome.over:
            self._over(outcome.round_index, job)
        log.add(outcome, totals.jobs_completed)
        if self.scenario.output.placements:
            self._intervals.observe(
                outcome.round_index,
                outcome.holding,
                outcome.job_id,
                outcome.gpu_milli,
                shares_change=outcome.shared is not None,
                all_stay=outcome.lease_extensions == outcome.running,
            )
        if not self._is_heard:
            return
        self._event("schedule_round", told.round_run(outcome))
        telemetry = told.telemetry(outcome, log, self._worker_types, totals.jobs_completed)
        line_fields.TELEMETRY.require(telemetry)
        self._write(encode(LineKind.TELEMETRY, telemetry))

    def _took(self, profile: PhaseProfile) -> None:
        if self._profile is not None or not self._log.untimed:
            self._totals.phases.add(profile)  # of the call after the last round, or of a round that is not in the log
        else:
            self._profile = profile

    def barrier(self, round_index: int, state: Mapping[str, Leaf]) -> None:
        """Write what is held back, how far the run is, and a checkpoint: this ``state``, and what is kept here."""
        self._note_waiting()
        self._complete_last_round()
        if self._log.holds or self._jobs:  # else the chunk has just been written
            self._write_chunk()
            self._write_run("interrupted")
        if self._files is not None:
            self._files.checkpoint(round_index, state, self._kept())

    def leave(self, jobs: Sequence[JobRecord]) -> None:
        """Note the jobs that the end of the run leaves behind, once; writes nothing."""
        if self._left is None:
            self._left = jobs

    # -- writing -------------------------------------------------------------------------------------------------

    def _event(self, event: str, fields: Mapping[str, object]) -> None:
        if self._is_heard:
            self._write(self._encoded(event, fields))

    def _encoded(self, event: str, fields: Mapping[str, object]) -> bytes:
        line_fields.EVENTS[event].require(fields)
        return encode(LineKind.EVENT, {"event": event, **fields})

    def _write(self, line: bytes) -> None:
        if self._files is not None:
            self._files.line(line)
        self._lines.write(line)

    def _over(self, round_index: int, job: JobRecord) -> None:
        self._totals.over(job, DROPPED)
        self._jobs.append(job)
        if job.completion_s is None:
            self._event("job_failed", {"round": round_index, "job_id": job.job_id})
            return
        ended = {"round": round_index, "job_id": job.job_id, "completion_s": job.completion_s, "jct_s": job.jct_s}
        self._event("job_complete", ended)

    def _complete_last_round(self) -> None:
        """Give the last round its times, and write what is due: a PROFILE line, a chunk."""
        if self._profile is None:
            return
        self._log.time(self._profile)
        self._profile = None
        output = self.scenario.output
        try:
            if output.debug or self._totals.rounds % output.profile_every == 0:
                self._write_profile(self._log.since_last_line())
        finally:  # also where the line cannot be written: further rounds may wait, and need the room
            if self._log.full:
                self._write_chunk()
                self._write_run("interrupted")
                release_memory()

    def _write_profile(self, profile: PhaseProfile, **extra: object) -> None:
        record = {
            "v": 1,
            "round": self._totals.rounds - 1,
            "sim_time_s": self._totals.now_s,
            "jobs": self._totals.active,
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
        self._write(encode(LineKind.PROFILE, record))

    @property
    def place(self) -> Path | None:
        """The run directory, None where nothing is written or somebody has taken it away."""
        return self.out if self._files is not None and self._files.stands else None

    def explained(self, error: Exception) -> str:
        """Return why the run failed: not by the first file that could not be written where its folder is gone."""
        try:
            if self._files is not None:
                self._files.require()
        except OutputError as gone:
            return str(gone)
        return str(error)

    def _write_chunk(self) -> None:
        columns, profile = self._log.take()
        self._totals.phases.add(profile)
        placements, jobs, self._jobs = self._intervals.take(), self._jobs, []
        weights = [job.priority_weight for job in jobs]
        origins = self._origins([job.job_id for job in jobs], weights) if jobs else {}
        self._totals.owned(jobs, origins)
        if self._files is not None:
            rows = thinning.thinned(columns, self.scenario.output.rounds_every)
            self._files.chunk(rounds=rows, placements=placements, jobs=jobs, origins=origins)

    def _write_run(self, status: Status) -> None:
        if self._files is not None:
            self._files.run({"summary": self._summary(), "status": status})

    # -- going on from a checkpoint ------------------------------------------------------------------------------

    def _kept(self) -> kept.Leaves:
        """Return what has to be known to go on behind a chunk, by name."""
        self._totals.peak_rss_mib = max(self._totals.peak_rss_mib, peak_rss_mib())
        return {name: leaf for part, value in self._keeping().items() for name, leaf in kept.leaves_of(part, value)}

    def _refill(self, leaves: Mapping[str, Leaf]) -> None:
        """Become what was kept."""
        left = dict(leaves)
        found = {part: kept.refilled(part, value, left) for part, value in self._keeping().items()}
        self._totals, self._busy_s, self._solver, self._iterations, self._rebuild = (
            found[part] for part in ("totals", "busy_s", "solver", "iterations", "rebuild")
        )
        self._intervals.held = found["held"]
        self._log.refill(found["log"])

    def _keeping(self) -> dict[str, Any]:
        return {
            "totals": self._totals,
            "busy_s": self._busy_s,
            "solver": self._solver,
            "iterations": self._iterations,
            "rebuild": self._rebuild,
            "held": self._intervals.held,
            "log": self._log.kept(),
        }

    # -- the end -------------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """Return the summary of the run so far."""
        self._note_waiting()
        return msgspec.json.decode(msgspec.json.encode(self._summary(), enc_hook=own_number), type=dict[str, Any])

    def _summary(self) -> Summary:
        return self._totals.summary(self._busy_s)

    def finish(self, status: Status, reason: str) -> dict[str, Any]:
        """Write all that is left and return the summary."""
        self._note_waiting()
        for job in self._left or ():
            self._totals.spent(job)
            self._jobs.append(job)
        self._left = ()
        if self._profile is None and self._log.untimed:
            self._profile = PhaseTotals().profile  # cut short after the round, before its times were known
        self._complete_last_round()
        self._intervals.close(self._totals.rounds)
        self._write_chunk()
        self._write_profile(self._totals.phases.profile, final=True)
        ended = {"rounds": self._totals.rounds, "sim_time_s": self._totals.now_s}
        self._event("run_end", {"status": status, "reason": reason, **ended})
        if self._files is not None:
            self._files.close()  # the other sink belongs to the caller
        self._write_run(status)
        if self._files is not None and status in OVER:
            self._files.complete()
        return self.summary()

    def abandon(self, status: Status, reason: str) -> None:
        """Write what can still be written of a run that failed or was interrupted."""
        try:
            while self._waiting:  # what cannot be written of a round is lost, but not the rounds behind it
                with suppress(ProfilingError):
                    self._note_waiting()
            with suppress(ProfilingError):
                self.finish(status, reason)
        finally:
            with suppress(ProfilingError):
                if self._files is not None:
                    self._files.close()
            with suppress(ProfilingError):
                self._write_run(status)  # a full disk may have kept the tables from being completed, not this


def _whole_rows(output: Output) -> int:
    """Return the rounds of a chunk: so many that no row of the table is split between two chunks."""
    return -(-output.chunk_rounds // output.rounds_every) * output.rounds_every
