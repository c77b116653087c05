"""Every compiled loop over holdings against a plain reference, written from the rules with lists and dicts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from phasewise.sched.round import lease_kernels as kernels

SEEDS = st.integers(0, 2**32 - 1)
FEW = (0.0, 0.25, 0.5, 1.0)
SCALES = (1.0, 1.0, 2.0, 3.0, 4.0)
many = settings(max_examples=5 * settings.default.max_examples)  # an example takes a millisecond


# -- placement -----------------------------------------------------------------------------------------------------


class Drawn(NamedTuple):
    """Scale factors, the first GPU of each type, the last holders and types, and the jobs chosen now with types."""

    scale: np.ndarray
    start: np.ndarray
    last: np.ndarray
    ran: np.ndarray
    row: np.ndarray
    worker_type: np.ndarray


def two_rounds(rng: np.random.Generator) -> Drawn:
    """Return a round that was, its jobs anywhere within a type, and whom the next one chose."""
    sizes = rng.integers(0, 8, rng.integers(1, 4))
    start = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    jobs = int(rng.choice([0, 1, *range(2, 13)]))
    scale = rng.choice(SCALES, jobs)
    last, ran = np.full(start[-1], -1), np.full(jobs, -1)
    for i in rng.permutation(jobs):
        t = rng.integers(len(sizes))
        free = [g for g in range(start[t], start[t + 1]) if last[g] < 0]
        if rng.random() < 0.8 and len(free) >= scale[i]:
            where = free if rng.random() < 0.5 else rng.permutation(free)
            last[where[: int(scale[i])]], ran[i] = i, t
    waiting, chosen = rng.permutation(jobs).tolist(), []
    for t in rng.permutation(len(sizes)).tolist():  # whoever fits, types one after another
        left = sizes[t]
        for i in list(waiting):
            if rng.random() < 0.7 and scale[i] <= left:
                left -= int(scale[i])
                waiting.remove(i)
                chosen.append((i, t))
    row, worker_type = np.array(chosen, np.int64).reshape(-1, 2).T.copy()
    return Drawn(scale, start, last, ran, row, worker_type)


def listed(first: np.ndarray, gpu: np.ndarray) -> list[list[int]]:
    """Return the GPUs of each row."""
    return [gpu[low:high].tolist() for low, high in zip(first[:-1].tolist(), first[1:].tolist(), strict=True)]


def shared(rng: np.random.Generator, jobs: int, gpus: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a holding in which any number of jobs may share a GPU."""
    rows = [np.flatnonzero(rng.random(gpus) < 0.3) for _ in range(jobs)]
    first = np.concatenate(([0], np.cumsum([len(each) for each in rows]))).astype(np.int64)
    return first, np.concatenate([np.empty(0, np.int64), *rows])


def gpus_of(row: int, holder: np.ndarray) -> list[int]:
    return [g for g, each in enumerate(holder.tolist()) if each == row]


