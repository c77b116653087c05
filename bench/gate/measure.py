"""Measuring two trees: pairs of live workers, sample by sample in turn, and more of it where a case is undecided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.limits import GateCase, Limits
from phasewise.bench.gate.link import Link, Tree
from phasewise.bench.gate.verdict import (
    CounterChange,
    Floats,
    Verdict,
    interval_of,
    judge_counters,
    judge_time,
    judge_time_at_last,
)
from phasewise.profiling.stats import Interval

Say = Callable[[str], None]


@dataclass
class Measured:
    """What was measured of a case.

    Attributes
    ----------
    head_s, base_s
        A row of samples a worker pair, CPU seconds; sample k of one was taken beside sample k of the other.
    head_counters, base_counters
        The work that a walk did, the same in all samples.
    """

    case: GateCase
    head_s: list[list[float]] = field(default_factory=list)
    base_s: list[list[float]] = field(default_factory=list)
    head_counters: dict[str, float] = field(default_factory=dict)
    base_counters: dict[str, float] = field(default_factory=dict)

    def logs(self) -> Floats:
        """Return the (P, S) logarithms of head over base."""
        logs: Floats = np.log(np.array(self.head_s)) - np.log(np.array(self.base_s))
        return logs


@dataclass(frozen=True, slots=True)
class Judged:
    """A case with its verdict.

    Attributes
    ----------
    ratio
        CPU time of the head over that of the base.
    changes
        Counters that differ.
    verdict
        The worst of time and counters.
    """

    measured: Measured
    ratio: Interval
    changes: list[CounterChange]
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Bench:
    """Two trees and the folder that their workers run in."""

    head: Tree
    base: Tree
    folder: Path
    say: Say

    def judge(self, limits: Limits) -> list[Judged]:
        """Return every case with its verdict.

        Raises
        ------
        GateError
            Where a case is missing or broken, or the workers' environments differ.
        """
        found = {case.name: Measured(case) for case in limits.cases}
        self._sample(list(found.values()), limits, limits.sampling.pairs)
        undecided = [each for each in found.values() if _time_verdict(each, limits) is Verdict.UNDECIDED]
        if undecided and limits.sampling.again:
            self.say(f"undecided: {', '.join(each.case.name for each in undecided)}; more samples")
            self._sample(undecided, limits, limits.sampling.again * limits.sampling.pairs)
        return [judged(each, limits) for each in found.values()]

    def _sample(self, wanted: Sequence[Measured], limits: Limits, pairs: int) -> None:
        for pair in range(pairs):
            self.say(f"worker pair {pair + 1} of {pairs}")
            with Link(self.head, self.folder) as head, Link(self.base, self.folder) as base:
                _compare_environments(head, base)
                for measured in wanted:
                    _open_case(measured, head, base)
                    _sample_case(measured, head, base, limits.sampling.samples, head_first=pair % 2 == 0)


def judged(measured: Measured, limits: Limits) -> Judged:
    """Return a case with its final verdict."""
    ratio = interval_of(measured.logs(), limits.band.level)
    changes = judge_counters(measured.head_counters, measured.base_counters, limits.counters)
    verdicts = {judge_time_at_last(ratio, limits.band), *(change.verdict for change in changes)}
    order = (Verdict.DIFFERENT, Verdict.SLOWER, Verdict.UNDECIDED)  # the first that was found
    time = judge_time_at_last(ratio, limits.band)
    return Judged(measured, ratio, changes, next((each for each in order if each in verdicts), time))


def _time_verdict(measured: Measured, limits: Limits) -> Verdict:
    return judge_time(interval_of(measured.logs(), limits.band.level), limits.band)


def _compare_environments(head: Link, base: Link) -> None:
    """Raise `GateError` unless both workers run in the same environment."""
    mine, theirs = head.hello(), base.hello()
    for name in sorted({*mine, *theirs}):
        if mine.get(name) != theirs.get(name):
            raise GateError(
                f"not the same environment: {name} is {mine.get(name)!r} for the head "
                f"and {theirs.get(name)!r} for the base"
            )


def _open_case(measured: Measured, head: Link, base: Link) -> None:
    """Have both workers open a case: at once, but for the first time, when there may be a tape to make for both."""
    if not measured.head_s:
        head.ask_open(measured.case)
        head.answer()
    for link in (head, base):
        link.ask_open(measured.case)
    for link in (head, base):
        link.answer()


def _sample_case(measured: Measured, head: Link, base: Link, samples: int, *, head_first: bool) -> None:
    """Take the samples of a pair of workers: who is first changes with each."""
    rows: dict[str, list[float]] = {head.tree.name: [], base.tree.name: []}
    for index in range(samples):
        first = head_first == (index % 2 == 0)
        for link in (head, base) if first else (base, head):
            cpu_s, counters = link.sample(measured.case)
            rows[link.tree.name].append(cpu_s)
            _keep(measured.head_counters if link is head else measured.base_counters, counters, link, measured.case)
    measured.head_s.append(rows[head.tree.name])
    measured.base_s.append(rows[base.tree.name])


def _keep(known: dict[str, float], counters: dict[str, float], link: Link, case: GateCase) -> None:
    """Note the counters of a case; raise `GateError` where a walk did other work than the ones before it."""
    if known and known != counters:
        raise GateError(f"{link.tree.name}: {case.name}: walks did not do the same work: {known}, then {counters}")
    known.update(counters)
