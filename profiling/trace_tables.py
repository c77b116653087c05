"""A trace of phases as tables with the names that Perfetto has for them, so that one query serves both."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path
from typing import Any, Final

from phasewise.profiling.errors import RecordError, cannot_read

SCHEMA: Final = """
CREATE TABLE slice (id INTEGER PRIMARY KEY, ts INT, dur INT, name TEXT, category TEXT, parent_id INT);
CREATE TABLE counter (ts INT, track_id INT, value REAL);
CREATE TABLE counter_track (id INTEGER PRIMARY KEY, name TEXT);
"""
_NS: Final = 1000  # of the microseconds in which a trace is written


def tables_of(path: Path) -> sqlite3.Connection:
    """Return the trace of a run as tables in memory: times in nanoseconds, a phase within its round.

    Raises
    ------
    RecordError
        Where the file cannot be read, or is no trace of phases.
    """
    try:
        with gzip.open(path) as file:
            events = json.load(file)["traceEvents"]
        found = sqlite3.connect(":memory:")
        found.executescript(SCHEMA)
        _fill(found, events)
    except OSError as error:
        raise cannot_read(path, error) from error
    except (ValueError, KeyError, TypeError, EOFError) as error:
        raise RecordError(f"{path}: not a trace of phases as `phasewise run` writes it: {error}") from error
    found.execute("PRAGMA query_only = ON")
    return found


def _fill(found: sqlite3.Connection, events: list[dict[str, Any]]) -> None:
    tracks: dict[str, int] = {}
    round_id = None
    for event in events:
        time_ns = round(_NS * event.get("ts", 0))
        if event["ph"] == "X":
            parent = round_id if event["cat"] == "phase" else None
            row = (time_ns, round(_NS * event["dur"]), event["name"], event["cat"], parent)
            made = found.execute("INSERT INTO slice (ts, dur, name, category, parent_id) VALUES (?, ?, ?, ?, ?)", row)
            round_id = made.lastrowid if event["cat"] == "round" else round_id
        elif event["ph"] == "C":
            track = tracks.setdefault(event["name"], len(tracks))
            found.execute("INSERT INTO counter VALUES (?, ?, ?)", (time_ns, track, event["args"]["value"]))
    found.executemany("INSERT INTO counter_track VALUES (?, ?)", [(key, name) for name, key in tracks.items()])
    found.commit()
