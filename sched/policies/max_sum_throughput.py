"""The sum of throughputs as large as possible, as it is or for what the GPUs cost, perhaps with SLOs."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Floats, Ints, Solve, TypeOrder
from phasewise.sched.errors import ScenarioError
from phasewise.sched.policy_options import MaxSumOptions
from phasewise.sched.registry import register_policy
from phasewise.sched.slos import GivenUp
from phasewise.sched.statements import movement, possible_pairs, proportional_throughput, spread
from phasewise.solvers.families.max_sum import MAX_SUM, MAX_SUM_SLO, MaxSumProblem
from phasewise.solvers.families.moving_sum import MAX_SUM_SWITCHING, MovingSumProblem
from phasewise.solvers.problems import AllocationProblem, Bools


class SloMemory(NamedTuple):
    """What the SLO policy remembers: a place to start from, and whose SLOs it has given up. Any such tuple will do.

    Attributes
    ----------
    prices
        (W,) of a GPU in the last problem.
    passed, alone, together
        Ids of jobs, int64, as in `phasewise.sched.slos.GivenUp`.
    """

    prices: Floats
    passed: Ints
    alone: Ints
    together: Ints


class _MaxSum:
    """The problem of the largest sum of what is made in a second."""

    name: ClassVar[str]
    per_cost: ClassVar[bool]
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    needs_positive_priority: ClassVar[bool] = False
    options: ClassVar[type[MaxSumOptions]] = MaxSumOptions
    free_families: ClassVar[frozenset[str]] = frozenset({MAX_SUM})

    def __init__(self, options: MaxSumOptions) -> None:
        self._options = options
        self.families = frozenset({MAX_SUM_SWITCHING}) if options.move_weight else self.free_families
        if self.per_cost and not options.gpu_hour_prices:
            of = ", ".join(options.worker_types) or "every worker type"
            raise ScenarioError(
                f"policy {self.name} weighs what GPUs cost, but cluster.gpu_hour_prices is empty: give the price of a "
                f"GPU-hour of {of}, in any currency"
            )

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return an optimum of the problem; remembers nothing."""
        del memory
        problem, rows = self._stated(view)
        if not rows.any():
            return Allocation(np.zeros(view.throughput.shape))
        return Allocation(spread(solve(self._with_movement(problem, view, rows)).x, rows))

    def _with_movement(self, problem: MaxSumProblem, view: ClusterView, rows: Bools) -> AllocationProblem:
        """Return ``problem`` less what leaving the allocation in force costs; as it is where moving is free.

        Time that a start takes is time in which the job makes nothing: a unit of x_ij that moves costs
        value_ij * migration_s_ij / round_s, times the weight.
        """
        previous, lost = movement(view, rows, self._options)
        if previous is None or lost is None:
            return problem
        return MovingSumProblem(**problem.stated(), previous=previous, move_cost=lost * problem.value)

    def _stated(self, view: ClusterView) -> tuple[MaxSumProblem, Bools]:
        """Return the problem of the jobs that can run, and which those are, (J,) bool."""
        pairs, rows = possible_pairs(view, self._options)
        value = view.throughput[rows]
        if self._options.normalised:
            value = value / proportional_throughput(value, view.capacity)[:, None]
        if self.per_cost:
            value = value / np.array(self._options.gpu_hour_prices)
        problem = MaxSumProblem(
            value=value,
            scale_factor=view.scale_factor[rows],
            capacity=view.capacity,
            allowed=pairs,
            keys=view.job_id[rows],
        )
        return problem, rows


@register_policy
class MaxSumThroughputPerf(_MaxSum):
    """Maximise the sum of all jobs' throughputs.

    max sum_ij T_ij x_ij, steps/s of every job alike: a job whose steps are short counts for more than others (D19).
    With ``normalised`` each throughput is divided by the job's own under an equal share, as max-min fairness does.

    Notes
    -----
    Priorities do not enter. Source: OSDI'20 s4.2, throughput.
    """

    name: ClassVar[str] = "max_sum_throughput_perf"
    per_cost: ClassVar[bool] = False


