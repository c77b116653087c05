"""`phasewise gate`: whether this tree is slower than a base commit."""

from __future__ import annotations

import click


@click.command()
@click.option("--base", "revision", metavar="REV", help="Base commit, instead of the one in bench/gate.toml.")
@click.option("--case", "names", multiple=True, metavar="NAME", help="Measure only this case; repeatable.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def command(revision: str | None, names: tuple[str, ...], quiet: bool) -> int:
    """Check the working tree for slowdowns: compare its CPU time and work counts with a base commit.

    Both trees run in turn, in pairs of live processes. Exit code: 0 if no case is slower, 1 if one is, 2 if they cannot
    be compared.
    """
    from phasewise.bench.gate.gate import run_gate
    from phasewise.bench.gate.outcome import exit_code, render

    say = (lambda _: None) if quiet else (lambda text: click.echo(f"gate: {text}", err=True))
    commit, cases = run_gate(revision, names, say)
    for line in render(cases, commit):
        click.echo(line)
    return exit_code(cases)
