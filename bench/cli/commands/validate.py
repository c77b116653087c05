"""`phasewise validate`: every fault of an input file, with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from phasewise.bench.cli.boundary import ExitCode
from phasewise.bench.cli.options import reading_options

MOST_LINES = 500
MOST_ALIKE = 50  # of which each gets a line; of more, the first few, and where the others are


@click.command(short_help="Check an input file and print every fault.")
@click.argument("file", type=click.Path(path_type=Path))
@reading_options
@click.option(
    "--throughputs",
    type=click.Path(path_type=Path),
    help="Check a trace's job types against this throughput table (CSV).",
)
def command(file: Path, throughputs: Path | None, overrides: dict[str, Any]) -> int:
    """Check a trace, scenario, throughput table, node list or pod list, and print every fault with its line number.

    Traces may be of any format, node lists also those of public traces. Of more than 50 similar faults, prints the
    first few in full and only the line numbers of the others. A file of any other kind gives one message that says what
    it appears to be. Exit code: 0 if there is no fault, 2 otherwise.
    """
    from phasewise.bench.cli.tracing import scenario_of
    from phasewise.sched.reading.faults import render
    from phasewise.sched.scenario.workloads import choice_of
    from phasewise.sched.validate import validate_file
    from phasewise.sched.workload.importing.choice import ANY

    choice = choice_of(scenario_of(file, overrides).workload) if overrides else ANY
    faults = validate_file(file, throughputs, choice)
    if faults:
        click.echo(render(file, faults, shown=MOST_LINES, alike=MOST_ALIKE), err=True)
        return ExitCode.BAD_INPUT
    click.echo(f"{file}: no fault found")
    return ExitCode.DONE
