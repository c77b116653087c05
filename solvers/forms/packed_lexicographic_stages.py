"""The lexicographic family of packing by stages: water filling over kinds, whose programs HiGHS solves."""

from __future__ import annotations

from phasewise.solvers.families.packed_lexicographic import PackedLexicographicProblem
from phasewise.solvers.forms.tables import STAGES
from phasewise.solvers.packing.stages import PairFiller


@STAGES.register(PackedLexicographicProblem)
def stages() -> PairFiller:
    """Return a filler of its own small HiGHS model."""
    return PairFiller()
