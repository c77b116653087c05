"""`profile`, `compare`, `report`, `list` and `validate`: what they write and what they say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from phasewise.profiling.errors import OutputError

GOOD_TRACE = "ResNet-18 (batch size 16)\tpython3 main.py\tdir\t--steps\t0\t5000\t1\t1\t-1\t0.0\n"


@pytest.fixture
def run(tmp_path: Path, phasewise: Callable) -> Path:
    """Return the run directory of a short run."""
    out = tmp_path / "run"
    assert phasewise("run", "toy", "-q", "--rounds", 8, "--out", out).code == 0
    return out


def test_profile_writes_the_profiles_and_the_report_beside_the_run(tmp_path: Path, phasewise: Callable) -> None:
    out = tmp_path / "out"
    said = phasewise("profile", "toy", "--profile-rounds", 20, "--out", out)
    assert said.code == 0, said.err
    assert said.out.splitlines()[-1] == f"report: {out / 'report.html'}"
    assert "pyinstrument" in (out / "pyinstrument.html").read_text().lower()
    assert "Function: Simulation.step" in (out / "line_profile.txt").read_text()
    assert "worker_assignment" in (out / "report.html").read_text()


def test_a_report_that_cannot_be_written_does_not_make_a_finished_run_bad_input(
    tmp_path: Path, phasewise: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("cannot write report.html: No space left on device")

    monkeypatch.setattr("phasewise.reports.html.write_report", full)
    said = phasewise("profile", "toy", "-q", "--profile-rounds", 5, "--out", tmp_path / "out")
    assert said.code == 3
    assert said.err.splitlines()[-1] == (
        f"phasewise: error: the run is done and saved in {tmp_path / 'out'}, but a later step failed: "
        "cannot write report.html: No space left on device"
    )
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "complete"


def test_the_profiled_runs_supply_no_figure_and_leave_no_line(tmp_path: Path, phasewise: Callable) -> None:
    phasewise("run", "toy", "-q", "--out", tmp_path / "plain")
    said = phasewise("profile", "toy", "-q", "--profile-rounds", 5, "--out", tmp_path / "profiled")
    assert (said.code, said.err) == (0, "")
    plain, profiled = (json.loads((tmp_path / name / "run.json").read_text()) for name in ("plain", "profiled"))
    assert profiled["summary"]["rounds"] == plain["summary"]["rounds"] > 5
    lines = [(tmp_path / name / "lines.log").read_text().splitlines() for name in ("plain", "profiled")]
    assert len(lines[0]) == len(lines[1])


def test_a_solver_found_by_an_alias_in_a_chain_is_profiled_too(tmp_path: Path, phasewise: Callable) -> None:
    options = ("--profile-rounds", 5, "--rounds", 5, "--solver", "highs-direct,highs", "--out", tmp_path)
    said = phasewise("profile", "toy", "-q", *options)
    assert said.code == 0, said.err
    assert "highs_direct.py" in (tmp_path / "line_profile.txt").read_text()


def test_compare_puts_runs_side_by_side(run: Path, tmp_path: Path, phasewise: Callable) -> None:
    other = tmp_path / "other"
    phasewise("run", "toy", "-q", "--rounds", 8, "--policy", "isolated", "--out", other)
    said = phasewise("compare", run, other)
    assert said.code == 0, said.err
    assert [word for word in ("policy.name", "isolated", "makespan", "lp_solve") if word not in said.out] == []


def test_one_run_cannot_be_compared(run: Path, phasewise: Callable) -> None:
    said = phasewise("compare", run)
    assert said.code == 2
    assert said.err.startswith("phasewise: error: ")


def test_a_report_goes_into_the_run_unless_told_otherwise(run: Path, tmp_path: Path, phasewise: Callable) -> None:
    assert phasewise("report", run).out == f"report: {run / 'report.html'}\n"
    elsewhere = tmp_path / "elsewhere.html"
    assert phasewise("report", run, "--out", elsewhere).out == f"report: {elsewhere}\n"
    assert "<html" in (run / "report.html").read_text()
    assert "<html" in elsewhere.read_text()


def test_a_report_of_several_runs_goes_into_the_current_folder(
    run: Path, tmp_path: Path, phasewise: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert phasewise("report", run, run).out == "report: report.html\n"
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize(
    ("subject", "known"),
    [
        ("scenarios", ["philly", "toy"]),
        ("policies", ["fifo", "fifo_perf", "isolated", "max_min_fairness", "max_min_fairness_perf", "recorded"]),
        (
            "solvers",
            ["cvxpy-fresh:ECOS", "cvxpy-fresh:SCS", "cvxpy-fresh:CLARABEL", "cvxpy-fresh:HIGHS", "highs-direct"],
        ),
        ("placements", ["strided"]),
    ],
)
def test_a_list_has_a_line_for_each_name_and_the_same_for_machines(
    subject: str, known: list[str], phasewise: Callable
) -> None:
    lines = phasewise("list", subject).out.splitlines()
    records = json.loads(phasewise("list", subject, "--json").out)
    assert [line.split()[0] for line in lines] == [record["name"] for record in records]
    assert set(known) <= {record["name"] for record in records}
    assert all(len(line.split()) > 1 for line in lines)


def test_the_list_of_solvers_says_what_is_installed_what_it_takes_and_its_limits(phasewise: Callable) -> None:
    line = next(line for line in phasewise("list", "solvers").out.splitlines() if line.startswith("highs-direct "))
    record = next(
        each for each in json.loads(phasewise("list", "solvers", "--json").out) if each["name"] == "highs-direct"
    )
    assert record["installed"] is True
    assert record["missing"] == []
    assert record["families"]
    assert "installed" in line
    assert all(family in line for family in record["families"])
    assert record["limits"] in line


def test_a_file_without_faults_is_told_in_one_line(tmp_path: Path, phasewise: Callable) -> None:
    trace = tmp_path / "good.trace"
    trace.write_text(GOOD_TRACE)
    said = phasewise("validate", trace)
    assert (said.code, said.out, said.err) == (0, f"{trace}: no fault found\n", "")


def test_validate_tells_every_fault(tmp_path: Path, phasewise: Callable) -> None:
    trace = tmp_path / "bad.trace"
    trace.write_text("short\n" * 30 + GOOD_TRACE + "short\n")
    said = phasewise("validate", trace)
    assert said.code == 2
    assert [line.split(":")[1] for line in said.err.splitlines()] == [str(n) for n in (*range(1, 31), 32)]
