"""The curves of the inflation experiment: means by integer load, half-even rounding, holes."""

from __future__ import annotations

import numpy as np
import pytest

from phasewise.sched.inflation.fill_curves import FillCurves, fill_curves

CAPACITY = 20_000  # milli-GPU: 200 are a percent


def curves(demand: list[int], used: list[int], fragmented: list[float], last_pct: int = 0) -> FillCurves:
    nodes = np.arange(len(used))  # each arrival takes another node
    return fill_curves(np.array(demand), np.array(used), np.array(fragmented), nodes, CAPACITY, last_pct)


def test_a_load_has_the_mean_of_its_arrivals() -> None:
    found = curves([200, 0, 20], [0, 200, 200, 200], [1000.0, 2000.0, 4000.0, 0.0])
    assert found.load_pct.tolist() == [0, 1]
    assert found.alloc_pct[1] == 1.0
    assert found.frag_pct_of_total[1] == 10.0
    assert found.occupied_nodes[1] == 2.0
    assert found.frag_pct_of_idle[1] == pytest.approx((10.1 + 20.2 + 0.0) / 3)


def test_demand_that_is_not_placed_counts_as_arrived() -> None:
    assert curves([200, 400], [0, 0, 0], [0.0, 0.0, 0.0]).load_pct.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(("demand", "load"), [(100, 0), (101, 1), (300, 2), (500, 2), (501, 3)])
def test_a_load_between_two_integers_goes_to_the_even_one(demand: int, load: int) -> None:
    assert curves([demand], [0, demand], [0.0, 0.0]).load_pct[-1] == load


def test_a_load_without_arrivals_has_the_mean_over_the_arrivals_of_both_neighbours() -> None:
    found = curves([200, 0, 400], [0, 200, 200, 600], [0.0, 0.0, 0.0, 0.0])
    assert found.alloc_pct.tolist() == [1.0, 1.0, pytest.approx((1.0 + 1.0 + 3.0) / 3), 3.0]


def test_a_load_far_from_any_arrival_has_the_state_that_the_last_one_left() -> None:
    found = curves([1000, 1000], [0, 1000, 1000], [200.0, 400.0, 600.0], last_pct=13)
    assert found.frag_pct_of_total.tolist() == [1.0] * 4 + [2.0] * 5 + [3.0] * 5
    assert found.alloc_pct.tolist() == [0.0] * 4 + [5.0] * 10


def test_a_full_cluster_has_no_fragmentation_of_what_is_idle() -> None:
    assert curves([20_000], [0, 20_000], [5000.0, 0.0]).frag_pct_of_idle[-1] == 0.0


def test_percentages_are_rounded_as_the_original_rounds_them() -> None:
    found = curves([200, 1], [0, 1, 2], [0.0, 1.0, 1.0])
    assert found.alloc_pct[1] == pytest.approx((0.0 + 0.01) / 2)  # 0.005 and 0.01, each to two decimals, half to even
    assert found.frag_pct_of_total[1] == pytest.approx(0.005)
    assert found.csv() == (
        "arrived_load_pct,alloc_pct,frag_pct_of_total,frag_pct_of_idle,occupied_nodes\n"
        "0,0.01,0.01,0.0100,1.50\n1,0.01,0.01,0.0100,1.50\n"
    )
