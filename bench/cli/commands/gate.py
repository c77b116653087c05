"""`phasewise gate`: whether this tree is slower than a base commit."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--base", "revision", metavar="REV", help="Compare with this commit instead of the one in bench/gate.toml."
)
@click.option("--case", "names", multiple=True, metavar="NAME", help="Measure only this case; repeatable.")
@click.option(
    "--history",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Add what was measured to the history there; see `phasewise history`.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
def command(revision: str | None, names: tuple[str, ...], history: Path | None, quiet: bool) -> int:
    """Compare this tree, as it stands, with a base commit: CPU time in live worker pairs, and work done.

    Exits with 0 where no case is slower, with 1 where one is, with 2 where they cannot be compared.
    """
    from phasewise.bench.gate.gate import run_gate
    from phasewise.bench.gate.outcome import exit_code, render

    say = (lambda _: None) if quiet else (lambda text: click.echo(f"gate: {text}", err=True))
    commit, cases = run_gate(revision, names, say)
    for line in render(cases, commit):
        click.echo(line)
    if history is not None:
        from phasewise.bench.gate.trees import checkout
        from phasewise.bench.history.taking import keep_gate

        click.echo(f"added to {keep_gate(history, checkout(), commit, cases)}")
    return exit_code(cases)
