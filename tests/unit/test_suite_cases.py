"""The cases of the benchmark suite: of every kind, at both scales, of everything that is registered."""

from __future__ import annotations

import pytest

from phasewise.bench.subjects.api import Case, SubjectKind
from phasewise.bench.subjects.catalogue import catalogue, left_out
from phasewise.bench.suite_tapes import Scale
from phasewise.sched import registry as placements
from phasewise.solvers import registry as solvers

SCALES = [str(scale) for scale in Scale]


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    return catalogue()


@pytest.mark.parametrize("scale", SCALES)
def test_every_kind_has_cases_at_every_scale(scale: str, cases: dict[str, Case]) -> None:
    assert {case.kind for case in cases.values() if case.scale == scale} == set(SubjectKind)


@pytest.mark.parametrize("scale", SCALES)
def test_every_backend_has_a_case_or_a_reason_why_not(scale: str, cases: dict[str, Case]) -> None:
    for name in solvers.names():
        case = f"solvers/{scale}/{name}"
        assert (case in cases) != (case in left_out()), case


@pytest.mark.parametrize("scale", SCALES)
def test_every_placement_has_a_case_or_a_reason_why_not(scale: str, cases: dict[str, Case]) -> None:
    for name in placements.placement_names():
        case = f"placement/{scale}/{name}"
        assert (case in cases) != (case in left_out()), case


@pytest.mark.parametrize("scale", SCALES)
def test_four_phases_are_cases_alone(scale: str, cases: dict[str, Case]) -> None:
    for phase in ("priorities", "worker_assignment", "event_completion", "telemetry"):
        assert f"phases/{scale}/{phase}" in cases


def test_what_a_backend_did_is_told_with_the_size_of_its_problems(cases: dict[str, Case]) -> None:
    shorter = cases["solvers/philly/highs-direct"].shorter
    assert shorter is not None
    subject = shorter(2)
    answer = subject.prepare()()
    subject.check(answer)
    told = {**subject.sizes(answer), **subject.counters(answer)}
    assert {"jobs", "nonzeros", "iterations", "rebuilds"} <= set(told)
    assert told["nonzeros"] >= told["jobs"] > 0


def test_a_backend_of_the_lexicographic_family_gets_problems_of_that_family(cases: dict[str, Case]) -> None:
    shorter = cases["solvers/philly/water-filling"].shorter
    assert shorter is not None
    subject = shorter(1)
    subject.check(subject.prepare()())


def test_the_loop_tells_the_size_of_what_it_solved(cases: dict[str, Case]) -> None:
    shorter = cases["engine/philly/loop"].shorter
    assert shorter is not None
    subject = shorter(10)
    answer = subject.prepare()()
    told = subject.sizes(answer)
    assert {"jobs", "nonzeros", "iterations", "rebuilds"} == set(told)
    assert told["jobs"] >= 10
    assert told["iterations"] > 0
