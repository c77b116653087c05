"""Jobs that are in no mean are seen wherever a mean is read; what is hard to believe is told before a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import small_lists
from small_runs import Job, plain_rates, throughputs_file, trace_file

from phasewise.reports.compare import compare_runs
from phasewise.reports.run_directory import load_run
from phasewise.sched.workload.arrivals import ListedWorkload
from phasewise.sched.workload.gavel_trace import read_trace
from phasewise.sched.workload.plausibility import doubts
from phasewise.sched.workload.throughputs import ThroughputTable

ROUND_STEPS = 7200.0
MIXED = (
    ("ResNet-18 (batch size 64)", 200_000, 1),
    ("Transformer (batch size 64)", 91_000, 1),
    ("LM (batch size 20)", 152_000, 1),
    ("ResNet-50 (batch size 32)", 123_000, 4),
    ("ResNet-18 (batch size 128)", 404_000, 4),
)
WHY = "job 3 (ResNet-50 (batch size 32)) needs 4 GPUs of one type; types that can run it: v100=3"
Run = Callable[..., Any]


@pytest.fixture
def mixed(tmp_path: Path) -> str:
    """Write a trace of 15 jobs, of which 6 need four GPUs."""
    jobs = [
        Job(steps + 1000 * index, 600.0 * index, scale_factor=factor, job_type=name)
        for index, (name, steps, factor) in enumerate(MIXED * 3)
    ]
    return trace_file(tmp_path, jobs)


def small(phasewise: Run, folder: Path, name: str, jobs: Sequence[Job], *more: object, rates: Any = None) -> Any:
    """Run a trace of the small tests in ``folder / name`` by the command line."""
    made = folder / f"{name}-files"
    made.mkdir()
    options = ("--trace", trace_file(made, jobs), "--throughputs", throughputs_file(made, rates or plain_rates()))
    return phasewise("run", "toy", "-q", *options, "--policy", "fifo_perf", *more, "--out", folder / name)


def test_whoever_reads_the_screen_learns_of_refused_jobs(mixed: str, tmp_path: Path, phasewise: Run) -> None:
    four, three = tmp_path / "four", tmp_path / "three"
    run = ("run", "toy", "--trace", mixed, "-q")
    sound = phasewise(*run, "--cluster", "v100=4", "--out", four)
    assert (sound.code, sound.err) == (0, "")
    assert "refused" not in sound.out
    said = phasewise(*run, "--cluster", "v100=3", "--out", three)
    assert said.code == 0
    (warning,) = said.err.splitlines()
    assert warning == (
        f"phasewise: warning: 6 of 15 jobs were refused and count in no completion time, for example {WHY}"
    )
    (row,) = [line for line in said.out.splitlines() if line.startswith("jobs refused")]
    assert "6 of 15, in no completion time; for example job 3" in row
    summary = json.loads((three / "run.json").read_text())["summary"]
    assert (summary["jobs_arrived"], summary["jobs_completed"], summary["jobs_refused"]) == (15, 9, 6)
    assert summary["jobs_refused_example"] == WHY
    assert summary["jobs_failed_example"] is None

    compared = phasewise("compare", four, three)
    (row,) = [line for line in compared.out.splitlines() if line.startswith("jobs refused")]
    assert row.split()[-2:] == ["0", "6"]
    (note,) = [line for line in compared.out.splitlines() if "the JCT means cover different jobs" in line]
    assert WHY in note
    comparison = compare_runs([load_run(four), load_run(three)]).as_json()
    assert comparison["metrics"]["jobs refused"]["values"] == [0, 6]
    assert comparison["comparable"] is False

    for command, page in (
        (("report",), three / "report.html"),
        (("view", "--out", three / "v.html"), three / "v.html"),
    ):
        assert phasewise(command[0], three, *command[1:]).code == 0
        text = page.read_text()
        assert "6 of 15 jobs were refused and count in no completion time" in text
        assert "needs 4 GPUs of one type" in text


def test_a_job_that_is_slow_everywhere_is_refused_in_words_that_say_so(tmp_path: Path, phasewise: Run) -> None:
    rates = {**plain_rates([1]), ("stuck", 1): {"k80": 0.0, "p100": 0.0, "v100": 0.0}}
    jobs = [Job(ROUND_STEPS), Job(ROUND_STEPS, job_type="stuck")]
    said = small(phasewise, tmp_path, "out", jobs, rates=rates)
    assert said.code == 0
    assert (
        "1 of 2 jobs was refused and counts in no completion time: job 1 (stuck) has a speed of 0 on every" in said.err
    )
    assert "jobs refused" in said.out


def test_dropped_jobs_are_told_as_well(tmp_path: Path, phasewise: Run) -> None:
    jobs = [Job(2 * ROUND_STEPS + 1, scale_factor=2), Job(2 * ROUND_STEPS + 2, scale_factor=2)]
    options = ("--cluster", "v100=4", "--timing")
    dropped = small(phasewise, tmp_path, "gavel", jobs, *options, "gavel")
    whole = small(phasewise, tmp_path, "corrected", jobs, *options, "corrected")
    assert (whole.code, whole.err) == (0, "")
    why = "1 of 2 jobs was dropped and counts in no completion time: job 0 (plain) failed in 5 rounds in a row"
    assert why in dropped.err
    assert "jobs dropped" in dropped.out
    compared = phasewise("compare", tmp_path / "gavel", tmp_path / "corrected")
    assert "over different jobs (gavel: 1 of 2 jobs was dropped" in compared.out
    assert phasewise("report", tmp_path / "gavel").code == 0
    assert why in (tmp_path / "gavel" / "report.html").read_text()


def test_runs_that_lost_the_same_jobs_have_means_over_the_same_jobs(tmp_path: Path, phasewise: Run) -> None:
    first = [Job(ROUND_STEPS), Job(ROUND_STEPS, scale_factor=2), Job(ROUND_STEPS)]
    second = [Job(ROUND_STEPS), Job(ROUND_STEPS), Job(ROUND_STEPS, scale_factor=2)]
    for name, jobs in (("a", first), ("b", first), ("c", second)):
        assert small(phasewise, tmp_path, name, jobs, "--cluster", "v100=1").code == 0
    runs = {name: load_run(tmp_path / name) for name in "abc"}

    def over_different_jobs(*names: str) -> bool:
        cautions = compare_runs([runs[name] for name in names]).cautions
        return any("over different jobs" in caution for caution in cautions)

    assert not over_different_jobs("a", "b")
    assert over_different_jobs("a", "c")  # as many, but others
    assert over_different_jobs("b", "a", "c")


def test_a_tape_of_a_run_that_refused_jobs_is_told_of_them(mixed: str, tmp_path: Path, phasewise: Run) -> None:
    said = phasewise("tape", "toy", "-q", "--trace", mixed, "--cluster", "v100=3", "--out", tmp_path / "t.tape")
    assert said.code == 0
    assert "warning: 6 of 15 jobs were refused" in said.err


def test_pods_that_no_node_can_take_are_counted_and_told(tmp_path: Path, phasewise: Run) -> None:
    nodes, pods = small_lists.write_lists(tmp_path)
    inflate = ("inflate", "--nodes", nodes, "--placement", "fgd", "-q")
    own = [line for line in pods.read_text().splitlines() if "250000" not in line]  # without the one that never fits
    pods.write_text("\n".join(own) + "\n")
    sound = phasewise(*inflate, "--pods", pods, "--out", tmp_path / "sound")
    assert (sound.code, sound.err) == (0, "")
    assert json.loads((tmp_path / "sound" / "run.json").read_text())["summary"]["unplaceable_pods"] == 0
    foreign = tmp_path / "foreign.csv"
    foreign.write_text("\n".join([*own, *(f"far-{index},4000,8192,1,1000,A100|H800" for index in range(3))]) + "\n")
    said = phasewise(*inflate, "--pods", foreign, "--out", tmp_path / "out")
    assert said.code == 0
    summary = json.loads((tmp_path / "out" / "run.json").read_text())["summary"]
    assert 3 <= summary["unplaceable_pods"] <= summary["failed_pods"]
    why = "pod far-0 asks for gpu_spec A100|H800, and the cluster has G2, P100, T4, V100M16"
    assert summary["unplaceable_example"] == why
    (warning,) = said.err.splitlines()
    assert warning.startswith(
        f"phasewise: warning: {summary['unplaceable_pods']} of {summary['arrived_pods']} arrivals"
    )
    assert warning.endswith(why)
    assert "no node can ever take" in said.out


# -- hard to believe -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jobs", "words"),
    [
        ([Job(ROUND_STEPS, 1.5067e9), Job(ROUND_STEPS, 1.5067e9 + 400.0)], "the first job arrives 17,439 days after"),
        ([Job(1e14), Job(ROUND_STEPS)], "job 0 (plain) has 1e+14 steps, which take 57,870,370 days on v100"),
        ([Job(1e12), Job(1e14)], "2 jobs need more than 365 days of work even on the fastest worker type; job 1"),
    ],
)
def test_what_is_hard_to_believe_is_told_before_the_run(
    jobs: Sequence[Job], words: str, tmp_path: Path, phasewise: Run
) -> None:
    said = small(phasewise, tmp_path, "out", jobs, "--rounds", 1)
    assert said.code == 0
    (warning,) = said.err.splitlines()
    assert warning.startswith("phasewise: warning: ")
    assert words in warning


@pytest.mark.parametrize(
    "jobs",
    [
        [Job(ROUND_STEPS, 20 * 86_400.0)],
        [Job(ROUND_STEPS, 400 * 86_400.0), Job(ROUND_STEPS, 900 * 86_400.0)],  # a long trace, cut out of a longer one
        [Job(20.0 * 86_400.0 * 300)],
        [],
    ],
)
def test_what_is_merely_long_or_late_is_not_doubted(jobs: Sequence[Job], tmp_path: Path) -> None:
    table = ThroughputTable.from_csv(Path(throughputs_file(tmp_path, plain_rates()))).for_types(("k80", "p100", "v100"))
    listed = read_trace(Path(trace_file(tmp_path, jobs)), table, 0) if jobs else []
    assert doubts(ListedWorkload(listed, table), ("k80", "p100", "v100")) == []
