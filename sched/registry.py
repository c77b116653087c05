"""Policies, placements and trace formats by name.

A policy is one file in `phasewise.sched.policies` with a class decorated by `register_policy`; a placement likewise in
`phasewise.sched.placement`, a trace format in `phasewise.sched.workload.formats`. Other distributions add theirs with
the entry points ``phasewise.policies``, ``phasewise.placements`` and ``phasewise.formats``, each naming such a class.
Modules there must be cheap to import, because listing imports them all: NumPy is fine; numba and solvers are imported
by the functions that need them.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from phasewise.profiling.defects import is_somebodys, told
from phasewise.profiling.names import nearest, quoted
from phasewise.sched.api import Placement, Policy
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.errors import SchedulingError, UnknownFormatError, UnknownPlacementError, UnknownPolicyError
from phasewise.sched.policy_options import PolicyOptions, completed, options_of, own_options

if TYPE_CHECKING:
    from phasewise.sched.workload.importing.record import TraceFormat


class PolicyClass(Protocol):
    """A class of policies."""

    @property
    def name(self) -> str:
        """The registered name."""
        ...

    def __call__(self, options: Any) -> Policy:
        """Return a policy with these options, of the struct that the class names as its ``options``."""
        ...


@dataclass(frozen=True, slots=True)
class PlacementOptions:
    """What a placement is constructed with; each takes what concerns it.

    Attributes
    ----------
    layout
        Where every GPU is.
    whole_gpus
        Whether jobs take whole GPUs and no node has a limit of CPU or memory, so that a job might span nodes.
    compiled
        Whether compiled kernels are used where there is a NumPy form as well.
    bit_compatible
        Whether a placement repeats the floating-point artefacts of the simulator that published it.
    """

    layout: ClusterLayout
    whole_gpus: bool = True
    compiled: bool = True
    bit_compatible: bool = False


class PlacementClass(Protocol):
    """A class of placements."""

    @property
    def name(self) -> str:
        """The registered name."""
        ...

    def __call__(self, options: PlacementOptions) -> Placement:
        """Return a placement with these options."""
        ...


DOCS_STRIPPED = sys.flags.optimize >= 2  # no class has a docstring, which is nobody's fault

P = TypeVar("P", bound=PolicyClass)
L = TypeVar("L", bound=PlacementClass)
F = TypeVar("F", bound="type[TraceFormat]")


@dataclass(slots=True)
class _Shelf:
    """The classes of one kind, found when first asked for."""

    kind: str
    package: str
    group: str
    check: Callable[[Any], object] = lambda _: None
    classes: dict[str, Any] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    discovered: bool = False

    def add(self, cls: Any) -> None:
        """Put a class on the shelf under its name."""
        known = self.classes.get(cls.name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise SchedulingError(
                f"{self.kind} {cls.name!r} is registered twice: by {known.__module__} and by {cls.__module__};"
                " rename one of them"
            )
        if not (cls.__doc__ or "").strip() and not DOCS_STRIPPED:
            raise SchedulingError(f"{self.kind} {cls.name!r} of {cls.__module__} has no docstring to describe it by")
        self.check(cls)
        self.classes[cls.name] = cls

    def found(self) -> Mapping[str, Any]:
        """Return all classes by name, in alphabetical order; what cannot be loaded is noted, and is in nobody's way."""
        if not self.discovered:
            self.discovered = True
            package = importlib.import_module(self.package)
            for module in sorted(found.name for found in pkgutil.iter_modules(package.__path__)):
                path = f"{self.package}.{module}"
                self.try_to_load(module, f"module {path}", partial(importlib.import_module, path))
            for point in entry_points(group=self.group):
                owner = f" of {point.dist.name}" if point.dist is not None else ""
                self.try_to_load(point.name, f"entry point {point.value}{owner}", partial(self.add_plugin, point))
            self.classes = dict(sorted(self.classes.items()))
        return self.classes

    @contextmanager
    def holding(self, cls: Any) -> Iterator[None]:
        """Have a class on the shelf for the length of a ``with`` block."""
        self.found()
        before = self.classes.get(cls.name)
        self.add(cls)
        try:
            yield
        finally:
            if before is None:
                del self.classes[cls.name]

    def add_plugin(self, point: EntryPoint) -> None:
        """Put the class on the shelf that an entry point names."""
        self.add(_loaded(point))

    def try_to_load(self, name: str, origin: str, load: Callable[[], object]) -> None:
        """Load a module or a plug-in; where that raises, whatever it is, note why."""
        try:
            load()
        except KeyboardInterrupt:
            raise
        except SchedulingError as error:  # says by itself what is wrong
            self.broken[name] = f"{origin}: {error}"
        except BaseException as error:  # somebody else's code, which may even ask for the end of the process
            self.broken[name] = f"{origin}: {told(error, _is_plugin)}"

    def get(self, name: str, unknown: type[SchedulingError]) -> Any:
        """Return the class of that name, or raise ``unknown`` with the names there are."""
        classes = self.found()
        if name not in classes:
            if name in self.broken:
                raise unknown(f"{self.kind} {name!r} cannot be loaded: {self.broken[name]}; mend it or uninstall it")
            near = nearest(name, classes)
            raise unknown(f"no {self.kind} {quoted(name)}; choose one of: {', '.join(classes)}{self.hint()}{near}")
        return classes[name]

    def hint(self) -> str:
        """Return which plug-ins are broken, of which one may be meant; empty where none is."""
        return f" (cannot be loaded: {'; '.join(map(': '.join, self.broken.items()))})" if self.broken else ""

    def descriptions(self) -> dict[str, str]:
        """Return the first docstring line of each class by name."""
        return {name: _first_line(cls) for name, cls in self.found().items()}


