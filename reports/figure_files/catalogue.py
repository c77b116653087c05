"""Every figure by name: what it shows, what it is made of, and who makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from phasewise.profiling.names import nearest, quoted
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files.distributions import jct_cdf, rho_cdf, wait_cdf
from phasewise.reports.figure_files.fills import fragmentation
from phasewise.reports.figure_files.growth import round_cost
from phasewise.reports.figure_files.model import Figure
from phasewise.reports.figure_files.replays import solve_time
from phasewise.reports.figure_files.sources import Kind, Sources
from phasewise.reports.figure_files.splits import quality_over_time
from phasewise.reports.figure_files.sweeps import jct_vs_rate
from phasewise.reports.figure_files.time_lines import usage
from phasewise.reports.figure_files.totals import lost_time, makespan

_RUNS: Final[frozenset[Kind]] = frozenset({"study", "runs"})


@dataclass(frozen=True, slots=True)
class Definition:
    """A figure: its name, what it shows in one line, the kinds of paths it is made of, and the function."""

    name: str
    shows: str
    made_of: frozenset[Kind]
    make: Callable[[Sources], Figure]


FIGURES: Final = {
    each.name: each
    for each in (
        Definition(
            "jct-vs-rate",
            "mean JCT over arrival rate, or over round length, from a study",
            frozenset({"study"}),
            jct_vs_rate,
        ),
        Definition("jct-cdf", "share of jobs over JCT, short and long jobs separately", _RUNS, jct_cdf),
        Definition("wait-cdf", "share of jobs over their wait until the first start, by size", _RUNS, wait_cdf),
        Definition(
            "rho-cdf", "share of jobs over finish-time fairness, the worst and the share above 1", _RUNS, rho_cdf
        ),
        Definition("makespan", "makespan, cost and missed SLOs", _RUNS, makespan),
        Definition("usage", "utilisation, waiting and active jobs over time", _RUNS, usage),
        Definition("lost-time", "GPU time by what it was spent on, or lost to", _RUNS, lost_time),
        Definition(
            "fragmentation",
            "fragmentation, unallocated GPUs and occupied nodes over demand",
            frozenset({"study", "fills"}),
            fragmentation,
        ),
        Definition(
            "solve-time", "CPU time of solving over jobs, cold and warm, and the gap", frozenset({"replay"}), solve_time
        ),
        Definition("round-cost", "CPU time of a round over active jobs, by phase", _RUNS, round_cost),
        Definition(
            "quality-over-time",
            "what is missing of the optimum over CPU time, of problems whole and in parts",
            frozenset({"splits"}),
            quality_over_time,
        ),
    )
}


def names() -> list[str]:
    """Return the names of the figures there are."""
    return list(FIGURES)


def definition(name: str) -> Definition:
    """Return the figure of that name; raises `FigureError` with those that there are."""
    if name not in FIGURES:
        raise FigureError(f"there is no figure {quoted(name)}{nearest(name, names())}; allowed: {', '.join(names())}")
    return FIGURES[name]
