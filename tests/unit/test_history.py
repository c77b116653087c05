"""A history: its files, series on one scale, planted steps found, and what is said of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from phasewise.bench.cli import remembering
from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.gate import only
from phasewise.bench.gate.limits import Limits, load_limits
from phasewise.bench.gate.link import Tree
from phasewise.bench.gate.measure import Bench, Judged, Measured
from phasewise.bench.gate.verdict import Verdict
from phasewise.bench.history import past
from phasewise.bench.history.commits import Commit
from phasewise.bench.history.errors import HistoryError
from phasewise.bench.history.measurements import Kind, Measurement, append, files, fingerprint, read
from phasewise.bench.history.past import next_commit
from phasewise.bench.history.series import all_series
from phasewise.profiling.environment import describe_environment
from phasewise.profiling.stats import Interval

MACHINE = {"cpu": "Example CPU", "cores": 2, "system": "Linux", "python": "CPython 3.11"}
BASE = "b" * 40
COMMITS = 40
PLANTED = {"engine/philly/loop": {25: 0.08}, "solvers/alibaba/structured": {12: -0.2, 30: 0.06}, "quiet": {}}


def named(number: int) -> str:
    return f"{number:040x}"


def measurement(number: int, case: str = "loop", log: float = 0.0, base: str = BASE, **others: Any) -> Measurement:
    fields: dict[str, Any] = {
        "kind": Kind.GATE,
        "commit": named(number),
        "committed_s": 1.7e9 + number,
        "subject": f"Change {number}",
        "measured_s": 1.8e9 + number,
        "low": log - 0.01,
        "high": log + 0.01,
        "cpu_ms": 40.0 * math.exp(log),
    }
    return Measurement(case=case, log=log, base=base, **{**fields, **others})


def planted(steps: Mapping[str, Mapping[int, float]]) -> list[Measurement]:
    rng = np.random.default_rng(3)
    return [
        measurement(
            number,
            case,
            sum(change for at, change in changes.items() if number >= at) + float(rng.normal(0.0, 0.008)),
            counters={"iterations": 100.0 if number < 30 else 120.0},
            packages={"numpy": "2.0" if number < 12 else "2.1"},
        )
        for case, changes in steps.items()
        for number in range(COMMITS)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    append(tmp_path, MACHINE, planted(PLANTED))
    return tmp_path


def test_what_was_added_is_read_again_once(folder: Path) -> None:
    path = append(folder, MACHINE, planted({"quiet": {}})[:3])
    assert path == folder / f"{fingerprint(MACHINE)}.jsonl"
    kept = read(path)
    assert kept.machine == MACHINE
    assert kept.broken == 0
    assert len(kept.measurements) == len(set(map(msgspec.json.encode, kept.measurements)))


def test_lines_of_two_histories_put_together_are_one_history(folder: Path, tmp_path: Path) -> None:
    other = append(tmp_path / "other", MACHINE, [measurement(99, "engine/philly/loop")])
    (mine,) = files(folder)
    merged = tmp_path / "merged.jsonl"
    merged.write_bytes(other.read_bytes() + mine.read_bytes() + other.read_bytes())
    assert len(read(merged).measurements) == 1 + len(read(mine).measurements)


def test_what_a_killed_process_left_costs_one_line(folder: Path) -> None:
    (path,) = files(folder)
    before = read(path)
    path.write_bytes(path.read_bytes()[:-20])
    append(folder, MACHINE, [measurement(77)])
    kept = read(path)
    assert kept.broken == 1
    assert len(kept.measurements) == len(before.measurements)
    assert measurement(77) in kept.measurements


def test_another_machine_has_a_file_of_its_own(folder: Path) -> None:
    append(folder, {**MACHINE, "cores": 4}, [measurement(0)])
    assert len(files(folder)) == 2


def test_planted_steps_are_found_and_only_those(folder: Path) -> None:
    series = {each.case: each for each in all_series(read(files(folder)[0]).measurements, 0.05, 0.02)}
    for case, steps in PLANTED.items():
        assert [step.at for step in series[case].steps] == list(steps)
        for step, change in zip(series[case].steps, steps.values(), strict=True):
            assert step.ratio == pytest.approx(math.exp(change), rel=0.01)
    versions, work = (step for step in series["solvers/alibaba/structured"].steps)
    assert versions.versions == ("numpy 2.0 -> 2.1",)
    assert work.counters == ("iterations 100 -> 120",)


def test_a_change_below_the_least_is_no_step(folder: Path) -> None:
    measurements = read(files(folder)[0]).measurements
    assert [len(each.steps) for each in all_series(measurements, 0.05, 0.1) if each.case == "engine/philly/loop"] == [0]


def test_several_measurements_of_a_commit_are_one_point() -> None:
    found = [measurement(1, log=value, measured_s=1.8e9 + value) for value in (0.0, 0.3, 0.02)]
    (series,) = all_series(found, 0.05, 0.02)
    assert [(point.log, point.measurements) for point in series.points] == [(0.02, 3)]


def test_a_base_that_was_measured_is_on_the_scale_of_the_one_before() -> None:
    first = [measurement(number, log=0.1) for number in range(5)]
    later = [measurement(number, log=0.2, base=named(4)) for number in range(5, 9)]
    (series,) = all_series([*later, *first], 0.05, 0.02)
    assert series.base == BASE
    assert [point.log for point in series.points] == pytest.approx([0.1] * 5 + [0.3] * 4)


def test_a_base_that_was_not_measured_begins_a_scale_of_its_own() -> None:
    series = all_series([measurement(0), measurement(1, base="c" * 40)], 0.05, 0.02)
    assert [each.base for each in series] == [BASE, "c" * 40]


def test_a_file_without_a_machine_is_no_history(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("{}\n")
    with pytest.raises(HistoryError, match="not a history: no line names the machine"):
        read(tmp_path / "x.jsonl")


def test_the_command_says_the_steps_latest_first(folder: Path, phasewise: Callable[..., Any]) -> None:
    said = phasewise("history", "--folder", folder, "--out", folder / "page.html")
    assert said.code == 0
    steps = [line for line in said.out.splitlines() if line.startswith("gate ")]
    assert [line.split(":")[0] for line in steps] == [
        "gate solvers/alibaba/structured",
        "gate engine/philly/loop",
        "gate solvers/alibaba/structured",
    ]
    assert "3 steps; the probability that this list has a step where there is none is at most 5%" in said.out
    page = (folder / "page.html").read_text()
    assert page.count("<circle") == COMMITS * len(PLANTED)
    assert "18.1 % faster" in page or "18.2 % faster" in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_json_has_every_series_and_nothing_else_is_printed(folder: Path, phasewise: Callable[..., Any]) -> None:
    said = phasewise("history", "--folder", folder, "--case", "engine/*", "--json")
    figures = json.loads(said.out)
    (series,) = figures["series"]
    assert len(series["points"]) == COMMITS
    assert [step["commit"] for step in series["steps"]] == [named(25)]
    assert series["steps"][0]["after"] == named(24)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--folder", "nowhere"], "nowhere: no history here; `phasewise gate --history nowhere`"),
        (["--case", "none*"], "no case matches 'none*'; there are engine/philly/loop, quiet"),
        (["--machine", "abc"], "no machine 'abc'; there are "),
        (["--false-alarms", "1"], "--false-alarms"),
    ],
)
def test_what_is_not_there_is_one_message(
    folder: Path, phasewise: Callable[..., Any], arguments: Sequence[str], message: str
) -> None:
    said = phasewise("history", "--folder", folder, *arguments)
    assert said.code == 2
    assert message in said.err
    assert said.out == ""


def test_results_of_the_suite_are_added_by_their_commit(
    tmp_path: Path, phasewise: Callable[..., Any], suite_results: dict[str, Any]
) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(suite_results))
    said = phasewise("history", "add", path, "--folder", tmp_path / "kept")
    assert said.code == 0, said.err
    (found,) = read(files(tmp_path / "kept")[0]).measurements
    assert (found.kind, found.case, found.cpu_ms) == (Kind.SUITE, "solvers/philly/structured", 0.5)
    assert found.log == pytest.approx(math.log(0.0005 / 0.01))
    assert found.low < found.log < found.high
    assert found.counters == {"iterations": 12.0, "steps": 60.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"yardstick_s": None}, "not results of the suite"),
        ({"benchmarks": 3}, "not results of the suite"),
        ({"dirty": True}, "changes that were not committed"),
        ({"commit": "f" * 40}, "is not in the history of the checkout"),
    ],
)
def test_results_that_belong_to_no_commit_are_refused(
    tmp_path: Path, phasewise: Callable[..., Any], suite_results: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    for key, value in change.items():
        (suite_results if key in suite_results else suite_results["environment"])[key] = value
    path = tmp_path / "results.json"
    path.write_text(json.dumps(suite_results))
    said = phasewise("history", "add", path, "--folder", tmp_path / "kept")
    assert said.code == 2
    assert message in said.err
    assert not (tmp_path / "kept").exists()


@pytest.fixture
def suite_results() -> dict[str, Any]:
    """Return results as pytest-benchmark writes them, cut down to one case."""
    return {
        "environment": {**describe_environment(), "dirty": False},
        "yardstick_s": 0.01,
        "benchmarks": [
            {
                "param": "solvers/philly/structured",
                "stats": {"median": 0.0005, "q1": 0.00049, "q3": 0.00052, "rounds": 5},
                "extra_info": {"iterations": 12, "steps": 60, "unit": "problem", "commit": "x"},
            }
        ],
    }


def test_a_gate_that_could_not_be_kept_does_not_measure_first(
    tmp_path: Path, phasewise: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phasewise.bench.history.taking.git", lambda *_: " M README.md")
    said = phasewise("gate", "--history", tmp_path / "kept")
    assert said.code == 2
    assert said.err.startswith("phasewise: error: this checkout has changes that are not committed")
    assert not (tmp_path / "kept").exists()


def test_commits_of_the_past_are_taken_spread_evenly() -> None:
    names, done, order = [str(number) for number in range(33)], {"0"}, list[int]()
    while (at := next_commit(names, done, set())) is not None:
        order.append(at)
        done.add(names[at])
    assert sorted(order) == list(range(1, 33))
    assert order[:2] == [32, 16]
    for first in (2, 4, 8, 16):
        reached = sorted([0, *order[: first + 1]])
        assert max(b - a for a, b in pairwise(reached)) <= 2 * 33 / first


def test_the_largest_gap_reaches_across_commits_that_cannot_be_measured() -> None:
    names = [str(number) for number in range(20)]
    assert next_commit(names, {"0"}, {"19"}) == 18  # the last that can be
    assert next_commit(names, {"0", "19", "6"}, set()) == 12
    assert next_commit(names, {"0", "19", "6"}, {"12", "13"}) == 11
    assert next_commit(names, {"19"}, set()) == 9  # not even the oldest is there yet
    assert next_commit(names, {"0"}, set(names)) is None


def test_a_budget_of_time_ends_before_the_next_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commits = [Commit(named(number), 1.7e9 + number, f"Change {number}") for number in range(5)]
    monkeypatch.setattr(past, "commits", None)  # nobody asks for a tree
    limits = only(load_limits(), ["solvers/philly/structured"])
    said = list(past.take(tmp_path, tmp_path, limits, commits, lambda _: None, lambda: True))
    assert said == ["the time is up: 4 of 4 commits are left"]


def test_the_command_measures_as_little_as_it_is_told_and_nothing_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[object] = []

    def take(*given: object) -> list[str]:
        asked[:] = given
        return []

    monkeypatch.setattr(past, "take", take)
    monkeypatch.setattr(remembering, "checkout", lambda: tmp_path)
    monkeypatch.setattr(remembering, "last", lambda *given: list(given))
    said = remembering.measured_past(tmp_path, (9, "v1"), (), quiet=True, minutes=0.0, pairs=1, samples=None)
    assert list(said) == []
    folder, root, limits, found, _, ended = asked
    assert (folder, root, found) == (tmp_path, tmp_path, [tmp_path, 9, "v1"])
    assert isinstance(limits, Limits)
    sampling = limits.sampling
    assert (sampling.pairs, sampling.samples, sampling.again) == (1, load_limits().sampling.samples, 0)
    assert callable(ended)
    assert ended()


OTHER = "placement/alibaba/fgd"


def test_past_commits_are_kept_as_they_are_measured_and_not_measured_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commits = [Commit(named(number), 1.7e9 + number, f"Change {number}") for number in range(5)]
    measured: list[str] = []

    @contextmanager
    def trees(_root: Path, head: str, base: str) -> Iterator[tuple[Tree, Tree]]:
        if head == named(2):
            raise GateError("the head is older than the gate")
        assert base == named(0)
        measured.append(head)
        yield Tree("head", tmp_path), Tree("base", tmp_path)

    def judge(self: Bench, limits: Limits) -> list[Judged]:
        return [
            Judged(Measured(case, [[0.1]], [[0.1]], {}, {}), Interval(0.9, 1.0, 1.1), [], Verdict.SAME)
            for case in limits.cases
        ]

    monkeypatch.setattr(past, "commits", trees)
    monkeypatch.setattr(Bench, "judge", judge)
    limits = only(load_limits(), ["solvers/philly/structured"])
    said = list(past.take(tmp_path / "history", tmp_path, limits, commits, lambda _: None))
    assert measured == [named(4), named(1), named(3)]
    assert f"{named(2)[:12]} Change 2: left out: the head is older than the gate" in said
    assert f"{named(4)[:12]} Change 4: solvers/philly/structured 1.000" in said
    again = list(past.take(tmp_path / "history", tmp_path, limits, commits, lambda _: None))
    assert again == []  # what cannot be measured is not tried again
    (noted,) = (tmp_path / "history").glob("*.left-out")
    noted.write_bytes(noted.read_bytes().rstrip()[:-9])  # as a killed process leaves it
    assert list(past.take(tmp_path / "history", tmp_path, limits, commits, lambda _: None)) == [
        line for line in said if "left out" in line
    ]
    assert list(past.take(tmp_path / "history", tmp_path, limits, commits, lambda _: None)) == []
    other = list(past.take(tmp_path / "history", tmp_path, only(load_limits(), [OTHER]), commits, lambda _: None))
    assert len(other) == 4  # another case may be there
    assert measured == 2 * [named(4), named(1), named(3)]
    kept = read(files(tmp_path / "history")[0]).measurements
    assert {each.commit for each in kept} == {named(4), named(3), named(1)}
    assert {each.base for each in kept} == {named(0)}
