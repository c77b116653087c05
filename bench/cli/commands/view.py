"""`phasewise view`: who held which GPU in every round of a run, on one page."""

from __future__ import annotations

from pathlib import Path

import click

from phasewise.bench.cli import completion


@click.command(short_help="Write a page that shows which job each GPU runs, and when.")
@completion.run_directories("RUN [RUN]")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="FILE.html", help="Where to write.")
def command(runs: tuple[Path, ...], out: Path) -> None:
    """Write a page that shows which job each GPU runs in every round; two runs side by side in simulated time."""
    from phasewise.reports.run_directory import load_run
    from phasewise.reports.viewer.page import MOST_RUNS, write_viewer

    if len(runs) > MOST_RUNS:
        raise click.UsageError(f"{len(runs)} run directories were given; the viewer shows one, or two side by side.")
    write_viewer([load_run(path) for path in runs], out)
    click.echo(f"viewer: {out}")
