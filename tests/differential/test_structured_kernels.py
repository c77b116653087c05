"""The structured solvers' compiled loops against plain references: what a job answers to prices, and equal rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from scipy.optimize import linprog

from phasewise.solvers.structured.classes import equal_jobs
from phasewise.solvers.structured.interior_point import interior_point
from phasewise.solvers.structured.interior_point_kernels import Program
from phasewise.solvers.structured.sifting_kernels import (
    JobGains,
    Responses,
    audit,
    fixed_use,
    respond,
    set_free,
    write_fixed,
)
from phasewise.solvers.structured.states import ABOVE, FREE, PAIR, SHORT, SINGLE


def some_jobs(seed: int, count: int, types: int, reward: float) -> tuple[JobGains, np.ndarray]:
    """Return random jobs and prices; a fifth of the pairs are not open."""
    rng = np.random.default_rng([seed, count, types])
    gain = np.exp(0.7 * rng.standard_normal((count, types)))
    gain[rng.random((count, types)) < 0.2] = 0.0
    return JobGains(gain, rng.choice([0.25, 1.0, 4.0], size=count), np.full(count, reward)), rng.uniform(
        0.0, 1.0, types
    )


def answered(jobs: JobGains, prices: np.ndarray, level: float) -> tuple[Responses, np.ndarray]:
    """Return every job's response and its time fractions at ``level``."""
    count = jobs.use.size
    kinds = np.empty((5, count), dtype=np.int8)
    responses = Responses(*kinds, np.empty(count))
    respond(jobs, prices, level, responses)
    x, used = np.zeros_like(jobs.gain), np.zeros(prices.size)
    reached = Responses(np.where(kinds[0] == SHORT, FREE, kinds[0]).astype(np.int8), *kinds[1:], responses.margin)
    least, rewards = write_fixed(jobs, reached, level, x, used)
    gains = (jobs.gain * x).sum(axis=1)[kinds[0] != SHORT]
    np.testing.assert_allclose(used, jobs.use @ x, rtol=1e-12)
    assert least == pytest.approx(gains.min(initial=np.inf))
    assert rewards == pytest.approx(float(jobs.linear[kinds[0] != SHORT] @ gains))
    return responses, x


CASES = st.tuples(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from([0.0, 0.05, 1.0]), st.floats(0.05, 2.5))


@given(case=CASES)
def test_a_response_is_the_best_that_a_job_can_do_at_these_prices(case: tuple[int, int, float, float]) -> None:
    seed, types, reward, level = case
    jobs, prices = some_jobs(seed, 3, types, reward)
    responses, x = answered(jobs, prices, level)
    for i in range(3):
        gain, cost = jobs.gain[i], jobs.use[i] * prices - reward * jobs.gain[i]
        best = linprog(
            cost,
            A_ub=np.array([np.ones(types), -gain]),
            b_ub=[1.0, -level],
            bounds=[(0.0, None if a > 0.0 else 0.0) for a in gain],
        )
        note(f"job {i}: {gain}, prices {prices}, response {responses}")
        assert (best.status == 2) == (responses.state[i] == SHORT)
        if best.status == 0:
            assert cost @ x[i] == pytest.approx(best.fun, rel=1e-9, abs=1e-12)
            assert gain @ x[i] >= level * (1.0 - 1e-12)
            assert x[i].sum() <= 1.0 + 1e-12


@given(case=CASES)
def test_the_use_of_fixed_jobs_is_affine_in_the_level(case: tuple[int, int, float, float]) -> None:
    seed, types, reward, level = case
    jobs, prices = some_jobs(seed, 20, types, reward)
    responses, x = answered(jobs, prices, level)
    kept = responses.state != SHORT
    jobs = JobGains(jobs.gain[kept], jobs.use[kept], jobs.linear[kept])
    responses = Responses(*(part[kept].copy() for part in responses))
    base, slope = np.empty(types), np.empty(types)
    base_reward, reward_slope = fixed_use(jobs, responses, base, slope)
    np.testing.assert_allclose(base + slope * level, jobs.use @ x[kept], rtol=1e-9, atol=1e-9)
    rewards = float(jobs.linear @ (jobs.gain * x[kept]).sum(axis=1))
    assert base_reward + reward_slope * level == pytest.approx(rewards, rel=1e-9, abs=1e-9)


@given(case=CASES)
def test_nobody_regrets_a_response_at_the_prices_it_answers(case: tuple[int, int, float, float]) -> None:
    seed, types, reward, level = case
    jobs, prices = some_jobs(seed, 20, types, reward)
    responses, _ = answered(jobs, prices, level)
    kept = responses.state != SHORT
    jobs = JobGains(jobs.gain[kept], jobs.use[kept], jobs.linear[kept])
    responses = Responses(*(part[kept].copy() for part in responses))
    weights, regret = np.zeros(int(kept.sum())), np.empty(int(kept.sum()))
    terms, total, regrets = audit(jobs, prices, level, responses, weights, regret)
    value = (weights + jobs.linear)[:, None] * jobs.gain - jobs.use[:, None] * prices
    assert terms == pytest.approx(np.where(jobs.gain > 0.0, value, 0.0).max(axis=1, initial=0.0).sum(), rel=1e-9)
    assert total == pytest.approx(weights.sum())
    assert regrets == pytest.approx(0.0, abs=1e-9 * (1.0 + abs(terms)))


