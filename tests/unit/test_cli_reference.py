"""The reference page of the command line says what the program says, and every option leads somewhere."""

from __future__ import annotations

import inspect
from pathlib import Path

import click
import msgspec
import pytest

from phasewise.bench.cli.boundary import ExitCode
from phasewise.bench.cli.main import cli
from phasewise.bench.cli.options import OPTIONS
from phasewise.sched.scenario.config import Scenario

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"
COMMANDS = {name: cli.get_command(click.Context(cli), name) for name in cli.list_commands(click.Context(cli))}


def section(command: str) -> str:
    """Return the page's text about one command."""
    _, heading, rest = PAGE.read_text().partition(f"\n## `phasewise {command}")
    assert heading, f"{PAGE} has no section on phasewise {command}"
    return rest.partition("\n## ")[0]


def options(command: click.Command) -> list[click.Option]:
    """Return the options of a command and, where it is a group, of those in it."""
    own = [option for option in command.params if isinstance(option, click.Option)]
    inner = command.commands.values() if isinstance(command, click.Group) else ()
    return own + [option for each in inner for option in options(each)]


def flags(command: click.Command) -> list[str]:
    return [flag for option in options(command) for flag in option.opts]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_names_every_option_of_every_command(name: str) -> None:
    text = section(name)
    if "[scenario options](#scenario-options)" in text:
        text += PAGE.read_text().partition("\n## Scenario options")[2].partition("\n## ")[0]
    assert [flag for flag in flags(COMMANDS[name]) if f"`{flag}" not in text] == []


def test_the_page_names_no_command_that_is_not_there() -> None:
    named = {line.split()[2].strip("`") for line in PAGE.read_text().splitlines() if line.startswith("## `phasewise ")}
    assert named == set(COMMANDS)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.flag)
def test_an_option_sets_a_key_that_the_scenario_has_and_the_page_says_which(option: object) -> None:
    where: object = Scenario
    for part in option.key.split("."):
        fields = {field.name: field.type for field in msgspec.structs.fields(where)}
        assert part in fields, f"{option.flag} sets {option.key}, which no scenario has"
        where = fields[part]
    options = PAGE.read_text().partition("\n## Scenario options")[2].splitlines()
    row = next(line for line in options if line.startswith(f"| `{option.flag.split('/')[0]}"))
    assert f"`{option.key}`" in row


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_a_help_text(name: str) -> None:
    command = COMMANDS[name]
    assert inspect.cleandoc(command.help or "")
    assert [option.name for option in options(command) if not option.help] == []


def test_the_page_has_every_exit_code() -> None:
    text = PAGE.read_text()
    assert [code for code in ExitCode if f"| {code.value} |" not in text] == []
