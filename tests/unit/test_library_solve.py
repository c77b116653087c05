"""`phasewise.solve`: arrays in, a certified answer out."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import phasewise
from phasewise.solvers.api import InfeasibleError
from phasewise.solvers.errors import OptionError, ProblemError, UnknownBackendError

TWO: dict[str, Any] = {"scale_factor": [1, 1], "capacity": [1, 1]}  # two jobs of a GPU, a GPU of each of two types


@pytest.mark.parametrize(
    ("problem", "objective"),
    [
        (phasewise.MaxMin(gain=[[1, 2], [3, 1]], **TWO), 2.0),
        (phasewise.MaxMin(gain=[[2, 1], [2, 1]], **TWO), 1.5),
        (phasewise.MaxSum(value=[[1, 2], [1, 1]], **TWO), 3.0),
        (phasewise.Lexicographic(gain=[[2, 1], [2, 1]], **TWO), 1.5),
        (phasewise.Transport(duration=[[10, 20], [30, 5]], **TWO), 15.0),
        (
            phasewise.FinishTime(
                throughput=[[2, 1], [2, 1]], steps_remaining=[60, 60], since_arrival=[0, 0], isolated=[40, 40], **TWO
            ),
            1.0,  # 60 steps at a rate of 1.5, over 40 s
        ),
    ],
)
def test_lists_are_arrays_and_the_answer_is_proven(problem: Any, objective: float) -> None:
    solution = phasewise.solve(problem)
    assert isinstance(solution, phasewise.Solution)
    assert solution.status == "optimal"
    assert solution.objective == pytest.approx(objective)
    assert solution.x.shape == (2, 2)
    assert solution.gap is not None
    assert solution.gap <= 1e-9


def test_whole_numbers_and_another_backend_will_do() -> None:
    problem = phasewise.MaxMin(gain=np.array([[2, 1], [2, 1]]), scale_factor=np.ones(2), capacity=np.array([1, 1]))
    solution = phasewise.solve(problem, "highs-direct", {"presolve": "off"})
    assert solution.backend == "highs-direct"
    assert solution.objective == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"gain": [[1, 2], [3]]}, "gain is not an array of float64"),
        ({"gain": [["a", 2], [3, 4]]}, "gain is not an array of float64"),
        ({"gain": [[1, 2]]}, r"gain has shape \(1, 2\); expected \(jobs, worker types\) = \(2, 2\)"),
        ({"gain": [[1, -2], [3, 4]]}, r"gain\[0, 1\] is -2.0"),
        ({"gain": [[1, 2], [3, 4]], "previous": [[1, 0], [0, 1]]}, "previous is given without move_cost"),
    ],
)
def test_what_is_no_problem_is_refused_with_its_fault(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ProblemError, match=said):
        phasewise.solve(phasewise.MaxMin(**wrong, **TWO))


def test_a_solver_that_is_not_there_and_an_option_that_it_does_not_take_are_named() -> None:
    problem = phasewise.MaxSum(value=[[1, 2], [1, 1]], **TWO)
    with pytest.raises(UnknownBackendError, match="nonesuch"):
        phasewise.solve(problem, "nonesuch")
    with pytest.raises(OptionError, match="nonesuch"):
        phasewise.solve(problem, "highs-direct", {"nonesuch": 1})


def test_promises_that_cannot_be_kept_are_an_error_with_the_proof() -> None:
    problem = phasewise.MaxSum(value=[[1, 1], [1, 1]], throughput=[[1, 1], [1, 1]], promised=[1, 2], **TWO)
    with pytest.raises(InfeasibleError):
        phasewise.solve(problem)


def test_the_names_of_the_face_are_there_and_cost_nothing_until_they_are_used() -> None:
    script = (
        "import sys, phasewise; assert not {'numpy', 'numba', 'cvxpy', 'pyarrow'} & set(sys.modules), sys.modules\n"
        "for name in phasewise.__all__: assert getattr(phasewise, name)\n"
        "assert set(phasewise.__all__) <= set(dir(phasewise))\n"
        "try: phasewise.nonesuch\n"
        "except AttributeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "module 'phasewise' has no attribute 'nonesuch'\n"
