"""The questions of the page on traces are answered by a real run's trace, read into tables of Perfetto's names."""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
from pathlib import Path

import pytest

import phasewise

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "ask-a-trace.md"
QUERIES = dict(re.findall(r"^## ([^\n]+)\n\n```sql\n(.+?)```", PAGE.read_text(), re.MULTILINE | re.DOTALL))
SCHEMA = """
CREATE TABLE slice (id INTEGER PRIMARY KEY, ts INT, dur INT, name TEXT, category TEXT, parent_id INT);
CREATE TABLE counter (ts INT, track_id INT, value REAL);
CREATE TABLE counter_track (id INTEGER PRIMARY KEY, name TEXT);
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traced") / "run"
    phasewise.run("toy", out=folder, overrides={"workload.rate_per_hour": 12.0})
    return folder


@pytest.fixture(scope="module")
def tables(run: Path) -> sqlite3.Connection:
    """Return the trace of a run as Perfetto has it: nanoseconds, a phase within its round."""
    found = sqlite3.connect(":memory:")
    found.executescript(SCHEMA)
    tracks: dict[str, int] = {}
    parent = None
    with gzip.open(run / "trace.json.gz") as file:
        events = json.load(file)["traceEvents"]
    for event in events:
        ns = round(1000 * event.get("ts", 0))
        if event["ph"] == "X":
            inside = parent if event["cat"] == "phase" else None
            row = (ns, round(1000 * event["dur"]), event["name"], event["cat"], inside)
            key = found.execute("INSERT INTO slice (ts, dur, name, category, parent_id) VALUES (?, ?, ?, ?, ?)", row)
            parent = key.lastrowid if inside is None and event["cat"] == "round" else parent
        elif event["ph"] == "C":
            track = tracks.setdefault(event["name"], len(tracks))
            found.execute("INSERT INTO counter VALUES (?, ?, ?)", (ns, track, event["args"]["value"]))
    found.executemany("INSERT INTO counter_track VALUES (?, ?)", [(key, name) for name, key in tracks.items()])
    return found


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
