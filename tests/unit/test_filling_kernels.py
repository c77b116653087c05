"""The compiled loops of water filling against plain forms of them, and the small program that they feed."""

from __future__ import annotations

import numpy as np
import pytest
from cheapest_mixes import cheapest_mixes
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from phasewise.solvers.filling import merge_equal
from phasewise.solvers.filling_kernels import (
    FillingJobs,
    Stock,
    appraise,
    choices,
    descend,
    jobs_of,
    level_at,
    room_for,
    usage,
)
from phasewise.solvers.hull_kernels import trace_hulls
from phasewise.solvers.hulls import Floats, lower_hulls
from phasewise.solvers.overload import Demand, Overload, Supply


def plain_hull(gain: Floats, offered: Floats) -> list[tuple[int, float, float]]:
    """Return (type, level, cost) of each vertex after idling: always the flattest way on, the farthest of equals."""
    vertices, level, cost = [], 0.0, 0.0
    while (gain > level).any():
        ways = {k: (offered[k] - cost) / (gain[k] - level) for k in np.flatnonzero(gain > level)}
        flattest = min(ways.values())
        kind = max((k for k, way in ways.items() if way <= flattest + 1e-13), key=lambda k: gain[k])
        level, cost = float(gain[kind]), float(offered[kind])
        vertices.append((int(kind), level, cost))
    return vertices


def classes_of(seed: int, count: int, types: int) -> tuple[FillingJobs, Stock, Floats]:
    """Return random classes, some of them frozen, what there is, and prices, some of them 0."""
    rng = np.random.default_rng(seed)
    usable = rng.exponential(1.0, (count, types)) * (rng.random((count, types)) < 0.8)
    usable[:, 0] = np.maximum(usable[:, 0], 0.1)
    waiting = (rng.random(count) < 0.7).astype(np.float64)
    waiting[0] = 1.0
    level = np.where(waiting > 0.0, 0.0, 0.5 * usable.max(axis=1))
    jobs = jobs_of(usable, rng.choice([0.25, 1.0, 4.0], count), rng.integers(1, 4, count) * 1.0, waiting, level)
    stock = Stock(rng.uniform(0.5, 2.0, types) * count, rng.uniform(0.0, 0.2, types), np.ones(types))
    return jobs, stock, rng.exponential(1.0, types) * (rng.random(types) < 0.8)


STATED = st.builds(classes_of, st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 5))


def needs(jobs: FillingJobs, level: float) -> Floats:
    """Return (K,) what each class is to reach at ``level``."""
    return np.where(jobs.waiting > 0.0, np.minimum(level, jobs.usable.max(axis=1)), jobs.level)


@given(stated=STATED)
def test_traced_hulls_are_those_found_by_the_flattest_way_on(stated: tuple[FillingJobs, Stock, Floats]) -> None:
    jobs, _, prices = stated
    kinds, corners = trace_hulls(jobs.usable, jobs.scale_factor, prices)
    for job, gain in enumerate(jobs.usable):
        expected = plain_hull(gain, jobs.scale_factor[job] * prices)
        assert [(k, a, c) for k, a, c in zip(kinds[job, 1:], *corners[:2, job, 1:], strict=True)][: len(expected)] == (
            expected
        )
        assert corners[0, job, -1] == gain.max()


@given(stated=STATED)
def test_the_level_at_prices_spends_what_frozen_classes_leave(stated: tuple[FillingJobs, Stock, Floats]) -> None:
    jobs, stock, prices = stated
    hulls = lower_hulls(jobs.usable, jobs.scale_factor, prices)
    budget = float(prices @ (stock.capacity - stock.settled))
    level = level_at(jobs, stock, prices, room_for(jobs), 1.0)

    def cost(common: float) -> float:
        return float(hulls.costs(needs(jobs, common)) @ jobs.members)

    if level == np.inf:
        assert cost(np.inf) <= budget * (1.0 + 1e-12) or cost(np.inf) == pytest.approx(cost(0.0), abs=1e-12)
    elif level > 0.0:
        assert cost(level) == pytest.approx(max(budget, cost(0.0)), rel=1e-11)


@given(stated=STATED, level=st.floats(0.01, 5.0))
def test_usage_is_that_of_the_cheapest_mixes(stated: tuple[FillingJobs, Stock, Floats], level: float) -> None:
    jobs, stock, prices = stated
    room = room_for(jobs)
    level_at(jobs, stock, prices, room, 1.0)
    mixes = cheapest_mixes(lower_hulls(jobs.usable, jobs.scale_factor, prices), needs(jobs, level), prices.size)
    np.testing.assert_allclose(usage(jobs, stock, room, level), stock.settled + jobs.gpus @ mixes, rtol=1e-12)


@given(stated=STATED)
def test_prices_found_on_the_way_down_prove_their_level(stated: tuple[FillingJobs, Stock, Floats]) -> None:
    jobs, stock, _ = stated
    top = float(jobs.usable.max())
    level, worth, found = descend(jobs, stock, np.full(stock.capacity.size, 1.0 / stock.capacity.size), top)
    assert level <= top
    assert worth.sum() == pytest.approx(1.0)
    if found:
        assert level_at(jobs, stock, worth / stock.capacity, room_for(jobs), top) == pytest.approx(level, rel=1e-12)


