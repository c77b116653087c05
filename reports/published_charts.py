"""The charts of the published page: cost and shares over active jobs, what-if, memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from phasewise.reports import palette, phase_costs
from phasewise.reports.charts import Axis, Chart, Series
from phasewise.reports.phase_costs import ALL, SPEED_UPS
from phasewise.reports.publication import Figure, Memory, Replay
from phasewise.reports.published_views import ScaleView, WhatIf, peaks_of, size_shares, top_share

MOST_LINES = 6  # of the what-if chart: the phases that matter
_MARKED = (*SPEED_UPS, 100.0)  # where the what-if chart shows intervals
_TIMES = np.unique(np.concatenate([np.geomspace(1.0, 100.0, 41).round(6), _MARKED]))


def charts(view: ScaleView) -> dict[str, Chart]:
    """Return the charts of a scale by what they show, those whose figures were measured."""
    found: dict[str, Chart] = {}
    if view.growth:
        found |= {"growth": cost_over_jobs(view), "shares": shares_over_jobs(view)}
    if view.what_if:
        found["what_if"] = gains(view)
    if view.publication.runs:
        found["memory"] = memory(view.key, view.title, view.publication.runs.memory)
    return found


Ends = list[float] | None


def whiskers(view: ScaleView) -> dict[str, list[list[Ends]]]:
    """Return the intervals of the charts that have some: by chart, a list a series of [low, high] a point, or None."""
    found: dict[str, list[list[Ends]]] = {}
    if view.growth:
        found[f"{view.key}-growth"] = [[[cost.low, cost.high] for cost in row.cost_ms] for row in view.growth]
    if view.what_if:
        found[f"{view.key}-whatif"] = [[_gain(row.share, times) for times in _TIMES] for row in _most(view)]
    return found


def _gain(share: Figure, times: float) -> Ends:
    """Return the ends of a gain, rounded as the chart is, at the times that are marked."""
    if times not in _MARKED:
        return None
    gain = phase_costs.what_if(share, times)
    return [float(f"{gain.low:.5g}"), float(f"{gain.high:.5g}")]


def _most(view: ScaleView) -> tuple[WhatIf, ...]:
    return view.what_if[:MOST_LINES]


def _jobs_axis(jobs: list[float]) -> Axis:
    return Axis("Active jobs (logarithmic)", log=True, low=jobs[0] / 1.06, high=jobs[-1] * 1.06)


def cost_over_jobs(view: ScaleView) -> Chart:
    """Return the cost of each phase over active jobs, both logarithmic, so that a power law is a line."""
    jobs = [size.jobs for size in view.publication.growth.sizes] if view.publication.growth else []
    series = [
        Series(
            row.name if row.name != ALL else "all phases",
            "ink" if row.name == ALL else palette.phase_colour(row.name),
            np.array([cost.estimate for cost in row.cost_ms]),
            "ms",
            dash=row.name == ALL,
        )
        for row in view.growth
    ]
    return Chart(
        f"{view.key}-growth",
        f"{view.title}: cost of a round over active jobs",
        "Median stretch of rounds and its 95 % interval. A slope of one decade a decade is an exponent of 1.",
        _jobs_axis(jobs),
        Axis("CPU time per round (ms, logarithmic)", log=True),
        np.array(jobs),
        series,
        height=400,
    )


def shares_over_jobs(view: ScaleView) -> Chart:
    """Return the shares of the phases over active jobs, stacked."""
    sizes = view.publication.growth.sizes if view.publication.growth else []
    by_size = [phase_costs.shares(size) for size in sizes]
    small, large = (top_share(size_shares(size)) for size in (sizes[0], sizes[-1]))
    told = f"Largest: {small} at the left, {large} at the right."
    series = [
        Series(name, palette.phase_colour(name), np.array([100.0 * each[name] for each in by_size]), "%", "area")
        for name in by_size[0]
    ]
    jobs = [size.jobs for size in sizes]
    return Chart(
        f"{view.key}-shares",
        f"{view.title}: shares of a round over active jobs",
        f"From the same study. {told}",
        Axis("Active jobs (logarithmic)", log=True, low=jobs[0], high=jobs[-1]),
        Axis("Share of CPU time (%)", low=0.0, high=100.0),
        np.array(jobs),
        series,
        stacked=True,
        height=400,
    )


def gains(view: ScaleView) -> Chart:
    """Return the speed-up of the run over how many times faster a phase gets."""
    series = [
        Series(
            row.name,
            palette.phase_colour(row.name),
            np.array([phase_costs.speed_up(row.share.estimate, times) for times in _TIMES]),
            "times",
        )
        for row in _most(view)
    ]
    return Chart(
        f"{view.key}-whatif",
        f"{view.title}: what if one phase were faster",
        f"Amdahl's law from the measured shares, with 95 % intervals; the {len(series)} phases with most to gain.",
        Axis("Speed-up of the phase (logarithmic)", log=True, low=1.0, high=105.0),
        Axis("Speed-up of the run"),
        _TIMES,
        series,
        height=320,
    )


def memory(key: str, title: str, seen: Memory) -> Chart:
    """Return resident memory over the rounds of a run."""
    grown = "" if seen.growth is None else f" From round 1,000 to the end it changed by {seen.growth * 100:+.2f} %."
    return Chart(
        f"{key}-memory",
        f"{title}: resident memory",
        f"{peaks_of(seen).capitalize().replace('mib', 'MiB')}.{grown}",
        Axis("Round"),
        Axis("Resident memory (MiB)", low=0.0),
        np.array(seen.round, dtype=float),
        [Series("resident", "blue", np.array(seen.rss_mib), "MiB")],
    )


def share_cells(views: Sequence[ScaleView]) -> Sequence[Sequence[object]]:
    """Return the shares of a round for a file: a head, then a row a scale and phase with estimate and interval."""
    head = ["scale", "phase", "share of CPU time", "low", "high", "CPU per round (ms)", "low (ms)", "high (ms)"]
    return [
        head,
        *(
            [view.title, phase.name, *_ends(phase.share), *_ends(phase.cpu_ms)]
            for view in views
            for phase in view.phases
        ),
    ]


def solver_cells(replay: Replay) -> Sequence[Sequence[object]]:
    """Return the costs of the backends on a tape for a file: a head, then a row a backend."""
    head = ["backend", *(f"{what} (ms){end}" for what in ("build", "solve", "both") for end in ("", ", low", ", high"))]
    return [
        head,
        *([row.solver, *_ends(row.build_ms), *_ends(row.solve_ms), *_ends(row.total_ms)] for row in replay.rows),
    ]


def _ends(figure: Figure) -> tuple[float, float, float]:
    return figure.estimate, figure.low, figure.high
