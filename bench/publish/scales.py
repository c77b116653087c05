"""The scales that are published: which run stands for each, and at which sizes and on which solvers it is studied."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from phasewise.bench.publish import million
from phasewise.bench.suite_tapes import Scale
from phasewise.profiling.phases import Phase

Overrides = Mapping[str, object]
WORK: Final = Path(".bench") / "reports"


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
    turns
        How often all sizes are run, one after another: a machine that is slower for a while weighs on several of them.
    prepare
        Makes the files that the overrides of a size name.
    """

    at: Callable[[float], Overrides]
    sizes: tuple[float, ...]
    rounds: int
    warm_up: int
    turns: int = 1
    prepare: Callable[[float], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Check:
    """The what-if that is checked: this phase is made dear in so many pairs of runs, at 1 times the sweep."""

    phase: Phase
    pairs: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Tape:
    """The problems that the backends are compared on.

    Attributes
    ----------
    scale
        Of the tape of the benchmark suite.
    solvers
        Problems by backend; fewer for what takes longer.
    left_out
        Why a backend is not among them.
    """

    scale: Scale
    solvers: Mapping[str, int]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured at a scale.

    Attributes
    ----------
    scenario, overrides, repeats
        The run that stands for the scale, and how often it is made.
    sweep, check
        The growth study, and the what-if that is checked.
    profiled_rounds
        Of the runs under profilers; few enough for small files.
    tape
        None where the scale has none.
    prepare
        Makes the files that the overrides name.
    absent
        Why a part is not measured, by its name.
    """

    title: str
    scenario: str
    overrides: Overrides
    repeats: int
    sweep: Sweep
    check: Check
    profiled_rounds: int
    tape: Tape | None = None
    prepare: Callable[[], None] = lambda: None
    absent: Mapping[str, str] = field(default_factory=dict)


def _philly(times: float) -> Overrides:
    """Return so many times the GPUs, the jobs of the steady state and the arrivals."""
    gpus = 4 * round(9 * times)  # of each type, whole nodes
    return {
        "cluster.gpus.v100": gpus,
        "cluster.gpus.p100": gpus,
        "cluster.gpus.k80": gpus,
        "workload.initial_jobs": round(100 * times),
        "workload.rate_per_hour": 5.2 * times,
    }


def _alibaba(times: float) -> Overrides:
    """Return so many copies of the machines, and as many times the jobs and the arrivals."""
    return {
        "cluster.copies": round(times),
        "workload.initial_jobs": round(6600 * times),
        "workload.rate_per_hour": 175.0 * times,
    }


_NODE: Final = 8  # GPUs
_SWEPT_DAYS: Final = 3.0  # of the log, at each size: more than its rounds are


def _million(times: float, trace: Path) -> Overrides:
    """Return so many times 50,000 GPUs, in whole nodes, and the log ``trace``."""
    large, small = (_NODE * round(nodes * times) for nodes in (2500, 1875))
    return {
        "workload.trace": str(trace),
        "workload.reference_type": "v100",
        "policy.name": "max_min_fairness_perf",
        "solver.name": "auto",
        **{f"cluster.gpus.{name}": gpus for name, gpus in (("v100", large), ("p100", small), ("k80", small))},
        **{f"cluster.gpus_per_node.{name}": _NODE for name in ("v100", "p100", "k80")},
    }


def _part(times: float) -> Path:
    return WORK / f"million-{times:g}.parquet"


WHOLE: Final = WORK / "million.parquet"

_OTHER_FAMILY: Final = {
    "by-kinds": "solves problems of jobs that share GPUs in pairs only, and the tape has none",
    "water-filling": "solves lexicographic problems only, and the tape has none: see auto",
}
_TOO_LARGE: Final = "compiles for 12,288 entries (slots x types) at most, and these problems have more"

PLANS: Final[Mapping[str, Plan]] = {
    "philly": Plan(
        "Philly scale",
        "philly-busy",
        {},
        repeats=5,
        sweep=Sweep(_philly, (1, 2, 3, 4, 6, 8, 16), rounds=1320, warm_up=40, turns=2),
        check=Check(Phase.EVENT_COMPLETION, pairs=4, rounds=400),
        profiled_rounds=500,
        tape=Tape(
            Scale.PHILLY,
            {
                "auto": 60,
                "structured": 60,
                "highs-direct": 60,
                "highs-warm": 60,
                "single-type": 60,
                **{
                    f"cvxpy-{kind}:{solver}": 25
                    for kind in ("dpp", "fresh")
                    for solver in ("CLARABEL", "ECOS", "HIGHS", "SCS")
                },
            },
            _OTHER_FAMILY,
        ),
    ),
    "alibaba": Plan(
        "Alibaba scale",
        "alibaba-busy",
        {"stop.window": "none", "stop.rounds": 500},
        repeats=3,
        sweep=Sweep(_alibaba, (1, 2, 3, 4, 6, 8), rounds=70, warm_up=10),
        check=Check(Phase.WORKER_ASSIGNMENT, pairs=3, rounds=80),
        profiled_rounds=60,
        tape=Tape(
            Scale.ALIBABA,
            {
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
            {"cvxpy-dpp": _TOO_LARGE, **_OTHER_FAMILY},
        ),
    ),
    "million": Plan(
        "Million-job scale",
        "toy",
        {**_million(1, WHOLE), "stop.rounds": 3000},
        repeats=2,
        sweep=Sweep(
            lambda times: _million(times, _part(times)),
            (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1),
            rounds=600,
            warm_up=400,
            turns=3,
            prepare=lambda times: million.trace(_part(times), times, _SWEPT_DAYS),
        ),
        check=Check(Phase.EVENT_COMPLETION, pairs=2, rounds=400),
        profiled_rounds=200,
        prepare=lambda: million.trace(WHOLE),
        absent={
            "replay": "the backends are compared on the tapes of the two scales above; of those that lose there, some "
            "take seconds a problem, and here a run states thousands, each with three times the jobs",
            "auto": "its table is the same for all scales",
        },
    ),
}
SWEEP_COMMON: Final[Overrides] = {"stop.window": "none", "output.trace": "false"}
