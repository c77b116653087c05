"""Jobs that progress by the allocation itself: by hand, against a plain simulation, and beside short rounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import RATES, Job, Run, play, run_trace, simulation, trace_scenario

from phasewise.sched.errors import ScenarioError
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate

IDEAL = {"timing.mechanism": "ideal", "policy.name": "isolated"}
HOUR_STEPS = 3600.0 * RATES["v100"]


def ends(run: Run) -> list[float]:
    return [job["completion_s"] for _, job in sorted(run.jobs.items())]


# -- by hand -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def shared(tmp_path: Path) -> Run:
    """Two jobs on one GPU: alone for half an hour, at half the speed for an hour, then the other alone."""
    jobs = [Job(HOUR_STEPS), Job(2 * HOUR_STEPS, arrival_s=1800.0)]
    return run_trace(tmp_path / "run", jobs, {"v100": 1}, IDEAL)


def test_two_jobs_share_a_gpu_at_half_the_speed_each(shared: Run) -> None:
    assert shared.status == "complete"
    assert ends(shared) == pytest.approx([5400.0, 10800.0], rel=1e-12)


def test_a_row_of_rounds_is_an_interval_between_two_events(shared: Run) -> None:
    rounds = shared.table("rounds")
    assert rounds["sim_time_s"] == pytest.approx([0.0, 1800.0, 5400.0])
    assert rounds["end_s"] == pytest.approx([1800.0, 5400.0, 10800.0])
    assert rounds["utilization"] == pytest.approx([1.0, 1.0, 1.0])
    counted = [rounds[name] for name in ("active", "running", "queued", "completed")]
    assert counted == [[1, 2, 1], [1, 1, 1], [0, 1, 0], [0, 1, 2]]
    assert rounds["pending_gpus"] == pytest.approx([0.0, 1.0, 0.0])
    assert shared.table("placements")["job_id"] == []


def test_a_job_is_booked_its_share_of_the_time(shared: Run) -> None:
    first, second = shared.jobs[0], shared.jobs[1]
    assert [first["gpu_s"], second["gpu_s"]] == pytest.approx([3600.0, 7200.0])
    assert [first["queued_s"], second["queued_s"]] == pytest.approx([0.0, 0.0])
    assert [first["rho"], second["rho"]] == pytest.approx([1.0, 1.0])
    summary = shared.summary
    assert summary["utilization"] == pytest.approx(1.0)
    assert summary["goodput"] == pytest.approx(1.0)
    assert sum(summary["lost_gpu_s"].values()) == pytest.approx(0.0, abs=1e-6)


def test_a_job_is_on_all_types_at_once(tmp_path: Path) -> None:
    run = run_trace(tmp_path / "run", [Job(12.5 * 3600.0)], {"v100": 1, "k80": 1}, IDEAL)
    assert ends(run) == pytest.approx([3600.0])  # half of its time on each: (20 + 5) / 2 steps a second
    assert run.summary["utilization"] == pytest.approx(0.5)


def test_nothing_runs_between_two_jobs_that_never_meet(tmp_path: Path) -> None:
    run = run_trace(tmp_path / "run", [Job(HOUR_STEPS), Job(HOUR_STEPS, arrival_s=7200.0)], {"v100": 1}, IDEAL)
    assert ends(run) == pytest.approx([3600.0, 10800.0])
    assert run.table("rounds")["active"] == [1, 0, 1]
    assert run.summary["utilization"] == pytest.approx(2.0 / 3.0)


def test_who_comes_between_two_allocations_waits_for_the_next(tmp_path: Path) -> None:
    jobs = [Job(HOUR_STEPS), Job(HOUR_STEPS, arrival_s=500.0)]
    chosen = {**IDEAL, "timing.reallocation_interval_s": 1000.0}
    run = run_trace(tmp_path / "run", jobs, {"v100": 1}, chosen)
    assert run.table("rounds")["end_s"][:2] == pytest.approx([500.0, 1000.0])
    assert run.jobs[1]["queued_s"] == pytest.approx(500.0)
    assert ends(run) == pytest.approx([6200.0, 7200.0])


# -- against a plain simulation ----------------------------------------------------------------------------------------


def isolated(jobs: Mapping[int, Job], gpus: Mapping[str, int]) -> dict[int, float]:
    """Return the steps a second of each job on its share of the cluster."""
    found = {}
    for key, job in jobs.items():
        share = {name: count / len(jobs) / job.scale_factor for name, count in gpus.items()}
        whole = max(1.0, sum(share.values()))
        found[key] = sum(RATES[name] * job.scale_factor * part / whole for name, part in share.items())
    return found


def fifo(jobs: Mapping[int, Job], gpus: Mapping[str, int]) -> dict[int, float]:
    """Return the steps a second where jobs take the fastest free GPUs in the order of ids, till one finds none."""
    free, found = dict(gpus), dict.fromkeys(jobs, 0.0)
    for key, job in sorted(jobs.items()):
        room = [name for name, count in free.items() if count >= job.scale_factor]
        if not room:
            break
        best = max(room, key=RATES.__getitem__)
        free[best] -= job.scale_factor
        found[key] = RATES[best] * job.scale_factor
    return found


RULES = {"isolated": isolated, "fifo_perf": fifo}


def plain(jobs: list[Job], gpus: Mapping[str, int], policy: str) -> list[float]:
    """Return when each job completes, simulated with dicts, a step an event."""
    left = {key: job.steps for key, job in enumerate(jobs)}
    now_s, done = 0.0, {}
    while left:
        present = {key: jobs[key] for key in left if jobs[key].arrival_s <= now_s}
        rate = RULES[policy](present, gpus) if present else {}
        due = [now_s + left[key] / speed for key, speed in rate.items() if speed > 0.0]
        coming = [jobs[key].arrival_s for key in left if jobs[key].arrival_s > now_s]
        until_s = min(due + coming)
        for key, speed in rate.items():
            over = speed > 0.0 and now_s + left[key] / speed <= until_s * (1.0 + 1e-12)
            left[key] -= speed * (until_s - now_s)
            if over:
                done[key] = until_s
                del left[key]
        now_s = until_s
    return [done[key] for key in range(len(jobs))]


JOBS = st.lists(
    st.builds(Job, st.integers(100, 2_000_000).map(float), st.integers(0, 90_000).map(float), st.sampled_from([1, 2])),
    min_size=1,
    max_size=12,
)


@pytest.mark.thorough
@pytest.mark.parametrize("policy", sorted(RULES))
@given(jobs=JOBS, gpus=st.fixed_dictionaries({"k80": st.integers(2, 4), "v100": st.integers(2, 3)}))
def test_jobs_complete_when_a_plain_simulation_says(policy: str, jobs: list[Job], gpus: dict[str, int]) -> None:
    jobs = sorted(jobs, key=lambda job: job.arrival_s)
    with TemporaryDirectory() as folder:
        sim = simulation(trace_scenario(Path(folder), jobs, gpus, {**IDEAL, "policy.name": policy}))
        found: dict[int, float | None] = {}
        while len(found) < len(jobs):
            found |= {record.job_id: record.completion_s for record in play(sim).over}
    assert [found[key] for key in range(len(jobs))] == pytest.approx(plain(jobs, gpus, policy), rel=1e-9)


# -- what rounds come to -----------------------------------------------------------------------------------------------


def mean_jct_s(chosen: Mapping[str, object]) -> float:
    common = {
        "workload.scale_factors": "single",
        "workload.scale_factor_cap": 0,
        "workload.jobs": 8,
        "output.trace": False,
    }
    found = simulate(load_scenario("toy", {**common, **chosen}), None).summary["avg_jct_s"]
    assert isinstance(found, float)
    return found


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("policy", "within"), [({"policy.name": "isolated"}, 0.003), ({"policy.canonical": True}, 0.03)]
)
def test_short_rounds_come_to_the_ideal(policy: dict[str, object], within: float) -> None:
    """Each round costs a job that arrives or completes a part of its length, so the difference goes with it.

    What `isolated` promises, priorities deliver; of an X that has jobs on several types in turn, only nearly.
    """
    ideal = mean_jct_s({**policy, "timing.mechanism": "ideal"})
    apart = [abs(mean_jct_s({**policy, "timing.round_s": round_s}) / ideal - 1.0) for round_s in (1440.0, 360.0, 60.0)]
    assert apart[0] > apart[1] > apart[2]
    assert apart[2] < within


@pytest.mark.thorough
def test_an_overloaded_cluster_is_found_although_every_job_progresses() -> None:
    chosen = {
        "cluster.gpus": {"v100": 2}, "cluster.gpus_per_node": {}, "workload.jobs": 0, "workload.rate_per_hour": 0.2,
        "workload.scale_factors": "single", "workload.scale_factor_cap": 0, "stop.window": [500, 600],
        "stop.sim_time_s": "none", **IDEAL,
    }  # fmt: skip
    outcome = simulate(load_scenario("toy", chosen), None)
    assert outcome.status == "overloaded"
    assert outcome.summary["drift"]["low"] > 0.1


def test_a_run_goes_on_from_a_checkpoint_to_the_same_bytes(tmp_path: Path) -> None:
    chosen = {**IDEAL, "output.checkpoint_rounds": 4, "output.trace": False}
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    simulate(load_scenario("toy", chosen), whole)
    assert simulate(load_scenario("toy", {**chosen, "stop.rounds": 10}), parted).status == "stopped"
    assert simulate(load_scenario("toy", chosen), parted, resume=True).status == "complete"
    assert (parted / "jobs.parquet").read_bytes() == (whole / "jobs.parquet").read_bytes()


# -- what does not go with it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "chosen", "told"),
    [
        ("philly", {}, 'timing.preset: got "gavel" beside timing.mechanism \'ideal\'; allowed: "corrected"'),
        ("toy", {"migration.enabled": True}, "migration.enabled: got true beside timing.mechanism 'ideal'"),
        ("toy", {"placement.name": "fgd"}, "placement.name: got \"fgd\" beside timing.mechanism 'ideal'"),
        ("alibaba", {"placement.name": "strided"}, "cluster.nodes: got \"openb\" beside timing.mechanism 'ideal'"),
    ],
)
def test_what_needs_rounds_or_places_is_refused(scenario: str, chosen: dict[str, object], told: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        load_scenario(scenario, {**chosen, "timing.mechanism": "ideal"})
    assert told in str(refused.value)
