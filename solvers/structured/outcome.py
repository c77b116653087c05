"""What the structured solvers say of a problem."""

from __future__ import annotations

from dataclasses import dataclass

from phasewise.solvers.problems import Floats
from phasewise.solvers.proofs import Duals
from phasewise.solvers.structured.sifting import Prices


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
