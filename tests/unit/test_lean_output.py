"""Lean output and limits of a run: less is written, and what is written says the same."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewise.bench.cli.main import main
from phasewise.profiling.artefacts.sinks import ListSink
from phasewise.sched.recording.thinning import thinned
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import RunOutcome, simulate

LEAN = {"output.lines": "none", "output.placements": False, "output.rounds_every": 7, "output.trace": False}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunOutcome]:
    """The same run, written in full, in chunks of a few rounds, and lean."""
    folder = tmp_path_factory.mktemp("lean")
    kinds = {
        "full": {},
        "lean": LEAN,
        "lean in chunks": {**LEAN, "output.chunk_rounds": 10},
        "lean with barriers": {**LEAN, "output.checkpoint_rounds": 10},
        "full with barriers": {"output.checkpoint_rounds": 10},
    }
    return {
        name: simulate(load_scenario("toy", {"workload.jobs": 3, **given}), folder / name)
        for name, given in kinds.items()
    }


def rounds(outcome: RunOutcome) -> dict[str, np.ndarray]:
    table = pq.read_table(outcome.out / "rounds.parquet")
    return {name: table[name].to_numpy(zero_copy_only=False) for name in table.column_names}


def test_a_lean_run_comes_to_the_same(outcomes: dict[str, RunOutcome]) -> None:
    full, lean = outcomes["full"], outcomes["lean"]
    jobs = [pq.read_table(each.out / "jobs.parquet") for each in (full, lean)]
    assert jobs[0].equals(jobs[1])
    same = ("avg_jct_s", "rounds", "moves", "utilization", "lp_solves", "sim_time_s", "unallocated_gpus_mean")
    assert [full.summary[name] for name in same] == [lean.summary[name] for name in same]


def test_a_lean_run_has_no_lines_no_trace_and_no_stays(outcomes: dict[str, RunOutcome]) -> None:
    lean = outcomes["lean"].out
    assert sorted(entry.name for entry in lean.iterdir()) == [
        "jobs.parquet", "placements.parquet", "rounds.parquet", "run.json",
    ]  # fmt: skip
    assert pq.read_table(lean / "placements.parquet").num_rows == 0
    assert pq.read_table(outcomes["full"].out / "placements.parquet").num_rows > 0


@pytest.mark.parametrize("kind", ["lean", "lean in chunks"])
def test_a_row_stands_for_so_many_rounds_wherever_chunks_end(outcomes: dict[str, RunOutcome], kind: str) -> None:
    full, lean = rounds(outcomes["full"]), rounds(outcomes[kind])
    last = np.append(np.arange(6, len(full["round"]) - 1, 7), len(full["round"]) - 1)
    assert lean["round"].tolist() == last.tolist()
    for name in ("active", "running", "completed", "end_s", "unallocated_gpus", "pending_gpus"):
        assert lean[name].tolist() == full[name][last].tolist(), name
    assert lean["sim_time_s"].tolist() == full["sim_time_s"][::7].tolist()


def test_sums_over_rows_are_sums_over_rounds(outcomes: dict[str, RunOutcome]) -> None:
    for names in (("full", "lean"), ("full with barriers", "lean with barriers")):
        full, lean = (rounds(outcomes[name]) for name in names)
        for name in ("moves", "lp_solved", "lp_iterations", "migration_s"):
            assert lean[name].sum() == full[name].sum(), name
        busy = [np.sum(each["utilization"] * (each["end_s"] - each["sim_time_s"])) for each in (full, lean)]
        assert busy[0] == pytest.approx(busy[1], rel=1e-12)


def test_times_of_phases_in_the_table_are_those_of_the_summary(outcomes: dict[str, RunOutcome]) -> None:
    for name in ("lean", "lean in chunks"):
        table, phases = rounds(outcomes[name]), outcomes[name].summary["phases"]
        for phase in ("arrivals", "policy", "lp_solve", "priorities", "worker_assignment"):
            assert table[f"phase_{phase}_s"].sum() == pytest.approx(phases[phase]["wall_s"], rel=1e-9, abs=1e-9), phase


@given(st.integers(1, 40), st.integers(1, 12), st.randoms(use_true_random=False))
def test_any_grouping_keeps_sums_and_ends(count: int, every: int, random: object) -> None:
    lasted = np.array([random.choice([0.0, 60.0, 360.0]) for _ in range(count)])
    end = np.cumsum(lasted)
    columns = {
        "round": np.arange(count),
        "sim_time_s": end - lasted,
        "end_s": end,
        "utilization": np.array([random.random() for _ in range(count)]),
        "moves": np.array([random.randrange(5) for _ in range(count)]),
        "other_cpu_s": np.array([random.random() for _ in range(count)]),
        "lp_rebuild": [random.choice([None, "first", "shape"]) for _ in range(count)],
        "lp_utilization": np.array([random.random() for _ in range(count)]),
    }
    rows = thinned(columns, every)
    assert len(rows["round"]) == -(-count // every) == len(rows["lp_rebuild"])
    assert rows["moves"].sum() == columns["moves"].sum()
    assert rows["other_cpu_s"].sum() == pytest.approx(columns["other_cpu_s"].sum())
    assert rows["end_s"][-1] == end[-1]
    assert rows["lp_utilization"][-1] == columns["lp_utilization"][-1]
    assert np.sum(rows["utilization"] * (rows["end_s"] - rows["sim_time_s"])) == pytest.approx(
        np.sum(columns["utilization"] * lasted)
    )


def test_lines_are_still_told_to_who_listens(tmp_path: Path) -> None:
    sink = ListSink()
    simulate(load_scenario("toy", {"workload.jobs": 2, **LEAN}), tmp_path / "run", lines=sink)
    assert any(line.startswith(b'EVENT {"event":"run_end"') for line in sink.lines)
    assert not (tmp_path / "run" / "lines.log").exists()


# -- limits ----------------------------------------------------------------------------------------------------------


def limited(out: Path, **limits: float) -> RunOutcome:
    return simulate(load_scenario("toy", {f"limits.{name}": value for name, value in limits.items()}), out)


def test_the_earlier_of_two_limits_of_simulated_time_stops_a_run(tmp_path: Path) -> None:
    early = limited(tmp_path / "early", sim_time_s=5000.0)
    assert (early.status, early.reason) == ("stopped", "sim_time")
    assert 5000.0 <= early.summary["sim_time_s"] < 5360.0
    given = {"limits.sim_time_s": 9000.0, "stop.sim_time_s": 5000.0}
    late = simulate(load_scenario("toy", given), tmp_path / "late")
    assert late.summary["sim_time_s"] == early.summary["sim_time_s"]


def test_a_limit_of_cpu_time_stops_a_run_after_a_round(tmp_path: Path) -> None:
    outcome = limited(tmp_path / "run", cpu_s=1e-9)
    assert (outcome.status, outcome.reason, outcome.summary["rounds"]) == ("stopped", "cpu_time", 1)


def test_a_limit_of_memory_fails_a_run_and_what_was_computed_is_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["run", "toy", "--set", "limits.memory_mib=1", "--out", str(tmp_path / "run"), "-q"])
    assert end.value.code == 3
    assert "limits.memory_mib = 1" in capsys.readouterr().err
    record = json.loads((tmp_path / "run" / "run.json").read_bytes())
    assert (record["status"], record["summary"]["rounds"]) == ("failed", 16)
