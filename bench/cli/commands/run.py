"""`phasewise run`: simulate, write a run directory, print the summary and the phase table."""

from __future__ import annotations

from pathlib import Path

import click

from phasewise.bench.cli.options import Overrides, run_options, scenario_options


@click.command(short_help="Simulate a scenario and write a run directory.")
@scenario_options
@run_options
@click.option("--resume", is_flag=True, help="Continue the run in --out DIR from its last checkpoint.")
@click.option("--json", "as_json", is_flag=True, help="Print run.json instead of the summary.")
def command(scenario: str, overrides: Overrides, out: Path | None, **asked: bool) -> None:
    """Simulate SCENARIO (a built-in name or a TOML file) and write a run directory.

    Prints the summary and the phase table. Progress goes to standard error: a bar on a terminal, otherwise a line every
    few seconds and the PROFILE lines. Ctrl-C ends the run after the current round and prints the summary so far.
    """
    from phasewise.bench.cli.output import console, shown_if_possible
    from phasewise.bench.cli.runs import perform
    from phasewise.bench.cli.so_far import shown_so_far
    from phasewise.reports.run_directory import load_run
    from phasewise.reports.terminal import render_summary
    from phasewise.sched.scenario.loading import load_scenario

    def show(path: Path) -> None:
        if asked["as_json"]:
            click.echo((path / "run.json").read_bytes(), nl=False)
            return
        render_summary(load_run(path), console())
        click.echo(f"run directory: {path}")

    quiet, overwrite, resume = asked["quiet"], asked["overwrite"], asked["resume"]
    with shown_so_far(show):
        path = perform(load_scenario(scenario, overrides), out, quiet=quiet, overwrite=overwrite, resume=resume)
    with shown_if_possible(path):
        show(path)
