"""Profiling-first research harness for GPU-cluster scheduling.

What is to be relied on has its name here; the parts (`phasewise.sched`, `phasewise.solvers`, ...) may move.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phasewise.bench.study.face import study as study

__all__ = ["__version__", "study"]

__version__: str


_PLACES = {"study": "phasewise.bench.study.face"}


def __getattr__(name: str) -> Any:
    """Return what is looked up only when asked for, so that importing a part of the package costs nothing more."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415

    return version(__name__)