@register_policy
class MaxSumThroughputNormalizedByCostPerf(_MaxSum):
    """Maximise the sum of all jobs' throughputs, each divided by the price of the GPUs used.

    max sum_ij T_ij / c_j x_ij, where c_j is what an hour of a GPU of type j costs: ``cluster.gpu_hour_prices``.

    Notes
    -----
    Priorities do not enter. Source: OSDI'20 s4.2, cost.
    """

    name: ClassVar[str] = "max_sum_throughput_normalized_by_cost_perf"
    per_cost: ClassVar[bool] = True


@register_policy
class MaxSumThroughputNormalizedByCostPerfSLOs(_MaxSum):
    """Maximise the sum of throughputs over prices, while jobs with an SLO run fast enough to meet it.

    max sum_ij T_ij / c_j x_ij with sum_j T_ij x_ij >= r_i / (what is left of job i's SLO). SLOs that cannot be met are
    given up, first those whose time is up or that T cannot meet alone; then, while it is proven that the rest cannot be
    met together, the one that weighs most in the proof (`phasewise.solvers.promises`).

    Notes
    -----
    Source: OSDI'20 s4.2, cost with SLOs. The original gives up all SLOs where one cannot be met (D23).
    """

    name: ClassVar[str] = "max_sum_throughput_normalized_by_cost_perf_SLOs"
    per_cost: ClassVar[bool] = True
    free_families: ClassVar[frozenset[str]] = frozenset({MAX_SUM, MAX_SUM_SLO})

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return an optimum of the problem, whose SLOs are given up, and the `SloMemory`."""
        from phasewise.solvers.promises import kept  # noqa: PLC0415  (compiled code, which other policies do without)

        last = self._remembered(memory)
        problem, rows = self._stated(view)
        if not rows.any():
            return Allocation(np.zeros(view.throughput.shape), last)
        needed, passed = self._needed(view, rows)
        problem = MaxSumProblem(**{**problem.stated(), "throughput": view.throughput[rows], "promised": needed})
        if not needed.any():
            problem = self._stated(view)[0]
            given_up, prices = GivenUp(passed, (), ()), last.prices
        else:
            found = kept(problem, last.prices if last.prices.size == view.capacity.size else None)
            ids = view.job_id[rows]
            given_up = GivenUp(passed, _ids(np.sort(ids[found.alone])), _ids(ids[found.together]))
            problem, prices = found.problem, found.prices
            if self._options.slos_all_or_none and (given_up.alone or given_up.together):
                asked = _ids(np.sort(ids[needed > 0.0]))
                problem, given_up = self._stated(view)[0], GivenUp(passed, (), asked)
        x = spread(solve(self._with_movement(problem, view, rows)).x, rows)
        changed = given_up != GivenUp(_ids(last.passed), _ids(last.alone), _ids(last.together))
        return Allocation(x, _memory(prices, given_up), given_up if changed else None)

    def _needed(self, view: ClusterView, rows: Bools) -> tuple[Floats, tuple[int, ...]]:
        """Return (R,) the rate that each job needs for its SLO, steps/s, 0 for none, and whose time is up."""
        if view.slo_s is None:
            return np.zeros(int(rows.sum())), ()
        left_s = view.slo_s - view.since_arrival_s
        late = left_s <= 0.0
        needed = np.divide(view.steps_remaining, left_s, out=np.zeros(left_s.size), where=left_s > 0.0)
        return needed[rows], _ids(np.sort(view.job_id[late]))

    def _remembered(self, memory: object) -> SloMemory:
        if memory is None:
            return SloMemory(np.zeros(0), *(np.zeros(0, dtype=np.int64) for _ in range(3)))
        if not isinstance(memory, tuple) or len(memory) != len(SloMemory._fields):
            raise TypeError(f"policy {self.name} was given the memory of another policy: {type(memory).__name__}")
        return SloMemory(*memory)


def _ids(ids: Ints) -> tuple[int, ...]:
    return tuple(ids.tolist())


def _memory(prices: Floats, given_up: GivenUp) -> SloMemory:
    arrays = [np.array(ids, dtype=np.int64) for ids in given_up]
    for array in (prices, *arrays):
        array.flags.writeable = False
    return SloMemory(prices, *arrays)
