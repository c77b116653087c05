"""The reference page of trace formats, made from the registry.

`python -m phasewise.sched.workload.importing.reference docs/reference/trace-formats.md` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from phasewise.sched.workload.importing import registry
from phasewise.sched.workload.importing.mapping import AMOUNTS, TIMES, WORDS
from phasewise.sched.workload.importing.record import FIELDS

HEAD: Final = """# Trace formats

What `phasewise run --trace`, `trace describe` and `trace convert` read. The format is told by the content, or named
with `--trace-format` or `--format`; `csv` has to be named. Files may be packed with gzip, begin with a byte order mark,
or come from a pipe. How to use them: [bring your own trace](../howto/bring-your-own-trace.md).

Every row is kept, or dropped for a reason that is counted; a row that cannot be read is a fault with its line, and the
file is then refused. Of every format, rows are dropped that need no GPU, have no duration (never started, did not end),
have one of 0, or ended in another state than `--states` asks for. Times of several zones in one file are refused, as is
a file that ends within a row.

This page is made from the registry, by
`python -m phasewise.sched.workload.importing.reference docs/reference/trace-formats.md`.
"""

MAPS: Final = """## Column maps

`--map KEY=COLUMN,...` for `csv`, and for `swf`, whose columns are those above and `procs` (processors used, or else
asked for).

- times, seconds or dates: {times}
- amounts, also as `COLUMN/NUMBER`: {amounts}
- words: {words}

## What is converted

`phasewise trace convert FILE --out FILE.parquet` writes a row a job, in order of arrival, in row groups of 16,384 rows;
the account of the rows that were read is JSON under `phasewise.trace` in the file's metadata.

| column | type | unit | meaning | null where |
|---|---|---|---|---|"""


def page() -> str:
    """Return the page: each format with its columns and what it takes for granted, then the columns of a record."""
    lines = [HEAD]
    for name, description in registry.describe_formats().items():
        known = registry.trace_format(name)
        lines += [f"## `{name}`", "", description, ""]
        if known.columns:
            lines += [f"Columns: {', '.join(f'`{column}`' for column in known.columns)}.", ""]
        lines += [f"- {sentence}" for sentence in known.assumes]
        lines.append("")
    lines += [MAPS.format(times=_coded(TIMES), amounts=_coded(AMOUNTS), words=_coded(WORDS))]
    for each in FIELDS:
        meaning = each.meaning.replace("|", "\\|")
        lines.append(f"| `{each.name}` | {each.type} | {each.unit or '-'} | {meaning} | {each.null or 'never'} |")
    return "\n".join(lines) + "\n"


def _coded(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
