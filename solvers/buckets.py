"""Numbers of job slots to which a problem is padded, and the programs compiled for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

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


class ProgramCache(Generic[Program]):
    """The programs compiled so far, the least recently used one given up first, and why each was compiled.

    Parameters
    ----------
    kept
        Most programs to keep.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._programs: OrderedDict[Bucket, Program] = OrderedDict()
        self._last: Bucket | None = None
        self._failed = False
        self.solves = 0
        self.hits = 0

    def find(self, traits: Traits) -> tuple[Bucket, Program | None, RebuildReason | None]:
        """Return the bucket that serves a problem, its program, or None and the reason why there is none.

        A bucket with up to twice the slots serves as well, so that a number of jobs that goes down, or up and down
        across a limit, does not compile again.
        """
        self.solves += 1
        wanted = Bucket(traits.family, traits.linear, traits.types, slots_for(traits.rows))
        before, self._last = self._last, wanted
        fitting = [bucket for bucket in self._programs if _serves(bucket, wanted)]
        if fitting:
            bucket = min(fitting, key=lambda each: each.slots)
            self._programs.move_to_end(bucket)
            self.hits += 1
            return bucket, self._programs[bucket], None
        return wanted, None, self._reason(before, wanted)

    def keep(self, bucket: Bucket, program: Program) -> None:
        """Keep a program that was compiled."""
        self._programs[bucket] = program
        self._failed = False
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
                self._failed = True

    def _reason(self, before: Bucket | None, wanted: Bucket) -> RebuildReason:
        """Return why there is no program, by what is different from the last problem."""
        if before is None:
            return RebuildReason.FIRST
        if self._failed:
            return RebuildReason.FAILED
        if before.types != wanted.types:
            return RebuildReason.TYPES
        if (before.family, before.linear) != (wanted.family, wanted.linear):
            return RebuildReason.FAMILY
        return RebuildReason.SHAPE


def _serves(bucket: Bucket, wanted: Bucket) -> bool:
    """Return whether a program of ``bucket`` can solve what ``wanted`` stands for."""
    same = (bucket.family, bucket.linear, bucket.types) == (wanted.family, wanted.linear, wanted.types)
    return same and wanted.slots <= bucket.slots <= _ROOMY * wanted.slots
