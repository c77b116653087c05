"""The movement cost in an objective: what it costs to leave the allocation in force. Used by families that have one."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.solvers.errors import ProblemError
from phasewise.solvers.problems import check_values
from phasewise.solvers.short_rows import row_max, row_sum

_MATRIX: Final = 2  # dimensions
_ROW_SLACK: Final = 1e-6  # what a solver's tolerance may leave of a previous allocation above a sum of 1
_ROUNDED_ROW: Final = 1.0 + 1e-15  # a row's sum that is 1 but for rounding
_HARDLY: Final = 1e-8  # of a job's time: a move that is none

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Switching(NamedTuple):
    """The term - sum_ij cost_ij |x_ij - previous_ij|.

    Attributes
    ----------
    previous
        (J, W) the allocation in force.
    cost
        (J, W), read-only.
    """

    previous: Floats
    cost: Floats

    def paid(self, x: Floats) -> float:
        """Return what leaving the allocation in force for ``x`` (J, W) costs."""
        return float(np.einsum("ij,ij->", self.cost, np.abs(x - self.previous)))

    def worth(self, value: Floats, allowed: Bools) -> float:
        """Return the sum over the jobs of the most that each can make of its time, the movement cost included.

        A job maximises sum_j value_ij x_ij - cost_ij |x_ij - previous_ij| over x_i >= 0, sum_j x_ij <= 1, x_ij = 0
        where not ``allowed``: a fractional knapsack of its time. Time kept, up to previous_ij, is worth
        value_ij + cost_ij, as it saves the cost of leaving; time added beyond is worth value_ij - cost_ij. The best
        time added, at m_i, can fill whatever is left, so nothing worth less is ever used, and all time kept fits in:
        m_i + sum_j previous_ij max(0, value_ij + cost_ij - m_i), with m_i at least 0, less the cost of leaving all.

        Parameters
        ----------
        value
            (J, W) what a unit of time on each type is worth.
        allowed
            (J, W) bool.
        """
        added = value - self.cost
        added *= allowed  # 0 is as good as not allowed: nothing need be added
        best = np.maximum(row_max(added), 0.0)
        kept = value + self.cost
        kept -= best[:, None]
        np.maximum(kept, 0.0, out=kept)
        kept *= allowed
        kept -= self.cost
        return float(best.sum()) + float(np.einsum("ij,ij->", kept, self.previous))


def within_all_time(previous: Floats | None) -> Floats | None:
    """Return ``previous`` (R, W) with rows that a tolerance left above all of a job's time scaled to it.

    What is off by more, or of another shape, is returned as it is: `check_movement` says what is wrong.
    """
    if not isinstance(previous, np.ndarray) or previous.ndim != _MATRIX or previous.dtype != np.float64:
        return previous
    if not previous.size:
        return previous
    total = row_sum(previous)
    if _ROUNDED_ROW < total.max() <= 1.0 + _ROW_SLACK:
        scaled: Floats = previous / np.maximum(total, 1.0)[:, None]
        return scaled
    return previous


def check_movement(previous: Floats | None, move_cost: Floats | None, shape: tuple[int, ...]) -> None:
    """Raise `ProblemError` where the previous allocation or the cost of leaving it is missing or wrong."""
    if previous is None or move_cost is None:
        given, missing = ("move_cost", "previous") if previous is None else ("previous", "move_cost")
        raise ProblemError(f"{given} is given without {missing}; expected both, or none where moving is free")
    if previous.shape != shape:
        raise ProblemError(f"previous has shape {previous.shape}; expected (jobs, worker types) = {shape}")
    if move_cost.shape not in (shape, (shape[0], 1)):
        shapes = f"(jobs, worker types) = {shape} or (jobs, 1)"
        raise ProblemError(f"move_cost has shape {move_cost.shape}; expected {shapes}")
    check_values("previous", previous, zero_is_fine=True)
    check_values("move_cost", move_cost, zero_is_fine=True)
    total = row_sum(previous)
    if total.size and total.max() > 1.0 + _ROW_SLACK:
        job = int(total.argmax())
        raise ProblemError(f"previous[{job}] sums to {float(total[job])!r}; expected at most 1, the job's whole time")


def hardly_moved_put_back(x: Floats, previous: Floats, allowed: Bools) -> Floats:
    """Return ``x`` (R, W) with all that has hardly moved put back to where it was, where that is ``allowed``.

    A solver's dust of 1e-10 on a pair is nothing to a throughput, but costs its move: where moving is dear beside what
    there is to gain, dust alone was seen to cost 3e-5 of the objective.
    """
    kept = np.where(allowed, previous, 0.0)
    return np.where(np.abs(x - kept) <= _HARDLY, kept, x)
