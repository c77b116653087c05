"""Backends are found by name, and a wrong name says what there is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import SolverSession
from phasewise.solvers.errors import UnknownBackendError
from phasewise.solvers.session import Walk


@dataclass(frozen=True)
class Absent:
    """A backend whose solver nobody has."""

    name: str = "absent"
    aliases: tuple[str, ...] = ("gone",)
    families: frozenset[str] = frozenset({"max_min"})
    requires: Mapping[str, str] = field(default_factory=lambda: {"no_such_module": "phasewise[absent]"})
    limits: str = "not there"
    tolerance: float = 0.0

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> SolverSession:
        raise AssertionError("a backend that is not installed must not be opened")


def test_the_promised_names_and_aliases_are_there() -> None:
    promised = {"highs-direct", *(f"cvxpy-fresh:{solver}" for solver in ("ECOS", "SCS", "CLARABEL", "HIGHS"))}
    assert promised <= set(registry.names(installed=False))
    for alias in ("ecos", "scs", "clarabel", "highs"):
        assert registry.aliases()[alias] == f"cvxpy-fresh:{alias.upper()}"
    assert registry.get("clarabel").name == "cvxpy-fresh:CLARABEL"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownBackendError, match=r"'gurobi'; choose one of: .*cvxpy-fresh:ECOS.*highs-direct.*ecos"):
        registry.get("gurobi")


def test_a_missing_solver_says_what_to_install() -> None:
    with registry.registered(Absent()):
        assert "absent" in registry.names(installed=False)
        assert "absent" not in registry.names()
        with pytest.raises(UnknownBackendError, match=r"'gone' is not installed: pip install phasewise\[absent\]"):
            Walk.of("gone", {}, PhaseTimer())
        described = {each.name: each for each in registry.describe()}["absent"]
        assert not described.installed
        assert described.missing == ("phasewise[absent]",)
    assert "absent" not in registry.names(installed=False)


def test_describing_all_backends_imports_no_solver() -> None:
    code = (
        "import sys; from phasewise.solvers import registry; rows = registry.describe(); "
        "heavy = {'cvxpy', 'highspy', 'scs', 'ecos', 'clarabel', 'scipy', 'numba'} & set(sys.modules); "
        "print(len(rows), sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    count, heavy = done.stdout.split(maxsplit=1)
    assert int(count) >= 5
    assert heavy.strip() == "[]"


def test_every_backend_describes_itself() -> None:
    for row in registry.describe():
        assert row.families
        assert row.limits
        assert "\n" not in row.limits


PLUGIN = """
import numpy as np
from phasewise.solvers.api import Answer, Status

class Idle:
    name = "idle"
    aliases = ()
    families = frozenset({"max_min"})
    requires = {}
    limits = "gives nothing to anybody"
    tolerance = 1.0
    def open(self, options, timer):
        return self
    def solve(self, problem, state):
        return Answer(Status.OPTIMAL, np.zeros((problem.rows, problem.types))), None
"""
USE = """
import numpy as np
from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.errors import UnknownBackendError
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.session import Walk

assert "idle" in registry.names(), registry.names()
solution = Walk.of("idle", {}, PhaseTimer()).solve(MaxMinProblem(np.ones((2, 1)), np.ones(2), np.ones(1)))
print(solution.backend, solution.objective)
try:
    registry.get("torn")
except UnknownBackendError as error:
    print(error)
"""


def test_an_installed_package_adds_a_backend_and_a_broken_one_breaks_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "idle_plugin.py").write_text(PLUGIN, encoding="utf-8")
    metadata = tmp_path / "idle_plugin-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: idle-plugin\nVersion: 1.0\n", encoding="utf-8")
    entries = "[phasewise.solvers]\nidle = idle_plugin:Idle\ntorn = no_such_plugin:Backend\n"
    (metadata / "entry_points.txt").write_text(entries, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-P", "-c", USE],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "idle 0.0"
    assert "'torn' cannot be loaded: entry point no_such_plugin:Backend: ModuleNotFoundError: No module named" in second