def _first_line(cls: Any) -> str:
    doc = (cls.__doc__ or "").strip()
    return doc.splitlines()[0].strip() if doc else "no description: Python has stripped the docstrings (-OO)"


def _loaded(point: EntryPoint) -> Any:
    cls = point.load()
    if not isinstance(cls, type) or not isinstance(getattr(cls, "name", None), str):
        raise SchedulingError("it is not a class with a `name`; name the class itself")
    return cls


def _is_plugin(module: str) -> bool:
    """Return whether a module is worth naming where loading failed: not Python's machinery, and not this file."""
    return module != __name__ and is_somebodys(module)


_POLICIES = _Shelf("policy", "phasewise.sched.policies", "phasewise.policies", check=options_of)
_PLACEMENTS = _Shelf("placement", "phasewise.sched.placement", "phasewise.placements")
_FORMATS = _Shelf("trace format", "phasewise.sched.workload.formats", "phasewise.formats")


def register_policy(cls: P) -> P:
    """Register a class of policies under its `name`; a class decorator.

    Raises
    ------
    SchedulingError
        If another class has that name, or the class has no docstring.
    """
    _POLICIES.add(cls)
    return cls


def register_placement(cls: L) -> L:
    """Register a class of placements under its `name`; a class decorator.

    Raises
    ------
    SchedulingError
        If another class has that name, or the class has no docstring.
    """
    _PLACEMENTS.add(cls)
    return cls


def register_format(cls: F) -> F:
    """Register a class of trace formats under its `name`; a class decorator.

    Raises
    ------
    SchedulingError
        If another class has that name, or the class has no docstring.
    """
    _FORMATS.add(cls)
    return cls


def registered_format(cls: type[TraceFormat]) -> AbstractContextManager[None]:
    """Register a class of trace formats for the length of a ``with`` block."""
    return _FORMATS.holding(cls)


def registered_policy(cls: PolicyClass) -> AbstractContextManager[None]:
    """Register a class of policies for the length of a ``with`` block: for a notebook or a test, without a package."""
    return _POLICIES.holding(cls)


def registered_placement(cls: PlacementClass) -> AbstractContextManager[None]:
    """Register a class of placements for the length of a ``with`` block."""
    return _PLACEMENTS.holding(cls)


def policy(name: str, told: PolicyOptions | None = None, chosen: Mapping[str, Any] | None = None) -> Policy:
    """Return a policy registered as ``name``.

    Parameters
    ----------
    told
        What the run tells every policy; or all options, as the struct that the class names.
    chosen
        The policy's own options by name.

    Raises
    ------
    UnknownPolicyError
        If there is none, or its plug-in cannot be loaded; lists those there are, or says why.
    ScenarioError
        If an option is unknown or its value is not allowed.
    SchedulingError
        If the policy refuses its options.
    """
    cls = policy_class(name)
    return cls(completed(cls, told or PolicyOptions(), chosen or {}))


def policy_class(name: str) -> PolicyClass:
    """Return the class registered as ``name``; raises as `policy`."""
    cls: PolicyClass = _POLICIES.get(name, UnknownPolicyError)
    return cls


def placement(name: str, options: PlacementOptions) -> Placement:
    """Return a placement registered as ``name``.

    Raises
    ------
    UnknownPlacementError
        If there is none, or its plug-in cannot be loaded; lists those there are, or says why.
    """
    return placement_class(name)(options)


def placement_class(name: str) -> PlacementClass:
    """Return the class registered as ``name``; raises as `placement`."""
    cls: PlacementClass = _PLACEMENTS.get(name, UnknownPlacementError)
    return cls


def trace_format(name: str) -> type[TraceFormat]:
    """Return the class of trace formats registered as ``name``.

    Raises
    ------
    UnknownFormatError
        If there is none, or its plug-in cannot be loaded; lists those there are, or says why.
    """
    cls: type[TraceFormat] = _FORMATS.get(name, UnknownFormatError)
    return cls


def format_names() -> tuple[str, ...]:
    """Return the names of all trace formats, alphabetically."""
    return tuple(_FORMATS.found())


def describe_formats() -> dict[str, str]:
    """Return one line on each trace format by name, alphabetically."""
    return _FORMATS.descriptions()


def broken_formats() -> dict[str, str]:
    """Return why a plug-in or a module of trace formats could not be loaded, by its name."""
    _FORMATS.found()
    return dict(sorted(_FORMATS.broken.items()))


def policy_names() -> tuple[str, ...]:
    """Return the names of all policies, alphabetically."""
    return tuple(_POLICIES.found())


def placement_names() -> tuple[str, ...]:
    """Return the names of all placements, alphabetically."""
    return tuple(_PLACEMENTS.found())


def describe_policies() -> dict[str, str]:
    """Return one line on each policy by name, alphabetically."""
    return _POLICIES.descriptions()


def describe_placements() -> dict[str, str]:
    """Return one line on each placement by name, alphabetically."""
    return _PLACEMENTS.descriptions()


def policy_options(name: str) -> list[str]:
    """Return the names of a policy's own options; raises as `policy`."""
    return list(own_options(options_of(policy_class(name))))


def broken_policies() -> dict[str, str]:
    """Return why a plug-in or a module of policies could not be loaded, by its name."""
    _POLICIES.found()
    return dict(sorted(_POLICIES.broken.items()))


def broken_placements() -> dict[str, str]:
    """Return why a plug-in or a module of placements could not be loaded, by its name."""
    _PLACEMENTS.found()
    return dict(sorted(_PLACEMENTS.broken.items()))
