"""What a run follows from besides its scenario: the sources that decide, and the files that it reads, by content."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from phasewise.profiling.artefacts.run_json import Basis
from phasewise.profiling.environment import package_version
from phasewise.profiling.inputs import read_input
from phasewise.profiling.own_files import by_content, unpinned
from phasewise.sched import registry
from phasewise.sched.cluster.inventories import inventory_names, pod_table_names
from phasewise.sched.errors import ScenarioError
from phasewise.sched.scenario.config import Scenario
from phasewise.sched.scenario.loading import FILE_KEYS
from phasewise.solvers import registry as solvers

_HERE: Final = Path(__file__).resolve().parent
DECIDING: Final = (_HERE, _HERE.parent / "solvers", _HERE.parent / "profiling" / "jit")
_OURS: Final = __name__.partition(".")[0]


def basis_of(scenario: Scenario) -> Basis:
    """Return what a run of ``scenario`` would follow from now.

    Raises
    ------
    ScenarioError
        Where a file that it names cannot be read.
    UnknownPolicyError, UnknownPlacementError, SolverError
        Where it names what there is not.
    """
    return Basis(version=package_version(), rules=rules(), inputs={**_files(scenario), **_plug_ins(scenario)})


@cache
def rules() -> str:
    """Return the SHA-256 of every source and table that decides what a run does, hexadecimal."""
    digest = sha256()
    for folder in DECIDING:
        for path in sorted(path for pattern in ("*.py", "*.csv") for path in folder.rglob(pattern)):
            content = path.read_bytes()
            digest.update(f"{folder.name}/{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def input_paths(scenario: Scenario) -> dict[str, str]:
    """Return the files that a scenario names by their keys; what is built in is none."""
    built_in = {("cluster", "nodes"): inventory_names(), ("workload", "pods"): pod_table_names()}
    named = {key: getattr(getattr(scenario, key[0]), key[1]) for key in FILE_KEYS}
    return {".".join(key): name for key, name in named.items() if name and name not in built_in.get(key, ())}


def _files(scenario: Scenario) -> dict[str, str]:
    found = {}
    for key, name in input_paths(scenario).items():
        try:
            found[key] = sha256(read_input(Path(name))).hexdigest()
        except OSError as error:
            raise ScenarioError(f"{key}: cannot read {name}: {error.strerror}") from error
    return found


def _plug_ins(scenario: Scenario) -> dict[str, str]:
    """Return the digests of the modules of policy, placement and solvers that are not of this package."""
    return {
        key: sha256(Path(source).read_bytes()).hexdigest()
        for key, module in _modules(scenario)
        if module.partition(".")[0] != _OURS and (source := _source(module)) is not None
    }


def _modules(scenario: Scenario) -> Iterator[tuple[str, str]]:
    yield "policy.name", registry.policy_class(scenario.policy.name).__module__
    yield "placement.name", registry.placement_class(scenario.placement.name).__module__
    for name in scenario.solver.name.split(","):
        called = unpinned(by_content(name.strip()))
        yield f"solver.name, {called}", type(solvers.get(name.strip())).__module__


def _source(module: str) -> str | None:
    """Return the file of a module, None where it has none (typed in, or built in)."""
    try:
        return inspect.getsourcefile(sys.modules[module])
    except (KeyError, TypeError):
        return None
