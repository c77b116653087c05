"""What a policy and a placement are.

A policy states an allocation problem and returns the allocation X; a placement turns chosen jobs into GPUs. Neither
reads a clock, does I/O or knows a solver by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from phasewise.solvers.api import Solution
from phasewise.solvers.problems import Problem

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

Solve = Callable[[Problem], Solution]


class TypeOrder(StrEnum):
    """In which order worker types are filled within a round."""

    FIXED = "fixed"  # fastest type first
    SHUFFLED = "shuffled"  # drawn anew every round


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What a policy sees: read-only arrays over the active jobs, in order of arrival.

    Attributes
    ----------
    now_s
        Simulated time, seconds.
    worker_types
        (W,) names, alphabetical.
    capacity
        (W,) GPUs of each type.
    job_id
        (J,) int64.
    scale_factor
        (J,) GPUs each job needs at once.
    priority_weight
        (J,) weight w_i, 1 is normal.
    throughput
        (J, W) steps/s of the whole job on each type, 0 where it cannot run.
    steps_remaining
        (J,) steps to go.
    since_arrival_s
        (J,) seconds since arrival.
    """

    now_s: float
    worker_types: tuple[str, ...]
    capacity: Floats
    job_id: Ints
    scale_factor: Floats
    priority_weight: Floats
    throughput: Floats
    steps_remaining: Floats
    since_arrival_s: Floats


@dataclass(frozen=True, slots=True)
class Allocation:
    """A policy's answer: X (J, W) in the view's row order, and what the policy remembers for its next call."""

    x: Floats
    memory: object = None


class Policy(Protocol):
    """States the problem, returns X. Pure: what it remembers comes in as ``memory`` and goes out in `Allocation`.

    Attributes
    ----------
    name
        The registered name.
    type_order
        Whether worker types are filled in fixed or in shuffled order.
    needs_positive_priority
        Whether only jobs with priority above 0 may run (FIFO policies); otherwise scheduling is work-conserving.
    """

    name: ClassVar[str]
    type_order: ClassVar[TypeOrder]
    needs_positive_priority: ClassVar[bool]

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return the allocation for the jobs in ``view``; ``memory`` is None in the first call."""
        ...
