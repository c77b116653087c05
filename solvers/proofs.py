"""What proves an answer: duals by name, the bound and the gap that they prove, or that there is nothing to find."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ULP: Final = 2.3e-16
"""Relative to a result: what two roundings may change it by."""


@dataclass(frozen=True, slots=True, eq=False)
class Duals:
    """Dual values by what they are the price of; each may be missing, and signs are such that none is negative.

    For R rows, J jobs (R where every row is a job of its own), W worker types, in units of the problem's objective.

    Attributes
    ----------
    capacity
        (W,) a GPU of each type.
    gain
        (J,) the weight of each job's gain; they sum to about 1 where the least gain is maximised.
    time
        (J,) all of a job's time.
    slo
        (J,) a unit of what a job is promised.
    stages
        (K, W) a GPU of each type, a row a stage, in a family that is solved in stages.
    potential
        (R,) a row's place in a matching.
    stage_gain, stage_time
        (K, C) the weight of each job's gain, and all of its time, a row a stage, by classes of equal jobs.
    kept
        (J, W) a unit of a job's time that stays where it was.
    """

    capacity: Floats | None = None
    gain: Floats | None = None
    time: Floats | None = None
    slo: Floats | None = None
    stages: Floats | None = None
    potential: Floats | None = None
    stage_gain: Floats | None = None
    stage_time: Floats | None = None
    kept: Floats | None = None

    def vector(self, name: str, size: int) -> Floats | None:
        """Return the duals ``name``, none below 0, or None where they are missing or are not ``size`` floats.

        A plug-in's code is not type-checked here. Entries that are no numbers stay: a family proves without them.
        """
        values = getattr(self, name)
        if not isinstance(values, np.ndarray) or values.dtype != np.float64 or values.shape != (size,):
            return None
        return np.maximum(values, 0.0)

    def matrix(self, name: str, shape: tuple[int, int]) -> Floats | None:
        """Return the duals ``name`` as `vector` does, where they are a matrix of that shape."""
        values = getattr(self, name)
        if not isinstance(values, np.ndarray) or values.dtype != np.float64 or values.shape != shape:
            return None
        return np.maximum(values, 0.0)

    def staged(self, types: int) -> Floats | None:
        """Return (K, W) the prices of the stages, or None where they are missing or are not finite floats of ``types``.

        Where several stages rest on each other, a single price that is no number leaves nothing proven.
        """
        stages = self.stages
        if not isinstance(stages, np.ndarray) or stages.dtype != np.float64 or stages.shape != (len(stages), types):
            return None
        return stages if np.isfinite(stages).all() else None


@dataclass(frozen=True, slots=True)
class Proof:
    """What duals prove about an allocation.

    Attributes
    ----------
    bound
        No allocation's objective is better: it is at most this where the family maximises, at least where it minimises.
    gap
        Relative distance of the allocation from the best one, at most; None where the duals bound the objective alone,
        and the family asks for more than that.
    objective
        The allocation's, where the family had to compute it; None where it had not.
    """

    bound: float
    gap: float | None
    objective: float | None = None


@dataclass(frozen=True, slots=True)
class Infeasibility:
    """A proof that no allocation satisfies all constraints.

    Attributes
    ----------
    margin
        By how much the constraints contradict each other at the duals, relative to what is compared: above 0, and above
        what rounding makes of nothing.
    """

    margin: float


def relative_gap(bound: float, objective: float, magnitude: float = 0.0) -> float:
    """Return ``abs(bound - objective) / abs(bound)``, 0 where both are 0: no unit matters, tiny gains included.

    Where ``magnitude``, what the objective's terms add up to before they cancel, is more, it is the measure.
    """
    difference = abs(bound - objective)
    measure = max(abs(bound), magnitude)
    return difference / measure if measure != 0.0 else (0.0 if difference == 0.0 else math.inf)
