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
FACE = "phasewise"  # the public face: the folder that is the package itself
FOLDERS = (FACE, "profiling", "solvers", "sched", "reports", "bench")


def installed(path: Path) -> Path:
    """Return where a file of the checkout lies in a wheel, and so as what it is imported."""
    inside = path.relative_to(ROOT)
    return inside if inside.parts[0] == FACE else Path(FACE) / inside


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
        ".".join(installed(init).parent.parts): init.parent.relative_to(ROOT).as_posix()
        for folder in FOLDERS
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert set(settings["packages"]) == set(on_disk)
    assert settings["package-dir"] == on_disk


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


def test_static_tools_find_every_package_under_its_name_in_the_checkout() -> None:
    links = {path.name: path.resolve() for path in (ROOT / ".namespace" / FACE).iterdir()}
    face = {path.name: path for path in (ROOT / FACE).iterdir() if path.suffix in {".py", ".typed"}}
    assert links == face | {folder: ROOT / folder for folder in FOLDERS if folder != FACE}


def test_the_package_runs_as_a_module_and_says_its_version(tmp_path: Path) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    script = "import phasewise, sys; print(phasewise.__version__, 'numpy' in sys.modules)"
    for words, expected in (
        (["-m", "phasewise", "--version"], f"phasewise, version {declared}"),
        (["-c", script], f"{declared} False"),
    ):
        for folder in (ROOT, tmp_path):  # in the checkout, the working folder has a folder of that name
            said = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True, cwd=folder)
            assert said.stdout.strip() == expected


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
        installed(path).as_posix()
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
