"""Finish-time fairness as a sequence of max-min problems."""

from __future__ import annotations

from phasewise.solvers.families.finish_time import FinishTimeProblem
from phasewise.solvers.finish_time_newton import finish_time_answer
from phasewise.solvers.forms.tables import SEQUENCE

SEQUENCE.register(FinishTimeProblem)(finish_time_answer)
