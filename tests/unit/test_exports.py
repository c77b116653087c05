"""What was measured, in the formats of other tools: their structure, the same figures, and what cannot be exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from synthetic_run import RunShape, write_run

from phasewise.bench.exports.registry import FORMATS
from phasewise.bench.gate.record import CaseRecord, GateRecord
from phasewise.profiling.stacks import Folded, write_folded
from phasewise.reports.run_directory import load_run

STACKS = Folded(
    samples=7,
    frames=["numpy:dot", "phasewise.sched.engine:step", "odd;name:f"],
    stacks=[[1], [1, 0], [1, 2]],
    cpu_s=[0.25, 0.5, 0.000001],
    wall_s=[0.25, 0.5, 1.0],
    tick_s=0.004,
    times=3,
)
ENVIRONMENT = {"commit": "c" * 40, "dirty": False, "cpu": "Example CPU", "cores": 2, "python": "CPython 3.11.7"}
RECORD = GateRecord(
    base="b" * 40,
    environment=ENVIRONMENT,
    cases=[
        CaseRecord(
            name="solvers/philly/structured",
            verdict="slower",
            ratio=(1.05, 1.1, 1.2),
            head_s=[[0.11, 0.12], [0.13, 0.11]],
            base_s=[[0.10, 0.11], [0.12, 0.10]],
            head_counters={"lp_solves": 25.0},
            base_counters={"lp_solves": 24.0},
            head_stacks=[STACKS, STACKS],
            base_stacks=[STACKS],
        ),
        CaseRecord(
            name="placement/alibaba/fgd",
            verdict="same",
            ratio=(0.99, 1.0, 1.01),
            head_s=[[0.3]],
            base_s=[[0.3]],
            head_counters={},
            base_counters={},
        ),
    ],
)
RESULTS = {
    "environment": ENVIRONMENT,
    "yardstick_s": 0.02,
    "benchmarks": [
        {
            "param": "engine/philly/loop",
            "stats": {"median": 0.002, "q1": 0.0018, "q3": 0.0024, "rounds": 3, "data": [0.0018, 0.002, 0.0024]},
            "extra_info": {"steps": 40, "unit": "round", "jobs": 12.0},
        }
    ],
}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "gate.json"
    path.write_bytes(msgspec.json.encode(RECORD))
    return path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.json"
    path.write_text(json.dumps(RESULTS))
    return path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = write_run(tmp_path / "run", RunShape(rounds=60, jobs=30))
    write_folded(STACKS, path / "stacks.json")
    return path


@pytest.fixture
def exported(phasewise: Callable[..., Any], tmp_path: Path) -> Callable[..., str]:
    def export(source: Path, name: str, *others: str) -> str:
        out = tmp_path / f"out.{name}"
        said = phasewise("export", str(source), "--format", name, "--out", str(out), *others)
        assert (said.code, said.err) == (0, "")
        assert said.out == f"{name}: {out}\n"
        return out.read_text()

    return export


def test_pyperf_has_a_run_for_each_process_and_every_sample(exported: Callable[..., str], record: Path) -> None:
    head, base = (json.loads(exported(record, "pyperf", "--side", side)) for side in ("head", "base"))
    assert head["version"] == "1.0"
    first = head["benchmarks"][0]
    assert first["metadata"]["name"] == "solvers/philly/structured"
    assert first["metadata"]["unit"] == "second"
    assert [each["values"] for each in first["runs"]] == RECORD.cases[0].head_s
    assert [each["values"] for each in base["benchmarks"][0]["runs"]] == RECORD.cases[0].base_s
    assert (head["metadata"]["commit"], base["metadata"]["commit"]) == ("c" * 40, "b" * 40)
    assert head["metadata"]["cpu_count"] == 2
    assert all(isinstance(value, str | int) for value in head["metadata"].values())


def test_a_run_is_its_phases_and_their_sum(exported: Callable[..., str], run: Path) -> None:
    found = {each["metadata"]["name"]: each for each in json.loads(exported(run, "pyperf"))["benchmarks"]}
    rounds = load_run(run).rounds
    name = next(name for name in found if name.endswith("/lp_solve"))
    values = found[name]["runs"][0]["values"]
    assert len(values) == 20
    assert np.mean(values) == pytest.approx(float(rounds.numbers("phase_lp_solve_cpu_s").mean()))
    assert any(name.endswith("/all") for name in found)


def test_bencher_has_nanoseconds_with_their_range_and_the_counters(
    exported: Callable[..., str], record: Path, results: Path
) -> None:
    case = json.loads(exported(record, "bencher"))["solvers/philly/structured"]
    assert case["latency"]["value"] == pytest.approx(0.115e9)
    assert case["latency"]["lower_value"] <= case["latency"]["value"] <= case["latency"]["upper_value"]
    assert case["lp-solves"] == {"value": 25.0}
    suite = json.loads(exported(results, "bencher"))["engine/philly/loop"]
    assert suite["latency"] == {"value": 2e6, "lower_value": 1.8e6, "upper_value": 2.4e6}
    assert set(suite) == {"latency", "steps", "jobs"}
    for metrics in (case, suite):
        for metric in metrics.values():
            assert set(metric) <= {"value", "lower_value", "upper_value"}
            assert all(isinstance(value, float) for value in metric.values())


def test_folded_stacks_read_back_are_those_that_were_sampled(exported: Callable[..., str], run: Path) -> None:
    lines = [line.rpartition(" ") for line in exported(run, "folded").splitlines()]
    found = {tuple(stack.split(";")): int(micros) for stack, _, micros in lines}
    step = "phasewise.sched.engine:step"
    assert found == {(step,): 250_000, (step, "numpy:dot"): 500_000, (step, "odd,name:f"): 1}


def test_processes_of_the_gate_are_added_up(exported: Callable[..., str], record: Path) -> None:
    head = exported(record, "folded")
    assert "phasewise.sched.engine:step;numpy:dot 1000000\n" in head
    assert "phasewise.sched.engine:step;numpy:dot 500000\n" in exported(record, "folded", "--side", "base")


def test_speedscope_has_a_sampled_profile_over_shared_frames(exported: Callable[..., str], record: Path) -> None:
    whole = json.loads(exported(record, "speedscope"))
    assert whole["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = whole["shared"]["frames"]
    assert {"name": "dot", "file": "numpy"} in frames
    (profile,) = whole["profiles"]
    assert profile["name"] == "solvers/philly/structured, head"
    assert (profile["type"], profile["unit"], profile["startValue"]) == ("sampled", "seconds", 0)
    assert len(profile["samples"]) == len(profile["weights"])
    assert all(0 <= frame < len(frames) for stack in profile["samples"] for frame in stack)
    assert profile["endValue"] == pytest.approx(sum(profile["weights"])) == pytest.approx(2 * sum(STACKS.cpu_s))


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_source_gives_the_same_bytes(exported: Callable[..., str], record: Path, name: str) -> None:
    assert exported(record, name) == exported(record, name)


@pytest.mark.parametrize(
    ("content", "name", "complaint"),
    [
        (None, "pyperf", "cannot read"),
        ("[]", "pyperf", "nothing that can be exported; expected a run directory, what `phasewise gate --json FILE`"),
        ("{}", "pyperf", "nothing that can be exported"),
        ('{"kind": "other"}', "pyperf", "not a record of the gate"),
        ('{"benchmarks": 3}', "pyperf", "not results of the suite"),
        (json.dumps(RESULTS), "folded", "no call stacks: the suite samples no call stacks"),
        (json.dumps(RESULTS), "speedscope", "no call stacks: the suite samples no call stacks"),
        (json.dumps({**RESULTS, "benchmarks": []}), "bencher", "it has no CPU times"),
    ],
)
def test_what_cannot_be_exported_is_said(
    content: str | None, name: str, complaint: str, phasewise: Callable[..., Any], tmp_path: Path
) -> None:
    source = tmp_path / "source.json"
    if content is not None:
        source.write_text(content)
    said = phasewise("export", str(source), "--format", name, "--out", str(tmp_path / "out"))
    assert said.code == 2
    assert f"{source}" in said.err
    assert complaint in said.err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_run_and_a_run_that_was_not_profiled_are_told(
    phasewise: Callable[..., Any], run: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    said = phasewise("export", str(tmp_path / "empty"), "--format", "folded", "--out", str(tmp_path / "out"))
    assert (said.code, said.err.count("not a run directory: it has no run.json")) == (2, 1)
    (run / "stacks.json").unlink()
    said = phasewise("export", str(run), "--format", "folded", "--out", str(tmp_path / "out"))
    assert (said.code, said.err.count("`phasewise profile` samples call stacks")) == (2, 1)
