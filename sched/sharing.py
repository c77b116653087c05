"""What policies that pack without solving have in common: rows of teams, and what jobs keep of their speed in pairs."""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.sched.api import ClusterView, Floats, Ints
from phasewise.sched.pair_rates import PairRates

ALONE: Final = -1
"""Stands for the second member of a team of one."""


def alone(rows: Ints) -> Ints:
    """Return (R, 2) the teams of one of ``rows`` (R,)."""
    return np.column_stack((rows, np.full(len(rows), ALONE)))


def kept_rates(view: ClusterView, rates: PairRates, pairs: Ints) -> Floats:
    """Return (P, W, 2) what the members of ``pairs`` (P, 2), rows of the view, keep of their throughput as a pair.

    As a fraction of that alone; 0 where they cannot share, or one of them makes no progress alone.
    """
    shared = rates.rate[rates.kind[pairs[:, 0]], rates.kind[pairs[:, 1]]]
    own = np.stack((view.throughput[pairs[:, 0]], view.throughput[pairs[:, 1]]), axis=2)
    possible = (own > 0.0).all(axis=2, keepdims=True)
    kept: Floats = np.where(possible, shared, 0.0) / np.where(possible, own, 1.0)
    return kept
