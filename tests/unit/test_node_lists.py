"""Clusters given as lists of nodes: the built-in inventories, CSV files, and what is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from phasewise.sched.cluster.inventories import inventory_names
from phasewise.sched.cluster.layout import UNLIMITED, ClusterLayout
from phasewise.sched.cluster.node_lists import build_layout, gpus_by_type, read_node_list, types_with_room
from phasewise.sched.cluster.requests import Request
from phasewise.sched.errors import ScenarioError, TraceError
from phasewise.sched.scenario.config import Cluster, Scenario
from phasewise.sched.scenario.loading import load_scenario, resolve, scan_scenario

HEADER = "sn,cpu_milli,memory_mib,gpu,model\n"
GENERATED = {"workload.pods": "", "workload.initial_jobs": 0}


@pytest.fixture
def node_list(tmp_path: Path) -> Path:
    path = tmp_path / "nodes.csv"
    path.write_text(HEADER + "b,8000,1024,2,T4\na,16000,2048,1,P100\nidle,64000,4096,0,\nc,9000,1024,4,T4\n")
    return path


def refusal(name: str, overrides: dict[str, object]) -> str:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(name, overrides)
    return str(caught.value)


def layout_of(name: str) -> ClusterLayout:
    return build_layout(Cluster(nodes=name))


def test_openb_is_1213_nodes_with_6212_gpus_of_seven_types() -> None:
    layout = layout_of("openb")
    assert (layout.nodes, layout.gpus) == (1213, 6212)
    assert dict(zip(layout.worker_types, layout.capacity.tolist(), strict=True)) == {
        "A10": 2, "G2": 4392, "G3": 312, "P100": 265, "T4": 842, "V100M16": 195, "V100M32": 204,
    }  # fmt: skip
    assert (layout.cpu_milli.sum(), layout.memory_mib.sum()) == (107_018_000, 503_828_480)


def test_openb_uniform_is_openb_in_nodes_of_8_without_a10() -> None:
    layout = layout_of("openb-uniform")
    assert (layout.nodes, layout.gpus, len(layout.worker_types)) == (775, 6200, 6)
    assert {node.gpus for node in read_node_list("openb-uniform")} == {8}
    whole = gpus_by_type(read_node_list("openb"))
    for name, count in gpus_by_type(read_node_list("openb-uniform")).items():
        assert count == whole[name] // 8 * 8


def test_a_uniform_node_has_the_mean_cpu_and_memory_of_its_gpus_in_openb() -> None:
    for each in {node[1:] for node in read_node_list("openb-uniform")}:
        kind, gpus, cpu_milli, memory_mib = each
        alike = [node for node in read_node_list("openb") if node.worker_type == kind]
        total = sum(node.gpus for node in alike)
        assert 0 <= gpus * sum(node.cpu_milli for node in alike) / total - cpu_milli < 1000
        assert 0 <= gpus * sum(node.memory_mib for node in alike) / total - memory_mib < 1024


def test_cluster_h_is_1200_nodes_of_one_type_with_cpu_and_memory_in_proportion() -> None:
    nodes = read_node_list("cluster-h")
    sizes = [node.gpus for node in nodes]
    assert {size: sizes.count(size) for size in set(sizes)} == {1: 200, 2: 228, 4: 310, 8: 462}
    assert (sum(sizes), {node.worker_type for node in nodes}) == (5592, {"V100M32"})
    assert {(node.cpu_milli // node.gpus, node.memory_mib // node.gpus) for node in nodes} == {(16_000, 98_304)}


@pytest.mark.parametrize("name", inventory_names())
def test_the_nodes_of_an_inventory_have_names_of_their_own(name: str) -> None:
    names = layout_of(name).node_names
    assert len(set(names)) == len(names)


def test_a_csv_gives_its_nodes_by_type_and_those_without_gpus_are_left_out(node_list: Path) -> None:
    layout = layout_of(str(node_list))
    assert layout.worker_types == ("P100", "T4")
    assert layout.node_names == ("a", "b", "c")
    assert layout.cpu_milli.tolist() == [16000, 8000, 9000]
    assert layout.limited


def test_gpus_by_type_make_nodes_without_limits() -> None:
    layout = build_layout(Cluster(gpus={"v100": 5}, gpus_per_node={"v100": 2}))
    assert layout.node_start.tolist() == [0, 2, 4, 5]
    assert set(layout.cpu_milli.tolist()) == {UNLIMITED}
    assert not layout.limited


def test_the_resolved_scenario_holds_the_list_and_its_gpus_and_survives_its_own_writing() -> None:
    scenario = load_scenario("alibaba-uniform")
    assert scenario.cluster.nodes == "openb-uniform"
    assert (sum(scenario.cluster.gpus.values()), scenario.cluster.gpus_per_node) == (6200, {})
    assert resolve(msgspec.json.decode(msgspec.json.encode(scenario), type=Scenario)) == scenario


def test_another_cluster_replaces_the_list_and_another_list_the_cluster(node_list: Path) -> None:
    by_type = load_scenario("alibaba", {**GENERATED, "cluster.gpus": "T4=4"})
    assert by_type.cluster == Cluster(gpus={"T4": 4}, gpus_per_node={"T4": 1})
    listed = load_scenario("toy", {"cluster.nodes": str(node_list)})
    assert listed.cluster == Cluster(nodes=str(node_list), gpus={"P100": 1, "T4": 6})


def test_a_node_list_is_relative_to_its_scenario_file(node_list: Path) -> None:
    path = node_list.with_name("mine.toml")
    path.write_text('[cluster]\nnodes = "nodes.csv"\n[workload]\njobs = 3\n')
    assert load_scenario(path).cluster.nodes == str(node_list)
    path.write_text('[cluster]\nnodes = "openb"\n[workload]\njobs = 3\n')
    assert load_scenario(path).cluster.nodes == "openb"


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"cluster.nodes": "opnb"}, "cluster.nodes: 'opnb' is no node list, did you mean 'openb'?; allowed: cluster-h"),
        (
            {"cluster.nodes": "/"},
            "cluster.nodes: '/' is a folder; allowed: cluster-h, openb, openb-uniform, spot2026, or",
        ),
        ({"cluster.nodes": ""}, "gives 0 GPUs in all; allowed: at least one GPU"),
        ({"cluster.nodes": "openb", "cluster.gpus": "T4=4"}, 'got {"T4": 4} beside cluster.nodes "openb"; allowed'),
        ({"cluster.gpus_per_node": "T4=4"}, 'cluster.gpus_per_node: got {"T4": 4} beside cluster.nodes "openb"'),
        ({"timing.preset": "gavel"}, "cluster.nodes: names A10, G2, G3, P100, T4, V100M16, V100M32, but timing preset"),
    ],
)
def test_a_wrong_cluster_is_one_message(overrides: dict[str, object], told: str) -> None:
    message = refusal("alibaba", overrides)
    assert told in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("a,1000,1024,0,\n", "no node has a GPU; allowed: a list of nodes of which some have GPUs"),
        ("a,1000,1024,1,T 4\n", "model of node 'a' is 'T 4'; allowed: letters, digits"),
        ("a,1000,1024,x,T4\n", "nodes.csv:2: gpu is 'x'"),
    ],
)
def test_a_wrong_node_list_is_one_message(node_list: Path, rows: str, told: str) -> None:
    node_list.write_text(HEADER + rows)
    message = refusal("toy", {"cluster.nodes": str(node_list)})
    assert message.startswith("cluster.nodes: ")
    assert told in message
    assert "\n" not in message
    with pytest.raises((ScenarioError, TraceError)):
        read_node_list(str(node_list))


def test_a_scenario_file_is_blamed_for_its_node_list(node_list: Path) -> None:
    node_list.write_text(HEADER + "a,1000,1024,x,T4\n")
    path = node_list.with_name("mine.toml")
    path.write_text('[cluster]\n\nnodes = "nodes.csv"\n[workload]\njobs = 3\n')
    (fault,) = scan_scenario(path)
    assert fault.line == 3
    assert "nodes.csv:2: gpu is 'x'" in fault.message


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (Request(1000, 1000, 1), [True, True]),
        (Request(10_000, 500, 1), [True, False]),
        (Request(1000, 1000, 3), [False, True]),
        (Request(8500, 1000, 4, "T4|G2"), [False, True]),
        (Request(1000, 1000, 1, "P100"), [True, False]),
        (Request(1000, 1000, 1, "G2"), [False, False]),
        (Request(1000, 1000, 1, memory_mib=2000), [True, False]),
        (Request(1000, 1000, 8), [False, False]),
    ],
)
def test_a_request_finds_room_where_one_node_has_all_of_it(
    node_list: Path, request_: Request, expected: list[bool]
) -> None:
    assert types_with_room(layout_of(str(node_list)), request_).tolist() == expected
