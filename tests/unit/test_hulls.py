"""What a level costs at given prices: compiled hulls against plain ones, and what is read off them."""

from __future__ import annotations

import numpy as np
import pytest
from cheapest_mixes import cheapest_mixes
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from phasewise.solvers.hulls import Floats, affordable_level, lower_hulls


def instance(seed: int, jobs: int, types: int) -> tuple[Floats, Floats, Floats]:
    """Return gains with zeros and ties, GPUs, and prices, some of them 0."""
    rng = np.random.default_rng(seed)
    gain = np.round(rng.exponential(1.0, (jobs, types)), 1)
    return (
        gain,
        rng.choice([0.25, 1.0, 4.0], jobs),
        np.round(rng.exponential(1.0, types), 1) * (rng.random(types) < 0.8),
    )


def plain_cost(gain: Floats, scale: float, prices: Floats, need: float) -> float:
    """Return the least cost of a level by a linear program over the job's time fractions."""
    time = np.ones((1, gain.size))
    result = linprog(scale * prices, np.vstack([-gain, time]), [-need, 1.0], bounds=[(0.0, 1.0)] * gain.size)
    assert result.status == 0
    return float(result.fun)


INSTANCES = st.builds(instance, st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 5))


@given(stated=INSTANCES, share=st.floats(0.0, 1.0))
def test_a_level_costs_what_a_linear_program_says(stated: tuple[Floats, Floats, Floats], share: float) -> None:
    gain, scale, prices = stated
    need = share * gain.max(axis=1)
    hulls = lower_hulls(gain, scale, prices)
    expected = [plain_cost(gain[i], scale[i], prices, need[i]) for i in range(need.size)]
    np.testing.assert_allclose(hulls.costs(need), expected, rtol=1e-9, atol=1e-9)


@given(stated=INSTANCES, share=st.floats(0.0, 1.0))
def test_the_cheapest_mix_reaches_the_level_at_its_cost(stated: tuple[Floats, Floats, Floats], share: float) -> None:
    gain, scale, prices = stated
    need = share * gain.max(axis=1)
    hulls = lower_hulls(gain, scale, prices)
    x = cheapest_mixes(hulls, need, gain.shape[1])
    assert (x >= 0.0).all()
    assert (x.sum(axis=1) <= 1.0 + 1e-12).all()
    np.testing.assert_allclose((gain * x).sum(axis=1), need, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(scale * (x @ prices), hulls.costs(need), rtol=1e-9, atol=1e-12)


@given(stated=INSTANCES, share=st.floats(0.01, 1.5))
def test_the_affordable_level_spends_the_budget_and_no_more(
    stated: tuple[Floats, Floats, Floats], share: float
) -> None:
    gain, scale, prices = stated
    hulls, members = lower_hulls(gain, scale, prices), np.ones(scale.size)
    ceiling = gain.max(axis=1)
    everything = float(hulls.costs(ceiling).sum())
    level = affordable_level(hulls, members, share * everything)
    if share >= 1.0 or everything == 0.0:
        assert level == np.inf
    else:
        assert hulls.costs(np.minimum(level, ceiling)).sum() == pytest.approx(share * everything, rel=1e-12)
        above = hulls.costs(np.minimum(level * (1.0 + 1e-6), ceiling)).sum()
        assert above > share * everything * (1.0 - 1e-15)


def test_slopes_ascend_and_the_last_vertex_is_the_ceiling() -> None:
    gain, scale, prices = instance(5, 50, 6)
    hulls = lower_hulls(gain, scale, prices)
    assert (hulls.slope[:, 1:] >= hulls.slope[:, :-1] - 1e-12).all()
    np.testing.assert_array_equal(hulls.level[:, -1], gain.max(axis=1))
