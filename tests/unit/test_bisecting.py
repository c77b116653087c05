"""The search for the commit that changed a case: few comparisons, and no commit accused that was not measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_trees import catalogue, commit_all, git, make_tree, toy_limits

from phasewise.bench.gate.errors import GateError
from phasewise.bench.history.bisecting import Compare, bisect, lines
from phasewise.bench.history.commits import Commit, between, described
from phasewise.bench.history.errors import HistoryError
from phasewise.bench.history.paired import by_gate
from phasewise.profiling.stats import Interval

GOOD = Commit("g" * 40, 0.0, "good")
LATER = [Commit(f"{number:040x}", float(number), f"Change {number}") for number in range(1, 60)]


def ignored(_: str) -> None:
    """Take a line of progress."""


def known(times: dict[str, float], half_width: float = 0.01) -> tuple[Compare, list[str]]:
    """Return a comparison of commits whose times are known, and the commits that it was asked for."""
    asked: list[str] = []

    def compare(head: Commit, base: Commit) -> Interval:
        asked.append(head.name)
        if math.isnan(times[head.name]):
            raise GateError("its worker ended")
        ratio = times[head.name] / times[base.name]
        return Interval(ratio * (1 - half_width), ratio, ratio * (1 + half_width))

    return compare, asked


def slower_from(number: int, by: float) -> dict[str, float]:
    return {GOOD.name: 1.0} | {commit.name: 1.0 if commit.committed_s < number else by for commit in LATER}


@pytest.mark.parametrize("by", [1.1, 0.9])
@pytest.mark.parametrize("number", [1, 2, 17, 58, 59])
def test_the_commit_is_found_in_as_few_comparisons_as_halving_takes(number: int, by: float) -> None:
    compare, asked = known(slower_from(number, by))
    found = bisect(GOOD, LATER, compare, ignored)
    assert [commit.committed_s for commit in found.suspects] == [number]
    assert len(asked) <= 1 + math.ceil(math.log2(len(LATER)))


def test_commits_that_cannot_be_measured_are_passed_over_and_stay_suspects() -> None:
    times = slower_from(30, 1.2) | {LATER[number - 1].name: math.nan for number in (28, 29, 30)}
    found = bisect(GOOD, LATER, known(times)[0], ignored)
    assert [commit.committed_s for commit in found.suspects] == [28, 29, 30, 31]
    assert "at one of 4 commits, which could not be told apart" in lines(found, "loop")[0]


def test_a_commit_halfway_between_is_accused_of_nothing() -> None:
    times = slower_from(30, 1.2) | {LATER[29].name: math.sqrt(1.2)}
    found = bisect(GOOD, LATER, known(times)[0], ignored)
    assert [commit.committed_s for commit in found.suspects] == [30, 31]


def test_commits_that_do_not_differ_have_no_culprit() -> None:
    with pytest.raises(HistoryError, match=r"is not different from gggggggggggg: 1\.005 \(0\.995 to 1\.015\)"):
        bisect(GOOD, LATER, known(slower_from(30, 1.005))[0], ignored)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a checkout of six commits, of which the fifth made its case twice as slow."""
    root = make_tree(tmp_path / "checkout", catalogue(spin_s=0.001))
    commit_all(root)
    for number in range(2, 7):
        (root / "note.txt").write_text(f"{number}\n")
        (root / "bench/subjects/catalogue.py").write_text(catalogue(spin_s=0.001 if number < 5 else 0.002))
        commit_all(root)
    return root


@pytest.mark.alone
def test_a_slowdown_is_found_in_a_real_checkout(repository: Path) -> None:
    compare = by_gate(repository, toy_limits(pairs=2, samples=6), ignored)
    later = between(repository, "HEAD~5", "HEAD")
    found = bisect(described(repository, "HEAD~5"), later, compare, ignored)
    assert [commit.name for commit in found.suspects] == [git(repository, "rev-parse", "HEAD~1").strip()]
    assert git(repository, "worktree", "list").count("\n") == 0


def test_commits_between_are_those_of_the_first_parents_in_order(repository: Path) -> None:
    names = git(repository, "rev-list", "--reverse", "HEAD~3..HEAD").split()
    assert [commit.name for commit in between(repository, "HEAD~3", "HEAD")] == names
    with pytest.raises(HistoryError, match="HEAD is no ancestor of HEAD~1"):
        between(repository, "HEAD", "HEAD~1")
    with pytest.raises(HistoryError, match="'nowhere' is not in the history"):
        between(repository, "nowhere", "HEAD")


def test_a_case_that_there_is_not_is_refused_before_anything_is_measured(phasewise: Callable[..., Any]) -> None:
    said = phasewise("history", "bisect", "engine/philly/lop", "--good", "HEAD~1", "-q")
    assert said.code == 2
    assert "there is no case 'engine/philly/lop'; allowed: engine/philly/loop, " in said.err
