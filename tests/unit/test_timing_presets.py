"""Each defect of the original: shown under its preset, mended under the other, in the smallest run that has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import Job, Run, plain_rates, play, run_trace, simulation, trace_scenario

from phasewise.sched.api import NodeView, Order, Placed
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.errors import ScenarioError
from phasewise.sched.placement.strided import Strided
from phasewise.sched.registry import PlacementOptions
from phasewise.sched.round.rules import Timing, preferred_types
from phasewise.sched.scenario.config import Cluster, TimingChoice
from phasewise.solvers.api import State
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.session import Solved, open_solver

PRESETS = ("gavel", "corrected")
ROUND_STEPS = 7200.0  # what "plain" does in 360 s on one V100


def under(preset: str, **more: object) -> dict[str, object]:
    return {"timing.preset": preset, **more}


def first_run_s(run: Run, job: int) -> float:
    """Return when a job first held a GPU."""
    held = run.table("placements")
    first = min(start for id_, start in zip(held["job_id"], held["start_round"], strict=True) if id_ == job)
    return run.table("rounds")["sim_time_s"][first]


# -- D3: allocations where a job makes no progress -------------------------------------------------------------------


@pytest.mark.parametrize(("preset", "masked"), [("gavel", False), ("corrected", True)])
def test_a_pair_without_progress_is_masked_unless_the_original_is_reproduced(
    preset: str, masked: bool, tmp_path: Path
) -> None:
    rates = {**plain_rates([1]), ("picky", 1): {"k80": 0.0, "p100": 0.0, "v100": 20.0}}
    jobs = [Job(10 * ROUND_STEPS), Job(10 * ROUND_STEPS, job_type="picky")]
    chosen = under(preset, **{"policy.name": "max_min_fairness"})
    scenario = trace_scenario(tmp_path, jobs, {"k80": 1, "v100": 1}, chosen, rates)
    problems: list[AllocationProblem] = []
    sim = simulation(scenario)
    solver = open_solver("highs-direct", {}, sim.timer)

    def solve(problem: AllocationProblem, state: State) -> Solved:
        problems.append(problem)
        return solver.solve(problem, state)

    sim = simulation(scenario, solve=solve)
    play(sim)
    assert problems[0].allowed_mask.tolist() == [[True, True], [not masked, True]]
    if masked:
        assert sim.state.jobs.x[1, 0] == 0.0
        assert sim.state.jobs.x[1, 1] > 0.0


# -- D4: a last micro-task with fewer steps than GPUs ----------------------------------------------------------------


def odd_last_step(preset: str, folder: Path) -> Run:
    jobs = [Job(2 * ROUND_STEPS + 1, scale_factor=2), Job(2 * ROUND_STEPS + 2, scale_factor=2)]
    return run_trace(folder, jobs, {"v100": 4}, under(preset))


def test_the_original_drops_a_job_whose_last_step_is_odd(tmp_path: Path) -> None:
    run = odd_last_step("gavel", tmp_path)
    assert run.jobs[0]["status"] == "failed"
    assert run.jobs[0]["completion_s"] is run.jobs[0]["jct_s"] is None
    assert run.jobs[0]["rounds_run"] == 1 + 5
    assert run.jobs[1]["status"] == "complete"
    assert (run.summary["jobs_completed"], run.summary["jobs_failed"]) == (1, 1)
    assert [event["job_id"] for event in run.events("job_failed")] == [0]
    assert run.summary["avg_jct_s"] == run.jobs[1]["jct_s"]


def test_a_job_whose_last_step_is_odd_completes_when_corrected(tmp_path: Path) -> None:
    run = odd_last_step("corrected", tmp_path)
    assert {job["status"] for job in run.jobs.values()} == {"complete"}
    assert run.jobs[0]["jct_s"] == pytest.approx((2 * ROUND_STEPS + 1) / 40.0, rel=1e-12)
    assert run.summary["jobs_failed"] == 0


def test_a_last_step_too_quick_for_the_clock_completes_when_corrected(tmp_path: Path) -> None:
    run = run_trace(tmp_path, [Job(float(np.nextafter(ROUND_STEPS, 1e9)))], {"v100": 1}, under("corrected"))
    assert run.jobs[0]["status"] == "complete"
    assert run.jobs[0]["jct_s"] == pytest.approx(360.0)


def test_a_job_slower_than_a_step_a_round_completes_when_corrected(tmp_path: Path) -> None:
    rates = {("slow", 1): {"v100": 0.001}}
    jobs = [Job(2.5, job_type="slow")]
    assert run_trace(tmp_path / "c", jobs, {"v100": 1}, under("corrected"), rates).jobs[0]["jct_s"] == pytest.approx(
        2500
    )
    assert run_trace(tmp_path / "g", jobs, {"v100": 1}, under("gavel"), rates).jobs[0]["status"] == "failed"


# -- D5: an idle gap is not busy time --------------------------------------------------------------------------------


@pytest.mark.parametrize(("preset", "busy_s"), [("gavel", 100_360.0), ("corrected", 720.0)])
def test_an_idle_gap_is_busy_time_only_for_the_original(preset: str, busy_s: float, tmp_path: Path) -> None:
    run = run_trace(tmp_path, [Job(ROUND_STEPS), Job(ROUND_STEPS, 100_000.0)], {"v100": 1}, under(preset))
    assert run.summary["makespan_s"] == 100_360.0
    assert run.summary["utilization"] == pytest.approx(busy_s / 100_360.0, rel=1e-12)
    assert [job["jct_s"] for job in run.jobs.values()] == [360.0, 360.0]


@pytest.mark.parametrize("preset", PRESETS)
def test_an_empty_first_hour_is_busy_time_only_for_the_original(preset: str, tmp_path: Path) -> None:
    run = run_trace(tmp_path, [Job(ROUND_STEPS, 3600.0)], {"v100": 1}, under(preset))
    assert run.table("rounds")["sim_time_s"] == [3600.0]
    assert run.summary["utilization"] == pytest.approx(1.0 if preset == "gavel" else 360.0 / 3960.0, rel=1e-12)


# -- D21: an allocation at time 0 ------------------------------------------------------------------------------------


def allocations_s(preset: str, first_s: float, folder: Path) -> list[float]:
    """Return when the policy was asked, seconds after the first arrival."""
    jobs = [Job(10 * ROUND_STEPS), Job(ROUND_STEPS), Job(10 * ROUND_STEPS, 400.0)]
    later = [Job(job.steps, job.arrival_s + first_s) for job in jobs]
    run = run_trace(folder, later, {"v100": 1}, under(preset, **{"policy.name": "max_min_fairness"}))
    return [event["sim_time_s"] - first_s for event in run.events("allocation") if event["jobs"]]


def test_a_run_that_starts_later_is_the_same_run_later_unless_it_is_the_originals(tmp_path: Path) -> None:
    start = {
        (preset, first_s): allocations_s(preset, first_s, tmp_path / f"{preset}{first_s:g}")
        for preset in PRESETS
        for first_s in (0.0, 1.0)
    }
    assert start["corrected", 0.0] == pytest.approx([0.0, 720.0, 7200.0])
    assert start["corrected", 1.0] == pytest.approx([0.0, 720.0, 7200.0])
    assert start["gavel", 0.0] == pytest.approx([0.0, 720.0, 6840.0])
    assert start["gavel", 1.0] == pytest.approx([0.0, 2160.0, 5760.0])


@pytest.mark.parametrize(("preset", "closed"), [("gavel", True), ("corrected", False)])
def test_the_first_account_of_a_run_from_time_0_closes_at_the_second_allocation_only_for_the_original(
    preset: str, closed: bool, tmp_path: Path
) -> None:
    jobs = [Job(10 * ROUND_STEPS), Job(10 * ROUND_STEPS), Job(10 * ROUND_STEPS, 400.0)]
    sim = simulation(trace_scenario(tmp_path, jobs, {"v100": 2}, under(preset)))
    play(sim, 2)
    received_s = sim.state.jobs.job_time_s.max()
    play(sim)  # the third job has come by now
    assert len(sim.state.jobs) == 3
    assert (sim.state.clocks.account_opened_s == 720.0) is closed
    assert bool(sim.state.jobs.job_time_s.max() < received_s) is closed
    assert sim.state.jobs.job_time_s.max() > 180.0


# -- D6: arrivals and idle GPUs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["fifo_perf", "isolated"])
def test_an_arrival_does_not_wait_for_idle_gpus_when_corrected(policy: str, tmp_path: Path) -> None:
    jobs = [Job(20 * ROUND_STEPS, 1.0), Job(ROUND_STEPS, 5.0)]
    wait_s = {
        preset: first_run_s(
            run_trace(tmp_path / preset, jobs, {"v100": 4}, under(preset, **{"policy.name": policy})), 1
        )
        for preset in PRESETS
    }
    assert wait_s["corrected"] - 5.0 <= 360.0
    assert wait_s["gavel"] - 1.0 >= 1920.0


@pytest.mark.parametrize("placement", ["strided", "fgd", "random"])
def test_an_arrival_that_has_to_wait_leaves_its_gpus_idle_with_every_placement(placement: str, tmp_path: Path) -> None:
    jobs = [Job(20 * ROUND_STEPS, arrival_s) for arrival_s in (1.0, 5.0, 6.0)]
    chosen = under("gavel", **{"placement.name": placement, "policy.name": "isolated"})
    run = run_trace(tmp_path, jobs, {"v100": 4}, chosen)
    assert [first_run_s(run, job) for job in range(3)] == [1.0, 2161.0, 2161.0]
    assert run.table("rounds")["unplaced"][:6] == [0] * 6  # there was room: it is the rules that made them wait


def test_the_interval_between_allocations_can_be_chosen(tmp_path: Path) -> None:
    jobs = [Job(20 * ROUND_STEPS, 1.0), Job(ROUND_STEPS, 5.0)]
    chosen = under("corrected", **{"timing.reallocation_interval_s": 1000.0})
    assert first_run_s(run_trace(tmp_path, jobs, {"v100": 4}, chosen), 1) == 1.0 + 3 * 360.0


# -- D8: worker types by any name ------------------------------------------------------------------------------------

OTHER_RATES = {("plain", 1): {"a100": 50.0, "t4": 4.0}}


def test_any_worker_type_runs_and_the_fastest_first_when_corrected(tmp_path: Path) -> None:
    jobs = [Job(18_000.0), Job(18_000.0)]
    run = run_trace(tmp_path, jobs, {"t4": 1, "a100": 1}, under("corrected"), OTHER_RATES)
    assert run.status == "complete"
    assert run.jobs[0]["jct_s"] == 360.0  # on the a100, which is node 0
    assert run.table("rounds")["running"][0] == 2
    assert run.table("rounds")["utilization_a100"][0] == 1.0


def test_the_original_refuses_worker_types_that_it_never_schedules(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"cluster\.gpus: names t4, a100, but timing preset 'gavel' schedules"):
        run_trace(tmp_path, [Job(1.0)], {"t4": 1, "a100": 1}, under("gavel"), OTHER_RATES)
    with pytest.raises(ScenarioError, match="schedules only v100, p100, k80, but the cluster has a100"):
        preferred_types(Timing.resolve(TimingChoice(preset="gavel")), ("a100", "v100"), {})


def test_worker_types_are_preferred_by_speed_and_then_by_name() -> None:
    corrected = Timing.resolve(TimingChoice(preset="corrected"))
    speed = {"b": 1.0, "c": 2.0, "a": 1.0}
    assert preferred_types(corrected, ("a", "b", "c"), speed) == [2, 0, 1]
    original = Timing.resolve(TimingChoice(preset="gavel"))
    assert preferred_types(original, ("k80", "p100", "v100"), dict.fromkeys(("k80", "p100", "v100"), 1.0)) == [2, 1, 0]


# -- D13: what can never fit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_a_job_that_can_never_fit_is_refused_and_the_run_goes_on(preset: str, tmp_path: Path) -> None:
    jobs = [Job(ROUND_STEPS), Job(ROUND_STEPS, scale_factor=8), Job(ROUND_STEPS, 10.0)]
    run = run_trace(tmp_path, jobs, {"v100": 4, "p100": 7}, under(preset))
    assert run.status == "complete"
    assert [run.jobs[job]["status"] for job in range(3)] == ["complete", "refused", "complete"]
    assert run.jobs[1]["jct_s"] is None
    assert run.jobs[1]["rounds_run"] == 0
    assert (run.summary["jobs_arrived"], run.summary["jobs_completed"], run.summary["jobs_refused"]) == (3, 2, 1)
    (refused,) = run.events("job_refused")
    assert refused["job_id"] == 1
    assert refused["reason"] == "needs 8 GPUs of one type; types that can run it: p100=7, v100=4"
    assert [event["job_id"] for event in run.events("job_arrival")] == [0, 2]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_run_whose_every_job_is_refused_ends(preset: str, tmp_path: Path) -> None:
    run = run_trace(tmp_path, [Job(1.0, scale_factor=2), Job(1.0, 50.0, 2)], {"v100": 1}, under(preset))
    assert run.status == "complete"
    assert run.summary["jobs_refused"] == 2
    assert run.summary["avg_jct_s"] is None
    assert run.table("placements")["job_id"] == []


def test_a_type_on_which_a_job_makes_no_progress_does_not_count_as_room(tmp_path: Path) -> None:
    rates = {**plain_rates([1]), ("picky", 2): {"k80": 0.0, "v100": 20.0, "p100": 0.0}}
    jobs = [Job(ROUND_STEPS), Job(10.0, scale_factor=2, job_type="picky")]
    run = run_trace(tmp_path, jobs, {"v100": 1, "k80": 2}, under("corrected"), rates)
    assert run.events("job_refused")[0]["reason"].endswith("types that can run it: v100=1")


@pytest.mark.parametrize("preset", PRESETS)
def test_gpus_that_do_not_divide_into_nodes_are_not_lost(preset: str, tmp_path: Path) -> None:
    jobs = [Job(ROUND_STEPS, scale_factor=3), Job(ROUND_STEPS, scale_factor=2)]
    run = run_trace(tmp_path, jobs, {"v100": 5}, under(preset, **{"cluster.gpus_per_node": {"v100": 4}}))
    assert run.grid([4, 1])[0].tolist() == [0, 0, 0, 1, 1]


# -- D14: shares of service ------------------------------------------------------------------------------------------


class Watching:
    """Strided placement that notes the sum of all shares of service on each type, as the priorities used them."""

    name = "watching"

    spans_nodes = True

    def __init__(self) -> None:
        self.sums: list[list[float]] = []
        self.sim: Any = None
        self.strided = Strided(PlacementOptions(ClusterLayout.build(Cluster(gpus={"v100": 2, "k80": 1}))))

    def place(self, order: Order, nodes: NodeView) -> Placed:
        self.sums.append((self.sim.state.jobs.job_time_s / self.sim.state.service.worker_time_s).sum(axis=0).tolist())
        return self.strided.place(order, nodes)


@pytest.mark.parametrize("preset", PRESETS)
def test_shares_of_service_add_up_to_one_when_corrected(preset: str, tmp_path: Path) -> None:
    jobs = [Job(10 * ROUND_STEPS, 1.0), Job(2 * ROUND_STEPS, 1.0), Job(3 * ROUND_STEPS, 500.0)]
    chosen = under(preset, **{"policy.name": "isolated"})
    watching = Watching()
    sim = simulation(trace_scenario(tmp_path, jobs, {"v100": 2, "k80": 1}, chosen), placement=watching)
    watching.sim = sim
    play(sim, 6)
    assert len(sim.state.jobs) < 3, "a job has departed"
    off = np.abs(np.array(watching.sums) - 1.0).max(axis=1)
    assert off[0] < 1e-12
    assert (off < 1e-12).all() if preset == "corrected" else off.max() > 0.01


# -- D15: what utilisation includes ----------------------------------------------------------------------------------


def test_utilisation_says_what_it_includes_and_shows_the_drain_out_apart(tmp_path: Path) -> None:
    jobs = [Job(2 * ROUND_STEPS), Job(2 * ROUND_STEPS), Job(20 * ROUND_STEPS, 700.0)]
    summary = run_trace(tmp_path, jobs, {"v100": 2}, under("corrected")).summary
    assert summary["utilization"] == pytest.approx((720 + 720 + 7200) / (2 * 7920))
    assert summary["utilization_until_last_arrival"] == 1.0
    assert "warm-up and drain-out included" in summary["utilization_scope"]


def test_there_is_no_time_until_the_last_arrival_where_all_jobs_come_at_once(tmp_path: Path) -> None:
    summary = run_trace(tmp_path, [Job(ROUND_STEPS)], {"v100": 2}, under("corrected")).summary
    assert summary["utilization"] == 0.5
    assert summary["utilization_until_last_arrival"] is None


@pytest.mark.parametrize("preset", PRESETS)
def test_no_round_uses_more_than_all_gpus(preset: str, tmp_path: Path) -> None:
    jobs = [Job(700.0 * (index + 1), 3000.0 * index, 1 + index % 2) for index in range(8)]
    run = run_trace(tmp_path, jobs, {"v100": 2, "k80": 2}, under(preset, **{"policy.name": "isolated"}))
    for name in ("utilization", "utilization_v100", "utilization_k80"):
        assert all(0.0 <= share <= 1.0 + 1e-12 for share in run.table("rounds")[name])
    assert 0.0 < run.summary["utilization"] <= 1.0
