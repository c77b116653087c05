"""Where a figure came from, for publishing: command, commit, machine, and the CPU time that measuring took."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

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
    commit, dirty = known["commit"], known["dirty"]
    return Origin(
        command=command,
        n=n,
        interval=interval,
        commit=commit if isinstance(commit, str) else None,
        dirty=dirty if isinstance(dirty, bool) else None,
        machine=" · ".join(str(part) for part in parts if part),
        cpu_s=cpu_s,
    )


def of_file(made: Origin, file: Path) -> Origin:
    """Return an origin whose commit is the last one that changed ``file``, which was measured then and not now."""
    git = ["git", "-C", str(file.parent)]
    try:
        asked = [[*git, "log", "-1", "--format=%H", "--", file.name], [*git, "status", "--porcelain", "--", file.name]]
        commit, changed = (subprocess.run(each, capture_output=True, text=True, check=True).stdout for each in asked)
    except (OSError, subprocess.CalledProcessError):
        return msgspec.structs.replace(made, commit=None, dirty=None)
    return msgspec.structs.replace(made, commit=commit.strip() or None, dirty=bool(changed.strip()))


def settings(scenario: str, overrides: object) -> str:
    """Return the command that runs ``scenario`` with ``overrides``."""
    pairs = overrides.items() if isinstance(overrides, dict) else ()
    return " ".join(["phasewise run", scenario, *(f"--set {key}={value}" for key, value in pairs)])


Report = Callable[[str], None]
