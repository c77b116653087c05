"""Barriers (`output.checkpoint_rounds`): solvers forget, and what is held in memory is on the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import play, simulation

from phasewise.profiling.artefacts.lines import read_lines
from phasewise.profiling.artefacts.sinks import NullSink
from phasewise.profiling.artefacts.tables import read_table
from phasewise.profiling.phases import PhaseTimer
from phasewise.sched.building import build_parts
from phasewise.sched.engine import Simulation, step
from phasewise.sched.recording.recorder import Recorder
from phasewise.sched.round.state import begin
from phasewise.sched.round.tree import restored, written
from phasewise.sched.scenario.config import Scenario
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate
from phasewise.solvers.api import RebuildReason

EVERY = 6


def scenario_with(**changed: object) -> Scenario:
    chosen = {"workload.jobs": 24, "workload.rate_per_hour": 20.0, "stop.window": "none", "solver.name": "highs-warm"}
    return load_scenario("toy", {**chosen, "output.checkpoint_rounds": EVERY, "output.trace": False, **changed})


def test_solvers_start_cold_after_a_barrier_and_warm_otherwise() -> None:
    busy = {"workload.jobs": 200, "workload.rate_per_hour": 60.0}
    sim, since_barrier = simulation(scenario_with(**busy)), 0
    for index in range(4 * EVERY):
        allocation = play(sim).news.allocation
        if allocation is not None:
            assert (allocation.solutions[0].rebuild is RebuildReason.FIRST) == (since_barrier == 0)
            since_barrier += 1
        if index % EVERY == EVERY - 1:
            assert since_barrier > 1
            assert sim.state.warm is None
            since_barrier = 0


def test_there_is_no_barrier_unless_one_is_asked_for() -> None:
    sim = simulation(scenario_with(**{"output.checkpoint_rounds": 0}))
    outcomes = [play(sim) for _ in range(3 * EVERY)]
    assert not any(outcome.barrier for outcome in outcomes)
    assert [outcome.news.allocation.solutions[0].rebuild for outcome in outcomes if outcome.news.allocation].count(
        RebuildReason.FIRST
    ) == 1


def test_a_run_that_goes_on_from_a_barrier_does_what_one_that_never_stopped_does() -> None:
    parts, others = (build_parts(scenario_with(), PhaseTimer()) for _ in range(2))
    state = begin(parts)
    for _ in range(2 * EVERY):
        step(state, parts, PhaseTimer())
    other = restored(written(state), others)
    for _ in range(EVERY):
        step(state, parts, PhaseTimer())
        step(other, others, PhaseTimer())
    leaves = written(other)
    for name, leaf in written(state).items():
        np.testing.assert_array_equal(leaf, leaves[name], name)


def test_at_a_barrier_every_round_is_on_the_disk(tmp_path: Path) -> None:
    scenario, timer = scenario_with(), PhaseTimer()
    parts = build_parts(scenario, timer)
    sim = Simulation(begin(parts), parts, Recorder(scenario, parts.layout, tmp_path, NullSink()), timer)
    for _ in range(2 * EVERY):
        sim.step(lambda: 0.0)
    assert read_table(tmp_path / "rounds.parquet")["round"].to_pylist() == list(range(2 * EVERY))
    run = json.loads((tmp_path / "run.json").read_bytes())
    assert (run["status"], run["summary"]["rounds"]) == ("interrupted", 2 * EVERY)
    told = [record["round"] for kind, record in read_lines(tmp_path / "lines.log") if kind == "TELEMETRY"]
    assert told == list(range(2 * EVERY))
    sim.recorder.finish("stopped", "the test is over")
    assert read_table(tmp_path / "rounds.parquet")["round"].to_pylist() == list(range(2 * EVERY))


@pytest.mark.parametrize("policy", ["fifo", "isolated"])
def test_barriers_change_nothing_where_nothing_is_solved(policy: str, tmp_path: Path) -> None:
    def rows(every: int) -> list[dict[str, Any]]:
        out = tmp_path / f"{every}"
        simulate(scenario_with(**{"policy.name": policy, "output.checkpoint_rounds": every}), out)
        return [row for name in ("jobs", "placements") for row in read_table(out / f"{name}.parquet").to_pylist()]

    assert rows(EVERY) == rows(0)
