"""What the viewer's page carries: planes, slots and chunks say the same as the intervals they were made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewise.reports.viewer.chunks import ROUNDS, chunk_arrays, encode
from phasewise.reports.viewer.planes import gaps, pack, unpack
from phasewise.reports.viewer.slots import SlottedStays, Stays, give_slots

GPUS, LAST = 5, 200
Stay = tuple[int, int, int, int, int]  # job, GPU, share, start, end


@st.composite
def stays(draw: st.DrawFn) -> list[Stay]:
    """Draw stays of a few jobs on a few GPUs; any number of jobs may share a GPU."""
    rows = []
    for _ in range(draw(st.integers(0, 25))):
        start = draw(st.integers(0, LAST - 1))
        end = draw(st.integers(start, LAST))  # a stay of no round at all is left out
        share = draw(st.sampled_from([100, 250, 500, 1000]))
        rows.append((draw(st.integers(0, 7)), draw(st.integers(0, GPUS - 1)), share, start, end))
    return rows


def as_stays(rows: list[Stay]) -> Stays:
    job, gpu, share, start, end = np.array(rows, np.int64).reshape(-1, 5).T
    return Stays(job, gpu, share, start, end)


def held_at(rows: list[Stay], at: int) -> list[tuple[int, int, int, int]]:
    """Return (GPU, job, share, since) of the stays that cover a round, sorted."""
    return sorted((gpu, job, share, start) for job, gpu, share, start, end in rows if start <= at < end)


def decoded(held: SlottedStays, texts: list[str], at: int) -> list[tuple[int, int, int, int]]:
    """Read a round from its chunk alone, as the page does."""
    arrays = unpack(texts[at // ROUNDS])
    pair_job, pair_share, key_slot, key_pair, key_age, per_round, slot, pair = arrays
    job = np.cumsum(pair_job)
    first = at // ROUNDS * ROUNDS
    frame = {
        int(where): (int(what), first - int(age))
        for where, what, age in zip(np.cumsum(key_slot + 1) - 1, key_pair, key_age, strict=True)
    }
    event = 0
    for later in range(at - first + 1):
        where = -1
        for _ in range(int(per_round[later])):
            where += int(slot[event]) + 1
            frame.pop(where, None)
            if pair[event]:
                frame[where] = (int(pair[event]) - 1, first + later)
            event += 1
    gpu_of_slot = np.repeat(np.arange(GPUS), held.slots_per_gpu)
    return sorted((int(gpu_of_slot[s]), int(job[p]), int(pair_share[p]), since) for s, (p, since) in frame.items())


@given(st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=20), max_size=5))
def test_what_was_packed_is_unpacked(lists: list[list[int]]) -> None:
    arrays = [np.array(values, np.int64) for values in lists]
    found = unpack(pack(arrays))
    assert [values.tolist() for values in found] == lists


@pytest.mark.parametrize("value", [-1, 2**32])
def test_a_value_that_no_plane_can_hold_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="out of the range"):
        pack([np.array([0, value])])


def test_zeros_take_no_plane() -> None:
    nothing, zeros = (len(pack([np.zeros(length, np.int64)])) for length in (0, 100_000))
    assert zeros - nothing < 16


def test_gaps_of_neighbours_are_zero() -> None:
    assert gaps(np.array([0, 1, 2, 7])).tolist() == [0, 0, 0, 4]


@given(stays())
def test_no_two_stays_of_a_slot_overlap(rows: list[Stay]) -> None:
    held = give_slots(as_stays(rows), GPUS)
    busy: set[tuple[int, int]] = set()
    for slot, start, end in zip(held.slot.tolist(), held.stays.start.tolist(), held.stays.end.tolist(), strict=True):
        cells = {(slot, at) for at in range(start, end)}
        assert not cells & busy
        busy |= cells
    assert len(held.stays) == sum(end > start for *_, start, end in rows)


@given(stays())
def test_a_gpu_has_as_many_slots_as_jobs_ever_held_it_at_once(rows: list[Stay]) -> None:
    held = give_slots(as_stays(rows), GPUS)
    for gpu in range(GPUS):
        crowd = max((sum(g == gpu for g, *_ in held_at(rows, at)) for at in range(LAST)), default=0)
        assert held.slots_per_gpu[gpu] == max(1, crowd)


@given(stays(), st.integers(1, LAST))
def test_every_round_of_every_chunk_says_what_the_intervals_say(rows: list[Stay], rounds: int) -> None:
    within = [(job, gpu, share, min(start, rounds), min(end, rounds)) for job, gpu, share, start, end in rows]
    held = give_slots(as_stays(within), GPUS)
    texts = encode(held, rounds)
    assert len(texts) == -(-rounds // ROUNDS)
    for at in sorted({0, 1, ROUNDS - 1, ROUNDS, ROUNDS + 1, 2 * ROUNDS, rounds - 1}):
        if at < rounds:
            assert decoded(held, texts, at) == held_at(rows, at)


def test_a_stay_that_follows_another_at_once_is_one_event() -> None:
    held = give_slots(as_stays([(0, 0, 1000, 0, 10), (1, 0, 1000, 10, 30)]), GPUS)
    (arrays,) = chunk_arrays(held, 40)
    per_round = arrays[5]
    assert np.flatnonzero(per_round).tolist() == [10, 30]
    assert per_round.sum() == 2
