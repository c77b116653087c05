"""The problem families, each frozen, each judged by its own ``objective(x)`` and ``violation(x)``.

Shapes: J jobs, W worker types. x[i, j] in [0, 1] is the fraction of wall time job i runs on type j.
Common constraints: sum_j x_ij <= 1, sum_i s_i x_ij <= N_j, x >= 0, x_ij = 0 where not allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class MaxMinProblem:
    """Maximise the least gain: max min_i sum_j gain_ij x_ij (+ linear_weight * mean_i sum_j gain_ij x_ij).

    Attributes
    ----------
    gain
        (J, W) a_ij >= 0, finite.
    scale_factor
        (J,) s_i > 0, GPUs, may be fractional.
    capacity
        (W,) N_j >= 0, GPUs.
    allowed
        (J, W) where x may be above 0; None means where gain > 0.
    linear_weight
        Weight of the mean gain in the objective; 1e-3 makes the optimum canonical, 0 is the plain problem.
    """

    family: ClassVar[str] = "max_min"

    gain: Floats
    scale_factor: Floats
    capacity: Floats
    allowed: Bools | None = None
    linear_weight: float = 0.0


Problem = MaxMinProblem
