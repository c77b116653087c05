"""Options of policies: named by the class, checked before a run, and told apart from what the run says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from phasewise.sched import registry
from phasewise.sched.errors import ScenarioError, SchedulingError
from phasewise.sched.policy_options import MaxMinOptions, PolicyOptions, options_of, own_options
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.validate import validate_file

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "policies.md"


class LotteryOptions(PolicyOptions, frozen=True, kw_only=True):
    """Options of the lottery."""

    tickets: int = 3


class Lottery:
    """Draw lots."""

    name: ClassVar[str] = "lottery"
    options: ClassVar[type[LotteryOptions]] = LotteryOptions

    def __init__(self, options: LotteryOptions) -> None:
        self.told = options


def lottery(told: PolicyOptions | None = None, **chosen: object) -> Any:
    with registry.registered_policy(Lottery):  # type: ignore[arg-type]
        return registry.policy("lottery", told, chosen)


def test_a_policy_gets_what_the_run_tells_and_what_was_chosen() -> None:
    told = lottery(PolicyOptions(seed=7, worker_types=("v100",)), tickets=9).told
    assert (told.seed, told.worker_types, told.tickets) == (7, ("v100",), 9)


def test_what_is_not_chosen_is_the_policys_own_default() -> None:
    assert lottery().told == LotteryOptions(tickets=3)


def test_options_may_be_given_as_the_struct_that_the_class_names() -> None:
    assert lottery(LotteryOptions(tickets=5)).told.tickets == 5


def test_options_of_another_policy_are_refused() -> None:
    with pytest.raises(SchedulingError, match="policy lottery takes LotteryOptions, got MaxMinOptions"):
        lottery(MaxMinOptions())


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"ticket": 1}, r"policy\.ticket: is not an option of policy lottery; it takes tickets"),
        ({"seed": 1}, r"policy\.seed: is not an option of policy lottery; it takes tickets"),
        ({"tickets": "many"}, r'policy\.tickets: got "many"; allowed: an integer'),
    ],
)
def test_a_wrong_option_is_refused_with_what_the_policy_takes(chosen: dict[str, object], message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        lottery(**chosen)


def test_a_class_that_names_no_options_gets_those_there_were_before_classes_named_theirs() -> None:
    class Old:
        """Was written long ago."""

        name = "old"

        def __init__(self, options: Any) -> None:
            self.seen = (options.seed, options.canonical, options.mask_impossible)

    with registry.registered_policy(Old):  # type: ignore[arg-type]
        made: Any = registry.policy("old", PolicyOptions(seed=4), {"canonical": True})
    assert made.seen == (4, True, True)


def test_a_class_whose_options_are_no_options_is_refused() -> None:
    class Odd:
        """Names a dict."""

        name = "odd"
        options = dict

    with pytest.raises(SchedulingError, match="allowed: a subclass of PolicyOptions"):
        registry.register_policy(Odd)  # type: ignore[type-var]
    assert "odd" not in registry.policy_names()


# --- the section [policy] of a scenario


@pytest.mark.parametrize("policy", ["fifo", "isolated", "max_min_fairness_water_filling"])
def test_another_policy_in_a_scenarios_place_leaves_the_options_that_it_does_not_take(policy: str) -> None:
    assert load_scenario("alibaba").policy.canonical
    assert not load_scenario("alibaba", {"policy.name": policy}).policy.canonical


def test_another_policy_in_a_scenarios_place_keeps_the_options_that_it_takes() -> None:
    assert load_scenario("alibaba", {"policy.name": "max_min_fairness"}).policy.canonical


def test_of_a_files_own_options_another_policy_keeps_what_it_takes(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[cluster]\ngpus = { v100 = 1 }\n[workload]\njobs = 3\n[policy]\nname = "lottery"\noptions = { tickets = 4 }\n'
    )
    with registry.registered_policy(Lottery):  # type: ignore[arg-type]
        assert load_scenario(path).policy.options == {"tickets": 4}
        assert load_scenario(path, {"policy.options.tickets": 6}).policy.options == {"tickets": 6}
    assert load_scenario(path, {"policy.name": "fifo"}).policy.options == {}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("policy.canonical", "true", "policy.canonical: is not an option of policy fifo; it takes none"),
        ("policy.options.tickets", "3", "policy.options.tickets: is not an option of policy fifo; it takes none"),
    ],
)
def test_an_option_that_is_set_for_a_policy_that_does_not_take_it_is_refused(
    tmp_path: Path, phasewise: Callable, key: str, value: str, message: str
) -> None:
    said = phasewise("run", "toy", "--policy", "fifo", "--set", f"{key}={value}", "--quiet", "--out", tmp_path / "run")
    assert said.code == 2
    assert message in said.err
    assert not (tmp_path / "run").exists()


def test_an_option_that_asks_for_nothing_is_taken_by_every_policy() -> None:
    assert not load_scenario("toy", {"policy.name": "fifo", "policy.canonical": False}).policy.canonical


def test_a_file_whose_policy_does_not_take_its_options_is_faulty_on_that_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[cluster]\ngpus = { v100 = 1 }\n[workload]\njobs = 3\n[policy]\nname = "isolated"\ncanonical = true\n'
    )
    (fault,) = validate_file(path)
    assert (fault.line, fault.message) == (
        7,
        "policy.canonical: is not an option of policy isolated; it takes none",
    )


def test_the_reference_lists_the_options_of_every_policy() -> None:
    listed = {}
    for line in PAGE.read_text().splitlines():
        if row := re.fullmatch(r"\| `(\w+)` \|.*\| ([^|]*) \|", line):
            listed.setdefault(row[1], set(re.findall(r"`([\w.]+)`", row[2])))
    keys = {
        "canonical": "policy.canonical",
        "allocations": "recorded.allocations",
        "recorded_policy": "recorded.policy",
    }
    for name in registry.policy_names():
        own = own_options(options_of(registry.policy_class(name)))
        assert listed[name] == {keys.get(option, f"policy.options.{option}") for option in own}, name
