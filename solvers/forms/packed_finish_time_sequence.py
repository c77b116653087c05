"""Finish-time fairness of jobs that share as a sequence of max-min problems."""

from __future__ import annotations

from phasewise.solvers.families.packed_finish_time import PackedFinishTimeProblem
from phasewise.solvers.forms.tables import SEQUENCE
from phasewise.solvers.packing.finish_time import packed_finish_time_answer

SEQUENCE.register(PackedFinishTimeProblem)(packed_finish_time_answer)
