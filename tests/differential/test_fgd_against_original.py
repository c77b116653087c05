"""Placements on nodes against what the FGD simulator computed: node states, small clusters, every event of a trace."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from oracle import FGD, read

from phasewise.sched import registry
from phasewise.sched.cluster.layout import ClusterLayout, Node
from phasewise.sched.cluster.requests import Request, TaskDistribution, typical
from phasewise.sched.nodes.arrays import Need, NodeArrays
from phasewise.sched.nodes.fragmentation import by_class, fragmented_milli, stranded_milli
from phasewise.sched.nodes.rules import FirstFit
from phasewise.sched.nodes.state import NodeState, Spot

pytestmark = pytest.mark.oracle

NAMES = {
    "FGD": "fgd",
    "BestFit": "best_fit",
    "DotProd": "dot_product",
    "GpuPacking": "gpu_packing",
    "GpuClustering": "gpu_clustering",
    "Random": "random",
}


def distribution(tasks: list[Any]) -> TaskDistribution:
    return TaskDistribution(tuple(Request(*task) for task, _ in tasks), np.array([share for _, share in tasks]))


def rule_of(policy: str, layout: ClusterLayout, bit_compatible: bool = True) -> Any:
    options = registry.PlacementOptions(layout=layout, whole_gpus=False, bit_compatible=bit_compatible)
    return registry.placement(NAMES[policy], options).rule  # type: ignore[attr-defined]


def node_in_state(node: dict[str, Any], tasks: TaskDistribution) -> tuple[ClusterLayout, NodeState]:
    """Return one node with that much left of each GPU; what is missing is held by tasks without CPU or memory.

    GPU by GPU: while one is free and all others are full, a task can only go there.
    """
    left = node["gpu_left"]
    layout = ClusterLayout.of([Node("n", node["gpu_type"], len(left), node["cpu_left"])])
    state = NodeState(layout, tasks, compiled=False)
    rule = FirstFit()
    whole = state.register(Request(0, 1000, 1))
    for _ in left:
        state.place(rule, whole)
    plugs = []
    for gpu, milli in enumerate(left):
        if milli == 0:
            continue
        state.release_task(whole, 0, [gpu])
        if milli < 1000:
            assert state.place(rule, state.register(Request(0, 1000 - milli, 1))) is not None
        plugs.append((state.register(Request(0, milli, 1)), gpu))
        assert state.place(rule, plugs[-1][0]) is not None
    for request, gpu in plugs:
        state.release_task(request, 0, [gpu])
    assert state.gpu_left.tolist() == left
    return layout, state


def node_cases() -> list[tuple[TaskDistribution, dict[str, Any]]]:
    recorded = read(FGD / "node_cases.json")
    typical_of = {name: distribution(tasks) for name, tasks in recorded["typical"].items()}
    return [(typical_of[case["typical"]], case) for case in recorded["cases"]]


def pod_of(case: dict[str, Any]) -> Request:
    pod = case["pod"]
    return Request(pod["cpu"], pod["gpu_milli"], pod["gpu_num"], pod["gpu_spec"])


def test_400_node_states_are_as_fragmented_as_in_the_original() -> None:
    cases = node_cases()
    assert len(cases) == 400
    for tasks, case in cases:
        node, expected = case["node"], case["expect"]
        amounts = by_class(node["cpu_left"], node["gpu_left"], node["gpu_type"], tasks)
        assert amounts == pytest.approx(expected["frag7"], rel=1e-9, abs=1e-8), case["id"]
        assert fragmented_milli(amounts) == pytest.approx(expected["frag"], rel=1e-9), case["id"]
        _, state = node_in_state(node, tasks)
        assert state.fragmentation().fragmented_milli == pytest.approx(expected["frag"], rel=1e-9), case["id"]


def test_400_node_states_get_the_scores_and_gpus_of_the_original() -> None:
    names = {"FGD": "fgd_score", "BestFit": "bestfit_score", "DotProd": "dotprod_score", "GpuPacking": "packing_score"}
    for tasks, case in node_cases():
        expected, pod = case["expect"], pod_of(case)
        layout, state = node_in_state(case["node"], tasks)
        request = state.register(pod)
        for policy, key in names.items():
            spot = state.place(rule_of(policy, layout), request)
            assert (spot is not None) == expected["feasible"], case["id"]
            if spot is None:
                continue
            assert spot.score == expected.get(key, 0), (case["id"], policy)
            device = expected["fgd_gpu"] if policy == "FGD" else expected.get("best_gpu", "")
            assert "-".join(map(str, spot.gpus)) == device, (case["id"], policy)
            state.release_task(request, spot.node, spot.gpus)


def test_the_unit_cases_of_the_original_hold() -> None:
    recorded = read(FGD / "unit_cases_go_tests.json")
    typical_of = {name: distribution(tasks) for name, tasks in recorded["typical"].items()}
    checked = 0
    for case in recorded["cases"]:
        node = {"gpu_type": "1080", "cpu_left": 100_000, **case}
        tasks = typical_of[case.get("typical", "A")]
        if case["kind"] == "frag":
            amounts = by_class(node["cpu_left"], node["gpu_left"], node["gpu_type"], tasks)
            assert fragmented_milli(amounts) == pytest.approx(case["expect"], abs=case["tol"]), case["name"]
            found = node_in_state(node, tasks)[1].fragmentation().fragmented_milli
            assert found == pytest.approx(case["literal_python"], rel=1e-9), case["name"]
        elif case["kind"] == "stranded_milli":
            milli = stranded_milli(np.array(case["gpu_left"]), case["gpu_milli"], case["gpu_num"])
            assert milli == case["expect"], case["name"]
        elif case["kind"] == "packing_score" and case["gpu_milli"] == 1000:  # the other asks for parts of two GPUs
            layout, state = node_in_state(node, tasks)
            spot = state.place(rule_of("GpuPacking", layout), state.register(Request(0, 1000, case["gpu_num"])))
            assert spot is not None
            assert spot.score == case["expect"], case["name"]
        elif case["kind"] in {"sub", "add"}:
            left = case["gpu_left"] if case["kind"] == "sub" else case["expect"]["gpu_left"]
            cpu_left = case["cpu_left"] if case["kind"] == "sub" else case["expect"]["cpu_left"]
            _, state = node_in_state({"gpu_type": "1080", "gpu_left": left, "cpu_left": cpu_left}, tasks)
            request = state.register(Request(*case["pod"]))
            spot = state.place(FirstFit(), request)
            assert spot is not None
            after = case["expect"] if case["kind"] == "sub" else case
            assert state.gpu_left.tolist() == after["gpu_left"]
            assert state.cpu_left.tolist() == [after["cpu_left"]]
            state.release_task(request, 0, spot.gpus)
            assert state.gpu_left.tolist() == left
        checked += 1
    assert checked == len(recorded["cases"])


def small_runs() -> list[tuple[dict[str, Any], TaskDistribution]]:
    runs = read(FGD / "small_clusters.json")["runs"]
    tasks = {run["case"]: distribution(run["typical"]) for run in runs if run["typical"]}
    return [(run, tasks[run["case"]]) for run in runs]


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=pytest.mark.thorough), False])
def test_every_event_of_the_small_clusters_is_that_of_the_original(compiled: bool) -> None:
    runs = small_runs()
    assert len(runs) == 12
    for run, tasks in runs:
        nodes = [Node(n["name"], n["model"], n["gpus"], n["cpu_milli"], n["memory_mib"]) for n in run["nodes"]]
        layout = ClusterLayout.of(nodes)
        rank = {node["name"]: node["tie_rank"] for node in run["nodes"]}
        ranks = np.array([rank[name] for name in layout.node_names])
        state = NodeState(layout, tasks, rank=ranks, compiled=compiled)
        rule = rule_of(run["policy"], layout)
        for number, event in enumerate(run["events"]):
            where = (run["case"], run["policy"], number)
            request = state.register(request_of(event))
            drawn = run["policy"] == "Random"  # what it draws is its own: it is followed, event by event
            spot = follow(layout, state, event, request) if drawn else state.place(rule, request)
            gpus = [int(layout.gpu_index[gpu]) for gpu in spot.gpus] if spot else []
            assert (layout.node_names[spot.node] if spot else None) == (event["node"] or None), where
            assert gpus == event["gpus"], where
            now = state.fragmentation()
            assert now.fragmented_milli == pytest.approx(event["cluster_frag_milli"], abs=0.0051), where
            assert layout.gpus * 1000 - now.idle_milli == event["used_gpu_milli"], where
            assert now.occupied_nodes == event["used_nodes"], where


def request_of(event: dict[str, Any]) -> Request:
    return Request(event["cpu_milli"], event["gpu_milli"], event["gpu_num"], event["gpu_spec"], event["memory_mib"])


class Told(NamedTuple):
    """Places a task on the GPU that it is told."""

    gpu: int

    def score(self, nodes: NodeArrays, need: Need, node: int) -> int:
        return 0

    def scores(self, nodes: NodeArrays, need: Need, at: np.ndarray) -> np.ndarray:
        return np.zeros(len(at), np.int64)

    def device(self, nodes: NodeArrays, need: Need, node: int, score: int) -> int:
        return self.gpu


def follow(layout: ClusterLayout, state: NodeState, event: dict[str, Any], request: int) -> Spot | None:
    if not event["node"]:
        assert all(state_has_no_room(layout, state, request_of(event)))
        return None
    node = layout.node_names.index(event["node"])
    return state.place(Told(event["gpus"][0] if event["gpus"] else -1), request, node, node + 1)


def state_has_no_room(layout: ClusterLayout, state: NodeState, request: Request) -> list[bool]:
    """Return for each node whether a request finds no room, by the figures of what is left."""
    full = []
    for node in range(layout.nodes):
        gpus = state.gpu_left[layout.node_start[node] : layout.node_start[node + 1]]
        fits = (
            request.admits(layout.worker_types[layout.node_type[node]])
            and state.cpu_left[node] >= request.cpu_milli
            and state.memory_left[node] >= request.memory_mib
            and (gpus >= request.gpu_milli).sum() >= request.gpus
        )
        full.append(not fits)
    return full


class Trace(NamedTuple):
    layout: ClusterLayout
    rank: np.ndarray
    pods: list[Request]
    order: list[int]


@pytest.fixture(scope="module")
def trace(shared_dir: Path) -> Trace:
    folder = shared_dir / "data" / "openb"
    with (folder / "openb_node_list_gpu_node.csv").open() as file:
        nodes = [
            Node(row["sn"], row["model"], int(row["gpu"]), int(row["cpu_milli"]), int(row["memory_mib"]))
            for row in csv.DictReader(file)
        ]
    figures = ("cpu_milli", "gpu_milli", "num_gpu", "gpu_spec", "memory_mib")
    with (folder / "openb_pod_list_default.csv").open() as file:
        pods = {row["name"]: [row[name] for name in figures] for row in csv.DictReader(file)}
    requests = [
        Request(int(cpu), int(milli), int(gpus), spec, int(memory))
        for cpu, milli, gpus, spec, memory in (pods[name] for name in sorted(pods))
    ]
    seed = read(shared_dir / "oracle" / "fgd" / "arrival_orders_default.json.gz")["seeds"]["42"]
    layout = ClusterLayout.of(nodes)
    rank = dict(zip(sorted(node.name for node in nodes), seed["node_rank"], strict=True))
    return Trace(layout, np.array([rank[name] for name in layout.node_names]), requests, seed["order"])


@pytest.mark.parametrize("policy", ["FGD", "BestFit"])
def test_every_event_of_the_trace_is_that_of_the_original(shared_dir: Path, trace: Trace, policy: str) -> None:
    state = NodeState(trace.layout, typical((pod, 1) for pod in trace.pods), rank=trace.rank)
    requests = [state.register(trace.pods[index]) for index in trace.order]
    filled = state.place_all(rule_of(policy, trace.layout), requests)
    with gzip.open(shared_dir / "oracle" / "fgd" / f"placements_default_42_{policy}.csv.gz", "rt") as file:
        expected = [(row["node"], row["gpus"], int(row["score"])) for row in csv.DictReader(file)]
    index = [str(gpu) for gpu in trace.layout.gpu_index[filled.gpu].tolist()]
    found = [
        (
            trace.layout.node_names[node] if node >= 0 else "",
            "-".join(index[filled.first[event] : filled.first[event + 1]]),
            int(filled.score[event]),
        )
        for event, node in enumerate(filled.node.tolist())
    ]
    assert len(found) == 10_866
    assert found == expected
    assert state.fragmentation() == state.recount()
    assert filled.fragmented_milli[-1] == pytest.approx(state.fragmentation().fragmented_milli, rel=1e-9)


def test_exact_arithmetic_differs_from_the_original_in_few_events(trace: Trace) -> None:
    tasks = typical((pod, 1) for pod in trace.pods)
    states = [NodeState(trace.layout, tasks, rank=trace.rank) for _ in range(2)]
    exact, literal = (
        state.place_all(
            rule_of("FGD", trace.layout, bit_compatible=bit_compatible),
            [state.register(trace.pods[index]) for index in trace.order],
        )
        for state, bit_compatible in zip(states, (False, True), strict=True)
    )
    assert 0 < np.count_nonzero(exact.node != literal.node) < 100
    capacity = trace.layout.gpus * 1000
    assert abs(exact.used_milli - literal.used_milli).max() / capacity <= 0.0005
    assert abs(exact.fragmented_milli - literal.fragmented_milli).max() / capacity <= 0.0007
