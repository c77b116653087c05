"""The section ``[policy]``: which of its keys are options of the policy, and what the policy says of them.

What a policy takes, its class knows; the registry, which imports NumPy, is asked only where there is something to ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from phasewise.sched.scenario.config import Scenario
from phasewise.sched.scenario.schema import Told

NAME, OPTIONS, CANONICAL = "policy.name", "policy.options", "policy.canonical"
RECORDED: Final = "recorded"


def chosen(scenario: Scenario) -> dict[str, Any]:
    """Return the options of its own that the scenario gives the policy, by name.

    ``canonical = false`` asks for nothing, so every policy may be told that. The policy ``recorded`` has a section.
    """
    options = ({"canonical": True} if scenario.policy.canonical else {}) | scenario.policy.options
    if scenario.policy.name == RECORDED:
        recorded = scenario.recorded
        options |= {"allocations": recorded.allocations, "recorded_policy": recorded.policy}
    return options


def option_faults(scenario: Scenario) -> list[Told]:
    """Return what is wrong with the policy's options, each by its key; nothing where there is no such policy."""
    options = chosen(scenario)
    cls = _policy_class(scenario.policy.name) if options else None
    if cls is None:
        return []
    from phasewise.sched.policy_options import option_faults as faults  # noqa: PLC0415  (as below)

    return [(_key(scenario, name), message) for name, message in faults(cls, options)]


def keep_what_is_taken(raw: dict[str, Any], given: Mapping[str, object]) -> None:
    """Drop the options of a file's policy that another one, which overrides put in its place, does not take.

    They belong to the file's policy, as its window belongs to its workload. What an override says stands.
    """
    section = raw.get("policy")
    if NAME not in given or not isinstance(section, dict):
        return
    mine = [name for name in _options(section) if f"{OPTIONS}.{name}" not in given and OPTIONS not in given]
    canonical = section.get("canonical") is True and CANONICAL not in given
    if not mine and not canonical:
        return
    cls = _policy_class(str(section.get("name")))
    if cls is None:
        return
    from phasewise.sched.policy_options import options_of, own_options  # noqa: PLC0415  (as below)

    taken = own_options(options_of(cls))
    left = {name: value for name, value in _options(section).items() if name in taken or name not in mine}
    if left or "options" in section:
        section["options"] = left
    if canonical and "canonical" not in taken:
        del section["canonical"]


def _policy_class(name: str) -> Any:
    """Return the class of a policy; None where there is none, which is judged when the run is built."""
    from phasewise.sched.errors import UnknownPolicyError  # noqa: PLC0415
    from phasewise.sched.registry import policy_class  # noqa: PLC0415  (imports NumPy)

    try:
        return policy_class(name)
    except UnknownPolicyError:
        return None


def _options(section: Mapping[str, Any]) -> dict[str, Any]:
    options = section.get("options")
    return options if isinstance(options, dict) else {}


def _key(scenario: Scenario, option: str) -> str:
    """Return the key of the scenario file that gave an option."""
    return f"{OPTIONS}.{option}" if option in scenario.policy.options else f"policy.{option}"
