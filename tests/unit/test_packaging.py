"""What is installed: every folder, under its prefix, with its tables, and nothing of the standard library hidden."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

ROOT = Path(__file__).resolve().parents[2]
FACE = "phasewise"  # the public face: the folder that is the package itself
ALONGSIDE = (
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "NOTICE",
    "PACKAGE.md",
    "README.md",
    "SECURITY.md",
)
FOLDERS = (FACE, "profiling", "solvers", "sched", "reports", "bench")


def installed(path: Path) -> Path:
    """Return where a file of the checkout lies in a wheel, and so as what it is imported."""
    inside = path.relative_to(ROOT)
    return inside if inside.parts[0] == FACE else Path(FACE) / inside


@pytest.fixture(scope="module")
def settings() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution from a copy, so that the checkout stays clean."""
    copy = tmp_path_factory.mktemp("source") / "phasewise"
    copy.mkdir()
    for folder in (*FOLDERS, "LICENSES"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (*ALONGSIDE, "pyproject.toml", "MANIFEST.in"):
        shutil.copy(ROOT / file, copy)
    script = f"from setuptools import build_meta; print(build_meta.build_sdist({str(copy.parent)!r}))"
    built = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False, cwd=copy)
    assert built.returncode == 0, built.stdout + built.stderr
    return copy.parent / built.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def wheel(sdist: Path) -> zipfile.ZipFile:
    """Build the wheel from the source distribution, as whoever has that alone would."""
    with tarfile.open(sdist) as archive:
        archive.extractall(sdist.parent / "unpacked", filter="data")
    (copy,) = (sdist.parent / "unpacked").iterdir()
    target = sdist.parent / "wheels"
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


@pytest.mark.thorough
def test_the_source_distribution_holds_what_tells_of_it_and_nothing_of_the_tests(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        inside = {Path(name).relative_to(Path(name).parts[0]).as_posix() for name in archive.getnames()}
    assert inside >= {*ALONGSIDE, "LICENSES/Apache-2.0.txt", "reports/vendor/uPlot-LICENSE.txt", "pyproject.toml"}
    assert [name for name in inside if name.startswith(("tests/", "docs/"))] == []


@pytest.mark.thorough
def test_the_metadata_is_valid_and_its_text_stands_by_itself(wheel: zipfile.ZipFile) -> None:
    (name,) = (each for each in wheel.namelist() if each.endswith(".dist-info/METADATA"))
    told = Metadata.from_email(wheel.read(name), validate=True)  # every field, as the package index checks it
    assert (told.name, str(told.version)) == ("phasewise", declared_version())
    assert (str(told.license_expression), told.description_content_type) == ("MIT AND Apache-2.0", "text/markdown")
    assert set(told.license_files or ()) == {
        "LICENSE", "NOTICE", "LICENSES/Apache-2.0.txt", "reports/vendor/uPlot-LICENSE.txt",
    }  # fmt: skip
    licences = {each for each in wheel.namelist() if ".dist-info/licenses/" in each}
    assert len(licences) == len(told.license_files or ())
    assert set(told.provides_extra or ()) == {"ecos", "plots", "slurm", "dev"}
    assert told.project_urls
    assert told.keywords
    links = re.findall(r"\]\(([^)]+)\)", told.description or "")
    assert links
    assert [link for link in links if not link.startswith("https://")] == []


def declared_version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def test_the_version_is_the_same_wherever_it_is_declared() -> None:
    version = declared_version()
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    first = re.search(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None
    assert first[1] == version


def test_everything_that_is_carried_along_is_named_with_its_licence() -> None:
    notice = (ROOT / "NOTICE").read_text()
    ours = {"gpu_type_speeds.csv", "checkpoint_sizes.csv", "README.md", "uPlot-LICENSE.txt"}
    folders = (ROOT / "sched" / "data", ROOT / "reports" / "data", ROOT / "reports" / "vendor")
    carried = {
        path.name
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".py" and "scenarios" not in path.parts and "__pycache__" not in path.parts
    }
    assert {name for name in carried - ours if name not in notice} == set()


USER = """
import phasewise

run = phasewise.run("toy", overrides={"workload.jobs": 4})
mean: float | None = run.summary.avg_jct_s
problem = phasewise.MaxMin(gain=[[1.0, 2.0]], scale_factor=[1], capacity=[1, 1])  # type: ignore[arg-type]
bound: float | None = phasewise.solve(problem).bound
wrong: int = phasewise.__version__
"""


@pytest.fixture(scope="module")
def elsewhere(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a new environment that has the wheel, with the packages of this one beside it."""
    place = tmp_path_factory.mktemp("elsewhere")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "venv"], check=True)
    python = place / "venv" / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index"]
    done = subprocess.run([*install, str(wheel.filename)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (packages,) = (place / "venv" / "lib").glob("python*/site-packages")
    (packages / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")  # whose own .pth files are not read
    return python


@pytest.mark.thorough
def test_an_installed_wheel_runs_as_a_module_and_as_a_command_without_the_checkout(
    elsewhere: Path, tmp_path: Path
) -> None:
    where = "import phasewise.sched as s; print(s.__file__)"
    found = subprocess.run([elsewhere, "-c", where], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout.startswith(str(elsewhere.parents[1]))
    command = [elsewhere, "-m", "phasewise", "run", "toy", "--rounds", "3", "-q", "--json", "--out", "run"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert json.loads(done.stdout)["environment"]["version"] == declared_version()
    script = elsewhere.with_name("phasewise")
    listed = subprocess.run([script, "list", "scenarios"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "spot2026" in listed.stdout


@pytest.mark.nightly
def test_an_installed_wheel_is_typed_for_who_imports_it(elsewhere: Path, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", elsewhere, "--follow-imports", "silent"]
    done = subprocess.run([*mypy, "user.py"], capture_output=True, text=True, check=False, cwd=tmp_path)
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 1, done.stdout
    assert 'user.py:8: error: Incompatible types in assignment (expression has type "str"' in errors[0]
