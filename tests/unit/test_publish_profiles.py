"""What is published: origins, sweeps, and lines of line_profiler, hottest first and without this machine's paths."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow.csv
import pytest

from phasewise.bench.publish import measured, million
from phasewise.bench.publish.__main__ import PARTS, measure
from phasewise.bench.publish.auto_points import rivals
from phasewise.bench.publish.measured import Workplace, rows_of
from phasewise.bench.publish.origins import commit_of, settings
from phasewise.bench.publish.profiles import ROOT, anywhere, hot_lines, warmest
from phasewise.bench.publish.scales import PLANS, Sweep, Tape
from phasewise.bench.series.runs import run_into
from phasewise.bench.series.what_if import SLOWED, STRETCH
from phasewise.reports.publication import load_publication
from phasewise.reports.run_directory import load_run
from phasewise.sched.scenario.loading import load_scenario
from phasewise.solvers import registry
from phasewise.solvers.backends.auto import MeasuredPoint
from phasewise.solvers.problems import Traits
from phasewise.solvers.replay import Record

HEAD = "Line #      Hits         Time  Per Hit   % Time  Line Contents\n" + "=" * 62
TEXT = f"""Timer unit: 1e-06 s

Total time: 0.001 s
File: {ROOT}/sched/cold.py
Function: cold at line 3

{HEAD}
     3                                           def cold():
     4         1       1000.0   1000.0    100.0      wait = 1

Total time: 0.5 s
File: {ROOT}/sched/hot.py
Function: Engine.outer at line 10

{HEAD}
    10                                           def outer(self):
    11         2     300000.0 150000.0     60.0      self.inner(1)
    12        20     200000.0  10000.0     40.0      total = np.sort(x)

Total time: 0.299 s
File: {ROOT}/sched/hot.py
Function: Engine.inner at line 20

{HEAD}
    20                                           def inner(self, n):
    21         2   299000.0 149500.0    100.0      return slow + n

  0.00 seconds - {ROOT}/sched/cold.py:3 - cold
  0.50 seconds - {ROOT}/sched/hot.py:10 - Engine.outer
"""


def test_a_line_that_only_calls_what_is_watched_is_no_hot_line() -> None:
    found = {line.line: line for line in hot_lines(TEXT)}
    assert set(found) == {4, 12, 21}
    assert found[21].share == pytest.approx(0.598)
    assert found[12].time_ms == pytest.approx(200.0)
    assert found[12].hits == 20
    assert found[12].source == "total = np.sort(x)"
    assert found[21].function == "Engine.inner"
    assert found[21].file == "sched/hot.py"


def test_functions_that_took_next_to_nothing_are_left_out_and_the_longest_is_first() -> None:
    text = warmest(TEXT)
    assert text.index("Engine.outer") < text.index("Engine.inner")
    assert "cold" not in text
    assert "seconds -" not in text


def test_paths_of_this_machine_are_not_published() -> None:
    text = anywhere(f"{TEXT} {sys.prefix}/lib/x.py {sys.base_prefix}/lib/y.py")
    assert str(ROOT) not in text
    assert "sched/hot.py" in text


def test_a_file_without_a_history_has_no_commit(tmp_path: Path) -> None:
    file = tmp_path / "table.toml"
    file.write_text("")
    assert commit_of(file) is None


def test_the_backends_measured_at_a_point_are_its_two_quickest_and_the_quickest_of_other_sizes() -> None:
    def point(jobs: int, **cpu_ms: float) -> MeasuredPoint:
        return MeasuredPoint(Traits("max_min", False, True, jobs, 3), cpu_ms)

    table = [point(30, one=1.0, two=2.0, three=3.0), point(400, three=4.0, one=5.0, two=6.0)]
    assert rivals(table[0], table) == ["one", "two", "three"]
    assert rivals(table[1], table) == ["three", "one"]
    assert rivals(table[0], table[:1]) == ["one", "two"]


def test_a_command_can_be_given_to_a_shell_as_it_stands() -> None:
    assert settings("alibaba", {"stop.rounds": 600}) == "phasewise run alibaba --set stop.rounds=600"
    assert settings("philly", {}) == "phasewise run philly"
    assert settings("philly", {}, "profile") == "phasewise profile philly"


def test_backends_are_measured_against_the_quickest_exact_one_on_the_same_problems() -> None:
    def record(solver: str, build_ms: float, solve_ms: float, problems: int) -> Record:
        first = 50.0  # of a session: it does not count
        return Record(solver, build_ms=[first] + [build_ms] * problems, solve_ms=[first] + [solve_ms] * problems)

    records = [record("slow", 3.0, 5.0, 4), record("heuristic", 0.1, 0.1, 9), record("quick", 1.0, 1.0, 9)]
    rows = rows_of(records, {"slow": True, "quick": True, "heuristic": False})
    assert [row.solver for row in rows] == ["quick", "slow", "heuristic"]
    assert rows[0].slower is None
    assert rows[1].slower.estimate == pytest.approx(4.0)
    assert rows[2].slower.estimate == pytest.approx(0.1)
    assert rows[1].problems == 4
    assert (rows[1].build_ms.estimate, rows[1].solve_ms.estimate) == (3.0, 5.0)


@pytest.mark.parametrize("tape", [plan.tape for plan in PLANS.values() if plan.tape], ids=lambda tape: tape.scale)
def test_every_backend_is_compared_or_the_page_says_why_not(tape: Tape) -> None:
    for backend in registry.describe():
        told = {backend.name, backend.name.split(":")[0]} & set(tape.left_out)
        assert (backend.name in tape.solvers) != bool(told), backend.name


@pytest.mark.parametrize("scale", list(PLANS))
def test_a_scale_without_a_tape_says_why_its_backends_are_not_compared(scale: str) -> None:
    plan = PLANS[scale]
    assert ("replay" in plan.absent) == (plan.tape is None)
    assert set(plan.absent) <= set(PARTS)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small part of the log of a million jobs, converted, in a folder of its own."""
    path = tmp_path_factory.mktemp("few") / "logs" / "few.parquet"
    million.trace(path, times=0.001, days=3.0)
    return path


