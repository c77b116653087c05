"""The benchmark suite as pytest runs it: ``make bench`` measures every case, ``make bench-smoke`` runs each once.

CPU time, by pytest-benchmark. A walk starts from a fresh session; its answer is checked after it was measured.

Walks of a group differ in length: 60 problems for a quick backend, one for a slow one. So what stands beside one
another is the time of a step: every statistic is of the walk over its steps, in the table, the JSON and a comparison.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from pytest_benchmark.stats import Metadata, Stats

from phasewise.bench.subjects.api import Case, SubjectKind
from phasewise.bench.subjects.catalogue import catalogue, left_out
from phasewise.bench.yardstick import yardstick_s

CASES: Final = catalogue()
REPEATS: Final = {SubjectKind.ENGINE: 5, SubjectKind.SOLVERS: 5, SubjectKind.PLACEMENT: 7, SubjectKind.PHASES: 9}
# The statistics of pytest-benchmark that are seconds.
TIMES: Final = frozenset({"min", "max", "mean", "stddev", "median", "iqr", "q1", "q3", "ld15iqr", "hd15iqr", "total"})


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_case(case: Case, benchmark: BenchmarkFixture) -> None:
    """Measure a case, and check what it did."""
    subject = case.make()
    benchmark.group = f"{case.kind}/{case.scale}, CPU time a {case.unit}"
    answer = benchmark.pedantic(  # type: ignore[no-untyped-call]
        lambda walk: walk(),
        setup=lambda: ((subject.prepare(),), {}),
        rounds=case.repeats or REPEATS[case.kind],
        warmup_rounds=0 if case.repeats == 1 else 1,
    )
    subject.check(answer)
    if benchmark.stats is not None:  # not where every case runs once and nothing is measured
        _quote_by_step(benchmark.stats, case.steps)
    work = {**subject.sizes(answer), **subject.counters(answer)}
    benchmark.extra_info.update({"steps": case.steps, "unit": case.unit, "commit": _environment()["commit"], **work})


def _quote_by_step(measured: Metadata, steps: int) -> None:
    """Make the statistics those of a step: to pytest-benchmark, steps are the iterations of a round of measuring."""
    walks_s = measured.stats.data
    measured.stats, measured.iterations = Stats(), steps  # type: ignore[no-untyped-call]  # statistics remember their results
    for seconds in walks_s:
        measured.update(seconds)  # type: ignore[no-untyped-call]  # divides by the iterations


def pytest_benchmark_compare_machine_info(compared_benchmark: dict[str, Any]) -> None:
    """Quote a record by step that was kept when records were quoted by walk, before anything is compared with it."""
    for case in compared_benchmark["benchmarks"]:
        stats, steps = case["stats"], case["extra_info"].get("steps", 1)
        if stats["iterations"] != 1:
            continue  # by step already
        stats["iterations"] = steps
        stats["ops"] *= steps
        for name in TIMES & stats.keys():
            stats[name] /= steps


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    """Put into the results what made them; given to pytest as a plug-in."""
    output_json["environment"] = dict(_environment())
    output_json["yardstick_s"] = yardstick_s()  # by which a history compares results of different days
    output_json["left_out"] = left_out()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the table of figures means, and what is registered and has no case, and why."""
    terminalreporter.write_line(
        "Times are CPU time a step of the walk, whose steps are the iterations; rounds are walks."
    )
    for name, reason in left_out().items():
        terminalreporter.write_line(f"no case {name}: {reason}")


@cache
def _environment() -> dict[str, object]:
    from phasewise.profiling.environment import describe_environment

    return describe_environment()
