"""Changes of level in series of measurements: found where they are, and not where there are none."""

from __future__ import annotations

import numpy as np
import pytest

from phasewise.profiling.change_points import SHORTEST, change_points
from phasewise.profiling.errors import SampleError

SERIES = 200
FALSE_ALARMS = 0.05
# Of 200 series at 5 %, 20 or more show a change by chance with a probability of 0.4 %.
MOST_ALARMS = 19


def noise(name: str, rng: np.random.Generator, n: int) -> np.ndarray:
    if name == "normal":
        return 0.01 * rng.standard_normal(n)
    return 0.01 * (rng.standard_t(3, n) if name == "heavy tails" else rng.integers(0, 2, n))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["normal", "heavy tails", "coin"])
def test_false_alarms_are_as_rare_as_stated_whatever_the_noise(name: str) -> None:
    rng = np.random.default_rng(11)
    assert sum(bool(change_points(noise(name, rng, 30), FALSE_ALARMS)) for _ in range(SERIES)) <= MOST_ALARMS


@pytest.mark.parametrize("change", [0.05, -0.05])
def test_a_step_of_five_times_the_noise_is_found_where_it_is(change: float) -> None:
    rng = np.random.default_rng(12)
    for at in (5, 20, 35):
        values = rng.normal(0.0, 0.01, 40)
        values[at:] += change
        assert change_points(values, 0.01) == [at]


def test_steps_up_and_down_again_are_both_found() -> None:
    values = np.random.default_rng(13).normal(0.0, 0.01, 60)
    values[20:26] += 0.06
    values[50:] -= 0.10
    assert change_points(values, 0.01) == [20, 26, 50]


def test_the_newest_two_measurements_are_enough_of_a_new_level_and_one_is_not() -> None:
    values = np.random.default_rng(14).normal(0.0, 0.01, 60)
    values[-SHORTEST:] += 0.10
    assert change_points(values, 0.01) == [60 - SHORTEST]
    values[-SHORTEST] -= 0.10
    assert change_points(values, 0.01) == []


@pytest.mark.parametrize("size", [0, 1, 3])
def test_a_series_that_is_too_short_has_no_change(size: int) -> None:
    assert change_points(np.arange(size, dtype=np.float64), 0.05) == []


def test_equal_measurements_have_no_change() -> None:
    assert change_points(np.ones(30), 0.05) == []


def test_what_is_no_series_and_no_probability_is_refused() -> None:
    with pytest.raises(SampleError, match="finite numbers in a row"):
        change_points(np.array([1.0, np.nan]), 0.05)
    with pytest.raises(SampleError, match="between 0 and 1, not at 1"):
        change_points(np.ones(3), 1.0)
