"""`phasewise compare`: runs side by side."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN RUN...")
def command(runs: tuple[Path, ...]) -> None:
    """Put run directories side by side: metrics, phases, solver statistics."""
    from phasewise.bench.cli.output import console
    from phasewise.reports.compare import compare_runs
    from phasewise.reports.run_directory import load_run
    from phasewise.reports.terminal import render_comparison

    render_comparison(compare_runs([load_run(path) for path in runs]), console())
