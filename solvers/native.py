"""Whether an exception is a native solver's way of failing, or a defect of the code around it.

A native solver fails in ways of its own: its binding raises, and the next backend of a chain is asked. A wrong name, a
wrong index or a wrong type in our code, or in a plug-in's, looks the same by its class, and must not pass for a failure
of the solver: the run would go on with another backend and nobody would know. So it is the place that decides, not the
class: who raised it?
"""

from __future__ import annotations

import dis
from types import TracebackType
from typing import Final

from phasewise.profiling.defects import TOOLS, module_of
from phasewise.solvers.api import SolverBackend

_OURS: Final = __name__.partition(".")[0]
_WISHES: Final = (KeyboardInterrupt, SystemExit, GeneratorExit)

_NUMERICS: Final = "scipy"
"""A tool as well; but where a backend says that it requires it, it is its solver."""


def is_native(error: BaseException, backend: SolverBackend, session: object = None) -> bool:
    """Return whether ``error``, which ``backend`` let out of a solve, is a native solver's way of failing.

    It is where the innermost frame that is neither Python's own nor an array library's lies outside this project and
    outside the packages of ``backend`` and ``session``. Compiled bindings leave no frame: of what comes out of a call
    in our own line, `RuntimeError` and classes that the binding defines are native. Running out of memory always is,
    and a wish to end never.
    """
    if isinstance(error, _WISHES):
        return False
    if isinstance(error, MemoryError):
        return True
    own = {_OURS, *(_package(type(each).__module__) for each in (backend, session) if each is not None)}
    tools = TOOLS if _NUMERICS in map(_package, backend.requires) else TOOLS | {_NUMERICS}
    innermost = True
    for step in _steps(error):
        raised_in = _package(module_of(step.tb_frame))
        if raised_in in own:
            return innermost and _calls(step) and _is_of_a_binding(error, own | tools)
        if raised_in not in tools:
            return True
        innermost = False
    return False  # nothing but tools: whoever called them is out of sight


def _package(module: str) -> str:
    return module.partition(".")[0]


def _is_of_a_binding(error: BaseException, known: set[str]) -> bool:
    """Return whether a compiled binding raises this class: pybind11's RuntimeError, or one that it brings along."""
    return type(error) is RuntimeError or _package(type(error).__module__) not in known


def _calls(step: TracebackType) -> bool:
    """Return whether what the step's line was about to do is a call, and not a ``raise`` of its own."""
    return dis.opname[step.tb_frame.f_code.co_code[step.tb_lasti]].startswith("CALL")


def _steps(error: BaseException) -> list[TracebackType]:
    """Return the steps of the traceback, the innermost first."""
    steps, step = [], error.__traceback__
    while step is not None:
        steps.append(step)
        step = step.tb_next
    return steps[::-1]
