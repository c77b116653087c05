"""What holds for any samples; and for any nesting of phases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewise.profiling.phases import FakeClock, Phase, PhaseTimer, PhaseTotals
from phasewise.profiling.stats import fit_power_law, median_interval, median_ratio_interval

positive = st.floats(1e-6, 1e6)
seeds = st.integers(0, 2**32 - 1)


@given(st.lists(positive, min_size=1, max_size=30), seeds)
def test_an_interval_holds_its_estimate_and_stays_among_the_samples(samples: list[float], seed: int) -> None:
    low, estimate, high = median_interval(samples, np.random.default_rng(seed), resamples=200)
    assert min(samples) <= low <= high <= max(samples)
    assert min(samples) <= estimate <= max(samples)


@given(st.lists(st.tuples(positive, positive), min_size=1, max_size=30), seeds)
def test_exchanging_head_and_base_gives_the_reciprocal(pairs: list[tuple[float, float]], seed: int) -> None:
    head, base = zip(*pairs, strict=True)
    one = median_ratio_interval(head, base, np.random.default_rng(seed), resamples=200)
    other = median_ratio_interval(base, head, np.random.default_rng(seed), resamples=200)
    assert other.estimate == pytest.approx(1.0 / one.estimate, rel=1e-9)
    assert (other.low, other.high) == pytest.approx((1.0 / one.high, 1.0 / one.low), rel=1e-9)


@given(st.lists(st.tuples(positive, positive), min_size=1, max_size=30), st.floats(1e-3, 1e3), seeds)
def test_a_ratio_scales_with_its_head(pairs: list[tuple[float, float]], factor: float, seed: int) -> None:
    head, base = (np.array(side) for side in zip(*pairs, strict=True))
    one = median_ratio_interval(head, base, np.random.default_rng(seed), resamples=200)
    scaled = median_ratio_interval(factor * head, base, np.random.default_rng(seed), resamples=200)
    assert scaled == pytest.approx([factor * figure for figure in one], rel=1e-9)


@given(
    st.lists(st.integers(1, 10_000), min_size=3, max_size=20, unique=True),
    st.floats(-3.0, 3.0),
    st.floats(1e-3, 1e3),
)
def test_any_power_law_is_recovered(x: list[int], exponent: float, coefficient: float) -> None:
    fit = fit_power_law([float(value) for value in x], [coefficient * value**exponent for value in x])
    assert fit.exponent == pytest.approx(exponent, abs=1e-6)
    assert fit.coefficient == pytest.approx(coefficient, rel=1e-4)
    assert fit.exponent_low <= fit.exponent <= fit.exponent_high


# What may happen to a timer: time passes, a phase is entered, the innermost one is left (or fails), a profile is taken.
names = st.sampled_from([*Phase, "extra", "another"])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.floats(0.0, 1e3), st.floats(0.0, 1e3)),
        st.tuples(st.just("enter"), names),
        st.tuples(st.just("leave")),
        st.tuples(st.just("take")),
    ),
    max_size=60,
)


@given(steps)
def test_any_nesting_of_phases_adds_up_and_is_exclusive(history: list[tuple[object, ...]]) -> None:
    clock, totals = FakeClock(), PhaseTotals()
    timer = PhaseTimer(clock)
    model: dict[str, float] = {}
    entered: list[tuple[str, object]] = []
    for step in history:
        match step:
            case ("pass", float(wall), float(cpu)):
                clock.now_s += wall
                clock.cpu_s += cpu
                innermost = entered[-1][0] if entered else "other"
                model[innermost] = model.get(innermost, 0.0) + wall
            case ("enter", str(name)):
                span = timer.phase(name)
                span.__enter__()
                entered.append((str(name), span))
            case ("leave",) if entered:
                entered.pop()[1].__exit__(None, None, None)  # type: ignore[attr-defined]
            case ("take",):
                totals.add(timer.take())
    last = timer.take()
    assert sum(last.phases_s.values()) + last.other_s == last.total_s
    totals.add(last)
    total = totals.profile
    assert sum(total.wall_ns) == clock.wall_ns()
    assert sum(total.cpu_ns) == clock.cpu_ns()
    assert sum(total.phases_s.values()) + total.other_s == total.total_s
    for name, seconds in model.items():
        measured = total.other_s if name == "other" else total.phases_s.get(name, 0.0)
        assert measured == pytest.approx(seconds, abs=1e-6)
