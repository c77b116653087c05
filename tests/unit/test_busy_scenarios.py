"""The scenario for comparisons at Alibaba scale: just below where jobs pile up, and begun in steady state."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from small_runs import simulation

from phasewise.sched.engine import step
from phasewise.sched.scenario.loading import load_scenario


def test_alibaba_busy_is_alibaba_under_more_work() -> None:
    plain, busy = (msgspec.to_builtins(load_scenario(name)) for name in ("alibaba", "alibaba-busy"))
    differs = {
        f"{name}.{key}" for name, section in busy.items() if isinstance(section, dict)
        for key, value in section.items() if value != plain[name][key]
    }  # fmt: skip
    assert differs == {"workload.rate_per_hour", "workload.initial_jobs", "stop.window"}


def test_its_window_begins_after_arrivals_enough_to_judge_drift() -> None:
    scenario = load_scenario("alibaba-busy")
    assert scenario.stop.window is not None
    first, end = scenario.stop.window
    assert first == scenario.workload.initial_jobs + 3000
    assert end - first == 1000


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.nightly)])
def test_it_begins_about_where_it_stays(seed: int) -> None:
    """Over 15 hours of 2,625 arrivals: their chance alone is 73 jobs, 1 % of those active."""
    sim = simulation(load_scenario("alibaba-busy", {"seed": seed}))
    outcomes = [step(sim.state, sim.parts, sim.timer) for _ in range(90)]
    active = [len(outcome.job_id) for outcome in outcomes]
    later = outcomes[10:]
    assert abs(active[-1] - active[10]) < 0.04 * active[10]
    assert 0.85 < np.mean([outcome.utilization for outcome in later]) < 0.93
    assert np.mean([outcome.use.pending_gpus for outcome in later]) > 20.0
