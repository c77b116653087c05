"""The tables of builders: a problem's class, and how its problems are written down in one form.

A builder registers itself (``@LP.register(MyProblem)``), in a module that is named by its family and the form:
``<problem.forms>_lp``, which is imported when the first such problem comes. So a new family edits no table and no
backend, and nobody loads CVXPY for a family that is solved without it.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from phasewise.solvers import registry
from phasewise.solvers.errors import UnsupportedProblemError
from phasewise.solvers.problems import AllocationProblem, Floats, Ints

if TYPE_CHECKING:
    from collections.abc import Generator

    from phasewise.profiling.phases import PhaseTimer
    from phasewise.solvers.api import Answer, Found
    from phasewise.solvers.basis import Basis
    from phasewise.solvers.buckets import Bucket
    from phasewise.solvers.cvx import CvxProgram
    from phasewise.solvers.cvx_slots import SlotProgram
    from phasewise.solvers.lp import LinearProgram
    from phasewise.solvers.structured.solver import Statement

Builder = TypeVar("Builder", bound=Callable[..., Any])


class Stages(Protocol):
    """Solves the problems of one family by many small linear programs; owns its native object."""

    def answer(self, problem: Any, timer: PhaseTimer) -> Answer:
        """Return the answer with its duals; times itself with the phases lp_build and lp_solve."""
        ...


class Start(Protocol):
    """A vertex of one problem, to start from."""

    def basis(self, lp: LinearProgram) -> Basis:
        """Return its basis in the problem's linear program."""
        ...

    def optimum(self) -> Answer | None:
        """Return the answer that the vertex is where it is an optimum for certain; None where it may not be."""
        ...


class Carry(Protocol):
    """How a basis of one family's program is taken apart by rows, and put together for the next problem."""

    def leave(self, problem: Any, lp: LinearProgram, basis: Basis, prices: Floats) -> Any:
        """Return what the optimal ``basis`` of ``problem``, with its prices (W,), leaves to the next one."""
        ...

    def start(self, problem: Any, lp: LinearProgram, last: Any, source: Ints) -> Basis:
        """Return the basis to start ``problem`` from.

        ``last`` is what an earlier problem left, ``source`` (R,) the place of each row in that one, -1 for a new one.
        """
        ...


class Forms(Generic[Builder]):
    """The builders of one form, by the class of the problem.

    Parameters
    ----------
    form
        What the names of the builders' modules end with.
    words
        What the form is called in messages.
    """

    def __init__(self, form: str, words: str) -> None:
        self._form, self._words = form, words
        self._builders: dict[type[AllocationProblem], Builder] = {}
        self._modules: dict[type[AllocationProblem], bool] = {}  # whether the class names one that exists

    def register(self, family: type[AllocationProblem]) -> Callable[[Builder], Builder]:
        """Return what registers a builder for the problems of a class."""

        def registered(builder: Builder) -> Builder:
            self._builders[family] = builder
            return builder

        return registered

    def get(self, family: type[AllocationProblem]) -> Builder | None:
        """Return the builder for the problems of a class, imported where it must be; None where there is none."""
        if family not in self._builders and self._has_module(family):  # its own goes before that of its base
            importlib.import_module(self._module(family))
        return self._registered(family)

    def of(self, problem: AllocationProblem) -> Builder:
        """Return the builder for ``problem``; raise `UnsupportedProblemError` where its family has none."""
        builder = self.get(type(problem))
        if builder is None:
            raise UnsupportedProblemError(f"problem family {problem.family!r} has no {self._words} here")
        return builder

    @property
    def families(self) -> frozenset[str]:
        """The names of all families that have this form; imports no builder."""
        return frozenset(
            name for name, family in registry.families().items() if self._registered(family) or self._has_module(family)
        )

    def _registered(self, family: type[AllocationProblem]) -> Builder | None:
        """Return the builder that is registered for a class, or for what it is a subclass of."""
        return next((self._builders[each] for each in family.__mro__ if each in self._builders), None)

    def _module(self, family: type[AllocationProblem]) -> str:
        return f"{family.forms}_{self._form}"

    def _has_module(self, family: type[AllocationProblem]) -> bool:
        """Return whether the class names a module with its builder; looked up once."""
        if family not in self._modules:
            self._modules[family] = bool(family.forms) and importlib.util.find_spec(self._module(family)) is not None
        return self._modules[family]


LP: Final[Forms[Callable[[Any], LinearProgram]]] = Forms("lp", "linear form")
"""A problem as sparse arrays, see `phasewise.solvers.lp`."""

START: Final[Forms[Callable[[Any], Start | None]]] = Forms("start", "starting vertex")
"""A problem: a vertex to start the primal simplex method from, None where none is cheap."""

CARRY: Final[Forms[Callable[[], Carry]]] = Forms("carry", "way to carry a basis")
"""What makes what carries a simplex basis from round to round, for `highs-warm`."""

STAGES: Final[Forms[Callable[[], Stages]]] = Forms("stages", "solution by stages")
"""What makes, once a session, the solver of a family that takes many small linear programs instead of one."""

SEQUENCE: Final[Forms[Callable[[Any, Any, float], Generator[Any, Answer, Found]]]] = Forms("sequence", "sequence")
"""A problem, what the last one of its family left, and a tolerance: problems of another family, one after another."""

CVX: Final[Forms[Callable[[Any], CvxProgram]]] = Forms("cvx", "CVXPY form")
"""A problem as a CVXPY program, built anew for each; its module imports CVXPY."""

SLOTS: Final[Forms[Callable[[Bucket], SlotProgram]]] = Forms("slots", "CVXPY form in parameters")
"""The size of a problem: a CVXPY program in parameters, compiled once and filled for each; its module imports CVXPY."""

STRUCTURED: Final[Forms[Callable[[Any], Statement]]] = Forms("structured", "form for the structured solvers")
"""A problem as the structured solvers take it; its module imports numba."""


def sequenced(families: frozenset[str]) -> frozenset[str]:
    """Return the families that are solved by a sequence of problems of ``families``."""
    known = registry.families()
    return frozenset(name for name in SEQUENCE.families if known[name].steps is None or known[name].steps in families)


def to_lp(problem: AllocationProblem) -> LinearProgram:
    """Return ``problem`` as LP arrays; raise `UnsupportedProblemError` for a family without a linear form."""
    return LP.of(problem)(problem)


def to_cvx(problem: AllocationProblem) -> CvxProgram:
    """Return ``problem`` as a CVXPY program; raise `UnsupportedProblemError` for a family without one."""
    return CVX.of(problem)(problem)
