"""The stays of a run in chunks of 64 rounds: what holds at the first round, then what changes in each that follows.

Every chunk can be read without the others, so that a page decodes one of them, some ten thousand values, to show any
round. A chunk is eight arrays (see `planes`):

1. of each distinct pair of job and share in the chunk, the gap from the job before it;
2. its share, thousandths of a GPU;
3. of each slot held at the first round, the gap from the one before it;
4. the pair that holds it;
5. for how many rounds it has held it;
6. of each round, the number of its events, 0 for the first;
7. of each event, the gap of its slot from the one before it in the same round;
8. the pair that now holds the slot plus 1, or 0 where it became free.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phasewise.reports.viewer.planes import gaps, pack
from phasewise.reports.viewer.slots import SlottedStays, Stays

Ints = npt.NDArray[np.int64]

ROUNDS = 64
_SHARES = 1 << 20  # more than any share in thousandths: job and share as one number


@dataclass(frozen=True, slots=True)
class _Events:
    """Changes, in the order of round, then slot; ``pair`` is the index of a pair, -1 where the slot became free."""

    round: Ints
    slot: Ints
    pair: Ints

    def part(self, first: int, end: int) -> _Events:
        """Return the changes from the one at ``first`` to the one before ``end``."""
        return _Events(self.round[first:end], self.slot[first:end], self.pair[first:end])

    def after(self, round_index: int) -> _Events:
        """Return the changes that follow a round; those of the first round of a chunk are in its key frame."""
        return self.part(int(np.searchsorted(self.round, round_index, "right")), len(self.round))


def encode(held: SlottedStays, rounds: int) -> list[str]:
    """Return the chunks of a run of ``rounds`` rounds, in order, as texts."""
    return [pack(arrays) for arrays in chunk_arrays(held, rounds)]


def chunk_arrays(held: SlottedStays, rounds: int) -> Iterator[Sequence[Ints]]:
    """Yield the eight arrays of each chunk."""
    job_and_share, pair = np.unique(held.stays.job * _SHARES + held.stays.share_milli, return_inverse=True)
    chunks = -(-rounds // ROUNDS)
    events = _events(held, pair, rounds)
    event_edge = np.searchsorted(events.round, np.arange(chunks + 1) * ROUNDS)
    row, of_chunk = _held_at_starts(held.stays, chunks)
    row_edge = np.searchsorted(of_chunk, np.arange(chunks + 1))
    here = np.zeros(len(job_and_share), np.bool_)
    for chunk in range(chunks):
        keys = row[row_edge[chunk] : row_edge[chunk + 1]]
        changes = events.part(event_edge[chunk], event_edge[chunk + 1]).after(chunk * ROUNDS)
        length = min(ROUNDS, rounds - chunk * ROUNDS)
        here[:] = False
        here[pair[keys]] = here[changes.pair[changes.pair >= 0]] = True
        number = np.cumsum(here) - 1  # of each pair among those of this chunk
        yield (
            np.diff(job_and_share[here] // _SHARES, prepend=0),
            job_and_share[here] % _SHARES,
            gaps(held.slot[keys]),
            number[pair[keys]],
            chunk * ROUNDS - held.stays.start[keys],
            np.bincount(changes.round - chunk * ROUNDS, minlength=length),
            _gaps_by_round(changes),
            np.where(changes.pair < 0, 0, number[changes.pair] + 1),
        )


def _events(held: SlottedStays, pair: Ints, rounds: int) -> _Events:
    """Return every change within the run; a stay that follows another without a break is one change."""
    stays = held.stays
    followed = np.zeros(len(stays), np.bool_)
    followed[:-1] = (held.slot[1:] == held.slot[:-1]) & (stays.start[1:] == stays.end[:-1])
    ends = ~followed & (stays.end < rounds)
    at = np.concatenate((stays.start, stays.end[ends]))
    slot = np.concatenate((held.slot, held.slot[ends]))
    what = np.concatenate((pair, np.full(int(ends.sum()), -1, np.int64)))
    order = np.argsort(at * max(1, held.slots) + slot, kind="stable")
    return _Events(at[order], slot[order], what[order])


def _held_at_starts(stays: Stays, chunks: int) -> tuple[Ints, Ints]:
    """Return rows of stays and chunks at whose first round they hold, by chunk, then slot."""
    first = -(-stays.start // ROUNDS)
    count = np.maximum(0, np.minimum((stays.end - 1) // ROUNDS, chunks - 1) - first + 1)
    row = np.repeat(np.arange(len(stays)), count)
    nth = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    chunk = first[row] + nth
    order = np.argsort(chunk, kind="stable")  # rows are in the order of slots
    return row[order], chunk[order]


def _gaps_by_round(changes: _Events) -> Ints:
    found = gaps(changes.slot)
    opens = np.ones(len(found), np.bool_)
    opens[1:] = changes.round[1:] != changes.round[:-1]
    return np.where(opens, changes.slot, found)
