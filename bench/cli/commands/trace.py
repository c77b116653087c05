"""`phasewise trace`: workloads of other origin: their formats, what a file holds, and a form that loads at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from phasewise.bench.cli.options import trace_options


@click.group()
def command() -> None:
    """Workloads of other origin: formats, what a trace holds, and conversion.

    `phasewise run SCENARIO --trace FILE` takes such a file directly.
    """


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list, for machines.")
def formats(as_json: bool) -> None:
    """List the trace formats there are, one a line, and what each takes for granted (--json: with columns)."""
    from phasewise.bench.cli.tracing import formats_text

    click.echo(formats_text(as_json=as_json))


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@trace_options
@click.option("--cluster", metavar="TYPE=N,...", help="GPUs of each worker type, to set demand against.")
@click.option(
    "--nodes", metavar="NAME|FILE.csv", help="A node list to set demand against: built in, or of a known form."
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON, and nothing else.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE.html", help="Write a page with pictures, too.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
def describe(
    file: Path, cluster: str | None, nodes: str | None, as_json: bool, html: Path | None, quiet: bool, **given: Any
) -> None:
    """Say what a trace holds, and what was assumed.

    Rows read, kept and dropped, arrivals and gaps, GPU time by size, state, user and virtual cluster, demand by day.
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
    help="Of a Gavel trace: the speeds that give jobs their types and steps.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="Of a Gavel trace: of drawn job types."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="Parquet, which --trace reads at once; X.trace: a Gavel trace.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
def convert(file: Path, out: Path, throughputs: Path | None, seed: int, quiet: bool, **given: Any) -> None:
    """Write a trace in order of arrival: as Parquet, with the account of its rows, or (X.trace) as one of Gavel."""
    from phasewise.bench.cli.tracing import converted

    click.echo(converted(file, out, given, throughputs=throughputs, seed=seed, quiet=quiet))
