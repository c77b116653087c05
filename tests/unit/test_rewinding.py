"""Tables and lines are cut back to what they held, from whatever state a run has left them in."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from phasewise.profiling.artefacts import tables
from phasewise.profiling.artefacts.rewinding import require_lines, require_rows, rewind_lines, rewind_table
from phasewise.profiling.artefacts.schemas import Field
from phasewise.profiling.artefacts.sinks import FileSink, Tail
from phasewise.profiling.artefacts.tables import TableSink, parts_folder, read_table
from phasewise.profiling.errors import RecordError

FIELDS = (Field("round", "int64", "", "a number"), Field("load", "float64", "", "another", null="unknown"))
BLOCKS = (4, 3, 9, 4)
ALL = sum(BLOCKS)


def rows(start: int, end: int) -> dict[str, np.ndarray]:
    index = np.arange(start, end)
    return {"round": index, "load": np.where(index % 5, index / 7.0, np.nan)}


def grown(path: Path, rows_so_far: int = 0, parts: int = 0, *, until: int = ALL) -> TableSink:
    """Return a table that holds the rows before ``until``, in blocks, and goes on from so many of them."""
    sink, start = TableSink(path, FIELDS, rows_so_far, parts), rows_so_far
    for length in BLOCKS * 3:
        end = min(until, start + length)
        sink.write(rows(start, end))
        start = end
    return sink


def left(path: Path, how: str) -> None:
    """Leave a table as a run does that is killed, that ends, or that is killed when it has just ended."""
    sink = grown(path)
    parts = {part.name: part.read_bytes() for part in parts_folder(path).iterdir()}
    if how != "killed":
        sink.close()
    if how == "killed after the merge":
        parts_folder(path).mkdir()
        for name in list(parts)[1:]:
            (parts_folder(path) / name).write_bytes(parts[name])
    if how == "killed":
        (parts_folder(path) / "merged.tmp").write_bytes(b"half of it")


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    """Return the bytes of a table that was written without a break."""
    grown(tmp_path / "whole.parquet").close()
    return (tmp_path / "whole.parquet").read_bytes()


@pytest.mark.parametrize("how", ["killed", "ended", "killed after the merge"])
@pytest.mark.parametrize("kept", [0, 1, 4, 5, 7, 16, 19, ALL])
def test_a_table_cut_back_and_gone_on_with_has_the_bytes_of_one_that_never_was(
    how: str, kept: int, whole: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "rounds.parquet"
    left(path, how)
    require_rows(path, kept)
    count = rewind_table(path, kept)
    assert read_table(path)["round"].to_pylist() == list(range(kept))
    assert not path.exists()
    sink = grown(path, kept, count)
    assert sink.rows == ALL
    sink.close()
    assert path.read_bytes() == whole
    assert not parts_folder(path).exists()


def test_a_table_can_be_cut_back_again_and_again(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rounds.parquet"
    grown(path).close()
    for kept in (17, 12, 12, 5):
        grown(path, kept, rewind_table(path, kept), until=kept + 2)
    grown(path, 5, rewind_table(path, 5)).close()
    assert path.read_bytes() == whole


def test_row_groups_of_a_long_table_are_cut_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP", 3)
    path = tmp_path / "rounds.parquet"
    grown(path).close()
    assert pq.read_metadata(path).num_row_groups == 7
    rewind_table(path, 10)
    assert read_table(path)["round"].to_pylist() == list(range(10))


def test_rows_that_are_missing_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "rounds.parquet"
    with pytest.raises(RecordError, match=r"rounds\.parquet has 0 rows, 3 fewer than it had"):
        require_rows(path, 3)
    grown(path)
    with pytest.raises(RecordError, match=r"rounds\.parquet has 20 rows, 1 fewer than it had"):
        require_rows(path, ALL + 1)
    (parts_folder(path) / "000002.parquet").write_bytes(b"PAR1")
    with pytest.raises(RecordError, match=r"cannot read .*000002\.parquet"):
        require_rows(path, 3)


LINES = [b"the first", b"the second", b"the third"]


def lines_file(path: Path) -> Tail:
    """Write three lines; return what was behind the first when there were two."""
    sink = FileSink(path)
    for line in LINES[:2]:
        sink.write(line)
    sink.flush()
    tail = sink.tail
    sink.write(LINES[2])
    sink.close()
    return tail


def test_a_sink_counts_what_is_behind_the_first_line(tmp_path: Path) -> None:
    assert lines_file(tmp_path / "lines.log") == (11, zlib.crc32(b"the second\n"))


@pytest.mark.parametrize("first", [b"the first", b"another first, longer than the file was"])
def test_lines_are_cut_back_behind_another_first_line_or_the_same(first: bytes, tmp_path: Path) -> None:
    path = tmp_path / "lines.log"
    tail = lines_file(path)
    with path.open("ab") as file:
        file.write(b"torn")
    require_lines(path, tail)
    for _ in range(2):
        rewind_lines(path, first, tail)
        assert path.read_bytes() == first + b"\nthe second\n"
    sink = FileSink(path, behind=tail)
    sink.write(LINES[2])
    sink.close()
    assert path.read_bytes() == first + b"\nthe second\nthe third\n"
    assert sink.tail == (21, zlib.crc32(b"the second\nthe third\n"))
    assert [each.name for each in tmp_path.iterdir()] == ["lines.log"]


def test_lines_that_are_not_what_they_were_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "lines.log"
    tail = lines_file(path)
    content = path.read_bytes()
    path.write_bytes(content[:15])
    with pytest.raises(RecordError, match="is 6 bytes shorter than it was"):
        require_lines(path, tail)
    path.write_bytes(content.replace(b"second", b"sec0nd"))
    with pytest.raises(RecordError, match="holds something else than it did"):
        require_lines(path, tail)
    path.unlink()
    with pytest.raises(RecordError, match="cannot read"):
        require_lines(path, tail)
