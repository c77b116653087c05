"""The run directory is what the contract says: columns, keys, lines, and what is left where a run does not end well."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from small_runs import Job, Run, perform, plain_rates, run_trace, trace_scenario

from phasewise.profiling.artefacts.sinks import ListSink
from phasewise.profiling.errors import OutputError
from phasewise.profiling.phases import PHASES, PhaseTimer
from phasewise.sched import building
from phasewise.sched.errors import RunFailedError, ScenarioError
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import Callbacks, Progress, simulate
from phasewise.solvers.errors import SolveFailedError

JOBS = {
    "job_id": "int64",
    "job_type": "string",
    "arrival_s": "double",
    "scale_factor": "double",
    "gpu_milli": "int64",
    "priority_weight": "double",
    "total_steps": "double",
    "completion_s": "double",
    "jct_s": "double",
    "status": "string",
    "rounds_run": "int64",
    "moves": "int64",
    **dict.fromkeys(
        ("end_s", "first_start_s", "queued_s", "run_s", "gpu_s", "ideal_s", "rho", "slo_s", "cost"), "double"
    ),
    **dict.fromkeys(("demand_milli", "cpu_milli", "memory_mib"), "int64"),
    **dict.fromkeys(("name", "user", "vc", "class"), "string"),
}
PLACEMENTS = dict.fromkeys(("job_id", "node", "gpu", "share_milli", "start_round", "end_round"), "int64")
ROUNDS = {
    **dict.fromkeys(
        ("round", "active", "running", "queued", "completed", "moves", "lp_solved", "lp_jobs", "lp_iterations"), "int64"
    ),
    **dict.fromkeys(("sim_time_s", "end_s", "utilization", "frag_rate", "lp_objective", "lp_gap", "rss_mib"), "double"),
    **dict.fromkeys(("utilization_k80", "utilization_p100", "utilization_v100"), "double"),
    **{f"phase_{phase}{clock}": "double" for phase in PHASES for clock in ("_s", "_cpu_s")},
    "lp_rebuild": "string",
}
SUMMARY = {
    *("avg_jct_s", "jct_s_p50", "jct_s_p95", "makespan_s", "utilization", "rounds", "allocations", "lp_solves"),
    *("lp_rebuilds", "lp_reuse_rate"),
    *("jobs_completed", "jobs_failed", "window", "sim_time_s", "wall_s", "cpu_s", "rounds_per_cpu_s", "peak_rss_mib"),
    *("moves", "lease_extensions", "lease_extension_opportunities", "phases", "phase_coverage"),
    *("censored", "window_jobs", "window_done", "avg_jct_lower_bound_s", "drift", "offered_load", "compile_s"),
    *("jobs_refused", "rho", "queue_s_p50", "queue_s_p95", "goodput", "lost_gpu_s", "slo_misses", "cost", "version"),
}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of the built-in toy with a PROFILE line every 10 rounds."""
    out = tmp_path_factory.mktemp("toy") / "out"
    return perform(load_scenario("toy", {"output.profile_every": 10, "output.chunk_rounds": 16}), out)


# -- the contract ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "columns"), [("jobs", JOBS), ("rounds", ROUNDS), ("placements", PLACEMENTS)])
def test_every_table_has_the_columns_of_the_contract(name: str, columns: dict[str, str], toy: Run) -> None:
    schema = pq.read_schema(toy.out / f"{name}.parquet")
    kinds = {field.name: str(field.type) for field in schema}
    assert kinds.items() >= columns.items()  # more may be added, nothing renamed


def test_a_finished_run_leaves_these_files_and_no_others(toy: Run) -> None:
    names = {path.name for path in toy.out.iterdir()}
    assert names == {"run.json", "jobs.parquet", "rounds.parquet", "placements.parquet", "lines.log", "trace.json.gz"}


def test_the_record_of_a_run_holds_the_resolved_scenario_and_the_summary(toy: Run) -> None:
    record = toy.record
    assert record["schema"] == 2
    assert record["status"] == "complete"
    assert record["scenario"]["workload"]["jobs"] == 12
    assert record["scenario"]["stop"]["window"] is None
    assert record["environment"]
    assert record["summary"].keys() >= SUMMARY
    for phase in record["summary"]["phases"].values():
        assert phase.keys() == {"wall_s", "cpu_s", "calls", "share"}
    assert sum(phase["share"] for phase in record["summary"]["phases"].values()) == pytest.approx(1.0, rel=1e-12)
    assert 0.0 < record["summary"]["phase_coverage"] <= 1.0


