"""Policies and placements by name.

A policy is one file in `phasewise.sched.policies` with a class decorated by `register_policy`; a placement likewise in
`phasewise.sched.placement`. Other distributions add theirs with the entry points ``phasewise.policies`` and
``phasewise.placements``, each naming such a class; one in any Python file is named ``FILE.py:CLASS``. Modules there
must be cheap to import, because listing imports them all: NumPy is fine; numba and solvers are imported by the
functions that need them.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from phasewise.sched.api import Placement, Policy, TypeOrder
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.errors import SchedulingError, UnknownPlacementError, UnknownPolicyError
from phasewise.sched.policy_options import PolicyOptions, completed, options_of, own_options
from phasewise.sched.shelves import Shelf


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


P = TypeVar("P", bound=PolicyClass)
L = TypeVar("L", bound=PlacementClass)


_NEEDED_OF_POLICIES: Final = {
    "name": "a text",
    "type_order": "TypeOrder.FIXED or TypeOrder.SHUFFLED",
    "needs_positive_priority": "False; True where waiting jobs wait even beside idle GPUs",
    "allocate": "allocate(view, solve, memory), which returns an Allocation",
}
_NEEDED_OF_PLACEMENTS: Final = {
    "name": "a text",
    "place": "place(order, nodes), which returns who is placed where; or take NodePlacement as the base class",
}


def _check_policy(cls: Any) -> None:
    """Raise `SchedulingError` where a class of policies names what are no options, or an order that there is not."""
    options_of(cls)
    order = getattr(cls, "type_order", None)
    if isinstance(order, str) and order not in set(TypeOrder):
        raise SchedulingError(f"policy {cls.name!r} has type_order {order!r}; allowed: {', '.join(TypeOrder)}")


_POLICIES = Shelf(
    "policy", "phasewise.sched.policies", "phasewise.policies", check=_check_policy, needs=_NEEDED_OF_POLICIES
)
_PLACEMENTS = Shelf("placement", "phasewise.sched.placement", "phasewise.placements", needs=_NEEDED_OF_PLACEMENTS)


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


def registered_policy(cls: PolicyClass) -> AbstractContextManager[None]:
    """Register a class of policies for the length of a ``with`` block: for a notebook or a test, without a package."""
    return _POLICIES.holding(cls)


def given_policy(policy: PolicyClass | Policy) -> AbstractContextManager[str]:
    """Register a class of policies, or a policy that is made already, for the length of a ``with`` block.

    Yields the name by which it is found. Raises `SchedulingError` where it is none, saying what it lacks, or
    another has its name.
    """
    return _POLICIES.given(policy, options=PolicyOptions)


def given_placement(placement: PlacementClass | Placement) -> AbstractContextManager[str]:
    """Register a class of placements, or a placement that is made already; as `given_policy`."""
    return _PLACEMENTS.given(placement)


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
    made = placement_class(name)(options)
    if not hasattr(made, "spans_nodes"):
        raise UnknownPlacementError(
            f"placement {name} lacks spans_nodes: True where a job may hold GPUs of several nodes, or else False"
        )
    return made


def placement_class(name: str) -> PlacementClass:
    """Return the class registered as ``name``; raises as `placement`."""
    cls: PlacementClass = _PLACEMENTS.get(name, UnknownPlacementError)
    return cls


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
