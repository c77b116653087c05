"""The level of finish-time fairness by kinds alone: beside the search by classes, and how jobs get their part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from shared_finish_times import ratios, solved, stated

from phasewise.solvers.packed_instances import random_packed_finish_time
from phasewise.solvers.packing.levels import level_of
from phasewise.solvers.packing.profiles import ProfileSolver, has_profiles
from phasewise.solvers.packing.splitting import spread


@pytest.mark.parametrize("seed", range(8))
def test_the_level_of_kinds_is_that_of_all_pairs_and_every_job_has_its_need(seed: int) -> None:
    problem = random_packed_finish_time(seed, 60, 3, 3, ())
    solver = ProfileSolver("by-kinds", {})
    found = level_of(solver, problem, None)
    assert found is not None
    level = found.profile.level
    other = ratios(problem, solved(problem, "highs-direct"))
    held_back = other > problem.soonest * (1.0 + 1e-6)
    assert level <= other[held_back].max() * (1.0 + 1e-6)  # nobody is his own partner is not a part of it
    parts = spread(found.crowd, found.profile, solver)
    if parts is None:
        return
    assert level == pytest.approx(other[held_back].max(), rel=2e-6)
    crowd = found.crowd
    time = parts.alone.sum(axis=1) + parts.beside.sum(axis=(1, 2))
    gains = (crowd.gain * parts.alone).sum(axis=1) + (crowd.rate[crowd.kind] * parts.beside).sum(axis=(1, 2))
    assert time.max() <= 1.0 + 1e-9
    assert (gains >= found.profile.need * (1.0 - 1e-8)).all()


def test_where_two_jobs_of_a_kind_would_be_their_own_partners_the_search_by_classes_answers() -> None:
    # one of three beside another at 0.8: 2 Z = 1.6 of time for two, of whom each has Z at most
    problem = stated(0.8, 1.0, [50.0, 0.0])
    found = ratios(problem, solved(problem))
    assert found.max() == pytest.approx(solved(problem, "highs-direct").objective, rel=1e-9)


def test_jobs_of_a_kind_with_speeds_of_their_own_are_left_to_the_search_by_classes() -> None:
    problem = random_packed_finish_time(1, 30, 3, 3, ())
    assert has_profiles(problem.crowd)
    other = replace(problem, throughput=problem.throughput * np.linspace(1.0, 1.5, 30)[:, None])
    assert not has_profiles(other.crowd)
    assert level_of(ProfileSolver("by-kinds", {}), other, None) is None
    assert solved(other).objective == pytest.approx(solved(other, "highs-direct").objective, rel=1e-9)
