"""The lexicographic family by stages: water filling, whose small programs HiGHS solves."""

from __future__ import annotations

from phasewise.solvers.families.lexicographic import LexicographicProblem
from phasewise.solvers.filling import WaterFiller
from phasewise.solvers.forms.tables import STAGES


@STAGES.register(LexicographicProblem)
def stages() -> WaterFiller:
    """Return a water filler of its own small HiGHS model."""
    return WaterFiller()
