"""`phasewise testset`: solvers on problems of all families and sizes, judged by their answers and their CPU time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from phasewise.bench.cli import completion

_CACHE = click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".bench/testset"),
    show_default=True,
    help="Where instances are kept that are generated.",
)
_SCALE = click.option(
    "--scale",
    "scales",
    type=click.Choice(["small", "medium", "large"]),
    multiple=True,
    help="Only instances of this size; repeatable.",
)
_INSTANCE = click.option(
    "--instance", "pattern", default="*", show_default=True, metavar="GLOB", help="Only instances that match."
)
_TOLERANCE = click.option(
    "--tolerance",
    type=click.Choice(["1e-9", "1e-6", "1e-3"]),
    default="1e-6",
    show_default=True,
    help="How near to the optimum an answer has to be to count.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the results as JSON, and nothing else.")


@click.group(short_help="Judge solvers on problems with proven optima.")
def command() -> None:
    """Judge solvers on problems of all families and sizes, whose optima are proven.

    Every answer is judged by phasewise's own certifier. Times are CPU times.
    """


@command.command("list")
@_SCALE
@_INSTANCE
@_JSON
def listed(scales: tuple[str, ...], pattern: str, as_json: bool) -> None:
    """List the instances."""
    from phasewise.bench.cli.judging import instances_of, listing

    for line in listing(instances_of(scales, pattern), as_json=as_json):
        click.echo(line)


@command.command()
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="NAME|FILE.py:CLASS",
    help="Solver backend; repeatable. Without it, all that are installed.",
    shell_complete=completion.solvers,
)
@_SCALE
@_INSTANCE
@click.option(
    "--limit",
    "limit_s",
    type=click.FloatRange(min=0.0, min_open=True),
    metavar="S",
    help="CPU seconds for one problem, instead of the instance's own.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("testset"),
    show_default=True,
    metavar="DIR",
    help="Where results go. Those that are there are not measured again.",
)
@_CACHE
@_TOLERANCE
@_JSON
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def run(**options: Any) -> None:
    """Run backends over the test set, small instances unless --scale says otherwise.

    Each backend runs in a process of its own. An interrupted run goes on where it was.
    """
    from phasewise.bench.cli.judging import Wanted, measured

    for line in measured(Wanted(**options)):
        click.echo(line)


@command.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the page, the rows as CSV and the results as JSON here.",
)
@_TOLERANCE
@_JSON
def report(files: tuple[Path, ...], out: Path | None, tolerance: str, as_json: bool) -> None:
    """Put tables of results together: rows.csv, rows.jsonl, or the folder of a run."""
    from phasewise.bench.cli.judging import merged

    for line in merged(files, out, tolerance, as_json=as_json):
        click.echo(line)
