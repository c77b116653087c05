"""`phasewise profile`: a run for the figures, the same run under two profilers for reading, and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from phasewise.bench.cli.options import Overrides, run_options, scenario_options
from phasewise.bench.cli.values import Integer


@click.command(short_help="Run a scenario, profile it, and write a report.")
@scenario_options
@click.option(
    "--profile-rounds",
    type=Integer(min=1),
    default=500,
    show_default=True,
    metavar="N",
    help="Rounds of each profiled run; the measured run is not shortened.",
)
@click.option("--native", is_flag=True, help="Also show compiled and native frames, by py-spy or perf if installed.")
@run_options
def command(scenario: str, overrides: Overrides, *, profile_rounds: int, native: bool, **where: Any) -> None:
    """Run SCENARIO as `run` does, then again under pyinstrument and line_profiler, and write a report.

    All reported times come from the first run, because a profiler slows the code that it observes. The profiled runs
    show where in the code the time goes.
    """
    from phasewise.bench.cli.boundary import AfterRunError
    from phasewise.bench.cli.output import console, shown_if_possible
    from phasewise.bench.cli.profiled import profile_again
    from phasewise.bench.cli.runs import perform
    from phasewise.bench.cli.so_far import shown_so_far
    from phasewise.profiling.errors import ProfilingError
    from phasewise.profiling.native import native_tool
    from phasewise.reports.errors import ReportError
    from phasewise.reports.html import write_report
    from phasewise.reports.run_directory import load_run
    from phasewise.reports.terminal import render_summary
    from phasewise.sched.scenario.loading import load_scenario

    loaded = load_scenario(scenario, overrides)
    if native:
        native_tool()  # before minutes of running

    shown: list[Path] = []  # once, however the run and the two after it end

    def show(path: Path) -> None:
        if not shown:
            shown.append(path)
            render_summary(load_run(path), console())

    def look_closer(path: Path) -> None:
        with shown_if_possible(path):
            show(path)
        try:
            written = profile_again(loaded, path, rounds=profile_rounds, quiet=where["quiet"], native=native)
            report = write_report([load_run(path)], path / "report.html")
        except (ProfilingError, ReportError) as error:
            raise AfterRunError(f"the run is done and saved in {path}, but a later step failed: {error}") from error
        with shown_if_possible(path):
            click.echo(f"run directory: {path}")
            for profile in written:
                click.echo(f"profile: {profile}")
            click.echo(f"report: {report}")

    with shown_so_far(show):
        perform(loaded, **where, then=look_closer)
