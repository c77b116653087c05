"""The benchmark suite as pytest runs it: ``make bench`` measures every case, ``make bench-smoke`` runs each once.

CPU time, by pytest-benchmark. A walk starts from a fresh session; its answer is checked after it was measured.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from phasewise.bench.subjects.api import Case, Kind
from phasewise.bench.subjects.catalogue import catalogue, left_out

CASES: Final = catalogue()
REPEATS: Final = {Kind.ENGINE: 5, Kind.SOLVERS: 5, Kind.PLACEMENT: 7, Kind.PHASES: 9}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_case(case: Case, benchmark: BenchmarkFixture) -> None:
    """Measure a case, and check what it did."""
    subject = case.make()
    benchmark.group = f"{case.kind}/{case.scale}"
    answer = benchmark.pedantic(  # type: ignore[no-untyped-call]
        lambda walk: walk(),
        setup=lambda: ((subject.prepare(),), {}),
        rounds=case.repeats or REPEATS[case.kind],
        warmup_rounds=0 if case.repeats == 1 else 1,
    )
    subject.check(answer)
    work = {**subject.sizes(answer), **subject.counters(answer)}
    benchmark.extra_info.update({"steps": case.steps, "unit": case.unit, "commit": _environment()["commit"], **work})


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    """Put into the results what made them; given to pytest as a plug-in."""
    output_json["environment"] = dict(_environment())
    output_json["left_out"] = left_out()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what is registered and has no case, and why."""
    for name, reason in left_out().items():
        terminalreporter.write_line(f"no case {name}: {reason}")


@cache
def _environment() -> dict[str, object]:
    from phasewise.profiling.environment import describe_environment

    return describe_environment()
