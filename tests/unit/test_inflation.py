"""The inflation experiment: who may be placed where, what counts as typical, and that nothing depends on chance."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import small_lists

from phasewise.sched.cluster.layout import ClusterLayout, Node
from phasewise.sched.cluster.requests import Request
from phasewise.sched.errors import ScenarioError, UnknownPlacementError
from phasewise.sched.inflation.experiment import Experiment, Filling, FillProgress, Setting, fill, prepare
from phasewise.sched.inflation.records import curves, placement_columns, summarise
from phasewise.sched.registry import PlacementOptions, placement, placement_names

WITH_RULE = [
    name
    for name in placement_names()
    if hasattr(placement(name, PlacementOptions(ClusterLayout.of([Node("n", "T4", 1)]), whole_gpus=False)), "rule")
]


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    nodes, pods = small_lists.write_lists(tmp_path)
    return Setting(nodes=str(nodes), pods=pods, placement="fgd", seed=7)


def placed(setting: Setting) -> tuple[Experiment, Filling]:
    experiment, filling = prepare(setting), Filling()
    fill(experiment, filling)
    return experiment, filling


class Ledger:
    """What is left on every node, kept in the plainest way."""

    def __init__(self, experiment: Experiment) -> None:
        layout = experiment.layout
        self.kind = [layout.worker_types[kind] for kind in layout.node_type]
        self.cpu, self.memory = layout.cpu_milli.tolist(), layout.memory_mib.tolist()
        self.left = [[1000] * size for size in np.diff(layout.node_start)]
        self.start = layout.node_start.tolist()

    def has_room(self, node: int, request: Request) -> bool:
        fitting = sum(left >= request.gpu_milli for left in self.left[node])
        return (
            request.admits(self.kind[node])
            and self.cpu[node] >= request.cpu_milli
            and self.memory[node] >= request.memory_mib
            and (request.gpus == 0 or fitting >= request.gpus)
        )

    def take(self, node: int, gpus: list[int], request: Request) -> None:
        self.cpu[node] -= request.cpu_milli
        self.memory[node] -= request.memory_mib
        for gpu in gpus:
            self.left[node][gpu - self.start[node]] -= request.gpu_milli


@pytest.mark.parametrize("name", WITH_RULE)
def test_a_pod_is_placed_where_there_is_room_and_dropped_only_where_there_is_none(setting: Setting, name: str) -> None:
    experiment, filling = placed(dataclasses.replace(setting, placement=name))
    ledger = Ledger(experiment)
    used = 0
    for event, pod in enumerate(experiment.order.pod):
        request, node, gpus = experiment.pods[pod].request, filling.node[event], filling.gpus[event]
        roomy = [index for index in range(experiment.layout.nodes) if ledger.has_room(index, request)]
        if node < 0:
            assert (roomy, gpus, filling.score[event]) == ([], [], -1)
        else:
            assert node in roomy
            assert len(set(gpus)) == request.gpus
            assert all(experiment.layout.gpu_node[gpu] == node for gpu in gpus)
            ledger.take(node, gpus, request)
            assert min(ledger.left[node]) >= 0
            used += request.demand_milli
        assert filling.used_milli[event + 1] == used
    assert -1 in filling.node


@pytest.mark.parametrize("name", WITH_RULE)
def test_the_compiled_form_and_the_numpy_form_choose_alike(setting: Setting, name: str) -> None:
    compiled = placed(dataclasses.replace(setting, placement=name))[1]
    plain = placed(dataclasses.replace(setting, placement=name, compiled=False))[1]
    assert (compiled.node, compiled.gpus, compiled.score) == (plain.node, plain.gpus, plain.score)
    assert compiled.fragmented_milli == pytest.approx(plain.fragmented_milli, rel=1e-9)


def test_the_same_seed_gives_the_same_choices_and_another_seed_others(setting: Setting) -> None:
    first, again = (placement_columns(*placed(setting)) for _ in range(2))
    assert first == again
    assert placement_columns(*placed(dataclasses.replace(setting, seed=8))) != first


def test_typical_pods_are_those_of_the_whole_list_whatever_the_load(setting: Setting) -> None:
    full, light = prepare(setting), prepare(dataclasses.replace(setting, load=0.2))
    assert light.arrivals < len(light.pods) < full.arrivals
    assert light.tasks.requests == full.tasks.requests
    assert Request(8000, 0, 0) in full.tasks.requests


def test_the_order_of_the_lists_does_not_matter(setting: Setting, tmp_path: Path) -> None:
    expected = placement_columns(*placed(setting))
    for path in (Path(setting.nodes), setting.pods):
        header, *rows = path.read_text().splitlines()
        path.write_text("\n".join([header, *reversed(rows)]) + "\n")
    assert placement_columns(*placed(setting)) == expected


def test_a_lower_rank_wins_a_tie(setting: Setting, tmp_path: Path) -> None:
    nodes, pods = tmp_path / "equal.csv", tmp_path / "one.csv"
    nodes.write_text("sn,cpu_milli,memory_mib,gpu,model\n" + "".join(f"n-{i},96000,393216,8,G2\n" for i in range(4)))
    pods.write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli\np,1000,1,1,1000\n")
    for winner in range(4):
        rank = [(index - winner) % 4 for index in range(4)]
        order = tmp_path / "orders.json"
        order.write_text(f'{{"seeds": {{"0": {{"order": [0], "node_rank": {rank}}}}}}}')
        one = Setting(nodes=str(nodes), pods=pods, placement="best_fit", seed=0, order=order)
        assert placement_columns(*placed(one))["node"] == [f"n-{winner}"]


def test_a_clone_has_the_name_of_its_original(setting: Setting) -> None:
    experiment, filling = placed(setting)
    names = placement_columns(experiment, filling)["pod"]
    assert set(names) == {pod.name for pod in experiment.pods}
    assert summarise(experiment, filling).clones == len(names) - len(set(names)) > 0


def test_the_curves_end_at_the_load_asked_for(setting: Setting) -> None:
    for load in (0.5, 1.0, 1.3):
        experiment, filling = placed(dataclasses.replace(setting, load=load))
        found = curves(experiment, filling)
        assert found.load_pct[-1] >= round(100 * load)
        assert (np.diff(found.alloc_pct) >= 0.0).all()


def test_figures_of_the_summary_follow_from_the_placements(setting: Setting) -> None:
    experiment, filling = placed(setting)
    summary = summarise(experiment, filling)
    lost = [
        experiment.pods[pod].request for pod, node in zip(experiment.order.pod, filling.node, strict=True) if node < 0
    ]
    assert summary.failed_pods == len(lost) == sum(summary.failed_by_class.values())
    assert summary.failed_gpu_milli == sum(request.demand_milli for request in lost)
    assert summary.failed_by_class["gpu1"] == sum(request.gpus == 1 and request.gpu_milli == 1000 for request in lost)
    assert summary.alloc_pct == pytest.approx(100 * filling.used_milli[-1] / 23_000, abs=1.0)


def test_an_interruption_keeps_what_happened_until_then(setting: Setting) -> None:
    experiment, filling = prepare(dataclasses.replace(setting, load=40.0)), Filling()
    seen: list[FillProgress] = []
    with pytest.raises(KeyboardInterrupt):
        fill(experiment, filling, progress=seen.append, interrupted=lambda: bool(seen))
    assert 0 < len(filling) == seen[-1].arrived < seen[-1].arrivals == experiment.arrivals
    assert len(placement_columns(experiment, filling)["event"]) == len(filling)
    assert curves(experiment, filling).load_pct[-1] < 4000


@pytest.mark.parametrize("load", [0.0, -1.0, float("nan"), float("inf")])
def test_a_load_that_is_none_is_refused(setting: Setting, load: float) -> None:
    with pytest.raises(ScenarioError, match=r"allowed: a finite number above 0, for example 1\.3"):
        prepare(dataclasses.replace(setting, load=load))


def test_an_unknown_placement_names_those_there_are(setting: Setting) -> None:
    with pytest.raises(
        UnknownPlacementError, match=r"no placement 'fdg'; choose one of: .*fgd, .*, did you mean 'fgd'\?"
    ):
        prepare(dataclasses.replace(setting, placement="fdg"))
