"""The least overload at which jobs get what they need, as a small LP for HiGHS: the step of water filling."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.solvers.errors import SolveFailedError
from phasewise.solvers.hulls import Floats, priced
from phasewise.solvers.native_options import claim_highs_threads
from phasewise.solvers.silence import new_highs

Codes = npt.NDArray[np.int8]
Ints = npt.NDArray[np.intp]

_TIGHT: Final = 1e-10  # the tightest tolerance that HiGHS takes
_FINE: Final = 1e4  # what one unit of the program is to HiGHS, so that its tolerance is that much finer
_DUAL: Final = 1  # HiGHS' simplex_strategy
_PRIMAL: Final = 4
_ATTEMPTS: Final = ((_TIGHT, _PRIMAL), (_TIGHT, _DUAL), (1e-9, _DUAL), (1e-7, _DUAL))
_TIED: Final = (1e-7, 1e-5)  # relative: gains taken for equal where HiGHS does not get along with their difference
_LOWER: Final = np.int8(0)
_BASIC: Final = np.int8(1)
_UPPER: Final = np.int8(2)


class Demand(NamedTuple):
    """What F jobs need, and a mix to start from.

    Attributes
    ----------
    gain
        (F, W), 0 where not usable.
    gpus, need
        (F,) GPUs of all jobs of the class, and the level.
    mix
        (F, W) time fractions that reach the need: at most two types a job, and all of its time where it is two.
    """

    gain: Floats
    gpus: Floats
    need: Floats
    mix: Floats


class Supply(NamedTuple):
    """What there is of each type.

    Attributes
    ----------
    capacity, taken
        (W,) GPUs, and how many of them others use.
    weight
        (W,) what overload counts: types of weight 1 share one theta, the others have theirs.
    load
        (W,) the least that a theta of its own may be: at least 1.
    """

    capacity: Floats
    taken: Floats
    weight: Floats
    load: Floats


class _Program(NamedTuple):
    """min cost.z, lower <= M z <= upper, z >= col_lower; M by columns; ``pairs`` are the first columns' (job, type)."""

    cost: Floats
    col_lower: Floats
    lower: Floats
    upper: Floats
    start: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int32]
    value: Floats
    pairs: Ints


class Overload:
    """min theta: GPUs taken + used <= theta N, every job gets its need: a small LP, passed to HiGHS whole."""

    def __init__(self) -> None:
        self._highs = new_highs()
        import highspy

        self._optimal = highspy.HighsModelStatus.kOptimal
        self._new_basis = highspy.HighsBasis
        status = highspy.HighsBasisStatus
        self._codes = np.array([status.kLower, status.kBasic, status.kUpper], dtype=object)
        for key, value in (("threads", 1), ("presolve", "off")):
            self._highs.setOptionValue(key, value)
        self.iterations = 0

    def solve(self, demand: Demand, supply: Supply) -> tuple[float, Floats, Floats]:
        """Return theta, x (F, W) and the capacity prices (W,), sum_j p_j N_j = 1.

        A theta of its own counts as 1 where it is the type's load.

        Raises
        ------
        SolveFailedError
            Where HiGHS does not solve it.
        """
        program = _program(demand, supply)
        solution = self._solution(program, demand, supply)
        z = np.array(solution.col_value) / _FINE
        x = np.zeros(demand.gain.shape)
        x.reshape(-1)[program.pairs] = z[: program.pairs.size]
        worth = np.maximum(-np.array(solution.row_dual)[2 * len(x) :], 0.0)
        worth[~priced(worth / _divisor(supply.capacity), supply.capacity)] = 0.0
        prices = worth / _divisor(supply.capacity) / max(float(worth.sum()), 1e-300)
        thetas = z[program.pairs.size :]
        thetas[1:] -= supply.load[supply.weight != 1.0] - 1.0
        return float(thetas.max()), x, prices

    def _solution(self, program: _Program, demand: Demand, supply: Supply) -> Any:
        """Return HiGHS' solution of the program; where it finds none, of one in which near ties are ties."""
        basis = _mixed_basis(demand, supply, program.pairs)
        found = self._run(program, *basis)
        for tied in _TIED:
            if found is not None:
                return found
            found = self._run(_program(_with_ties(demand, tied), supply), *basis)
        if found is None:
            status = self._highs.modelStatusToString(self._highs.getModelStatus())
            raise SolveFailedError(f"water filling: HiGHS: {status}")
        return found

    def _run(self, program: _Program, columns: Codes, rows: Codes) -> Any:
        """Return HiGHS' solution, found from the basis ``columns``, ``rows``, or None where it finds none."""
        claim_highs_threads(1)
        count = program.cost.size
        self._highs.passModel(
            count, program.lower.size, program.value.size, 1, 1, 0.0, _FINE * program.cost, _FINE * program.col_lower,
            np.full(count, np.inf), _FINE * program.lower, _FINE * program.upper,
            program.start, program.rows, program.value, np.zeros(count, dtype=np.int32),
        )  # fmt: skip
        basis = self._new_basis()
        basis.col_status = self._codes.take(columns).tolist()
        basis.row_status = self._codes.take(rows).tolist()
        basis.valid = True
        self._highs.setBasis(basis)
        for tolerance, method in _ATTEMPTS:
            self._highs.setOptionValue("primal_feasibility_tolerance", tolerance)
            self._highs.setOptionValue("dual_feasibility_tolerance", tolerance)
            self._highs.setOptionValue("simplex_strategy", method)
            self._highs.run()
            self.iterations += max(0, self._highs.getInfoValue("simplex_iteration_count")[1])
            if self._highs.getModelStatus() == self._optimal:
                return self._highs.getSolution()
            if (tolerance, method) != _ATTEMPTS[-1]:  # its status is still to be told
                self._highs.clearSolver()
        return None


