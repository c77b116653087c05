"""All cases by name."""

from __future__ import annotations

from phasewise.bench.subjects import engine, packing, phases, placement, solvers
from phasewise.bench.subjects.api import Case


def catalogue() -> dict[str, Case]:
    """Return all cases by name, those of a kind together."""
    found = [case for kind in (engine, solvers, packing, placement, phases) for case in kind.cases()]
    return {case.name: case for case in found}


def left_out() -> dict[str, str]:
    """Return why what is registered has no case, by the name that the case would have."""
    return dict([*solvers.left_out(), *placement.left_out()])
