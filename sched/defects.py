"""Whose defect it is that ended a run: a plug-in's, a built-in policy's, placement's or backend's, or the simulation's.

An error of these packages says by itself what is wrong. Anything else that comes out of a run is a defect, and the
message has to say whose: what was raised, by which part, in which round and line, and where the traceback is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from phasewise.profiling.defects import belongs, frames, keep_traceback, module_of, told, where_kept
from phasewise.profiling.own_files import is_named, unpinned
from phasewise.sched import registry
from phasewise.sched.errors import DefectError, SchedulingError
from phasewise.sched.scenario.config import Scenario
from phasewise.solvers import registry as solvers

_OURS: Final = __name__.partition(".")[0]
_SEAMS: Final = frozenset(
    f"{_OURS}.{name}"
    for name in (
        "sched.engine",
        "sched.simulate",
        "sched.round.phases",
        "sched.round.assignment",
        "sched.inflation.experiment",
        "solvers.session",
    )
)
"""Modules that call policies, placements and backends: what goes wrong in them, or in what else they call, is ours."""


Parts = Mapping[str, Sequence[str]]


def parts_of(scenario: Scenario) -> Parts:
    """Return what the parts of a run are called, such as ``policy 'fifo'``, by the module that holds them."""
    parts: dict[str, list[str]] = {}
    for kind, find, name in (
        ("policy", registry.policy_class, scenario.policy.name),
        ("placement", registry.placement_class, scenario.placement.name),
    ):
        with suppress(SchedulingError):  # there is no such part: then it is not what failed
            parts.setdefault(find(name).__module__, []).append(f"{kind} {unpinned(name)!r}")
    asked = {part.strip() for part in scenario.solver.name.split(",")}
    for backend in map(solvers.get, [*solvers.names(), *filter(is_named, sorted(asked))]):
        beside = parts.setdefault(type(backend).__module__, [])
        if not beside or asked & {backend.name, *backend.aliases}:  # of several in a module, those that were asked for
            beside.append(f"solver backend {backend.name!r}")
    return parts


def placement_part(name: str) -> Parts:
    """Return the same where nothing but a placement takes part."""
    return {registry.placement_class(name).__module__: [f"placement {unpinned(name)!r}"]}


def culprit(error: BaseException, parts: Parts) -> str:
    """Return the part whose code raised ``error``, by what `parts_of` says; empty where it is none of them.

    A part answers for what its module calls, and for every module of its package.
    """
    for frame, _ in frames(error):
        module = module_of(frame)
        if module in _SEAMS:
            return ""
        package = module.partition(".")[0]
        owned = parts.get(module) or (
            next((part for own, part in parts.items() if belongs(own, package)), None) if package != _OURS else None
        )
        if owned:
            return " or ".join(owned)
    return ""


def defect(error: BaseException, scenario: Scenario, round_index: int | None, out: Path | None) -> DefectError:
    """Return the error that ends a run in which ``error`` was raised, its traceback kept.

    Parameters
    ----------
    round_index
        The round in which it was raised, None before the first.
    out
        The run directory, which then also takes the traceback; None where there is none yet.
    """
    kept = keep_traceback(error, out)
    return DefectError(f"{reason(error, parts_of(scenario))}; {where_kept(kept, error)}", round_index, out, kept)


def reason(error: BaseException, parts: Parts) -> str:
    """Return who raised ``error``, what it says, and the line of it that is worth looking at."""
    who = culprit(error, parts)
    packages = {module.partition(".")[0] for module, part in parts.items() if who == " or ".join(part)} or {_OURS}
    what = told(error, lambda module: module.partition(".")[0] in packages)
    if isinstance(error, MemoryError):
        return f"out of memory{f' in {who}' if who else ''}: {what}"
    return f"{who} raised {what}" if who else f"a defect of {_OURS}: {what}"
