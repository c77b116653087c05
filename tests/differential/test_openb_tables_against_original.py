"""Our tables of nodes and pods against the published lists."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from phasewise.sched.cluster.node_lists import build_layout, read_node_list
from phasewise.sched.cluster.openb import read_nodes
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.workload.pods import read_pod_mix

pytestmark = pytest.mark.oracle

LISTS = ("default", "gpushare100", "gpuspec33", "multigpu20")


def test_the_inventory_is_the_published_node_list(shared_dir: Path) -> None:
    published = read_nodes(shared_dir / "data" / "openb" / "openb_node_list_gpu_node.csv")
    assert Counter(node[1:] for node in read_node_list("openb")) == Counter(node[1:] for node in published if node.gpus)


def test_the_table_of_pods_is_the_published_list(shared_dir: Path) -> None:
    published = read_pod_mix(str(shared_dir / "data" / "openb" / "openb_pod_list_default.csv"))
    assert dict(read_pod_mix("openb")) == dict(published)


@pytest.mark.parametrize("name", LISTS)
def test_every_published_pod_list_feeds_the_generator_on_the_published_nodes(name: str, shared_dir: Path) -> None:
    folder = shared_dir / "data" / "openb"
    nodes, pods = folder / "openb_node_list_gpu_node.csv", folder / f"openb_pod_list_{name}.csv"
    scenario = load_scenario("alibaba", {"cluster.nodes": str(nodes), "workload.pods": str(pods)})
    assert build_layout(scenario.cluster).gpus == 6212
