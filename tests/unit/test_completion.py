"""What a shell completes: the names that there are, with a line on each, and the folders that a command takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from phasewise.bench.cli.main import PROGRAM, cli
from phasewise.bench.study.catalogue import describe as describe_studies
from phasewise.reports.figure_files.catalogue import FIGURES
from phasewise.sched.registry import describe_placements, describe_policies
from phasewise.sched.scenario.loading import builtin_names
from phasewise.sched.workload.importing.registry import format_names
from phasewise.solvers.registry import describe as describe_solvers


def completed(*words: str) -> list[CompletionItem]:
    """Return what completes the last word."""
    *before, incomplete = words
    return ShellComplete(cli, {}, PROGRAM, "_PHASEWISE_COMPLETE").get_completions(list(before), incomplete)


def names(*words: str) -> list[str]:
    return [item.value for item in completed(*words) if item.type == "plain"]


SOLVERS = [name for each in describe_solvers() for name in (each.name, *each.aliases)]
STUDIES = [each["name"] for each in describe_studies()]


@pytest.mark.parametrize(
    ("words", "all_names"),
    [
        (("run",), builtin_names()),
        (("profile",), builtin_names()),
        (("tape",), builtin_names()),
        (("run", "toy", "--policy"), describe_policies()),
        (("run", "toy", "--solver"), SOLVERS),
        (("solve", "a.tape", "--solver"), SOLVERS),
        (("run", "toy", "--placement"), describe_placements()),
        (("inflate", "--placement"), describe_placements()),
        (("run", "toy", "--trace-format"), format_names()),
        (("trace", "describe", "file", "--format"), format_names()),
        (("figure",), [*FIGURES, "list"]),
        (("study", "run"), STUDIES),
        (("list",), ["scenarios", "policies", "solvers", "placements"]),
    ],
    ids=" ".join,
)
def test_every_name_that_there_is_is_offered_and_a_beginning_keeps_those_that_begin_so(
    words: tuple[str, ...], all_names: list[str]
) -> None:
    assert sorted(names(*words, "")) == sorted(all_names)
    chosen = sorted(all_names)[-1]
    begun = chosen[: len(chosen) - 1]
    assert sorted(names(*words, begun)) == sorted(name for name in all_names if name.startswith(begun))


def test_a_name_comes_with_what_it_is() -> None:
    (fifo,) = (item for item in completed("run", "toy", "--policy", "fifo") if item.value == "fifo")
    assert fifo.help == describe_policies()["fifo"]
    assert all(item.help for item in completed("figure", "") if item.type == "plain")


def test_behind_a_comma_comes_the_next_solver_of_the_chain() -> None:
    assert names("run", "toy", "--solver", "ecos,sc") == ["ecos,scs"]
    assert "ecos,ecos" not in names("run", "toy", "--solver", "ecos,")


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for path in (
        "runs/toy-1/run.json",
        "runs/toy-2/run.json",
        "runs/empty/x",
        "rest/x",
        "fill/run.json",
        "it/study.toml",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["report", "compare", "view"])
def test_run_directories_are_those_with_a_run_json(command: str, folders: Path) -> None:
    assert names(command, "") == ["fill", "runs/toy-1", "runs/toy-2"]
    assert names(command, "runs/toy-1", "ru") == ["runs/toy-1", "runs/toy-2"]
    assert names(command, "runs/toy-2") == ["runs/toy-2"]
    assert names(command, f"{folders}/fi") == [f"{folders}/fill"]
    assert names(command, "./runs/") == ["./runs/toy-1", "./runs/toy-2"]


def test_where_no_folder_is_a_run_the_shell_completes_folders(folders: Path) -> None:
    assert [(item.value, item.type) for item in completed("report", "re")] == [("re", "dir")]
    assert [(item.value, item.type) for item in completed("report", "nowhere/x")] == [("nowhere/x", "dir")]


def test_studies_are_folders_with_a_study_toml_and_figures_take_both(folders: Path) -> None:
    assert names("study", "status", "") == names("study", "table", "i") == ["it"]
    assert names("figure", "jct-cdf", "") == ["fill", "it", "runs/toy-1", "runs/toy-2"]
    assert completed("figure", "jct-cdf", "")[0].type == "file"


def test_a_scenario_may_be_a_file_and_so_may_a_trace(folders: Path) -> None:
    assert completed("run", "my.to")[0].type == "file"
    assert [item.type for item in completed("run", "toy", "--trace", "x")] == ["file"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    found = get_completion_class(shell)
    assert found is not None
    script = found(cli, {}, PROGRAM, "_PHASEWISE_COMPLETE").source()
    assert f"_PHASEWISE_COMPLETE={shell}_complete" in script


@pytest.mark.thorough
def test_bash_completes_by_the_script_that_the_command_prints(folders: Path) -> None:
    script = """
        eval "$(_PHASEWISE_COMPLETE=bash_source phasewise)"
        compopt() { :; }
        for line in "phasewise run toy --policy isol" "phasewise report runs/" "phasewise run toy --solver ecos,hi"; do
            read -ra COMP_WORDS <<< "$line"
            COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )) COMPREPLY=()
            _phasewise_completion phasewise
            echo "${COMPREPLY[*]}"
        done
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    said = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, env=os.environ | {"PATH": path}
    )
    assert said.stderr == ""
    policies, runs, solvers = said.stdout.splitlines()
    assert policies.split()[0] == "isolated"
    assert runs == "runs/toy-1 runs/toy-2"
    assert solvers.split() == [f"ecos,{name}" for name in SOLVERS if name.startswith("hi")]
