"""`phasewise gate`: whether this tree is slower than a base commit."""

from __future__ import annotations

import click


@click.command()
@click.option(
    "--base", "revision", metavar="REV", help="Compare with this commit instead of the one in bench/gate.toml."
)
@click.option("--case", "names", multiple=True, metavar="NAME", help="Measure only this case; repeatable.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
def command(revision: str | None, names: tuple[str, ...], quiet: bool) -> int:
    """Compare this tree, as it stands, with a base commit: CPU time in live worker pairs, and work done.

    Exits with 0 where no case is slower, with 1 where one is, with 2 where they cannot be compared.
    """
    from phasewise.bench.gate.gate import run_gate
    from phasewise.bench.gate.outcome import exit_code, render

    say = (lambda _: None) if quiet else (lambda text: click.echo(f"gate: {text}", err=True))
    commit, cases = run_gate(revision, names, say)
    for line in render(cases, commit):
        click.echo(line)
    return exit_code(cases)
