"""What is installed: every folder, under its prefix, with its tables, and nothing of the standard library hidden."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("profiling", "solvers", "sched", "reports", "bench")


@pytest.fixture(scope="module")
def settings() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel from a copy, so that the checkout stays clean."""
    copy = tmp_path_factory.mktemp("source") / "phasewise"
    copy.mkdir()
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, copy)
    target = copy.parent / "wheels"
    command = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "-q",
        "-w",
        target,
        copy,
    ]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = target.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_list_of_packages_equals_the_folders_on_disk(settings: dict) -> None:
    on_disk = {
        "phasewise." + ".".join(init.parent.relative_to(ROOT).parts)
        for folder in FOLDERS
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert set(settings["packages"]) == on_disk
    assert settings["package-dir"] == {name: name.removeprefix("phasewise.").replace(".", "/") for name in on_disk}


def test_every_folder_with_python_files_is_a_package() -> None:
    without = [
        str(path.parent.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    ]
    assert without == []


@pytest.mark.parametrize("module", ["sched", "profiling"])
def test_outside_the_checkout_no_module_of_the_standard_library_is_hidden(module: str, tmp_path: Path) -> None:
    script = f"import importlib.util as u; s = u.find_spec({module!r}); print(s.origin if s else None)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert not found.stdout.startswith(str(ROOT))


def test_import_sched_is_the_standard_librarys_event_scheduler(tmp_path: Path) -> None:
    script = "import sched; print(sched.scheduler.__module__, sched.__file__)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    module, file = found.stdout.split()
    assert module == "sched"
    assert not file.startswith(str(ROOT))


def test_the_console_command_answers_from_any_folder(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("phasewise")
    answer = subprocess.run([command, "--version"], capture_output=True, text=True, check=True, cwd=tmp_path)
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert answer.stdout.split()[-1] == declared


@pytest.mark.thorough
def test_the_wheel_contains_every_module_and_every_table_and_template(wheel: zipfile.ZipFile) -> None:
    expected = {
        f"phasewise/{path.relative_to(ROOT).as_posix()}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert expected - set(wheel.namelist()) == set()


@pytest.mark.thorough
def test_a_run_of_an_installed_wheel_says_which_version_made_it(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / "installed")
    code = "from phasewise.bench.cli.main import main; main()"
    command = ["run", "toy", "--rounds", "3", "-q", "--out", tmp_path / "run"]
    places = os.pathsep.join(map(str, (tmp_path / "installed", sysconfig.get_path("purelib"))))
    subprocess.run(  # without `site` there is no editable install: what is imported is what the wheel holds
        [sys.executable, "-P", "-S", "-c", code, *command],
        env={**os.environ, "PYTHONPATH": places},
        cwd=tmp_path,
        check=True,
    )
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert record["summary"]["version"] == record["environment"]["version"] == declared
    assert record["environment"]["commit"] is None


@pytest.mark.thorough
def test_the_wheel_squats_on_no_top_level_name_but_its_own(wheel: zipfile.ZipFile) -> None:
    top = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {"phasewise"}
