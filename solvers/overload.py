"""The least overload at which jobs get what they need, as a small LP for HiGHS: the step of water filling."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from phasewise.solvers.errors import SolveFailedError
from phasewise.solvers.hulls import PRICED, Floats
from phasewise.solvers.native_options import claim_highs_threads

_TIGHT: Final = 1e-10  # the tightest tolerance that HiGHS takes
_DUAL: Final = 1  # HiGHS' simplex_strategy
_PRIMAL: Final = 4
_ATTEMPTS: Final = ((_TIGHT, _DUAL), (_TIGHT, _PRIMAL), (1e-9, _DUAL), (1e-7, _DUAL))


class Overload:
    """min theta: GPUs taken + used <= theta N, every job gets its need: a small LP, passed to HiGHS whole."""

    def __init__(self) -> None:
        import highspy

        self._highs = highspy.Highs()
        self._optimal = highspy.HighsModelStatus.kOptimal
        for key, value in (
            ("output_flag", False),
            ("threads", 1),
            ("presolve", "off"),
        ):
            self._highs.setOptionValue(key, value)
        self.iterations = 0

    def solve(self, gain: Floats, gpus: Floats, need: Floats, supply: Floats) -> tuple[float, Floats, Floats]:
        """Return theta, x (F, W) and the capacity prices (W,).

        Parameters
        ----------
        gain, gpus, need
            (F, W), (F,) and (F,) of the free jobs.
        supply
            (3, W): capacity, what is taken of it, and what overload counts: types of weight 1 share one theta, the
            others have theirs, which must not be above 1.
        """
        capacity, taken, weight = supply
        types, free = capacity.size, need.size
        pairs = np.flatnonzero((gain > 0.0) & (need > 0.0)[:, None])
        job, kind = np.divmod(pairs, types)
        count = pairs.size
        size = np.where(capacity > 0.0, capacity, 1.0)
        value = np.empty(3 * count + types)
        entries = value[: 3 * count].reshape(count, 3)
        entries[:, 0] = gain.ravel()[pairs] / need[job]
        entries[:, 1] = 1.0
        entries[:, 2] = gpus[job] / size[kind]
        value[3 * count :] = -1.0
        index = np.empty(value.size, dtype=np.int32)
        rows = index[: 3 * count].reshape(count, 3)
        rows[:, 0], rows[:, 1], rows[:, 2] = job, free + job, 2 * free + kind
        shared, own = np.flatnonzero(weight == 1.0), np.flatnonzero(weight != 1.0)
        index[3 * count :] = 2 * free + np.concatenate([shared, own])
        start = np.concatenate([np.arange(0, 3 * count + 1, 3), 3 * count + shared.size + np.arange(own.size + 1)])
        lower = np.concatenate([(need > 0.0).astype(np.float64), np.full(free + types, -np.inf)])
        upper = np.concatenate([np.full(free, np.inf), np.ones(free), -taken / size])
        columns = count + 1 + own.size
        cost, col_lower = np.zeros(columns), np.zeros(columns)
        cost[count], cost[count + 1 :] = 1.0, weight[own]
        if own.size:
            col_lower[count:] = 1.0  # less helps nobody, and must not pay for the overload of another type
        solution = self._run(cost, col_lower, lower, upper, start, index, value)
        z = np.array(solution.col_value)
        x = np.zeros((free, types))
        x.reshape(-1)[pairs] = z[:count]
        worth = np.maximum(-np.array(solution.row_dual)[2 * free :], 0.0)
        worth[worth < PRICED * worth.sum()] = 0.0
        return float(z[count:].max()), x, worth / size / max(float(worth.sum()), 1e-300)

    def _run(self, cost: Floats, col_lower: Floats, lower: Floats, upper: Floats, *matrix: npt.NDArray[Any]) -> Any:
        """Return HiGHS' solution of a minimisation; ``matrix`` is start, index and value by columns."""
        start, index, value = matrix
        claim_highs_threads(1)
        self._highs.passModel(
            cost.size, lower.size, value.size, 1, 1, 0.0, cost, col_lower, np.full(cost.size, np.inf), lower, upper,
            start.astype(np.int32), index, value, np.zeros(cost.size, dtype=np.int32),
        )  # fmt: skip
        for tolerance, method in _ATTEMPTS:
            self._highs.setOptionValue("primal_feasibility_tolerance", tolerance)
            self._highs.setOptionValue("dual_feasibility_tolerance", tolerance)
            self._highs.setOptionValue("simplex_strategy", method)
            self._highs.run()
            self.iterations += max(0, self._highs.getInfoValue("simplex_iteration_count")[1])
            status = self._highs.getModelStatus()
            if status == self._optimal:
                break
            self._highs.clearSolver()
        else:
            raise SolveFailedError(f"water filling: HiGHS: {self._highs.modelStatusToString(status)}")
        return self._highs.getSolution()
