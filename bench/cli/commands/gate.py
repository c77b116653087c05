"""`phasewise gate`: whether this tree is slower than a base commit."""

from __future__ import annotations

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
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def command(revision: str | None, names: tuple[str, ...], history: Path | None, quiet: bool) -> int:
    """Check the working tree for slowdowns: compare its CPU time and work counts with a base commit.

    Both trees run in turn, in pairs of live processes. Exit code: 0 if no case is slower, 1 if one is, 2 if they cannot
    be compared.
    """
    from phasewise.bench.gate.gate import run_gate
    from phasewise.bench.gate.outcome import exit_code, render

    if history is not None:
        from phasewise.bench.gate.trees import checkout
        from phasewise.bench.history.taking import keep_gate, require_commit

        require_commit(checkout())  # before minutes of measuring
    say = (lambda _: None) if quiet else (lambda text: click.echo(f"gate: {text}", err=True))
    commit, cases = run_gate(revision, names, say)
    for line in render(cases, commit):
        click.echo(line)
    if history is not None:
        click.echo(f"added to {keep_gate(history, checkout(), commit, cases)}")
    return exit_code(cases)
