"""The documentation: links lead somewhere, names and options exist, and the worked examples run."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from os import environ
from pathlib import Path

import click
import pytest

from phasewise.bench.cli.boundary import ExitCode
from phasewise.bench.cli.main import cli
from phasewise.profiling import own_files
from phasewise.profiling.artefacts.reference import shown, tables, with_tables
from phasewise.profiling.errors import RecordError
from phasewise.reports.glossary import PHASES
from phasewise.sched.registry import placement_names, policy_names
from phasewise.sched.scenario.loading import builtin_names
from phasewise.solvers import registry as solvers
from phasewise.solvers.api import RebuildReason

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")])
EXAMPLES = ("add-a-policy", "add-a-placement", "add-a-solver-backend")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = {name: cli.get_command(click.Context(cli), name) for name in cli.list_commands(click.Context(cli))}


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a page in one language."""
    return [text for found, text in FENCE.findall(page.read_text()) if found == language]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them."""
    prose = FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def console_commands() -> Iterator[tuple[Path, list[str]]]:
    """Yield every `phasewise` command that a page shows, with its page."""
    for page in PAGES:
        for block in blocks(page, "console"):
            for line in block.splitlines():
                if line.startswith("$ phasewise "):
                    yield page, shlex.split(line.removeprefix("$ phasewise "), comments=True)


# -- links and names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page_id(page)} links to {target}, which does not exist"
        assert not anchor or anchor in anchors(there), f"{page_id(page)} links to {target}, a heading that is not there"


def test_every_page_is_reached_from_the_index() -> None:
    index = (DOCS / "README.md").read_text()
    missing = [page_id(page) for page in DOCS.rglob("*.md") if f"({page.relative_to(DOCS)})" not in index]
    assert missing == ["docs/README.md"]


def test_the_page_on_policies_describes_policies_that_exist() -> None:
    named = re.findall(r"^## (\w+)$", (DOCS / "reference" / "policies.md").read_text(), re.MULTILINE)
    assert named
    assert set(named) <= set(policy_names())


def test_the_page_on_solvers_describes_solvers_and_aliases_that_exist() -> None:
    text = (DOCS / "howto" / "choose-a-solver.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \|(?: `(\w+)`)? \|", text, re.MULTILINE)
    assert rows
    for name, alias in rows:
        assert name in solvers.names(installed=False)
        assert not alias or solvers.aliases()[alias] == name


OWN_EXTRAS = {
    name: {needed for needed in solvers.requirements(owner) if needed.startswith("phasewise[")}
    for name, owner in {**{name: name for name in solvers.names(installed=False)}, **solvers.aliases()}.items()
}
OWN_EXTRAS["phasewise.bench.solver_rounds dpp"] = OWN_EXTRAS["ecos"]  # its default


def extras_needed(line: str) -> set[str]:
    """Return the extras of which a shown command names a solver, such as ``phasewise[ecos]``."""
    if not re.match(r"(\$ )?(phasewise|python|make) ", line):
        return set()
    named = {*re.split(r"[\s,=]+", line), *(name for name in OWN_EXTRAS if " " in name and name in line)}
    return set().union(*(OWN_EXTRAS.get(name, set()) for name in named))


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=page_id)
def test_what_is_not_there_after_make_profile_is_said_before_the_command_that_needs_it(page: Path) -> None:
    before = ""
    for line in page.read_text().splitlines():
        for extra in extras_needed(line):
            said = " ".join(before.split())
            assert f"pip install '{extra}'" in said, f"{page_id(page)}: {line}"
            assert "3.13" in said, f"{page_id(page)}: {line}"
        before += f"{line}\n"


def test_every_command_shown_exists_with_its_options_and_names() -> None:
    ours = {"--policy": "aged_max_min", "--placement": "fewest_nodes", "--solver": "scipy-linprog"}  # worked examples
    known = {
        "--policy": {*policy_names(), ours["--policy"]},
        "--placement": {*placement_names(), ours["--placement"]},
        "--solver": {*solvers.names(installed=False), *solvers.aliases(), ours["--solver"]},
    }
    for page, words in console_commands():
        where = f"{page_id(page)}: phasewise {shlex.join(words)}"
        if words[0].startswith("-"):
            continue
        command = COMMANDS.get(words[0])
        assert command is not None, where
        if isinstance(command, click.Group) and not (command.invoke_without_command and words[1].startswith("-")):
            command = command.commands.get(words[1])
            assert command is not None, where
        flags = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
        for index, word in enumerate(words):
            assert not word.startswith("--") or word in flags, f"{where}: {word}"
            if word in known:
                named = {part for part in words[index + 1].split(",") if not own_files.is_named(part)}
                assert named <= known[word], where
        if words[0] in {"run", "profile"}:
            assert words[1] in builtin_names() or words[1].endswith(".toml"), where


# -- files -----------------------------------------------------------------------------------------------------------

FILES = [DOCS / "reference" / f"{name}.md" for name in ("run-directory", "lines", "inflation")]


@pytest.mark.parametrize("page", FILES, ids=page_id)
def test_a_page_on_files_has_the_tables_that_their_descriptions_give(page: Path) -> None:
    text = page.read_text()
    told = f"run: python -m phasewise.profiling.artefacts.reference {page_id(page)}"
    assert text == with_tables(text), told


def test_everything_that_is_described_stands_on_one_page() -> None:
    named = [name for page in FILES for name in shown(page.read_text())]
    assert sorted(named) == sorted(tables())


def test_a_page_that_asks_for_a_table_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(RecordError, match=r"no table of the fields of 'moods'; there are: jobs\.parquet"):
        with_tables("<!-- fields of moods -->\n<!-- end of fields -->\n")


def test_the_page_on_run_directories_has_every_reason_to_build_a_model() -> None:
    text = (DOCS / "reference" / "run-directory.md").read_text()
    assert [reason for reason in RebuildReason if f"| `{reason}` |" not in text] == []


def test_the_glossary_says_of_every_phase_what_the_report_says() -> None:
    text = (DOCS / "reference" / "glossary.md").read_text()
    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE) == list(PHASES.items())


def test_the_page_on_exit_codes_has_every_code() -> None:
    text = (DOCS / "reference" / "exit-codes.md").read_text()
    assert [code for code in ExitCode if f"| {code.value} |" not in text] == []


# -- worked examples -------------------------------------------------------------------------------------------------


def save(page: Path, folder: Path) -> None:
    """Write a page's Python file as the page says."""
    (source,) = blocks(page, "python")
    (module,) = re.findall(r"[Ss]ave it as `(\w+\.py)`", page.read_text())
    folder.joinpath(module).write_text(source)


