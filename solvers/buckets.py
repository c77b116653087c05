"""Numbers of job slots to which a problem is padded, and the programs compiled for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar

from phasewise.solvers.api import RebuildReason
from phasewise.solvers.problems import Traits

_STEPS: Final = 4  # sizes an octave: 16, 20, 24, 28, 32, 40 ...; half a step, an eighth, is wasted on average
LEAST: Final = 8
"""Slots of the smallest program."""

_ROOMY: Final = 2  # a program of up to so many times the slots wanted serves before another one is compiled

Program = TypeVar("Program")


def slots_for(jobs: int) -> int:
    """Return the least bucket size of at least ``jobs``: four sizes an octave from 8 on."""
    octave = LEAST
    while 2 * octave < jobs:
        octave *= 2
    step = octave // _STEPS
    return max(LEAST, -(-jobs // step) * step)


@dataclass(frozen=True, slots=True)
class Bucket:
    """What a compiled program depends on.

    Attributes
    ----------
    family, linear
        The form of the problem: its family, and whether the mean gain counts.
    types
        Worker types W.
    slots
        Most jobs.
    """

    family: str
    linear: bool
    types: int
    slots: int

    @property
    def entries(self) -> int:
        """Pairs of a slot and a type: what the cost of compiling depends on."""
        return self.slots * self.types

    @classmethod
    def wanted(cls, traits: Traits) -> Bucket:
        """Return the least bucket for a problem."""
        return cls(traits.family, traits.linear, traits.types, slots_for(traits.rows))

    def serves(self, wanted: Bucket) -> bool:
        """Return whether a program for this bucket can solve what ``wanted`` stands for."""
        same = (self.family, self.linear, self.types) == (wanted.family, wanted.linear, wanted.types)
        return same and wanted.slots <= self.slots <= _ROOMY * wanted.slots


class Choice(NamedTuple):
    """The bucket for a problem, and why a program has to be compiled for it if there is none."""

    bucket: Bucket
    reason: RebuildReason


def choose(traits: Traits, used: tuple[Bucket, ...], last: Bucket | None) -> Choice:
    """Return the bucket that serves a problem best of those ``used`` before, or else the least one.

    A bucket with up to twice the slots serves as well, so that a number of jobs that goes down, or up and down across a
    limit, does not compile again.

    Parameters
    ----------
    traits
        Of the problem.
    used
        The buckets of earlier problems.
    last
        What the last problem's least bucket was, None where there was no problem.
    """
    wanted = Bucket.wanted(traits)
    fitting = [bucket for bucket in used if bucket.serves(wanted)]
    if fitting:
        return Choice(min(fitting, key=lambda each: each.slots), RebuildReason.FAILED)
    return Choice(wanted, _reason(last, wanted))


def _reason(last: Bucket | None, wanted: Bucket) -> RebuildReason:
    """Return why there is no program, by what is different from the last problem."""
    if last is None:
        return RebuildReason.FIRST
    if last.types != wanted.types:
        return RebuildReason.TYPES
    if (last.family, last.linear) != (wanted.family, wanted.linear):
        return RebuildReason.FAMILY
    return RebuildReason.SHAPE


class ProgramCache(Generic[Program]):
    """The programs compiled so far, the least recently used one given up first. No answer depends on which these are.

    Parameters
    ----------
    kept
        Most programs to keep.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._programs: OrderedDict[Bucket, Program] = OrderedDict()
        self.solves = 0
        self.hits = 0

    def find(self, bucket: Bucket) -> Program | None:
        """Return the program of ``bucket``, None where it has to be compiled."""
        self.solves += 1
        if bucket not in self._programs:
            return None
        self._programs.move_to_end(bucket)
        self.hits += 1
        return self._programs[bucket]

    def keep(self, bucket: Bucket, program: Program) -> None:
        """Keep a program that was compiled."""
        self._programs[bucket] = program
        while len(self._programs) > self._kept:
            self._programs.popitem(last=False)

    @contextmanager
    def lent(self, bucket: Bucket) -> Iterator[None]:
        """Forget the program of ``bucket`` where the ``with`` block raises: what it holds is in doubt."""
        whole = False
        try:
            yield
            whole = True
        finally:
            if not whole:
                self._programs.pop(bucket, None)
