"""What a policy is constructed with: what the run tells every policy, and the options that a policy has of its own.

A class of policies names a struct, a subclass of `PolicyOptions`, as its ``options``; the fields that it adds are the
policy's own options. They are what ``[policy]`` of a scenario may say beside the name, and they are checked by that
struct, as the options of a solver are checked by its backend.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from phasewise.sched.errors import ScenarioError, SchedulingError
from phasewise.sched.scenario.schema import Told, field_faults


class PolicyOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the run tells every policy; nobody chooses it for the policy alone.

    Attributes
    ----------
    mask_impossible
        Whether x is fixed at 0 where a job makes no progress; the original does not (D3).
    reference_speeds
        Whether a policy that does not know how fast types are takes the speed of a reference type for that of all; the
        original does (D2).
    slos_all_or_none
        Whether all SLOs are given up where they cannot all be met; the original does so (D23).
    gpu_hour_prices
        What an hour of a GPU of each of ``worker_types`` costs; empty where no prices are given.
    move_weight
        What a second of migration of one job, out of J, weighs in a max-min objective, times J: the scenario's weight
        over the round's length, 1/s; 0 leaves the movement cost out of the objective.
    seed
        Seed of the policy's own draws.
    worker_types
        The cluster's worker types; empty means not known before the first call.
    """

    mask_impossible: bool = True
    reference_speeds: bool = False
    slos_all_or_none: bool = False
    gpu_hour_prices: tuple[float, ...] = ()
    move_weight: float = 0.0
    seed: int = 0
    worker_types: tuple[str, ...] = ()


class SpeedOptions(PolicyOptions, frozen=True, kw_only=True):
    """Options of the policies that ask how long a job still takes, but do not know how fast types are.

    Attributes
    ----------
    reference_type
        The worker type whose speed is taken for that of all; None for the job's mean speed over the types on which it
        can run, or, under the original's rules, for v100.
    """

    reference_type: str | None = None


class MaxMinOptions(PolicyOptions, frozen=True, kw_only=True):
    """Options of the policies whose optimum a small linear term makes unique.

    Attributes
    ----------
    canonical
        Whether it is added.
    """

    canonical: bool = False


class FairnessOptions(MaxMinOptions, frozen=True, kw_only=True):
    """Options of max-min fairness.

    Attributes
    ----------
    sparse
        Whether, of equal optima, the one is taken in which jobs above the least gain are whole on types and as many as
        can stay where they were (`phasewise.solvers.structured.nearest`). Where moving costs, that decides instead.
    """

    sparse: bool = False


class MaxSumOptions(PolicyOptions, frozen=True, kw_only=True):
    """Options of the policies that add up throughputs.

    Attributes
    ----------
    normalised
        Whether each job's throughput is divided by its own under an equal share, so that the steps of different models
        are not added up as if they were alike.
    """

    normalised: bool = False


def options_of(cls: Any) -> type[PolicyOptions]:
    """Return the struct that a class of policies names as its ``options``.

    A class that names none takes `MaxMinOptions`, which is all that there was to choose before classes named theirs.

    Raises
    ------
    SchedulingError
        If it names anything else.
    """
    kind = getattr(cls, "options", MaxMinOptions)
    if not (isinstance(kind, type) and issubclass(kind, PolicyOptions)):
        raise SchedulingError(
            f"policy {cls.name!r} of {cls.__module__} names {kind!r} as its options; "
            "allowed: a subclass of PolicyOptions"
        )
    return kind


def own_options(kind: type[PolicyOptions]) -> dict[str, msgspec.structs.FieldInfo]:
    """Return the options that a struct adds to what the run tells, by name."""
    return {field.name: field for field in msgspec.structs.fields(kind) if field.name not in _TOLD}


def option_faults(cls: Any, chosen: Mapping[str, Any]) -> list[Told]:
    """Return what is wrong with the options chosen for a class of policies, each by its name."""
    own = own_options(options_of(cls))
    takes = f"it takes {', '.join(own)}" if own else "it takes none"
    told = [(name, f"is not an option of policy {cls.name}; {takes}") for name in chosen if name not in own]
    for name, value in chosen.items():
        if name in own:
            told += field_faults(name, own[name].type, value)
    return told


def completed(cls: Any, told: PolicyOptions, chosen: Mapping[str, Any]) -> PolicyOptions:
    """Return what a policy of that class is constructed with.

    Parameters
    ----------
    told
        What the run tells: a plain `PolicyOptions`, or options of this class or of one that its options extend.
    chosen
        The policy's own options by name; they win over those in ``told``.

    Raises
    ------
    ScenarioError
        If one is unknown or its value is not allowed.
    SchedulingError
        If ``told`` holds options of another policy.
    """
    kind = options_of(cls)
    if not issubclass(kind, type(told)) and not isinstance(told, kind):
        raise SchedulingError(f"policy {cls.name} takes {kind.__name__}, got {type(told).__name__}")
    if faults := option_faults(cls, chosen):
        raise ScenarioError("\n".join(f"policy.{name}: {message}" for name, message in faults))
    values = {field.name: getattr(told, field.name) for field in msgspec.structs.fields(type(told))}
    return msgspec.convert(values | dict(chosen), kind)


_TOLD = frozenset(field.name for field in msgspec.structs.fields(PolicyOptions))
