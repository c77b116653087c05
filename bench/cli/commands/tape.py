"""`phasewise tape`: run, and record the allocation problems that the policy stated."""

from __future__ import annotations

from pathlib import Path

import click

from phasewise.bench.cli.options import Overrides, scenario_options


@click.command(short_help="Record the allocation problems of a run on a tape.")
@scenario_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Tape to write; an existing file is replaced.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress, only warnings.")
def command(scenario: str, overrides: Overrides, out: Path, quiet: bool) -> None:
    """Simulate SCENARIO and record on a tape the allocation problems that its policy poses.

    `phasewise solve` then solves the tape with any backends. No run directory is written.
    """
    from phasewise.bench.cli.taping import record
    from phasewise.sched.scenario.loading import load_scenario

    problems = record(load_scenario(scenario, overrides), out, quiet=quiet)
    click.echo(f"tape: {out} ({problems} problems)")
