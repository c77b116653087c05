"""Mean JCT over the rate at which jobs arrive, from a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from phasewise.reports.charts import Axis
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files.model import CENSORED, COMPLETE, OVERLOADED, STATES, Figure, Floats, Panel, Series
from phasewise.reports.figure_files.seeds import mean_of_seeds, row_states, worst
from phasewise.reports.figure_files.sources import Sources, few_enough
from phasewise.reports.figure_files.studies import RATE, Group, Study
from phasewise.reports.palette import cycle_colour

NAME: Final = "jct-vs-rate"
PANEL: Final = "jct"
_HOUR_S: Final = 3600.0


def jct_vs_rate(sources: Sources) -> Figure:
    """Return mean JCT over arrival rate: a line a group of points that differ in rate and seed alone.

    A point is the mean over its seeds, with a Student interval, where every one of its runs has finished its window.
    Where one has not, it is marked, and its value is a lower bound: the jobs of those runs that were not over count
    with their age at the end.

    Raises
    ------
    FigureError
        Where the study varies no rate, or has no JCT.
    """
    lines: list[tuple[Study, Group]] = [
        (study, group) for study in sources.studies for group in _checked(study).groups(apart_from=(RATE,))
    ]
    few_enough(lines, NAME)
    several = len(sources.studies) > 1
    series = [
        _line(study, group, cycle_colour(index), f"{study.name}: {group.label}" if several else group.label)
        for index, (study, group) in enumerate(lines)
    ]
    if not any(len(item.x) for item in series):
        raise FigureError(f"{NAME}: no point of {sources.studies[0].path} has a mean JCT yet")
    shown = {state for item in series for state in item.states()}
    notes = [f"{_MARKS[state]}: {STATES[state]}." for state in (CENSORED, OVERLOADED) if state in shown]
    missing = sum(int(np.isnan(mean_jct_h(study)).sum()) for study in sources.studies)
    return Figure(
        NAME,
        "Mean JCT over arrival rate",
        [Panel(PANEL, "", Axis("Arrival rate (jobs/h)"), Axis("Mean JCT (h)", low=0.0), series)],
        [
            "Bars: 95 % Student intervals of the mean over seeds.",
            *_windows(sources.studies),
            *notes,
            *([f"{missing} points have no mean: they failed, or no job that counts was completed."] if missing else []),
        ],
    )


def _windows(studies: Sequence[Study]) -> list[str]:
    """Return over which jobs the means are: a short form of a study counts others than what is laid over it."""
    windows = dict.fromkeys(study.window for study in studies if study.window is not None)
    return [f"Means over jobs {first:,} to {end - 1:,}." for first, end in windows]


_MARKS: Final[Mapping[str, str]] = {CENSORED: "Hollow marks", OVERLOADED: "Hollow triangles"}


def _checked(study: Study) -> Study:
    if RATE not in study.overrides:
        raise FigureError(
            f"{study.path}: varies no {RATE}; {NAME} needs a study that does (it varies "
            f"{', '.join(study.varied) or 'nothing'})"
        )
    if "avg_jct_s" not in study.table:
        raise FigureError(f"{study.path}: its table has no column avg_jct_s, which {NAME} shows")
    return study


def mean_jct_h(study: Study) -> Floats:
    """Return (P,) mean JCT in hours; of a point whose window is not done, its lower bound where that is known."""
    mean, bound = study.numbers("avg_jct_s"), study.numbers("avg_jct_lower_bound_s")
    whole = np.array([state == COMPLETE for state in row_states(study)])
    return np.where(whole | np.isnan(bound), mean, bound) / _HOUR_S


def _line(study: Study, group: Group, colour: str, label: str) -> Series:
    rate, value, states = study.numbers(RATE), mean_jct_h(study), row_states(study)
    rows = np.array(group.rows)
    points = [rows[(rate[rows] == at) & np.isfinite(value[rows])] for at in np.unique(rate[rows])]
    points = [of for of in points if len(of)]
    state = [worst([states[row] for row in of]) for of in points]
    ends = [mean_of_seeds(value[of]) for of in points]
    clean = np.array([each == COMPLETE for each in state])
    return Series(
        label,
        np.array([rate[of[0]] for of in points]),
        np.array([end.estimate for end in ends]),
        colour,
        "points",
        low=np.where(clean, [end.low for end in ends], np.nan),  # of a bound there is no interval
        high=np.where(clean, [end.high for end in ends], np.nan),
        n=np.array([sum(states[row] == COMPLETE for row in of) for of in points], dtype=np.float64),
        of=_planned(rate, rows, points),
        state=state,
        keys=group.keys,
    )


def _planned(rate: Floats, rows: np.ndarray, points: Sequence[np.ndarray]) -> Floats:
    """Return (P,) how many runs the study has at the rate of each point."""
    return np.array([int((rate[rows] == rate[of[0]]).sum()) for of in points], dtype=np.float64)
