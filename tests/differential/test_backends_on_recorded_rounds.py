"""The exact backends of this project on rounds as runs state them, at both scales: one optimum, proven by each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from phasewise.bench.cli.taping import record
from phasewise.profiling.phases import PhaseTimer
from phasewise.sched.scenario.loading import load_scenario
from phasewise.solvers import registry
from phasewise.solvers.families.lexicographic import LEXICOGRAPHIC, LexicographicProblem
from phasewise.solvers.families.max_min import MAX_MIN, MAX_MIN_SWITCHING
from phasewise.solvers.session import Walk
from phasewise.solvers.tapes import Tape

OWN = ("structured", "highs-warm", "highs-direct")
TOLERANCE = 1e-9  # relative, of the gap and between objectives

QUICK = {"output.trace": False, "solver.name": "structured"}
CROWDED = {"workload.initial_jobs": 130, "workload.rate_per_hour": 15.0, "timing.preset": "corrected"}
MOVING = {"migration.enabled": True}

TIER = {"philly": (), "alibaba": pytest.mark.thorough}
RUNS: Mapping[str, tuple[str, int, dict[str, object]]] = {
    "philly": ("philly", 40, CROWDED),
    "philly, moving costs": ("philly", 40, {**CROWDED, **MOVING}),
    "alibaba": ("alibaba", 6, {}),
    "alibaba, moving costs": ("alibaba", 3, MOVING),
}


def tape_of(run: str, folder: Path, overrides: Mapping[str, object] | None = None) -> Tape:
    scenario, rounds, own = RUNS[run]
    stated = load_scenario(
        scenario, {**QUICK, "stop.window": "none", "stop.rounds": rounds, **own, **(overrides or {})}
    )
    record(stated, folder / "recorded.tape", quiet=True)
    return Tape(folder / "recorded.tape")


@pytest.mark.parametrize("run", [pytest.param(run, marks=TIER[RUNS[run][0]]) for run in RUNS])
def test_warm_sessions_prove_the_same_optimum_of_every_recorded_round(run: str, tmp_path: Path) -> None:
    tape = tape_of(run, tmp_path)
    solvers = [Walk.of(name, {}, PhaseTimer()) for name in OWN]
    problems = list(tape)
    assert len(problems) >= min(6, RUNS[run][1])
    assert {problem.family for problem in problems} == {MAX_MIN_SWITCHING if "moving" in run else MAX_MIN}
    if "moving" in run:
        assert any(problem.previous is not None and problem.previous.any() for problem in problems)
    for problem in problems:
        solutions = [solver.solve(problem) for solver in solvers]
        assert [solution.fallbacks for solution in solutions] == [()] * len(OWN)
        gaps = [solution.gap for solution in solutions]
        assert all(gap is not None and gap <= TOLERANCE for gap in gaps), gaps
        objectives = [solution.objective for solution in solutions]
        terms = max(abs(objectives[-1]), problem.magnitude(solutions[-1].x))  # with a movement cost they may cancel
        assert np.ptp(objectives) <= TOLERANCE * terms, objectives


@pytest.mark.thorough
@pytest.mark.parametrize("run", ["philly", "alibaba"])
def test_every_lexicographic_backend_fills_recorded_rounds_with_a_certificate(run: str, tmp_path: Path) -> None:
    names = [name for name in registry.names() if LEXICOGRAPHIC in registry.get(name).families]
    solvers = [Walk.of(name, {}, PhaseTimer()) for name in names]
    filling = {"policy.name": "max_min_fairness_water_filling_perf", "policy.canonical": False, "solver.name": "auto"}
    problems = list(tape_of(run, tmp_path, {**filling, "stop.rounds": 3}))
    assert problems
    for problem in problems:
        assert isinstance(problem, LexicographicProblem)
        solutions = [solver.solve(problem) for solver in solvers]
        assert max(solution.gap or 0.0 for solution in solutions) <= TOLERANCE
        levels = [problem.sorted_levels(solution.x) for solution in solutions]
        for other in levels[1:]:
            np.testing.assert_allclose(other, levels[0], rtol=1e-8, atol=1e-12)
