"""A figure that stands in several places reads the same in all: unit, digits, and the order of phases."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console
from synthetic_run import RunShape, write_run

from phasewise.reports.compare import compare_runs
from phasewise.reports.html import render_page
from phasewise.reports.quantities import JCT, MAKESPAN, PER_ROUND, PHASE_TOTAL, RUN_TIME, SHARE
from phasewise.reports.run_directory import Run, load_run
from phasewise.reports.terminal import render_comparison, render_summary
from phasewise.reports.viewer.page import render_viewer

FIGURES = {
    "avg_jct_s": ("14.0 h", 50_400.0),
    "jct_s_p50": ("0.00833 h", 30.0),
    "jct_s_p95": ("75.8 h", 272_880.0),
    "makespan_s": ("2 778 h", 1e7),
    "cpu_s": ("0.492 s", 0.4921),
    "wall_s": ("5 000 s", 5_000.0),
    "utilization": ("5.0 %", 0.0504),
    "goodput": ("97.1 %", 0.9712),
    "queue_s_p95": ("2.50 h", 9_000.0),
}
RHO = {"mean": 1.234, "p99": 5.6789, "worst": 9.8765, "share_above_1": 0.2345, "jobs": 38}
# The most wall time is not the most CPU time: the first waited.
PHASES = {
    "telemetry": {"wall_s": 4.0, "cpu_s": 0.1, "calls": 120},
    "policy": {"wall_s": 1.0, "cpu_s": 0.9, "calls": 120},
    "arrivals": {"wall_s": 0.5, "cpu_s": 0.4, "calls": 120},
    "other": {"wall_s": 2.0, "cpu_s": 0.6, "calls": 0},
}
ORDER = ["policy", "arrivals", "telemetry", "other"]


@dataclass(frozen=True)
class Told:
    """One run in every place that shows it, thin spaces made plain."""

    summary: str
    comparison: str
    report: str
    report_of_two: str


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = write_run(tmp_path_factory.mktemp("same") / "run", RunShape(rounds=120, jobs=40))
    content = json.loads((folder / "run.json").read_text())
    content["summary"] |= {name: value for name, (_, value) in FIGURES.items()}
    content["summary"] |= {"phases": PHASES, "rho": RHO}
    (folder / "run.json").write_text(json.dumps(content))
    return load_run(folder)


@pytest.fixture(scope="module")
def told(run: Run) -> Told:
    console = Console(width=200, color_system=None)
    with console.capture() as summary:
        render_summary(run, console)
    with console.capture() as comparison:
        render_comparison(compare_runs([run, run]), console)
    pages = (render_page(runs, Path()).replace("\u202f", " ") for runs in ([run], [run, run]))
    return Told(summary.get(), comparison.get(), *pages)


def row(table: str, label: str) -> list[str]:
    """Return the unit and the figures of a row of a table on a terminal."""
    (line,) = re.findall(rf"^{label}  +(.*)$", table, re.MULTILINE)
    return re.split(r"  +", line)


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_of_a_run_reads_the_same_in_its_summary_and_in_its_report(name: str, told: Told) -> None:
    text, _ = FIGURES[name]
    assert re.search(rf"(?<!\d){text}(?!\w)", told.summary)
    assert re.search(rf"(?<!\d){text}(?!\w)", told.report)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("average JCT", "avg_jct_s"),
        ("JCT p50", "jct_s_p50"),
        ("JCT p95", "jct_s_p95"),
        ("makespan", "makespan_s"),
        ("CPU time", "cpu_s"),
        ("wall time", "wall_s"),
        ("utilisation", "utilization"),
        ("goodput", "goodput"),
        ("queue wait p95", "queue_s_p95"),
    ],
)
def test_a_figure_of_a_run_reads_the_same_beside_another_run(label: str, name: str, told: Told) -> None:
    figure, unit = FIGURES[name][0].rsplit(" ", 1)
    assert row(told.comparison, label)[:3] == [unit, figure, figure]
    cells = re.search(rf'<th scope="row">{label} <i>{unit}</i></th>\s*(.*?)</tr>', told.report_of_two, re.DOTALL)
    assert cells is not None
    assert re.findall(r'<td class="n">(.*?)</td>', cells[1]) == [figure, figure]


def test_finish_time_fairness_reads_the_same_everywhere(told: Told) -> None:
    assert re.search(r"rho mean, p99 +1\.23, 5\.68 *\n", told.summary)
    assert re.search(r"rho worst, above 1 +9\.88, 23\.4 % *\n", told.summary)
    for label, figure in (("mean", "1.23"), ("p99", "5.68"), ("worst", "9.88"), ("above 1, of jobs", "23.4")):
        assert figure in row(
            told.comparison, f"rho, {label}" if label != "above 1, of jobs" else "rho above 1, of jobs"
        )
    facts = re.search(r"<dt>ρ, mean</dt><dd>(.*?)</dd>", told.report)
    assert facts is not None
    assert facts[1].startswith("1.23<small>")
    assert "of 38 jobs, 23.4 % are above 1" in facts[1]
    assert "<dt>ρ p99 / worst</dt><dd>5.68 / 9.88</dd>" in told.report


def test_phases_stand_in_the_order_of_their_cpu_time_everywhere(told: Told) -> None:
    of_a_table = re.compile(rf"^({'|'.join(ORDER)}) ", re.MULTILINE)
    assert of_a_table.findall(told.summary) == ORDER
    tables = of_a_table.findall(told.comparison.partition("\nphase, CPU time per round")[2])
    assert tables[: 3 * len(ORDER)] == 3 * ORDER
    assert re.findall(r'<tr data-phase="(\w+)">', told.report) == ORDER
    for heading in ("CPU time per round", "wall time per round", "share of the loop’s CPU time"):
        table = told.report_of_two.partition(f"<h3>Phases, {heading}")[2].partition("</table>")[0]
        assert re.findall(r'<th scope="row">(\w+) <i>', table) == [*ORDER, "total"]


def test_a_phase_reads_the_same_in_summary_report_and_comparison(told: Told) -> None:
    a_round, total, share = PER_ROUND.text(0.9 / 120), PHASE_TOTAL.text(0.9), SHARE.text(0.45)
    (line,) = re.findall(r"^policy  .*$", told.summary, re.MULTILINE)
    assert f" {share} %" in line
    assert re.search(rf" {total} +{a_round} ", line)
    cells = re.search(r'data-phase="policy">.*', told.report)
    assert cells is not None
    assert f"<b>{share} %</b>" in cells[0]
    assert re.findall(r'<td class="n">(.*?)</td>', cells[0])[:3:2] == [a_round, total]
    values = [re.split(r"  +", found) for found in re.findall(r"^policy  +(.*)$", told.comparison, re.MULTILINE)]
    assert values[0][:3] == ["ms", a_round, a_round]
    assert values[2][:3] == ["%", share, share]


def test_the_viewer_has_the_makespan_and_the_quantiles_as_the_report_has_them(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "run", RunShape(rounds=120, jobs=40)))
    report, viewer = render_page([run], Path()), render_viewer([run])
    assert f"<dd>{MAKESPAN(run.summary.makespan_s)}" in report
    assert f"120 rounds in {MAKESPAN(run.summary.makespan_s)}" in viewer
    for page in (report, viewer):
        assert json.dumps(f"p95 {JCT(run.summary.jct_s_p95)}") in page


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (JCT(272_880.0, " "), "75.8 h"),
        (JCT(None), "–"),
        (MAKESPAN(0.0, " "), "0 h"),
        (RUN_TIME(1234.5, " "), "1 234 s"),
        (SHARE(0.12345, " "), "12.3 %"),
        (SHARE.text(float("nan")), "–"),
    ],
)
def test_a_quantity_has_one_unit_whatever_its_size(text: str, expected: str) -> None:
    assert text == expected
