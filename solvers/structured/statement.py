"""What the structured solvers are told and what they say: a statement of a problem, and an outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from phasewise.solvers.problems import Floats
from phasewise.solvers.proofs import Duals
from phasewise.solvers.structured.sifting import Prices

if TYPE_CHECKING:
    from phasewise.solvers.structured.solver import StructuredSolver


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the solvers found, and how.

    Attributes
    ----------
    x
        (R, W) of the stated problem.
    duals
        Of the stated problem.
    gap
        Proven by the duals, relative; infinite where something is not finite.
    iterations
        Interior-point iterations in all.
    way
        Which of the methods gave the answer, and after which others had not.
    cold
        Whether nothing of the last solve was used.
    left
        Prices for the next problem to start from; None where this one gave none.
    impossible
        Whether the duals are to prove that nothing is feasible; there is no x then.
    """

    x: Floats
    duals: Duals
    gap: float
    iterations: int
    way: str
    cold: bool
    left: Prices | None = None
    impossible: bool = False


class Statement(Protocol):
    """A problem as a family's builder states it, see `phasewise.solvers.forms.tables.STRUCTURED`."""

    def solve(self, solver: StructuredSolver, last: Prices | None) -> Outcome:
        """Return the optimum, with whatever gap could be proven, from what the last problem left."""
        ...
