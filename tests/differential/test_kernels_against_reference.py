"""Every compiled kernel against a plain reference, written from the rules with lists and dicts, bit for bit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasewise.sched.round import kernels, selection_kernels

SEEDS = st.integers(0, 2**32 - 1)
FEW = (0.0, 0.25, 0.5, 1.0)  # many ties, and zeros
SIGNED = (*FEW, -0.25, -1.0)
SCALES = (1.0, 1.0, 2.0, 3.0, 4.0)
many = settings(max_examples=5 * settings.default.max_examples)  # an example takes a millisecond


def jobs_in(rng: np.random.Generator) -> int:
    """Return how many jobs there are: often none or one."""
    return int(rng.choice([0, 1, *range(2, 13)]))


def some(
    rng: np.random.Generator, few: tuple[float, ...], *shape: int, low: float = 0.0, high: float = 0.0
) -> np.ndarray:
    """Return values out of a few, and where there is a range, in half of the cases half of them out of that."""
    values = rng.choice(few, shape).astype(float)
    if high > low and rng.random() < 0.5:
        spread = rng.random(shape) < 0.5
        values[spread] = rng.uniform(low, high, spread.sum())
    return values


def same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    return first.dtype == second.dtype and first.shape == second.shape and first.tobytes() == second.tobytes()


# -- sorting -------------------------------------------------------------------------------------------------------


@many
@given(SEEDS)
def test_sorting_is_stable_and_descending_by_three_keys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs = jobs_in(rng)
    keys = [some(rng, SIGNED, jobs, low=-1e6, high=1e6) for _ in range(3)]
    order = rng.permutation(jobs)[: rng.integers(0, jobs + 1)]
    expected = sorted(order.tolist(), key=lambda i: tuple(key[i] for key in keys), reverse=True)
    kernels.sort_descending(order, *keys)
    assert order.tolist() == expected


@settings(max_examples=20)
@given(SEEDS)
def test_sorting_by_few_values_is_the_same_and_by_many_is_left_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs, values = int(rng.integers(1, 3_000)), int(rng.choice([1, 7, kernels.FEW, kernels.FEW + 1]))
    few = rng.permutation(values) * 1.25 - 2.0
    few[0] = -0.0
    key = few[rng.integers(0, values, jobs)]
    order = rng.permutation(jobs)[: rng.integers(1, jobs + 1)]
    before, expected = order.copy(), sorted(order.tolist(), key=lambda i: float(key[i]), reverse=True)
    done = kernels.sort_by_few(order, key)
    assert done == (len(np.unique(key[before])) <= kernels.FEW)
    assert order.tolist() == (expected if done else before.tolist())


# -- priorities ----------------------------------------------------------------------------------------------------


def plain_priority(x: float, speed: float, job_time_s: float, worker_time_s: float) -> float:
    if x == 0 or speed == 0:
        return 0.0
    if worker_time_s == 0 or job_time_s / worker_time_s == 0:
        return x * 1e9
    return x / (job_time_s / worker_time_s)


@many
@given(SEEDS)
def test_priorities_are_the_allocation_over_the_share_received(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs, types = jobs_in(rng), int(rng.integers(1, 5))
    x, speed, job_time_s = (some(rng, FEW, jobs, types, high=1e6) for _ in range(3))
    worker_time_s = some(rng, FEW, types, high=1e6)
    priority = np.full((jobs, types), np.nan)
    kernels.fill_priorities(x, speed, job_time_s, worker_time_s, priority)
    expected = [
        [plain_priority(x[i, j], speed[i, j], job_time_s[i, j], worker_time_s[j]) for j in range(types)]
        for i in range(jobs)
    ]
    assert same_bits(priority, np.array(expected, float).reshape(jobs, types))


# -- selection -----------------------------------------------------------------------------------------------------


def plain_selection(
    type_order: list[int], keys: list[np.ndarray], speed: np.ndarray, scale: np.ndarray, left: list[float], fifo: bool
) -> list[tuple[int, int]]:
    chosen: dict[int, int] = {}
    for t in type_order:
        by_key = sorted(range(len(scale)), key=lambda i: tuple(key[i, t] for key in keys), reverse=True)
        for i in by_key:
            if i not in chosen and speed[i, t] > 0 and (keys[0][i, t] > 0 or not fifo) and scale[i] <= left[t]:
                chosen[i] = t
                left[t] -= scale[i]
    return list(chosen.items())


@many
@given(SEEDS)
def test_selection_takes_the_first_jobs_that_fit_type_by_type(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs, types = jobs_in(rng), int(rng.integers(1, 5))
    priority, deficit_s = some(rng, FEW, jobs, types, high=1e6), some(rng, SIGNED, jobs, types, low=-1e6, high=1e6)
    x, speed = some(rng, FEW, jobs, types), some(rng, FEW, jobs, types)
    scale, capacity = some(rng, SCALES, jobs), rng.integers(0, 10, types).astype(float)
    order, fifo = rng.permutation(types)[: rng.integers(0, types + 1)], bool(rng.integers(2))
    chosen = selected(np.arange(jobs), order, (priority, deficit_s, x), speed, scale, capacity, fifo)
    expected = plain_selection(order.tolist(), [priority, deficit_s, x], speed, scale, capacity.tolist(), fifo)
    assert chosen == expected


def selected(
    among: np.ndarray, order: np.ndarray, keys: tuple[np.ndarray, ...], *rest: np.ndarray | bool
) -> list[tuple[int, int]]:
    row, worker_type = np.full(len(among), -7), np.full(len(among), -7)
    count = selection_kernels.select_jobs(order, among, *keys, *rest, row, worker_type)
    return list(zip(row[:count].tolist(), worker_type[:count].tolist(), strict=True))


@settings(max_examples=20)
@given(SEEDS)
def test_of_many_jobs_a_sample_tells_where_to_begin_and_changes_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs, types = int(rng.integers(2 * selection_kernels.SAMPLE, 8 * selection_kernels.SAMPLE)), int(rng.integers(1, 4))
    priority, deficit_s = some(rng, FEW, jobs, types, high=1e6), some(rng, SIGNED, jobs, types, low=-1e6, high=1e6)
    x, speed = some(rng, FEW, jobs, types), some(rng, FEW, jobs, types)
    scale = some(rng, (110.0, 500.0, 1000.0, 2000.0), jobs)
    capacity = 1000.0 * np.floor(jobs * rng.choice([0.0, 0.02, 0.1, 0.5, 2.0], types))
    among = np.flatnonzero(rng.random(jobs) < rng.choice([0.2, 1.0]))
    order, fifo = rng.permutation(types), bool(rng.integers(2))
    chosen = selected(among, order, (priority, deficit_s, x), speed[among], scale, capacity, fifo)
    keys = [priority[among], deficit_s[among], x[among]]
    expected = plain_selection(order.tolist(), keys, speed[among], scale[among], capacity.tolist(), fifo)
    assert chosen == [(int(among[i]), t) for i, t in expected]


# -- progress ------------------------------------------------------------------------------------------------------


@many
@given(SEEDS)
def test_micro_tasks_are_whole_steps_that_fit_into_the_round(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs, types, whole = jobs_in(rng), int(rng.integers(1, 4)), bool(rng.integers(2))
    now_s, round_s = rng.uniform(0.0, 1e7), float(rng.choice([360.0, 600.0, 12.5]))
    speed = some(rng, (1.0, 0.001, 1 / 360), jobs, types, low=1e-3, high=200.0)
    remaining = some(rng, (1.0, 360.0), jobs, low=1e-6, high=1e6)
    worker_type = rng.integers(-1, types, jobs)
    steps, finish_s = np.full(jobs, np.nan), np.full(jobs, np.nan)
    latest_s, running = kernels.launch(now_s, round_s, whole, worker_type, speed, remaining, steps, finish_s)
    finishes = []
    for i, t in enumerate(worker_type.tolist()):
        if t < 0:
            continue
        possible = float(int(speed[i, t] * round_s))
        if possible == 0 and not whole:
            possible = speed[i, t] * round_s
        assert steps[i] == min(possible, remaining[i])
        assert finish_s[i] == now_s + steps[i] / speed[i, t]
        finishes.append(finish_s[i])
    assert (latest_s, running) == (max(finishes, default=now_s), len(finishes))


def plain_settlement(flight: dict[str, np.ndarray], clocks: tuple[float, float], short_fails: bool) -> list[str]:
    """Credit the micro-tasks to the arrays of ``flight``; return what became of each job."""
    launched_s, round_start_s = clocks
    jobs = range(len(flight["worker_type"]))
    told = ["waits"] * len(jobs)
    for i in sorted((i for i in jobs if flight["worker_type"][i] >= 0), key=lambda i: (-flight["finish_s"][i], i)):
        t, workers, steps = flight["worker_type"][i], int(flight["scale"][i]), float(flight["steps"][i])
        elapsed_s = flight["finish_s"][i] - round_start_s
        parts = [steps // workers] * (workers - 1)
        parts.append(steps - (steps // workers) * (workers - 1))
        if steps <= 0 or (short_fails and (elapsed_s <= 0 or min(parts) <= 0)):
            flight["failures"][i] += 1
            told[i] = "failed"
            continue
        flight["failures"][i] = 0
        flight["done"][i] += steps
        flight["job_time_s"][i, t] += elapsed_s
        flight["worker_time_s"][t] += elapsed_s
        flight["executed_s"][i] = elapsed_s
        flight["busy_gpu_s"][t] += (flight["finish_s"][i] - launched_s) * workers
        told[i] = "completed" if flight["total"][i] - flight["done"][i] <= 0 else "runs"
    return told


def in_flight(rng: np.random.Generator, launched_s: float) -> dict[str, np.ndarray]:
    """Return micro-tasks and what they are to be credited to."""
    jobs, types = jobs_in(rng), int(rng.integers(1, 4))
    steps = some(rng, (0.0, 1.0, 2.0, 3.0, 4.0), jobs, low=0.01, high=1e5)
    done = rng.integers(0, 100, jobs).astype(float)
    return {
        "worker_type": rng.integers(-1, types, jobs),
        "scale": some(rng, SCALES, jobs),
        "steps": steps,
        "finish_s": launched_s + some(rng, FEW, jobs, high=360.0),
        "total": done + steps + some(rng, (0.0, 0.0, 1.0, 0.5), jobs),
        "done": done,
        "job_time_s": some(rng, FEW, jobs, types, high=1e6),
        "worker_time_s": some(rng, FEW, types, high=1e6),
        "failures": rng.integers(0, 5, jobs),
        "executed_s": np.full(jobs, np.nan),
        "busy_gpu_s": np.full(types, np.nan),
    }


@many
@given(SEEDS)
def test_micro_tasks_are_credited_latest_first(seed: int) -> None:
    rng = np.random.default_rng(seed)
    launched_s, short_fails = rng.uniform(0.0, 1e6), bool(rng.integers(2))
    flight, clocks = in_flight(rng, launched_s), (launched_s, launched_s - float(rng.choice([0.0, 0.0, 360.0])))
    expected = {name: array.copy() for name, array in flight.items()}
    expected["executed_s"][:] = 0.0
    expected["busy_gpu_s"][:] = 0.0
    told = plain_settlement(expected, clocks, short_fails)
    outcome = np.full(len(told), -9)
    written = ("total", "done", "job_time_s", "worker_time_s", "failures", "executed_s", "busy_gpu_s")
    read = ("worker_type", "scale", "steps", "finish_s")
    events = kernels.settle(*clocks, short_fails, *(flight[name] for name in (*read, *written)), outcome)
    codes = {"waits": kernels.RUNS, "runs": kernels.RUNS, "completed": kernels.COMPLETED, "failed": kernels.TASK_FAILED}
    assert outcome.tolist() == [codes[each] for each in told]
    assert events == sum(each in ("completed", "failed") for each in told)
    for name, array in flight.items():
        assert same_bits(array, expected[name]), name


@many
@given(SEEDS, st.booleans())
def test_a_round_counts_for_the_jobs_that_run_in_it(seed: int, priced: bool) -> None:
    rng = np.random.default_rng(seed)
    jobs, (start_s, end_s) = jobs_in(rng), np.sort(rng.uniform(0.0, 1e6, 2)).tolist()
    worker_type, scale = rng.integers(-1, 3, jobs), some(rng, (0.25, *SCALES), jobs)
    finish_s, rounds_run = start_s + some(rng, FEW, jobs, high=360.0), rng.integers(0, 3, jobs)
    first_start_s = np.where(rounds_run, 5.0, np.nan)
    booked = {"first_start_s": first_start_s, "run_s": some(rng, FEW, jobs), "gpu_s": some(rng, FEW, jobs)}
    price, cost = rng.uniform(0.1, 9.0, 3 if priced else 0), some(rng, FEW, jobs)
    expected, rounds = {name: column.tolist() for name, column in booked.items()}, rounds_run.tolist()
    expected["cost"] = cost.tolist()
    for i in np.flatnonzero(worker_type >= 0).tolist():
        if not rounds[i]:
            expected["first_start_s"][i] = start_s
        rounds[i] += 1
        expected["run_s"][i] += float(finish_s[i]) - start_s
        expected["gpu_s"][i] += (end_s - start_s) * float(scale[i])
        if priced:
            expected["cost"][i] += (end_s - start_s) * float(scale[i]) / 3600.0 * float(price[worker_type[i]])
    kernels.book_time(start_s, end_s, worker_type, scale, finish_s, rounds_run, *booked.values(), price, cost)
    assert rounds_run.tolist() == rounds
    for name, column in {**booked, "cost": cost}.items():
        assert same_bits(column, np.array(expected[name], float)), name


@many
@given(SEEDS, st.booleans())
def test_the_account_of_isolation_grows_by_the_steps_over_the_rate_on_a_share(seed: int, in_place: bool) -> None:
    rng = np.random.default_rng(seed)
    jobs, gpus = jobs_in(rng), float(rng.integers(1, 40))
    scale, pooled = some(rng, (0.25, *SCALES), jobs), rng.uniform(0.1, 1e3, jobs)
    settled = some(rng, FEW, jobs, high=1e5)
    done, isolated_s = settled + some(rng, FEW, jobs, high=1e5), some(rng, FEW, jobs, high=1e6)
    expected = [isolated_s[i] + (done[i] - settled[i]) * max(scale[i] * jobs, gpus) / pooled[i] for i in range(jobs)]
    account_s = isolated_s if in_place else np.full(jobs, np.nan)
    kernels.book_isolated(gpus, scale, pooled, done, settled, isolated_s, account_s)
    assert same_bits(account_s, np.array(expected, float))


# -- compilation ---------------------------------------------------------------------------------------------------

COMPILED_IN_THE_LOOP = """
from phasewise.profiling.jit.kernel import Kernel
from phasewise.sched import simulate
from phasewise.sched.scenario.loading import load_scenario

