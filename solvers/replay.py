"""Solve a sequence of problems on several backends, side by side, and say what each needed and what it reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Solution
from phasewise.solvers.errors import SolverError, UnsupportedProblemError
from phasewise.solvers.problems import Problem
from phasewise.solvers.session import Solver, open_solver

MILLISECONDS = 1e3


@dataclass(slots=True)
class Record:
    """What one backend did with the problems so far.

    Attributes
    ----------
    solver
        The name it was asked for by.
    build_ms, solve_ms
        CPU milliseconds of every problem it was given, solved or not.
    solutions
        Its certified answers, without x.
    failures
        Why it had no answer: the message of each problem it failed on.
    """

    solver: str
    build_ms: list[float] = field(default_factory=list)
    solve_ms: list[float] = field(default_factory=list)
    iterations: list[int] = field(default_factory=list)
    rebuilds: Counter[str] = field(default_factory=Counter)
    gaps: list[float] = field(default_factory=list)
    violations: list[float] = field(default_factory=list)
    utilizations: list[float] = field(default_factory=list)
    picked: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def solved(self, solution: Solution) -> None:
        """Note a certified answer."""
        self.iterations.append(solution.iterations)
        if solution.rebuild is not None:
            self.rebuilds[solution.rebuild.value] += 1
        if solution.gap is not None:
            self.gaps.append(solution.gap)
        self.violations.append(solution.violation)
        self.utilizations.append(solution.utilization)
        self.picked[solution.backend] += 1

    def timed(self, timer: PhaseTimer) -> None:
        """Note what the last problem cost."""
        cpu_s = timer.take().phases_cpu_s
        self.build_ms.append(cpu_s.get(Phase.LP_BUILD, 0.0) * MILLISECONDS)
        self.solve_ms.append(cpu_s.get(Phase.LP_SOLVE, 0.0) * MILLISECONDS)

    def summary(self) -> dict[str, Any]:
        """Return the record as `phasewise solve --json` writes it; None where there is nothing to summarise."""
        total = [build + solve for build, solve in zip(self.build_ms, self.solve_ms, strict=True)]
        return {
            "solver": self.solver,
            "rounds": len(total),
            "build_ms_median": _quantile(self.build_ms, 0.5),
            "solve_ms_median": _quantile(self.solve_ms, 0.5),
            "total_ms_median": _quantile(total, 0.5),
            "total_ms_p95": _quantile(total, 0.95),
            "iterations_median": _quantile(self.iterations, 0.5),
            "rebuilds": dict(sorted(self.rebuilds.items())),
            "max_gap": max(self.gaps, default=None),
            "max_violation": max(self.violations, default=None),
            "utilization_median": _quantile(self.utilizations, 0.5),
            "failures": len(self.failures),
            "failure_reasons": dict(sorted(Counter(self.failures).items())),
            "solved_by": dict(sorted(self.picked.items())),
        }


def replay(
    problems: Iterable[Problem],
    solvers: Sequence[str],
    *,
    rounds: int | None = None,
    done: Callable[[int], None] = lambda _: None,
) -> list[Record]:
    """Return what each of ``solvers`` did with ``problems``, each in one live session, problem by problem in turn.

    In turn, so that whatever disturbs the machine disturbs all alike. An answer is certified outside the timed phases.

    Parameters
    ----------
    solvers
        Backends or chains, with default options.
    rounds
        Only the first so many problems.
    done
        Called after each problem with how many are done.

    Raises
    ------
    UnknownBackendError, OptionError
        Where a solver cannot be opened; before anything is solved.
    UnsupportedProblemError
        Where a solver takes no problem of a family that comes up.
    """
    opened: list[tuple[Record, PhaseTimer, Solver]] = []
    for name in solvers:
        timer = PhaseTimer()
        opened.append((Record(name), timer, open_solver(name, {}, timer)))
    families = {name: _families(name) for name in solvers}
    for index, problem in enumerate(islice(problems, rounds)):
        for record, timer, solver in opened:
            _require_support(record.solver, families, problem)
            timer.take()
            try:
                record.solved(solver.solve(problem))
            except SolverError as error:
                record.failures.append(str(error))
            record.timed(timer)
        done(index + 1)
    return [record for record, _, _ in opened]


def _families(spec: str) -> frozenset[str]:
    """Return the families that at least one backend of the chain takes."""
    return frozenset[str]().union(*(registry.get(part.strip()).families for part in spec.split(",")))


def _require_support(spec: str, families: Mapping[str, frozenset[str]], problem: Problem) -> None:
    if problem.family not in families[spec]:
        able = [name for name in registry.names() if problem.family in registry.get(name).families]
        raise UnsupportedProblemError(
            f"solver {spec!r} does not take problem family {problem.family!r}; these do: {', '.join(able) or 'none'}"
        )


def _quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(np.asarray(values, dtype=np.float64), share)) if values else None
