"""Water filling: exact by tests that know nothing of how it is done."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from oracle import GAVEL, read
from scipy import sparse
from scipy.optimize import linprog

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.errors import SolveFailedError
from phasewise.solvers.families.lexicographic import LexicographicProblem
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.filling import WaterFiller
from phasewise.solvers.instances import Load, Trait, churned_rounds, random_problem
from phasewise.solvers.problems import Floats
from phasewise.solvers.session import Walk

EASY = [
    Trait.ZEROS, Trait.STUCK, Trait.TIES, Trait.DUPLICATES, Trait.FRACTIONAL, Trait.GANGS, Trait.AMPLE, Trait.SCARCE,
    Trait.NO_CAPACITY, Trait.MASKED,
]  # fmt: skip
TRAITS = st.sets(st.sampled_from(EASY), max_size=3)
SEEDS = st.integers(0, 2**32 - 1)


@cache
def solver() -> Walk:
    return Walk.of("water-filling", {}, PhaseTimer())


def lexicographic(problem: MaxMinProblem) -> LexicographicProblem:
    return LexicographicProblem(problem.gain, problem.scale_factor, problem.capacity, problem.allowed)


class Reference:
    """Linear programs over one problem, solved by scipy at 1e-10."""

    def __init__(self, problem: LexicographicProblem) -> None:
        self.gain, jobs, types = problem.usable_gain, problem.jobs, problem.types
        pairs = jobs * types
        self.levels = sparse.csr_array(
            (self.gain.ravel(), (np.repeat(np.arange(jobs), types), np.arange(pairs))), shape=(jobs, pairs)
        )
        time = sparse.kron(sparse.eye_array(jobs), np.ones((1, types)))
        gpus = sparse.kron(problem.scale_factor[None, :], sparse.eye_array(types))
        self.limits = sparse.vstack([time, gpus])
        self.room = np.concatenate([np.ones(jobs), problem.capacity])
        self.upper = self.gain.ravel() > 0.0

    def most(self, gains: Floats, raised: Floats, floors: Floats) -> float:
        """Return the largest sum of ``gains`` (J,) of levels, plus t where ``raised`` (J,) must be at least t."""
        matrix = sparse.vstack(
            [
                sparse.hstack([-self.levels, raised[:, None]]),
                sparse.hstack([self.limits, np.zeros((self.room.size, 1))]),
            ]
        )
        cost = np.append(-(gains @ self.levels), -float(raised.any()))
        result = linprog(
            cost, matrix, np.concatenate([-floors, self.room]), method="highs",
            bounds=[(0.0, float(able)) for able in self.upper] + [(0.0, None)],
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10, "presolve": False},
        )  # fmt: skip
        assert result.status == 0, result.message
        return -float(result.fun)

    def optimum(self) -> Floats:
        """Return (J,) the lexicographic optimum by level after level, every job tested for improvement by its own."""
        jobs = self.gain.shape[0]
        levels, frozen = np.zeros(jobs), self.gain.max(axis=1) <= 0.0
        while not frozen.all():
            level = self.most(np.zeros(jobs), (~frozen).astype(float), np.where(frozen, levels, 0.0) * (1 - 1e-11))
            floors = np.where(frozen, levels, level) * (1.0 - 1e-11)
            stuck = [i for i in np.flatnonzero(~frozen) if self.rise(i, floors) <= level * (1.0 + 1e-8)]
            assert stuck
            levels[stuck] = level
            frozen[stuck] = True
        return levels

    def rise(self, job: int, floors: Floats) -> float:
        """Return the highest level of ``job`` while everybody has their floor."""
        alone = np.zeros(floors.size)
        alone[job] = 1.0
        return self.most(alone, np.zeros(floors.size), floors)


@given(seed=SEEDS, jobs=st.integers(1, 7), types=st.integers(1, 4), traits=TRAITS)
def test_levels_equal_those_of_successive_programs(seed: int, jobs: int, types: int, traits: set[Trait]) -> None:
    note(f"random_problem({seed}, {jobs}, {types}, {sorted(traits)})")
    problem = lexicographic(random_problem(seed, jobs, types, traits))
    solution = solver().solve(problem)
    np.testing.assert_allclose(problem.levels(solution.x), Reference(problem).optimum(), rtol=1e-7, atol=1e-9)


def idle_and_wanted(problem: LexicographicProblem, x: Floats) -> list[tuple[int, int]]:
    """Return every (job, type) where a job has time to spare and an idle GPU that it can use."""
    idle = problem.capacity - problem.scale_factor @ x > 1e-6 * np.maximum(problem.capacity, 1.0)
    spare = x.sum(axis=1) < 1.0 - 1e-6
    return [(int(i), int(j)) for i, j in np.argwhere(spare[:, None] & idle & (problem.usable_gain > 0.0))]


@given(seed=SEEDS, jobs=st.integers(1, 40), types=st.integers(1, 6), traits=TRAITS)
def test_no_job_with_time_to_spare_leaves_a_usable_gpu_idle(
    seed: int, jobs: int, types: int, traits: set[Trait]
) -> None:
    note(f"random_problem({seed}, {jobs}, {types}, {sorted(traits)})")
    problem = lexicographic(random_problem(seed, jobs, types, traits))
    solution = solver().solve(problem)
    assert idle_and_wanted(problem, solution.x) == []
    assert solution.gap is not None
    assert solution.gap <= 1e-9


def rise_on_idle(problem: LexicographicProblem, x: Floats) -> float:
    """Return by what part of what it could have some job falls short, were it to get idle GPUs and lose nothing."""
    gain, idle = problem.usable_gain, np.maximum(problem.capacity - problem.scale_factor @ x, 0.0)
    most = 0.0
    for job, row in enumerate(gain):
        left, reach = 1.0, 0.0
        for kind in np.argsort(-row):
            used = min(left, float(x[job, kind] + idle[kind] / problem.scale_factor[job]))
            reach, left = reach + used * float(row[kind]), left - used
        if reach > 0.0:
            most = max(most, 1.0 - float(row @ x[job]) / reach)
    return most


@hypothesis_settings(max_examples=100)
@given(seed=SEEDS, jobs=st.integers(1, 12), types=st.integers(1, 6), decades=st.floats(0.0, 7.0))
def test_nobody_can_rise_on_idle_gpus_by_more_than_is_claimed(seed: int, jobs: int, types: int, decades: float) -> None:
    rng = np.random.default_rng(seed)
    gain = 10.0 ** rng.uniform(-decades, decades, (jobs, types))
    capacity = rng.random(types) * jobs * rng.choice([0.05, 0.2, 1.0])
    problem = LexicographicProblem(gain, rng.choice([0.25, 1.0, 4.0], jobs), capacity)
    try:
        solution = solver().solve(problem)
    except SolveFailedError:
        assert decades > 3.0  # a proof may be absent, and an answer with it; tame gains are always filled
        return
    # where nothing is claimed the answer is held to what the certifier would have refused
    assert rise_on_idle(problem, solution.x) <= (1e-4 if solution.gap is None else solution.gap) + 1e-12
    if decades <= 3.0:
        assert solution.gap is not None


def test_a_job_that_could_rise_a_thousandfold_on_idle_gpus_is_seen() -> None:
    # the type that the last job wants was worth so little that the sums of a filling did not show it
    gain = np.array([
        [0.15350653938511816, 2568.7941846672256, 0.08428913516535486, 2.02532547998e-06, 0.96296821965, 1.71686327e-4],
        [0.17679111983798568, 0.901622473929421, 0.04858680326709986, 4.50812367368e-06, 3828.305959637, 0.0394327813],
        [2.22991242546395e-06, 0.118697687667166, 0.00679308458051677, 3.69144201380e-06, 7.0913416e-06, 0.9154912060],
        [150.06449391573676, 2.908177295752269, 6.79918948465e-05, 0.894273440419244, 1.4892565e-4, 13965.5141836037],
        [16.173678956454808, 0.30702478220760315, 97507.43840513269, 0.00043525525764, 31.386106416, 5.3709323187e-05],
    ])  # fmt: skip
    capacity = np.array([0.6522437516, 0.6218307415, 0.2015345499, 0.2355844708, 0.5542429615, 0.3345635244])
    problem = LexicographicProblem(gain, np.ones(5), capacity)
    solution = solver().solve(problem)
    assert rise_on_idle(problem, solution.x) <= 1e-9
    wasteful = solution.x.copy()
    wasteful[4] /= 1000.0
    _, gap = problem.staged_proof(wasteful, np.zeros((0, 6)))
    assert gap is not None
    assert gap >= 0.99
    assert rise_on_idle(problem, problem.topped_up(wasteful)) <= 1e-9
    assert problem.violation(problem.topped_up(wasteful)) <= 1e-12
    assert (problem.levels(problem.topped_up(wasteful)) >= problem.levels(wasteful)).all()


@given(seed=SEEDS, jobs=st.integers(1, 12), types=st.integers(1, 4), traits=TRAITS)
def test_what_a_job_could_reach_alone_is_what_a_plain_loop_finds(
    seed: int, jobs: int, types: int, traits: set[Trait]
) -> None:
    problem = lexicographic(random_problem(seed, jobs, types, traits))
    x = problem.project(np.random.default_rng(seed).random((jobs, types)))
    reach, beyond = problem.reach(x), rise_on_idle(problem, x)
    levels = problem.levels(x)
    live = reach > 0.0
    assert float((1.0 - levels[live] / reach[live]).max(initial=0.0)) == pytest.approx(beyond, abs=1e-9)


@hypothesis_settings(max_examples=15)
@given(seed=SEEDS, traits=TRAITS)
def test_nobody_can_rise_without_a_poorer_or_equal_job_falling(seed: int, traits: set[Trait]) -> None:
    problem = lexicographic(random_problem(seed, 24, 4, traits))
    levels = problem.levels(solver().solve(problem).x)
    reference = Reference(problem)
    for job in range(0, 24, 5):
        floors = np.where(levels <= levels[job] * (1.0 + 1e-9), levels, 0.0) * (1.0 - 1e-11)
        assert reference.rise(job, floors) <= levels[job] * (1.0 + 1e-8) + 1e-12


@given(seed=SEEDS, traits=TRAITS, order=st.integers(0, 1000))
def test_the_order_of_jobs_does_not_move_a_level(seed: int, traits: set[Trait], order: int) -> None:
    problem = lexicographic(random_problem(seed, 15, 3, traits))
    shuffled = np.random.default_rng(order).permutation(15)
    allowed = None if problem.allowed is None else problem.allowed[shuffled]
    other = LexicographicProblem(problem.gain[shuffled], problem.scale_factor[shuffled], problem.capacity, allowed)
    levels = problem.levels(solver().solve(problem).x)
    np.testing.assert_allclose(other.levels(solver().solve(other).x), levels[shuffled], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("load", list(Load))
def test_rounds_of_a_large_cluster_are_filled_with_a_certificate(load: Load) -> None:
    for churned in churned_rounds(3, 1700, 2, load=load):
        problem = lexicographic(churned.problem)
        solution = solver().solve(problem)
        assert solution.gap is not None
        assert solution.gap <= 1e-9
        assert idle_and_wanted(problem, solution.x) == []


@pytest.mark.parametrize("seed", range(40))
def test_gains_over_six_decades_are_filled_with_a_certificate(seed: int) -> None:
    more = ({Trait.ZEROS}, {Trait.GANGS}, {Trait.FRACTIONAL, Trait.MASKED}, set[Trait]())[seed // 4 % 4]
    problem = lexicographic(random_problem(seed, (20, 60, 200, 400)[seed % 4], 2 + seed % 7, {Trait.UNITS} | more))
    solution = solver().solve(problem)
    assert solution.gap is not None
    assert solution.gap <= 1e-9
    assert solution.violation <= 1e-9


# in the first, rounding leaves a swift filling of two stages 4e-9 short; in the second 3e-6, after five stages
@pytest.mark.parametrize(
    ("seed", "jobs", "types", "more"), [(131514279, 5, 2, {Trait.FRACTIONAL}), (888039438, 400, 8, set[Trait]())]
)
def test_a_filling_that_is_not_proven_is_done_again_and_says_so(
    seed: int, jobs: int, types: int, more: set[Trait]
) -> None:
    problem = lexicographic(random_problem(seed, jobs, types, {Trait.UNITS} | more))
    answer = WaterFiller().answer(problem, PhaseTimer())
    assert answer.x is not None
    assert answer.duals is not None
    proof = problem.prove(problem.project(answer.x), answer.duals)
    assert proof is not None
    assert proof.gap is not None
    assert proof.gap <= 1e-8
    assert "filled" in answer.note


@pytest.mark.parametrize(("seed", "jobs"), [(0, 1700), (19, 1000), (103, 1700)])
def test_jobs_keep_what_they_stand_on_where_prices_are_almost_tied(seed: int, jobs: int) -> None:
    problem = lexicographic(next(churned_rounds(seed, jobs, 1, load=Load.NATURAL)).problem)
    solution = solver().solve(problem)
    assert solution.gap is not None
    assert solution.gap <= 1e-8
    assert solution.violation <= 1e-9
    assert idle_and_wanted(problem, solution.x) == []


def test_a_worse_allocation_is_told_by_its_gap() -> None:
    problem = lexicographic(random_problem(3, 12, 3, {Trait.AMPLE}))
    bound, gap = problem.staged_proof(0.5 * solver().solve(problem).x, np.zeros((0, 3)))
    assert bound == pytest.approx(problem.usable_gain.max(axis=1).min())
    assert gap == pytest.approx(0.5, rel=1e-6)


def recorded() -> list[tuple[str, LexicographicProblem, list[float]]]:
    """Return (case, problem, the original's sorted levels) of every recorded water-filling allocation."""
    reached = {
        (row["case"], row["index"]): row["sorted_values"]
        for row in read(GAVEL / "objectives.json")
        if "water_filling" in row["policy"]
    }
    rows = []
    for case_name in sorted({case for case, _ in reached}):
        record = read(GAVEL / "alloc" / f"{case_name}.json")
        for case in record["cases"]:
            capacity = np.array([case["cluster_spec"][kind] for kind in case["worker_types"]], dtype=np.float64)
            rates = np.array(case["throughputs"], dtype=np.float64)
            aware = record["policy"].endswith("_perf")
            norm = rates @ capacity / capacity.sum() if aware else np.ones(len(rates))
            scale = np.array(case["scale_factors"], dtype=np.float64)
            factor = scale / (np.array(case["priority_weights"]) * norm)
            gain = (rates if aware else np.ones_like(rates)) * factor[:, None]
            allowed = np.ones(gain.shape, np.bool_)  # the original has no mask
            rows.append(
                (
                    f"{case_name}[{case['index']}]",
                    LexicographicProblem(gain, scale, capacity, allowed),
                    reached[case_name, case["index"]],
                )
            )
    return rows


@pytest.mark.oracle
def test_the_originals_allocations_are_never_lexicographically_better() -> None:
    rows = recorded()
    assert len(rows) == 24
    for name, problem, theirs in rows:
        ours = problem.sorted_levels(solver().solve(problem).x)
        differs = np.flatnonzero(np.abs(ours - theirs) > 1e-6 * np.maximum(1.0, ours))
        assert not differs.size or ours[differs[0]] > theirs[differs[0]], name