def test_the_summary_agrees_with_the_tables(toy: Run) -> None:
    summary, jobs, rounds = toy.summary, toy.jobs, toy.table("rounds")
    jct_s = [jobs[id_]["jct_s"] for id_ in sorted(jobs)]
    assert summary["avg_jct_s"] == pytest.approx(sum(jct_s) / len(jct_s), rel=1e-12)
    assert summary["rounds"] == len(rounds["round"])
    assert summary["makespan_s"] == summary["sim_time_s"] == max(job["completion_s"] for job in jobs.values())
    assert summary["jobs_completed"] == len(jobs) == rounds["completed"][-1]
    assert summary["moves"] == sum(rounds["moves"]) == sum(job["moves"] for job in jobs.values())
    assert summary["lp_solves"] == sum(rounds["lp_solved"]) == summary["allocations"]
    assert summary["phases"]["lp_solve"]["calls"] >= summary["lp_solves"]


@pytest.mark.parametrize("solver", ["highs-warm", "cvxpy-dpp:CLARABEL", "highs-direct", "highs-direct,highs-warm"])
def test_the_summary_says_how_often_a_model_was_reused_and_why_not(solver: str, tmp_path: Path) -> None:
    run = perform(load_scenario("toy", {"solver.name": solver, "output.trace": False}), tmp_path / "out")
    table = run.table("rounds")
    told = [reason for solved, reason in zip(table["lp_solved"], table["lp_rebuild"], strict=True) if solved]
    rebuilds = Counter(reason for reason in told if reason is not None)
    assert run.summary["lp_rebuilds"] == dict(rebuilds) != {}
    assert run.summary["lp_reuse_rate"] == pytest.approx(told.count(None) / len(told), abs=1e-12)
    assert (run.summary["lp_reuse_rate"] > 0.5) == (not solver.startswith("highs-direct"))


def test_each_round_says_what_a_heuristic_gives_up(tmp_path: Path) -> None:
    heuristic, exact = (
        perform(load_scenario("toy", {"solver.name": name, "output.trace": False}), tmp_path / name).table("rounds")
        for name in ("single-type", "highs-direct")
    )
    solved = [round_ for round_, count in enumerate(heuristic["lp_solved"]) if count]
    assert all(heuristic["lp_gap"][each] >= 0.0 for each in solved)
    assert max(heuristic["lp_gap"][each] for each in solved) > 1e-3
    used, most = ([heuristic[f"lp_utilization{end}"][each] for each in solved] for end in ("", "_ceiling"))
    assert all(0.0 < one <= ceiling + 1e-12 for one, ceiling in zip(used, most, strict=True))
    assert any(one < ceiling - 1e-3 for one, ceiling in zip(used, most, strict=True))
    assert set(exact["lp_utilization_ceiling"]) == {None}


def test_a_run_that_solves_nothing_has_no_rate_of_reuse(tmp_path: Path) -> None:
    overrides = {"policy.name": "fifo", "output.trace": False, "stop.rounds": 3, "stop.window": "none"}
    run = perform(load_scenario("toy", overrides), tmp_path / "out")
    assert run.summary["lp_rebuilds"] == {}
    assert run.summary["lp_reuse_rate"] is None


def test_a_row_without_a_solve_has_no_objective(toy: Run) -> None:
    rounds = toy.table("rounds")
    for solved, objective, jobs in zip(rounds["lp_solved"], rounds["lp_objective"], rounds["lp_jobs"], strict=True):
        assert (objective is not None) == bool(solved)
        assert (jobs > 0) == bool(solved)
    assert set(rounds["frag_rate"]) == {None}


def test_the_times_of_all_rounds_add_up_to_those_of_the_summary(toy: Run) -> None:
    rounds, summary = toy.table("rounds"), toy.summary
    for phase in PHASES:
        told = summary["phases"].get(phase, {"wall_s": 0.0, "cpu_s": 0.0})
        assert sum(rounds[f"phase_{phase}_s"]) == pytest.approx(told["wall_s"], abs=1e-9)
        assert sum(rounds[f"phase_{phase}_cpu_s"]) == pytest.approx(told["cpu_s"], abs=1e-9)
    wall_s = sum(phase["wall_s"] for phase in summary["phases"].values())
    assert wall_s == pytest.approx(summary["wall_s"], abs=1e-9)


