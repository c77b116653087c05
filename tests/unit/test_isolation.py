"""The account of what jobs would have taken alone on their share, and what else is kept of a job's time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import RATES, Job, play, simulation, trace_scenario

from phasewise.sched import registry
from phasewise.sched.api import ClusterView
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.engine import Simulation
from phasewise.sched.round.completion import active_jobs
from phasewise.sched.round.isolation import account_s, settle
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.round.outcome import JobRecord
from phasewise.sched.scenario.config import Cluster
from phasewise.sched.workload.arrivals import Arrival


def no_solve(problem: object) -> None:
    raise AssertionError("the policy `isolated` solves nothing")


def isolated_rates(view: ClusterView) -> np.ndarray:
    """Return the steps/s that the policy `isolated` gives each job."""
    x = registry.policy("isolated").allocate(view, no_solve, None).x  # type: ignore[arg-type]
    return (x * view.throughput).sum(axis=1)


@given(jobs=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_a_second_of_the_account_is_a_second_under_the_policy_isolated(jobs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layout = ClusterLayout.build(Cluster(gpus={"k80": int(rng.integers(1, 9)), "v100": int(rng.integers(1, 30))}))
    table = JobTable(layout)
    scale = rng.choice([0.25, 0.5, 1.0, 2.0, 4.0, 8.0], jobs)
    rates = rng.uniform(0.1, 50.0, (jobs, 2)) * rng.choice([0.0, 1.0, 1.0], (jobs, 2))
    rates[:, 1] = np.maximum(rates[:, 1], 0.1)
    arrivals = [Arrival(k, "plain", 0, factor, 1.0, 1e9, 0.0) for k, factor in enumerate(scale.tolist())]
    table.admit(arrivals, rates, 180.0, [0] * jobs)
    table.steps_done[:] = isolated_rates(table.view(0.0)) * 1000.0
    assert account_s(table, layout.gpus) == pytest.approx(np.full(jobs, 1000.0), rel=1e-12)
    settle(table, layout.gpus)
    assert account_s(table, layout.gpus) == pytest.approx(np.full(jobs, 1000.0), rel=1e-12)
    table.steps_done += isolated_rates(table.view(0.0)) * 500.0
    assert account_s(table, layout.gpus) == pytest.approx(np.full(jobs, 1500.0), rel=1e-12)


GPUS = {"k80": 3, "v100": 2}


def by_hand(sim: Simulation, jobs: list[Job]) -> tuple[dict[int, float], dict[int, JobRecord]]:
    """Run to the end; return each job's steps over its rate on its share, round by round, and its record."""
    pooled = sum(RATES[name] * count for name, count in GPUS.items())
    accounts, records = dict.fromkeys(range(len(jobs)), 0.0), {}
    done = dict.fromkeys(range(len(jobs)), 0.0)
    while len(records) < len(jobs):
        outcome = play(sim)
        table = sim.state.jobs
        now = dict(zip(table.job_id.tolist(), table.steps_done.tolist(), strict=True))
        for job in outcome.job_id.tolist():
            wide, after = jobs[job].scale_factor, now.get(job, jobs[job].steps)
            rate = pooled * wide / max(wide * len(outcome.job_id), sum(GPUS.values()))
            accounts[job] += (after - done[job]) / rate
            done[job] = after
        records |= {record.job_id: record for record in outcome.over}
    return accounts, records


@pytest.mark.parametrize("preset", ["gavel", "corrected"])
@pytest.mark.parametrize("policy", ["isolated", "fifo_perf", "max_min_fairness_perf"])
def test_the_account_adds_up_round_by_round(preset: str, policy: str, tmp_path: Path) -> None:
    jobs = [Job(9000.0 * (1 + k % 4), 700.0 * k, 1 + k % 3 % 2) for k in range(12)]
    chosen = {"timing.preset": preset, "policy.name": policy}
    accounts, records = by_hand(simulation(trace_scenario(tmp_path, jobs, GPUS, chosen)), jobs)
    assert {job: record.isolated_s for job, record in records.items()} == pytest.approx(accounts, rel=1e-9)
    assert all(record.isolated_s for record in records.values())


@pytest.mark.parametrize("scale_factor", [1, 2])
def test_a_job_alone_on_gpus_of_one_type_takes_as_long_as_on_its_share(scale_factor: int, tmp_path: Path) -> None:
    jobs = [Job(1e5, 50.0, scale_factor)]
    sim = simulation(trace_scenario(tmp_path, jobs, {"v100": 2}))
    over: tuple[JobRecord, ...] = ()
    while not over:
        over = play(sim).over
    (record,) = over
    assert record.end_s == record.completion_s
    assert record.end_s is not None
    jct_s = record.end_s - record.arrival_s
    assert record.isolated_s == pytest.approx(jct_s, rel=0.01)
    assert record.ideal_s == pytest.approx(1e5 / (RATES["v100"] * scale_factor))
    assert record.isolated_s == record.ideal_s


def test_a_record_says_when_a_job_ran_and_what_it_held(tmp_path: Path) -> None:
    jobs = [Job(RATES["v100"] * 540.0), Job(1e9, 100.0), Job(1e9, 200.0, 2)]
    sim = simulation(trace_scenario(tmp_path, jobs, {"v100": 2}))
    assert play(sim).over == ()
    (first,) = play(sim).over
    assert (first.first_start_s, first.completion_s, first.end_s, first.run_s) == (0.0, 540.0, 540.0, 540.0)
    assert first.gpu_s == sim.state.clocks.now_s == 720.0  # its GPU is its own until the second round ends
    second, third = active_jobs(sim.state, sim.parts)
    assert (second.first_start_s, second.run_s, second.gpu_s) == (360.0, 360.0, 360.0)
    assert (third.first_start_s, third.run_s, third.gpu_s, third.end_s) == (None, 0.0, 0.0, None)
    assert (third.demand_milli, third.cpu_milli, third.memory_mib, third.slo_s) == (2000, 0, 0, None)


def test_the_ideal_time_is_that_on_the_fastest_type_that_has_room(tmp_path: Path) -> None:
    sim = simulation(trace_scenario(tmp_path, [Job(1e6, 0.0, 2)], {"v100": 1, "p100": 2, "k80": 4}))
    play(sim)
    (record,) = active_jobs(sim.state, sim.parts)
    assert record.ideal_s == 1e6 / (2 * RATES["p100"])


def test_a_job_that_is_dropped_has_an_end(tmp_path: Path) -> None:
    chosen = {"timing.preset": "gavel"}
    sim = simulation(trace_scenario(tmp_path, [Job(14_401.0, 0.0, 2), Job(1e6)], {"v100": 3}, chosen))
    over: tuple[JobRecord, ...] = ()
    while not over:
        before_s = sim.state.clocks.now_s
        over = play(sim).over
    (record,) = over
    assert (record.status, record.completion_s) == ("failed", None)
    assert record.end_s is not None
    assert before_s < record.end_s <= sim.state.clocks.now_s
