"""`phasewise validate`: every fault of an input file, with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from phasewise.bench.cli.boundary import ExitCode
from phasewise.bench.cli.options import reading_options

MOST_LINES = 500
MOST_ALIKE = 50  # of which each gets a line; of more, the first few, and where the others are


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@reading_options
@click.option("--throughputs", type=click.Path(path_type=Path), help="Judge a trace's job types by this table (CSV).")
def command(file: Path, throughputs: Path | None, overrides: dict[str, Any]) -> int:
    """Check a trace, a scenario, a throughput table, a node list or a pod list, and print every fault with its line.

    Traces of every format are judged, and node lists of public traces. Of more than 50 faults that are alike the first
    few are printed, and the lines of the others. A file of another kind is one message that says what it seems to be.
    Exits with 0 where there is no fault, with 2 otherwise.
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