def plain_placement(
    row: list[int], worker_type: list[int], scale: np.ndarray, start: np.ndarray, last: np.ndarray, ran: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    holder, runs_on = np.full(len(last), -1), np.full(len(scale), -1)
    for t in dict.fromkeys(worker_type):
        mine = [i for i, kind in zip(row, worker_type, strict=True) if kind == t]
        cursor = start[t]
        for wide in sorted({scale[i] for i in mine}, reverse=True):
            equals = [i for i in mine if scale[i] == wide]
            for i in equals:
                held = gpus_of(i, last)
                if held and ran[i] == t and all(holder[g] == -1 for g in held):
                    holder[held], runs_on[i] = i, t
            for i in [i for i in equals if runs_on[i] == -1]:
                while len(gpus_of(i, holder)) < wide:
                    if holder[cursor] == -1:
                        holder[cursor] = i
                    cursor += 1
                runs_on[i] = t
    return holder, runs_on


@many
@given(SEEDS)
def test_placement_extends_leases_and_fills_the_rest_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale, start, last, ran, row, worker_type = two_rounds(rng)
    held = kernels.gpus_by_row(last, len(scale))
    first, gpu, runs_on = kernels.place_strided(row, worker_type, scale, start, *held, ran)
    holder, expected = plain_placement(row.tolist(), worker_type.tolist(), scale, start, last, ran)
    assert listed(first, gpu) == [gpus_of(i, holder) for i in range(len(scale))]
    assert runs_on.tolist() == expected.tolist()


@many
@given(SEEDS)
def test_gpus_are_listed_by_the_job_that_holds_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale, _, holder, *_ = two_rounds(rng)
    assert listed(*kernels.gpus_by_row(holder, len(scale))) == [gpus_of(i, holder) for i in range(len(scale))]


@many
@given(SEEDS)
def test_a_lease_is_extended_only_while_all_its_gpus_are_free(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale, _, last, *_ = two_rounds(rng)
    held = [i for i in range(len(scale)) if gpus_of(i, last)]
    if not held:
        return
    row = int(rng.choice(held))
    holder = rng.choice([-1] * 5 + [99], len(last))
    expected = holder.copy()
    free = all(holder[g] == -1 for g in gpus_of(row, last))
    if free:
        expected[gpus_of(row, last)] = row
    assert kernels.extend_lease(row, *kernels.gpus_by_row(last, len(scale)), holder) is free
    assert holder.tolist() == expected.tolist()


@many
@given(SEEDS)
def test_leases_are_counted_among_the_jobs_of_the_last_round(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale, start, last, ran, row, worker_type = two_rounds(rng)
    holder, _ = plain_placement(row.tolist(), worker_type.tolist(), scale, start, last, ran)
    moved = np.ones(len(scale), np.bool_)
    jobs = len(scale)
    counts = kernels.count_leases(*kernels.gpus_by_row(last, jobs), *kernels.gpus_by_row(holder, jobs), moved)
    before = [set(gpus_of(i, last)) for i in range(len(scale))]
    now = [set(gpus_of(i, holder)) for i in range(len(scale))]
    expected = [bool(old and new and old != new) for old, new in zip(before, now, strict=True)]
    kept = sum(bool(old) and old == new for old, new in zip(before, now, strict=True))
    assert moved.tolist() == expected
    assert tuple(counts) == (sum(expected), kept, sum(map(bool, before)))


@many
@given(SEEDS)
def test_rows_that_stay_keep_their_gpus(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs = int(rng.integers(0, 8))
    first, gpu = shared(rng, jobs, 5)
    stays = rng.random(jobs) < 0.6
    new_row = np.where(stays, np.cumsum(stays) - 1, -1)
    rows = listed(first, gpu)
    kept = listed(*kernels.keep_rows(new_row, int(stays.sum()), first, gpu))
    assert kept == [row for row, here in zip(rows, stays.tolist(), strict=True) if here]


@many
@given(SEEDS)
def test_every_gpu_of_a_job_is_credited_with_its_time_and_its_part(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs, gpus = int(rng.integers(0, 8)), 6
    first, gpu = shared(rng, jobs, gpus)
    executed_s, busy_s = rng.uniform(0.0, 1e6, jobs), rng.uniform(0.0, 1e6, gpus)
    gpu_milli = rng.choice([1000, 1000, 230, 810], jobs)
    expected = busy_s.tolist()
    for row, held in enumerate(listed(first, gpu)):
        for each in held:
            expected[each] += executed_s[row] * (gpu_milli[row] / 1000)
    kernels.credit_gpus(first, gpu, gpu_milli, executed_s, busy_s)
    assert busy_s.tolist() == expected


@given(st.integers(0, 6), st.lists(st.integers(0, 2**32 - 1), max_size=8))
def test_intervals_of_holding_add_up_to_who_held_what(gpus: int, seeds: list[int]) -> None:
    held = np.empty((0, 4), np.int64)
    who: list[set[tuple[int, int]]] = []
    told: list[set[tuple[int, int]]] = [set() for _ in range(len(seeds) + 1)]
    for index, seed in enumerate([*seeds, None]):
        rng = np.random.default_rng(seed)
        job_id = np.sort(rng.choice(9, 0 if seed is None else rng.integers(1, 5), replace=False))
        first, gpu = shared(rng, len(job_id), gpus)
        part = 100 + job_id
        who.append({(int(job_id[i]), g) for i, row in enumerate(listed(first, gpu)) for g in row})
        held, ended = kernels.change_holders(job_id, first, gpu, part, index, held)
        assert {(job, g) for job, g, _, _ in held.tolist()} == who[-1]
        assert ended.tolist() == sorted(ended.tolist(), key=lambda each: (each[1], each[0]))
        for job, g, milli, start in ended.tolist():
            assert milli == 100 + job
            assert start == 0 or (job, g) not in who[start - 1], "an interval is as long as it can be"
            for between in range(start, index):
                assert (job, g) not in told[between], "no two intervals of one holding overlap"
                told[between].add((job, g))
    assert told == who
