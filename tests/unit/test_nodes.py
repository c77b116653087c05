"""What is left on every node: one task at a time, many in order, and what is kept between them."""

from __future__ import annotations

import numpy as np
import pytest
from node_cases import GPU_REQUESTS, LAYOUT, REQUESTS, TASKS, rules

from phasewise.sched.cluster.layout import ClusterLayout, Node
from phasewise.sched.cluster.requests import Request, TaskDistribution
from phasewise.sched.nodes.rules import FirstFit
from phasewise.sched.nodes.state import ROW_BYTES, NodeState

NO_TASKS = TaskDistribution((), np.empty(0))
both_forms = pytest.mark.parametrize("compiled", [True, False])


def one_node(gpus: int = 4, cpu_milli: int = 10_000, memory_mib: int = 1_000) -> ClusterLayout:
    return ClusterLayout.of([Node("n", "A", gpus, cpu_milli, memory_mib)])


@both_forms
@pytest.mark.parametrize(
    ("request_", "fits"),
    [
        (Request(10_000, 1000, 4, "A|B", 1_000), True),
        (Request(10_001, 500, 1), False),
        (Request(0, 500, 1, "", 1_001), False),
        (Request(0, 1000, 5), False),
        (Request(0, 500, 1, "B"), False),
        (Request(10_000, 0, 0, "", 1_000), True),
    ],
)
def test_a_task_goes_where_gpus_cpu_and_memory_suffice(request_: Request, fits: bool, compiled: bool) -> None:
    state = NodeState(one_node(), NO_TASKS, compiled=compiled)
    assert (state.place(FirstFit(), state.register(request_)) is not None) == fits


@both_forms
def test_what_is_released_is_free_again(compiled: bool) -> None:
    state = NodeState(one_node(), TASKS, compiled=compiled)
    empty = state.fragmentation()
    rule, request = FirstFit(), state.register(Request(3_000, 400, 1, "", 100))
    spots = [state.place(rule, request) for _ in range(3)]
    assert [spot.gpus for spot in spots if spot] == [(0,), (0,), (1,)]
    assert state.gpu_left.tolist() == [200, 600, 1000, 1000]
    assert (state.cpu_left.tolist(), state.memory_left.tolist(), state.tasks.tolist()) == ([1_000], [700], [3])
    assert state.place(rule, request) is None
    for spot in spots:
        assert spot is not None
        state.release_task(request, spot.node, spot.gpus)
    assert state.gpu_left.tolist() == [1000] * 4
    assert state.fragmentation() == empty == state.recount()


@both_forms
def test_a_node_takes_no_more_tasks_than_the_limit(compiled: bool) -> None:
    state = NodeState(one_node(), NO_TASKS, compiled=compiled)
    request = state.register(Request(0, 0, 0))
    filled = state.place_all(FirstFit(), [request] * 1003)
    assert np.count_nonzero(filled.node >= 0) == 1001


@both_forms
def test_ties_of_scores_go_to_the_lowest_rank(compiled: bool) -> None:
    layout = ClusterLayout.of([Node(f"n{k}", "A", 2) for k in range(4)])
    state = NodeState(layout, NO_TASKS, rank=np.array([3, 1, 0, 2]), compiled=compiled)
    filled = state.place_all(FirstFit(), [state.register(Request(0, 1000, 2))] * 5)
    assert filled.node.tolist() == [2, 1, 3, 0, -1]
    assert filled.score.tolist() == [0, 0, 0, 0, -1]
    assert filled.gpu.tolist() == [4, 5, 2, 3, 6, 7, 0, 1]
    assert filled.first.tolist() == [0, 2, 4, 6, 8, 8]
    assert filled.used_milli.tolist() == [2000, 4000, 6000, 8000, 8000]


@both_forms
def test_only_the_nodes_given_are_tried(compiled: bool) -> None:
    state = NodeState(LAYOUT, TASKS, compiled=compiled)
    request, rule = state.register(Request(0, 1000, 1)), FirstFit()
    low, high = LAYOUT.type_first_node[2], LAYOUT.type_first_node[3]
    spots = [state.place(rule, request, int(low), int(high)) for _ in range(5)]
    assert [spot and spot.node for spot in spots] == [low] * 4 + [None]


def test_equal_requests_share_an_index_and_memory_counts() -> None:
    state = NodeState(LAYOUT, TASKS)
    first = state.register(Request(1, 500, 1, "", 7))
    assert state.register(Request(1, 500, 1, "", 8)) != first
    assert state.register(Request(1, 500, 1, "", 7)) == first


@both_forms
@pytest.mark.parametrize("name", sorted(rules()))
def test_placing_all_at_once_is_placing_one_by_one(name: str, compiled: bool) -> None:
    rng = np.random.default_rng(3)
    rows = rng.integers(0, len(REQUESTS), 120).tolist()
    together, single = (NodeState(LAYOUT, TASKS, compiled=compiled) for _ in range(2))
    wanted = [together.register(REQUESTS[row]) for row in rows]
    filled = together.place_all(rules()[name], wanted)
    rule = rules()[name]
    for event, row in enumerate(rows):
        spot = single.place(rule, single.register(REQUESTS[row]))
        assert filled.node[event] == (spot.node if spot else -1)
        assert filled.score[event] == (spot.score if spot else -1)
        assert tuple(filled.gpu[filled.first[event] : filled.first[event + 1]]) == (spot.gpus if spot else ())
        now = single.fragmentation()
        assert filled.used_milli[event] == LAYOUT.gpus * 1000 - now.idle_milli
        assert filled.fragmented_milli[event] == pytest.approx(now.fragmented_milli, rel=1e-9, abs=1e-6)


@both_forms
def test_requests_that_take_turns_in_the_rows_kept_place_alike(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    rows = rng.integers(0, len(GPU_REQUESTS), 80)
    found = []
    for room in (ROW_BYTES, 3 * 2 * LAYOUT.nodes):  # room for all, and for three rows
        monkeypatch.setattr("phasewise.sched.nodes.state.ROW_BYTES", room)
        state = NodeState(LAYOUT, TASKS, compiled=compiled)
        wanted = [state.register(request) for request in GPU_REQUESTS]
        filled = state.place_all(rules()["fgd"], np.array(wanted)[rows])
        found.append((filled.node.tolist(), filled.gpu.tolist(), filled.score.tolist()))
    assert found[0] == found[1]


def test_scores_stay_right_when_more_was_touched_than_the_log_holds() -> None:
    found = []
    for seen_before in (True, False):
        state = NodeState(LAYOUT, TASKS)
        rule, late, often = rules()["fgd"], state.register(GPU_REQUESTS[0]), state.register(GPU_REQUESTS[2])
        if seen_before:
            spot = state.place(rule, late)
            assert spot is not None
            state.release_task(late, spot.node, spot.gpus)
        for _ in range(40):  # five times the nodes
            spot = state.place(rule, often)
        found.append(state.place(rule, late))
    assert found[0] == found[1]
