"""What is installed: the lock and pyproject.toml agree, and every locked file is known by its hash."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
TO_RUN = [Requirement(each) for each in PROJECT["project"]["dependencies"]]
TO_BUILD = [Requirement(each) for each in PROJECT["build-system"]["requires"]]
TO_DEVELOP = [
    Requirement(each)
    for each in (*EXTRAS["dev"], *EXTRAS["ecos"], *EXTRAS["plots"])
    if not each.startswith("phasewise")
]
LOCKS = {"requirements.txt": TO_RUN + TO_BUILD, "requirements-dev.txt": TO_RUN + TO_BUILD + TO_DEVELOP}
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
BOUND = re.compile(r"^\| `(\S+)` \| `([^`]*)` \| (.+) \|$", re.MULTILINE)


def locked(lock: str) -> dict[str, list[tuple[Version, Marker | None, int]]]:
    """Return by package what a lock holds: versions, where each is for, and how many files are known by their hash."""
    found: dict[str, list[tuple[Version, Marker | None, int]]] = {}
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    for line in filter(None, (line.partition("#")[0].strip() for line in text.splitlines())):
        words, *hashes = line.split("--hash=")
        requirement = Requirement(words.strip())
        (pin,) = requirement.specifier
        assert pin.operator == "==", line
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each.strip()) for each in hashes), line
        found.setdefault(canonicalize_name(requirement.name), []).append(
            (Version(pin.version), requirement.marker, len(hashes))
        )
    return found


def applies(marker: Marker | None, python: str) -> bool:
    """Return whether a line counts on Linux with that Python."""
    return marker is None or marker.evaluate(
        {**default_environment(), "python_version": python, "python_full_version": f"{python}.0", "extra": ""}  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_everything_that_is_asked_for_is_locked_once_within_its_bounds(lock: str, python: str) -> None:
    held = locked(lock)
    for requirement in LOCKS[lock]:
        versions = [
            version
            for version, marker, _ in held.get(canonicalize_name(requirement.name), [])
            if applies(marker, python)
        ]
        assert len(versions) == applies(requirement.marker, python), requirement
        assert all(requirement.specifier.contains(version) for version in versions), (requirement, versions)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_the_hashes_of_its_files(lock: str) -> None:
    held = locked(lock)
    assert len(held) > len(LOCKS[lock])
    assert [name for name, versions in held.items() if not all(hashes for *_, hashes in versions)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place_where_its_files_are(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert [line for line in text.splitlines() if line.startswith("-")] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_says_for_which_pythons_it_is(lock: str) -> None:
    assert (ROOT / lock).read_text().startswith(f"# Python {PYTHONS[0]} to {PYTHONS[-1]}\n")
    assert PROJECT["project"]["requires-python"] == f">={PYTHONS[0]}"


def test_to_run_and_to_develop_the_same_versions_are_locked() -> None:
    to_run, to_develop = (locked(lock) for lock in LOCKS)
    assert {name: to_develop.get(name) for name in to_run} == to_run


def test_every_bound_has_its_reason_in_the_documentation() -> None:
    text = (ROOT / "docs" / "howto" / "install.md").read_text()
    written = {name: (bounds, reason) for name, bounds, reason in BOUND.findall(text)}
    declared = {each.name: str(each.specifier) for each in TO_RUN}
    assert {name: bounds for name, (bounds, _) in written.items()} == {
        name: ", ".join(reversed(bounds.split(","))) for name, bounds in declared.items()
    }
    assert all(len(reason) > 10 for _, reason in written.values())


@pytest.mark.parametrize("resolution", ["lowst", "latest"])
def test_a_resolution_that_there_is_not_is_refused_with_those_that_there_are(resolution: str, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    command = [ROOT / ".ci" / "install", tmp_path, "run", resolution]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert said.stderr == f"RESOLUTION={resolution}; allowed: lowest, newest, or none: the locked versions\n"


def stand_in(folder: Path, version: str) -> Path:
    """Make an environment whose Python claims to be of ``version`` and whose pip notes what it is asked for."""
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    claim = f"import sys; sys.version_info = (*map(int, '{version}'.split('.')), 0)"
    python.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = -m ]; then shift; echo "$@" >>{folder}/asked; '
        f'else exec {sys.executable} -c "{claim}; exec(sys.argv[1])" "$2"; fi\n'
    )
    python.chmod(0o755)
    return folder


@pytest.mark.parametrize(("purpose", "lock"), [("run", "requirements.txt"), ("dev", "requirements-dev.txt")])
@pytest.mark.parametrize("python", PYTHONS)
def test_the_locked_versions_are_installed_by_their_hashes(
    purpose: str, lock: str, python: str, tmp_path: Path
) -> None:
    folder = stand_in(tmp_path / "venv", python)
    subprocess.run([ROOT / ".ci" / "install", folder, purpose], cwd=ROOT, check=True, capture_output=True)
    assert (folder / "asked").read_text().splitlines() == [
        f"pip install --require-hashes --requirement {lock}",
        "pip install --no-deps --no-build-isolation --editable .",
    ]


def test_a_python_that_is_newer_than_the_lock_is_told_and_gets_what_the_bounds_allow(tmp_path: Path) -> None:
    folder = stand_in(tmp_path / "venv", "3.15")
    command = [ROOT / ".ci" / "install", folder, "dev"]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "Python 3.15 is newer than the locked versions are for (3.14)" in said
    assert (folder / "asked").read_text().splitlines() == ["pip install --editable .[dev]"]
