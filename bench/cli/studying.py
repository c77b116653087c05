"""Studies from the command line: what is to be done, the display and the signals meanwhile, and what is printed."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from phasewise.bench.cli.boundary import ExitCode, InterruptedRunError, Interruption
from phasewise.bench.cli.output import console, shown_if_possible
from phasewise.bench.cli.runs import Voice

if TYPE_CHECKING:
    from rich.table import Table

    from phasewise.bench.study.definition import Definition
    from phasewise.bench.study.executors.api import Executor
    from phasewise.bench.study.folder import State, StudyFolder

SOME_FAILED: Final = 1
WATCH_S: Final = 2.0  # between two looks at the points of a study
SHOWN_FAILED: Final = 10


def chosen(study: str, settings: Mapping[str, str], *, quick: bool) -> Definition:
    """Return the study that the command line asks for; raises `StudyError`."""
    from phasewise.bench.study.definition import load_definition, overridden, quickened

    definition = load_definition(study)
    return overridden(quickened(definition) if quick else definition, settings)


def listed(definition: Definition, out: Path | None, *, as_json: bool) -> int:
    """Print the points of a study and whether they are done, and write nothing."""
    from phasewise.bench.study.folder import StudyFolder
    from phasewise.bench.study.status import duration
    from phasewise.bench.study.study import default_folder, task_of

    folder = StudyFolder(out or default_folder(definition))
    task = task_of(definition, folder)
    left = {point.name for point in task.left}
    if as_json:
        rows = [
            {"point": point.name, "overrides": point.overrides, "done": point.name not in left} for point in task.points
        ]
        click.echo(json.dumps(rows))
        return ExitCode.DONE
    for point in task.points:
        what = "  ".join(f"{key}={value}" for key, value in point.overrides.items())
        click.echo(f"{point.name}  {'to do' if point.name in left else 'done '}  {what}")
    expected_s = task.costs.left_s(task.left)
    about = "" if not task.left or expected_s is None else f", about {duration(expected_s)} of CPU time"
    click.echo(
        f"{definition.study.name}: {len(task.points)} points, {len(task.left)} to do{about}; folder {folder.path}"
    )
    return ExitCode.DONE


def perform(
    definition: Definition, *, out: Path | None, executor: str, workers: int | None, as_json: bool, quiet: bool
) -> int:
    """Run what is missing of a study, and return the exit code.

    Raises
    ------
    InterruptedRunError
        On Ctrl-C or SIGTERM, after what was computed has been saved; it says what is left.
    phasewise.bench.study.errors.StudyError
        Where the study is wrong; nothing was written.
    """
    from phasewise.bench.cli.study_display import shown
    from phasewise.bench.study.folder import StudyFolder
    from phasewise.bench.study.status import sentence, status_record
    from phasewise.bench.study.study import default_folder, run_study

    folder = StudyFolder(out or default_folder(definition))
    voice, interruption = Voice(quiet), Interruption()
    name, at_work = definition.study.name, _executor(executor, definition, folder, workers)
    try:
        with interruption.watched(), shown(name, voice, interruption.asked, _parallel(executor, workers)) as begin:
            states = run_study(definition, folder, at_work, begin)
    except KeyboardInterrupt as interrupt:
        record = status_record(name, folder.states(folder.points()))
        _printed(record, folder, as_json=as_json)
        raise InterruptedRunError(f"{sentence(record)}; the same command continues from there") from interrupt
    record = status_record(name, states)
    _printed(record, folder, as_json=as_json)
    return ExitCode.DONE if record["done"] == record["points"] else SOME_FAILED


def _executor(name: str, definition: Definition, folder: StudyFolder, workers: int | None) -> Executor:
    if name == "slurm":
        try:
            from phasewise.bench.study.executors.slurm import SlurmExecutor
        except ModuleNotFoundError as error:
            lacking = f"--executor slurm needs {error.name}, which is not installed: pip install 'phasewise[slurm]'"
            raise click.UsageError(lacking) from error
        return SlurmExecutor(folder, definition.slurm, workers)
    from phasewise.bench.study.executors.local import LocalExecutor

    return LocalExecutor(_parallel(name, workers), folder.path / "workers.log")


def _parallel(executor: str, workers: int | None) -> int:
    if workers is not None or executor != "local":
        return workers or 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _printed(record: Mapping[str, Any], folder: StudyFolder, *, as_json: bool) -> None:
    """Print how far a study is, where standard output takes it."""
    with shown_if_possible(folder.path):
        if as_json:
            click.echo(json.dumps(record))
        else:
            _show(record, folder)


def _show(record: Mapping[str, Any], folder: StudyFolder) -> None:
    from phasewise.bench.study.status import sentence

    for failed in record["failed"][:SHOWN_FAILED]:
        what = ", ".join(f"{key}={value}" for key, value in failed["overrides"].items())
        click.echo(f"failed: {failed['point']} ({what}): {failed['message']}")
    if (more := len(record["failed"]) - SHOWN_FAILED) > 0:
        click.echo(f"and {more} more failed")
    click.echo(sentence(dict(record)))
    click.echo(f"study: {folder.path}")


def status(path: Path, *, watch: bool, as_json: bool) -> None:
    """Print how far a study is; with ``watch``, again and again until all points are done or nobody works on them."""
    from phasewise.bench.study.folder import StudyFolder
    from phasewise.bench.study.status import status_record

    folder = StudyFolder(path)
    name, points = folder.read_plan().name, folder.points()
    record = status_record(name, folder.states(points))
    if watch and not as_json:
        _watch(folder, record)
        return
    while watch and record["done"] < record["points"] and folder.is_held:  # JSON, a line each
        click.echo(json.dumps(record))
        time.sleep(WATCH_S)
        record = status_record(name, folder.states(points))
    if as_json:
        click.echo(json.dumps(record))
    else:
        console().print(status_table(record))
        _show(record, folder)


def _watch(folder: StudyFolder, record: dict[str, Any]) -> None:
    from phasewise.bench.study.status import sentence, status_record

    points = folder.points()

    def looks() -> Any:
        current = record
        while True:
            yield current
            if current["done"] == current["points"] or not folder.is_held:
                return
            time.sleep(WATCH_S)
            current = status_record(record["study"], folder.states(points))

    last = record
    if sys.stdout.isatty():
        from rich.live import Live

        with Live(status_table(record), console=console(), auto_refresh=False) as live:
            for last in looks():
                live.update(status_table(last), refresh=True)
    else:
        said = ""
        for last in looks():
            if (line := sentence(last)) != said:
                said = line
                click.echo(line)
                sys.stdout.flush()
        return
    _show(last, folder)


def status_table(record: Mapping[str, Any]) -> Table:
    """Return the counts of a study, as a table."""
    from rich.table import Table

    from phasewise.bench.study.status import duration

    table = Table(title=str(record["study"]), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for state, count in record["counts"].items():
        table.add_row(state, f"{count:,}")
    table.add_row("points", f"{record['points']:,}")
    table.add_row("CPU time so far", duration(record["cpu_s"]))
    if record["left_cpu_s"]:
        table.add_row("CPU time left, about", duration(record["left_cpu_s"]))
    return table


def table(path: Path, csv_file: Path | None, *, as_json: bool) -> None:
    """Write the table of a study anew, and say or print what it has."""
    from phasewise.bench.study.folder import StudyFolder
    from phasewise.bench.study.table import columns_of, write_csv, write_table

    folder = StudyFolder(path)
    states = folder.states(folder.points())
    written = write_table(folder, states)
    if csv_file is not None:
        write_csv(csv_file, states)
    if as_json:
        columns = columns_of(states)
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        click.echo(json.dumps(rows))
        return
    console().print(_points_table(states))
    for name in [written, *([csv_file] if csv_file is not None else [])]:
        click.echo(f"table: {name}")


def _points_table(states: list[State]) -> Table:
    """Return a few figures of every point, as a table for people."""
    from rich.table import Table

    keys = list(dict.fromkeys(key for state in states for key in state.point.overrides))
    shown = Table()
    for key in ("point", *keys, "status"):
        shown.add_column(key, overflow="fold")
    figures = ("avg_jct_s", "utilization", "alloc_pct", "frag_pct_of_total")
    there = [name for name in figures if any(state.summary.get(name) is not None for state in states)]
    for name in (*there, "CPU s"):
        shown.add_column(name, justify="right")
    for state in states:
        told = [str(state.point.overrides.get(key, "")) for key in keys]
        values = [state.summary.get(name) for name in there] + [state.cpu_s]
        cells = ["" if value is None else f"{value:,.4g}" for value in values]
        shown.add_row(state.point.name, *told, state.status, *cells)
    return shown