def _with_ties(demand: Demand, tied: float) -> Demand:
    """Return the demand with gains that nearly are a job's largest as large: a basis of two of them is no basis.

    Their difference is the pivot, and HiGHS at its tightest tolerance ends nowhere with pivots of 1e-9.
    """
    most = demand.gain.max(axis=1, keepdims=True)
    return demand._replace(gain=np.where(demand.gain >= most * (1.0 - tied), most, demand.gain))


def _divisor(capacity: Floats) -> Floats:
    """Return (W,) the capacities, 1 where there is none."""
    return np.where(capacity > 0.0, capacity, 1.0)


def _program(demand: Demand, supply: Supply) -> _Program:
    """Return the LP: a row for each job's need, each job's time and each type; columns of pairs, theta, own thetas."""
    free, types = demand.gain.shape
    needy = demand.need > 0.0
    pairs = np.flatnonzero((demand.gain > 0.0) & needy[:, None])
    job, kind = np.divmod(pairs, types)
    count, size = pairs.size, _divisor(supply.capacity)
    value, index = np.empty(3 * count + types), np.empty(3 * count + types, dtype=np.int32)
    entries, rows = value[: 3 * count].reshape(count, 3), index[: 3 * count].reshape(count, 3)
    entries[:, 0] = demand.gain.ravel()[pairs] / demand.need[job]
    entries[:, 1] = 1.0
    entries[:, 2] = demand.gpus[job] / size[kind]
    value[3 * count :] = -1.0
    rows[:, 0], rows[:, 1], rows[:, 2] = job, free + job, 2 * free + kind
    shared, own = np.flatnonzero(supply.weight == 1.0), np.flatnonzero(supply.weight != 1.0)
    index[3 * count :] = 2 * free + np.concatenate([shared, own])
    start = np.concatenate([np.arange(0, 3 * count + 1, 3), 3 * count + shared.size + np.arange(own.size + 1)])
    cost, col_lower = np.zeros(count + 1 + own.size), np.zeros(count + 1 + own.size)
    cost[count], cost[count + 1 :] = 1.0, supply.weight[own]
    if own.size:
        # less helps nobody, and must not pay for the overload of another type
        col_lower[count], col_lower[count + 1 :] = 1.0, supply.load[own]
    lower = np.concatenate([needy.astype(np.float64), np.full(free + types, -np.inf)])
    upper = np.concatenate([np.full(free, np.inf), np.ones(free), -supply.taken / size])
    return _Program(cost, col_lower, lower, upper, start.astype(np.int32), index, value, pairs)


def _mixed_basis(demand: Demand, supply: Supply, pairs: Ints) -> tuple[Codes, Codes]:
    """Return the basis, by columns and rows, at which everybody has their mix and the thetas are what that takes.

    It is feasible, so that primal simplex starts at the jobs' present choices and only mends them.
    """
    free = demand.need.size
    positive = demand.mix > 0.0
    used = np.count_nonzero(positive, axis=1)
    crowding = (supply.taken + demand.gpus @ demand.mix) / _divisor(supply.capacity)
    shared, own = supply.weight == 1.0, np.flatnonzero(supply.weight != 1.0)
    thetas = np.full(1 + own.size, _LOWER)
    rows = np.full(2 * free + crowding.size, _BASIC)
    rows[:free] = np.where(used == 0, _BASIC, _LOWER)
    rows[free : 2 * free] = np.where(used == 2, _UPPER, _BASIC)
    if shared.any():
        fullest = int(np.where(shared, crowding, -np.inf).argmax())
        if not own.size or crowding[fullest] > 1.0:
            thetas[0], rows[2 * free + fullest] = _BASIC, _UPPER
    over = np.flatnonzero(crowding[own] > supply.load[own])
    thetas[1 + over], rows[2 * free + own[over]] = _BASIC, _UPPER
    return np.concatenate([np.where(positive.ravel()[pairs], _BASIC, _LOWER), thetas]), rows
