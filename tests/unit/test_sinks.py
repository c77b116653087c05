"""Sinks for lines, and files that are whole or not there."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import pytest
from full_disk import full_disk

from phasewise.profiling.artefacts.lines import encode, read_lines
from phasewise.profiling.artefacts.sinks import (
    Courtesy,
    FileSink,
    Folder,
    ListSink,
    NullSink,
    StreamSink,
    TeeSink,
    write_atomically,
)
from phasewise.profiling.errors import OutputError

LIMIT_BYTES = 1000


def test_lines_reach_the_file_in_order_when_it_is_closed(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "lines.log")
    for index in range(5):
        sink.write(encode("EVENT", {"index": index}))
    sink.close()
    sink.close()
    assert [record["index"] for _, record in read_lines(tmp_path / "lines.log")] == list(range(5))


@pytest.mark.parametrize("flush_bytes", [1, 7, 64, 1000])
def test_the_file_ends_with_a_whole_line_at_any_time(flush_bytes: int, tmp_path: Path) -> None:
    path = tmp_path / "lines.log"
    sink = FileSink(path, flush_bytes=flush_bytes)
    for index in range(100):
        sink.write(b"EVENT " + b"x" * (index % 9))
        content = path.read_bytes()
        assert content == b"" or content.endswith(b"\n")
    sink.close()
    assert path.read_bytes().count(b"\n") == 100


def test_flush_brings_waiting_lines_to_the_file(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "lines.log")
    sink.write(b"EVENT {}")
    assert (tmp_path / "lines.log").read_bytes() == b""
    sink.flush()
    assert (tmp_path / "lines.log").read_bytes() == b"EVENT {}\n"
    sink.close()


def test_a_full_disk_is_named_and_leaves_whole_lines(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "lines.log", flush_bytes=300)

    def write_too_much() -> None:
        for index in range(LIMIT_BYTES):
            sink.write(encode("EVENT", {"index": index}))

    with full_disk(LIMIT_BYTES), pytest.raises(OutputError, match=r"cannot write .*lines\.log: File too large"):
        write_too_much()
    sink.close()
    lines = list(read_lines(tmp_path / "lines.log"))
    assert [record["index"] for _, record in lines] == list(range(len(lines)))
    assert len(lines) > 0
    assert (tmp_path / "lines.log").read_bytes().endswith(b"\n")


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*gone/lines\.log: No such file or directory"):
        FileSink(tmp_path / "gone" / "lines.log")


def test_a_tee_hands_every_line_to_every_sink() -> None:
    first, second = ListSink(), ListSink()
    tee = TeeSink(first, NullSink(), second)
    tee.write(b"EVENT 1")
    tee.write(b"EVENT 2")
    tee.close()
    assert first.lines == second.lines == [b"EVENT 1", b"EVENT 2"]


def test_a_tee_closes_all_sinks_even_where_one_fails(tmp_path: Path) -> None:
    class Failing(NullSink):
        def close(self) -> None:
            raise OutputError("cannot write here: No space left on device")

    sink = FileSink(tmp_path / "lines.log")
    tee = TeeSink(Failing(), sink)
    tee.write(b"EVENT {}")
    with pytest.raises(OutputError, match="No space left"):
        tee.close()
    assert (tmp_path / "lines.log").read_bytes() == b"EVENT {}\n"


def test_a_stream_gets_the_kinds_asked_for_and_stays_open() -> None:
    stream = io.StringIO()
    sink = StreamSink(stream, kinds=("PROFILE",))
    sink.write(b'PROFILE {"a":1}')
    sink.write(b"EVENT {}")
    sink.write(b"PROFILER {}")
    sink.close()
    assert stream.getvalue() == 'PROFILE {"a":1}\n'


def test_a_stream_without_kinds_gets_every_line() -> None:
    stream = io.StringIO()
    StreamSink(stream).write(b"EVENT {}")
    assert stream.getvalue() == "EVENT {}\n"


class Failing(io.StringIO):
    """A stream that takes nothing, and counts how often it was tried."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.tried = 0

    def write(self, _text: str) -> int:
        self.tried += 1
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EIO, "Input/output error"),
        ValueError("I/O operation on closed file"),
    ],
    ids=["nobody reads", "full disk", "terminal gone", "closed"],
)
def test_a_stream_that_takes_no_more_is_silent_from_then_on(error: Exception) -> None:
    stream = Failing(error)
    sink = StreamSink(stream)
    for _ in range(3):
        sink.write(b"EVENT {}")
    sink.close()
    assert stream.tried == 1


def test_a_slow_reader_of_a_stream_loses_a_line_and_not_the_next_ones() -> None:
    stream = Failing(BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"))
    sink = StreamSink(stream)
    for _ in range(3):
        sink.write(b"EVENT {}")
    assert stream.tried == 3


def test_a_stream_that_was_closed_before_the_start_shows_nothing() -> None:
    shown = Courtesy(None)
    print("a line", file=shown, flush=True)
    assert not shown.isatty()


def test_a_folder_knows_whether_it_was_removed_or_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    folder = Folder(tmp_path / "run")
    folder.require()
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="was removed"):
        folder.require()
    (tmp_path / "run").mkdir()
    with pytest.raises(OutputError, match="was replaced"):
        folder.require()


def test_an_atomic_write_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_atomically(path, b"old")
    with full_disk(LIMIT_BYTES), pytest.raises(OutputError, match=r"cannot write .*run\.json: File too large"):
        write_atomically(path, b"x" * (LIMIT_BYTES + 1))
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]
