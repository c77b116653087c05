"""The tables of the reference pages on files, made from their descriptions.

`python -m phasewise.profiling.artefacts.reference PAGE...` writes anew, in each page, what stands between
``<!-- fields of NAME -->`` and ``<!-- end of fields -->``. The text around them is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from phasewise.profiling.artefacts import fill_files, line_fields, run_columns, run_json
from phasewise.profiling.artefacts.schemas import Field, keys_of
from phasewise.profiling.errors import RecordError

_BLOCK: Final = re.compile(r"(?<=<!-- fields of )([^>]+)( -->\n).*?(?=<!-- end of fields -->)", re.DOTALL)

_Table = Callable[[], str]


def tables() -> Mapping[str, str]:
    """Return every table that a page may show, as Markdown, by the name in its marker."""
    records = (
        run_columns.JOBS,
        run_columns.ROUNDS,
        run_columns.PLACEMENTS,
        line_fields.PROFILE,
        line_fields.TELEMETRY,
        fill_files.CURVES,
    )
    structs: dict[str, type[msgspec.Struct]] = {
        "run.json": run_json.RunJson,
        "summary": run_json.Summary,
        "basis": run_json.Basis,
        "resumed": run_json.Resumption,
        "phases": run_json.PhaseTimes,
        "rho": run_json.Rho,
        "slowdown": run_json.Slowdown,
        "queue_by_gpus": run_json.Wait,
        "avg_jct_interval_s": run_json.JctInterval,
        "lost_gpu_s": run_json.LostGpuTime,
        "drift": run_json.Drift,
        "run.json of inflate": fill_files.FillJson,
        "summary of inflate": fill_files.FillSummary,
    }
    return {
        **{record.name: _fields(record.fields) for record in records},
        **{name: _fields(keys_of(struct)) for name, struct in structs.items()},
        "placements.parquet of inflate": _fields(fill_files.PLACEMENTS.fields),
        "EVENT": _fields(line_fields.EVENT_FIELDS),
        "events": _events(),
        "statuses": _rows(("status", "meaning"), [(f"`{name}`", text) for name, text in run_json.STATUSES.items()]),
    }


def with_tables(page: str) -> str:
    """Return a page with the tables that its markers name.

    Raises
    ------
    RecordError
        Where a marker names no table.
    """
    known = tables()

    def filled(block: re.Match[str]) -> str:
        name = block[1]
        if name not in known:
            raise RecordError(f"no table of the fields of {name!r}; there are: {', '.join(known)}")
        return f"{name}{block[2]}{known[name]}"

    return _BLOCK.sub(filled, page)


def shown(page: str) -> list[str]:
    """Return the names in a page's markers."""
    return [block[1] for block in _BLOCK.finditer(page)]


def _fields(fields: Sequence[Field]) -> str:
    """Return a table of fields; a column that no field needs is left out."""
    rows = [
        (f"`{each.name}`", each.type, each.unit, each.meaning, each.null, "" if each.since == 1 else str(each.since))
        for each in fields
    ]
    head = ("name", "type", "unit", "meaning", "null where", "since schema")
    kept = [column for column, told in enumerate(zip(*rows, strict=True)) if any(told)]
    return _rows([head[column] for column in kept], [[row[column] for column in kept] for row in rows])


def _events() -> str:
    rows = [
        (f"`{name}`", event.meaning, ", ".join(f"`{each.name}`" for each in event.fields))
        for name, event in line_fields.EVENTS.items()
    ]
    return _rows(("event", "when", "fields"), rows)


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("|  |", "| |")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        page = Path(name)
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
