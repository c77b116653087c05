"""Asking for help or for a list is quick, because no solver, compiler or table library is loaded for it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from yardstick import slowness

COMMAND = str(Path(sys.executable).with_name("phasewise"))
LIMIT_CPU_S = 0.3
COMPLETED = {
    "a policy": ["run", "toy", "--policy", "max"],
    "a solver": ["run", "toy", "--solver", "ecos,h"],
    "a figure": ["figure", "j"],
    "a format": ["run", "toy", "--trace-format", "p"],
    "a run": ["report", "r"],
    "a study": ["study", "run", "gavel"],
}
HEAVY = ("cvxpy", "numba", "pyarrow", "highspy", "scipy", "jinja2", "rich", "pyinstrument", "line_profiler")
QUESTIONS = {
    "--help": ["--help"],
    "run --help": ["run", "--help"],
    "list scenarios": ["list", "scenarios"],
    "list policies": ["list", "policies"],
    "list solvers": ["list", "solvers"],
    "list placements": ["list", "placements"],
}


def cpu_s(command: list[str], cwd: Path, **environment: str) -> float:
    """Return user and system seconds of one run of the command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=cwd, env=os.environ | environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.alone
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_costs_less_than_three_tenths_of_a_cpu_second(question: str, tmp_path: Path) -> None:
    require_quick([COMMAND, *QUESTIONS[question]], tmp_path)


@pytest.mark.alone
@pytest.mark.parametrize("words", COMPLETED.values(), ids=COMPLETED)
def test_a_completion_costs_less_than_three_tenths_of_a_cpu_second(words: list[str], tmp_path: Path) -> None:
    require_quick([COMMAND], tmp_path, **asked(words))


def require_quick(command: list[str], cwd: Path, **environment: str) -> None:
    figures = []
    for _ in range(6):  # neighbours only ever add: one quiet moment is enough
        figures.append(cpu_s(command, cwd, **environment) / slowness())
        if figures[-1] < LIMIT_CPU_S:
            return
    pytest.fail(f"CPU seconds of each run, over the machine's slowness at that moment: {figures}")


def asked(words: list[str]) -> dict[str, str]:
    """Return the environment in which bash asks for the completion of the last word."""
    return {
        "_PHASEWISE_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["phasewise", *words]),
        "COMP_CWORD": str(len(words)),
    }


@pytest.mark.parametrize("question", [*QUESTIONS, *COMPLETED])
def test_a_question_loads_no_heavy_library(question: str, tmp_path: Path) -> None:
    environment = asked(COMPLETED[question]) if question in COMPLETED else {}
    script = (
        "import sys\n"
        "from phasewise.bench.cli.main import main\n"
        "try:\n"
        f"    main({QUESTIONS.get(question, [])!r})\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0, end.code\n"
        f"print('loaded:', *[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=os.environ | environment,
    )
    assert answer.stdout.splitlines()[-1] == "loaded:"
