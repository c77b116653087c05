"""Which commit a case changed at: halving, by comparisons that are paired and therefore few."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from phasewise.bench.gate.errors import GateError
from phasewise.bench.history.commits import Commit
from phasewise.bench.history.errors import HistoryError
from phasewise.profiling.stats import Interval

Compare = Callable[[Commit, Commit], Interval]
"""CPU time of the first commit over that of the second, with its interval; `GateError` where it cannot be had."""

Say = Callable[[str], None]


class Side(StrEnum):
    """Whether a commit is like the good one or like the bad one."""

    GOOD = "good"
    BAD = "bad"
    BETWEEN = "between"  # neither, to the accuracy that was measured
    BROKEN = "cannot be measured"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A commit compared with the good one."""

    commit: Commit
    ratio: Interval | None
    side: Side


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to.

    Attributes
    ----------
    suspects
        The commits of which one is the first bad one, oldest first: a single one unless those between could not be
        measured, or told apart.
    total
        The bad commit over the good one.
    comparisons
        In the order in which they were made, without that of the bad commit.
    """

    suspects: Sequence[Commit]
    total: Interval
    comparisons: Sequence[Comparison]


def bisect(good: Commit, later: Sequence[Commit], compare: Compare, say: Say) -> Found:
    """Return at which of the commits ``later``, the last of which is bad, a case left its level at ``good``.

    A commit counts as bad where its change from the good one is more than half of that of the bad one, and as good
    where it is less; its whole interval has to be. One of which neither can be said is passed over for a neighbour.

    Raises
    ------
    HistoryError
        Where good and bad are not different: their interval includes 1.
    GateError
        Where good and bad cannot be compared.
    """
    bad = later[-1]
    total = compare(bad, good)
    if total.low <= 1.0 <= total.high:
        raise HistoryError(
            f"{bad.name[:12]} is not different from {good.name[:12]}: {_text(total)}; name commits between which "
            "the case changed"
        )
    say(f"{bad.name[:12]} against {good.name[:12]}: {_text(total)}")
    low, high = -1, len(later) - 1  # the last that is good, the first that is bad
    seen: dict[int, Comparison] = {}
    while (at := _next(low, high, seen)) is not None:
        seen[at] = _compared(later[at], good, total, compare)
        say(f"{later[at].name[:12]}: {_told(seen[at])}")
        if seen[at].side is Side.GOOD:
            low = at
        elif seen[at].side is Side.BAD:
            high = at
    return Found(later[low + 1 : high + 1], total, list(seen.values()))


def _next(low: int, high: int, seen: dict[int, Comparison]) -> int | None:
    """Return which commit to look at next: the one nearest to the middle that was not looked at, None without any."""
    middle = (low + high) / 2
    left = [at for at in range(low + 1, high) if at not in seen]
    return min(left, key=lambda at: abs(at - middle), default=None)


def _compared(commit: Commit, good: Commit, total: Interval, compare: Compare) -> Comparison:
    try:
        ratio = compare(commit, good)
    except GateError:
        return Comparison(commit, None, Side.BROKEN)
    half = math.exp(0.5 * math.log(total.estimate))
    worse = total.estimate > 1.0
    if ratio.low > half:
        side = Side.BAD if worse else Side.GOOD
    elif ratio.high < half:
        side = Side.GOOD if worse else Side.BAD
    else:
        side = Side.BETWEEN
    return Comparison(commit, ratio, side)


_PLACES: Final = 3


def _text(ratio: Interval) -> str:
    return f"{ratio.estimate:.{_PLACES}f} ({ratio.low:.{_PLACES}f} to {ratio.high:.{_PLACES}f})"


def _told(comparison: Comparison) -> str:
    return str(comparison.side) if comparison.ratio is None else f"{_text(comparison.ratio)}: {comparison.side}"


def lines(found: Found, case: str) -> list[str]:
    """Return what the search came to, as text."""
    count = len(found.comparisons) + 1
    total = _text(found.total)
    if len(found.suspects) == 1:
        commit = found.suspects[0]
        return [f"{case} changed by {total} at {commit.name[:12]} {commit.subject} ({count} comparisons)"]
    return [
        f"{case} changed by {total} at one of {len(found.suspects)} commits, which could not be told apart:",
        *(f"  {commit.name[:12]} {commit.subject}" for commit in found.suspects),
        f"({count} comparisons)",
    ]
