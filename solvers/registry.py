"""Solver backends and problem families by name: found, never listed by hand.

Every module in ``backends/`` is imported once and each backend in its ``BACKENDS`` is registered; then the entry points
of group ``phasewise.solvers``, each a class that makes a backend without arguments. Backend modules import their native
solver only when opened, so that finding them all costs milliseconds; one whose module bears its name is found alone.

AllocationProblem families are found likewise: every module in ``families/`` with its ``FAMILIES``, classes of problems.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Final

from phasewise.profiling import own_files
from phasewise.profiling.defects import is_somebodys, told
from phasewise.profiling.names import nearest, quoted
from phasewise.solvers import backends, own_backends
from phasewise.solvers import families as family_modules
from phasewise.solvers.api import SolverBackend
from phasewise.solvers.errors import UnknownBackendError
from phasewise.solvers.problems import AllocationProblem

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted

ENTRY_POINTS: Final = "phasewise.solvers"
_WITHOUT_WHEEL: Final = {"ecos": (3, 13)}  # the first Python for which a distribution has none, and none will come

_ADDED: Final[dict[str, SolverBackend]] = {}
_ADDED_FAMILIES: Final[dict[str, type[AllocationProblem]]] = {}


@dataclass(frozen=True, slots=True)
class BackendDescription:
    """One line of `phasewise list solvers`.

    Attributes
    ----------
    name, aliases
        What it answers to.
    missing
        What ``pip install`` would have to add, empty where the backend is usable.
    families
        AllocationProblem families it accepts, sorted.
    limits
        What to know before choosing it.
    """

    name: str
    aliases: tuple[str, ...]
    missing: tuple[str, ...]
    families: tuple[str, ...]
    limits: str

    @property
    def advice(self) -> str:
        """What to do about what is missing; empty where nothing is."""
        return advice(self.missing)

    @property
    def installed(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


def kernels(backend: SolverBackend, families: frozenset[str]) -> list[Wanted]:
    """Return the compiled kernels that a backend needs to solve these families, and that proving its answers takes."""
    needed: Callable[[frozenset[str]], list[Wanted]] | None = getattr(backend, "kernels", None)
    known = {**_discovered_families(), **_ADDED_FAMILIES}
    proving = [each for name in sorted(families & backend.families & known.keys()) for each in known[name].kernels()]
    return (needed(families) if needed is not None else []) + proving


def names(*, installed: bool = True) -> tuple[str, ...]:
    """Return the sorted names of the usable backends, or of all of them."""
    return tuple(name for name, backend in sorted(_backends().items()) if not installed or not missing(backend))


def aliases() -> Mapping[str, str]:
    """Return what each alias stands for."""
    return {alias: name for name, backend in sorted(_backends().items()) for alias in backend.aliases}


def get(name: str) -> SolverBackend:
    """Return the backend registered as ``name``, or by that alias, or that of ``FILE.py:CLASS``.

    Raises `UnknownBackendError`: says what there is, or what is wrong with the file.
    """
    is_own = own_files.is_named(name)
    backend = own_backends.of_file(name) if is_own else _ADDED.get(name) or _by_module(name)
    if backend is None and not is_own:
        backend = _backends().get(aliases().get(name, name))
    if backend is None:
        if reason := _discovered()[1].get(name):
            raise UnknownBackendError(f"solver backend {name!r} cannot be loaded: {reason}")
        listed = ", ".join([*names(installed=False), *aliases()])
        torn = f" (cannot be loaded: {'; '.join(map(': '.join, broken().items()))})" if broken() else ""
        raise UnknownBackendError(
            f"no solver backend {quoted(name)}; choose one of: {listed}; or one of yours: {own_files.ALLOWED}; "
            f"or a chain such as ecos,scs{torn}"
            f"{nearest(name, [*names(installed=False), *aliases()])}"
        )
    if lacks := missing(backend):
        raise UnknownBackendError(f"solver backend {name!r} is not installed: {advice(lacks)}")
    return backend


def is_exact(backend: SolverBackend) -> bool:
    """Return whether ``backend`` claims optimal answers; a heuristic says ``exact = False``."""
    return bool(getattr(backend, "exact", True))


@dataclass(frozen=True, slots=True)
class Scope:
    """What a backend takes.

    Attributes
    ----------
    families
        Names of the problem families.
    pairs
        Whether rows may be of two jobs.
    """

    families: frozenset[str]
    pairs: bool

    @classmethod
    def of(cls, backend: SolverBackend) -> Scope:
        """Return what ``backend`` says that it takes."""
        return cls(backend.families, bool(getattr(backend, "pairs", False)))

    def refusal(self, family: str, *, pairs: bool) -> str | None:
        """Return why problems of a family, with rows of two jobs or without, are not taken; None where they are."""
        if family not in self.families:
            return f"does not solve problem family {family!r}"
        return "does not take rows of two jobs" if pairs and not self.pairs else None


def families() -> Mapping[str, type[AllocationProblem]]:
    """Return the class of the problems of every family, by each name that its problems may bear."""
    return {**_discovered_families(), **_ADDED_FAMILIES}


def requirements(name: str) -> tuple[str, ...]:
    """Return what ``pip install`` takes for the backend registered as ``name``, installed or not."""
    return tuple(_backends()[name].requires.values())


def missing(backend: SolverBackend) -> tuple[str, ...]:
    """Return what ``pip install`` would have to add before ``backend`` can be opened; imports nothing."""
    return tuple(dist for module, dist in backend.requires.items() if importlib.util.find_spec(module) is None)


def advice(lacks: Sequence[str]) -> str:
    """Return what to do about distributions that are missing; empty where none is."""
    for name in lacks:
        if (first := _WITHOUT_WHEEL.get(name)) is not None and sys.version_info >= first:
            return (
                f"{name} has no wheel for Python {first[0]}.{first[1]} and later, and this is Python "
                f"{sys.version_info[0]}.{sys.version_info[1]}: choose another solver, such as highs or clarabel, "
                f"or run Python {first[0]}.{first[1] - 1} or earlier"
            )
    return f"pip install {' '.join(lacks)}" if lacks else ""


def broken() -> dict[str, str]:
    """Return why a plug-in or a module of backends could not be loaded, by its name."""
    return dict(sorted(_discovered()[1].items()))


def describe() -> tuple[BackendDescription, ...]:
    """Return what is known of every backend without importing any solver, sorted by name."""
    return tuple(
        BackendDescription(name, backend.aliases, missing(backend), tuple(sorted(backend.families)), backend.limits)
        for name, backend in sorted(_backends().items())
    )


@contextmanager
def registered(backend: SolverBackend) -> Iterator[None]:
    """Register ``backend`` for the length of a ``with`` block: for a notebook or a test, without a package."""
    previous = _ADDED.get(backend.name)
    _ADDED[backend.name] = backend
    try:
        yield
    finally:
        if previous is None:
            del _ADDED[backend.name]
        else:
            _ADDED[backend.name] = previous


@contextmanager
def given(solver: object) -> Iterator[str]:
    """Register what stands for a solver for the length of a ``with`` block, and yield the name by which it is found.

    Parameters
    ----------
    solver
        A name or a chain ``"A,B"``, a backend or its class, or a list of such as a chain.

    Raises
    ------
    UnknownBackendError
        Where an object is no backend, or has the name of another.
    """
    parts = solver if isinstance(solver, (list, tuple)) else [solver]
    with ExitStack() as stack:
        names = []
        for part in parts:
            if isinstance(part, str):
                names.append(part)
                continue
            kind = part if isinstance(part, type) else type(part)
            backend = own_backends.made(part, f"{kind.__module__}.{kind.__qualname__}")
            if {backend.name, *backend.aliases} & (_backends().keys() | aliases().keys()):
                raise UnknownBackendError(f"there is a solver backend {backend.name!r} already: rename {part!r}")
            stack.enter_context(registered(backend))
            names.append(backend.name)
        yield ",".join(names)


@contextmanager
def family_registered(family: type[AllocationProblem]) -> Iterator[None]:
    """Register a class of problems for the length of a ``with`` block: for a notebook or a test, without a package."""
    previous = dict(_ADDED_FAMILIES)
    _ADDED_FAMILIES.update(dict.fromkeys(family.families, family))
    try:
        yield
    finally:
        _ADDED_FAMILIES.clear()
        _ADDED_FAMILIES.update(previous)


@cache
def _discovered_families() -> Mapping[str, type[AllocationProblem]]:
    """Import every module in ``families/``, once, and return the classes that they list, by name."""
    modules = sorted(each.name for each in pkgutil.iter_modules(family_modules.__path__))
    listed = (getattr(importlib.import_module(f"{family_modules.__name__}.{name}"), "FAMILIES", ()) for name in modules)
    return {name: family for classes in listed for family in classes for name in family.families}


def _backends() -> Mapping[str, SolverBackend]:
    """Return every backend by name."""
    return {**_discovered()[0], **_ADDED}


@cache
def _by_module(name: str) -> SolverBackend | None:
    """Return the built-in backend whose module is named as it is, without importing the others; None where none is."""
    module = name.partition(":")[0].replace("-", "_")
    if module not in {each.name for each in pkgutil.iter_modules(backends.__path__)}:
        return None
    try:
        listed = importlib.import_module(f"{backends.__name__}.{module}").BACKENDS
    except Exception:  # `_discovered` says what is wrong with it
        return None
    return next((backend for backend in listed if backend.name == name), None)


@cache
def _discovered() -> tuple[Mapping[str, SolverBackend], Mapping[str, str]]:
    """Import every module in ``backends/`` and every entry point, once; return backends, and why others did not load.

    A name that a built-in backend has is not given to a plug-in.
    """
    found: dict[str, SolverBackend] = {}
    broken: dict[str, str] = {}
    for module in sorted(each.name for each in pkgutil.iter_modules(backends.__path__)):
        path = f"{backends.__name__}.{module}"
        try:
            found |= {backend.name: backend for backend in importlib.import_module(path).BACKENDS}
        except BaseException as error:
            broken[module] = f"module {path}: {_why(error)}"
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            backend = own_backends.made(entry.load(), entry.value)
            missing(backend)  # asks for the modules that it requires
        except BaseException as error:  # somebody else's code, which may even ask for the end of the process
            broken[entry.name] = f"entry point {entry.value}: {_why(error)}"
        else:
            found.setdefault(backend.name, backend)
    return found, broken


def _why(error: BaseException) -> str:
    """Return what was raised, and in which line outside of Python's machinery; a wish to end is let through."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    return told(error, lambda name: is_somebodys(name) and name != __name__)
