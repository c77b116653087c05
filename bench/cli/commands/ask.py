"""`phasewise ask`: a question in SQL to the traces of runs."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import click


@click.command(short_help="Ask the traces of runs or of a study in SQL.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN|STUDY...")
@click.option("--sql", metavar="QUERY", help="The question, over slice, counter and counter_track.")
@click.option(
    "--file", "query", type=click.Path(path_type=Path), metavar="FILE.sql", help="Read the question from FILE."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of CSV.")
def command(paths: tuple[Path, ...], sql: str | None, query: Path | None, as_json: bool) -> None:
    """Ask the trace of each run, and of each point of a study, the same question; print all answers as CSV.

    The tables and columns are those of Perfetto, so that a question works there, too.
    """
    from phasewise.bench.asking import ask
    from phasewise.profiling.errors import cannot_read

    if (sql is None) == (query is None):
        raise click.UsageError("Give the question by --sql or by --file, and not by both.")
    if query is not None:
        try:
            sql = query.read_text("utf-8")
        except OSError as error:
            raise cannot_read(query, error) from error
    answers = ask(paths, sql or "")
    if answers.left_out:
        click.echo(f"without a trace, and left out: {', '.join(answers.left_out)}", err=True)
    if as_json:
        click.echo(json.dumps([dict(zip(answers.head, row, strict=True)) for row in answers.rows]))
        return
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(answers.head)
    table.writerows(answers.rows)
