"""Rounds that are over and not recorded yet: recording some together takes less time than one after every round."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from phasewise.profiling.phases import PhaseProfile
from phasewise.sched.round.outcome import RoundOutcome

BLOCK_ROUNDS: Final = 64
"""Rounds that wait at most. A round of some dozen jobs finds little of the recorder in the processor's cache."""

BLOCK_NS: Final = 20_000_000
"""Wall time of the rounds that wait, at most and but for the last one: whoever follows the lines sees no delay."""


@dataclass(slots=True)
class _Round:
    outcome: RoundOutcome
    profile: PhaseProfile | None = None


class WaitingRounds:
    """Rounds in their order, each with where its time went once that is known.

    Parameters
    ----------
    most
        Rounds after which no further one is to wait, `BLOCK_ROUNDS` at most.
    """

    def __init__(self, most: int) -> None:
        self._most = min(most, BLOCK_ROUNDS)
        self._rounds: deque[_Round] = deque()
        self._waited_ns = 0

    def __len__(self) -> int:
        return len(self._rounds)

    def add(self, outcome: RoundOutcome) -> bool:
        """Let a round wait; return whether it is time to record them."""
        self._rounds.append(_Round(outcome))
        return len(self._rounds) >= self._most or self._waited_ns >= BLOCK_NS

    def took(self, profile: PhaseProfile) -> bool:
        """Note where the time of the last round went; return whether it waits at all."""
        if not self._rounds:
            return False
        self._rounds[-1].profile = profile
        self._waited_ns += sum(profile.wall_ns)
        return True

    def taken(self) -> Iterator[tuple[RoundOutcome, PhaseProfile | None]]:
        """Yield every round, which waits no more from then on, whatever becomes of it."""
        self._waited_ns = 0
        while self._rounds:
            first = self._rounds.popleft()
            yield first.outcome, first.profile
