"""`phasewise report`: an HTML report of existing run directories."""

from __future__ import annotations

import json
from pathlib import Path

import click

from phasewise.bench.cli import completion

NAME = "report.html"


@click.command(short_help="Write an HTML report of one or more runs.")
@completion.run_directories("RUN...")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help=f"Where to write. Default: {NAME}, in the run directory for one run, in the current folder for several.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the path of the report as JSON.")
def command(runs: tuple[Path, ...], out: Path | None, *, as_json: bool) -> None:
    """Write an HTML report of one or more runs: phases, time per round, solver statistics, cluster metrics."""
    from phasewise.reports.html import write_report
    from phasewise.reports.run_directory import load_run

    loaded = [load_run(path) for path in runs]
    if out is None:
        out = loaded[0].path / NAME if len(loaded) == 1 else Path(NAME)
    write_report(loaded, out)
    click.echo(json.dumps(str(out)) if as_json else f"report: {out}")