def on(trace: Path, overrides: Mapping[str, object]) -> dict[str, object]:
    """Return overrides with another trace in the place of theirs, which only measuring makes."""
    return {key: str(trace) if key == "workload.trace" else value for key, value in overrides.items()}


@pytest.mark.parametrize("scale", list(PLANS))
def test_every_size_of_a_sweep_is_a_valid_scenario_and_there_are_five_at_least(scale: str, few: Path) -> None:
    plan = PLANS[scale]
    assert len(plan.sweep.sizes) >= 5
    assert plan.sweep.rounds - plan.sweep.warm_up >= 20
    first = load_scenario(plan.scenario, on(few, plan.sweep.at(1)))
    for times in plan.sweep.sizes:
        scenario = load_scenario(plan.scenario, on(few, plan.sweep.at(times)))
        assert scenario.workload.initial_jobs == times * first.workload.initial_jobs
        gpus = sum(first.cluster.gpus.values())
        assert sum(scenario.cluster.gpus.values()) == pytest.approx(times * gpus, rel=0.01)


@pytest.mark.parametrize("scale", list(PLANS))
def test_the_run_and_the_check_of_a_scale_are_valid(scale: str, few: Path) -> None:
    plan = PLANS[scale]
    scenario = load_scenario(plan.scenario, on(few, plan.overrides))
    assert scenario.name.endswith("-busy") or scenario.workload.trace
    assert plan.check.phase in SLOWED
    assert plan.check.rounds % (2 * STRETCH) == 0


def test_sizes_are_run_in_turn_and_their_stretches_put_together(tmp_path: Path) -> None:
    prepared, said = [], []
    sweep = Sweep(lambda times: {"workload.jobs": 6 * times}, (1, 2), 30, 10, turns=2, prepare=prepared.append)
    plan = dataclasses.replace(PLANS["philly"], scenario="toy", sweep=sweep)
    found = measured.growth("toy", plan, Workplace(tmp_path, said.append))
    assert prepared == [1, 2, 1, 2]
    assert [line.split(" times")[0] for line in said] == ["toy: 1", "toy: 2", "toy: 1", "toy: 2"]
    assert [size.times for size in found.sizes] == [1.0, 2.0]
    assert all(size.cost_ms["all"].low > 0.0 for size in found.sizes)
    assert "2 runs, all sizes in turn" in found.origin.n


def test_a_part_that_a_scale_lacks_is_not_measured_and_its_reason_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "replay", lambda *_: pytest.fail("measured"))
    measure("million", ("replay",), tmp_path)
    kept = load_publication(tmp_path / "data" / "million.json")
    assert kept.replay is None
    assert kept.absent == dict(PLANS["million"].absent)


def test_a_part_of_the_log_of_a_million_jobs_has_its_jobs_an_hour() -> None:
    part = million.log(times=0.25, days=0.6)
    assert part.num_rows == 2500
    submitted = part["submit_time"].to_numpy()
    assert (submitted[-1] - submitted[0]) / np.timedelta64(1, "h") == pytest.approx(14.4, rel=0.1)
    assert million.log(times=0.25, days=0.6).equals(part)
    assert (part["end_time"].to_numpy() - part["start_time"].to_numpy()).astype(int).tolist() == part[
        "duration"
    ].to_pylist()


def test_the_log_is_the_one_that_the_documentation_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "howto" / "bring-your-own-trace.md").read_text("utf-8")
    script = re.search(r"```python\n# writes million.csv\n(.*?)```", page, re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    exec(script.replace("1_000_000", "2_000"), {})
    written = pyarrow.csv.read_csv(tmp_path / "million.csv")
    assert written.equals(million.log(times=0.002).cast(written.schema))


def test_the_log_is_converted_once_and_runs_as_a_trace(few: Path, tmp_path: Path) -> None:
    assert [each.name for each in few.parent.iterdir()] == [few.name]
    content = few.read_bytes()
    million.trace(few, times=1.0)  # it is there: nothing is drawn
    assert few.read_bytes() == content
    run_into(tmp_path / "run", "toy", {**on(few, PLANS["million"].sweep.at(0.001)), "stop.rounds": 20})
    assert load_run(tmp_path / "run").summary.rounds == 20
