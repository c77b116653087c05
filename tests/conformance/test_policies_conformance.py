"""What every registered policy and placement keeps to; a new one is picked up by itself."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from phasewise.profiling.phases import PhaseTimer
from phasewise.sched import registry
from phasewise.sched.api import ClusterView, PairRates, Policy, TypeOrder
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.scenario.config import Cluster
from phasewise.solvers.session import Walk

POLICIES = registry.policy_names()


def view_of(jobs: int, name: str, seed: int = 3) -> ClusterView:
    """Return a view for a policy whose arrays nobody may write to, as the engine hands them out.

    Half of the jobs have an SLO. A policy for jobs of one GPU sees no others.
    """
    rng = np.random.default_rng(seed)
    throughput = rng.uniform(0.5, 20.0, (jobs, 3)).round(3)
    throughput[::4, 0] = 0.0
    view = ClusterView(
        now_s=720.0,
        worker_types=("k80", "p100", "v100"),
        capacity=np.array([4.0, 3.0, 2.0]),
        job_id=np.cumsum(rng.integers(1, 4, jobs)).astype(np.int64),
        scale_factor=rng.choice([1.0, 2.0], jobs),
        priority_weight=rng.choice([1.0, 5.0], jobs),
        throughput=throughput,
        steps_remaining=rng.uniform(1.0, 1e6, jobs),
        since_arrival_s=rng.uniform(0.0, 1e5, jobs),
        slo_s=np.where(rng.random(jobs) < 0.5, rng.uniform(0.0, 1e6, jobs), np.nan),
    )
    if getattr(registry.policy_class(name), "packs", False):
        view = replace(view, pairs=pairs_of(view.scale_factor, rng))
    if getattr(registry.policy_class(name), "single_gpus_only", False):
        view = replace(view, scale_factor=np.ones(jobs))
    for each in fields(view):
        value = getattr(view, each.name)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return view


def pairs_of(scale_factor: np.ndarray, rng: np.random.Generator) -> PairRates:
    """Return rates of pairs of three kinds for each of two scale factors; some cannot share some types."""
    rate = np.zeros((6, 6, 3, 2))
    for kinds in (slice(0, 3), slice(3, 6)):
        first = rng.uniform(0.5, 15.0, (3, 3, 3)) * (rng.random((3, 3, 3)) < 0.8)
        second = first.transpose(1, 0, 2)
        rate[kinds, kinds] = np.stack((first, second), axis=3) * ((first > 0.0) & (second > 0.0))[..., None]
    return PairRates(np.arange(len(scale_factor), dtype=np.intp) % 3 + 3 * (scale_factor > 1.0), rate)


def recording_of(view: ClusterView, folder: Path) -> Path:
    """Write a recording of an even split of the view's jobs, for the policy that replays."""
    shares = np.full(view.throughput.shape, 0.05).tolist()
    recording = {
        "case": "made--4_3_2--g111--isolated",
        "worker_types": list(view.worker_types),
        "allocations": [{"t": 720.0, "round": 2, "jobs": [[job] for job in view.job_id.tolist()], "x": shares}],
    }
    path = folder / "recording.json"
    path.write_text(json.dumps(recording))
    return path


def policy_for(name: str, view: ClusterView, folder: Path, seed: int = 0) -> Policy:
    chosen = {"allocations": str(recording_of(view, folder))} if name == "recorded" else {}
    told = PolicyOptions(seed=seed, worker_types=view.worker_types, gpu_hour_prices=(0.5, 1.5, 2.5))
    return registry.policy(name, told, chosen)


def bare(memory: object) -> object:
    """Return what a policy remembers as it comes back from being written down: tuples have no names any more."""
    if isinstance(memory, tuple):
        return tuple(bare(each) for each in memory)
    assert (
        memory is None
        or isinstance(memory, (bool, int, float, str))
        or (isinstance(memory, np.ndarray) and not memory.dtype.hasobject)
    )
    return memory


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("jobs", [0, 1, 2, 17])
def test_an_allocation_has_a_row_a_job_and_is_feasible(name: str, jobs: int, tmp_path: Path) -> None:
    view = view_of(jobs, name)
    solver = Walk.of("highs-direct", {}, PhaseTimer())
    allocation = policy_for(name, view, tmp_path).allocate(view, solver.solve, None)
    x, members = allocation.x, allocation.members
    if members is None:
        members = np.column_stack((view.job_id, np.full(jobs, -1)))
    assert x.shape == (len(members), 3)
    assert x.dtype == np.float64
    assert (x >= 0).all()
    assert all((members == job).any(axis=1) @ x.sum(axis=1) <= 1 + 1e-9 for job in view.job_id)
    needs = dict(zip(view.job_id.tolist(), view.scale_factor.tolist(), strict=True))
    gpus = np.array([needs[first] for first, _ in members.tolist()])
    assert (gpus @ x <= view.capacity + 1e-8).all()
    assert all(needs[first] == needs[second] for first, second in members.tolist() if second >= 0)


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_pure_so_equal_inputs_give_equal_answers(name: str, tmp_path: Path) -> None:
    view = view_of(9, name)
    policy, other = (policy_for(name, view, tmp_path) for _ in range(2))
    answers = []
    for each in (policy, policy, other):
        solver = Walk.of("highs-direct", {}, PhaseTimer())
        answers.append(each.allocate(view, solver.solve, None).x)
    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[0], answers[2])


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_bears_its_name_and_states_its_selection_rules(name: str, tmp_path: Path) -> None:
    policy = policy_for(name, view_of(1, name), tmp_path)
    assert policy.name == name
    assert isinstance(policy.type_order, TypeOrder)
    assert isinstance(policy.needs_positive_priority, bool)


@pytest.mark.parametrize("name", POLICIES)
def test_what_a_policy_remembers_may_be_given_back(name: str, tmp_path: Path) -> None:
    view = view_of(6, name)
    solver = Walk.of("highs-direct", {}, PhaseTimer())
    policy = policy_for(name, view, tmp_path)
    memory = policy.allocate(view, solver.solve, None).memory
    nobody = view_of(0, name)
    assert policy.allocate(nobody, solver.solve, memory).x.shape == (0, 3)


@pytest.mark.parametrize("name", POLICIES)
def test_what_a_policy_remembers_may_be_written_down_and_comes_back_as_bare_tuples(name: str, tmp_path: Path) -> None:
    view = view_of(6, name)
    answers = []
    for through in (lambda memory: memory, bare):
        solver, policy = Walk.of("highs-direct", {}, PhaseTimer()), policy_for(name, view, tmp_path)
        memory: object = None
        for seen in (view, view_of(0, name)):  # `recorded` has one allocation
            allocation = policy.allocate(seen, solver.solve, memory)
            memory = through(allocation.memory)
            answers.append(allocation.x)
    assert all(np.array_equal(x, y) for x, y in zip(answers[:2], answers[2:], strict=True))


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_names_the_struct_of_its_options(name: str) -> None:
    assert issubclass(registry.policy_class(name).options, PolicyOptions)


@pytest.mark.parametrize("name", registry.placement_names())
def test_a_placement_bears_its_name_and_describes_itself(name: str) -> None:
    options = registry.PlacementOptions(ClusterLayout.build(Cluster(gpus={"v100": 4})))
    assert registry.placement(name, options).name == name
    assert registry.describe_placements()[name]
