"""The scenario `spot2026`: its machines and jobs have the published counts, and it runs."""

from __future__ import annotations

import tomllib
from collections import Counter

import numpy as np
import pytest

import phasewise
from phasewise.sched.cluster.inventories import POD_TABLES
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.cluster.node_lists import gpus_by_type, read_node_list
from phasewise.sched.errors import ScenarioError
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.scenario.workloads import build_workload, pods_of
from phasewise.sched.streams import Streams
from phasewise.sched.workload.arrivals import Position
from phasewise.sched.workload.job_mixes import ORIGINAL, JobMix, Piece, job_mix
from phasewise.sched.workload.owners import BLOCK, Owners
from phasewise.sched.workload.pods import gangs_without_room, misfits, read_pod_mix

PUBLISHED = {
    "A10": (2494, 2494), "A100-SXM4-80GB": (432, 3456), "A800-SXM4-80GB": (22, 176), "GPU-series-1": (989, 1558),
    "GPU-series-2": (122, 976), "H800": (219, 1752),
}  # fmt: skip
HOUR_S = 3600.0
TYPES = tuple(sorted(PUBLISHED))


def test_the_machines_have_the_published_counts() -> None:
    nodes = read_node_list("spot2026")
    counted = {name: sum(node.worker_type == name for node in nodes) for name in PUBLISHED}
    assert counted == {name: count for name, (count, _) in PUBLISHED.items()}
    assert gpus_by_type(nodes) == {name: gpus for name, (_, gpus) in PUBLISHED.items()}
    assert (len(nodes), sum(load_scenario("spot2026").cluster.gpus.values())) == (4278, 10_412)


def test_the_jobs_have_the_published_sizes_and_each_fits_some_node() -> None:
    mix = read_pod_mix("spot2026")
    sizes = dict.fromkeys((0, 1, 2, 4, 8), 0)
    for request, count in mix:
        sizes[request.gpus if request.gpu_milli == 1000 else 0] += count
    assert (sizes[0], sizes[1], sizes[2] + sizes[4], sizes[8]) == (48_587, 297_596, 48_978, 45_752)
    layout = ClusterLayout.of(read_node_list("spot2026"))
    assert misfits(mix, layout) == ""
    assert all(request.cpu_milli <= layout.cpu_milli.max() for request, _ in mix)


def test_durations_and_classes_are_drawn_as_often_as_they_were_counted() -> None:
    told = tomllib.loads((POD_TABLES / "spot2026.toml").read_text())
    workload = build_workload(load_scenario("spot2026", {"workload.initial_jobs": 0}), tuple(sorted(PUBLISHED)))
    jobs = workload.until(200 * HOUR_S, Position(), Streams.of(0))
    assert len(jobs) == pytest.approx(105.7 * 200, rel=0.03)
    high = np.mean([job.priority_weight == 5.0 for job in jobs])
    assert high == pytest.approx(415_713 / 466_867, abs=0.01)
    mix, rng = job_mix("spot2026"), np.random.default_rng(0)
    drawn = [mix.piece(value) for value in rng.random(20_000)]
    counts = np.array([count for count, _, _ in told["durations"]])
    shares = np.array([drawn.count(piece) for piece in mix.pieces]) / len(drawn)
    np.testing.assert_allclose(shares, counts / counts.sum(), atol=0.012)


def test_the_longest_duration_gives_the_published_gpu_time() -> None:
    mix = read_pod_mix("spot2026")
    jobs = sum(count for _, count in mix)
    gpus = sum(request.demand_milli / 1000 * count for request, count in mix) / jobs
    published_gpu_s = 77_856_117_851.5 + 11_171_263_736.5 + 1_069_695_774.56 + 13_612_350_665.5  # of up to 8 GPUs
    assert job_mix("spot2026").mean_s() * gpus == pytest.approx(published_gpu_s / jobs, rel=0.01)


GANGS = {16: (12_051, 1_405_008), 32: (6_760, 1_400_724), 64: (3_262, 1_026_098), 128: (1_594, 916_472),
         256: (2_287, 5_975_221)}  # fmt: skip


