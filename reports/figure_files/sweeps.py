"""Mean JCT over what a study varies: the rate at which jobs arrive, or the length of a round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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
ROUND: Final = "timing.round_s"
MECHANISM: Final = "timing.mechanism"
_IDEAL: Final = "ideal"
_HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a study's x axis is: the key that it varies, what its values are times, and the axis."""

    key: str
    each: float
    over: str
    axis: Axis


_SWEEPS: Final = {
    each.key: each
    for each in (
        Sweep(RATE, 1.0, "arrival rate", Axis("Arrival rate (jobs/h)")),
        Sweep(ROUND, 1.0 / 60.0, "the length of a round", Axis("Length of a round (min)", log=True)),
    )
}


def sweep_of(study: Study) -> Sweep:
    """Return what mean JCT is shown over: what `[figures] x` of the study names, or else the rate.

    Raises
    ------
    FigureError
        Where the study does not vary it, or it is nothing that mean JCT is shown over.
    """
    key = study.figures_x or RATE
    if key not in _SWEEPS:
        raise FigureError(f"{study.path}: [figures] x is {key}; {NAME} allows {', '.join(_SWEEPS)}")
    if key not in study.overrides:
        raise FigureError(
            f"{study.path}: varies no {key}; {NAME} needs a study that does (it varies "
            f"{', '.join(study.varied) or 'nothing'})"
        )
    return _SWEEPS[key]


def jct_vs_rate(sources: Sources) -> Figure:
    """Return mean JCT over arrival rate, or round length: a line a group of points that differ in it and seed alone.

    A point is the mean over its seeds, with a Student interval, where every one of its runs has finished its window.
    Where one has not, it is marked, and its value is a lower bound: the jobs of those runs that were not over count
    with their age at the end. Over the length of a round, runs without rounds are a level of their own.

    Raises
    ------
    FigureError
        Where a study varies nothing of the kind, studies vary different things, or there is no JCT.
    """
    sweeps = [_checked(study) for study in sources.studies]
    if len({sweep.key for sweep in sweeps}) > 1:
        raise FigureError(f"{NAME}: the studies given are over {' and '.join(sweep.key for sweep in sweeps)}")
    sweep = sweeps[0]
    lines = [(study, group) for study in sources.studies for group in groups_of(study, sweep)]
    few_enough(lines, NAME)
    several = len(sources.studies) > 1
    series: list[Series] = []
    for index, (study, group) in enumerate(lines):
        label = f"{study.name}: {group.label}" if several else group.label
        series += _lines(study, sweep, group, cycle_colour(index), label)
    if not any(len(item.x) for item in series):
        raise FigureError(f"{NAME}: no point of {sources.studies[0].path} has a mean JCT yet")
    return Figure(
        NAME,
        f"Mean JCT over {sweep.over}",
        [Panel(PANEL, "", sweep.axis, Axis("Mean JCT (h)", low=0.0), series)],
        _notes(sources.studies, series),
    )


def groups_of(study: Study, sweep: Sweep) -> list[Group]:
    """Return the points that differ in their seed and in what they are swept over alone."""
    return study.groups(apart_from=(sweep.key, *([MECHANISM] if sweep.key == ROUND else [])))


def places(study: Study, sweep: Sweep) -> Floats:
    """Return (P,) where each point stands on the x axis; NaN for a run without rounds over the length of one."""
    x = study.numbers(sweep.key) * sweep.each
    return np.where(_without_rounds(study, sweep), np.nan, x)


def _without_rounds(study: Study, sweep: Sweep) -> np.ndarray:
    if sweep.key != ROUND or MECHANISM not in study.overrides:
        return np.zeros(len(study.table), np.bool_)
    return np.array([text == _IDEAL for text in study.texts(MECHANISM)])


