"""`philly`: the job log of Microsoft's Philly clusters (ATC'19): ``cluster_job_log``, a JSON list of jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, NamedTuple

from phasewise.sched.errors import TraceError
from phasewise.sched.workload.importing.record import Dropped, Notes, Record, Row, Wrong
from phasewise.sched.workload.importing.registry import register_format
from phasewise.sched.workload.importing.source import Head, Source
from phasewise.sched.workload.importing.times import TimesOfFile, between

_KEYS: Final = frozenset({"status", "vc", "jobid", "attempts", "submitted_time", "user"})


class Attempt(NamedTuple):
    """One try of a job: how long it ran, None where that is not known, and on how many GPUs."""

    duration_s: float | None
    gpus: int


@register_format
class Philly:
    """Job log of Microsoft's Philly clusters (JSON list)."""

    name: ClassVar[str] = "philly"
    assumes: ClassVar[tuple[str, ...]] = (
        "the arrival is submitted_time; a job runs as long as all of its attempts together that have a start and an "
        "end, on the GPUs of the longest",
        "no GPU type is recorded: a duration counts as taken on the reference type",
    )
    columns: ClassVar[tuple[str, ...]] = tuple(sorted(_KEYS))

    def __init__(self, columns: Mapping[str, str], notes: Notes) -> None:
        if columns:
            raise TraceError("trace format philly has a key for everything; --map is for csv and swf")
        self.notes = notes
        self._times = TimesOfFile("", notes)
        self._line = 0

    @staticmethod
    def sniff(head: Head) -> bool:
        """Return whether it is a list of objects with jobs' keys."""
        content = head.content.lstrip()
        return content.startswith(b"[") and b'"jobid"' in content and b'"attempts"' in content

    def rows(self, source: Source) -> Iterator[Row]:
        """Yield every job of the file, in its order."""
        self._times = TimesOfFile(source.path, self.notes)
        for line, job in source.items():
            self._line = line
            try:
                yield line, self.record(job)
            except ValueError as error:
                yield line, Wrong(str(error))

    def record(self, job: Any) -> Record | Dropped:
        """Return what an object says; raise ValueError where it cannot be read."""
        if not isinstance(job, dict) or not isinstance(job.get("attempts"), list):
            keys = ", ".join(sorted(_KEYS))
            raise ValueError(f"the job is not an object with a list of attempts; allowed: {keys}")  # noqa: TRY004
        if others := job.keys() - _KEYS:
            self.notes.add(f"keys that are not read: {', '.join(sorted(others)[:8])}")
        submit_s = self._time("submitted_time", job.get("submitted_time"))
        if submit_s is None:
            return Dropped("no submission time")
        attempts = [self._attempt(each) for each in job["attempts"]]
        if not attempts:
            return Dropped("no attempt: it never ran")
        ran = [each for each in attempts if each.duration_s is not None and each.duration_s >= 0.0]
        if not ran:
            return Dropped("no attempt with a start and an end after it")
        if len(ran) < len(attempts):
            self.notes.add("jobs with attempts that lack a start or an end, which are left out")
        if len({each.gpus for each in ran}) > 1:
            self.notes.add("jobs whose attempts differ in their GPUs")
        longest = max(ran, key=lambda each: each.duration_s or 0.0)
        return Record(
            submit_s,
            sum(each.duration_s or 0.0 for each in ran),
            longest.gpus,
            user=_word(job, "user"),
            vc=_word(job, "vc"),
            state=_word(job, "status"),
            source_id=_word(job, "jobid"),
        )

    def _attempt(self, attempt: Any) -> Attempt:
        if not isinstance(attempt, dict):
            raise ValueError("an attempt is not an object; allowed: start_time, end_time, detail")  # noqa: TRY004
        start_s = self._time("start_time", attempt.get("start_time"))
        end_s = self._time("end_time", attempt.get("end_time"))
        machines = attempt.get("detail") or []
        try:
            held = [(str(machine.get("ip", "")), [str(gpu) for gpu in machine["gpus"]]) for machine in machines]
        except (TypeError, KeyError, AttributeError):
            raise ValueError("detail of an attempt is not a list of machines with gpus") from None
        for name, gpus in held:
            if name:
                self.notes.held(name, gpus)
        return Attempt(between(start_s, end_s), sum(len(gpus) for _, gpus in held))

    def _time(self, key: str, text: object) -> float | None:
        return self._times.seconds(key, text, self._line)


def _word(job: Mapping[str, Any], key: str) -> str | None:
    value = job.get(key)
    return None if value in {None, "", "None"} else str(value)
