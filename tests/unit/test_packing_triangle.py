"""An odd cycle of partners: what X gives three jobs that share by halves, and what rounds can give them."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import RATES, Job, plain_rates, trace_scenario

from phasewise.profiling.artefacts.sinks import NullSink
from phasewise.profiling.phases import PhaseTimer
from phasewise.sched.building import build_parts
from phasewise.sched.engine import Simulation
from phasewise.sched.recording.recorder import Recorder
from phasewise.sched.round.state import begin
from phasewise.sched.workload.co_throughputs import COLUMNS

ROUNDS = 240
BESIDE = 0.9  # of its speed, that each of two alike keeps


def simulated(folder: Path, alike: int, gpus: int) -> tuple[dict[tuple[int, ...], float], list[float]]:
    """Return the time that X gives each team, and what each job has made, as a share of what it makes alone.

    ``alike`` jobs that can share with each other, and one more that shares with nobody, under max-min fairness.
    """
    rate = RATES["v100"]
    pairs = folder / "pairs.csv"
    pairs.write_text(f"{','.join(COLUMNS)}\nplain,1,plain,1,v100,{BESIDE * rate!r},{BESIDE * rate!r}\n")
    jobs = [Job(1e9), *(Job(1e9) for _ in range(alike - 1)), Job(1e9, job_type="other")]
    rates = plain_rates() | {("other", factor): each for (_, factor), each in plain_rates().items()}
    overrides = {
        "policy.name": "max_min_fairness_packed", "solver.name": "by-kinds", "timing.preset": "corrected",
        "workload.co_throughputs": str(pairs), "stop.rounds": ROUNDS,
    }  # fmt: skip
    scenario = trace_scenario(folder, jobs, {"v100": gpus}, overrides, rates)
    parts = build_parts(scenario, PhaseTimer())
    simulation = Simulation(begin(parts), parts, Recorder(scenario, parts.layout, None, NullSink()), PhaseTimer())
    while simulation.step(lambda: 0.0) is None:
        pass
    state = simulation.state
    teams = state.teams
    assert teams is not None
    given = {tuple(row): float(x.sum()) for row, x in zip(teams.row.tolist(), teams.x, strict=True)}
    given |= {(row,): float(x.sum()) for row, x in enumerate(state.jobs.x) if x.any()}
    return given, (state.jobs.steps_done / (rate * ROUNDS * 360.0)).tolist()


def test_three_that_share_by_halves_get_less_than_x_says_as_only_one_pair_of_them_runs_at_a_time(
    tmp_path: Path,
) -> None:
    given, made = simulated(tmp_path, 3, 2)
    promised = 0.75  # 1.25 GPUs to pairs, at 0.9 + 0.9, for three; the rest of 2 to the one that is alone
    pairs = {team: x for team, x in given.items() if len(team) == 2}
    assert sum(pairs.values()) == pytest.approx(1.25)
    assert given[(3,)] == pytest.approx(promised)
    assert min(made[:3]) == pytest.approx(2 * BESIDE / 3, abs=0.02)  # one pair in every round, each its third
    assert made[3] == pytest.approx(1.0, abs=0.02)  # the other GPU is free for it all the time


def test_four_that_share_in_fixed_pairs_get_what_x_says(tmp_path: Path) -> None:
    given, made = simulated(tmp_path, 4, 2)
    promised = 2 * BESIDE / (2 + BESIDE)  # z GPUs to two pairs, 2 - z to the one that is alone: 0.9 z / 2 = 2 - z
    assert given[(4,)] == pytest.approx(promised)
    assert min(made) == pytest.approx(promised, rel=0.03)
