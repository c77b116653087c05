"""Packing with a movement cost as a linear program with every team as a row: for few jobs, as a reference.

To the program of `phasewise.solvers.forms.packed_max_min_lp`, whose columns are time of teams, come a cost of all time,
and for each job and type that has time to keep a column k that saves twice the cost, at most that time, and a row: k is
at most the job's time on the type, over all its teams. See `phasewise.solvers.packing.staying`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy import sparse

from phasewise.solvers.families.packed_moving import PackedMovingProblem
from phasewise.solvers.forms import packed_max_min_lp
from phasewise.solvers.forms.tables import LP
from phasewise.solvers.lp import INFINITE, LinearProgram
from phasewise.solvers.problems import Floats, Ints
from phasewise.solvers.proofs import Duals
from phasewise.solvers.rows import NOBODY, Keys


@LP.register(PackedMovingProblem)
def to_lp(problem: PackedMovingProblem) -> LinearProgram:
    """Return the program over all teams; raise `UnsupportedProblemError` where these are too many."""
    lp = packed_max_min_lp.to_lp(problem.still)
    assert lp.members is not None
    unit, switching = problem.rows / lp.scale, problem.switching
    stays = np.flatnonzero(problem.crowd.stays[problem.crowd.of_job])
    time = time_on_types(lp.members, np.arange(lp.shape[0] * lp.shape[1]), problem.rows, problem.types)
    price = switching.cost.ravel() * unit
    rows, columns = lp.row_lower.size, lp.cost.size
    plain = sparse.csc_array((lp.value, lp.index, lp.start), shape=(rows, columns))
    own = sparse.hstack([time[stays], sparse.csr_array((stays.size, columns - time.shape[1]))])
    at_most = sparse.eye_array(rows + stays.size, stays.size, k=-rows)
    matrix = sparse.csc_array(sparse.hstack([sparse.vstack([plain, own]), -at_most]))
    cost = np.concatenate((lp.cost, 2.0 * price[stays]))
    cost[lp.columns["x"]] -= time.T @ price
    return replace(
        lp,
        cost=cost,
        col_lower=np.zeros(cost.size),
        col_upper=np.concatenate((lp.col_upper, switching.previous.ravel()[stays])),
        row_lower=np.concatenate((lp.row_lower, np.zeros(stays.size))),
        row_upper=np.concatenate((lp.row_upper, np.full(stays.size, INFINITE))),
        start=matrix.indptr.astype(np.int32),
        index=matrix.indices.astype(np.int32),
        value=matrix.data,
        continuous=np.zeros(cost.size, dtype=np.int32),
        columns={**lp.columns, "kept": slice(columns, cost.size)},
        rows={**lp.rows, "stays": slice(rows, rows + stays.size)},
        to_duals=lambda found: _duals(lp, found, stays, problem.gain.shape, unit),
    )


def time_on_types(members: Keys, pairs: Ints, jobs: int, types: int) -> sparse.csr_array:
    """Return (J W, n) each job's time on each type in a unit of each of the n ``pairs``, flat over (R, W)."""
    row, on = np.divmod(pairs, types)
    entry = np.arange(pairs.size)
    shared = np.flatnonzero(members[row, 1] != NOBODY)
    place = np.concatenate((members[row, 0] * types + on, members[row[shared], 1] * types + on[shared]))
    column = np.concatenate((entry, shared))
    return sparse.csr_array((np.ones(column.size), (place, column)), shape=(jobs * types, pairs.size))


def _duals(lp: LinearProgram, found: Mapping[str, Floats], stays: Ints, shape: tuple[int, int], unit: float) -> Duals:
    """Return the duals of the program without a movement cost, and what time kept is worth."""
    kept = np.zeros(shape)
    kept.reshape(-1)[stays] = found["stays"] / -unit
    return replace(lp.to_duals(found), kept=kept)