def test_the_four_states_are_what_they_say() -> None:
    gain = np.array([[3.0, 1.0], [3.0, 1.0], [1.0, 0.5], [4.0, 0.0]])
    jobs = JobGains(gain, np.ones(4), np.array([0.0, 0.0, 0.0, 1.0]))
    responses, x = answered(jobs, np.array([1.0, 0.1]), 2.0)
    assert responses.state.tolist() == [PAIR, PAIR, SHORT, ABOVE]
    np.testing.assert_allclose(x[0], [0.5, 0.5])
    responses, x = answered(jobs, np.array([1.0, 0.1]), 0.5)
    assert responses.state.tolist() == [SINGLE, SINGLE, SINGLE, ABOVE]
    np.testing.assert_allclose(x[0], [0.0, 0.5])


@given(case=CASES)
def test_a_job_within_its_margin_answers_nearby_prices_as_before(case: tuple[int, int, float, float]) -> None:
    seed, types, reward, level = case
    jobs, prices = some_jobs(seed, 20, types, reward)
    prices += 0.05
    responses, _ = answered(jobs, prices, level)
    moved = prices + 0.2 * responses.margin.max() * prices.mean() * np.random.default_rng(seed).uniform(-1, 1, types)
    later, _ = answered(jobs, np.maximum(moved, 0.0), level)
    step = np.abs(moved - prices).max() / prices.mean()
    steep = 4.0 * jobs.gain.max(axis=1) / np.where(jobs.gain > 0.0, jobs.gain, np.inf).min(axis=1)
    settled = (responses.margin > step * np.maximum(steep, 4.0) ** 2) & (moved > 0.0).all()
    for one, other in zip(responses[:3], later[:3], strict=True):
        np.testing.assert_array_equal(one[settled], other[settled])


def test_jobs_are_set_free_until_each_type_can_be_balanced() -> None:
    jobs = JobGains(np.ones((6, 2)), np.full(6, 2.0), np.zeros(6))
    none, first, second = np.full(6, -1), np.zeros(6), np.ones(6)
    columns = [np.full(6, ABOVE), first, none, first, second]
    responses = Responses(*(column.astype(np.int8) for column in columns), np.arange(6.0))
    set_free(jobs, responses, 1.0, np.arange(6), 1, np.array([[0.0, 0.0], [0.0, 5.0]]))
    assert responses.state.tolist() == [FREE, FREE, FREE, ABOVE, ABOVE, ABOVE]  # 3 x 2 GPUs might enter the second


def test_a_job_that_cannot_reach_the_level_is_always_set_free() -> None:
    jobs = JobGains(np.array([[1.0], [3.0], [3.0]]), np.ones(3), np.zeros(3))
    responses, _ = answered(jobs, np.ones(1), 2.0)
    set_free(jobs, responses, 2.0, np.array([1]), 1, np.zeros((2, 1)))
    assert responses.state.tolist() == [FREE, FREE, SINGLE]


@given(
    seed=st.integers(0, 10_000),
    jobs=st.sampled_from([1, 3, 20]),
    types=st.integers(1, 6),
    drift=st.sampled_from([0.0, 0.3]),
)
def test_the_interior_point_reaches_what_highs_reaches(seed: int, jobs: int, types: int, drift: float) -> None:
    rng = np.random.default_rng([seed, jobs, types])
    gain = np.exp(0.5 * rng.standard_normal((types, jobs)))
    use, linear = rng.uniform(0.5, 2.0, jobs), rng.choice([0.0, 1e-2], size=jobs)
    capacity, slope = rng.uniform(0.3, 1.0, types) * jobs, drift * rng.uniform(-0.3, 1.0, types)
    none = np.zeros(0, dtype=np.int64)
    program = Program(
        gain, np.ones_like(gain), use, linear, capacity, slope, float(jobs), np.zeros((0, 0)), none, none, np.zeros(0)
    )
    point, level, _, _, gap = interior_point(program, 1.0, 1e-10, 80, 0.0)
    columns = jobs * types
    rows = np.zeros((2 * jobs + types, columns + 1))
    for i in range(jobs):
        rows[i, i:columns:jobs] = -gain[:, i]
        rows[i, -1] = 1.0
        rows[jobs + i, i:columns:jobs] = 1.0
    for j in range(types):
        rows[2 * jobs + j, j * jobs : (j + 1) * jobs] = use
        rows[2 * jobs + j, -1] = slope[j]
    right = np.concatenate((np.zeros(jobs), np.ones(jobs), capacity))
    cost = -np.concatenate(((linear * gain).ravel(), [float(jobs)]))
    best = linprog(cost, A_ub=rows, b_ub=right, bounds=[(0, None)] * columns + [(None, None)])
    value = jobs * level + float((linear * gain * point.y).sum())
    assert gap <= 1e-9
    assert value == pytest.approx(-best.fun, rel=1e-8)
    np.testing.assert_array_less(rows @ np.concatenate((point.y.ravel(), [level])), right + 1e-8)


def test_equal_jobs_are_found_wherever_they_stand() -> None:
    rng = np.random.default_rng(5)
    kinds = rng.random((20, 4))
    which = rng.integers(20, size=500)
    classes = equal_jobs((kinds[which, :3], kinds[which, 3:]))
    assert classes is not None
    np.testing.assert_array_equal(kinds[which][classes.example][classes.of_job], kinds[which])
    assert classes.example.size == np.unique(which).size
    np.testing.assert_array_equal(classes.size, np.bincount(classes.of_job))


def test_where_hardly_two_jobs_are_equal_they_are_left_alone() -> None:
    assert equal_jobs((np.random.default_rng(6).random((500, 4)),)) is None
    assert equal_jobs((np.ones((10, 4)),)) is None  # few jobs cost little anyway
