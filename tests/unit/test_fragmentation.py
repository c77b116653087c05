"""How fragmented a node is: the definition by classes, the look-up tables, and the scores made of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewise.sched.cluster.requests import Request, TaskDistribution
from phasewise.sched.nodes import fragmentation
from phasewise.sched.nodes.fragmentation import Fragment, by_class, fragmented_milli

TYPES = ("A", "B")
UNIT = 1 << 49


def distribution(*tasks: tuple[Request, float]) -> TaskDistribution:
    return TaskDistribution(tuple(task for task, _ in tasks), np.array([share for _, share in tasks]))


requests = st.one_of(
    st.builds(Request, st.integers(0, 9000), st.integers(1, 1000), st.just(1), st.sampled_from(["", "A", "B|C"])),
    st.builds(Request, st.integers(0, 9000), st.just(1000), st.sampled_from([1, 2, 4, 8]), st.sampled_from(["", "A"])),
    st.builds(Request, st.integers(0, 9000), st.just(0), st.just(0)),
)
distributions = st.lists(st.tuples(requests, st.floats(1e-4, 1.0)), max_size=12).map(
    lambda tasks: distribution(*((task, share / 12) for task, share in tasks))
)
left_of_gpus = st.lists(st.integers(0, 1000) | st.just(1000), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("task", "cpu_left", "kind", "milli"),
    [
        (Request(4000, 500, 2 - 1), 3000, Fragment.LACK_CPU, 1700),
        (Request(4000, 800, 1), 4000, Fragment.LACK_GPU, 700),  # it fits; what is stranded is lacking GPU
        (Request(4000, 1000, 2), 4000, Fragment.LACK_GPU, 1700),
        (Request(4000, 1000, 2), 3000, Fragment.LACK_BOTH, 1700),
        (Request(4000, 0, 0), 4000, Fragment.NO_GPU_TASK, 1700),
        (Request(4000, 0, 0), 3999, Fragment.NO_GPU_TASK_LACK_CPU, 1700),
        (Request(4000, 100, 1, "B|C"), 4000, Fragment.NO_ACCESS, 1700),
    ],
)
def test_idle_capacity_falls_into_one_of_seven_classes(
    task: Request, cpu_left: int, kind: Fragment, milli: int
) -> None:
    amounts = by_class(cpu_left, [700, 1000], "A", distribution((task, 1.0)))
    assert amounts[kind] == milli
    assert amounts.sum() == 1700
    assert fragmented_milli(amounts) == milli


def test_a_task_that_fits_everywhere_leaves_no_fragment() -> None:
    assert fragmented_milli(by_class(4000, [700, 1000], "A", distribution((Request(0, 700, 1), 1.0)))) == 0.0


def looked_up(cpu_left: int, gpu_left: list[int], kind: int, tables: fragmentation.Tables) -> int:
    """F_n(M) in fixed point, out of the tables by their definition."""
    rank = int(np.searchsorted(tables.cpu_steps, cpu_left, "right"))
    useful = sum(int(tables.single[kind, rank, left]) for left in gpu_left)
    useful += int(tables.several[kind, rank, gpu_left.count(1000)])
    return sum(gpu_left) * tables.whole - useful


@given(distributions, left_of_gpus, st.integers(0, 10_000), st.integers(0, 1))
def test_the_tables_give_what_the_definition_gives(
    tasks: TaskDistribution, gpu_left: list[int], cpu_left: int, kind: int
) -> None:
    tables = fragmentation.build_tables(tasks, TYPES, 8)
    expected = fragmented_milli(by_class(cpu_left, gpu_left, TYPES[kind], tasks))
    assert looked_up(cpu_left, gpu_left, kind, tables) / tables.unit == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(distributions, left_of_gpus, st.integers(0, 10_000), st.integers(0, 1))
def test_sums_in_the_original_order_are_those_of_the_definition_bit_for_bit(
    tasks: TaskDistribution, gpu_left: list[int], cpu_left: int, kind: int
) -> None:
    typical = fragmentation.Typical.of(tasks, TYPES)
    literal = fragmentation.class_ordered(typical, kind, cpu_left, np.array(gpu_left))
    assert literal == fragmented_milli(by_class(cpu_left, gpu_left, TYPES[kind], tasks))


@given(st.floats(-8000.0, 8000.0))
def test_scores_by_threshold_are_the_truncated_sigmoid(gradient_milli: float) -> None:
    thresholds = fragmentation.score_thresholds(UNIT)
    gradient = round(gradient_milli * UNIT)
    score = fragmentation.integer_score(thresholds, gradient)
    expected = int(100 / (1 + math.exp(-gradient / UNIT / 1000)))
    near_half = abs(gradient / UNIT) < 1e-6
    assert score == (50 if near_half else expected)


@pytest.mark.parametrize(("gradient", "score"), [(0, 50), (-1, 50), (1, 50), (-(UNIT >> 10), 49), (-8000 * UNIT, 0)])
def test_no_change_scores_fifty_and_rounding_of_shares_does_not_count(gradient: int, score: int) -> None:
    assert fragmentation.integer_score(fragmentation.score_thresholds(UNIT), gradient) == score


def test_scores_rise_with_the_gradient_through_every_threshold() -> None:
    thresholds = fragmentation.score_thresholds(UNIT)
    reached = thresholds[1:][thresholds[1:] < 1 << 62]
    assert (np.diff(thresholds[: len(reached) + 1]) > 0).all()
    for score, threshold in enumerate(reached.tolist(), start=1):
        assert fragmentation.integer_score(thresholds, threshold) == score
        for near in (threshold - 1, threshold, threshold + 1):
            told = [k for k in range(len(thresholds)) if fragmentation.has_score(thresholds, near, k)]
            assert told == [fragmentation.integer_score(thresholds, near)]
        assert fragmentation.integer_score(thresholds, threshold - 1) == score - 1


@pytest.mark.parametrize("task", [Request(0, 500, 2), Request(0, 1001, 1), Request(0, 0, 1)])
def test_a_task_that_no_machine_can_run_is_refused(task: Request) -> None:
    with pytest.raises(ValueError, match="milli"):
        fragmentation.build_tables(distribution((task, 1.0)), TYPES, 8)


def test_without_typical_tasks_nothing_is_fragmented() -> None:
    tables = fragmentation.build_tables(TaskDistribution((), np.empty(0)), TYPES, 4)
    assert looked_up(1000, [1000, 300], 0, tables) == 0
