"""What the phases of a run cost a round, their shares, and what would follow if one of them cost less. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from phasewise.profiling.stats import (
    Interval,
    PowerLaw,
    block_means,
    fit_power_law,
    mean_interval,
    median_interval,
    ratio_interval,
)
from phasewise.reports.columns import ColumnTable
from phasewise.reports.figures import Floats, phase_column, phase_names
from phasewise.reports.publication import Figure, PhaseCost, Size

ALL: Final = "all"
BLOCKS: Final = 20  # stretches of rounds that a run is cut into
SPEED_UPS: Final = (2.0, 10.0)  # of a phase, besides a phase that is free
_MILLI: Final = 1e3


def figure(interval: Interval) -> Figure:
    """Return an interval as it is published."""
    return Figure(interval.low, interval.estimate, interval.high)


def cpu_blocks(rounds: ColumnTable, skip: int = 0, blocks: int = BLOCKS) -> dict[str, Floats]:
    """Return CPU milliseconds a round by phase and in `ALL`, (B,) means over stretches of rounds.

    Parameters
    ----------
    skip
        Rounds at the start that do not count.

    Raises
    ------
    phasewise.profiling.errors.SampleError
        Where no round is left.
    """
    by_phase = {
        name: block_means(_MILLI * rounds.numbers(phase_column(name, "cpu_"))[skip:], blocks)
        for name in phase_names(rounds)
        if phase_column(name, "cpu_") in rounds
    }
    return by_phase | {ALL: np.asarray(sum(by_phase.values()))}


def costs(tables: Sequence[ColumnTable]) -> list[PhaseCost]:
    """Return the phases of runs of one scenario, in the order of a round.

    The intervals are bootstraps over stretches of rounds, those of all runs together: they cover what differs from
    stretch to stretch and from run to run.
    """
    rng = np.random.default_rng(0)
    runs = [cpu_blocks(table) for table in tables]
    pooled = {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}
    return [
        PhaseCost(
            name,
            share=figure(ratio_interval(pooled[name], pooled[ALL], rng)),
            cpu_ms=figure(mean_interval(pooled[name], rng)),
            wall_ms=_MILLI * float(np.mean([table.numbers(phase_column(name)).mean() for table in tables])),
        )
        for name in phase_names(tables[0])
        if name in pooled
    ]


def round_ms(tables: Sequence[ColumnTable]) -> Figure:
    """Return CPU milliseconds a round, all phases together, with an interval as in `costs`."""
    pooled = np.concatenate([cpu_blocks(table)[ALL] for table in tables])
    return figure(mean_interval(pooled, np.random.default_rng(0)))


def typical_costs(tables: Sequence[ColumnTable], skip: int) -> dict[str, Figure]:
    """Return the median stretch of rounds by phase and in `ALL`, CPU milliseconds a round, with its interval.

    The median of those of all runs, and not the mean: a size must not be decided by one disturbance.
    """
    rng = np.random.default_rng(0)
    runs = [cpu_blocks(table, skip) for table in tables]
    pooled = {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}
    return {name: figure(median_interval(values, rng)) for name, values in pooled.items()}


def exponents(sizes: Sequence[Size]) -> dict[str, PowerLaw | None]:
    """Return the power law of each phase's cost over active jobs; None with fewer than 3 sizes or a cost of 0."""
    jobs = [size.jobs for size in sizes]
    fits: dict[str, PowerLaw | None] = {}
    for name in sizes[0].cost_ms if sizes else ():
        cost = [size.cost_ms[name].estimate for size in sizes]
        fits[name] = fit_power_law(jobs, cost) if len(sizes) > 2 and min(cost) > 0.0 else None
    return fits


def shares(size: Size) -> dict[str, float]:
    """Return the share (of 1) of each phase in a round at a size of the growth study."""
    parts = {name: cost.estimate for name, cost in size.cost_ms.items() if name != ALL}
    total = sum(parts.values())
    return {name: part / total if total > 0.0 else 0.0 for name, part in parts.items()}


def speed_up(share: float, times: float = np.inf) -> float:
    """Return how many times faster a run gets where a phase with that ``share`` (of 1) gets so many times faster.

    Amdahl's law; ``times`` infinite means that the phase is free. A share of 1 made free is infinite.
    """
    left = 1.0 - share + share / times
    return float(1.0 / left) if left > 0.0 else float(np.inf)


def what_if(share: Figure, times: float = np.inf) -> Figure:
    """Return `speed_up` for a measured share: it grows with the share, so the ends of the interval stay the ends."""
    return Figure(speed_up(share.low, times), speed_up(share.estimate, times), speed_up(share.high, times))


def shifts(small: Sequence[PhaseCost], large: Sequence[PhaseCost]) -> Mapping[str, Figure]:
    """Return how many points (of 1) the share of each phase differs, large less small; intervals add in quadrature."""
    there = {phase.name: phase.share for phase in large}
    found = {}
    for phase in small:
        if (share := there.get(phase.name)) is None:
            continue
        change = share.estimate - phase.share.estimate
        down = np.hypot(share.estimate - share.low, phase.share.high - phase.share.estimate)
        up = np.hypot(share.high - share.estimate, phase.share.estimate - phase.share.low)
        found[phase.name] = Figure(change - float(down), change, change + float(up))
    return found
