"""Planted corruptions of the state are found, each by the rule it breaks; a sound state passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from small_runs import Job, play, simulation, trace_scenario

from phasewise.sched import invariants
from phasewise.sched.api import Holding
from phasewise.sched.engine import Simulation
from phasewise.sched.errors import InvariantError

Corrupt = Callable[[Simulation], None]


@pytest.fixture(params=["gavel", "corrected"])
def sim(request: pytest.FixtureRequest, tmp_path: Path) -> Simulation:
    """Return a simulation in mid-run: jobs 0 (2 GPUs) and 1 run, job 2 waits, GPU 3 is of another type and idle."""
    rates = {("plain", 1): {"k80": 0.0, "v100": 20.0}, ("plain", 2): {"k80": 0.0, "v100": 40.0}}
    jobs = [Job(1e6, scale_factor=2), Job(1e6), Job(1e6)]
    chosen = {"timing.preset": request.param, "policy.name": "isolated"}
    sim = simulation(trace_scenario(tmp_path, jobs, {"v100": 3, "k80": 1}, chosen, rates))
    play(sim, 2)
    return sim


def test_a_sound_state_passes(sim: Simulation) -> None:
    invariants.check(sim.state, sim.parts)
    assert sorted(sim.state.jobs.worker_type.tolist()) == [-1, 1, 1]


def running(sim: Simulation) -> int:
    """Return a job that runs on one GPU."""
    return int(np.flatnonzero((sim.state.jobs.worker_type >= 0) & (sim.state.jobs.scale_factor == 1))[0])


def swap_jobs(sim: Simulation) -> None:
    sim.state.jobs.job_id[[0, 1]] = sim.state.jobs.job_id[[1, 0]]


def repeat_a_job(sim: Simulation) -> None:
    sim.state.jobs.job_id[1] = sim.state.jobs.job_id[0]


def undo_steps(sim: Simulation) -> None:
    sim.state.jobs.steps_done[0] = -1.0


def keep_a_finished_job(sim: Simulation) -> None:
    sim.state.jobs.steps_done[1] = sim.state.jobs.total_steps[1]


def come_from_the_future(sim: Simulation) -> None:
    sim.state.jobs.arrival_s[2] = sim.state.clocks.now_s + 1.0


def lose_the_count_of_service(sim: Simulation) -> None:
    sim.state.jobs.job_time_s[0, 0] = np.nan


def take_service_back(sim: Simulation) -> None:
    sim.state.jobs.job_time_s[0, 0] = 0.0


def allocate_less_than_nothing(sim: Simulation) -> None:
    sim.state.jobs.x[0, 0] = -0.1


def allocate_twice_the_time(sim: Simulation) -> None:
    sim.state.jobs.x[0, :] = 1.0


def hold(sim: Simulation, gpus: dict[int, list[int]]) -> None:
    """Let rows hold other GPUs than they do."""
    first, gpu = sim.state.holding
    rows = [gpus.get(row, gpu[first[row] : first[row + 1]].tolist()) for row in range(len(sim.state.jobs))]
    first = np.concatenate(([0], np.cumsum([len(row) for row in rows]))).astype(np.int64)
    sim.state.holding = Holding(first, np.array([each for row in rows for each in row], np.int64))


def held(sim: Simulation, row: int) -> list[int]:
    return sim.state.holding.gpu[sim.state.holding.first[row] : sim.state.holding.first[row + 1]].tolist()


def leave_a_gpu_to_a_job_that_is_gone(sim: Simulation) -> None:
    sim.state.holding = sim.state.holding.extended(len(sim.state.jobs) + 1)


def take_a_gpu_away(sim: Simulation) -> None:
    hold(sim, {running(sim): []})


def give_a_gpu_to_another_job(sim: Simulation) -> None:
    wide = int(np.flatnonzero(sim.state.jobs.scale_factor == 2)[0])
    hold(sim, {running(sim): [], wide: sorted(held(sim, wide) + held(sim, running(sim)))})


def give_a_gpu_to_two_jobs(sim: Simulation) -> None:
    wide = int(np.flatnonzero(sim.state.jobs.scale_factor == 2)[0])
    hold(sim, {running(sim): held(sim, wide)[:1]})


def hold_a_gpu_twice(sim: Simulation) -> None:
    wide = int(np.flatnonzero(sim.state.jobs.scale_factor == 2)[0])
    sim.state.jobs.gpu_milli[wide] = 500
    hold(sim, {wide: held(sim, wide)[:1] * 2})


def give_a_gpu_to_a_waiting_job(sim: Simulation) -> None:
    hold(sim, {int(np.flatnonzero(sim.state.jobs.worker_type < 0)[0]): [0]})


def stop_a_job_that_holds_gpus(sim: Simulation) -> None:
    sim.state.jobs.worker_type[running(sim)] = -1


def run_on_the_wrong_type(sim: Simulation) -> None:
    hold(sim, {running(sim): [0]})


def run_without_progress(sim: Simulation) -> None:
    sim.state.jobs.throughput[running(sim)] = 0.0


def stop_the_clock(sim: Simulation) -> None:
    sim.state.clocks.now_s = np.nan


def start_a_round_tomorrow(sim: Simulation) -> None:
    sim.state.clocks.round_start_s = sim.state.clocks.now_s + 1.0


def be_busy_for_less_than_nothing(sim: Simulation) -> None:
    sim.state.service.busy_s[0] = -1.0


@pytest.mark.parametrize(
    ("corrupt", "rule"),
    [
        (swap_jobs, "in order of arrival, each once"),
        (repeat_a_job, "in order of arrival, each once"),
        (undo_steps, "negative number of steps"),
        (keep_a_finished_job, "a job that has done its steps is no longer active"),
        (come_from_the_future, "no job is active before its arrival"),
        (lose_the_count_of_service, "service is finite"),
        (take_service_back, "service is finite, above 0"),
        (allocate_less_than_nothing, "no allocation is negative"),
        (allocate_twice_the_time, "more than all of its time"),
        (leave_a_gpu_to_a_job_that_is_gone, "belongs to an active job"),
        (take_a_gpu_away, "as many GPUs as it needs"),
        (give_a_gpu_to_another_job, "as many GPUs as it needs"),
        (give_a_gpu_to_two_jobs, "given away more than once"),
        (hold_a_gpu_twice, "each of its GPUs once"),
        (give_a_gpu_to_a_waiting_job, "a waiting job holds no GPU"),
        (stop_a_job_that_holds_gpus, "a waiting job holds no GPU"),
        (run_on_the_wrong_type, "of the type it runs on"),
        (run_without_progress, "makes no progress"),
        (stop_the_clock, "no job is active before its arrival|time is finite"),
        (start_a_round_tomorrow, "a round does not start after now"),
        (be_busy_for_less_than_nothing, "busy for a negative time"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_corruption_is_found_and_named(corrupt: Corrupt, rule: str, sim: Simulation) -> None:
    corrupt(sim)
    with pytest.raises(InvariantError, match=rule) as told:
        invariants.check(sim.state, sim.parts)
    assert str(told.value).startswith("round 2, t = ")


def test_more_busy_time_than_the_run_has_lasted_is_found_where_idle_gaps_do_not_count(sim: Simulation) -> None:
    sim.state.service.busy_s[0] = 1e9
    if sim.parts.timing.idle_gap_counts:
        invariants.check(sim.state, sim.parts)
    else:
        with pytest.raises(InvariantError, match="busy for longer than the run has lasted"):
            invariants.check(sim.state, sim.parts)


def test_a_corruption_in_mid_run_ends_the_run_where_checking_is_on(tmp_path: Path) -> None:
    sim = simulation(trace_scenario(tmp_path, [Job(1e6)], {"v100": 1}))
    play(sim)
    sim.state.jobs.steps_done[0] = -1e9
    with pytest.raises(InvariantError, match="round 1"):
        play(sim)


def test_nothing_is_checked_where_checking_is_off(tmp_path: Path) -> None:
    sim = simulation(trace_scenario(tmp_path, [Job(1e6)], {"v100": 1}, {"output.check_invariants": False}))
    play(sim)
    sim.state.jobs.steps_done[0] = -1e9
    play(sim)
    assert sim.state.round_index == 2
