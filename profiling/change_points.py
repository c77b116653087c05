"""Where a series of measurements changed its level: circular binary segmentation, judged by permutations.

A series without a change shows one with a probability that the caller states, whatever the distribution of the noise,
as long as the measurements are exchangeable: a permutation of them is then as likely as the series itself.

Source: A. B. Olshen et al., Biostatistics 5(4), 2004 (the arc statistic); permutations as the judge of a performance
history as in D. Daly et al., ICPE 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from phasewise.profiling.errors import SampleError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Arcs = Callable[[int], tuple[Ints, Ints]]

SHORTEST: Final = 2
"""Measurements between two changes, at least: one that stands alone is an outlier, not a level."""

_SEED: Final = 0  # the same series gives the same changes
_RESOLUTION: Final = 20  # permutations for each that may reach the statistic by chance
_BLOCK: Final = 256  # permutations at a time, so that memory does not grow with their number


def change_points(values: Floats, false_alarms: float) -> list[int]:
    """Return where the level of a series changes: each index is the first of a new level, ascending.

    The arc of the series whose mean is furthest from that of the rest is found; it counts where at most the share
    ``false_alarms`` of the permutations of the series have one as far off. Then each part is looked at alike.

    Parameters
    ----------
    values
        (n,) finite measurements in order, such as logarithms of times.
    false_alarms
        Probability, above 0 and below 1, that a series without a change shows at least one.

    Raises
    ------
    SampleError
        Where a value is not finite, the series is not in one row, or ``false_alarms`` is no such probability.
    """
    if values.ndim != 1 or not np.isfinite(values).all():
        raise SampleError("changes are looked for in finite numbers in a row")
    if not 0.0 < false_alarms < 1.0:
        raise SampleError(f"the probability of a false alarm lies between 0 and 1, not at {false_alarms}")
    rng = np.random.default_rng(_SEED)
    found: set[int] = set()
    waiting = [(0, values.size)]
    while waiting:
        start, end = waiting.pop()
        part = values[start:end]
        # Half of the false alarms go to arcs, half to cuts in two: a few measurements at the end, such as those of the
        # newest commits, are a far rarer sight among cuts than among all arcs.
        edges = next((edges for arcs in _KINDS if (edges := _significant(part, arcs, false_alarms / 2, rng))), ())
        bounds = [start, *(start + edge for edge in edges), end]
        found.update(bounds[1:-1])
        if edges:
            waiting.extend(pairwise(bounds))
    return sorted(found)


def _significant(values: Floats, arcs: Arcs, false_alarms: float, rng: np.random.Generator) -> tuple[int, ...]:
    """Return where the arc begins and ends that stands out most, nothing where it may be chance."""
    starts, ends = arcs(values.size)
    if not starts.size or np.ptp(values) == 0.0:
        return ()
    inside = (ends - starts).astype(np.float64)
    weights = values.size / (inside * (values.size - inside))
    centred = values - values.mean()
    own = _between(centred[None, :], starts, ends, weights)[0]
    best = int(own.argmax())
    wanted = int(np.ceil(_RESOLUTION / false_alarms))
    allowed = int(false_alarms * (wanted + 1)) - 1  # so that (reached + 1) / (wanted + 1) is at most false_alarms
    reached = 0
    for at in range(0, wanted, _BLOCK):
        rows = np.broadcast_to(centred, (min(_BLOCK, wanted - at), centred.size))
        drawn = _between(rng.permuted(rows, axis=1), starts, ends, weights)
        reached += int((drawn.max(axis=1) >= own[best] * (1.0 - 1e-12)).sum())
        if reached > allowed:
            return ()
    return tuple(edge for edge in (int(starts[best]), int(ends[best])) if edge > 0)


def _inner_arcs(size: int) -> tuple[Ints, Ints]:
    """Return starts and ends of all arcs within a series that leave no part shorter than `SHORTEST`."""
    starts, ends = np.triu_indices(size + 1, SHORTEST)
    fine = (starts >= SHORTEST) & (size - ends >= SHORTEST)
    return starts[fine], ends[fine]


def _cuts(size: int) -> tuple[Ints, Ints]:
    """Return the arcs from the start that leave no part shorter than `SHORTEST`."""
    ends = np.arange(SHORTEST, size - SHORTEST + 1)
    return np.zeros_like(ends), ends


_KINDS: Final[tuple[Arcs, ...]] = (_cuts, _inner_arcs)


def _between(rows: Floats, starts: Ints, ends: Ints, weights: Floats) -> Floats:
    """Return (rows, arcs) the sum of squares between each arc and the rest, of rows whose mean is 0."""
    sums = np.concatenate((np.zeros((len(rows), 1)), rows.cumsum(axis=1)), axis=1)
    inside = sums[:, ends] - sums[:, starts]
    between: Floats = inside * inside * weights
    return between