# -- lines -----------------------------------------------------------------------------------------------------------


def numbers(value: object) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, (int, float)):
        yield value


def test_every_line_holds_finite_numbers(toy: Run) -> None:
    records = [record for kind in ("PROFILE", "TELEMETRY", "EVENT") for record in toy.lines(kind)]
    assert len(records) > 3 * toy.summary["rounds"] / 2
    assert all(math.isfinite(number) for record in records for number in numbers(record))


def test_the_times_of_a_profile_line_add_up_to_its_total(toy: Run) -> None:
    for line in toy.lines("PROFILE"):
        keys = {"v", "round", "sim_time_s", "jobs", "solver", "rebuild", "iterations", "total_s"}
        assert keys | {"phases_s", "phases_cpu_s", "other_s"} <= line.keys()
        assert line["v"] == 1
        assert sum(line["phases_s"].values()) + line["other_s"] == pytest.approx(line["total_s"], abs=1e-12)
        assert line["phases_s"].keys() == line["phases_cpu_s"].keys() <= set(PHASES)
        assert line["solver"].partition(":")[0] == toy.record["scenario"]["solver"]["name"]  # auto adds what it picked


def test_a_profile_line_comes_as_often_as_asked_and_once_at_the_end(toy: Run) -> None:
    rounds = toy.summary["rounds"]
    *regular, last = toy.lines("PROFILE")
    assert [line["round"] for line in regular] == list(range(9, rounds, 10))
    assert all("final" not in line for line in regular)
    assert last["final"] is True
    assert last["round"] == rounds - 1
    assert last["total_s"] == pytest.approx(toy.summary["wall_s"], abs=1e-9)


@pytest.mark.parametrize("chunk_rounds", [1, 7, 512])
def test_lines_since_the_last_one_add_up_to_the_final_one(chunk_rounds: int, tmp_path: Path) -> None:
    chosen = {"output.debug": True, "output.chunk_rounds": chunk_rounds, "stop.rounds": 30}
    run = perform(load_scenario("toy", chosen), tmp_path / "out")
    *regular, last = run.lines("PROFILE")
    assert [line["round"] for line in regular] == list(range(30))
    for name in (*PHASES, "other"):
        parts = [line["other_s"] if name == "other" else line["phases_s"].get(name, 0.0) for line in regular]
        assert sum(parts) == pytest.approx(
            last["other_s"] if name == "other" else last["phases_s"].get(name, 0.0), abs=1e-9
        )
    per_round = run.table("rounds")["phase_policy_s"]
    assert [line["phases_s"]["policy"] for line in regular] == per_round
    assert sum(line["iterations"] for line in regular) == sum(run.table("rounds")["lp_iterations"])


def test_every_round_has_its_telemetry_and_its_event(toy: Run) -> None:
    rounds = toy.table("rounds")
    telemetry = toy.lines("TELEMETRY")
    for name in ("round", "sim_time_s", "active", "running", "queued", "completed", "utilization"):
        assert [line[name] for line in telemetry] == rounds[name]
    assert [line["utilization_by_type"]["v100"] for line in telemetry] == rounds["utilization_v100"]
    scheduled = toy.events("schedule_round")
    assert [event["round"] for event in scheduled] == rounds["round"]
    assert [event["moves"] for event in scheduled] == rounds["moves"]
    assert all(event["end_s"] >= event["sim_time_s"] for event in scheduled)


def test_events_tell_of_every_job_and_of_the_run(toy: Run) -> None:
    events = [event["event"] for event in toy.lines("EVENT")]
    assert (events[0], events[-1]) == ("run_start", "run_end")
    assert toy.events("run_start")[0]["scenario"] == toy.record["scenario"]
    end = toy.events("run_end")[0]
    assert (end["status"], end["reason"], end["rounds"]) == ("complete", "all_complete", toy.summary["rounds"])
    assert {event["job_id"]: event["arrival_s"] for event in toy.events("job_arrival")} == {
        id_: job["arrival_s"] for id_, job in toy.jobs.items()
    }
    assert {event["job_id"]: event["jct_s"] for event in toy.events("job_complete")} == {
        id_: job["jct_s"] for id_, job in toy.jobs.items()
    }
    assert len(toy.events("allocation")) == toy.summary["allocations"]


