"""Profiling-first research harness for GPU-cluster scheduling.

What is to be relied on has its name here; the parts (`phasewise.sched`, `phasewise.solvers`, ...) may move.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from phasewise.bench.library import Run, figure, load, run
    from phasewise.bench.study.face import Study, study
    from phasewise.solvers.api import Solution
    from phasewise.solvers.asking import solve
    from phasewise.solvers.families.finish_time import FinishTimeProblem as FinishTime
    from phasewise.solvers.families.lexicographic import LexicographicProblem as Lexicographic
    from phasewise.solvers.families.max_min import MaxMinProblem as MaxMin
    from phasewise.solvers.families.max_sum import MaxSumProblem as MaxSum
    from phasewise.solvers.families.packed import PackedMaxMinProblem as PackedMaxMin
    from phasewise.solvers.families.transport import TransportProblem as Transport

__all__ = [
    "FinishTime",
    "Lexicographic",
    "MaxMin",
    "MaxSum",
    "PackedMaxMin",
    "Run",
    "Solution",
    "Study",
    "Transport",
    "__version__",
    "figure",
    "load",
    "run",
    "solve",
    "study",
]

__version__: str

_LIBRARY: Final = "phasewise.bench.library"
_FAMILIES: Final = "phasewise.solvers.families"
_PLACES: Final = {
    "FinishTime": (f"{_FAMILIES}.finish_time", "FinishTimeProblem"),
    "Lexicographic": (f"{_FAMILIES}.lexicographic", "LexicographicProblem"),
    "MaxMin": (f"{_FAMILIES}.max_min", "MaxMinProblem"),
    "MaxSum": (f"{_FAMILIES}.max_sum", "MaxSumProblem"),
    "PackedMaxMin": (f"{_FAMILIES}.packed", "PackedMaxMinProblem"),
    "Run": (_LIBRARY, "Run"),
    "Solution": ("phasewise.solvers.api", "Solution"),
    "Study": ("phasewise.bench.study.face", "Study"),
    "Transport": (f"{_FAMILIES}.transport", "TransportProblem"),
    "figure": (_LIBRARY, "figure"),
    "load": (_LIBRARY, "load"),
    "run": (_LIBRARY, "run"),
    "solve": ("phasewise.solvers.asking", "solve"),
    "study": ("phasewise.bench.study.face", "study"),
}
"""Where each name is, looked up when it is first asked for: importing a part of the package costs nothing more."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version(__name__)
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    module, attribute = _PLACES[name]
    found = globals()[name] = getattr(import_module(module), attribute)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
