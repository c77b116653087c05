"""Commits of the past measured after the fact, each against the oldest of them, as the gate compares two trees."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from phasewise.bench.gate.limits import Limits
from phasewise.bench.gate.measure import Bench, Say
from phasewise.bench.gate.trees import commits
from phasewise.bench.history.commits import Commit
from phasewise.bench.history.measurements import SUFFIX, append, fingerprint, machine_of, read
from phasewise.bench.history.taking import of_gate
from phasewise.profiling.environment import describe_environment
from phasewise.profiling.errors import cannot_write


def take(
    folder: Path,
    root: Path,
    limits: Limits,
    found: Sequence[Commit],
    say: Say,
    ended: Callable[[], bool] = lambda: False,
) -> Iterator[str]:
    """Measure the commits that are not in the history yet, and yield a line for each.

    A commit that cannot be measured is noted beside the history, and not tried again with the same cases and base.

    Parameters
    ----------
    folder, root
        Of the history and of the checkout.
    limits
        The cases, and how often each is sampled.
    found
        Commits, oldest first; the first is what the others are compared with.
    ended
        Asked before each commit whether to stop there.

    Raises
    ------
    OutputError
        Where the history cannot be written.
    """
    base, environment = found[0], describe_environment()
    machine = machine_of(environment)
    tried = Tried(folder / fingerprint(machine), base, limits)
    measured, left_out = tried.measured(), tried.left_out()
    while (at := next_commit([each.name for each in found], {base.name} | measured, left_out)) is not None:
        if ended():
            yield f"the time is up: {len(found) - 1 - len(measured | left_out)} of {len(found) - 1} commits are left"
            return
        commit = found[at]
        try:
            with commits(root, commit.name, base.name) as (newer, older):
                cases = Bench(newer, older, root, say).judge(limits)
        except click.ClickException as error:  # older than the gate, without the case, or broken: no point of the curve
            left_out.add(commit.name)
            tried.leave_out(commit, error.message)
            yield f"{commit.name[:12]} {commit.subject}: left out: {error.message}"
            continue
        append(folder, machine, [of_gate(case, commit, base.name, environment) for case in cases])
        measured.add(commit.name)
        ratios = ", ".join(f"{case.measured.case.name} {case.ratio.estimate:.3f}" for case in cases)
        yield f"{commit.name[:12]} {commit.subject}: {ratios}"


def next_commit(names: Sequence[str], measured: Set[str], left_out: Set[str]) -> int | None:
    """Return the index of the commit that is worth most: the last, then the middle of the largest gap; None for none.

    Parameters
    ----------
    names
        Commits, oldest first.
    measured
        Those that stand on the curve.
    left_out
        Those that cannot: a gap reaches across them.
    """
    open_ = [at for at, name in enumerate(names) if name not in measured and name not in left_out]
    if not open_:
        return None
    known = [at for at, name in enumerate(names) if name in measured]
    if not known or open_[-1] > known[-1]:
        return open_[-1]
    gaps = [(known[bisect(known, at) - 1] if known[0] < at else -1, known[bisect(known, at)]) for at in open_]
    low, high = max(gaps, key=lambda gap: gap[1] - gap[0])  # the oldest of several
    return min((at for at in open_ if low < at < high), key=lambda at: abs(2 * at - low - high))


class LeftOut(msgspec.Struct, frozen=True):
    """A commit that cannot be measured against a base."""

    commit: str
    base: str
    cases: list[str]
    message: str


class Tried:
    """What was done already on this machine, of the cases of ``limits`` against one base."""

    def __init__(self, stem: Path, base: Commit, limits: Limits) -> None:
        self._history, self._others = stem.with_suffix(SUFFIX), stem.with_suffix(".left-out")
        self._base, self._cases = base.name, [case.name for case in limits.cases]

    def measured(self) -> set[str]:
        """Return the commits of which every case is in the history."""
        if not self._history.is_file():
            return set()
        kept = {(each.commit, each.case) for each in read(self._history).measurements if each.base == self._base}
        return {name for name, _ in kept if all((name, case) in kept for case in self._cases)}

    def left_out(self) -> set[str]:
        """Return the commits of which these cases could not be measured."""
        try:
            lines = self._others.read_bytes().splitlines()
        except OSError:
            return set()
        found = set()
        for line in lines:
            with suppress(msgspec.MsgspecError):  # what a killed process left: then the commit is tried again
                each = msgspec.json.decode(line, type=LeftOut)
                if each.base == self._base and set(each.cases) <= set(self._cases):
                    found.add(each.commit)
        return found

    def leave_out(self, commit: Commit, message: str) -> None:
        """Note a commit that cannot be measured; raises `OutputError` where that cannot be written."""
        line = msgspec.json.encode(LeftOut(commit.name, self._base, self._cases, message))
        try:
            self._others.parent.mkdir(parents=True, exist_ok=True)
            with self._others.open("ab") as file:
                file.write(b"\n" + line + b"\n")  # apart from what a killed process left
        except OSError as error:
            raise cannot_write(self._others, error) from error
