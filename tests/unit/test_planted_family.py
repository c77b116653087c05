"""A family that is no max-min, made here alone: no module of the solvers is edited for it.

It maximises the sum of what its jobs make, some of which are promised a share. So it has duals of its own, an `x` that
cannot always be projected, and it may be infeasible.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from scipy.optimize import linprog

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Answer, Infeasible, Solution, Status
from phasewise.solvers.certify import Rejection, certify
from phasewise.solvers.errors import InfeasibleError, SolveFailedError, UnsupportedProblemError
from phasewise.solvers.forms.tables import LP
from phasewise.solvers.instances import random_problem
from phasewise.solvers.lp import INFINITE, LinearProgram
from phasewise.solvers.problems import AllocationProblem, Bools, Floats, check_common
from phasewise.solvers.proofs import Duals, Infeasibility, Proof
from phasewise.solvers.replay import replay
from phasewise.solvers.rows import Keys
from phasewise.solvers.session import Walk
from phasewise.solvers.tapes import Tape, TapeWriter


@dataclass(frozen=True, eq=False)
class PromisedSum(AllocationProblem):
    """max sum_ij rate_ij x_ij with sum_j rate_ij x_ij >= promised_i."""

    families: ClassVar[tuple[str, ...]] = ("promised_sum",)

    rate: Floats
    promised: Floats
    scale_factor: Floats
    capacity: Floats
    keys: Keys | None = None

    @cached_property
    def allowed_mask(self) -> Bools:
        return (self.rate > 0.0) & (self.capacity > 0.0)

    def validate(self) -> None:
        check_common(self, "rate", self.rate, None)

    def objective(self, x: Floats) -> float:
        return float((self.rate * x).sum())

    def violation(self, x: Floats) -> float:
        short = (self.promised - (self.rate * x).sum(axis=1)) / np.maximum(self.promised, 1.0)
        return max(super().violation(x), float(short.max(initial=0.0)))

    def project(self, x: Floats) -> Floats | None:
        near = self.packed(x)
        return near if self.violation(near) <= 1e-9 else None

    def _dual(self, duals: Duals, reward: float) -> tuple[float, float] | None:
        """Return what all can make at the duals, a unit of rate counting ``reward``, and what is promised."""
        slo, prices = duals.vector("slo", self.rows), duals.vector("capacity", self.types)
        if slo is None or prices is None:
            return None
        worth = self.rate * (slo[:, None] + reward) - self.scale_factor[:, None] * prices
        made = np.where(self.allowed_mask, worth, 0.0).max(axis=1).clip(0.0).sum() + prices @ self.capacity
        return float(made), float(slo @ self.promised)

    def prove(self, x: Floats, duals: Duals) -> Proof | None:
        if (terms := self._dual(duals, 1.0)) is None:
            return None
        bound = terms[0] - terms[1]
        return Proof(bound, self.gap(bound, x))

    def refute(self, duals: Duals) -> Infeasibility | None:
        if (terms := self._dual(duals, 0.0)) is None or not terms[1] > terms[0]:
            return None
        return Infeasibility((terms[1] - terms[0]) / terms[1])


@LP.register(PromisedSum)
def to_lp(problem: PromisedSum) -> LinearProgram:
    jobs, types = problem.rate.shape
    rows = {"slo": slice(0, jobs), "time": slice(jobs, 2 * jobs), "capacity": slice(2 * jobs, 2 * jobs + types)}
    index, value = np.empty((jobs, types, 3), dtype=np.int32), np.empty((jobs, types, 3))
    index[:, :, 0], value[:, :, 0] = np.arange(jobs)[:, None], problem.rate
    index[:, :, 1], value[:, :, 1] = jobs + np.arange(jobs)[:, None], 1.0
    index[:, :, 2], value[:, :, 2] = 2 * jobs + np.arange(types), problem.scale_factor[:, None]
    return LinearProgram(
        problem.rate.ravel(),
        np.zeros(jobs * types),
        problem.allowed_mask.ravel().astype(np.float64),
        np.concatenate((problem.promised, np.full(jobs + types, -INFINITE))),
        np.concatenate((np.full(jobs, INFINITE), np.ones(jobs), problem.capacity)),
        np.arange(0, 3 * jobs * types + 1, 3, dtype=np.int32),
        index.ravel(),
        value.ravel(),
        np.zeros(jobs * types, dtype=np.int32),
        (jobs, types),
        {"x": slice(0, jobs * types)},
        rows,
        {"x": None},
        lambda by_name: Duals(capacity=by_name["capacity"], slo=-by_name["slo"]),
    )


@pytest.fixture(autouse=True)
def _planted() -> Iterator[None]:
    with registry.family_registered(PromisedSum):
        yield


def stated(seed: int, share: float) -> PromisedSum:
    """Return an instance in which each third job is promised a share of what it could make alone."""
    plain = random_problem(seed, 12, 3)
    promised = np.where(np.arange(12) % 3 == 0, share * plain.gain.max(axis=1), 0.0)
    return PromisedSum(plain.gain, promised, plain.scale_factor, plain.capacity, keys=np.arange(100, 112))


def optimum(problem: PromisedSum) -> float | None:
    """Return what SciPy finds, None where nothing is feasible."""
    jobs, types = problem.rate.shape
    above = np.vstack(
        [
            -np.kron(np.eye(jobs), np.ones(types)) * problem.rate.ravel(),
            np.kron(np.eye(jobs), np.ones(types)),
            np.kron(problem.scale_factor, np.eye(types)),
        ]
    )
    limit = np.concatenate([-problem.promised, np.ones(jobs), problem.capacity])
    found = linprog(-problem.rate.ravel(), A_ub=above, b_ub=limit, bounds=(0.0, 1.0))
    return None if found.status == 2 else float(-found.fun)


@pytest.mark.parametrize("spec", ["highs-direct", "auto", "structured,highs-direct"])
@pytest.mark.parametrize("seed", range(5))
def test_it_is_solved_and_proven(spec: str, seed: int) -> None:
    problem = stated(seed, 0.4)
    solution = Walk.of(spec, {}, PhaseTimer()).solve(problem)
    assert solution.objective == pytest.approx(optimum(problem), rel=1e-9)
    assert solution.gap is not None
    assert solution.gap <= 1e-9
    assert problem.violation(solution.x) <= 1e-9
    assert solution.backend.endswith("highs-direct")


def test_a_backend_that_does_not_take_it_says_so_and_the_chain_goes_on() -> None:
    solver = Walk.of("structured,single-type,highs-warm,water-filling,highs-direct", {}, PhaseTimer())
    passed = solver.solve(stated(1, 0.4)).fallbacks
    assert len(passed) == 4
    assert {each.reason for each in passed} == {"does not solve problem family 'promised_sum'"}
    for name in ("structured", "single-type", "highs-warm", "water-filling", "cvxpy-fresh:HIGHS", "cvxpy-dpp:HIGHS"):
        session = registry.get(name).open({}, PhaseTimer())
        with pytest.raises(UnsupportedProblemError, match="promised_sum"):
            session.solve(stated(1, 0.4), None)


@pytest.mark.parametrize("spec", ["highs-direct", "auto", "highs-direct,auto"])
def test_that_nothing_is_feasible_is_a_result_where_it_is_proven(spec: str) -> None:
    problem = stated(2, 1.0)
    problem = replace(problem, capacity=problem.capacity * 0.1)
    assert optimum(problem) is None
    solver = Walk.of(spec, {}, PhaseTimer())
    outcome = solver.outcome(problem)
    assert isinstance(outcome, Infeasible)
    assert outcome.margin > 0.1
    assert outcome.fallbacks == ()
    found = problem.refute(outcome.duals)
    assert found is not None
    assert found.margin == outcome.margin
    with pytest.raises(InfeasibleError, match="contradict each other") as caught:
        solver.solve(problem)
    assert isinstance(caught.value.outcome, Infeasible)
    feasible = replace(problem, promised=np.zeros(problem.rows))
    assert isinstance(solver.outcome(feasible), Solution)


@pytest.mark.parametrize(
    "duals",
    [
        None,
        Duals(),
        Duals(capacity=np.zeros(3), slo=np.zeros(12)),
        Duals(capacity=np.ones(3), slo=np.full(12, 1e-3)),
        Duals(capacity=np.zeros(3), slo=np.ones(5)),
        Duals(capacity=np.full(3, np.nan), slo=np.ones(12)),
    ],
)
def test_that_nothing_is_feasible_is_not_believed_without_a_proof(duals: Duals | None) -> None:
    verdict = certify(stated(2, 0.4), Answer(Status.INFEASIBLE, None, duals, note="says the library"), "stub")
    assert isinstance(verdict, Rejection)
    assert verdict.reason == "status infeasible (says the library), not proven"


def test_an_allocation_that_cannot_be_made_feasible_is_refused() -> None:
    problem = stated(3, 0.4)
    x = Walk.of("highs-direct", {}, PhaseTimer()).solve(problem).x.copy()
    x[0] *= 1.0 - 5e-7  # short of what is promised by less than a tolerance, and nothing lifts it again
    verdict = certify(problem, Answer(Status.OPTIMAL, x), "stub")
    assert isinstance(verdict, Rejection)
    assert "cannot be made feasible" in verdict.reason


def test_a_chain_without_a_backend_for_it_says_why() -> None:
    with pytest.raises(SolveFailedError, match="structured: does not solve problem family 'promised_sum'"):
        Walk.of("structured", {}, PhaseTimer()).solve(stated(1, 0.4))


def test_it_is_taped_and_replayed(tmp_path: Path) -> None:
    problems = [stated(seed, 0.4) for seed in range(3)]
    impossible = replace(problems[2], capacity=problems[2].capacity * 0.01)
    with TapeWriter(tmp_path / "promised.tape", {}) as tape:
        for problem in (*problems, impossible):
            tape.write(problem)
    read = list(Tape(tmp_path / "promised.tape"))
    for ours, theirs in zip(read, (*problems, impossible), strict=True):
        assert type(ours) is PromisedSum
        for name, value in theirs.stated().items():
            np.testing.assert_array_equal(ours.stated()[name], value)
    records = replay(read, ["highs-direct", "auto"])
    for record in records:
        assert record.failures == []
        assert record.infeasible == 1
        assert len(record.gaps) == 3
        assert max(record.lost) <= 1e-9


def test_it_is_listed_with_the_backends_that_take_it() -> None:
    families: Mapping[str, type[AllocationProblem]] = registry.families()
    assert families["promised_sum"] is PromisedSum
    takers = {each.name for each in registry.describe() if "promised_sum" in each.families}
    assert takers == {"auto", "highs-direct"}
