"""Points in time as traces write them, as seconds: one zone a file, and none is made up."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from phasewise.profiling.names import quoted
from phasewise.sched.errors import TraceError
from phasewise.sched.workload.importing.record import Notes

NOTHING: Final = frozenset({"", "none", "null", "unknown", "nan", "n/a", "-", "nat"})
"""What stands for "no time" in one trace or another, in lower case."""

LOCAL: Final = (
    "times are local and name no zone: they are taken as they stand, so a change of daylight-saving time is a gap"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH: Final = datetime(1970, 1, 1)
_ABBREVIATED: Final = re.compile(r" (PST|PDT|UTC|GMT)$")
_ABBREVIATIONS: Final = {"PST": "-08:00", "PDT": "-07:00", "UTC": "+00:00", "GMT": "+00:00"}


class TimesOfFile:
    """Reads times; remembers the zone of the first one, which all others must have.

    Parameters
    ----------
    where
        The file, for messages.
    """

    def __init__(self, where: object, notes: Notes) -> None:
        self._where, self._notes = where, notes
        self._zone: timedelta | None = None
        self._first = ""
        self._line = 0

    def seconds(self, field: str, text: object, line: int) -> float | None:
        """Return a point in time as seconds since 1970, None where the trace has none.

        Raises
        ------
        ValueError
            Where the text is no time.
        TraceError
            Where its zone is not that of the times before it.
        """
        written = "" if text is None else str(text).strip()
        if written.lower() in NOTHING:
            return None
        if (named := _ABBREVIATED.search(written)) is not None:
            written = written[: named.start()] + _ABBREVIATIONS[named[1]]
        try:
            point = datetime.fromisoformat(written)
        except ValueError:
            raise ValueError(
                f"{field} is {quoted(str(text))}; allowed: a time as 2020-06-09 18:41:01, or nothing"
            ) from None
        zone = point.utcoffset()
        if not self._first:
            self._zone, self._first, self._line = zone, written, line
            if zone is None:
                self._notes.add(LOCAL, 0)
        elif zone != self._zone:
            raise TraceError(
                f"{self._where}:{line}: {field} is {quoted(written)}, and line {self._line} has {quoted(self._first)}: "
                "times of several zones in one file; allowed: one zone, or none, in all of it (convert them)"
            )
        if zone is None:
            return (point - _NAIVE_EPOCH).total_seconds()
        return (point - _EPOCH).total_seconds()


def between(start_s: float | None, end_s: float | None) -> float | None:
    """Return the seconds from a start to an end, None where one of them is not known."""
    return None if start_s is None or end_s is None else end_s - start_s
