"""Packing as a linear program with every team as a row: for few jobs, as the reference of what goes by kinds."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from phasewise.solvers.errors import UnsupportedProblemError
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.families.packed import PackedMaxMinProblem
from phasewise.solvers.forms import max_min_lp
from phasewise.solvers.forms.tables import LP
from phasewise.solvers.lp import LinearProgram

MOST_JOBS: Final = 400
"""Beyond, there are more than 80,000 teams, of which each round would build a program."""


@LP.register(PackedMaxMinProblem)
def to_lp(problem: PackedMaxMinProblem) -> LinearProgram:
    """Return the program over all teams; raise `UnsupportedProblemError` where these are too many."""
    whole = all_teams(problem)
    return replace(max_min_lp.to_lp(whole), members=whole.members)


def all_teams(problem: PackedMaxMinProblem) -> MaxMinProblem:
    """Return the problem with a row for each team; raise `UnsupportedProblemError` where these are too many."""
    if problem.rows > MOST_JOBS:
        raise UnsupportedProblemError(
            f"a row for every pair of {problem.rows:,} jobs is too much to be written down (allowed: up to "
            f"{MOST_JOBS} jobs); by-kinds solves the same problem without"
        )
    return problem.full()
