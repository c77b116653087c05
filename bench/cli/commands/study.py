"""`phasewise study`: many runs of one scenario, what became of each, and a table of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from phasewise.bench.cli import completion
from phasewise.bench.cli.options import Overrides, setting_option
from phasewise.bench.cli.values import Choice, Integer


@click.group(name="study")
def command() -> None:
    """Run every point of a study, a built-in one or a TOML file, and say what became of each."""


@command.command(name="run")
@click.argument("study", shell_complete=completion.studies)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="DIR", help="The study's folder; without it studies/NAME."
)
@click.option(
    "--executor", type=Choice(["local", "slurm"]), default="local", show_default=True, help="Where points are done."
)
@click.option(
    "--workers", type=Integer(min=1), metavar="N", help="Processes at once, or tasks of SLURM; local: one a core."
)
@click.option("--quick", is_flag=True, help="The short form that the study has for it.")
@click.option("--dry-run", is_flag=True, help="List the points and what is left to do; write nothing.")
@setting_option("Any key of the scenario, the same for all points; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="How far the study is, as `study status --json`, at the end.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error, only warnings.")
def run(study: str, settings: Overrides, dry_run: bool, as_json: bool, **options: Any) -> int:
    """Do every point of STUDY, a built-in name or a TOML file, that is not done yet.

    Exits with 0 where all points are done, with 1 where some are not.
    """
    from phasewise.bench.cli import studying

    chosen = studying.chosen(study, settings, quick=options.pop("quick"))
    if dry_run:
        return studying.listed(chosen, options["out"], as_json=as_json)
    return studying.perform(chosen, as_json=as_json, **options)


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_studies(as_json: bool) -> None:
    """List the built-in studies, one a line."""
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
@click.option("--watch", is_flag=True, help="Again and again until all points are done.")
@click.option("--json", "as_json", is_flag=True, help="Counts by state and the points that failed.")
def status(folder: Path, watch: bool, as_json: bool) -> None:
    """Say how far the study in DIR is."""
    from phasewise.bench.cli import studying

    studying.status(folder, watch=watch, as_json=as_json)


@command.command(name="table")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR", shell_complete=completion.study_folders)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), metavar="FILE", help="Write it as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print the rows as JSON.")
def table(folder: Path, csv_file: Path | None, as_json: bool) -> None:
    """Make the table of the study in DIR anew: a row a point."""
    from phasewise.bench.cli import studying

    studying.table(folder, csv_file, as_json=as_json)
