"""Profiling-first research harness for GPU-cluster scheduling.

What is to be relied on has its name here; the parts (`phasewise.sched`, `phasewise.solvers`, ...) may move.
"""

from __future__ import annotations

__all__ = ["__version__"]

__version__: str


def __getattr__(name: str) -> str:
    """Return what is looked up only when asked for, so that importing a part of the package costs nothing more."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415

    return version(__name__)
