"""How completion times, waits and fairness are distributed over the jobs of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from phasewise.reports.charts import Axis
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files.model import Figure, Floats, Panel, Series
from phasewise.reports.figure_files.sources import RunGroup, Sources, few_enough
from phasewise.reports.palette import cycle_colour
from phasewise.reports.quantities import number
from phasewise.reports.run_directory import Run

SHORT: Final = 0.8  # the share of jobs with the least work that are called short, as four fifths of Gavel's are
_HOUR_S: Final = 3600.0
# Sizes by the GPUs that a job asks for, in thousandths: the class ends where the next begins.
_SIZES: Final = (("part of a GPU", 1), ("1 GPU", 1000), ("2 to 4 GPUs", 1001), ("more than 4 GPUs", 4001))
_BOUND: Final = (
    "A curve that ends below 100 %: the rest of its jobs had not come so far when the run ended, so that it is a lower "
    "bound."
)
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of a group of runs that count: those of the window, where there is one, but for refused and failed ones.

    Attributes
    ----------
    values
        (J,) what is shown of each, NaN where it has not come so far.
    """

    group: RunGroup
    values: Floats
    ideal_s: Floats
    demand_milli: Floats


def jct_cdf(sources: Sources) -> Figure:
    """Return the share of jobs over JCT, short and long jobs apart; all together where runs do not say a job's work."""
    groups = _jobs(sources, "jct-cdf", "jct_s", 1 / _HOUR_S)
    axis = Axis("JCT (h)", log=True)
    known = np.concatenate([each.ideal_s for each in groups])
    if np.isnan(known).any():
        panel = _panel("all", "All jobs", axis, groups, [np.ones(len(each.values), dtype=bool) for each in groups])
        notes = ["Short and long jobs are not told apart: the column ideal_s is missing (runs of schema 1)."]
    else:
        split = float(np.quantile(known, SHORT))
        short = [each.ideal_s <= split for each in groups]
        shown = f"{number(split / _HOUR_S, group=' ')} h"
        panels = [
            _panel("short", f"Short jobs (at most {shown} of work)", axis, groups, short),
            _panel("long", f"Long jobs (more than {shown} of work)", axis, groups, [~mask for mask in short]),
        ]
        work = "Work: the job's steps at its best rate on this cluster; short are the 80 % of all jobs with the least."
        return _figure("jct-cdf", "Job completion time", panels, [work])
    return _figure("jct-cdf", "Job completion time", [panel], notes)


def wait_cdf(sources: Sources) -> Figure:
    """Return the share of jobs over their wait from arrival to first start, a panel a size."""
    groups = _jobs(sources, "wait-cdf", "queued_s", 1 / _HOUR_S)
    _require(groups, "wait-cdf", "queued_s")
    panels = []
    ends = [first for _, first in _SIZES[1:]] + [np.inf]
    for (title, first), end in zip(_SIZES, ends, strict=True):
        masks = [(each.demand_milli >= first) & (each.demand_milli < end) for each in groups]
        if any(mask.any() for mask in masks):
            panels.append(_panel(title, title, Axis("Wait until first start (h)", log=True), groups, masks))
    return _figure("wait-cdf", "Wait in the queue", panels, [])


def rho_cdf(sources: Sources) -> Figure:
    """Return the share of jobs over finish-time fairness, with the worst and the share above 1."""
    groups = _jobs(sources, "rho-cdf", "rho", 1.0)
    _require(groups, "rho-cdf", "rho")
    notes = []
    for each in groups:
        done = each.values[np.isfinite(each.values)]
        notes.append(_worst(done) if len(done) else "no job complete")
    whole = [np.ones(len(each.values), dtype=bool) for each in groups]
    panel = _panel("rho", "", Axis("Finish-time fairness ρ", log=True), groups, whole, notes)
    what = "ρ: JCT over the time on an isolated share of the cluster (Themis); above 1, sharing hurt the job."
    return _figure("rho-cdf", "Finish-time fairness", [replace(panel, marks=[(1.0, "ρ = 1")])], [what])


def _worst(done: Floats) -> str:
    return f"worst {number(float(done.max()), group=' ')}, {100 * float((done > 1).mean()):.1f} % above 1"


def _jobs(sources: Sources, name: str, column: str, each: float) -> list[Jobs]:
    groups = sources.run_groups()
    few_enough(groups, name)
    return [_counted(group, column, each) for group in groups]


def _counted(group: RunGroup, column: str, each: float) -> Jobs:
    """Return the jobs of a group's runs that count, all runs together."""
    values, ideal_s, demand_milli = [], [], []
    for run in group.runs:
        counts = _counts(run)
        values.append(run.jobs.numbers(column)[counts] * each)
        ideal_s.append(run.jobs.numbers("ideal_s")[counts])
        demand_milli.append(_demand_milli(run)[counts])
    return Jobs(group, *(np.concatenate(of) for of in (values, ideal_s, demand_milli)))


def _counts(run: Run) -> Mask:
    status = run.jobs.strings("status")
    counts = np.array([each in {"complete", "active"} for each in status], dtype=bool)
    if run.summary.window is not None:
        first, end = run.summary.window
        job_id = run.jobs.numbers("job_id")
        counts &= (job_id >= first) & (job_id < end)
    return counts


def _demand_milli(run: Run) -> Floats:
    demand = run.jobs.numbers("demand_milli")
    return np.where(np.isnan(demand), run.jobs.numbers("gpu_milli"), demand)


def _require(groups: Sequence[Jobs], name: str, column: str) -> None:
    """Raise `FigureError` where a run knows the figure of none of its jobs."""
    for each in groups:
        if len(each.values) and not np.isfinite(each.values).any():
            raise FigureError(
                f"{name}: no job of {each.group.runs[0].path} has a {column}: no job came so far, or an earlier "
                "version wrote it (schema 1); `phasewise run` writes it"
            )


def _panel(
    key: str,
    title: str,
    axis: Axis,
    groups: Sequence[Jobs],
    masks: Sequence[Mask],
    notes: Sequence[str] = (),
) -> Panel:
    series = [
        _curve(each, mask, cycle_colour(index), notes[index] if notes else "")
        for index, (each, mask) in enumerate(zip(groups, masks, strict=True))
    ]
    return Panel(key, title, axis, Axis("Jobs (%)", low=0.0, high=100.0), series)


def _curve(jobs: Jobs, mask: Mask, colour: str, note: str) -> Series:
    """Return the share of the masked jobs, of all of them, that came to at most each value."""
    chosen = jobs.values[mask]
    done = np.sort(chosen[np.isfinite(chosen)])
    share = 100.0 * np.arange(1, len(done) + 1) / max(1, len(chosen))
    last = np.append(done[1:] != done[:-1], True) if len(done) else np.zeros(0, dtype=bool)  # of equal values
    count = np.full(int(last.sum()), float(len(done)))
    return Series(
        jobs.group.label,
        done[last],
        share[last],
        colour,
        "steps",
        n=count,
        of=np.full(len(count), float(len(chosen))),
        keys=jobs.group.keys,
        note=note,
    )


def _figure(name: str, title: str, panels: Sequence[Panel], notes: Sequence[str]) -> Figure:
    ends = [item.y[-1] for panel in panels for item in panel.series if len(item.y)]
    if not ends:
        raise FigureError(f"{name}: none of the counted jobs has got that far in any of the runs")
    return Figure(name, title, panels, notes).with_notes(_BOUND if min(ends) < 99.999 else "")
