"""What a solver backend is: statuses, answers, solutions, sessions.

A `SolverBackend` is stateless. `open` checks every option and returns a `SolverSession`, which owns the native
model and every cache. A session returns an `Answer`, the backend's own claim; only `phasewise.solvers.certify`
turns it into a `Solution`. What one problem leaves to the next is a value that goes out with the answer and comes in
with the next problem; the session itself remembers nothing that an answer depends on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.errors import SolverError
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.proofs import Duals
from phasewise.solvers.rows import Keys

Floats = npt.NDArray[np.float64]


State: TypeAlias = object
"""What a problem leaves to the next one: None where nothing is, so that the next one starts cold.

Made of arrays, numbers, text, tuples and frozen records of these, by the session that reads it. To everybody else it is
a value to hand on, or to forget: forgetting costs time and no truth."""


class Status(StrEnum):
    """How a solve ended, in the same words for every backend."""

    OPTIMAL = "optimal"
    INACCURATE = "inaccurate"
    ITERATION_LIMIT = "iteration_limit"
    TIME_LIMIT = "time_limit"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    FAILED = "failed"


class RebuildReason(StrEnum):
    """Why a session could not reuse its model."""

    FIRST = "first"  # nothing was built yet
    FRESH = "fresh"  # this backend builds anew every time, by design
    SHAPE = "shape"  # more jobs than the model has slots
    TYPES = "types"  # another number of worker types
    FAMILY = "family"  # another problem family
    FAILED = "failed"  # the last solve left the model in doubt
    CHANGED = "changed"  # hardly a job of the last problem is left
    STALLED = "stalled"  # what was kept led nowhere: past its cap of iterations, or to no optimum


@dataclass(frozen=True, slots=True)
class Fallback:
    """One backend that was asked and did not deliver."""

    backend: str
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a backend claims about one problem.

    Attributes
    ----------
    status
        The backend's verdict, translated.
    x
        (R, W) time fractions, or None where the backend has none.
    duals
        Where the backend gives them: the family makes its own bound of them. With `Status.INFEASIBLE`, those that prove
        that nothing is feasible.
    iterations
        Simplex, interior-point or first-order iterations, 0 if unknown.
    rebuild
        Why the model was built, None where it was reused.
    note
        The native status text, for messages.
    solved_by
        Which other backend a backend that picks one picked; empty where it solves by itself.
    fallbacks
        The backends that such a one had asked before, and why it passed them over.
    members
        (R, 2) int64 the teams that the rows of ``x`` are, in a family whose answers choose them: jobs by their place in
        the problem, the second one -1 in a team of one; every job in at least one. None where rows are the problem's.
    """

    status: Status
    x: Floats | None
    duals: Duals | None = None
    iterations: int = 0
    rebuild: RebuildReason | None = None
    note: str = ""
    solved_by: str = ""
    fallbacks: tuple[Fallback, ...] = ()
    members: Keys | None = None


class Found(NamedTuple):
    """What a family came to that is solved by a sequence of problems of another, see `phasewise.solvers.sequences`.

    Attributes
    ----------
    answer
        To the problem.
    left
        What it leaves for the next one to start from, None where that is nothing.
    gap
        What the answer's duals prove; infinite where that is nothing.
    """

    answer: Answer
    left: Any
    gap: float


@dataclass(frozen=True, slots=True)
class Solution:
    """A certified answer.

    Attributes
    ----------
    x
        (R, W) feasible time fractions (projected).
    objective
        Value of the problem's objective at `x`, recomputed here.
    bound
        A proven bound on the optimum from the duals, or None where the backend gives none.
    gap
        How far `x` is from the best allocation at most, as the family measures it: abs(bound - objective) / abs(bound),
        so that no unit matters, unless its objective asks for another measure. None where nothing is proven.
    violation
        Largest constraint violation of the backend's x before the projection, relative to the constraint's scale.
    utilization
        Share of all GPUs that `x` uses.
    fallbacks
        The backends that were asked before and did not deliver, in that order.
    utilization_ceiling
        Largest share that any feasible allocation uses; computed for heuristics only, else None. What a heuristic gives
        up is the `gap` in the objective, and at most the difference of these two in utilisation.
    less_accurate
        Whether no backend came within the certifier's limit, so that this answer, which is proven within
        `phasewise.solvers.certify.LESSER_GAP_LIMIT` only, had to do.
    members
        (R, 2) int64 the teams that the rows of `x` are, as in `Answer`; None where rows are the problem's.
    """

    backend: str
    status: Status
    x: Floats
    objective: float
    bound: float | None
    gap: float | None
    violation: float
    utilization: float
    iterations: int
    rebuild: RebuildReason | None
    fallbacks: tuple[Fallback, ...] = field(default=())
    utilization_ceiling: float | None = None
    less_accurate: bool = False
    members: Keys | None = None


