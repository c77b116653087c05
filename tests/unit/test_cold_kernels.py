"""A machine on which nothing is compiled yet: the first run is like the second, and nothing that is broken stays so."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from phasewise.profiling.jit.store import Store, user_folder

pytestmark = pytest.mark.thorough

RUN = ("run", "philly", "--policy", "max_min_fairness_water_filling_perf", "--solver", "water-filling", "--rounds")
"""A run with kernels in the loop and in the solver, and of these as few as any has."""
ON_NODES = ("run", "toy", "--rounds", "5", "-q")
Ended = subprocess.CompletedProcess[str]
Phasewise = Callable[..., Ended]

RULE = '''"""A placement of one's own, with a constant of another module."""
from typing import NamedTuple

import numpy as np

from own_constants import SIGN
from phasewise.sched.nodes.arrays import Need, NodeArrays
from phasewise.sched.nodes.placement import NodePlacement


class Leaning(NamedTuple):
    def score(self, nodes: NodeArrays, need: Need, node: int) -> int:
        return 100 + SIGN * (node % 7)

    def scores(self, nodes, need, at):
        return 100 + SIGN * (np.asarray(at) % 7)


class LeaningPlacement(NodePlacement):
    """The first nodes of each seven first, or the last."""

    name = "leaning"

    def __init__(self, options):
        super().__init__(options, Leaning())
