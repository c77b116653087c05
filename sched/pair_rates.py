"""How fast the active jobs run in pairs, as a policy that packs sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Kinds = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PairRates:
    """Measured co-throughputs of the active jobs. J jobs, K kinds, W worker types.

    A kind is a job type at a scale factor; only jobs of equal scale factor share GPUs.

    Attributes
    ----------
    kind
        (J,) the kind of each job, in the view's row order.
    rate
        (K, K, W, 2) float64, steps/s: ``rate[a, b, j]`` are those of a job of kind a and of one of kind b that share
        GPUs of type j; 0 where they cannot, or nothing is known. ``rate[a, b, j, 0] == rate[b, a, j, 1]``.
    """

    kind: Kinds
    rate: Floats


@runtime_checkable
class Packs(Protocol):
    """A policy, or its class, that says whether it packs: whether its rows may be teams of two jobs.

    Only then does `phasewise.sched.api.ClusterView.pairs` say how fast jobs are in pairs.
    """

    @property
    def packs(self) -> bool:
        """Whether rows may be teams of two jobs of equal scale factor, which share their GPUs."""
        ...
