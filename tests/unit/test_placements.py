"""What each placement prefers, and the round that all of them share."""

from __future__ import annotations

import numpy as np
import pytest
from node_cases import LAYOUT, TASKS, held, nothing_placed, order_of, rules, view_of

from phasewise.sched import registry
from phasewise.sched.cluster.layout import ClusterLayout, Node
from phasewise.sched.cluster.requests import Request, TaskDistribution
from phasewise.sched.nodes.placement import NodePlacement
from phasewise.sched.nodes.state import NodeState
from phasewise.sched.streams import placement_stream

WHOLE, HALF, PAIR = Request(0, 1000, 1), Request(0, 500, 1), Request(0, 1000, 2)
both_forms = pytest.mark.parametrize("compiled", [True, False])


def state_of(*gpus: int, cpu_milli: int = 64_000, tasks: TaskDistribution = TASKS) -> NodeState:
    layout = ClusterLayout.of([Node(f"n{k}", "A", size, cpu_milli, 1_000) for k, size in enumerate(gpus)])
    return NodeState(layout, tasks, compiled=False)


def put(state: NodeState, request: Request, node: int) -> tuple[int, ...]:
    """Put a task on a node, on its first GPUs with room."""
    spot = state.place(rules()["first_fit"], state.register(request), node, node + 1)
    assert spot is not None
    return spot.gpus


def chosen(state: NodeState, name: str, request: Request) -> tuple[int, tuple[int, ...], int]:
    spot = state.place(rules()[name], state.register(request))
    assert spot is not None
    return spot


def test_every_placement_but_strided_keeps_a_job_on_one_node() -> None:
    bound = {"best_fit", "dot_product", "fgd", "gpu_clustering", "gpu_packing", "random"}
    assert bound | {"strided"} <= set(registry.placement_names())
    for name in bound:
        placement = registry.placement(name, registry.PlacementOptions(layout=LAYOUT, whole_gpus=False))
        assert isinstance(placement, NodePlacement)
        assert not placement.spans_nodes


def test_fgd_strands_as_little_as_it_can() -> None:
    tasks = TaskDistribution((Request(0, 500, 1), Request(0, 1000, 1)), np.array([0.5, 0.5]))
    state = state_of(1, 1, tasks=tasks)
    put(state, HALF, 1)
    # The free GPU serves both tasks, what is left of the other only halves: nothing is lost there.
    node, gpus, score = chosen(state, "fgd", HALF)
    assert (node, gpus) == (1, (1,))
    assert score > 50


def test_fgd_scores_fifty_where_nothing_changes() -> None:
    tasks = TaskDistribution((Request(0, 0, 0),), np.array([1.0]))
    assert chosen(state_of(2, tasks=tasks), "fgd", Request(1_000, 0, 0))[2] == 50


def test_best_fit_prefers_the_node_with_least_left() -> None:
    state = state_of(8, 4, 2)
    assert chosen(state, "best_fit", WHOLE)[0] == 2


def test_dot_product_prefers_the_node_least_like_the_request() -> None:
    state = state_of(8, 2)
    put(state, Request(60_000, 1000, 1), 0)  # little CPU left, many GPUs
    assert chosen(state, "dot_product", Request(4_000, 0, 0))[0] == 0
    assert chosen(state, "dot_product", WHOLE)[0] == 1


def test_gpu_packing_fills_shared_gpus_then_nodes_in_use_then_small_nodes() -> None:
    state = state_of(8, 2, 4)
    assert chosen(state, "gpu_packing", WHOLE)[0] == 1  # all are idle: the smallest
    put(state, HALF, 0)
    assert chosen(state, "gpu_packing", Request(0, 300, 1)) == (0, (0,), 95)
    assert chosen(state, "gpu_packing", Request(0, 900, 1))[2] == 49  # a free GPU of a node in use
    assert chosen(state, "gpu_packing", Request(0, 0, 0))[2] == 0


def test_gpu_clustering_puts_like_to_like() -> None:
    state = state_of(8, 8, 8, 8)
    put(state, HALF, 1)
    put(state, PAIR, 2)
    put(state, PAIR, 3)
    put(state, HALF, 3)
    assert chosen(state, "gpu_clustering", HALF)[0] == 1
    assert chosen(state, "gpu_clustering", PAIR)[0] == 2
    assert chosen(state, "gpu_clustering", WHOLE)[0] == 0  # none of its kind: a node that runs nothing


@pytest.mark.parametrize("name", ["best_fit", "dot_product", "gpu_packing", "gpu_clustering"])
def test_a_shared_gpu_is_the_tightest_that_fits(name: str) -> None:
    state = state_of(4)
    taken = [state.place(rules()["first_fit"], state.register(Request(0, milli, 1))) for milli in (600, 700, 650)]
    assert [spot.gpus for spot in taken if spot] == [(0,), (1,), (2,)]
    assert chosen(state, name, Request(0, 320, 1))[1] == (2,)
    assert chosen(state, name, Request(0, 320, 1))[1] == (0,)


