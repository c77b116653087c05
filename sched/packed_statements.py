"""The problems of the policies that pack: who may share with whom, and what an answer's teams are in a view's terms."""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Floats, Ints
from phasewise.sched.policy_options import MaxMinOptions, PolicyOptions
from phasewise.sched.statements import CANONICAL_WEIGHT, movement, possible_pairs, proportional_throughput
from phasewise.solvers.api import Solution
from phasewise.solvers.families.packed import MAX_MIN_PACKED, PackedMaxMinProblem
from phasewise.solvers.families.packed_lexicographic import PackedLexicographicProblem
from phasewise.solvers.families.packed_moving import MAX_MIN_PACKED_SWITCHING, PackedMovingProblem
from phasewise.solvers.problems import Bools

_NOBODY: Final = -1


def pair_rates(view: ClusterView) -> tuple[Ints, Floats]:
    """Return (J,) the kind of each job and (K, K, W) steps/s of a job of the first kind beside one of the second.

    Jobs of a kind need equally many GPUs: those that were never measured may be of one kind in the view, and of several
    here. Without a table nobody shares.
    """
    measured = np.zeros(view.job_id.size) if view.pairs is None else view.pairs.kind.astype(np.float64)
    kinds, kind = np.unique(np.column_stack((measured, view.scale_factor)), axis=0, return_inverse=True)
    shape = (len(kinds), len(kinds), view.capacity.size)
    of_kind = kinds[:, 0].astype(np.int64)
    rate = np.zeros(shape) if view.pairs is None else view.pairs.rate[np.ix_(of_kind, of_kind)][..., 0]
    return kind.reshape(-1).astype(np.int64), rate


def packed_max_min_problem(view: ClusterView, options: MaxMinOptions) -> tuple[PackedMaxMinProblem, Bools]:
    """Return max-min fairness of jobs that may share, and which jobs have a row, (J,) bool.

    A job's gain is s_i/(w_i norm_i) times its throughput over all its time, alone and beside others, with norm_i its
    throughput alone under an equal share: as `phasewise.sched.statements.max_min_problem`, and with what it does beside
    others. A job that can run on no type has no row. Where moving costs, what a job has on a type more or less than in
    all its teams before costs move_weight * migration_s_ij / J a unit of time.

    Notes
    -----
    Source: OSDI'20 s4.3, space sharing.
    """
    allowed, rows = possible_pairs(view, options)
    kind, rate = pair_rates(view)
    factor = fair_factor(view, rows)
    problem = PackedMaxMinProblem(
        gain=factor[:, None] * view.throughput[rows],
        kind=kind[rows],
        factor=factor,
        rate=rate,
        scale_factor=view.scale_factor[rows],
        capacity=view.capacity,
        allowed=allowed,
        linear_weight=CANONICAL_WEIGHT if options.canonical else 0.0,
        keys=view.job_id[rows],
    )
    previous, lost = movement(view, rows, options)
    if previous is None or lost is None:
        return problem, rows
    stated = problem.stated()
    return PackedMovingProblem(**stated, previous=previous, move_cost=lost / max(1, problem.rows)), rows


def packed_max_min_families(options: MaxMinOptions) -> frozenset[str]:
    """Return the families of what `packed_max_min_problem` states in a simulation with these options."""
    return frozenset({MAX_MIN_PACKED_SWITCHING if options.move_weight else MAX_MIN_PACKED})


def packed_water_filling_problem(view: ClusterView, options: PolicyOptions) -> tuple[PackedLexicographicProblem, Bools]:
    """Return the lexicographic problem over the gains of `packed_max_min_problem`, and which jobs have a row."""
    allowed, rows = possible_pairs(view, options)
    kind, rate = pair_rates(view)
    factor = fair_factor(view, rows)
    problem = PackedLexicographicProblem(
        gain=factor[:, None] * view.throughput[rows],
        kind=kind[rows],
        factor=factor,
        rate=rate,
        scale_factor=view.scale_factor[rows],
        capacity=view.capacity,
        allowed=allowed,
        keys=view.job_id[rows],
    )
    return problem, rows


def fair_factor(view: ClusterView, rows: Bools) -> Floats:
    """Return s_i / (w_i norm_i) of the jobs in ``rows``: what a step per second is worth to each."""
    norm = proportional_throughput(view.throughput[rows], view.capacity)
    factor: Floats = view.scale_factor[rows] / (view.priority_weight[rows] * norm)
    return factor


def in_teams(view: ClusterView, rows: Bools, solution: Solution, memory: object = None) -> Allocation:
    """Return the allocation that a solution over the jobs in ``rows`` is, with a row for each job that has none."""
    places = np.flatnonzero(rows)
    alone = np.full(places.size, _NOBODY)
    members = np.column_stack((np.arange(places.size), alone)) if solution.members is None else solution.members
    named = np.where(members == _NOBODY, _NOBODY, view.job_id[places[members]])
    others = view.job_id[~rows]
    return Allocation(
        x=np.concatenate((solution.x, np.zeros((others.size, view.capacity.size)))),
        memory=memory,
        members=np.concatenate((named, np.column_stack((others, np.full(others.size, _NOBODY))))),
    )


def nobody_runs(view: ClusterView, memory: object = None) -> Allocation:
    """Return the allocation in which nobody has any time."""
    return Allocation(np.zeros(view.throughput.shape), memory)