def install(page: Path, folder: Path) -> None:
    """Put a page's Python file and the entry points of its project file where Python finds an installed package."""
    save(page, folder)
    (project,) = (tomllib.loads(text) for text in blocks(page, "toml"))
    metadata = folder / "example-1.0.dist-info"
    metadata.mkdir()
    metadata.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: example\nVersion: 1.0\n")
    groups = project["project"]["entry-points"]
    lines = [line for group, points in groups.items() for line in (f"[{group}]", *map(" = ".join, points.items()))]
    metadata.joinpath("entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.thorough
@pytest.mark.parametrize("installed", [False, True], ids=["as a file", "installed"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_worked_example_as_shown_runs_the_command_shown(name: str, tmp_path: Path, *, installed: bool) -> None:
    page = DOCS / "howto" / f"{name}.md"
    (install if installed else save)(page, tmp_path)
    command = [words for where, words in console_commands() if where == page][installed]
    words = [*command, "--set", "output.check_invariants=true", "-q", "--out", str(tmp_path / "run")]
    code = "from phasewise.bench.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code, *words],
        env={**environ, "PYTHONPATH": str(tmp_path) if installed else ""},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == ExitCode.DONE, done.stderr
    assert "toy  complete" in done.stdout
    assert words[3] in done.stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_worked_example_fits_the_width_of_our_code(name: str) -> None:
    (source,) = blocks(DOCS / "howto" / f"{name}.md", "python")
    assert max(map(len, source.splitlines())) <= 120
    compile(source, name, "exec")
