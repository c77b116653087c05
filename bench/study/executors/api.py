"""What an executor is: it does points and tells what became of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from phasewise.bench.study.costs import Costs
from phasewise.bench.study.points import Point
from phasewise.bench.study.records import Attempt


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What an executor tells, and asks, whoever started it.

    Attributes
    ----------
    began
        A point is being worked on.
    ended
        An attempt at a point is over, well or not.
    advanced
        How much of a point is done, 0 to 1, or that time went by (None).
    say
        Gets one line of text.
    interrupted
        Asked all the time whether to save and end with KeyboardInterrupt.
    """

    began: Callable[[Point], None] = lambda _: None
    ended: Callable[[Point, Attempt], None] = lambda *_: None
    advanced: Callable[[Point | None, float | None], None] = lambda *_: None
    say: Callable[[str], None] = lambda _: None
    interrupted: Callable[[], bool] = lambda: False


class Executor(Protocol):
    """Does points, each into its folder."""

    def perform(self, points: Sequence[Point], run_path: Callable[[str], Path], costs: Costs, tell: Callbacks) -> None:
        """Do all points; a failed one does not keep the others from being done.

        Parameters
        ----------
        run_path
            Where a point of a name is to be written.
        costs
            What finished points took; the executor adds to it.
        tell
            What is told meanwhile.

        Raises
        ------
        KeyboardInterrupt
            After ``tell.interrupted`` said so; what was computed is saved.
        """
        ...
