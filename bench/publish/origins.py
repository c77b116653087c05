"""Where a figure came from, for publishing: command, commit, machine, and the CPU time that measuring took."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from phasewise.profiling.environment import describe_environment
from phasewise.reports.publication import Origin


def _spent_s() -> float:
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


@dataclass
class Stopwatch:
    """CPU seconds of this process and of those it waited for, since it was made."""

    start_s: float = field(default_factory=_spent_s)

    def cpu_s(self) -> float:
        """Return the seconds."""
        return _spent_s() - self.start_s


def origin(command: str, n: str, interval: str, cpu_s: float) -> Origin:
    """Return the origin of what has just been measured here."""
    known = describe_environment()
    parts = [known["cpu"], f"{known['cores']} cores" if known["cores"] else "", known["python"], known["platform"]]
    commit = known["commit"] if isinstance(known["commit"], str) else None
    # the pages themselves are written while figures are still being taken, and change none of them
    but_docs = ("--", ":/", ":(exclude,top)docs")
    changes = _git(Path(__file__).parent, "status", "--porcelain", "--untracked-files=no", *but_docs)
    return Origin(
        command=command,
        n=n,
        interval=interval,
        commit=commit,
        dirty=None if commit is None or changes is None else bool(changes),
        machine=" · ".join(str(part) for part in parts if part),
        cpu_s=cpu_s,
    )


def commit_of(file: Path) -> str | None:
    """Return the last commit that changed ``file``; None where it has changed since, or has no history."""
    commit = _git(file.parent, "log", "-1", "--format=%H", "--", file.name)
    changes = _git(file.parent, "status", "--porcelain", "--", file.name)
    return commit if commit and not changes else None


def _git(folder: Path, *words: str) -> str | None:
    """Return what git prints, or None where there is no git or no checkout."""
    asked = ["git", "--no-optional-locks", "-C", str(folder), *words]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def settings(scenario: str, overrides: Mapping[str, object], command: str = "run") -> str:
    """Return the command that runs ``scenario`` with ``overrides``."""
    return " ".join([f"phasewise {command}", scenario, *(f"--set {key}={value}" for key, value in overrides.items())])


Report = Callable[[str], None]
