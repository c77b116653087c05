"""`phasewise validate`: every fault of an input file, with its line."""

from __future__ import annotations

from pathlib import Path

import click

from phasewise.bench.cli.boundary import ExitCode

MOST_LINES = 500
MOST_ALIKE = 50  # of which each gets a line; of more, the first few, and where the others are


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--throughputs",
    type=click.Path(path_type=Path),
    help="Check a trace's job types against this throughput table (CSV).",
)
def command(file: Path, throughputs: Path | None) -> int:
    """Check a trace, scenario, throughput table, node list or pod list, and print every fault with its line number.

    Of more than 50 similar faults, prints the first few in full and only the line numbers of the others. A file of any
    other kind gives one message that says what it appears to be. Exit code: 0 if there is no fault, 2 otherwise.
    """
    from phasewise.sched.reading.faults import render
    from phasewise.sched.validate import validate_file

    faults = validate_file(file, throughputs)
    if faults:
        click.echo(render(file, faults, shown=MOST_LINES, alike=MOST_ALIKE), err=True)
        return ExitCode.BAD_INPUT
    click.echo(f"{file}: no fault found")
    return ExitCode.DONE
