"""Max-min as the structured solvers take it."""

from __future__ import annotations

from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.forms.tables import STRUCTURED
from phasewise.solvers.structured.solver import Stated, state


@STRUCTURED.register(MaxMinProblem)
def stated(problem: MaxMinProblem) -> Stated:
    """Return the problem without what cannot matter, and with equal jobs as one."""
    return state(problem)