'''


def phasewise(cache: Path, cwd: Path, *words: object, **more: str) -> Ended:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), "OPENBLAS_NUM_THREADS": "1", **more}
    command = [Path(sys.executable).with_name("phasewise"), *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which a machine's first run and its second lie, `cold` and `warm`, with its `cache`."""
    folder = tmp_path_factory.mktemp("machine")
    for name in ("cold", "warm"):
        ended = phasewise(folder / "cache", folder, *RUN, "250", "--out", name)
        assert ended.returncode == 0, ended.stderr
        (folder / f"{name}.err").write_text(ended.stderr)
    return folder


@pytest.fixture
def machine(cold: Path, tmp_path: Path) -> Path:
    """Return a machine of one's own that has the kernels."""
    shutil.copytree(cold / "cache", tmp_path / "cache")
    return tmp_path


def summary(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())["summary"]


def test_the_first_run_says_that_it_compiles_and_how_long_it_should_take(cold: Path) -> None:
    said = (cold / "cold.err").read_text()
    assert "kernels, once on this machine: about" in said
    assert "compiled in" in said
    assert "compil" not in (cold / "warm.err").read_text()


def test_compiling_is_in_no_phase_and_no_figure_but_its_own(cold: Path) -> None:
    first, second = summary(cold / "cold"), summary(cold / "warm")
    assert first["compile_s"] > 1.0
    assert second["compile_s"] == 0.0
    for name in ("cpu_s", "wall_s"):
        assert first[name] < 0.5 * first["compile_s"], name
    assert first["phases"]["lp_solve"]["cpu_s"] < 0.2 * first["compile_s"]
    assert first["peak_rss_mib"] == pytest.approx(second["peak_rss_mib"], rel=0.15)


def test_the_first_and_the_second_run_cost_the_same(cold: Path) -> None:
    first, second = summary(cold / "cold"), summary(cold / "warm")
    for name in ("lp_solve", "worker_assignment", "event_completion"):  # 340 times as much where they compiled
        ratio = first["phases"][name]["cpu_s"] / second["phases"][name]["cpu_s"]
        assert 0.3 < ratio < 3.0, name  # two runs on a busy machine
    compared = phasewise(cold / "cache", cold, "compare", "cold", "warm")
    assert compared.returncode == 0
    assert "moved: lp_solve" not in compared.stdout


def test_both_did_the_same(cold: Path) -> None:
    lines = [
        [line for line in (cold / name / "lines.log").read_text().splitlines() if line.startswith("EVENT")]
        for name in ("cold", "warm")
    ]
    assert lines[0] == lines[1]


@pytest.mark.parametrize(
    "length", [100, pytest.param(0, marks=pytest.mark.nightly), pytest.param(-1, marks=pytest.mark.nightly)]
)
def test_kernels_that_were_cut_are_compiled_again(machine: Path, length: int) -> None:
    (kept,) = (machine / "cache").rglob("select_jobs-*")
    kept.write_bytes(kept.read_bytes()[:length])
    for name in ("first", "second"):
        ended = phasewise(machine / "cache", machine, *RUN, "20", "-q", "--out", name)
        assert (ended.returncode, ended.stderr) == (0, "")
    assert Store(machine / "cache" / "phasewise").load(kept.stem) is not None
    first, second = summary(machine / "first"), summary(machine / "second")
    assert first["compile_s"] > second["compile_s"] == 0.0
    assert first["peak_rss_mib"] == pytest.approx(second["peak_rss_mib"], rel=0.04)  # made by another process


@pytest.fixture
def plug_in(tmp_path: Path) -> Path:
    """Return a folder with an installed plug-in, for PYTHONPATH, on a machine that has the kernels this one has."""
    if user_folder().exists():
        shutil.copytree(user_folder(), tmp_path / "cache" / "phasewise")
    folder = tmp_path / "plug-in"
    metadata = folder / "own_rule-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: own-rule\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[phasewise.placements]\nleaning = own_rule:LeaningPlacement\n")
    (folder / "own_rule.py").write_text(RULE)
    (folder / "own_constants.py").write_text("SIGN = 1\n")
    return folder


def test_a_rule_that_is_gone_breaks_no_other(plug_in: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for path in cache.rglob("place_in_round-*"):
        path.unlink()
    ended = phasewise(cache, tmp_path, *ON_NODES, "--placement", "leaning", "--out", "own", PYTHONPATH=str(plug_in))
    assert ended.returncode == 0, ended.stderr
    kept = {path.name for path in cache.rglob("place_in_round-*")}
    assert len(kept) == 1  # the plug-in's kernel is kept as well
    ended = phasewise(cache, tmp_path, *ON_NODES, "--placement", "random", "--out", "other")
    assert ended.returncode == 0, ended.stderr
    assert {path.name for path in cache.rglob("place_in_round-*")} > kept


def test_a_rule_is_compiled_again_where_a_constant_of_another_module_was_changed(plug_in: Path, tmp_path: Path) -> None:
    machine = tmp_path
    nodes, pods = (f"n{k},64000,262144,2,T4" for k in range(9)), (f"p{k},4000,8192,1,1000" for k in range(8))
    (machine / "nodes.csv").write_text("\n".join(["sn,cpu_milli,memory_mib,gpu,model", *nodes, ""]))
    (machine / "pods.csv").write_text("\n".join(["name,cpu_milli,memory_mib,num_gpu,gpu_milli", *pods, ""]))
    fill = ("inflate", "--nodes", "nodes.csv", "--pods", "pods.csv", "--placement", "leaning", "--load", "0.5", "-q")
    for sign, name, form in ((1, "plus", ()), (-1, "minus", ()), (-1, "truth", ("--numpy",))):
        (plug_in / "own_constants.py").write_text(f"SIGN = {sign}\n")
        shutil.rmtree(plug_in / "__pycache__", ignore_errors=True)  # of the same second: Python itself would not see it
        ended = phasewise(machine / "cache", machine, *fill, *form, "--out", name, PYTHONPATH=str(plug_in))
        assert ended.returncode == 0, ended.stderr
    plus, minus, truth = ((machine / name / "placements.parquet").read_bytes() for name in ("plus", "minus", "truth"))
    assert minus == truth
    assert minus != plus


def test_a_home_that_cannot_be_written_costs_a_line_and_no_run(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("no folder")
    (tmp_path / "nodes.csv").write_text("sn,cpu_milli,memory_mib,gpu,model\nn,64000,262144,2,T4\n")
    (tmp_path / "pods.csv").write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli\np,4000,8192,1,1000\n")
    environment = {
        name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    }
    script = (
        "from phasewise.profiling.jit import store\n"
        "from pathlib import Path\n"
        "store.installed_folder = lambda: Path('nowhere')\n"
        "import sys; from phasewise.bench.cli.main import main\n"
        "sys.argv = 'phasewise inflate --nodes nodes.csv --pods pods.csv --placement strided --out out'.split()\n"
        "main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=tmp_path,
        env={**environment, "HOME": str(tmp_path / "home"), "NUMBA_OPT": "0"},  # what is compiled is thrown away
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("cannot be kept in") == 1
    assert "NUMBA_CACHE_DIR names another folder" in ended.stderr


def test_compiling_can_be_turned_off(tmp_path: Path) -> None:
    words = ("run", "toy", "--rounds", "8", "--solver", "structured", "--placement", "fgd", "-q", "--out")
    ended = phasewise(tmp_path / "cache", tmp_path, *words, "plain", NUMBA_DISABLE_JIT="1")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert not (tmp_path / "cache").exists()
    assert summary(tmp_path / "plain")["compile_s"] == 0.0


def test_building_a_simulation_compiles_nothing(tmp_path: Path) -> None:
    script = (
        "from contextlib import suppress\n"
        "from phasewise.profiling.jit.account import ACCOUNT\n"
        "from phasewise.profiling.phases import PhaseTimer\n"
        "from phasewise.sched import registry\n"
        "from phasewise.sched.errors import SchedulingError\n"
        "from phasewise.sched.scenario.loading import load_scenario\n"
        "from phasewise.sched.building import build_parts\n"
        "from phasewise.solvers import registry as backends\n"
        "from phasewise.solvers.errors import SolverError\n"
        "needed = []\n"
        "for policy in registry.policy_names():\n"
        "    for solver in backends.names():\n"
        "        chosen = {'policy.name': policy, 'solver.name': solver, 'placement.name': 'fgd'}\n"
        "        with suppress(SchedulingError, SolverError):  # not all of them go together\n"
        "            needed.append(len(build_parts(load_scenario('toy', chosen), PhaseTimer()).kernels))\n"
        "print(len(needed) > 100, max(needed) > 10, ACCOUNT.compilations)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-P", "-c", script],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ended.stdout == "True True []\n"
