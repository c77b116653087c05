"""A study from its definition to its table: run what is missing, whatever is there already."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from phasewise.bench.study.costs import Costs
from phasewise.bench.study.definition import Definition
from phasewise.bench.study.executors.api import Callbacks, Executor
from phasewise.bench.study.folder import State, StudyFolder
from phasewise.bench.study.points import Point, points_of, require_names
from phasewise.bench.study.table import write_table
from phasewise.reports.errors import ReportError

STUDIES: Final = Path("studies")
FIGURES: Final = "phasewise.reports.figure_files"


@dataclass(frozen=True, slots=True)
class Task:
    """What a call of `run_study` has to do.

    Attributes
    ----------
    points
        Every point of the study.
    left
        Those that are not done.
    costs
        What the others took.
    """

    points: list[Point]
    left: list[Point]
    costs: Costs


def default_folder(definition: Definition) -> Path:
    """Return the folder of a study for which none is named."""
    return STUDIES / definition.study.name


def task_of(definition: Definition, folder: StudyFolder) -> Task:
    """Return what is left to do; raises `StudyError` as `points_of`."""
    points, costs = points_of(definition), Costs()
    require_names(points)
    states = folder.states(points)
    for state in states:
        if state.done and state.cpu_s is not None:
            costs.note(state.point, state.cpu_s)
    return Task(points, [state.point for state in states if not state.done], costs)


def run_study(
    definition: Definition,
    folder: StudyFolder,
    executor: Executor,
    begin: Callable[[Task], Callbacks] = lambda _: Callbacks(),
) -> list[State]:
    """Do every point of a study that is not done, and return what became of all.

    Parameters
    ----------
    begin
        Called with what there is to do; returns what is told, and asked, meanwhile.

    Raises
    ------
    StudyError
        Where the study is wrong, or another command runs it; nothing was written.
    OutputError
        Where its files cannot be written.
    KeyboardInterrupt
        Where it was interrupted; what was computed is saved, and the table says what there is.
    """
    task = task_of(definition, folder)
    with folder.held():
        folder.write_plan(definition, task.points)
        tell = begin(task)
        try:
            if task.left:
                executor.perform(task.left, folder.run_path, task.costs, tell)
        finally:
            states = [folder.state(point) for point in task.points]
            write_table(folder, states)
        draw(definition, folder, tell.say)
        _write_page(folder, tell.say)
    return states


def _write_page(folder: StudyFolder, say: Callable[[str], None]) -> None:
    """Write the study's page; where that cannot be, say so: its points and its table are what counts."""
    from phasewise.reports import study_page

    try:
        study_page.write(folder.path)
    except ReportError as error:
        say(f"no page: {error}")


def draw(definition: Definition, folder: StudyFolder, say: Callable[[str], None]) -> list[Path]:
    """Draw the figures that a study names, and return their files; where that cannot be, say so in a line each."""
    drawn: list[Path] = []
    names = definition.figures.names
    if not names:
        return drawn
    try:
        figure_files = importlib.import_module(FIGURES)
    except ModuleNotFoundError as error:
        say(f"no figures ({', '.join(names)}): {error.name} is missing (pip install 'phasewise[plots]')")
        return drawn
    for name in names:
        try:
            drawn += figure_files.make(name, [folder.path], folder.figures)
        except (ReportError, ModuleNotFoundError) as error:
            say(f"no figure {name}: {error}")
    return drawn
