"""`phasewise solve`: a tape, solved again by several backends, side by side."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click

from phasewise.bench.cli import completion
from phasewise.bench.cli.values import Integer


@click.command(short_help="Solve the problems on a tape with several backends.")
@click.argument("tape", type=click.Path(path_type=Path))
@click.option(
    "--solver",
    "solvers",
    multiple=True,
    required=True,
    metavar="NAME",
    help="Solver backend, or a chain A,B that falls back to B; repeatable. See `phasewise list solvers`.",
    shell_complete=completion.solvers,
)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Also write the results as a JSON list; '-' prints them instead of the table.",
)
@click.option("--rounds", type=Integer(min=1), metavar="N", help="Solve only the first N problems.")
def command(tape: Path, solvers: tuple[str, ...], json_file: Path | None, rounds: int | None) -> None:
    """Solve the problems on TAPE with several backends; check every answer; compare time and quality.

    Each backend solves the problems in order and keeps its state between them. Times are CPU milliseconds.
    """
    from phasewise.bench.cli.output import console
    from phasewise.bench.cli.replay_table import replay_tables
    from phasewise.profiling.artefacts.sinks import write_atomically
    from phasewise.solvers.replay import replay
    from phasewise.solvers.tapes import Tape

    if len(set(solvers)) < len(solvers):
        raise click.UsageError(f"a solver is named twice: {', '.join(solvers)}")
    recorded = Tape(tape)
    records = replay(recorded, solvers, rounds=rounds, notify=partial(click.echo, err=True))
    figures = [record.summary() for record in records]
    written = json.dumps(figures, indent=2, allow_nan=False) + "\n"
    if json_file == Path("-"):
        click.echo(written, nl=False)
        return
    if json_file is not None:
        write_atomically(json_file, written.encode())
    output = console()
    for table in replay_tables(str(tape), len(recorded), figures, output):
        output.print(table)
    for record in records:
        if record.failures:
            click.echo(f"{record.solver}: {len(record.failures)} failures; the first: {record.failures[0]}")
    if json_file is not None:  # last: where it cannot be written, the figures have been seen
        write_atomically(json_file, (json.dumps(figures, indent=2, allow_nan=False) + "\n").encode())
