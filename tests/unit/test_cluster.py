"""Where every GPU is."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from small_runs import node_sizes

from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.scenario.config import Cluster


def test_types_stand_in_alphabetical_order_and_nodes_are_numbered_over_all_of_them() -> None:
    layout = ClusterLayout.build(Cluster(gpus={"v100": 4, "k80": 3}, gpus_per_node={"v100": 2, "k80": 2}))
    assert layout.worker_types == ("k80", "v100")
    assert layout.capacity.tolist() == [3.0, 4.0]
    assert layout.type_start.tolist() == [0, 3, 7]
    assert layout.gpu_node.tolist() == [0, 0, 1, 2, 2, 3, 3]
    assert layout.gpu_index.tolist() == [0, 1, 0, 0, 1, 0, 1]


def test_a_type_without_gpus_is_left_out_and_a_node_has_one_gpu_unless_told() -> None:
    layout = ClusterLayout.build(Cluster(gpus={"v100": 2, "k80": 0}))
    assert layout.worker_types == ("v100",)
    assert layout.gpu_node.tolist() == [0, 1]
    assert layout.gpu_index.tolist() == [0, 0]


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 9), min_size=1), st.integers(1, 5))
def test_no_gpu_is_lost_and_none_is_in_two_places(gpus: dict[str, int], size: int) -> None:
    per_node = dict.fromkeys(gpus, size)
    layout = ClusterLayout.build(Cluster(gpus=gpus, gpus_per_node=per_node))
    places = list(zip(layout.gpu_node.tolist(), layout.gpu_index.tolist(), strict=True))
    assert layout.gpus == len(places) == sum(gpus.values())
    assert sorted(set(places)) == places
    assert np.bincount(layout.gpu_node).tolist() == node_sizes(gpus, per_node)
    assert np.diff(layout.type_start).tolist() == [gpus[name] for name in layout.worker_types]
