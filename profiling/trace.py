"""Phase records by round -> Chrome trace events, which Perfetto and speedscope open.

A round is one event, its phases are events inside it. Phase times are exclusive, and a record says how long each phase
took, not when: phases are drawn one after the other in their order, and what is left at the end of a round is the time
outside all phases. (So ``lp_build`` and ``lp_solve`` stand after ``policy``, although they ran inside it.)
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import msgspec

from phasewise.profiling.artefacts.sinks import beside
from phasewise.profiling.errors import RecordError, cannot_write
from phasewise.profiling.phases import NANOSECONDS, PHASES, Phase

COMPRESSION = 4  # a trace is repetitive: higher levels take twice the time for a few per cent
FLUSH_ROUNDS = 256  # gathered before they are compressed: a quarter of a MiB of text


class RoundRecord(NamedTuple):
    """Where the time of one round went.

    Attributes
    ----------
    round
        Index of the round.
    start_s
        Wall time at which it started, seconds since the start of the run.
    total_s
        Wall time that it took, seconds.
    phases_s
        Exclusive wall seconds of each phase, in the order given to the writer.
    counters
        Figures drawn as curves below the phases, such as ``{"active": 43}``.
    solved
        Whether an allocation was solved for in this round. Arrows then lead from the solve to the placing of every
        round that goes by it, up to the next solve.
    """

    round: int
    start_s: float
    total_s: float
    phases_s: Sequence[float]
    counters: Mapping[str, float] = {}
    solved: bool = False


class TraceSink:
    """Writes a trace as the rounds go by, in constant memory; the file appears, whole, when the sink is closed.

    Parameters
    ----------
    path
        The file, ``trace.json.gz``.
    phases
        Names of the phases, in the order of every record's ``phases_s``.
    process
        What the trace calls the run.

    Raises
    ------
    OutputError
        Here and in every method, where the file cannot be written; nothing is left behind.
    """

    def __init__(self, path: Path | str, phases: Sequence[str] = PHASES, process: str = "phasewise") -> None:
        self.path = Path(path)
        self._temporary = beside(self.path)
        self._end_ns = 0  # of the last round
        self._solves = 0  # so far: an arrow's name
        self._solve, self._use = (_place(phases, each) for each in (Phase.LP_SOLVE, Phase.WORKER_ASSIGNMENT))
        # Names are encoded once: a round then is a matter of filling in numbers.
        self._heads = [f',\n{{"name":{_json(name)},"cat":"phase","ph":"X","pid":1,"tid":1,' for name in phases]
        self._pieces = [
            '{"displayTimeUnit":"ms","traceEvents":[\n'
            f'{{"name":"process_name","ph":"M","pid":1,"tid":1,"args":{{"name":{_json(process)}}}}},\n'
            '{"name":"thread_name","ph":"M","pid":1,"tid":1,"args":{"name":"rounds"}}'
        ]
        try:
            self._file = self._temporary.open("wb")
        except OSError as error:
            raise cannot_write(self.path, error) from error
        # No file name and no time in the header: equal rounds give equal bytes.
        self._gzip = gzip.GzipFile("", "wb", COMPRESSION, self._file, mtime=0)

    def write(self, record: RoundRecord) -> None:
        """Add one round: an event for it, one for each phase that took time, one for each counter, and arrows.

        Raises
        ------
        RecordError
            Where the record has another number of phases than the writer.
        """
        index, start_s, total_s, phases_s, counters, solved = record
        if len(phases_s) != len(self._heads):
            raise RecordError(f"{self.path}: round {index} has {len(phases_s)} phases, not {len(self._heads)}")
        # Whole nanoseconds: were an event to end a rounding error after the one around it, viewers would not nest them.
        start = max(round(start_s * NANOSECONDS), self._end_ns)
        durations = [round(seconds * NANOSECONDS) for seconds in phases_s]
        total = max(round(total_s * NANOSECONDS), sum(durations))
        head = f',\n{{"name":"round {index}","cat":"round","ph":"X","pid":1,"tid":1,'
        piece = [f'{head}"ts":{start / 1000:.3f},"dur":{total / 1000:.3f}}}']
        starts = [start, *(start + until for until in accumulate(durations))]
        for head, begins, duration in zip(self._heads, starts, durations, strict=False):  # one start more: the end
            if duration:
                piece.append(f'{head}"ts":{begins / 1000:.3f},"dur":{duration / 1000:.3f}}}')
        piece.extend(self._arrows(starts, durations, solved=solved))
        for name, value in counters.items():
            head = f',\n{{"name":{_json(name)},"ph":"C","pid":1,'
            piece.append(f'{head}"ts":{start / 1000:.3f},"args":{{"value":{_json(value)}}}}}')
        self._end_ns = start + total
        self._pieces.append("".join(piece))
        if len(self._pieces) >= FLUSH_ROUNDS:
            self._flush()

    def _arrows(self, starts: Sequence[int], durations: Sequence[int], *, solved: bool) -> Iterator[str]:
        """Yield the start of an arrow in the solve, and a step of the one in force in the placing."""
        head = ',\n{"name":"allocation","cat":"allocation","pid":1,"tid":1,'
        if solved and self._solve is not None and durations[self._solve]:
            self._solves += 1
            yield f'{head}"ph":"s","id":{self._solves},"ts":{starts[self._solve] / 1000:.3f}}}'
        if self._solves and self._use is not None and durations[self._use]:
            yield f'{head}"ph":"t","id":{self._solves},"ts":{starts[self._use] / 1000:.3f}}}'

    def close(self) -> None:
        """Finish the file and put it in its place; closing twice does no harm."""
        if self._file.closed:
            return
        self._pieces.append("\n]}\n")
        self._flush()
        try:
            self._gzip.close()
            self._file.close()
            self._temporary.replace(self.path)
        except OSError as error:
            self.abandon()
            raise cannot_write(self.path, error) from error

    def abandon(self) -> None:
        """Leave nothing behind; does nothing where the file is in its place."""
        for close in (self._gzip.close, self._file.close):
            with suppress(OSError, ValueError):  # what cannot be written any more is not wanted any more
                close()
        with suppress(OSError):
            self._temporary.unlink()

    def _flush(self) -> None:
        """Compress and write the text gathered so far."""
        text = "".join(self._pieces).encode()
        self._pieces.clear()
        try:
            self._gzip.write(text)
        except OSError as error:
            self.abandon()
            raise cannot_write(self.path, error) from error


def write_trace(path: Path | str, records: Iterable[RoundRecord], phases: Sequence[str] = PHASES) -> None:
    """Write the trace of rounds that come one by one; see `TraceSink`."""
    sink = TraceSink(path, phases)
    try:
        for record in records:
            sink.write(record)
        sink.close()
    finally:
        sink.abandon()


def _place(phases: Sequence[str], phase: Phase) -> int | None:
    return phases.index(phase) if phase in phases else None


def _json(value: object) -> str:
    """Return the JSON text of a name or a number."""
    return msgspec.json.encode(value).decode()
