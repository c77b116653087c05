"""No state hides: a run that is written down between two rounds, and read back with fresh parts, runs on the same."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import Job, simulation, trace_scenario

from phasewise.profiling.phases import PhaseTimer
from phasewise.sched.building import build_parts
from phasewise.sched.engine import step
from phasewise.sched.errors import StateError
from phasewise.sched.round.outcome import RoundOutcome
from phasewise.sched.round.parts import Parts
from phasewise.sched.round.state import SimulationState, begin
from phasewise.sched.round.tree import copied, restored, written
from phasewise.sched.scenario.config import Scenario
from phasewise.sched.scenario.loading import load_scenario

SMALL = {"workload.jobs": 30, "workload.rate_per_hour": 20.0, "stop.window": "none", "output.check_invariants": True}
NODES = {
    **SMALL,
    **{"workload.pods": "openb", "workload.scale_factors": "single", "workload.scale_factor_cap": 0},
    **{"cluster.gpus": "v100=16,k80=16", "cluster.gpus_per_node": "v100=8,k80=8"},
}
RUNS: Mapping[str, Mapping[str, object]] = {
    "max-min": SMALL,
    "initial jobs": {**SMALL, "workload.initial_jobs": 9},
    "priorities and several GPUs": {**SMALL, "workload.priorities": True, "workload.scale_factors": "gavel"},
    "moving costs": {**SMALL, "migration.enabled": True},
    "water filling": {**SMALL, "policy.name": "max_min_fairness_water_filling_perf"},
    "fifo": {**SMALL, "policy.name": "fifo"},
    "as the original": {**SMALL, "timing.preset": "gavel", "policy.name": "isolated", "cluster.gpus": "v100=3,k80=3"},
    "fgd": {**NODES, "placement.name": "fgd"},
    "random nodes": {**NODES, "placement.name": "random", "workload.priorities": True},
}
ROUNDS = 24


def fresh(scenario: Scenario) -> Parts:
    return build_parts(scenario, PhaseTimer())


def plain(outcome: RoundOutcome) -> list[Any]:
    """Return what a round came to in values that compare by content; solutions by their x."""
    news = outcome.news
    solutions = () if news.allocation is None else news.allocation.solutions
    return [
        *(each.tolist() for each in (outcome.job_id, *outcome.holding, outcome.busy_s)),
        *(
            outcome.busy_gpu_s,
            outcome.start_s,
            outcome.end_s,
            outcome.use,
            outcome.moves,
            outcome.over,
            outcome.migration,
        ),
        *(news.round_index, news.refused, list(news.arrived), news.last_arrival),
        [(solution.x.tolist(), solution.iterations, solution.rebuild) for solution in solutions],
    ]


def on(state: SimulationState, parts: Parts, rounds: int) -> list[list[Any]]:
    """Return what further rounds come to, as long as there are jobs."""
    outcomes = []
    for _ in range(rounds):
        if not len(state.jobs) and parts.workload.next_arrival_s(state.position) is None:
            break
        outcomes.append(plain(step(state, parts, PhaseTimer())))
    return outcomes


def kept(state: SimulationState) -> dict[str, Any]:
    """Return what a file would keep of a state: arrays without objects, and plain values."""
    leaves = written(state)
    file = io.BytesIO()
    np.savez(file, **{name: leaf for name, leaf in leaves.items() if isinstance(leaf, np.ndarray)})
    file.seek(0)
    arrays = dict(np.load(file, allow_pickle=False))
    return {name: arrays.get(name, leaf) for name, leaf in leaves.items()}


def require_the_same(scenario: Scenario, before: int) -> None:
    """Run, forget, write down and read back; both run on, and have to end in the same state by the same rounds."""
    parts = fresh(scenario)
    state = begin(parts)
    on(state, parts, before)
    state.warm = None
    leaves = kept(state)
    others = fresh(scenario)
    other = restored(leaves, others)
    assert on(state, parts, ROUNDS) == on(other, others, ROUNDS)
    state.warm = other.warm = None
    last, others_last = written(state), written(other)
    assert last.keys() == others_last.keys()
    for name, leaf in last.items():
        np.testing.assert_array_equal(leaf, others_last[name], name)


@pytest.mark.parametrize("name", RUNS)
@settings(max_examples=3, deadline=None)
@given(before=st.integers(0, 40), seed=st.integers(0, 2**20))
def test_a_run_read_back_runs_on_as_the_one_that_was_written_down(name: str, before: int, seed: int) -> None:
    require_the_same(load_scenario("toy", {**RUNS[name], "seed": seed}), before)


@pytest.mark.parametrize("preset", ["gavel", "corrected"])
def test_a_trace_read_back_goes_on_where_it_was(preset: str, tmp_path: Path) -> None:
    jobs = [Job(7200.0 * (1 + k % 5), 400.0 * k, 1 + k % 2) for k in range(14)]
    scenario = trace_scenario(
        tmp_path, jobs, {"v100": 2, "k80": 3}, {"timing.preset": preset, "policy.name": "isolated"}
    )
    for before in (0, 3, 11):
        require_the_same(scenario, before)


@pytest.mark.parametrize("name", ["max-min", "fifo", "fgd", "random nodes", "moving costs"])
def test_a_round_can_be_tried_again_on_copies_of_the_state(name: str) -> None:
    parts = fresh(load_scenario("toy", dict(RUNS[name])))
    state = begin(parts)
    on(state, parts, 12)
    tries = [on(copied(state, parts), parts, 3) for _ in range(2)]
    assert tries[0] == tries[1]
    state.warm = None
    assert on(state, parts, 3) == tries[0]


def test_a_copy_leaves_the_state_as_it_was() -> None:
    parts = fresh(load_scenario("toy", dict(RUNS["random nodes"])))
    state = begin(parts)
    on(state, parts, 12)
    state.warm = None
    before = written(state)
    on(copied(state, parts), parts, 5)
    for name, leaf in written(state).items():
        np.testing.assert_array_equal(leaf, before[name], name)


def test_a_state_whose_solvers_are_warm_cannot_be_written_down() -> None:
    sim = simulation(load_scenario("toy", dict(SMALL)))
    step(sim.state, sim.parts, sim.timer)
    with pytest.raises(StateError, match="at a barrier only"):
        written(sim.state)


def test_what_a_policy_may_not_remember_is_said() -> None:
    parts = fresh(load_scenario("toy", dict(SMALL)))
    state = begin(parts)
    state.memory = (1, {"a": 2})
    with pytest.raises(StateError, match=r"memory\.1 is a dict; a policy may remember None, numbers, texts, arrays"):
        written(state)


def test_what_was_written_by_another_simulation_is_refused() -> None:
    same_types = {**SMALL, "cluster.gpus": "v100=16,k80=16"}
    bound, free, toy = (fresh(load_scenario("toy", dict(chosen))) for chosen in (RUNS["fgd"], same_types, SMALL))
    with pytest.raises(StateError, match="has no 'nodes'"):
        restored(written(begin(bound)), free)
    with pytest.raises(StateError, match=r"has more than this simulation: jobs\.colour$"):
        restored({**written(begin(free)), "jobs.colour": np.zeros(0)}, free)
    with pytest.raises(StateError, match=r"has no 'nodes\."):
        restored(written(begin(free)), bound)
    with pytest.raises(StateError, match="of another cluster"):
        restored(written(begin(free)), toy)
