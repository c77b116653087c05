"""Jobs into queues as a linear program: whose vertices are integral, as it is a transport.

Over columns z_ijk, with durations divided by their mean over jobs of the shortest one::

    max  -sum_ijk k c_ij z_ijk
    s.t. sum_jk z_ijk = 1               J job rows; <= 0 for a job that can run nowhere
         sum_i z_ijk <= N_j             a row for each position of each type
         0 <= z_ijk, and <= 0 where not allowed

A type has as many positions as would take all jobs: M / N_j, rounded up. Where that makes more columns than a general
solver is for, there is no linear form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from phasewise.solvers.errors import UnsupportedProblemError
from phasewise.solvers.families.transport import TransportProblem
from phasewise.solvers.forms.tables import LP
from phasewise.solvers.lp import INFINITE, LinearProgram
from phasewise.solvers.problems import Floats
from phasewise.solvers.proofs import Duals

MOST_COLUMNS: Final = 500_000
"""Pairs of a job and a position: with more, building and solving take minutes."""


@LP.register(TransportProblem)
def to_lp(problem: TransportProblem) -> LinearProgram:
    """Return the problem as a linear program, with a block of columns for each position from the end.

    Raises
    ------
    UnsupportedProblemError
        Where it has more than `MOST_COLUMNS` columns.
    """
    jobs, types = problem.rows, problem.types
    deep = problem.depth
    if jobs * int(deep.sum()) > MOST_COLUMNS:
        raise UnsupportedProblemError(
            f"{jobs} jobs x {int(deep.sum())} positions are more than the {MOST_COLUMNS:,} columns that a linear "
            "program is made of; choose structured"
        )
    first = np.concatenate(([0], np.cumsum(deep)))
    pairs = [_pairs(jobs, types, np.flatnonzero(deep >= k)) for k in range(1, int(deep.max(initial=0)) + 1)]
    pair = np.concatenate([*pairs, np.zeros(0, dtype=np.intp)])
    position = np.repeat(np.arange(1, len(pairs) + 1), [each.size for each in pairs])
    job, kind = np.divmod(pair, types)
    scale = float(problem.usable_duration[problem.runs].min(axis=1).mean()) if problem.runs.any() else 1.0
    allowed = problem.allowed_mask.ravel()[pair]
    index = np.stack((job, jobs + first[kind] + position - 1), axis=1)
    ends = np.cumsum([0, *(each.size for each in pairs)])
    blocks = {f"position {k + 1}": slice(int(ends[k]), int(ends[k + 1])) for k in range(len(pairs))}
    rows = jobs + int(first[-1])

    def to_duals(of_rows: Mapping[str, Floats]) -> Duals:
        return Duals(potential=-of_rows["job"] * scale)

    return LinearProgram(
        np.where(allowed, -position * problem.duration.ravel()[pair] / scale, 0.0),
        np.zeros(pair.size),
        np.where(allowed, INFINITE, 0.0),  # a bound of 1 would take over the price of a job's row
        np.concatenate((problem.runs.astype(np.float64), np.full(rows - jobs, -INFINITE))),
        np.concatenate((problem.runs.astype(np.float64), np.repeat(problem.capacity, deep))),
        np.arange(0, 2 * pair.size + 1, 2, dtype=np.int32),
        index.ravel().astype(np.int32),
        np.ones(2 * pair.size),
        np.zeros(pair.size, dtype=np.int32),
        (jobs, types),
        blocks,
        {"job": slice(0, jobs), "position": slice(jobs, rows)},
        dict(zip(blocks, pairs, strict=True)),
        to_duals,
        scale,
    )


def _pairs(jobs: int, types: int, kinds: np.typing.NDArray[np.intp]) -> np.typing.NDArray[np.intp]:
    """Return the flat indices of the pairs of every job with some of the types, ascending."""
    flat: np.typing.NDArray[np.intp] = (np.arange(jobs)[:, None] * types + kinds).ravel()
    return flat