@given(stated=STATED, level=st.floats(0.01, 5.0))
def test_choices_are_the_cheapest_mixes_and_the_nearest_detour(
    stated: tuple[FillingJobs, Stock, Floats], level: float
) -> None:
    jobs, _, prices = stated
    need, hulls = needs(jobs, level), lower_hulls(jobs.usable, jobs.scale_factor, prices)
    x, margin = choices(jobs, prices, need)
    np.testing.assert_allclose(x, cheapest_mixes(hulls, need, prices.size), rtol=1e-12, atol=1e-12)
    detours = hulls.detours(need, jobs.usable, jobs.scale_factor[:, None] * prices)
    rows, at = np.arange(need.size), hulls.segment(need)
    for end in (at, at + 1):
        chosen = hulls.kind[rows, end] >= 0
        detours[rows[chosen], hulls.kind[rows[chosen], end[chosen]]] = np.inf
    np.testing.assert_allclose(margin, detours.min(axis=1), rtol=1e-9, atol=1e-12)


@given(stated=STATED, level=st.floats(0.01, 5.0), seed=st.integers(0, 1000))
def test_the_excess_is_what_a_mix_costs_above_the_cheapest(
    stated: tuple[FillingJobs, Stock, Floats], level: float, seed: int
) -> None:
    jobs, stock, prices = stated
    need = needs(jobs, level)
    x = np.random.default_rng(seed).dirichlet(np.ones(prices.size), need.size)
    bound, excess = appraise(jobs, stock, prices, x, need, 1.0)
    least = lower_hulls(jobs.usable, jobs.scale_factor, prices).costs(need)
    np.testing.assert_allclose(excess, (jobs.scale_factor * (x @ prices) - least) * jobs.members, rtol=1e-9, atol=1e-12)
    assert bound == level_at(jobs, stock, prices, room_for(jobs), 1.0)


def plain_overload(demand: Demand, supply: Supply) -> float:
    """Return the least weighted overload by scipy; columns are pairs, theta, and an own theta for each heavier type."""
    jobs, types = demand.gain.shape
    own = np.flatnonzero(supply.weight != 1.0)
    columns = jobs * types + 1 + own.size
    rows, limits = [], []
    for i in range(jobs):
        level, time = np.zeros(columns), np.zeros(columns)
        level[i * types : (i + 1) * types] = -demand.gain[i]
        time[i * types : (i + 1) * types] = 1.0
        rows += [level, time]
        limits += [-demand.need[i], 1.0]
    for j in range(types):
        used = np.zeros(columns)
        used[j : jobs * types : types] = demand.gpus
        theta = 0 if supply.weight[j] == 1.0 else 1 + int(np.flatnonzero(own == j)[0])
        used[jobs * types + theta] = -supply.capacity[j]
        rows.append(used)
        limits.append(-supply.taken[j])
    cost = np.concatenate([np.zeros(jobs * types), [1.0], supply.weight[own]])
    bounds = [(0.0, float(able)) for able in (demand.gain > 0.0).ravel()] + [(1.0 if own.size else 0.0, None)] * (
        1 + own.size
    )
    result = linprog(cost, np.array(rows), np.array(limits), bounds=bounds)
    assert result.status == 0
    return float(result.fun)


@given(stated=STATED, level=st.floats(0.01, 5.0), full=st.booleans())
def test_the_least_overload_is_the_same_from_any_start(
    stated: tuple[FillingJobs, Stock, Floats], level: float, full: bool
) -> None:
    jobs, stock, prices = stated
    need = needs(jobs, level)
    weight = np.ones(prices.size)
    weight[-1] = 100.0 if full else 1.0
    supply = Supply(stock.capacity, stock.settled, weight, np.ones(prices.size))
    demand = Demand(jobs.usable, jobs.gpus, need, choices(jobs, prices, need)[0])
    theta, x, found = Overload().solve(demand, supply)
    used = (supply.taken + jobs.gpus @ x) / supply.capacity
    floor = 1.0 if full else 0.0
    shared = max(floor, float(used[weight == 1.0].max(initial=0.0)))
    own = 100.0 * max(1.0, float(used[-1])) if full else 0.0
    assert shared + own == pytest.approx(plain_overload(demand, supply), rel=1e-8)
    assert theta == pytest.approx(max(shared, own / 100.0), rel=1e-9)
    assert ((jobs.usable * x).sum(axis=1) >= need * (1.0 - 1e-9)).all()
    assert (found >= 0.0).all()


def test_a_type_as_full_as_before_has_no_price() -> None:
    demand = Demand(np.array([[1.0, 0.0], [0.0, 1.0]]), np.ones(2), np.ones(2), np.eye(2))
    capacity = np.array([1.0 - 1e-7, 2.0])  # the first type is overfull by 1e-7, and nobody can help it
    load = np.array([1.0 / capacity[0], 1.0])
    weight = np.array([100.0, 1.0])
    theta, _, prices = Overload().solve(demand, Supply(capacity, np.array([0.0, 2.0]), weight, load))
    assert theta == pytest.approx(1.5)
    np.testing.assert_allclose(prices * capacity, [0.0, 1.0], atol=1e-12)
    without = Overload().solve(demand, Supply(capacity, np.array([0.0, 2.0]), weight, np.ones(2)))
    assert without[2][0] * capacity[0] > 0.9


def test_equal_rows_are_one_class_and_almost_equal_ones_are_two() -> None:
    gain = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, np.nextafter(2.0, 3.0)], [2.0, 1.0], [1.0, 2.0]])
    classes = merge_equal(gain, np.array([1.0, 1.0, 1.0, 1.0, 2.0]))
    assert sorted(classes.members) == [1.0, 1.0, 1.0, 2.0]
    assert classes.of[0] == classes.of[1]
    np.testing.assert_array_equal(classes.gain[classes.of], gain)
