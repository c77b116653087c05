"""`phasewise gate`: whether this tree is slower than a base commit."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click


@click.command(short_help="Check the working tree for slowdowns against a base commit.")
@click.option("--base", "revision", metavar="REV", help="Base commit, instead of the one in bench/gate.toml.")
@click.option("--case", "names", multiple=True, metavar="NAME", help="Measure only this case; repeatable.")
@click.option(
    "--history",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Add the measurements to the history in FOLDER; see `phasewise history`.",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path),
    default=Path(".bench/gate.html"),
    show_default=True,
    metavar="FILE.html",
    help="Where to write which functions became slower, with differential flame graphs, if a case did.",
)
@click.option(
    "--json", "record", type=click.Path(path_type=Path), metavar="FILE", help="Write samples and verdicts to FILE."
)
@click.option(
    "--counts",
    is_flag=True,
    help="Also count the instructions of the short cases, by perf or callgrind: a second verdict.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def command(  # noqa: PLR0913, PLR0917  (an option each)
    revision: str | None,
    names: tuple[str, ...],
    history: Path | None,
    page: Path,
    record: Path | None,
    counts: bool,
    quiet: bool,
) -> int:
    """Check the working tree for slowdowns: compare its CPU time and work counts with a base commit.

    Both trees run in turn, in pairs of live processes. Exit code: 0 if no case is slower, 1 if one is, 2 if they cannot
    be compared. If a case became slower, its call stacks are sampled afterwards, and the functions that moved named.

    With --counts, a case that takes more instructions than bench/gate.toml allows is slower too. Where neither perf nor
    callgrind can count, one line says why, and the exit code is that of the first verdict.
    """
    from phasewise.bench.gate.gate import run_gate
    from phasewise.bench.gate.outcome import exit_code, render, render_counts, render_places
    from phasewise.bench.gate.record import write_record

    if history is not None:
        from phasewise.bench.gate.trees import checkout
        from phasewise.bench.history.taking import keep_gate, require_commit

        require_commit(checkout())  # before minutes of measuring
    say = (lambda _: None) if quiet else (lambda text: click.echo(f"gate: {text}", err=True))
    tell_counts = (lambda found, base: _echo(render_counts(found, base))) if counts else None
    found = run_gate(revision, names, say, lambda cases, base: _echo(render(cases, base)), tell_counts)
    _echo(render_places(found.places))
    if record is not None:
        write_record(found, record)
    if found.places or found.counts:
        from phasewise.bench.gate.page import write_gate_page

        write_gate_page(found, page)
        click.echo(f"page: {page}")
    if history is not None:
        click.echo(f"added to {keep_gate(history, checkout(), found.base, found.cases)}")
    return exit_code(found.cases, found.counts)


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
