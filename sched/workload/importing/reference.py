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

The formats that `phasewise run --trace`, `trace describe` and `trace convert` read. The format is recognised by
content, or set with `--trace-format` or `--format`; `csv` must be set. Files may be gzipped, start with a byte order
mark, or come from a pipe. For a guide, see [bring your own trace](../howto/bring-your-own-trace.md).

Every row is either kept, or dropped for a reason that is counted. A row that cannot be read is a fault with its line,
and the file is then refused. In every format, these rows are dropped: jobs without GPUs, without a duration (never
started, or not ended), with a duration of 0, or with a final state other than `--states` selects. Times in several time
zones in one file are refused, and so is a file that ends within a row.

This page is generated from the registry by
`python -m phasewise.sched.workload.importing.reference docs/reference/trace-formats.md`.
"""

MAPS: Final = """## Column maps

`--map KEY=COLUMN,...` for `csv`, and for `swf`, whose columns are those above and `procs` (processors used or, if
not recorded, requested).

- times, seconds or dates: {times}
- amounts, also as `COLUMN/NUMBER`: {amounts}
- words: {words}

## What is converted

`phasewise trace convert FILE --out FILE.parquet` writes one row per job, in order of arrival, in row groups of 16,384
rows. The counts of rows read, kept and dropped are JSON under `phasewise.trace` in the metadata of the file.

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
