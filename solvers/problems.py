"""What every family of allocation problems shares: rows, the polytope of allocations, and what judges an answer.

Shapes: R rows, W worker types, J jobs. x[i, j] in [0, 1] is the fraction of wall time that row i runs on type j. A row
is a job, or where ``members`` says so a team of two that share their GPUs; without it J is R.
Common constraints: a job's time over all its rows is at most 1, sum_i s_i x_ij <= N_j, x >= 0, x_ij = 0 where not
allowed.

A family is a subclass of `AllocationProblem` in a module of its own, see `phasewise.solvers.families`: session, chain,
certifier, tapes and `auto` use the methods of the base alone. How it is written down for a solver is said by builders,
see `phasewise.solvers.forms.tables`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

import numpy as np
import numpy.typing as npt

from phasewise.solvers.errors import ProblemError, UnsupportedProblemError
from phasewise.solvers.proofs import Duals, Infeasibility, Proof, relative_gap
from phasewise.solvers.rows import Keys, Teams, check_rows
from phasewise.solvers.short_rows import row_sum

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]


class Sense(StrEnum):
    """Which objectives of a family are the better ones."""

    MAXIMISE = "maximise"
    MINIMISE = "minimise"


@dataclass(frozen=True, slots=True)
class Traits:
    """What a problem is like: what `auto` ranks backends by, and what a backend takes it or leaves it by.

    Attributes
    ----------
    family
        Its family's name.
    linear
        Whether a linear term counts beside the family's main one.
    gangs
        Whether rows differ in their number of GPUs.
    rows, types
        R and W.
    moving
        Whether leaving the allocation in force costs.
    pairs
        Whether there are rows of two jobs.
    """

    family: str
    linear: bool
    gangs: bool
    rows: int
    types: int
    moving: bool = False
    pairs: bool = False


class AllocationProblem(ABC):
    """A problem of any family, frozen. What is derived from its arrays is computed once, when it is first asked for.

    A subclass is a ``dataclass(frozen=True, eq=False)`` whose fields are arrays, numbers or None, so that a tape can
    record it; it has the attributes below among its fields or as constants.

    Attributes
    ----------
    families
        The names that problems of the class may bear as their ``family``; the first one names the class.
    forms
        What the names of the modules with its builders begin with, see `phasewise.solvers.forms.tables`; empty where
        whoever makes them registers them.
    sense
        Whether more or less of the objective is better.
    steps
        The family of the problems that it takes where it is solved by a sequence of others; None where any will do.
    scale_factor
        (R,) s_i > 0, GPUs, may be fractional.
    capacity
        (W,) N_j >= 0, GPUs.
    keys
        (R,) int64 by which rows are known again in another problem, unique: the ids of jobs. None where they are not,
        or where nobody asks.
    members
        (R, 2) int64 ids of the jobs in each row, the second one -1 in a row of one job; None where each row is a job of
        its own.
    """

    families: ClassVar[tuple[str, ...]]
    forms: ClassVar[str] = ""
    sense: ClassVar[Sense] = Sense.MAXIMISE
    steps: ClassVar[str | None] = None

    scale_factor: Floats
    capacity: Floats
    keys: Keys | None = None
    members: Keys | None = None

    @property
    def family(self) -> str:
        """Name of the family, by which a backend says what it takes."""
        return self.families[0]

    @property
    def is_linear(self) -> bool:
        """Whether a linear term counts beside the family's main one."""
        return False

    @property
    def is_moving(self) -> bool:
        """Whether leaving the allocation in force costs."""
        return False

    @cached_property
    def traits(self) -> Traits:
        """What the problem is like."""
        gangs = bool((self.scale_factor != self.scale_factor[0]).any()) if self.rows else False
        return Traits(
            self.family, self.is_linear, gangs, self.rows, self.types, self.is_moving, self.members is not None
        )

    @property
    @abstractmethod
    def allowed_mask(self) -> Bools:
        """(R, W) where x may be above 0."""

    @abstractmethod
    def validate(self) -> None:
        """Check shapes and values; raise `ProblemError` naming the first fault."""

    @abstractmethod
    def objective(self, x: Floats) -> float:
        """Return the family's objective at ``x`` (R, W)."""

    @abstractmethod
    def prove(self, x: Floats, duals: Duals) -> Proof | None:
        """Return what ``duals`` prove about the feasible ``x`` (R, W), whatever they are; None where it is nothing."""

    def refute(self, duals: Duals) -> Infeasibility | None:
        """Return the proof by ``duals`` that nothing is feasible, or None where they prove no such thing.

        A family in which doing nothing is feasible never has one.
        """
        del duals
        return None

    def gap(self, bound: float, x: Floats) -> float:
        """Return the relative distance of the objective at ``x`` (R, W) from ``bound``."""
        return relative_gap(bound, self.objective(x))

    def over(self, members: Keys) -> AllocationProblem:
        """Return the problem whose rows are the teams ``members`` (R, 2), chosen by an answer.

        Raises `ProblemError` where they are no teams that may be, and in a family whose rows are not to be chosen.
        """
        del members
        raise ProblemError(f"problem family {self.family!r} has its rows; an answer cannot choose any")

    def better(self, objective: float, other: float) -> bool:
        """Return whether ``objective`` is better than ``other``."""
        return objective > other if self.sense is Sense.MAXIMISE else objective < other

    def mended(self, x: Floats) -> Floats | None:
        """Return a feasible allocation that is ``x`` (R, W) but for what a solver's tolerance left in it, or None.

        Asked for only where ``x`` is short of its bound; its objective is computed anew. None where the family knows
        of nothing to mend.
        """
        del x
        return None

    @classmethod
    def kernels(cls) -> list[Wanted]:
        """Return the compiled kernels that proving an answer takes, for whoever measures has them ready before."""
        return []

    @property
    def rows(self) -> int:
        """Number of rows R."""
        return len(self.scale_factor)

    @property
    def jobs(self) -> int:
        """Number of jobs J."""
        return self.rows if self.members is None or self.teams is None else int(self.teams.job.size)

    @property
    def types(self) -> int:
        """Number of worker types W."""
        return len(self.capacity)

    @cached_property
    def teams(self) -> Teams | None:
        """Who is in which row; None where each row is a job of its own."""
        return None if self.members is None else Teams.of(self.members)

    def time(self, x: Floats) -> Floats:
        """Return (J,) the share of its time that each job has in ``x`` (R, W)."""
        by_row = row_sum(x)
        return by_row if self.teams is None else self.teams.sums(by_row, by_row[self.teams.pairs])

    def violation(self, x: Floats) -> float:
        """Return the largest violation of a constraint at ``x`` (R, W).

        Each is relative to its constraint's scale: 1 for bounds and time, ``max(1, N_j)`` GPUs for capacity.
        """
        if self.rows == 0:
            return 0.0
        over = self.scale_factor @ x
        over -= self.capacity
        over /= np.maximum(self.capacity, 1.0)
        most, most_time = np.maximum.reduce(over), np.maximum.reduce(self.time(x))
        worst = max(0.0, float(most), float(most_time) - 1.0, -float(np.minimum.reduce(x, axis=None)))  # not -0.0
        if self.allows_all:
            return worst
        return max(worst, float(np.abs(x[~self.allowed_mask]).max()))

    def project(self, x: Floats) -> Floats | None:
        """Return a feasible (R, W) allocation near ``x``: clipped, masked, then rows and columns scaled down.

        None in a family where that may break a constraint, and does.
        """
        return self.packed(x)

    def packed(self, x: Floats) -> Floats:
        """Return ``x`` (R, W) brought within the common constraints, see `project`."""
        near = np.maximum(x, 0.0)
        if not self.allows_all:
            near *= self.allowed_mask
        time = self.time(near)
        if time.max(initial=0.0) > 1.0:
            time = np.maximum(time, 1.0)
            near /= (time if self.teams is None else self.teams.most(time))[:, None]
        used = self.scale_factor @ near
        over = used > self.capacity
        if over.any():
            near *= np.divide(self.capacity, used, out=np.ones_like(used), where=over)
        return near

    @cached_property
    def allows_all(self) -> bool:
        """Whether x may be above 0 everywhere."""
        return bool(self.allowed_mask.all())

    def utilization(self, x: Floats) -> float:
        """Return the share of all GPUs that ``x`` uses, 0 for an empty cluster."""
        total = float(np.add.reduce(self.capacity))
        return float(np.add.reduce(self.scale_factor @ x)) / total if total > 0 else 0.0

    def utilization_ceiling(self) -> float:
        """Return the largest share of all GPUs that any feasible allocation uses, whatever its objective.

        A transport from jobs to types. By its minimum cut it carries the least, over all sets S of types, of the GPUs
        in S and the demand of the jobs that are not confined to S. There are 2^W sets: cheap for the few types of a
        cluster. Above 12 types only S of all types, and of none, are looked at, which gives an upper bound; so does
        counting each row of two jobs as if it had its time for itself.
        """
        total, demand = float(self.capacity.sum()), float(self.scale_factor.sum())
        if total == 0.0 or self.rows == 0:
            return 0.0
        if self.types > _MOST_CUT_TYPES:
            return min(1.0, demand / total)
        confined_to, inside = _cuts(self.types)
        usable = self.allowed_mask @ (1 << np.arange(self.types))
        by_mask = np.bincount(usable, weights=self.scale_factor, minlength=1 << self.types)
        by_mask[0] = 0.0  # a job that can run nowhere demands nothing
        cut = inside @ self.capacity + float(by_mask.sum()) - confined_to @ by_mask
        return float(cut.min()) / total

    def stated(self) -> dict[str, Any]:
        """Return the fields that make the problem, by name."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.init}  # type: ignore[arg-type]

    def anew(self) -> Self:
        """Return the same problem, of which nothing is computed yet: whoever measures lets nobody pay for others."""
        return type(self)(**self.stated())

    @classmethod
    def restated(cls, fields_by_name: Mapping[str, Any]) -> Self:
        """Return the problem that these fields make, as `stated` gave them, or as an earlier version did."""
        return cls(**fields_by_name)


Kind = TypeVar("Kind", bound=AllocationProblem)


def narrowed(problem: AllocationProblem, kind: type[Kind]) -> Kind:
    """Return ``problem`` as what a backend takes, single jobs of one class; raise `UnsupportedProblemError`."""
    if not isinstance(problem, kind):
        raise UnsupportedProblemError(f"does not solve problem family {problem.family!r}")
    refuse_pairs(problem)
    return problem


def refuse_pairs(problem: AllocationProblem) -> None:
    """Raise `UnsupportedProblemError` where a row may be of two jobs, for a backend that takes single jobs alone."""
    if problem.members is not None:
        raise UnsupportedProblemError("does not take rows of two jobs")


_MOST_CUT_TYPES: Final = 12


@cache
def _cuts(types: int) -> tuple[Floats, Floats]:
    """Return (2^W, 2^W) whether mask m is inside set S, and (2^W, W) whether a type is in S."""
    masks = np.arange(1 << types)
    confined_to = (masks & ~masks[:, None]) == 0
    inside = (masks[:, None] >> np.arange(types)) & 1
    return confined_to.astype(np.float64), inside.astype(np.float64)


def usable_pairs(matrix: Floats, allowed: Bools | None, capacity: Floats) -> Bools:
    """Return (R, W) where x may be above 0: where ``allowed``, or else where ``matrix`` is, and there are GPUs."""
    mask = matrix > 0.0 if allowed is None else allowed
    return mask if capacity.all() else mask & (capacity > 0.0)


def check_common(problem: AllocationProblem, name: str, matrix: Floats, allowed: Bools | None) -> None:
    """Check what every family has, and its (R, W) ``matrix`` called ``name``: raise `ProblemError` at a fault."""
    scale_factor, capacity = problem.scale_factor, problem.capacity
    if scale_factor.ndim != 1 or capacity.ndim != 1 or not capacity.size:
        shapes = f"scale_factor {scale_factor.shape} and capacity {capacity.shape}"
        raise ProblemError(f"wrong shapes: {shapes}; expected (jobs,) and (worker types,) with at least one type")
    shape = (scale_factor.size, capacity.size)
    if matrix.shape != shape:
        raise ProblemError(f"{name} has shape {matrix.shape}; expected (jobs, worker types) = {shape}")
    if allowed is not None and (allowed.shape != shape or allowed.dtype != np.bool_):
        raise ProblemError(f"allowed is {allowed.dtype} of shape {allowed.shape}; expected bool of {shape}")
    check_values(name, matrix, zero_is_fine=True)
    check_values("scale_factor", scale_factor, zero_is_fine=False)
    check_values("capacity", capacity, zero_is_fine=True)
    check_rows(scale_factor.size, problem.keys, problem.members)


def check_values(name: str, values: Floats, zero_is_fine: bool) -> None:
    """Raise `ProblemError` at the first entry of ``values`` that is not finite, negative, or 0 where that is wrong."""
    if values.dtype != np.float64:
        raise ProblemError(f"{name} has dtype {values.dtype}; expected float64")
    if values.size == 0:
        return
    least, most = (
        np.minimum.reduce(values, axis=None),
        np.maximum.reduce(values, axis=None),
    )  # as min(), without detours
    if (least >= 0.0 if zero_is_fine else least > 0.0) and most < np.inf:
        return  # NaN makes every comparison false and so ends up below
    fine = np.isfinite(values) & ((values >= 0.0) if zero_is_fine else (values > 0.0))
    where = tuple(int(k) for k in np.argwhere(~fine)[0])
    allowed = "of at least 0" if zero_is_fine else "above 0"
    place = ", ".join(map(str, where))
    raise ProblemError(f"{name}[{place}] is {float(values[where])!r}; expected a finite number {allowed}")
