"""Where a figure came from, for publishing: command, commit, machine, and the CPU time that measuring took."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

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


def settings(scenario: str, overrides: object) -> str:
    """Return the command that runs ``scenario`` with ``overrides``."""
    pairs = overrides.items() if isinstance(overrides, dict) else ()
    return " ".join(["phasewise run", scenario, *(f"--set {key}={value}" for key, value in pairs)])


Report = Callable[[str], None]
