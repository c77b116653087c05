"""The kernels over the table's blocks against plain references, written with lists, bit for bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from phasewise.sched.round import columns, round_kernels
from phasewise.sched.round.columns import FLOATS, INTS, PER_TYPE

SEEDS = st.integers(0, 2**32 - 1)
TYPES = 2


class Blocks:
    """A table of jobs with room for more rows than it has, filled with numbers."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.jobs = int(rng.integers(0, 9))
        room = self.jobs + int(rng.integers(0, 4))
        self.floats = rng.integers(0, 4, (len(FLOATS), room)) * 1.25
        self.ints = rng.integers(0, 3, (len(INTS), room))
        self.per_type = rng.integers(0, 4, (len(PER_TYPE), room, TYPES)) * 0.75
        self.floats[columns.SCALE_FACTOR] = rng.choice([1.0, 2.0, 4.0], room)
        self.floats[columns.DEMAND_MILLI] = 1000.0 * self.floats[columns.SCALE_FACTOR]
        self.floats[columns.TOTAL_STEPS] = self.floats[columns.STEPS_DONE] + rng.integers(1, 5, room)
        self.floats[columns.POOLED_THROUGHPUT] = rng.uniform(0.5, 9.0, room)
        self.ints[columns.WORKER_TYPE] = rng.integers(-1, TYPES, room)
        self.ints[columns.GPU_MILLI] = 1000

    def copies(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.floats.copy(), self.ints.copy(), self.per_type.copy()


@given(SEEDS)
def test_rows_that_go_leave_the_others_in_their_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = Blocks(rng)
    gone = rng.permutation(table.jobs)[: int(rng.integers(0, table.jobs + 1))]
    before, rest = table.copies(), [row for row in range(table.jobs) if row not in gone.tolist()]
    new_row = round_kernels.drop_rows(gone, table.jobs, table.floats, table.ints, table.per_type)
    assert new_row.tolist() == [rest.index(row) if row in rest else -1 for row in range(table.jobs)]
    for block, old in zip((table.floats, table.ints, table.per_type), before, strict=True):
        assert np.array_equal(block[:, : len(rest)], old[:, rest])


@given(SEEDS)
def test_a_start_after_a_wait_is_a_restart_but_for_the_first(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = Blocks(rng)
    before = table.ints.copy()
    runs_on, moved = rng.integers(-1, TYPES, table.jobs), rng.random(table.jobs) < 0.5
    round_kernels.note_starts(runs_on, moved, table.ints)
    for i in range(table.jobs):
        waited, ran = before[columns.WORKER_TYPE, i] < 0, before[columns.ROUNDS_RUN, i] > 0
        again = bool(waited and ran and runs_on[i] >= 0)
        assert table.ints[columns.RESTARTS, i] == before[columns.RESTARTS, i] + again
        assert table.ints[columns.MOVES, i] == before[columns.MOVES, i] + moved[i]
        assert table.ints[columns.WORKER_TYPE, i] == runs_on[i]


@given(SEEDS, st.booleans(), st.booleans())
def test_a_move_takes_its_time_out_of_the_round(seed: int, whole: bool, moves: bool) -> None:
    rng = np.random.default_rng(seed)
    table = Blocks(rng)
    jobs, now_s, round_s = table.jobs, 720.0, 360.0
    runs_on, rate = rng.integers(-1, TYPES, jobs), rng.choice([0.001, 0.01, 2.5], (jobs, TYPES))
    lost_s = np.where(runs_on >= 0, rng.choice([0.0, 30.0, 359.9, 360.0], jobs), 0.0) if moves else np.zeros(0)
    steps, finish_s, moving = np.full(jobs, np.nan), np.full(jobs, np.nan), np.ones(len(lost_s), np.bool_)
    latest_s, running = round_kernels.start(
        now_s, round_s, whole, table.floats, runs_on, rate, lost_s, steps, finish_s, moving
    )
    ends = [now_s]
    for i in np.flatnonzero(runs_on >= 0).tolist():
        speed, lost = float(rate[i, runs_on[i]]), float(lost_s[i]) if moves else 0.0
        possible = float(np.floor(speed * (round_s - lost)))
        if possible == 0.0 and not whole:
            possible = speed * (round_s - lost)
        left = table.floats[columns.TOTAL_STEPS, i] - table.floats[columns.STEPS_DONE, i]
        assert steps[i] == min(possible, left)
        assert finish_s[i] == now_s + lost + steps[i] / speed
        if moves:
            assert moving[i] == (lost > 0.0 and steps[i] == 0.0)
        ends.append(float(finish_s[i]))
    assert (latest_s, running) == (max(ends), len(ends) - 1)
    assert not moving[runs_on[: len(moving)] < 0].any()


@given(SEEDS, st.booleans())
def test_a_job_that_moves_all_round_is_served_and_makes_no_step(seed: int, moves: bool) -> None:
    rng = np.random.default_rng(seed)
    table = Blocks(rng)
    jobs, launched_s, counted_from_s = table.jobs, 360.0, 0.0
    runs_on = table.ints[columns.WORKER_TYPE, :jobs]
    moving = (rng.random(jobs) < 0.4) & (runs_on >= 0) if moves else np.zeros(0, np.bool_)
    steps, finish_s = np.full(jobs, 1.0), launched_s + rng.integers(1, 5, jobs) * 40.0
    if moves:
        steps[moving] = 0.0
    first, gpu = np.arange(jobs + 1), np.arange(jobs)
    before, busy_s, worker_time_s = table.copies(), np.zeros(jobs), np.zeros(TYPES)
    outcome, counted = np.empty(jobs, np.int64), np.empty(round_kernels.BUSY_GPU_S + TYPES)
    served = table.per_type[columns.JOB_TIME_S, :jobs]
    round_kernels.credit(
        launched_s, 520.0, counted_from_s, False, table.floats, table.ints, served, worker_time_s,
        steps, finish_s, moving, np.zeros(0), first, gpu, busy_s, outcome, counted,
    )  # fmt: skip
    works = np.array([i for i in range(jobs) if runs_on[i] >= 0 and not (moves and moving[i])], np.int64)
    done = before[0][columns.STEPS_DONE, :jobs].copy()
    done[works] += 1.0
    assert np.array_equal(table.floats[columns.STEPS_DONE, :jobs], done)
    runs = runs_on >= 0
    assert busy_s.tolist() == np.where(runs, finish_s - counted_from_s, 0.0).tolist()
    assert worker_time_s.tolist() == [float((finish_s - counted_from_s)[runs_on == t].sum()) for t in range(TYPES)]
    held_s = (finish_s - launched_s) * table.floats[columns.SCALE_FACTOR, :jobs]
    demand_milli = table.floats[columns.DEMAND_MILLI, :jobs]
    assert counted.tolist() == [
        float(demand_milli[~runs].sum()),
        float(demand_milli[runs].sum()),
        *(float(held_s[runs_on == t].sum()) for t in range(TYPES)),
    ]
    assert np.array_equal(table.ints[columns.ROUNDS_RUN, :jobs], before[1][columns.ROUNDS_RUN, :jobs] + runs)


@given(SEEDS)
def test_a_settled_account_of_isolation_has_nothing_left_to_book(seed: int) -> None:
    table, gpus = Blocks(np.random.default_rng(seed)), 6.0
    jobs, before = table.jobs, table.floats.copy()
    round_kernels.settle_isolated(gpus, jobs, table.floats)
    for i in range(jobs):
        column = dict(zip(FLOATS, before[:, i].tolist(), strict=True))
        made = column["steps_done"] - column["steps_settled"]
        share = max(column["scale_factor"] * jobs, gpus)
        expected = column["isolated_s"] + made * share / column["pooled_throughput"]
        assert table.floats[columns.ISOLATED_S, i] == expected
    assert np.array_equal(table.floats[columns.STEPS_SETTLED, :jobs], before[columns.STEPS_DONE, :jobs])
    assert np.array_equal(table.floats[:, jobs:], before[:, jobs:])
