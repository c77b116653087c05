"""Policies and placements by name.

A policy is one file in `phasewise.sched.policies` with a class decorated by `register_policy`; a placement likewise in
`phasewise.sched.placement`. Other distributions add theirs with the entry points ``phasewise.policies`` and
``phasewise.placements``, each naming such a class. Modules there must be cheap to import, because listing imports them
all: NumPy is fine; numba and solvers are imported by the functions that need them.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, TypeVar

from phasewise.sched.api import Placement, Policy
from phasewise.sched.cluster import ClusterLayout
from phasewise.sched.errors import SchedulingError, UnknownPlacementError, UnknownPolicyError


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """What a policy is constructed with; each takes what concerns it.

    Attributes
    ----------
    canonical
        Whether a max-min optimum is made unique by a small linear term.
    mask_impossible
        Whether x is fixed at 0 where a job makes no progress; the original does not (D3).
    move_weight
        What a second of migration of one job, out of J, weighs in a max-min objective, times J: the scenario's weight
        over the round's length, 1/s; 0 leaves the cost of moving out of the objective.
    seed
        Seed of the policy's own draws.
    allocations
        Path of recorded allocations, for `recorded`.
    recorded_policy
        Whose selection rules `recorded` follows; empty means the one named in the file.
    worker_types
        The cluster's worker types, for `recorded`; empty means not checked until the first call.
    """

    canonical: bool = False
    mask_impossible: bool = True
    move_weight: float = 0.0
    seed: int = 0
    allocations: str = ""
    recorded_policy: str = ""
    worker_types: tuple[str, ...] = ()


class PolicyClass(Protocol):
    """A class of policies."""

    @property
    def name(self) -> str:
        """The registered name."""
        ...

    def __call__(self, options: PolicyOptions) -> Policy:
        """Return a policy with these options."""
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
    seed
        Seed of the placement's own draws.
    compiled
        Whether compiled kernels are used where there is a NumPy form as well.
    bit_compatible
        Whether a placement repeats the floating-point artefacts of the simulator that published it.
    """

    layout: ClusterLayout
    whole_gpus: bool = True
    seed: int = 0
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


P = TypeVar("P", bound=PolicyClass)
L = TypeVar("L", bound=PlacementClass)


@dataclass(slots=True)
class _Shelf:
    """The classes of one kind, found when first asked for."""

    kind: str
    package: str
    group: str
    classes: dict[str, Any] = field(default_factory=dict)
    discovered: bool = False

    def add(self, cls: Any) -> None:
        """Put a class on the shelf under its name."""
        known = self.classes.get(cls.name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise SchedulingError(
                f"{self.kind} {cls.name!r} is registered twice: by {known.__module__} and by {cls.__module__};"
                " rename one of them"
            )
        if not (cls.__doc__ or "").strip():
            raise SchedulingError(f"{self.kind} {cls.name!r} of {cls.__module__} has no docstring to describe it by")
        self.classes[cls.name] = cls

    def found(self) -> Mapping[str, Any]:
        """Return all classes by name, in alphabetical order."""
        if not self.discovered:
            package = importlib.import_module(self.package)
            for module in sorted(found.name for found in pkgutil.iter_modules(package.__path__)):
                importlib.import_module(f"{self.package}.{module}")
            for point in entry_points(group=self.group):
                self.add(_loaded(point))
            self.classes = dict(sorted(self.classes.items()))
            self.discovered = True
        return self.classes

    def get(self, name: str, unknown: type[SchedulingError]) -> Any:
        """Return the class of that name, or raise ``unknown`` with the names there are."""
        classes = self.found()
        if name not in classes:
            raise unknown(f"no {self.kind} {name!r}; choose one of: {', '.join(classes)}")
        return classes[name]

    def descriptions(self) -> dict[str, str]:
        """Return the first docstring line of each class by name."""
        return {name: cls.__doc__.strip().splitlines()[0].strip() for name, cls in self.found().items()}


def _loaded(point: EntryPoint) -> Any:
    try:
        cls = point.load()
    except (ImportError, AttributeError) as error:
        owner = f" of {point.dist.name}" if point.dist is not None else ""
        raise SchedulingError(
            f"plug-in {point.group}: {point.name} = {point.value}{owner} cannot be loaded: {error};"
            " mend or uninstall that package"
        ) from error
    if not isinstance(cls, type) or not isinstance(getattr(cls, "name", None), str):
        raise SchedulingError(
            f"plug-in {point.group}: {point.name} = {point.value} is not a class with a `name`; name the class itself"
        )
    return cls


_POLICIES = _Shelf("policy", "phasewise.sched.policies", "phasewise.policies")
_PLACEMENTS = _Shelf("placement", "phasewise.sched.placement", "phasewise.placements")


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


def policy(name: str, options: PolicyOptions | None = None) -> Policy:
    """Return a policy registered as ``name``.

    Raises
    ------
    UnknownPolicyError
        If there is none; lists those there are.
    SchedulingError
        If the policy refuses its options, or a plug-in cannot be loaded.
    """
    cls: PolicyClass = _POLICIES.get(name, UnknownPolicyError)
    return cls(options or PolicyOptions())


def placement(name: str, options: PlacementOptions) -> Placement:
    """Return a placement registered as ``name``.

    Raises
    ------
    UnknownPlacementError
        If there is none; lists those there are.
    SchedulingError
        If a plug-in cannot be loaded.
    """
    cls: PlacementClass = _PLACEMENTS.get(name, UnknownPlacementError)
    return cls(options)


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
