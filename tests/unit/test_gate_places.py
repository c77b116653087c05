"""Where a case became slower: stacks of both trees, sampled by the head's program, and what is said of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from phasewise.bench.gate import places
from phasewise.bench.gate.limits import GateCase
from phasewise.bench.gate.link import Tree, environment
from phasewise.bench.gate.measure import Judged, Measured
from phasewise.bench.gate.outcome import render_places
from phasewise.bench.gate.page import write_gate_page
from phasewise.bench.gate.plants import PLANTS
from phasewise.bench.gate.record import Found, read_record, write_record
from phasewise.bench.gate.trees import checkout, copied
from phasewise.bench.gate.verdict import Verdict
from phasewise.profiling.stacks import Folded
from phasewise.profiling.stats import Interval

STEP, SPIN = "phasewise.sched.engine:step", "phasewise.sched.engine:spin"


def folded(spin_s: float) -> Folded:
    return Folded(
        samples=500, frames=[STEP, SPIN], stacks=[[0], [0, 1]], cpu_s=[2.0, spin_s], wall_s=[2.0, 2.0], tick_s=0.004
    )


def judged(name: str, verdict: Verdict, estimate: float) -> Judged:
    measured = Measured(GateCase(name=name, reason="a test"), [[0.11, 0.12]], [[0.1, 0.1]])
    return Judged(measured, Interval(estimate - 0.02, estimate, estimate + 0.02), [], verdict)


CASES = [
    judged("a/b/same", Verdict.SAME, 1.0),
    *(judged(f"a/b/{at}", Verdict.SLOWER, 1.1 + at / 100) for at in range(4)),
]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Have processes answer at once: the head's spends its time in another function; return what was started."""
    started: list[Sequence[str]] = []

    def run(command: Sequence[Any], **others: Any) -> subprocess.CompletedProcess[str]:
        started.append([str(word) for word in command])
        head = others["env"]["PYTHONPATH"].startswith("/head/")
        return subprocess.CompletedProcess(command, 0, msgspec.json.encode(folded(1.0 if head else 0.0)).decode(), "")

    monkeypatch.setattr(places, "subprocess", SimpleNamespace(run=run))
    return started


def looked_into(cases: Sequence[Judged]) -> list[places.Place]:
    trees = Tree("head", Path("/head")), Tree("base", Path("/base"))
    return places.places(cases, *trees, Path(), lambda _: None)


def test_the_slowest_of_the_slower_cases_are_looked_into_in_turn(answers: list[Sequence[str]]) -> None:
    found = looked_into(CASES)
    assert [place.case for place in found] == ["a/b/3", "a/b/2", "a/b/1"]
    assert len(answers) == places.MOST_CASES * 2 * places.PAIRS
    assert all(words[3] == "/head/bench/gate/stack_worker.py" for words in answers)
    assert [words[4:6] for words in answers[:2]] == [["a/b/3", "0"]] * 2
    assert looked_into(CASES[:1]) == []


def test_the_three_functions_that_moved_most_are_printed_and_the_page_is_written(
    answers: list[Sequence[str]], tmp_path: Path
) -> None:
    found = Found("b" * 40, CASES, looked_into(CASES))
    lines = list(render_places(found.places))
    assert lines[0] == "a/b/3: CPU time of a walk that moved:"
    assert lines[1].startswith("  spin in phasewise.sched.engine +1e+03 ms (")
    write_gate_page(found, tmp_path / "new" / "gate.html")
    page = (tmp_path / "new" / "gate.html").read_text()
    assert page.count('data-flame="changes"') >= places.MOST_CASES
    assert "The gate, against bbbbbbbbbbbb: slower" in page


def test_the_record_has_samples_verdicts_and_stacks(answers: list[Sequence[str]], tmp_path: Path) -> None:
    write_record(Found("b" * 40, CASES, looked_into(CASES)), tmp_path / "gate.json")
    record = read_record(tmp_path / "gate.json")
    assert record.base == "b" * 40
    assert [case.verdict for case in record.cases] == ["same", *["slower"] * 4]
    assert [len(case.head_stacks) for case in record.cases] == [0, 0, places.PAIRS, places.PAIRS, places.PAIRS]
    assert record.cases[1].head_s == [[0.11, 0.12]]
    assert record.cases[4].base_stacks[0] == folded(0.0)


def test_a_tree_that_cannot_be_sampled_does_not_change_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "Traceback\nKeyError: 'a/b/3'\n")
    monkeypatch.setattr(places, "subprocess", SimpleNamespace(run=lambda *_, **__: failed))
    found = looked_into(CASES)
    assert found[0].changes is None
    assert "head: a/b/3: its call stacks could not be sampled: Traceback; KeyError: 'a/b/3'" in found[0].absent
    assert "which functions moved is not known" in next(iter(render_places(found)))
    nothing = subprocess.CompletedProcess([], 0, "[]", "")
    monkeypatch.setattr(places, "subprocess", SimpleNamespace(run=lambda *_, **__: nothing))
    assert "no sampled call stacks came back" in looked_into(CASES)[0].absent


@pytest.mark.thorough
def test_an_older_tree_without_a_sampler_is_sampled_by_the_heads(tmp_path: Path) -> None:
    root = checkout()
    head, old = (copied(root, tmp_path / name, name) for name in ("head", "base"))
    for name in ("sampler.py", "stacks.py", "stack_changes.py", "stack_trees.py"):
        (old.root / "profiling" / name).unlink()
    (old.root / "bench" / "gate" / "stack_worker.py").unlink()
    PLANTS["solver"].put_into(old.root, 0.5)
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-S",
            head.root / "bench/gate/stack_worker.py",
            "solvers/philly/structured",
            "3",
            "0.3",
        ],
        cwd=root,
        env=environment(old),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = msgspec.json.decode(done.stdout, type=Folded)
    assert found.times >= 1
    assert any(name.startswith("phasewise.solvers") for name in found.frames)


@pytest.mark.nightly
def test_a_planted_slowdown_is_named_first(tmp_path: Path) -> None:
    root = checkout()
    head, base = (copied(root, tmp_path / name, name) for name in ("head", "base"))
    PLANTS["solver"].put_into(head.root, 0.3)
    case = GateCase(name="solvers/philly/structured", reason="a test")
    place = places.place_of(case, head, base, root, lambda _: None)
    assert place.changes is not None, place.absent
    assert place.changes.moved[0].name == "phasewise.solvers.session:_planted.<locals>.slowed"


def test_the_command_takes_a_page_and_a_record(phasewise: Callable[..., Any]) -> None:
    text = phasewise("gate", "--help").out
    assert "--page FILE.html" in text
    assert "--json FILE" in text