@both_forms
def test_random_draws_evenly_and_by_its_seed(compiled: bool) -> None:
    layout = ClusterLayout.of([Node(f"n{k}", "A", 8) for k in range(8)])
    counts, found = np.zeros(8), []
    for seed in (1, 1, 2):
        options = registry.PlacementOptions(layout=layout, whole_gpus=False)
        placement = registry.placement("random", options)
        assert isinstance(placement, NodePlacement)
        state = NodeState(layout, TASKS, stream=placement_stream(seed), compiled=compiled)
        filled = state.place_all(placement.rule, [state.register(Request(0, 1, 1))] * 800)
        found.append(filled.node.tolist())
        counts += np.bincount(filled.node, minlength=8)
        devices = np.bincount(layout.gpu_index[filled.gpu], minlength=8)
        assert devices.min() > 60
    assert found[0] == found[1] != found[2]
    assert counts.min() > 240


# -- the round -------------------------------------------------------------------------------------------------------


@both_forms
def test_the_widest_jobs_are_placed_first_and_each_on_its_type(compiled: bool) -> None:
    state = NodeState(LAYOUT, TASKS, compiled=compiled)
    jobs = [HALF, Request(0, 1000, 8), Request(0, 1000, 8), Request(0, 1000, 8), PAIR]
    view = view_of(state, jobs, nothing_placed(5))
    placed = state.place_round(rules()["first_fit"], order_of(jobs, {0: 1, 1: 1, 2: 1, 3: 1, 4: 1}), view)
    # Two nodes of eight and one of two: the third wide job waits, and so does the last and narrowest.
    assert placed.worker_type.tolist() == [-1, 1, 1, -1, 1]
    last_node = int(LAYOUT.type_first_node[2]) - 1
    assert LAYOUT.gpu_node[held(placed, 4)].tolist() == [last_node] * 2


@both_forms
def test_a_second_call_in_a_round_keeps_what_the_first_placed(compiled: bool) -> None:
    state = NodeState(LAYOUT, TASKS, compiled=compiled)
    jobs = [HALF, PAIR, WHOLE]
    rule = rules()["fgd"]
    first = state.place_round(rule, order_of(jobs, {1: 1}), view_of(state, jobs, nothing_placed(3)))
    second = state.place_round(rule, order_of(jobs, {1: 1, 0: 0, 2: 2}), view_of(state, jobs, first))
    assert held(second, 1) == held(first, 1)
    assert second.worker_type.tolist() == [0, 1, 2]
    assert state.fragmentation() == state.recount()


@both_forms
def test_a_job_that_changes_type_or_is_not_chosen_gives_its_gpus_back_first(compiled: bool) -> None:
    state = NodeState(LAYOUT, TASKS, compiled=compiled)
    jobs = [Request(0, 1000, 4), Request(0, 1000, 4), Request(0, 1000, 4)]
    rule = rules()["fgd"]
    before = state.place_round(rule, order_of(jobs, {0: 2, 1: 1}), view_of(state, jobs, nothing_placed(3)))
    after = state.place_round(rule, order_of(jobs, {1: 2}), view_of(state, jobs, before))
    assert after.worker_type.tolist() == [-1, 2, -1]
    assert held(after, 1) == held(before, 0)  # the only node of that type, free again
    assert np.count_nonzero(state.gpu_left == 0) == 4


@both_forms
def test_a_chosen_job_that_may_not_be_placed_holds_nothing(compiled: bool) -> None:
    state = NodeState(LAYOUT, TASKS, compiled=compiled)
    jobs = [WHOLE, WHOLE]
    order = order_of(jobs, {0: 1, 1: 1}, unplaceable=(0,))
    placed = state.place_round(rules()["best_fit"], order, view_of(state, jobs, nothing_placed(2)))
    assert placed.worker_type.tolist() == [-1, 1]
    assert state.fragmentation().occupied_nodes == 1


@both_forms
def test_who_waits_is_listed_where_a_node_of_a_type_has_room_on_which_it_can_run(compiled: bool) -> None:
    layout = ClusterLayout.of([Node("n0", "A", 2, 8_000, 100), Node("n1", "B", 1, 8_000, 100)])
    state = NodeState(layout, TASKS, compiled=compiled)
    index = [
        state.register(request) for request in (WHOLE, HALF, PAIR, Request(9_000, 1000, 1), Request(0, 500, 1, "B"))
    ]
    assert state.place(rules()["first_fit"], index[1], 0, 1)  # half a GPU of A
    request = np.array([index[k] for k in (0, 1, 2, 3, 4, 0, 1, 0)])
    runs_on = np.array([-1, -1, -1, -1, -1, 0, -1, -1])
    placeable = np.array([True] * 6 + [False, True])
    throughput = np.array([[1.0, 2.0]] * 7 + [[0.0, 0.0]])
    row, speed = state.waiting_with_room(request, runs_on, placeable, throughput)
    assert row.tolist() == [0, 1, 4]  # a pair and 9 cores find no room, 5 runs, 6 may not be placed, 7 can run nowhere
    assert speed.tolist() == [[1.0, 2.0], [1.0, 2.0], [0.0, 2.0]]
    state.place(rules()["first_fit"], index[0], 1, 2)
    row, speed = state.waiting_with_room(request, runs_on, placeable, throughput)
    assert (row.tolist(), speed.tolist()) == ([0, 1], [[1.0, 0.0], [1.0, 0.0]])
