"""`phasewise compare`: runs side by side, or by groups over seeds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from phasewise.bench.cli import completion


@click.command(short_help="Compare runs: metrics, time per phase, solver statistics.")
@completion.run_directories("RUN RUN...")
@click.option(
    "--group",
    "key",
    metavar="KEY",
    help="Group runs by this scenario key, for example policy; average each group over its seeds.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the rows of the tables as JSON.")
@click.option(
    "--csv",
    "table",
    metavar="FILE.csv",
    type=click.Path(path_type=Path),
    help="Also write the rows of the tables to this file.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Also write the page of these runs, as `report` does.",
)
def command(runs: tuple[Path, ...], key: str | None, *, as_json: bool, table: Path | None, out: Path | None) -> None:
    """Compare runs: scheduling metrics, time per phase, solver statistics.

    Of runs that were profiled, also says which functions moved.

    With --group, takes any number of runs. Runs that differ only in their seed are repetitions: for each group, prints
    the mean of every metric over the seeds with its confidence interval, and the difference from the first group,
    paired by seed.
    """
    from phasewise.bench.cli.output import console
    from phasewise.reports.compare import compare_runs
    from phasewise.reports.groups import grouped
    from phasewise.reports.run_directory import load_run
    from phasewise.reports.terminal import render_comparison
    from phasewise.reports.terminal_groups import render_groups

    loaded = [load_run(path) for path in runs]
    if key is None:
        comparison = compare_runs(loaded)
        content, rows = comparison.as_json(), comparison.rows()
    else:
        found = grouped(loaded, key)
        rows = found.rows()
        content = {"group": key, "cautions": list(found.cautions), "rows": rows}
    if table is not None:
        _write(table, rows)
    if as_json:
        click.echo(json.dumps(content, indent=1, allow_nan=False))
    elif key is None:
        render_comparison(comparison, console())
    else:
        render_groups(found, console())
    if out is not None:
        from phasewise.reports.html import write_report

        write_report(loaded, out)
        click.echo(f"report: {out}", err=as_json)


def _write(table: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as CSV; a figure that does not exist is an empty cell."""
    from phasewise.profiling.artefacts.sinks import write_atomically

    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(table, text.getvalue().encode())
