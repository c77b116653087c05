"""The scales that are published: which run stands for each, and at which sizes and on which solvers it is studied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from phasewise.bench.suite_tapes import Scale

Overrides = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Sweep:
    """The growth study of a scale.

    Attributes
    ----------
    at
        The overrides of a size, given as a multiple.
    sizes
        Multiples, ascending.
    rounds
        Of each size, the warm-up included.
    warm_up
        Rounds that do not count: the jobs of the start arrive, and the first solve starts from nothing.
    """

    at: Callable[[float], Overrides]
    sizes: tuple[float, ...]
    rounds: int
    warm_up: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured at a scale.

    Attributes
    ----------
    overrides, repeats
        Of the run that stands for the scale, and how often it is made.
    solvers
        Problems of the tape by backend; fewer for what takes longer.
    left_out
        Why a backend is not among them.
    profiled_rounds
        Of the runs under profilers; few enough for small files.
    """

    title: str
    overrides: Overrides
    repeats: int
    sweep: Sweep
    solvers: Mapping[str, int]
    profiled_rounds: int
    left_out: Mapping[str, str]


def _philly(times: float) -> Overrides:
    """Return the load of the benchmark suite, at so many times its GPUs, jobs and arrivals."""
    gpus = 4 * round(9 * times)  # of each type, whole nodes
    return {
        "cluster.gpus.v100": gpus,
        "cluster.gpus.p100": gpus,
        "cluster.gpus.k80": gpus,
        "workload.initial_jobs": round(130 * times),
        "workload.rate_per_hour": 15.0 * times,
    }


def _alibaba(times: float) -> Overrides:
    """Return so many copies of the machines, and as many times the jobs and the arrivals."""
    return {
        "cluster.copies": round(times),
        "workload.initial_jobs": round(1700 * times),
        "workload.rate_per_hour": 60.0 * times,
    }


_OTHER_FAMILY: Final = {
    "by-kinds": "solves problems of jobs that share GPUs in pairs only, and the tape has none",
    "water-filling": "solves lexicographic problems only, and the tape has none: see auto",
}
_TOO_LARGE: Final = "compiles for 12,288 entries (slots x types) at most, and these problems have more"

PLANS: Final[Mapping[Scale, Plan]] = {
    Scale.PHILLY: Plan(
        "Philly scale",
        {},
        repeats=7,
        sweep=Sweep(_philly, (1, 2, 3, 4, 6, 8, 16), rounds=140, warm_up=40),
        solvers={
            "auto": 60,
            "structured": 60,
            "highs-direct": 60,
            "highs-warm": 60,
            "single-type": 60,
            "cvxpy-dpp:CLARABEL": 25,
            "cvxpy-dpp:ECOS": 25,
            "cvxpy-dpp:HIGHS": 25,
            "cvxpy-dpp:SCS": 25,
            "cvxpy-fresh:CLARABEL": 25,
            "cvxpy-fresh:ECOS": 25,
            "cvxpy-fresh:HIGHS": 25,
            "cvxpy-fresh:SCS": 25,
        },
        profiled_rounds=500,
        left_out=_OTHER_FAMILY,
    ),
    Scale.ALIBABA: Plan(
        "Alibaba scale",
        {"stop.rounds": 600},
        repeats=3,
        sweep=Sweep(_alibaba, (1, 2, 3, 4, 6, 8), rounds=70, warm_up=10),
        solvers={
            "auto": 60,
            "structured": 60,
            "highs-warm": 30,
            "highs-direct": 15,
            "single-type": 60,
            "cvxpy-fresh:CLARABEL": 6,
            "cvxpy-fresh:ECOS": 6,
            "cvxpy-fresh:HIGHS": 6,
            "cvxpy-fresh:SCS": 4,  # 2 to 20 s each
        },
        profiled_rounds=60,
        left_out={"cvxpy-dpp": _TOO_LARGE, **_OTHER_FAMILY},
    ),
}
SWEEP_COMMON: Final[Overrides] = {"stop.window": "none", "output.trace": "false"}
