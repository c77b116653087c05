"""`phasewise trace`: workloads of other origin: their formats, what a file holds, and a form that loads at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from phasewise.bench.cli.options import trace_options


@click.group(short_help="Describe and convert traces of other systems.")
def command() -> None:
    """Work with traces of other systems: formats, contents, conversion.

    `phasewise run SCENARIO --trace FILE` reads such a file directly.
    """


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def formats(as_json: bool) -> None:
    """List the trace formats, one per line (--json: with their assumptions and columns)."""
    from phasewise.bench.cli.tracing import formats_text

    click.echo(formats_text(as_json=as_json))


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@trace_options
@click.option("--cluster", metavar="TYPE=N,...", help="Number of GPUs of each worker type, to compare demand with.")
@click.option("--nodes", metavar="NAME|FILE.csv", help="Node list to compare demand with: a built-in name or a file.")
@click.option("--json", "as_json", is_flag=True, help="Print the statistics as JSON.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE.html", help="Also write a page with charts.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def describe(
    file: Path, cluster: str | None, nodes: str | None, as_json: bool, html: Path | None, quiet: bool, **given: Any
) -> None:
    """Summarise a trace and list the assumptions made in reading it.

    Rows read, kept and dropped; arrivals and gaps; GPU time by size, state, user and virtual cluster; demand by day.
    """
    from phasewise.bench.cli.tracing import described

    click.echo(described(file, given, machines=(cluster, nodes), as_json=as_json, html=html, quiet=quiet))


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@trace_options
@click.option(
    "--throughputs",
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="For a Gavel trace: the throughput table that gives jobs their types and steps.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="For a Gavel trace: seed of the job types that are drawn.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="File to write: Parquet, or a Gavel trace if the name ends in .trace.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def convert(file: Path, out: Path, throughputs: Path | None, seed: int, quiet: bool, **given: Any) -> None:
    """Convert a trace to Parquet, which loads fast, or to Gavel's format; sort it by arrival."""
    from phasewise.bench.cli.tracing import converted

    click.echo(converted(file, out, given, throughputs=throughputs, seed=seed, quiet=quiet))
