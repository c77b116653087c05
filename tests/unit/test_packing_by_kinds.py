"""Packing by kinds: who is equal to whom, what duals prove, who shares with whom, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import phasewise
from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Answer, Solution, Status
from phasewise.solvers.certify import Rejection, certify
from phasewise.solvers.errors import ProblemError, SolveFailedError
from phasewise.solvers.families.packed import MAX_MIN_PACKED, PackedMaxMinProblem
from phasewise.solvers.families.packed_finish_time import FINISH_TIME_PACKED
from phasewise.solvers.families.packed_lexicographic import LEXICOGRAPHIC_PACKED
from phasewise.solvers.families.packed_moving import MAX_MIN_PACKED_SWITCHING, PackedMovingProblem
from phasewise.solvers.packed_instances import (
    PackedTrait,
    lexicographic,
    moving,
    packed_rounds,
    random_packed,
    random_packed_finish_time,
    random_table,
)
from phasewise.solvers.packing.crowd import crowd_of
from phasewise.solvers.packing.teams import matching
from phasewise.solvers.problems import AllocationProblem, Floats
from phasewise.solvers.proofs import Duals
from phasewise.solvers.replay import replay
from phasewise.solvers.session import Walk
from phasewise.solvers.tapes import Tape, TapeWriter


def by_kinds(problem: AllocationProblem) -> Solution:
    return Walk.of("by-kinds", {}, PhaseTimer()).solve(problem)


def alike(jobs: int, capacity: float, beside: float) -> PackedMaxMinProblem:
    """Return jobs of one kind on one type, each of speed 1, or ``beside`` when two of them share."""
    ones = np.ones(jobs)
    kind = np.zeros(jobs, dtype=np.int64)
    rate = np.full((1, 1, 1), beside)
    return PackedMaxMinProblem(ones[:, None], kind, ones, rate, ones, np.array([capacity]), keys=np.arange(jobs))


def shared(solution: Solution) -> dict[tuple[int, int], float]:
    """Return the time of each pair."""
    assert solution.members is not None
    rows = zip(solution.members.tolist(), solution.x.sum(axis=1).tolist(), strict=True)
    return {(first, second): time for (first, second), time in rows if second >= 0 and time > 0.0}


# --- equal jobs


def test_jobs_are_equal_where_all_their_figures_are() -> None:
    gain = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    factor = np.array([1.0, 1.0, 1.0, 2.0, 1.0, 1.0])
    kind = np.array([0, 0, 0, 0, 3, 0])
    crowd = crowd_of(gain, gain > 0.0, factor, np.ones(6), kind, np.ones((4, 4, 2)))
    assert crowd.of_job.tolist() == [0, 0, 1, 2, 3, 0]
    assert crowd.size.tolist() == [3.0, 1.0, 1.0, 1.0]
    assert crowd.name.tolist() == [0, 3]
    assert not crowd.shares[1, 1].any()  # one job has nobody of its own kind
    assert crowd.shares[0].all()


def test_zero_and_minus_zero_are_equal() -> None:
    gain = np.array([[0.0, 1.0], [-0.0, 1.0]])
    crowd = crowd_of(gain, gain > 0.0, np.ones(2), np.ones(2), np.zeros(2, dtype=np.int64), np.ones((1, 1, 2)))
    assert crowd.classes == 1


# --- who shares with whom


@pytest.mark.parametrize("jobs", [2, 4, 10])
def test_an_even_number_of_equal_jobs_shares_in_fixed_pairs(jobs: int) -> None:
    pairs = shared(by_kinds(alike(jobs, jobs / 2.0, 0.9)))
    assert len(pairs) == jobs // 2
    assert sorted(job for pair in pairs for job in pair) == list(range(jobs))
    assert list(pairs.values()) == pytest.approx([1.0] * (jobs // 2))


@pytest.mark.parametrize("jobs", [3, 5, 11])
def test_of_an_odd_number_three_share_by_halves(jobs: int) -> None:
    problem = alike(jobs, jobs / 2.0, 0.9)
    solution = by_kinds(problem)
    times = sorted(shared(solution).values())
    assert times == pytest.approx([0.5] * 3 + [1.0] * ((jobs - 3) // 2))
    assert solution.objective == pytest.approx(0.9, rel=1e-12)


def test_partners_stay_together_when_others_come_and_go() -> None:
    walk = Walk.of("by-kinds", {}, PhaseTimer())
    table = random_table(np.random.default_rng(5), 4, 3, {PackedTrait.AMPLE})
    rounds = list(packed_rounds(5, table, 120, 2, churn=6, capacity=np.full(3, 12.0)))
    keys = [problem.keys for problem in rounds]
    assert keys[0] is not None
    assert keys[1] is not None
    teams = []
    for problem, own in zip(rounds, keys, strict=True):
        solution = walk.solve(problem)
        teams.append({tuple(sorted(own[list(pair)].tolist())) for pair in shared(solution)})
    both = np.intersect1d(*keys)
    possible = {pair for pair in teams[0] if np.isin(pair, both).all()}
    cold = {tuple(sorted(keys[1][list(pair)].tolist())) for pair in shared(by_kinds(rounds[1]))}
    assert len(teams[1] & possible) > len(cold & possible)
    assert len(teams[1] & possible) > 0.6 * len(possible)


def test_there_are_not_many_more_teams_than_jobs() -> None:
    problem = random_packed(3, 2000, 3, 20)
    solution = by_kinds(problem)
    assert solution.members is not None
    assert 1000 < len(shared(solution)) < 2000 * 4
    assert solution.gap is not None
    assert solution.gap <= 1e-9


def test_a_matching_takes_each_pair_whose_jobs_are_free_in_order() -> None:
    pairs = np.array([[0, 1], [1, 2], [2, 3], [0, 4], [4, 5]])
    assert matching(pairs, 6).tolist() == [[0, 1], [2, 3], [4, 5]]


# --- what moving costs


def three_on_two_types(previous: list[list[float]], cost: float) -> PackedMovingProblem:
    """Return three equal jobs on two types of a GPU and a half each; two that share keep 0.7 of their speed."""
    ones = np.ones(3)
    return PackedMovingProblem(
        np.ones((3, 2)), np.zeros(3, dtype=np.int64), ones, np.full((1, 1, 2), 0.7), ones, np.full(2, 1.5),
        keys=np.arange(3), previous=np.array(previous), move_cost=np.full((3, 1), cost),
    )  # fmt: skip


def time_on(solution: Solution, jobs: int) -> Floats:
    """Return (J, W) the time of each job on each type, alone and beside others."""
    assert solution.members is not None
    total = np.zeros((jobs, solution.x.shape[1]))
    for (first, second), x in zip(solution.members.tolist(), solution.x, strict=True):
        total[first] += x
        if second >= 0:
            total[second] += x
    return total


def test_who_may_stay_stays_whoever_its_partner_is() -> None:
    before = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]  # all three run at once, two of them beside each other at times
    solution = by_kinds(three_on_two_types(before, 0.2))
    assert time_on(solution, 3) == pytest.approx(np.array(before))
    plain = by_kinds(three_on_two_types([[0.0, 0.0]] * 3, 0.0))
    assert solution.objective < plain.objective  # half of the second type is of no use to who stays where it is


def test_who_had_more_than_is_good_for_all_moves_where_that_is_worth_its_cost() -> None:
    before = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    solution = by_kinds(three_on_two_types(before, 1e-6))
    plain = by_kinds(three_on_two_types([[0.0, 0.0]] * 3, 0.0))
    assert solution.objective == pytest.approx(plain.objective, abs=1e-5)
    assert np.abs(time_on(solution, 3) - before).sum() > 0.1


def test_a_change_of_partner_costs_nothing() -> None:
    ones = np.ones(4)
    rate = np.zeros((4, 4, 1))
    rate[0, 1] = rate[1, 0] = rate[2, 3] = rate[3, 2] = 0.9  # only these can share
    problem = PackedMovingProblem(
        np.ones((4, 1)), np.arange(4), ones, rate, ones, np.array([2.0]), previous=np.ones((4, 1)),
        move_cost=np.full((4, 1), 10.0),
    )  # fmt: skip
    assert by_kinds(problem).objective == pytest.approx(0.9)  # though they may have been beside others before


def test_jobs_that_had_the_same_but_for_rounding_are_equal() -> None:
    before = [[1.0 / 3.0, 0.5], [1.0 / 3.0 + 1e-15, 0.5], [0.1, 0.9000000001]]
    problem = three_on_two_types(before, 0.01)
    assert problem.crowd.of_job.tolist() == [0, 0, 1]
    assert np.array_equal(problem.anew().previous, problem.previous)


@pytest.mark.parametrize(
    ("previous", "message"),
    [(np.full((9, 3), 0.5), r"previous\[0\] sums to 1.5"), (np.zeros((9, 2)), r"previous has shape \(9, 2\)")],
)
def test_what_cannot_be_in_force_is_named(previous: Floats, message: str) -> None:
    problem = moving(random_packed(1, 9, 3, 3), 1)
    with pytest.raises(ProblemError, match=message):
        replace(problem, previous=previous).validate()


# --- what is proven


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_duals_the_bound_is_no_less_than_the_optimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = random_packed(seed, 9, 3, 3, {PackedTrait.DIFFERENT, PackedTrait.CANONICAL})
    best = by_kinds(problem).objective
    for scale in (0.0, 0.1, 1.0, 10.0):
        duals = Duals(rng.random(3) * scale, rng.random(9), rng.random(9) * scale)
        proof = problem.proven(np.zeros(9), duals)
        assert proof is not None
        assert proof.bound >= best * (1.0 - 1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_with_a_movement_cost_the_bound_is_no_less_than_the_optimum_either(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = moving(random_packed(seed, 9, 3, 3, {PackedTrait.DIFFERENT, PackedTrait.MASKED}), seed, dear=10.0)
    best = by_kinds(problem).objective
    for scale in (0.0, 0.1, 1.0, 10.0):
        kept = rng.uniform(-1.0, 3.0, problem.gain.shape) * problem.move_cost
        duals = Duals(rng.random(3) * scale, rng.random(9), rng.random(9) * scale, kept=kept)
        for given in (duals, replace(duals, kept=None)):
            proof = problem.prove(np.zeros(problem.gain.shape), given)
            assert proof is not None
            assert proof.bound >= best - 1e-9 * abs(best)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_duals_no_ratio_below_the_bound_is_claimed_to_be_out_of_reach(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = random_packed_finish_time(seed, 9, 3, 3)
    best = by_kinds(problem).objective
    for scale in (0.0, 1e-3, 1.0):
        duals = Duals(rng.random(3) * scale, rng.random(9), rng.random(9) * scale)
        assert problem.bound(duals) <= best * (1.0 + 1e-9)


def verdict(problem: PackedMaxMinProblem, members: list[list[int]], x: Floats) -> str:
    """Return why the certifier refuses an answer with these rows."""
    answer = Answer(Status.OPTIMAL, x, members=np.array(members, dtype=np.int64))
    said = certify(problem, answer, "made")
    assert isinstance(said, Rejection)
    return said.reason


def test_rows_that_are_no_teams_are_refused_with_the_reason() -> None:
    problem = alike(3, 2.0, 0.9)
    assert "job 2 is in no row" in verdict(problem, [[0, 1]], np.ones((1, 1)))
    assert "members[1] are [1, 3]" in verdict(problem, [[0, -1], [1, 3], [2, -1]], np.zeros((3, 1)))
    assert "members[0] are [1, 1]" in verdict(problem, [[1, 1], [0, 2]], np.zeros((2, 1)))
    assert "x has shape (2, 1)" in verdict(problem, [[0, 1], [1, 2], [0, 2]], np.zeros((2, 1)))
    assert "violates" in verdict(problem, [[0, 1], [1, 2]], np.full((2, 1), 0.8))  # job 1 has 1.6 of its time


def test_an_answer_may_not_choose_rows_where_the_problem_has_them() -> None:
    plain = alike(3, 2.0, 0.9).full()
    answer = Answer(Status.OPTIMAL, np.zeros((3, 1)), members=np.array([[0, -1], [1, -1], [2, -1]]))
    said = certify(plain, answer, "made")
    assert isinstance(said, Rejection)
    assert "cannot choose" in said.reason


def test_pairs_of_unequal_width_or_without_a_rate_may_not_share() -> None:
    problem = random_packed(2, 8, 2, 4, {PackedTrait.WIDE, PackedTrait.UNMEASURED})
    full = problem.over(np.array([[i, k] for i in range(8) for k in range(i + 1, 8)] + [[i, -1] for i in range(8)]))
    for row, (first, second) in enumerate(full.members.tolist() if full.members is not None else []):
        if second < 0:
            continue
        rates = problem.rate[problem.kind[first], problem.kind[second]]
        back = problem.rate[problem.kind[second], problem.kind[first]]
        wide = problem.scale_factor[first] != problem.scale_factor[second]
        assert not full.allowed_mask[row, (rates == 0.0) | (back == 0.0) | wide].any()


# --- bad input


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("kind", np.array([0, 1, 5]), "kind[1] is 1; expected 0 to 0"),
        ("kind", np.zeros(2, dtype=np.int64), "kind has shape (2,); expected (3,)"),
        ("factor", np.array([1.0, 0.0, 1.0]), "factor[1] is 0.0; expected a finite number above 0"),
        ("rate", np.ones((1, 2, 1)), "rate has shape (1, 2, 1)"),
        ("rate", np.full((1, 1, 1), np.nan), "rate[0, 0, 0] is nan"),
        ("scale_factor", np.array([1.0, 2.0, 2.0]), "expected one number of GPUs for all jobs of a kind"),
        ("linear_weight", -1.0, "linear_weight is -1.0"),
    ],
)
def test_a_fault_of_the_arrays_is_named(field: str, value: object, message: str) -> None:
    with pytest.raises(ProblemError) as raised:
        replace(alike(3, 2.0, 0.9), **{field: value}).validate()
    assert message in str(raised.value)


def test_every_pair_of_many_jobs_is_too_much_for_the_backends_that_list_them() -> None:
    with pytest.raises(SolveFailedError, match="by-kinds solves the same problem"):
        Walk.of("highs-direct", {}, PhaseTimer()).solve(random_packed(0, 500, 2, 3))


# --- in its place among the families


def test_auto_picks_it_for_every_family_of_packing() -> None:
    for problem in (
        random_packed(1, 12, 3, 3),
        lexicographic(random_packed(1, 12, 3, 3)),
        random_packed_finish_time(1, 12, 3, 3),
        moving(random_packed(1, 12, 3, 3), 1),
    ):
        assert Walk.of("auto", {}, PhaseTimer()).solve(problem).backend == "auto:by-kinds"


def test_only_backends_that_solve_the_steps_of_a_sequence_take_it() -> None:
    taking = {name for name in registry.names() if FINISH_TIME_PACKED in registry.get(name).families}
    steps = {name for name in registry.names() if MAX_MIN_PACKED in registry.get(name).families}
    assert taking == steps
    assert "highs-warm" not in taking
    assert "structured" not in taking


def test_a_tape_of_packing_is_read_as_it_was_written_and_replayed(tmp_path: Path) -> None:
    table = random_table(np.random.default_rng(1), 4, 2, {PackedTrait.WIDE})
    written = [
        *packed_rounds(1, table, 20, 3, churn=2, capacity=np.full(2, 8.0)),
        lexicographic(random_packed(1, 12, 2, 3)),
        random_packed_finish_time(1, 12, 2, 3),
        moving(random_packed(1, 12, 2, 3), 1),
    ]
    with TapeWriter(tmp_path / "packed.tape", {}) as tape:
        for problem in written:
            tape.write(problem)
    read = list(Tape(tmp_path / "packed.tape"))
    others = [LEXICOGRAPHIC_PACKED, FINISH_TIME_PACKED, MAX_MIN_PACKED_SWITCHING]
    assert [each.family for each in read] == [MAX_MIN_PACKED] * 3 + others
    for before, after in zip(written, read, strict=True):
        assert all(
            np.array_equal(value, after.stated()[name])
            for name, value in before.stated().items()
            if isinstance(value, np.ndarray)
        )
    (own, direct) = replay(read, ["by-kinds", "highs-direct"])
    assert not own.failures
    assert not direct.failures
    assert max(own.gaps + direct.gaps) <= 1e-9
    assert max(own.lost) <= 1e-9


def test_it_is_solved_from_python_with_lists() -> None:
    solution = phasewise.solve(
        phasewise.PackedMaxMin(
            gain=[[1.0], [1.0]],
            kind=[0, 1],
            factor=[1.0, 1.0],
            rate=[[[0.0], [0.7]], [[0.6], [0.0]]],
            scale_factor=[1.0, 1.0],
            capacity=[1.0],
        )
    )
    assert shared(solution) == pytest.approx({(0, 1): 10 / 11})  # the slower one has the rest for itself
    assert solution.objective == pytest.approx(7 / 11)


def test_the_same_problem_and_state_give_the_same_bytes() -> None:
    rounds = list(
        packed_rounds(3, random_table(np.random.default_rng(3), 5, 3, ()), 60, 3, churn=4, capacity=np.full(3, 9.0))
    )
    answers = []
    for _ in range(2):
        walk = Walk.of("by-kinds", {}, PhaseTimer())
        answers.append([walk.solve(problem.anew()) for problem in rounds])
    for one, other in zip(*answers, strict=True):
        assert one.x.tobytes() == other.x.tobytes()
        assert one.members is not None
        assert other.members is not None
        assert one.members.tobytes() == other.members.tobytes()