def test_the_callers_sink_gets_every_line_that_the_file_gets(tmp_path: Path) -> None:
    lines = ListSink()
    simulate(load_scenario("toy", {"stop.rounds": 5}), tmp_path / "out", lines=lines)
    assert (tmp_path / "out" / "lines.log").read_bytes() == b"".join(line + b"\n" for line in lines.lines)


def test_without_a_run_directory_the_lines_are_still_there() -> None:
    lines = ListSink()
    outcome = simulate(load_scenario("toy", {"stop.rounds": 5}), None, lines=lines)
    assert (outcome.status, outcome.out, outcome.summary["rounds"]) == ("stopped", None, 5)
    assert lines.lines[-1].startswith(b'EVENT {"event":"run_end"')


# -- chunks ----------------------------------------------------------------------------------------------------------


def test_the_size_of_a_chunk_changes_no_table(tmp_path: Path) -> None:
    runs = [
        perform(
            load_scenario("toy", {"output.chunk_rounds": size, "timing.preset": "gavel", "stop.rounds": 60}),
            tmp_path / str(size),
        )
        for size in (1, 7, 512)
    ]
    for run in runs[1:]:
        for name in ("jobs", "placements"):
            assert (run.out / f"{name}.parquet").read_bytes() == (runs[0].out / f"{name}.parquet").read_bytes()
        ours, theirs = run.table("rounds"), runs[0].table("rounds")
        assert all(ours[name] == theirs[name] for name in ROUNDS if not name.startswith(("phase_", "rss")))


