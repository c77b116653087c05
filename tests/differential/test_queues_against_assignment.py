"""Jobs in queues against an independent assignment of jobs to every single position."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from instance_counts import PER_BACKEND
from oracle import GAVEL, names, read, replay
from scipy.optimize import linear_sum_assignment

from phasewise.solvers.structured.queues import Queued, fill, proven

Floats = np.ndarray
NOWHERE = -1


def random_durations(seed: int, jobs: int, types: int, form: str) -> tuple[Floats, np.ndarray]:
    """Return durations (J, W), infinite for a fifth of the pairs, and free GPUs (W,), some types without any."""
    rng = np.random.default_rng([seed, jobs, types])
    steps = 60.0 * 10.0 ** rng.uniform(1.5, 4.0, (jobs, 1))
    durations = steps / np.exp(0.7 * rng.standard_normal((jobs, types)))
    if form == "whole":  # few different figures: ties everywhere
        durations = np.ceil(np.log2(durations))
    elif form == "equal rows":
        durations = np.repeat(durations[:1], jobs, axis=0)
    elif form == "equal types":
        durations = np.repeat(durations[:, :1], types, axis=1)
    elif form == "spread":
        durations *= 10.0 ** rng.uniform(-6.0, 6.0, (jobs, 1))
    durations[rng.random((jobs, types)) < 0.2] = np.inf
    return durations, rng.integers(0, rng.choice([2, 3, 10]), types)


def assigned(durations: Floats, gpus: np.ndarray) -> float:
    """Return the least sum of k c_ij by assigning jobs to single positions: m x (n m) figures, as the original does."""
    jobs = durations.shape[0]
    positions = [k * durations[:, [j]].repeat(n, axis=1) for j, n in enumerate(gpus) for k in range(1, jobs + 1)]
    matrix = np.concatenate(positions, axis=1)
    matrix = np.where(np.isfinite(matrix), matrix, 1e3 * jobs * matrix[np.isfinite(matrix)].sum())
    rows, columns = linear_sum_assignment(matrix)
    return float(matrix[rows, columns].sum())


def check(durations: Floats, gpus: np.ndarray, found: Queued) -> np.ndarray:
    """Assert that positions are filled as they may be and the cost is proven; return which jobs can run."""
    runs = np.isfinite(durations) & (gpus > 0)
    somewhere = runs.any(axis=1)
    np.testing.assert_array_equal(found.rank > 0, somewhere)
    np.testing.assert_array_equal(found.kind != NOWHERE, somewhere)
    assert runs[somewhere, found.kind[somewhere]].all()
    places, count = np.unique(np.stack((found.kind, found.rank))[:, somewhere], axis=1, return_counts=True)
    assert (count <= gpus[places[0]]).all()
    paid = (found.rank[somewhere] * durations[somewhere, found.kind[somewhere]]).sum()
    assert found.cost == pytest.approx(paid, rel=1e-12)
    assert (found.price >= 0.0).all()
    assert found.bound == proven(durations, gpus, found.first, found.price)[0]
    assert abs(found.cost - found.bound) <= 1e-11 * found.cost
    return somewhere


FORMS = st.sampled_from(["any", "whole", "equal rows", "equal types", "spread"])
CASES = st.tuples(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 5, 12, 25]), st.integers(1, 6), FORMS)


@hypothesis_settings(max_examples=PER_BACKEND)
@given(case=CASES)
def test_the_cost_is_that_of_assigning_jobs_to_single_positions(case: tuple[int, int, int, str]) -> None:
    note(f"random_durations{case}")
    durations, gpus = random_durations(*case)
    found = fill(durations, gpus)
    somewhere = check(durations, gpus, found)
    best = assigned(durations[somewhere], gpus) if somewhere.any() else 0.0
    assert found.cost == pytest.approx(best, rel=1e-9)


@hypothesis_settings(max_examples=PER_BACKEND // 4)
@given(
    seed=st.integers(0, 2**32 - 1), jobs=st.sampled_from([100, 400]), types=st.integers(1, 6), form=FORMS,
    free=st.sampled_from([1, 5, 50, 1000]),
)  # fmt: skip
def test_more_jobs_than_could_be_assigned_one_by_one_are_proven(
    seed: int, jobs: int, types: int, form: str, free: int
) -> None:
    durations, _ = random_durations(seed, jobs, types, form)
    gpus = np.random.default_rng(seed).multinomial(free, np.full(types, 1.0 / types))
    check(durations, gpus, fill(durations, gpus))


@given(case=CASES)
def test_prices_of_any_form_prove_no_more_than_the_optimum(case: tuple[int, int, int, str]) -> None:
    durations, gpus = random_durations(*case)
    found = fill(durations, gpus)
    rng = np.random.default_rng(case[0])
    prices = found.price * rng.uniform(0.0, 2.0, found.price.size)
    assert proven(durations, gpus, found.first, prices)[0] <= found.cost * (1.0 + 1e-12)


@given(case=CASES)
def test_each_free_gpu_starts_the_deepest_job_of_its_queue(case: tuple[int, int, int, str]) -> None:
    durations, gpus = random_durations(*case)
    found = fill(durations, gpus)
    starts = found.deepest(gpus)
    for kind in range(gpus.size):
        queued = np.flatnonzero(found.kind == kind)
        first = sorted(queued, key=lambda job: (-found.rank[job], job))[: gpus[kind]]
        np.testing.assert_array_equal(np.flatnonzero(starts == kind), sorted(first))


def test_nobody_runs_where_there_are_no_gpus_and_nobody_waits() -> None:
    found = fill(np.ones((3, 2)), np.zeros(2, dtype=np.int64))
    assert (found.cost, found.bound, found.rank.tolist()) == (0.0, 0.0, [0, 0, 0])
    assert fill(np.ones((0, 2)), np.array([3, 1])).cost == 0.0


def recorded(name: str) -> Iterator[tuple[Floats, np.ndarray, np.ndarray]]:
    """Yield durations, free GPUs and what was started (the type, or `NOWHERE`) of a run's recorded problems.

    Who held a GPU before is told by the allocation before; only the recorded runs have it.
    """
    before = read(replay(name))["allocations"]
    for case in read(GAVEL / "alloc" / f"{name}.json")["cases"]:
        last = before[case["index"] - 1] if case["index"] else {"jobs": [], "x": []}
        serving = {job: int(np.argmax(x)) for (job,), x in zip(last["jobs"], last["x"], strict=True) if max(x) > 0.0}
        jobs = np.array(case["jobs"])[:, 0]
        free = np.array([case["cluster_spec"][kind] for kind in case["worker_types"]])
        for job in serving.keys() & set(jobs.tolist()):
            free[serving[job]] -= 1
        waits = np.array([job not in serving for job in jobs], dtype=bool)
        steps, rates, x = (np.array(case[key])[waits] for key in ("num_steps_remaining", "throughputs", "x"))
        yield steps[:, None] / rates, free, np.where(x.any(axis=1), x.argmax(axis=1), NOWHERE)


@pytest.mark.oracle
@pytest.mark.parametrize("name", names(GAVEL / "alloc", "*--allox"))
def test_recorded_problems_cost_what_the_original_paid(name: str) -> None:
    for case in read(GAVEL / "alloc" / f"{name}.json")["cases"]:
        gpus = np.array([case["cluster_spec"][kind] for kind in case["worker_types"]])
        durations = np.array(case["num_steps_remaining"])[:, None] / np.array(case["throughputs"])
        assert fill(durations, gpus).cost == pytest.approx(assigned(durations, gpus), rel=1e-12)


@pytest.mark.oracle
def test_the_deepest_jobs_are_those_that_the_original_started() -> None:
    started = 0
    for durations, free, kind in recorded("po_single_20_s9--4_2_2--g111--allox"):
        np.testing.assert_array_equal(fill(durations, free).deepest(free), kind)
        started += int((kind != NOWHERE).sum())
    assert started


@pytest.mark.oracle
@pytest.mark.nightly
@pytest.mark.parametrize("name", names(GAVEL / "alloc", "*--allox"))
def test_the_original_started_jobs_of_the_same_positions_of_the_same_types(name: str, shared_dir: Path) -> None:
    assert shared_dir.is_dir()
    for durations, free, kind in recorded(name):
        found = fill(durations, free)
        own = found.deepest(free)
        for each in range(free.size):  # which of equally deep queues' jobs stands before another costs nothing
            assert (own == each).sum() == (kind == each).sum()
            assert (found.kind[kind == each] == each).all()
