"""What `phasewise testset` does beyond reading its options."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from phasewise.bench.testset.errors import TestsetError
from phasewise.bench.testset.judging import Reached
from phasewise.bench.testset.manifest import Instance, Manifest, load
from phasewise.bench.testset.rows import Row, csv_text, read
from phasewise.bench.testset.running import ROWS, Folder
from phasewise.bench.testset.scoring import figures
from phasewise.bench.testset.telling import lines
from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.errors import cannot_write

PAGE, TABLE, SCORES = "index.html", "rows.csv", "scores.json"


def instances_of(scales: Sequence[str], pattern: str, manifest: Manifest | None = None) -> list[Instance]:
    """Return the instances of some scales, all where none is named, that match a shell pattern.

    Raises `TestsetError` where there is none.
    """
    every = (manifest or load()).instances
    found = [each for each in every if (not scales or each.scale in scales) and fnmatchcase(each.name, pattern)]
    if not found:
        raise TestsetError(f"no instance matches {pattern!r}; there are {', '.join(each.name for each in every)}")
    return found


def listing(instances: Sequence[Instance], *, as_json: bool) -> Iterator[str]:
    """Yield the instances, a line each, or as JSON."""
    if as_json:
        yield msgspec.json.encode(instances).decode()
        return
    width = max(len(each.name) for each in instances)
    yield f"{'instance':<{width}}  {'family':<20}  {'jobs':>5}  types  problems  {'limit s':>7}  sha256"
    for each in instances:
        yield (
            f"{each.name:<{width}}  {each.family:<20}  {each.jobs:>5}  {each.types:>5}  {each.problems:>8}  "
            f"{each.limit_s:>7g}  {each.sha256[:16]}"
        )


class Wanted(NamedTuple):
    """What is run, and where the results go: the options of `phasewise testset run`.

    Attributes
    ----------
    backends
        Names; empty for all that are installed.
    scales, pattern
        Which instances; no scale stands for the small ones.
    limit_s
        CPU seconds a problem; None for those of the manifest.
    out, cache
        Folders of the results, and of instances that are generated.
    tolerance
        The class from which on an answer counts.
    as_json, quiet
        Whether to print JSON and nothing else, and no progress.
    """

    backends: tuple[str, ...]
    scales: tuple[str, ...]
    pattern: str
    limit_s: float | None
    out: Path
    cache: Path
    tolerance: str
    as_json: bool
    quiet: bool


def measured(wanted: Wanted) -> Iterator[str]:
    """Run backends over instances, and yield what came of it.

    Raises
    ------
    UnknownBackendError, TestsetError, OutputError
        Where a backend, an instance or the folder cannot be used.
    """
    from phasewise.bench.testset.running import run
    from phasewise.solvers import registry

    manifest, out = load(), wanted.out
    chosen = instances_of(wanted.scales or ("small",), wanted.pattern, manifest)
    backends = list(dict.fromkeys(wanted.backends)) or registry.names()
    folder = Folder(out, manifest)

    def say(text: str) -> None:
        if not wanted.quiet:
            click.echo(f"testset: {text}", err=True)

    try:
        run(backends, chosen, folder, wanted.limit_s, say, wanted.cache)
    finally:  # also of what an interruption leaves
        rows = folder.rows()
        if rows:
            _write(rows, manifest, out, wanted.tolerance)
    yield from _told(rows, manifest, wanted.tolerance, as_json=wanted.as_json)
    if not wanted.as_json:
        yield f"page: {out / PAGE}"


def merged(files: Sequence[Path], out: Path | None, tolerance: str, *, as_json: bool) -> Iterator[str]:
    """Put the rows of several files together, of each key the last, and yield what they come to."""
    manifest = load()
    rows = [row for file in files for row in read(file / ROWS if file.is_dir() else file, manifest)]
    rows = list({row.key: row for row in rows}.values())
    if not rows:
        raise TestsetError(f"no results in {', '.join(map(str, files))}")
    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(out, error) from error
        _write(rows, manifest, out, tolerance)
    yield from _told(rows, manifest, tolerance, as_json=as_json)
    if out is not None and not as_json:
        yield f"page: {out / PAGE}"


def _told(rows: Sequence[Row], manifest: Manifest, tolerance: str, *, as_json: bool) -> Iterator[str]:
    found = figures(rows, manifest, Reached(tolerance))
    if as_json:
        yield json.dumps(found)
    else:
        yield from lines(found)


def _write(rows: Sequence[Row], manifest: Manifest, out: Path, tolerance: str) -> None:
    """Write the page, the table and the figures of ``rows`` into a folder that is there."""
    from phasewise.reports.testset_page import write_page

    found = figures(rows, manifest, Reached(tolerance))
    write_atomically(out / TABLE, csv_text(rows).encode())
    write_atomically(out / SCORES, (json.dumps(found, indent=2) + "\n").encode())
    write_page(found, [msgspec.to_builtins(row) for row in rows], out / PAGE)