@dataclass(frozen=True, slots=True)
class Infeasible:
    """A certified result as well: no allocation satisfies the constraints of the problem, and this is proven.

    Only families whose constraints may contradict each other have it; in the others doing nothing is feasible.

    Attributes
    ----------
    backend
        Who found it.
    margin
        By how much the constraints contradict each other, see `phasewise.solvers.proofs.Infeasibility`.
    duals
        Those that prove it: which constraints do, and how strongly.
    iterations, rebuild, fallbacks
        As in `Solution`.
    """

    backend: str
    margin: float
    duals: Duals
    iterations: int
    rebuild: RebuildReason | None
    fallbacks: tuple[Fallback, ...] = field(default=())


class InfeasibleError(SolverError):
    """No allocation satisfies the constraints of the problem, and this is proven; a caller may state another one.

    Attributes
    ----------
    outcome
        The certified result, with the duals that prove it.
    """

    def __init__(self, outcome: Infeasible) -> None:
        super().__init__(
            f"nothing is feasible: the constraints contradict each other (by {outcome.margin:.3g}, proven by "
            f"{outcome.backend})"
        )
        self.outcome = outcome


class SolverSession(Protocol):
    """A live solver: owns the native model and every cache; not shared between threads."""

    def solve(self, problem: AllocationProblem, state: State) -> tuple[Answer, State]:
        """Return the backend's answer and what it leaves; times itself with the phases lp_build and lp_solve.

        The same problem and state give the same x and duals, whatever the session did in between. A state that is
        None, or that another kind of session made, is a cold start. Where the solve raises, nothing is left.
        """
        ...


def parted(returned: object) -> tuple[Any, State]:
    """Return what a session said and what it leaves; what is no such pair comes without a state.

    A plug-in's code is not type-checked here: whether the first is an `Answer` is for the certifier to say.
    """
    if isinstance(returned, tuple) and len(returned) == _PAIR:
        return returned[0], returned[1]
    return returned, None


_PAIR: Final = 2


class SolverBackend(Protocol):
    """A way of solving, stateless, found by its registry.

    Attributes
    ----------
    name
        The registered name, for example ``"highs-direct"``.
    aliases
        Shorter names it answers to as well.
    families
        Names of the problem families it accepts.
    requires
        Distributions that must be importable, as ``{module: "pip name"}``.
    limits
        One line for `phasewise list solvers`.
    tolerance
        The relative gap that its answers keep at default options on well-formed problems.
    kernels
        Optional: ``kernels(families)`` returns the compiled kernels (`phasewise.profiling.jit.kernel.Wanted`) that
        solving these families takes, for whoever measures has them ready before.
    pairs
        Optional, False where it is missing: whether it takes problems with rows of two jobs.
    exact
        Optional, True where it is missing: whether an answer that is feasible but short of its bound is a failure. Of a
        heuristic it is not; its `Solution.gap` then says what it gives up, at most.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def aliases(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def families(self) -> frozenset[str]: ...  # noqa: D102

    @property
    def requires(self) -> Mapping[str, str]: ...  # noqa: D102

    @property
    def limits(self) -> str: ...  # noqa: D102

    @property
    def tolerance(self) -> float: ...  # noqa: D102

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> SolverSession:
        """Return a session; raise `OptionError` where an option or its value is wrong."""
        ...