def _notes(studies: Sequence[Study], series: Sequence[Series]) -> list[str]:
    shown = {state for item in series for state in item.states()}
    missing = sum(int(np.isnan(mean_jct_h(study)).sum()) for study in studies)
    return [
        "Bars: 95 % Student intervals of the mean over seeds.",
        *_windows(studies),
        *(f"{_MARKS[state]}: {STATES[state]}." for state in (CENSORED, OVERLOADED) if state in shown),
        *([f"{missing} points have no mean: they failed, or none of the counted jobs completed."] if missing else []),
    ]


def _windows(studies: Sequence[Study]) -> list[str]:
    """Return over which jobs the means are: a short form of a study counts others than what is laid over it."""
    windows = dict.fromkeys(study.window for study in studies if study.window is not None)
    return [f"Means over jobs {first:,} to {end - 1:,}." for first, end in windows]


_MARKS: Final[Mapping[str, str]] = {CENSORED: "Hollow marks", OVERLOADED: "Hollow triangles"}


def _checked(study: Study) -> Sweep:
    sweep = sweep_of(study)
    if "avg_jct_s" not in study.table:
        raise FigureError(f"{study.path}: its table has no column avg_jct_s, which {NAME} shows")
    return sweep


def mean_jct_h(study: Study) -> Floats:
    """Return (P,) mean JCT in hours; of a point whose window is not done, its lower bound where that is known."""
    mean, bound = study.numbers("avg_jct_s"), study.numbers("avg_jct_lower_bound_s")
    whole = np.array([state == COMPLETE for state in row_states(study)])
    return np.where(whole | np.isnan(bound), mean, bound) / _HOUR_S


def _lines(study: Study, sweep: Sweep, group: Group, colour: str, label: str) -> list[Series]:
    """Return the line of a group, and, where it has runs without rounds, their level across all of it."""
    x, rows = places(study, sweep), np.array(group.rows)
    swept, level = rows[~np.isnan(x[rows])], rows[_without_rounds(study, sweep)[rows]]
    made = [_line(study, group, x, swept, colour, label)] if len(swept) else []
    if not len(level):
        return made
    ends = np.array([np.nanmin(x), np.nanmax(x)]) if np.isfinite(x).any() else np.ones(1)
    found = _line(study, group, np.zeros(len(x)), level, colour, f"{label}, {_IDEAL}")
    if len(found.x):
        made.append(_across(found, ends))
    return made


def _across(point: Series, x: Floats) -> Series:
    """Return a series of one point as a level from end to end."""
    return replace(
        point,
        x=x,
        y=np.repeat(point.y, len(x)),
        look="line",
        low=_repeated(point.low, len(x)),
        high=_repeated(point.high, len(x)),
        n=_repeated(point.n, len(x)),
        of=_repeated(point.of, len(x)),
        state=list(point.state) * len(x),
    )


def _repeated(values: Floats | None, times: int) -> Floats | None:
    return None if values is None else np.repeat(values, times)


def _line(study: Study, group: Group, x: Floats, rows: np.ndarray, colour: str, label: str) -> Series:
    """Return the means of rows (K,) of a study's table by where they stand, (P,) ``x``."""
    value, states = mean_jct_h(study), row_states(study)
    points = [rows[(x[rows] == at) & np.isfinite(value[rows])] for at in np.unique(x[rows])]
    points = [of for of in points if len(of)]
    state = [worst([states[row] for row in of]) for of in points]
    ends = [mean_of_seeds(value[of]) for of in points]
    clean = np.array([each == COMPLETE for each in state])
    return Series(
        label,
        np.array([x[of[0]] for of in points]),
        np.array([end.estimate for end in ends]),
        colour,
        "points",
        low=np.where(clean, [end.low for end in ends], np.nan),  # of a bound there is no interval
        high=np.where(clean, [end.high for end in ends], np.nan),
        n=np.array([sum(states[row] == COMPLETE for row in of) for of in points], dtype=np.float64),
        of=_planned(x, rows, points),
        state=state,
        keys=group.keys,
    )


def _planned(x: Floats, rows: np.ndarray, points: Sequence[np.ndarray]) -> Floats:
    """Return (P,) how many runs the study has where each point stands."""
    return np.array([int((x[rows] == x[of[0]]).sum()) for of in points], dtype=np.float64)
