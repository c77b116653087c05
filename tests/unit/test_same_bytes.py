"""What a comparison of two trees' runs sees: a value, a line, a column."""

from __future__ import annotations

from pathlib import Path

import pytest

from phasewise.bench.same_bytes import differing, one_sided
from phasewise.profiling.artefacts.schemas import Field
from phasewise.profiling.artefacts.tables import TableSink


def write_run(folder: Path, steps: list[float], lines: list[str], **columns: list[float]) -> Path:
    folder.mkdir()
    table = TableSink(
        folder / "rounds.parquet", [Field(name, "float64", "", "a number") for name in ("steps", *columns)]
    )
    table.write({"steps": steps, **columns})
    table.close()
    (folder / "lines.log").write_text("".join(line + "\n" for line in lines))
    return folder


LINES = ['EVENT {"event":"a","n":1,"in":{"x":2}}', 'PROFILE {"total_s":0.1}', 'EVENT {"event":"a","n":2,"in":{"x":3}}']


def test_runs_that_differ_in_times_alone_are_the_same(tmp_path: Path) -> None:
    head = write_run(tmp_path / "head", [1.0, 2.0], LINES, phase_policy_s=[0.1, 0.2])
    base = write_run(
        tmp_path / "base", [1.0, 2.0], [*LINES[:1], 'PROFILE {"total_s":9}', *LINES[2:]], phase_policy_s=[3.0, 4.0]
    )
    assert list(differing(head, base)) == []
    assert list(one_sided(head, base)) == []


@pytest.mark.parametrize(
    ("steps", "lines", "expected"),
    [
        ([1.0, 2.5], LINES, "rounds.parquet, steps: row 1 is 2.5, was 2.0"),
        ([1.0], LINES, "rounds.parquet, steps: 1 rows, were 2"),
        ([1.0, 2.0], [LINES[0], LINES[2].replace("3", "4")], "lines.log, EVENT a.in line.x: row 1 is '4', was '3'"),
        ([1.0, 2.0], LINES[:2], "lines.log, EVENT a.n: 1 rows, were 2"),
    ],
)
def test_the_first_difference_of_a_file_is_named(
    tmp_path: Path, steps: list[float], lines: list[str], expected: str
) -> None:
    base = write_run(tmp_path / "base", [1.0, 2.0], LINES)
    assert expected in list(differing(write_run(tmp_path / "head", steps, lines), base))


def test_columns_that_come_or_go_are_named_and_are_no_difference(tmp_path: Path) -> None:
    head = write_run(tmp_path / "head", [1.0], LINES, rho=[0.5])
    base = write_run(tmp_path / "base", [1.0], LINES, jct=[0.5])
    assert list(differing(head, base)) == []
    assert list(one_sided(head, base)) == ["rounds.parquet: new here: rho", "rounds.parquet: gone: jct"]


def test_a_file_that_is_not_written_any_more_is_a_difference(tmp_path: Path) -> None:
    head, base = write_run(tmp_path / "head", [1.0], LINES), write_run(tmp_path / "base", [1.0], LINES)
    (head / "rounds.parquet").unlink()
    assert list(differing(head, base)) == ["rounds.parquet: nothing to compare"]