def test_a_run_directory_can_be_read_at_the_end_of_every_chunk(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    def look(_: Progress) -> None:
        seen.append(json.loads((tmp_path / "out" / "run.json").read_bytes()))

    scenario = load_scenario("philly", {"stop.rounds": 70, "output.chunk_rounds": 10})
    simulate(scenario, tmp_path / "out", callbacks=Callbacks(progress=look))
    assert [each["status"] for each in seen] == ["interrupted"] * 2
    assert [each["summary"]["rounds"] for each in seen] == [30, 60]


# -- runs that do not end well ---------------------------------------------------------------------------------------


def assert_whole(run: Run, status: str, rounds: int) -> None:
    """Check that a run which was cut short has saved all its rounds."""
    assert run.record["status"] == status
    assert run.summary["rounds"] == rounds
    assert run.table("rounds")["round"] == list(range(rounds))
    assert max(run.table("placements")["end_round"], default=0) <= rounds
    assert [event["round"] for event in run.events("schedule_round")] == list(range(rounds))
    assert run.events("run_end")[0]["status"] == status
    assert set(run.jobs) == {event["job_id"] for event in run.events("job_arrival")}
    assert not list(run.out.glob("*.parts"))


def test_an_interrupt_between_two_rounds_saves_all_rounds(tmp_path: Path) -> None:
    asked: list[bool] = []

    def interrupted() -> bool:
        asked.append(True)
        return len(asked) == 23

    with pytest.raises(KeyboardInterrupt):
        simulate(load_scenario("toy"), tmp_path / "out", callbacks=Callbacks(interrupted=interrupted))
    run = Run(tmp_path / "out", "interrupted")
    assert_whole(run, "interrupted", 23)
    assert "active" in {job["status"] for job in run.jobs.values()}


@pytest.mark.parametrize("chunk_rounds", [1, 32, 512])
def test_an_interrupt_out_of_a_report_of_progress_saves_all_rounds(chunk_rounds: int, tmp_path: Path) -> None:
    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    scenario = load_scenario("philly", {"output.chunk_rounds": chunk_rounds})
    with pytest.raises(KeyboardInterrupt):
        simulate(scenario, tmp_path / "out", callbacks=Callbacks(progress=interrupt))
    assert_whole(Run(tmp_path / "out", "interrupted"), "interrupted", 32)


class Failing:
    """A solver that gives up at its n-th problem."""

    def __init__(self, answers: int, solve: Any) -> None:
        self.left, self.answer = answers, solve
        self.families: dict[str, frozenset[str]] = {}

    def kernels(self, families: frozenset[str]) -> list[Any]:
        """Return nothing: it compiles nothing."""
        return []

    def solve(self, problem: Any, state: Any) -> Any:
        self.left -= 1
        if self.left < 0:
            raise SolveFailedError("nobody could solve this")
        return self.answer(problem, state)


@pytest.mark.parametrize("answers", [0, 3])
def test_a_solver_that_fails_ends_the_run_and_what_was_computed_is_saved(
    answers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = building.open_solver
    once = lru_cache(lambda: Failing(answers, opened("highs-direct", {}, PhaseTimer()).solve))
    monkeypatch.setattr(building, "open_solver", lambda *chosen: once())
    with pytest.raises(RunFailedError, match="nobody could solve this; the results so far are saved in") as told:
        simulate(load_scenario("toy"), tmp_path / "out")
    rounds = told.value.round_index
    assert told.value.out == tmp_path / "out"
    assert (rounds > 0) == (answers > 0)
    run = Run(tmp_path / "out", "failed")
    assert_whole(run, "failed", rounds)
    assert run.events("run_end")[0]["reason"] == "nobody could solve this"
    assert run.summary["allocations"] == answers


def test_a_run_directory_that_cannot_be_made_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot make the run directory .*file/out: Not a directory"):
        simulate(load_scenario("toy"), tmp_path / "file" / "out")


# -- edges -----------------------------------------------------------------------------------------------------------


def test_a_run_of_one_round_is_a_run(tmp_path: Path) -> None:
    run = perform(load_scenario("toy", {"stop.rounds": 1}), tmp_path / "out")
    assert run.status == "stopped"
    assert_whole(run, "stopped", 1)
    assert run.summary["avg_jct_s"] is None


def test_no_rounds_at_all_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(ScenarioError, match=r"stop\.rounds: got 0; allowed: an integer of at least 1, or none"):
        load_scenario("toy", {"stop.rounds": 0})


def test_a_window_counts_its_own_jobs_only(tmp_path: Path) -> None:
    jobs = [Job(7200.0), Job(14_400.0), Job(72_000.0)]
    run = run_trace(tmp_path, jobs, {"v100": 3}, {"stop.window": [1, 2]})
    assert run.status == "complete"
    assert run.summary["window"] == [1, 2]
    assert run.summary["avg_jct_s"] == 720.0
    assert run.jobs[2]["status"] == "active"
    assert run.events("run_end")[0]["reason"] == "window_complete"


def test_a_window_whose_jobs_are_all_refused_has_no_jct(tmp_path: Path) -> None:
    jobs = [Job(7200.0, scale_factor=4), Job(7200.0)]
    run = run_trace(tmp_path, jobs, {"v100": 1}, {"stop.window": [0, 1]})
    assert run.status == "complete"
    assert run.summary["avg_jct_s"] is run.summary["jct_s_p50"] is None
    assert run.summary["jobs_refused"] == 1


def test_a_window_beyond_the_trace_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="only 1 jobs come"):
        run_trace(tmp_path, [Job(7200.0)], {"v100": 1}, {"stop.window": [1, 3]})
    assert not (tmp_path / "out").exists()


def test_jobs_that_the_end_leaves_behind_are_listed_as_active(tmp_path: Path) -> None:
    run = run_trace(tmp_path, [Job(1e6), Job(1e6)], {"v100": 1}, {"stop.rounds": 3})
    assert [job["status"] for job in run.jobs.values()] == ["active", "active"]
    assert [job["rounds_run"] for job in run.jobs.values()] == [3, 0]
    assert [job["completion_s"] for job in run.jobs.values()] == [None, None]


def test_a_moved_job_has_an_interval_on_each_gpu(tmp_path: Path) -> None:
    rates = {**plain_rates(), ("fast", 1): {"k80": 0.0, "p100": 0.0, "v100": 30.0}}
    jobs = [Job(2 * 7200.0, job_type="fast"), Job(50_000.0)]  # job 1 starts on the slower type, then moves up
    run = run_trace(tmp_path, jobs, {"v100": 1, "k80": 1}, rates=rates)
    held = run.table("placements")
    rows = sorted(zip(*(held[name] for name in ("job_id", "node", "start_round", "end_round")), strict=True))
    assert rows[0] == (0, 1, 0, 2)
    assert [row[:2] for row in rows[1:]] == [(1, 0), (1, 1)]
    assert rows[1][3] == rows[2][2] == 2
    assert run.jobs[1]["moves"] == 1
    assert set(held["share_milli"]) == {1000}


def test_a_scenario_that_names_nothing_new_is_run_as_it_stands(tmp_path: Path) -> None:
    scenario = trace_scenario(tmp_path, [Job(10.0)] * 30, {"v100": 1})
    assert perform(scenario, tmp_path / "out").summary["jobs_completed"] == 30
