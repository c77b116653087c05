"""`phasewise study`: many runs of one scenario, what became of each, and a table of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from phasewise.bench.cli import completion
from phasewise.bench.cli.options import Overrides, setting_option
from phasewise.bench.cli.values import Choice, Integer


@click.group(name="study", short_help="Run studies: many runs over seeds, policies or other keys.")
def command() -> None:
    """Run studies: many runs of one scenario, over seeds, policies or any other keys."""


@command.command(name="run")
@click.argument("study", shell_complete=completion.studies)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the study. Default: studies/NAME."
)
@click.option(
    "--executor", type=Choice(["local", "slurm"]), default="local", show_default=True, help="Where to run the points."
)
@click.option(
    "--workers",
    type=Integer(min=1),
    metavar="N",
    help="Parallel processes, or parallel SLURM tasks. Default for local: one per core.",
)
@click.option("--quick", is_flag=True, help="Run the short version that the study defines.")
@click.option("--dry-run", is_flag=True, help="List the points and which remain; write nothing.")
@setting_option("Set any scenario key for all points; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="At the end, print what `study status --json` prints.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress, only warnings.")
def run(study: str, settings: Overrides, dry_run: bool, as_json: bool, **options: Any) -> int:
    """Run every point of STUDY (a built-in name or a TOML file) that is not done yet.

    Exit code: 0 if all points are done, 1 if some are not.
    """
    from phasewise.bench.cli import studying

    chosen = studying.chosen(study, settings, quick=options.pop("quick"))
    if dry_run:
        return studying.listed(chosen, options["out"], as_json=as_json)
    return studying.perform(chosen, as_json=as_json, **options)


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_studies(as_json: bool) -> None:
    """List the built-in studies, one per line."""
    from phasewise.bench.study.catalogue import describe

    records = describe()
    if as_json:
        click.echo(json.dumps(records))
        return
    width = max(len(record["name"]) for record in records)
    for record in records:
        click.echo(f"{record['name']:<{width}}  {record['points']:>5} points  {record['description']}")


@command.command(name="status")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR", shell_complete=completion.study_folders)
@click.option("--watch", is_flag=True, help="Repeat until all points are done.")
@click.option("--json", "as_json", is_flag=True, help="Print the counts by state and the failed points as JSON.")
def status(folder: Path, watch: bool, as_json: bool) -> None:
    """Show the progress of the study in DIR."""
    from phasewise.bench.cli import studying

    studying.status(folder, watch=watch, as_json=as_json)


@command.command(name="table")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR", shell_complete=completion.study_folders)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), metavar="FILE", help="Also write the table as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def table(folder: Path, csv_file: Path | None, as_json: bool) -> None:
    """Rebuild the table of the study in DIR: one row per point."""
    from phasewise.bench.cli import studying

    studying.table(folder, csv_file, as_json=as_json)
