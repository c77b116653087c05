"""What can go wrong between a stated problem and a certified answer, by what the caller can do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phasewise.solvers.api import Infeasible, State

__all__ = [
    "InfeasibleError",
    "OptionError",
    "ProblemError",
    "ReplayFailedError",
    "SolveFailedError",
    "SolverError",
    "TapeError",
    "UnknownBackendError",
    "UnsupportedProblemError",
]


class SolverError(Exception):
    """Base of every error this package raises on purpose; its text is one message fit for a user."""


class UnknownBackendError(SolverError):
    """The named backend is not registered, or what it requires is not installed."""


class OptionError(SolverError):
    """A solver option has an unknown name or a value the solver does not take; raised when the session opens."""


class ProblemError(SolverError):
    """The stated problem is malformed: a wrong shape, NaN, a negative capacity."""


class UnsupportedProblemError(SolverError):
    """The backend does not solve this problem family, or not at this size."""


class SolveFailedError(SolverError):
    """No backend of the chain delivered an answer that passes the certifier.

    Attributes
    ----------
    state
        What the failed solves leave to the next problem, for a caller who goes on.
    """

    def __init__(self, message: str, state: State = None) -> None:
        super().__init__(message)
        self.state = state


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


class ReplayFailedError(SolverError):
    """A backend raised what is no native solver's failure; names it, the line, and the file with the traceback."""


class TapeError(SolverError):
    """A tape cannot be read: not a tape, of another version, or damaged; names the file and the place."""
