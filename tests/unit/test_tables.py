"""Tables that grow in parts: every state in which a run may die is read correctly."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from full_disk import full_disk

from phasewise.profiling.artefacts import tables
from phasewise.profiling.artefacts.schemas import Field
from phasewise.profiling.artefacts.tables import TableSink, parts_folder, read_table
from phasewise.profiling.errors import OutputError, RecordError

LIMIT_BYTES = 4000
FIELDS = (
    Field("round", "int64", "", "a number"),
    Field("load", "float64", "", "another"),
    Field("rebuild", "string", "", "a text", null="there is none"),
)


def rows(start: int, end: int) -> dict[str, np.ndarray | list[str | None]]:
    index = np.arange(start, end)
    return {
        "round": index,
        "load": index / 7.0,
        "rebuild": [None if i % 3 else f"reason {i % 5}" for i in range(start, end)],
    }


def written(path: Path, *cuts: int) -> TableSink:
    sink = TableSink(path, FIELDS)
    for start, end in zip((0, *cuts), cuts, strict=False):
        sink.write(rows(start, end))
    return sink


def rounds(path: Path) -> list[int]:
    return read_table(path).column("round").to_pylist()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rounds.parquet"


def test_a_closed_table_is_one_file_with_all_rows(path: Path) -> None:
    sink = written(path, 3, 4, 10)
    sink.close()
    sink.close()
    assert sink.rows == 10
    assert [entry.name for entry in path.parent.iterdir()] == ["rounds.parquet"]
    assert pq.read_table(path).to_pydict() == pa.table(rows(0, 10)).to_pydict()


def test_a_run_killed_while_writing_leaves_every_row_in_complete_parts(path: Path) -> None:
    written(path, 3, 10)
    (parts_folder(path) / "000003.tmp").write_bytes(b"PAR1 half a part")
    assert rounds(path) == list(range(10))
    for part in parts_folder(path).glob("*.parquet"):
        pq.read_table(part)
    assert not path.exists()


def test_a_run_killed_during_the_merge_loses_no_row(path: Path) -> None:
    written(path, 3, 10)
    (parts_folder(path) / "merged.tmp").write_bytes(b"PAR1 half a table")
    assert rounds(path) == list(range(10))


def test_a_run_killed_after_the_rename_repeats_no_row(path: Path, tmp_path: Path) -> None:
    sink = written(path, 3, 10)
    kept = tmp_path / "kept"
    shutil.copytree(parts_folder(path), kept)
    sink.close()
    shutil.copytree(kept, parts_folder(path))
    assert rounds(path) == list(range(10))
    (parts_folder(path) / "000001.parquet").unlink()  # killed in the middle of the removal
    assert rounds(path) == list(range(10))


def test_a_run_killed_before_its_first_row_leaves_an_empty_table_with_its_columns(path: Path) -> None:
    TableSink(path, FIELDS)
    assert read_table(path).schema == pa.schema(
        [("round", pa.int64()), ("load", pa.float64()), ("rebuild", pa.string())]
    )
    assert rounds(path) == []


def test_a_table_without_rows_has_its_columns(path: Path) -> None:
    written(path).close()
    assert pq.read_table(path).column_names == [field.name for field in FIELDS]
    assert rounds(path) == []


def test_a_new_table_replaces_an_old_one_and_its_parts(path: Path) -> None:
    written(path, 10).close()
    written(path, 5, 7)
    assert rounds(path) == list(range(7))
    written(path, 2)
    assert rounds(path) == [0, 1]


def test_the_bytes_do_not_depend_on_how_rows_came_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP", 64)
    contents = set()
    for number, cuts in enumerate([(300,), (1, 2, 63, 64, 65, 128, 300), (150, 150, 300), tuple(range(1, 301))]):
        path = tmp_path / f"{number}.parquet"
        written(path, *cuts).close()
        contents.add(path.read_bytes())
    assert len(contents) == 1
    groups = pq.ParquetFile(tmp_path / "0.parquet").metadata
    assert [groups.row_group(i).num_rows for i in range(groups.num_row_groups)] == [64, 64, 64, 64, 44]


def test_nan_is_null_only_in_the_columns_that_say_so(path: Path) -> None:
    sink = TableSink(path, [Field("a", "float64", "", "never"), Field("b", "float64", "", "at times", null="none")])
    sink.write({"a": np.array([1.0, np.nan]), "b": np.array([np.nan, 2.0])})
    sink.close()
    table = read_table(path)
    assert table.column("a").null_count == 0
    assert table.column("b").to_pylist() == [None, 2.0]


def test_a_column_that_is_not_given_is_null_where_it_may_be(path: Path) -> None:
    sink = TableSink(path, FIELDS)
    sink.write({"round": [0, 1], "load": [1.0, 2.0]})
    sink.close()
    assert read_table(path).column("rebuild").to_pylist() == [None, None]


def test_some_columns_can_be_read_alone(path: Path) -> None:
    sink = written(path, 2, 4)
    assert read_table(path, ["load", "round"]).column_names == ["load", "round"]
    sink.close()
    assert read_table(path, ["round"]).to_pydict() == {"round": [0, 1, 2, 3]}
    with pytest.raises(RecordError, match=r"no columns \['speed'\]"):
        read_table(path, ["speed"])


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"round": [1], "rebuild": ["why"]}, r"missing \['load'\]"),
        (rows(0, 1) | {"load": [None]}, "column load: 1 nulls, where there are to be none"),
        (rows(0, 1) | {"speed": [1]}, r"unknown \['speed'\]"),
        (rows(0, 2) | {"load": [1.0]}, "unequal length: {'round': 2, 'load': 1, 'rebuild': 2}"),
        (rows(0, 1) | {"round": np.array([0.5])}, r"column round \(int64\)"),
        (rows(0, 1) | {"rebuild": [3]}, r"column rebuild \(string\)"),
    ],
)
def test_a_block_that_does_not_fit_is_refused_by_name(columns: dict[str, object], named: str, path: Path) -> None:
    sink = written(path, 3)
    with pytest.raises(RecordError, match=named):
        sink.write(columns)  # type: ignore[arg-type]
    assert rounds(path) == [0, 1, 2]


def test_an_unknown_type_is_refused(path: Path) -> None:
    with pytest.raises(RecordError, match="rational"):
        TableSink(path, [Field("a", "rational", "", "no such type")])


def test_a_full_disk_is_named_and_the_rows_so_far_are_kept(path: Path) -> None:
    sink = written(path, 3)
    with full_disk(LIMIT_BYTES), pytest.raises(OutputError, match=r"cannot write .*rounds\.parquet: File too large"):
        sink.write(rows(3, 5000))
    assert rounds(path) == [0, 1, 2]
    assert not list(parts_folder(path).glob("*.tmp"))


def test_a_disk_that_fills_during_the_merge_keeps_the_parts(path: Path) -> None:
    sink = written(path, *range(100, 2001, 100))
    with full_disk(LIMIT_BYTES), pytest.raises(OutputError, match=r"cannot write .*rounds\.parquet: File too large"):
        sink.close()
    assert not list(parts_folder(path).glob("*.tmp"))
    assert rounds(path) == list(range(2000))


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"cannot write .*Not a directory"):
        TableSink(tmp_path / "file" / "rounds.parquet", FIELDS)


def test_a_table_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(RecordError, match=r"no table at .*rounds\.parquet"):
        read_table(path)


def test_a_missing_part_is_named(path: Path) -> None:
    written(path, 3, 10)
    (parts_folder(path) / "000001.parquet").unlink()
    with pytest.raises(RecordError, match=r"part 000001\.parquet is missing"):
        read_table(path)


def test_a_file_that_is_no_table_is_named(path: Path) -> None:
    path.write_bytes(b"this is no Parquet file")
    with pytest.raises(RecordError, match=r"cannot read .*rounds\.parquet"):
        read_table(path)


def test_a_part_that_is_lost_keeps_the_table_from_being_completed_and_the_others(path: Path) -> None:
    sink = written(path, 3, 10, 20)
    (parts_folder(path) / "000002.parquet").unlink()
    with pytest.raises(OutputError, match=r"cannot complete .*rounds\.parquet: .*000002\.parquet"):
        sink.close()
    assert (parts_folder(path) / "000003.parquet").exists()
    assert not path.exists()


@pytest.mark.parametrize("rows_in_it", [2, 7])
def test_a_part_that_was_exchanged_is_told(rows_in_it: int, path: Path) -> None:
    sink = written(path, 3, 10)
    table = pa.table({"another": [1.5] * 7}) if rows_in_it == 7 else pa.table(rows(0, 2), schema=sink.schema)
    pq.write_table(table, parts_folder(path) / "000002.parquet")
    with pytest.raises(OutputError, match="cannot complete"):
        sink.close()


def test_files_of_other_names_among_the_parts_are_no_parts_and_stay(path: Path) -> None:
    sink = written(path, 3, 10)
    for name in ("notes.parquet", "٣.parquet", "readme.txt"):
        (parts_folder(path) / name).write_text("mine")
    assert rounds(path) == list(range(10))
    sink.close()
    assert rounds(path) == list(range(10))
    assert len(list(parts_folder(path).iterdir())) == 3


MERGE = """
import sys
from pathlib import Path
import numpy as np
from phasewise.profiling.environment import peak_rss_mib, release_memory, rss_mib
from phasewise.profiling.artefacts.run_columns import PLACEMENTS
from phasewise.profiling.artefacts.tables import TableSink
sink = TableSink(Path(sys.argv[1]) / "placements.parquet", PLACEMENTS.fields)
rng = np.random.default_rng(0)
for part in range(int(sys.argv[2])):
    for _ in range(2):
        sink.write({field.name: rng.integers(0, 1 << 20, int(sys.argv[3])) for field in PLACEMENTS.fields})
release_memory()
Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
before = rss_mib()
sink.close()
print(peak_rss_mib() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs /proc/self/clear_refs (Linux)")
@pytest.mark.parametrize(("parts", "size"), [(1, 1_000_000), (8, 100_000), (100, 1000)])
def test_completing_a_table_takes_little_memory_however_large_its_parts_are(
    parts: int, size: int, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", MERGE, tmp_path, str(parts), str(size)], capture_output=True, text=True, check=True
    )
    assert float(ended.stdout) < 40.0  # MiB; 2,000,000 rows are 96, and reading a part whole took twice that
