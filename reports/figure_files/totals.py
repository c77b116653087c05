"""One figure a run: makespan, cost and missed SLOs by policy, and where GPU time went."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from phasewise.reports.charts import Axis
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files.model import CENSORED, COMPLETE, OVERLOADED, STATES, Figure, Floats, Panel, Series
from phasewise.reports.figure_files.seeds import mean_of_seeds, row_states, worst
from phasewise.reports.figure_files.sources import Sources, few_enough, unique
from phasewise.reports.figure_files.studies import Study
from phasewise.reports.run_directory import Run

MOST_BARS: Final = 24
TOTALS: Final = (
    ("makespan", "makespan_s", "Makespan (h)", 1 / 3600.0),
    ("cost", "cost", "Cost (as cluster.gpu_hour_prices)", 1.0),
    ("slo", "slo_misses", "Missed SLOs (jobs)", 1.0),
)
_CAUSES: Final = (
    ("useful", "steps", "blue"),
    ("migration", "migration", "pink"),
    ("round_end", "unfinished round", "orange"),
    ("fragmented", "fragmented", "vermilion"),
    ("no_work", "no work", "grey"),
    ("rest", "other idle time", "olive"),
)


@dataclass(frozen=True, slots=True)
class _Bar:
    """What is counted together under one name: columns of figures, and what each run is worth."""

    label: str
    keys: Mapping[str, str]
    states: Sequence[str]
    of: Callable[[str], Floats]


def makespan(sources: Sources) -> Figure:
    """Return makespan, cost and missed SLOs of runs, or of the points of a study that differ in their seed alone."""
    bars = _bars(sources)
    few_enough(bars, "makespan", MOST_BARS)
    panels, missing = [], []
    for key, column, title, each in TOTALS:
        panel = _panel(key, title, bars, column, each)
        if panel.series:
            panels.append(panel)
        else:
            missing.append(title.partition(" (")[0])
    if not panels:
        raise FigureError(f"makespan: none of the runs has one ({sources.inputs[0].path})")
    shown = {state for panel in panels for item in panel.series for state in item.states()}
    return Figure(
        "makespan",
        "Makespan, cost and missed SLOs",
        panels,
        [
            "Bars: 95 % Student intervals of the mean over seeds.",
            *(f"Hollow: {STATES[state]}." for state in (CENSORED, OVERLOADED) if state in shown),
            *([f"Not shown, as no run has it: {', '.join(missing)}."] if missing else []),
        ],
    )


def lost_time(sources: Sources) -> Figure:
    """Return how the GPU time of each run was spent, in per cent of all that its cluster offered.

    Raises
    ------
    FigureError
        Where a run does not say how GPU time was lost.
    """
    groups = sources.run_groups(one_seed=True)
    few_enough(groups, "lost-time", MOST_BARS)
    shares = [_spent(group.runs[0]) for group in groups]
    x = np.arange(len(groups), dtype=np.float64)
    series = []
    for key, label, colour in _CAUSES:
        values = np.array([share[key] for share in shares])
        if np.nansum(np.abs(values)) > 0:
            series.append(Series(label, x, values, colour, "bars"))
    unknown = [label for key, label, _ in _CAUSES if any(np.isnan(share[key]) for share in shares)]
    panel = Panel(
        "lost",
        "",
        Axis(""),
        Axis("GPU time (% of the total)", low=0.0, high=100.0),
        series,
        [group.label for group in groups],
        stacked=True,
    )
    notes = [f"Not told apart from other idle time: {', '.join(unknown)} (the runs do not say)."] if unknown else []
    return Figure("lost-time", "Where GPU time went", [panel], [*notes, *one_seed_note(sources)])


def one_seed_note(sources: Sources) -> list[str]:
    """Return what is to be said where one run stands for all seeds of a study's points."""
    return (
        ["Of a study, the first seed of each point."] if any(study.seeds() != [""] for study in sources.studies) else []
    )


def _bars(sources: Sources) -> list[_Bar]:
    labels = unique([run.name for run in sources.runs], [run.path for run in sources.runs])
    bars = [_of_run(run, label) for label, run in zip(labels, sources.runs, strict=True)]
    for study in sources.studies:
        states = row_states(study)
        for group in study.groups():
            of = partial(_values, study, np.array(group.rows))
            bars.append(_Bar(group.label, group.keys, [states[row] for row in group.rows], of))
    return bars


def _values(study: Study, rows: np.ndarray, column: str) -> Floats:
    return np.asarray(study.numbers(column)[rows], dtype=np.float64)


def _of_run(run: Run, label: str) -> _Bar:
    summary = run.summary
    unfinished = summary.censored or (summary.censored is None and run.status != "complete")
    state = OVERLOADED if run.status == "overloaded" else CENSORED if unfinished else COMPLETE

    def value(column: str) -> Floats:
        found = getattr(summary, column)
        return np.array([np.nan if found is None else float(found)])

    return _Bar(label, {}, [state], value)


def _panel(key: str, title: str, bars: Sequence[_Bar], column: str, each: float) -> Panel:
    points = []
    for index, bar in enumerate(bars):
        values = bar.of(column) * each
        there = np.isfinite(values)
        if there.any():
            state = worst([state for state, known in zip(bar.states, there, strict=True) if known])
            points.append((index, mean_of_seeds(values[there]), state, int(there.sum()), len(values)))
    if not points:
        return Panel(key, "", Axis(""), Axis(title), [])
    clean = np.array([state == COMPLETE for _, _, state, _, _ in points])
    series = Series(
        title.partition(" (")[0],
        np.array([float(index) for index, *_ in points]),
        np.array([end.estimate for _, end, *_ in points]),
        "blue",
        "points",
        low=np.where(clean, [end.low for _, end, *_ in points], np.nan),
        high=np.where(clean, [end.high for _, end, *_ in points], np.nan),
        n=np.array([float(n) for *_, n, _ in points]),
        of=np.array([float(of) for *_, of in points]),
        state=[state for _, _, state, _, _ in points],
    )
    return Panel(key, "", Axis(""), Axis(title, low=0.0), [series], [bar.label for bar in bars])


def _spent(run: Run) -> dict[str, float]:
    """Return the shares of a run's GPU time in per cent, NaN where a cause is not known; together they are 100."""
    lost, goodput, until = run.summary.lost_gpu_s, run.summary.goodput, run.summary.sim_time_s
    gpus = _gpus(run)
    if lost is None or not until or not gpus:
        raise FigureError(
            f"lost-time: {run.path} does not say how GPU time was lost: it has no round, or an earlier version wrote "
            "it (schema 1); `phasewise run` writes it"
        )
    causes = {key: getattr(lost, key) for key in ("migration", "round_end", "fragmented", "no_work")}
    share = {key: np.nan if value is None else 100.0 * value / (gpus * until) for key, value in causes.items()}
    held = float(np.nansum(run.jobs.numbers("gpu_s")))
    share["useful"] = 0.0 if goodput is None else 100.0 * goodput * held / (gpus * until)
    share["rest"] = max(0.0, 100.0 - float(np.nansum(list(share.values()))))
    return share


def _gpus(run: Run) -> int:
    """Return the GPUs of a run's cluster, 0 where it does not say."""
    pairs = run.layout.get("gpus_per_node") or ()
    if pairs:
        return int(sum(nodes * gpus for nodes, gpus in pairs))
    counts = run.section("cluster").get("gpus")
    return int(sum(counts.values())) if isinstance(counts, Mapping) else 0
