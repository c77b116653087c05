"""`solve`: one problem, one certified answer, for whoever has arrays and no simulation.

Flows in: a problem of any family, whose arrays may be anything that NumPy makes arrays of. Flows out: a
`phasewise.solvers.api.Solution`. The public face of the package imports this; nothing else of the package does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, TypeVar

import numpy as np

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Solution, SolverBackend
from phasewise.solvers.errors import ProblemError
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.session import Walk

Kind = TypeVar("Kind", bound=AllocationProblem)

_DTYPES: Final[Mapping[str, type]] = {"Floats": np.float64, "Bools": np.bool_, "Keys": np.int64}


def solve(
    problem: AllocationProblem,
    solver: str | type | SolverBackend | Sequence[str | type | SolverBackend] = "auto",
    solver_kwargs: Mapping[str, object] | None = None,
) -> Solution:
    """Solve one allocation problem from a cold start; return the certified answer.

    Parameters
    ----------
    problem
        Of any family. Its arrays may be lists, or of another dtype: they are made arrays first.
    solver
        A backend's name, or a chain ``"A,B"``, as on the command line (``phasewise list solvers``); or a backend of
        yours, as ``FILE.py:CLASS``, as its class or as an object; or a list of such as a chain.
    solver_kwargs
        The backend's options; of a chain, by backend.

    Returns
    -------
    Solution
        ``x`` (R, W) time fractions, ``objective``, ``bound`` (proven), ``gap``, ``status``, and who solved it.

    Raises
    ------
    ProblemError
        Where the arrays do not make a problem; it names the first fault.
    UnsupportedProblemError, OptionError, UnknownBackendError
        Where the solver does not take the problem, or an option, or does not exist.
    InfeasibleError
        Where it is proven that no allocation satisfies the problem.
    SolveFailedError
        Where no backend of the chain gave an answer that can be certified.
    """
    stated = as_arrays(problem)
    stated.validate()
    with registry.given(solver) as spec:
        return Walk.of(spec, dict(solver_kwargs or {}), PhaseTimer()).solve(stated)


def as_arrays(problem: Kind) -> Kind:
    """Return ``problem`` with arrays of the dtypes that its family asks for; raise `ProblemError` where it has none."""
    kinds = {each.name: str(each.type).partition(" ")[0] for each in fields(problem)}  # type: ignore[arg-type]
    return type(problem)(**{name: _array(name, value, kinds[name]) for name, value in problem.stated().items()})


def _array(name: str, value: Any, kind: str) -> Any:
    """Return a field's value as an array, where it is one."""
    if value is None or kind not in _DTYPES:
        return value
    try:
        return np.asarray(value, dtype=_DTYPES[kind])
    except (TypeError, ValueError) as error:
        raise ProblemError(f"{name} is not an array of {np.dtype(_DTYPES[kind])}: {error}") from error
