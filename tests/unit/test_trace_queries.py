"""The questions of the page on traces are answered by a real run's trace, read into tables of Perfetto's names."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import phasewise
from phasewise.profiling.errors import RecordError
from phasewise.profiling.trace_tables import tables_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "ask-a-trace.md"
QUERIES = dict(re.findall(r"^## ([^\n]+)\n\n```sql\n(.+?)```", PAGE.read_text(), re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traced") / "run"
    phasewise.run("toy", out=folder, overrides={"workload.rate_per_hour": 12.0})
    return folder


@pytest.fixture(scope="module")
def tables(run: Path) -> sqlite3.Connection:
    return tables_of(run / "trace.json.gz")


def test_there_are_five_questions() -> None:
    assert len(QUERIES) == 5


@pytest.mark.parametrize("question", QUERIES)
def test_a_question_has_an_answer(tables: sqlite3.Connection, question: str) -> None:
    assert tables.execute(QUERIES[question]).fetchall() != []


def test_the_answers_are_those_of_the_table_of_rounds(tables: sqlite3.Connection, run: Path) -> None:
    rounds = phasewise.load(run).rounds
    by_phase = {name: ms for name, ms, _ in tables.execute(QUERIES["Where did the time go?"])}
    assert by_phase["lp_solve"] == pytest.approx(1e3 * float(rounds["phase_lp_solve_s"].sum()), rel=1e-3)
    uses = tables.execute(QUERIES["Which solves were used for several rounds?"].replace("LIMIT 10", "")).fetchall()
    assert len(uses) == int((rounds["lp_solved"] > 0).sum())
    waits = QUERIES["When did jobs wait although GPUs were idle?"].replace("HAVING least_busy < 0.9", "")
    assert len(tables.execute(waits).fetchall()) == int((rounds["queued"] > 0).sum())


def test_curves_are_those_that_the_page_names(tables: sqlite3.Connection) -> None:
    names = {name for (name,) in tables.execute("SELECT name FROM counter_track")}
    text = PAGE.read_text()
    assert {"active", "running", "queued", "moves"} <= names
    assert [name for name in names if name.startswith("busy ")]
    assert all(f"`{name}`" in text for name in ("active", "running", "queued", "moves", "busy v100"))


@pytest.fixture(scope="module")
def study(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of a study: two points with traces and one without."""
    folder = tmp_path_factory.mktemp("study")
    for name in ("aaaa", "bbbb", "cccc"):
        (folder / "points" / name).mkdir(parents=True)
    for name in ("aaaa", "bbbb"):
        shutil.copy(run / "trace.json.gz", folder / "points" / name)
    return folder


def test_a_question_to_a_study_is_put_to_every_point(
    phasewise: Callable[..., Any], study: Path, run: Path, tables: sqlite3.Connection, tmp_path: Path
) -> None:
    question = QUERIES["Where did the time go?"]
    (tmp_path / "where.sql").write_text(question)
    said = phasewise("ask", str(study), str(run), "--file", str(tmp_path / "where.sql"))
    assert said.code == 0
    assert said.err == "without a trace, and left out: cccc\n"
    head, *rows = csv.reader(io.StringIO(said.out))
    assert head == ["run", "name", "ms", "rounds"]
    plain = tables.execute(question).fetchall()
    assert [row[0] for row in rows] == ["aaaa"] * len(plain) + ["bbbb"] * len(plain) + [run.name] * len(plain)
    assert [(name, float(ms), int(rounds)) for _, name, ms, rounds in rows[: len(plain)]] == plain
    told = json.loads(phasewise("ask", str(run), "--sql", question, "--json").out)
    assert told[0] == {"run": run.name, **dict(zip(head[1:], plain[0], strict=True))}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "Give the question by --sql or by --file"),
        (["--sql", "SELECT missing FROM slice"], "the question cannot be answered: no such column: missing"),
        (["--sql", "DELETE FROM slice"], "the question cannot be answered: attempt to write a readonly database"),
        (["--sql", "SELECT 1; SELECT 2"], "the question cannot be answered: You can only execute one statement"),
        (["--file", "nowhere.sql"], "cannot read nowhere.sql"),
    ],
)
def test_a_question_that_cannot_be_answered_is_told(
    phasewise: Callable[..., Any], run: Path, words: list[str], complaint: str
) -> None:
    said = phasewise("ask", str(run), *words)
    assert said.code == 2
    assert complaint in said.err


def test_what_has_no_trace_is_told(phasewise: Callable[..., Any], tmp_path: Path) -> None:
    assert "no run with a trace.json.gz" in phasewise("ask", str(tmp_path), "--sql", "SELECT 1").err
    assert "no such folder" in phasewise("ask", str(tmp_path / "no"), "--sql", "SELECT 1").err
    for content in (b"", gzip.compress(b"{}"), b"text"):
        (tmp_path / "trace.json.gz").write_bytes(content)
        with pytest.raises(RecordError, match=r"trace\.json\.gz"):
            tables_of(tmp_path / "trace.json.gz")