def test_gangs_come_as_often_as_they_were_counted_and_take_the_published_gpu_time() -> None:
    scenario = load_scenario("spot2026", {"workload.initial_jobs": 0})
    jobs = pods_of(scenario.workload)
    assert sum(count for _, count in jobs) == pytest.approx(466_867, abs=10)
    stretch, mean_h = job_mix("spot2026").stretch, job_mix("spot2026").mean_s() / HOUR_S
    layout = ClusterLayout.of(read_node_list("spot2026"))
    assert gangs_without_room(jobs, layout) == ""
    for gpus, (count, gpu_hours) in GANGS.items():
        of_size = [(request, number) for request, number in jobs if request.gpus == gpus]
        assert sum(number for _, number in of_size) == pytest.approx(count, abs=2)
        assert {request.cpu_milli // gpus for request, _ in of_size} == {3_000, 6_000, 12_000, 24_000}
        assert stretch[gpus] * mean_h * gpus * count == pytest.approx(gpu_hours)
    workload = build_workload(scenario, tuple(sorted(PUBLISHED)))
    drawn = workload.until(400 * HOUR_S, Position(), Streams.of(0))
    wide = [job for job in drawn if job.scale_factor > 8]
    assert len(wide) / len(drawn) == pytest.approx(25_954 / 466_867, abs=0.004)
    assert {job.scale_factor for job in wide} == {float(gpus) for gpus in GANGS}


def test_without_gangs_jobs_are_those_of_up_to_8_gpus_alone() -> None:
    alone = load_scenario("spot2026", {"workload.gangs": False})
    assert pods_of(alone.workload) == read_pod_mix("spot2026")
    assert max(job.scale_factor for job in build_workload(alone, TYPES).until(0.0, Position(), Streams.of(0))) == 8.0


def test_gangs_found_running_are_as_many_as_their_durations_make_them() -> None:
    jobs = build_workload(load_scenario("spot2026"), TYPES).until(0.0, Position(), Streams.of(0))
    # 40 of 3,440 by Little's law: 5.9 an hour of 6.9 h on average.
    assert sum(job.scale_factor > 8 for job in jobs[:3440]) == pytest.approx(40, abs=20)


def test_a_job_of_a_gang_is_as_fast_as_its_gpus_say() -> None:
    view = build_workload(load_scenario("spot2026"), TYPES).throughputs
    name = "ResNet-50 (batch size 64)"
    np.testing.assert_allclose(view.row(name, 256), 32 * view.row(name, 8))


FEW = {"cluster.nodes": "", "cluster.gpus": "H800=64", "cluster.gpus_per_node": "H800=8"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"workload.pods": "openb", "cluster.nodes": "openb"}, "workload.gangs is true, which workload.pods"),
        ({"workload.pods": ""}, "workload.gangs: is true, which workload.pods = 'spot2026' alone has counts of"),
        (FEW, "find too few nodes of one type, for example one of"),
    ],
)
def test_gangs_that_cannot_come_are_one_message(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario("spot2026", changes)
    assert told in str(caught.value)


def test_a_job_found_running_is_of_a_piece_by_its_share_of_the_time() -> None:
    mix = JobMix((Piece(0.5, 0.0, 1.0), Piece(0.5, 1.0, 2.0)), high_priority=0.0)  # ten times as long
    assert mix.running(0.05).largest == 1.0
    assert mix.running(0.15).largest == 2.0
    assert mix.mean_s() == pytest.approx(0.5 * (540.0 + 5400.0) / np.log(10.0))


def test_other_pods_leave_durations_as_the_original_has_them() -> None:
    assert job_mix("openb") is job_mix("") is job_mix("no/such.csv") is ORIGINAL


def test_jobs_are_of_organisations_as_often_as_they_were_counted() -> None:
    told = tomllib.loads((POD_TABLES / "spot2026.toml").read_text())["vcs"]
    assert len(told) == 84
    assert sum(jobs for _, jobs in told) == 466_867
    assert told[0] == ["13", 181_107]
    workload = build_workload(load_scenario("spot2026"), tuple(sorted(PUBLISHED)))
    ids = list(range(50_000))
    drawn = Counter(workload.origins(ids, [1.0] * len(ids))["vc"])
    for name, jobs in told:
        share = jobs / 466_867
        assert drawn[name] / len(ids) == pytest.approx(share, abs=4 * (share / len(ids)) ** 0.5)


def test_whose_a_job_is_follows_from_the_seed_and_its_id_alone() -> None:
    def vcs(ids: list[int], seed: int = 0) -> list[str | None]:
        return build_workload(load_scenario("spot2026", {"seed": seed}), types).origins(ids, [1.0] * len(ids))["vc"]

    types = tuple(sorted(PUBLISHED))
    assert vcs([7, 400_000, 3]) == [vcs([each])[0] for each in (7, 400_000, 3)]
    assert vcs(list(range(100))) != vcs(list(range(100)), seed=1)
    owners = Owners(0, [("a", 1), ("b", 1)])
    first = owners.vc(0)
    for block in range(200):
        owners.vc(block * BLOCK)
    assert owners.vc(0) == first


@pytest.mark.thorough
def test_it_runs_on_nodes_with_both_classes() -> None:
    run = phasewise.run(
        "spot2026", overrides={"stop.rounds": 4, "stop.window": "none", "output.check_invariants": True}
    )
    assert run.status == "stopped"
    assert run.scenario["placement"]["name"] == "fgd"
    assert set(run.jobs["priority_weight"].tolist()) == {1.0, 5.0}
    assert run.rounds["running"][-1] > 3000
    class_of = dict(zip(run.jobs["class"].tolist(), run.jobs["priority_weight"].tolist(), strict=True))
    assert class_of == {"HP": 5.0, "Spot": 1.0}
    assert set(run.jobs["user"].tolist()) == {None}
    by_vc: dict[str, list[float]] = {}
    done = ~np.isnan(run.jobs["completion_s"])
    for vc, rho in zip(run.jobs["vc"][done].tolist(), run.jobs["rho"][done].tolist(), strict=True):
        by_vc.setdefault(vc, []).append(1.0 / rho)
    got = np.array([np.mean(each) for each in by_vc.values()])
    assert len(got) > 10
    assert run.summary["jain_vcs"] == pytest.approx(got.sum() ** 2 / (len(got) * (got**2).sum()))
    assert run.summary["jain_users"] is None
