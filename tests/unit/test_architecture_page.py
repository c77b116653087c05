"""The page on architecture names every module where it stands, and none that is not there."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = {
    "profiling": "profiling",
    "solvers": "solvers",
    "sched": "sched",
    "reports": "reports and bench",
    "bench": "reports and bench",
}
PLUGGED = {"backends", "policies", "placement", "commands", "formats"}  # one file each: the page names the folder


def tables(folder: str) -> list[str]:
    """Return the rows of the tables in a folder's section of the page."""
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    section = page.partition(f"\n## {SECTIONS[folder]}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows, f"no table under the heading {SECTIONS[folder]}"
    return rows


def named(folder: str) -> set[str]:
    """Return the files and folders that stand in the tables, as the page writes them."""
    return set(re.findall(r"`([\w/*]+(?:\.py|/))`", "\n".join(tables(folder))))


def modules(folder: str) -> list[Path]:
    return [path.relative_to(ROOT) for path in sorted((ROOT / folder).rglob("*.py")) if path.name != "__init__.py"]


def means(name: str, module: Path) -> bool:
    """Return whether a name on the page, which may leave out the folders, means a module."""
    pattern = f"{name}*" if name.endswith("/") else name
    return fnmatch(f"/{module.as_posix()}", f"*/{pattern}")


@pytest.mark.parametrize("folder", SECTIONS)
def test_every_module_is_named(folder: str) -> None:
    files = {name for name in named(folder) if name.endswith(".py")}
    folders = {name for name in named(folder) if name.rstrip("/").rpartition("/")[2] in PLUGGED}
    missing = [
        module.as_posix()
        for module in modules(folder)
        if not any(means(name, module) for name in (folders if module.parent.name in PLUGGED else files))
    ]
    assert missing == []


@pytest.mark.parametrize("folder", SECTIONS)
def test_every_module_named_is_there(folder: str) -> None:
    there = [module for other in SECTIONS if SECTIONS[other] == SECTIONS[folder] for module in modules(other)]
    assert [name for name in sorted(named(folder)) if not any(means(name, module) for module in there)] == []
