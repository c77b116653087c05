"""Jobs of more GPUs than a node has: their parts, worked out by hand, and that all of one is placed or none."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from node_cases import held, nothing_placed, order_of, rules, view_of

import phasewise
from phasewise.sched.api import Placed
from phasewise.sched.cluster.gangs import Gang, by_node, is_gang, types_for_job
from phasewise.sched.cluster.layout import ClusterLayout, Node
from phasewise.sched.cluster.requests import Request, TaskDistribution
from phasewise.sched.nodes.arrays import Need, NodeArrays
from phasewise.sched.nodes.state import NodeState

TASKS = TaskDistribution((Request(0, 1000, 1), Request(0, 1000, 4)), np.array([0.5, 0.5]))
FOURS = [Node(f"n{k}", "A", 4, 40_000, 400) for k in range(3)]
THREE = ClusterLayout.of(FOURS)
both_forms = pytest.mark.parametrize("compiled", [True, False])
every_rule = pytest.mark.parametrize("rule", sorted(rules()))


def gang(gpus: int, cores_a_gpu: int = 1, memory_a_gpu: int = 1) -> Request:
    return Request(1000 * cores_a_gpu * gpus, 1000, gpus, "", memory_a_gpu * gpus)


def run(
    state: NodeState, layout: ClusterLayout, jobs: list[Request], chosen: dict[int, int], before: Placed | None = None,
    rule: str = "fgd",
) -> Placed:  # fmt: skip
    view = view_of(state, jobs, nothing_placed(len(jobs)) if before is None else before, layout)
    return state.place_round(rules()[rule], order_of(jobs, chosen), view)


# -- parts -----------------------------------------------------------------------------------------------------------


def test_a_gang_fills_nodes_and_takes_what_remains_from_one_more() -> None:
    assert Gang.of(gang(10, 2, 3), 4) == Gang(2, Request(8_000, 1000, 4, "", 12), Request(4_000, 1000, 2, "", 6))
    assert Gang.of(gang(8), 4) == Gang(2, Request(4_000, 1000, 4, "", 4), None)
    assert Gang.of(gang(8), 4).nodes == 2
    assert Gang.of(gang(10), 4).parts() == [gang(4), gang(4), gang(2)]


def test_cpu_and_memory_that_do_not_divide_are_rounded_up() -> None:
    whole, rest = Gang.of(Request(1_000, 1000, 3, "", 10), 2)[1:]
    assert rest is not None
    assert (whole.cpu_milli, rest.cpu_milli) == (667, 334)
    assert (whole.memory_mib, rest.memory_mib) == (7, 4)


def test_a_job_is_a_gang_where_no_node_that_admits_it_has_its_gpus() -> None:
    layout = ClusterLayout.of([Node("a", "A", 8), Node("b0", "B", 1), Node("b1", "B", 1)])
    assert not is_gang(Request(0, 1000, 8), layout)
    assert is_gang(Request(0, 1000, 9), layout)
    assert is_gang(Request(0, 1000, 2, "B"), layout)
    assert not is_gang(Request(0, 500, 1), layout)
    assert not is_gang(Request(0, 1000, 2, "C"), layout)


def test_idle_nodes_can_hold_a_gang_where_there_are_enough_of_them() -> None:
    small = [Node("s", "A", 2, 40_000, 400), Node("b", "B", 8)]
    layout = ClusterLayout.of(FOURS + small)
    wide = Request(0, 1000, 9)
    assert types_for_job(layout, wide).tolist() == [True, False]  # B has one node, and nine take two
    assert types_for_job(layout, wide._replace(gpus=12)).tolist() == [True, False]
    assert types_for_job(layout, wide._replace(gpus=14)).tolist() == [True, False]  # two more, on the small one
    assert types_for_job(layout, wide._replace(gpus=15)).tolist() == [False, False]
    assert types_for_job(layout, wide._replace(gpu_spec="B")).tolist() == [False, False]
    assert types_for_job(layout, gang(12, 10)).tolist() == [True, False]
    assert types_for_job(layout, gang(12, 11)).tolist() == [False, False]
    assert types_for_job(layout, gang(12, 1, 101)).tolist() == [False, False]


def test_fragmentation_is_judged_by_the_parts_of_a_gang() -> None:
    tasks = TaskDistribution((Request(0, 1000, 10), Request(0, 1000, 1)), np.array([0.25, 0.75]))
    seen = by_node(tasks, THREE)
    got = dict(zip(seen.requests, seen.share.tolist(), strict=True))
    # 1/4 of ten GPUs is 2/4 of four and 1/4 of two, beside 3/4 of one: 6/4 in all.
    assert got == pytest.approx({Request(0, 1000, 1): 1 / 2, Request(0, 1000, 4): 1 / 3, Request(0, 1000, 2): 1 / 6})
    assert by_node(TASKS, THREE) is TASKS


# -- a round ---------------------------------------------------------------------------------------------------------


@both_forms
@every_rule
def test_a_gang_that_just_fits_takes_all(compiled: bool, rule: str) -> None:
    state = NodeState(THREE, TASKS, compiled=compiled)
    jobs = [gang(12, 10, 100)]
    placed = run(state, THREE, jobs, {0: 0}, rule=rule)
    assert held(placed, 0) == list(range(12))
    assert state.gpu_left.tolist() == [0] * 12
    assert state.cpu_left.tolist() == state.memory_left.tolist() == [0, 0, 0]
    assert state.tasks.tolist() == [1, 1, 1]


@both_forms
@every_rule
def test_a_gang_that_lacks_one_node_leaves_all_as_it_was(compiled: bool, rule: str) -> None:
    state = NodeState(THREE, TASKS, compiled=compiled)
    state.place(rules()["first_fit"], state.register(Request(0, 500, 1)), 1, 2)  # half a GPU of the second node
    before = (state.gpu_left.tolist(), state.cpu_left.tolist(), state.tasks.tolist(), state.fragmentation())
    jobs = [gang(12)]
    placed = run(state, THREE, jobs, {0: 0}, rule=rule)
    assert placed.worker_type.tolist() == [-1]
    assert (state.gpu_left.tolist(), state.cpu_left.tolist(), state.tasks.tolist(), state.fragmentation()) == before
    # Eleven GPUs are two nodes and three of the second node's that are free.
    assert held(run(state, THREE, [gang(11)], {0: 0}, rule=rule), 0) == [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11]


@both_forms
def test_where_only_cpu_is_lacking_a_gang_waits(compiled: bool) -> None:
    state = NodeState(THREE, TASKS, compiled=compiled)
    state.place(rules()["first_fit"], state.register(Request(4_001, 0, 0)), 2, 3)  # all GPUs are free
    assert run(state, THREE, [gang(12, 9)], {0: 0}).worker_type.tolist() == [-1]
    assert state.cpu_left.tolist() == [40_000, 40_000, 35_999]
    # Its part of two GPUs is what fits beside that task.
    placed = run(state, THREE, [gang(10, 9)], {0: 0})
    assert held(placed, 0) == list(range(10))
    assert state.cpu_left.tolist() == [4_000, 4_000, 17_999]


@both_forms
def test_a_gang_gives_all_back_and_another_follows(compiled: bool) -> None:
    state = NodeState(THREE, TASKS, compiled=compiled)
    jobs = [gang(10, 3), gang(9, 2)]
    first = run(state, THREE, jobs, {0: 0, 1: 0})  # the wider one first; two GPUs are left
    assert first.worker_type.tolist() == [0, -1]
    state.release(np.array([0]), first.holding, view_of(state, jobs, first, THREE).request)
    assert state.gpu_left.tolist() == [1000] * 12
    assert state.cpu_left.tolist() == [40_000] * 3
    assert state.tasks.tolist() == [0, 0, 0]
    second = run(state, THREE, jobs[1:], {0: 0})
    assert held(second, 0) == list(range(9))
    assert state.cpu_left.tolist() == [32_000, 32_000, 38_000]


@both_forms
def test_a_gang_keeps_its_nodes_or_moves_whole_to_another_type(compiled: bool) -> None:
    layout = ClusterLayout.of([*FOURS, *(Node(f"b{k}", "B", 8, 80_000, 800) for k in range(2))])
    state = NodeState(layout, TASKS, compiled=compiled)
    jobs = [gang(9, 4)]
    first = run(state, layout, jobs, {0: 0})
    kept = run(state, layout, jobs, {0: 0}, first)
    assert held(kept, 0) == held(first, 0) == list(range(9))
    moved = run(state, layout, jobs, {0: 1}, kept)
    assert held(moved, 0) == list(range(12, 21))  # eight and one
    assert state.cpu_left.tolist() == [40_000] * 3 + [48_000, 76_000]
    gone = run(state, layout, jobs, {}, moved)
    assert gone.holding.gpu.size == 0
    assert state.gpu_left.tolist() == [1000] * layout.gpus
    assert state.fragmentation() == state.recount()


@both_forms
def test_room_for_a_gang_is_counted_in_nodes(compiled: bool) -> None:
    layout = ClusterLayout.of([*FOURS, Node("b", "B", 4), Node("c", "B", 8)])
    state = NodeState(layout, TASKS, compiled=compiled)
    wide = [state.register(each) for each in (gang(9), gang(11), gang(12, 9), Request(0, 1000, 9, "B"))]
    ask = np.array(wide)
    assert state.types_with_room(ask).tolist() == [[True, True], [True, True], [True, True], [False, True]]
    state.place(rules()["first_fit"], state.register(Request(5_000, 1000, 2)), 0, 1)
    assert state.types_with_room(ask).tolist() == [[True, True], [False, True], [False, True], [False, True]]
    state.place(rules()["first_fit"], state.register(Request(0, 1000, 1)), 4, 5)
    runs_on, throughput = np.full(4, -1), np.ones((4, 2))
    row, speed = state.waiting_with_room(ask, runs_on, np.ones(4, np.bool_), throughput)
    assert (row.tolist(), speed.tolist()) == ([0], [[1.0, 0.0]])


class _OneNode(NamedTuple):
    """Turns down every node but the first, whatever room others have."""

    def score(self, nodes: NodeArrays, need: Need, node: int) -> int:
        return 0

    def scores(self, nodes: NodeArrays, need: Need, at: np.ndarray) -> np.ndarray:
        return np.zeros(len(at), np.int64)

    def pick(self, nodes: NodeArrays, row: np.ndarray, low: int, high: int) -> int:
        return low if row[low] >= 0 else -1


@both_forms
def test_a_rule_that_turns_a_node_down_undoes_what_was_placed_of_a_gang(compiled: bool) -> None:
    state = NodeState(THREE, TASKS, compiled=compiled)
    jobs = [gang(10), gang(4)]
    placed = state.place_round(_OneNode(), order_of(jobs, {0: 0, 1: 0}), view_of(state, jobs, nothing_placed(2), THREE))
    assert placed.worker_type.tolist() == [-1, 0]
    assert held(placed, 1) == [0, 1, 2, 3]
    assert state.gpu_left.tolist() == [0] * 4 + [1000] * 8
    assert state.tasks.tolist() == [1, 0, 0]
    assert state.fragmentation() == state.recount()


@both_forms
def test_a_gang_changes_what_it_asks_for_on_all_its_nodes_or_on_none(compiled: bool) -> None:
    state = NodeState(THREE, TASKS, compiled=compiled)
    jobs = [gang(10, 2)]
    gpus = run(state, THREE, jobs, {0: 0}).holding.gpu
    old, new, more = (state.register(gang(10, cores)) for cores in (2, 5, 11))
    assert state.exchange(gpus, old, new)
    assert state.cpu_left.tolist() == [20_000, 20_000, 30_000]
    assert not state.exchange(gpus, new, more)  # 44 cores on a node of 40
    assert state.cpu_left.tolist() == [20_000, 20_000, 30_000]


def test_an_account_that_was_written_down_knows_the_parts_of_gangs() -> None:
    state = NodeState(THREE, TASKS)
    jobs = [gang(4), gang(10, 2)]
    placed = run(state, THREE, jobs, {1: 0})
    other = NodeState(THREE, TASKS)
    other.restore(state.written())
    assert other.requests == state.requests
    other.release(np.array([1]), placed.holding, view_of(state, jobs, placed, THREE).request)
    assert other.gpu_left.tolist() == [1000] * 12
    assert other.cpu_left.tolist() == [40_000] * 3


# -- a run -----------------------------------------------------------------------------------------------------------

NODES = "sn,cpu_milli,memory_mib,gpu,model\n" + "".join(f"n{k},40000,400000,4,V100\n" for k in range(3))
HEAD = "job_name,organization,gpu_model,cpu_request,gpu_request,worker_num,submit_time,duration,job_type\n"


def simulated(folder: Path, rows: str, **changes: object) -> phasewise.Run:
    (folder / "nodes.csv").write_text(NODES)
    (folder / "jobs.csv").write_text(HEAD + rows)
    overrides = {
        "cluster.nodes": str(folder / "nodes.csv"), "workload.trace": str(folder / "jobs.csv"),
        "workload.trace_format": "spot2026", "workload.speed": {"V100": 1.0}, "workload.reference_type": "V100",
        "placement.name": "fgd", "policy.name": "fifo", "timing.round_s": 100.0, "output.check_invariants": True,
        **changes,
    }  # fmt: skip
    return phasewise.run("toy", overrides=overrides)


def test_gangs_run_one_after_another_and_hold_gpus_of_several_nodes(tmp_path: Path) -> None:
    rows = "a,o,V100,2,2,5,0,250,HP\nb,o,V100,1,1,9,0,100,HP\nc,o,V100,1,1,2,0,100,HP\n"
    run = simulated(tmp_path, rows)
    assert run.status == "complete"
    # Ten GPUs for 250 s. Nine are not free until then, and the third comes after the second; then both run at once.
    assert run.jobs["completion_s"].tolist() == [250.0, 350.0, 350.0]
    held = run.placements
    places = sorted(zip(held["job_id"].tolist(), held["node"].tolist(), held["gpu"].tolist(), strict=True))
    nodes = {job: [place[1] for place in places if place[0] == job] for job in range(3)}
    assert nodes == {0: [0] * 4 + [1] * 4 + [2] * 2, 1: [0] * 4 + [1] * 4 + [2], 2: [2, 2]}
    assert run.summary["jobs_refused"] == 0


def test_a_gang_is_refused_where_the_nodes_are_too_few_and_it_says_what_is_lacking(tmp_path: Path) -> None:
    rows = "a,o,V100,1,1,13,0,100,HP\nb,o,V100,11,1,12,0,100,HP\nc,o,V100,10,1,12,0,100,HP\n"
    with pytest.warns(RuntimeWarning, match="2 of 3 jobs were refused"):
        run = simulated(tmp_path, rows)
    assert run.jobs["status"].tolist() == ["refused", "refused", "complete"]
    assert run.summary["jobs_refused_example"] == (
        "job 0 (job) needs 13 GPUs, 13 cores on several nodes of one type; types that can run it: V100 (3 nodes with "
        "4 GPUs, 4 cores and one with 1 GPUs, 1 cores; it has 3, the largest with 4 GPUs, 40 cores, 400000 MiB)"
    )


def test_nodes_without_gpus_hold_no_part_of_a_gang() -> None:
    nodes = [Node("bare", "none", 0, 64_000, 64_000), *(Node(f"n{k}", "v100", 2, 8_000, 8_000) for k in range(2))]
    layout = ClusterLayout.of(nodes)
    gang, single = Request(4_000, 1000, 4), Request(4_000, 1000, 2)
    assert is_gang(gang, layout)
    assert not is_gang(single, layout)
    assert types_for_job(layout, gang).tolist() == [name == "v100" for name in layout.worker_types]
