"""`phasewise validate`: every fault of an input file, with its line."""

from __future__ import annotations

from pathlib import Path

import click

from phasewise.bench.boundary import ExitCode


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--throughputs", type=click.Path(path_type=Path), help="Judge a trace's job types by this table (CSV).")
def command(file: Path, throughputs: Path | None) -> int:
    """Check a trace, a scenario, a throughput table, a node list or a pod list, and print every fault with its line.

    Exits with 0 where there is none, with 2 otherwise.
    """
    from phasewise.sched.faults import render
    from phasewise.sched.validate import validate_file

    faults = validate_file(file, throughputs)
    if faults:
        click.echo(render(file, faults, shown=len(faults)), err=True)
        return ExitCode.BAD_INPUT
    click.echo(f"{file}: no fault found")
    return ExitCode.DONE