prepare, make, asked = simulate.prepare_kernels, Kernel.compile, []


def prepared(*given):
    waited_s = prepare(*given)
    asked.clear()
    return waited_s


def compiled(kernel, signature):  # or loaded: on a machine that has no kernels yet, it would be compiled
    asked.append(kernel.title)
    return make(kernel, signature)


simulate.prepare_kernels, Kernel.compile = prepared, compiled
for overrides in (
    {"policy.name": "fifo_perf"},
    {"solver.name": "auto"},
    {"solver.name": "highs-direct,structured"},
    {"policy.name": "max_min_fairness_water_filling"},
    {"policy.name": "max_min_fairness_water_filling", "solver.name": "water-filling"},
    {"policy.name": "finish_time_fairness", "solver.name": "auto"},
    {"placement.name": "fgd", "solver.name": "structured", "migration.enabled": True},
):
    simulate.simulate(load_scenario("toy", {**overrides, "stop.rounds": 40}), None)
    print(asked)
"""


def test_a_run_compiles_nothing_that_was_not_prepared() -> None:
    program = [sys.executable, "-P", "-c", COMPILED_IN_THE_LOOP]
    said = subprocess.run(program, check=True, capture_output=True, text=True)
    assert set(said.stdout.splitlines()) == {"[]"}, "compiled in the loop"


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 1000])
def test_sorting_many_equal_keys_keeps_their_order(count: int) -> None:
    order, equal = np.arange(count), np.ones(count)
    kernels.sort_descending(order, equal, equal, equal)
    assert order.tolist() == list(range(count))
