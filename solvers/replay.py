"""Solve a sequence of problems on several backends, side by side, and say what each needed and what it reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np

from phasewise.profiling.defects import keep_traceback, told, where_kept
from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Infeasible, Solution
from phasewise.solvers.errors import ReplayFailedError, SolverError, UnsupportedProblemError
from phasewise.solvers.problems import AllocationProblem, Sense
from phasewise.solvers.session import Solver, Walk

MILLISECONDS = 1e3


@dataclass(slots=True)
class Record:
    """What one backend did with the problems so far.

    Attributes
    ----------
    solver
        The name it was asked for by.
    family, types
        Of the last problem: a tape is of one policy on one cluster, so they are those of all but a few at most.
    jobs
        Jobs of every problem it was given.
    build_ms, solve_ms
        CPU milliseconds of every problem it was given, solved or not.
    lost
        How far each certified objective is short of the best bound that any of the backends proved, as a share of it.
    given_up
        Utilisation below the most that any feasible allocation uses, of each answer of a heuristic; empty otherwise.
    infeasible
        Problems of which it proved that nothing is feasible.
    failures
        Why it had no answer: the message of each problem it failed on.
    """

    solver: str
    family: str = ""
    jobs: list[int] = field(default_factory=list)
    types: int = 0
    build_ms: list[float] = field(default_factory=list)
    solve_ms: list[float] = field(default_factory=list)
    iterations: list[int] = field(default_factory=list)
    rebuilds: Counter[str] = field(default_factory=Counter)
    gaps: list[float] = field(default_factory=list)
    violations: list[float] = field(default_factory=list)
    utilizations: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    given_up: list[float] = field(default_factory=list)
    picked: Counter[str] = field(default_factory=Counter)
    infeasible: int = 0
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
        if solution.utilization_ceiling is not None:
            self.given_up.append(max(0.0, solution.utilization_ceiling - solution.utilization))
        self.picked[solution.backend] += 1

    def compared(self, problem: AllocationProblem, solution: Solution, best_bound: float) -> None:
        """Note what a certified answer loses against the tightest ``best_bound`` that anybody proved."""
        # a bound may be passed by rounding: then nothing is lost
        short = problem.better(best_bound, solution.objective)
        stated = problem if solution.members is None else problem.over(solution.members)
        self.lost.append(stated.gap(best_bound, solution.x) if short else 0.0)

    def timed(self, problem: AllocationProblem, timer: PhaseTimer) -> None:
        """Note what the last problem was, and what it cost."""
        self.family, self.types = problem.family, problem.types
        self.jobs.append(problem.jobs)
        cpu_s = timer.take().phases_cpu_s
        self.build_ms.append(cpu_s.get(Phase.LP_BUILD, 0.0) * MILLISECONDS)
        self.solve_ms.append(cpu_s.get(Phase.LP_SOLVE, 0.0) * MILLISECONDS)

    def summary(self) -> dict[str, Any]:
        """Return the record as `phasewise solve --json` writes it; None where there is nothing to summarise."""
        total = [build + solve for build, solve in zip(self.build_ms, self.solve_ms, strict=True)]
        return {
            "solver": self.solver,
            "family": self.family,
            "jobs_median": _quantile(self.jobs, 0.5),
            "types": self.types,
            "rounds": len(total),
            "cold_ms": total[0] if total else None,
            "build_ms_median": _quantile(self.build_ms, 0.5),
            "solve_ms_median": _quantile(self.solve_ms, 0.5),
            "total_ms_median": _quantile(total, 0.5),
            "total_ms_p95": _quantile(total, 0.95),
            "iterations_median": _quantile(self.iterations, 0.5),
            "rebuilds": dict(sorted(self.rebuilds.items())),
            "max_gap": max(self.gaps, default=None),
            "max_violation": max(self.violations, default=None),
            "utilization_median": _quantile(self.utilizations, 0.5),
            "objective_lost_median": _quantile(self.lost, 0.5),
            "objective_lost_max": max(self.lost, default=None),
            "utilization_given_up_median": _quantile(self.given_up, 0.5),
            "utilization_given_up_max": max(self.given_up, default=None),
            "infeasible": self.infeasible,
            "failures": len(self.failures),
            "failure_reasons": dict(sorted(Counter(self.failures).items())),
            "solved_by": dict(sorted(self.picked.items())),
        }


def replay(
    problems: Iterable[AllocationProblem],
    solvers: Sequence[str],
    *,
    rounds: int | None = None,
    done: Callable[[int], None] = lambda _: None,
    notify: Callable[[str], None] = lambda _: None,
) -> list[Record]:
    """Return what each of ``solvers`` did with ``problems``, each in one walk, problem by problem in turn.

    In turn, so that whatever disturbs the machine disturbs all alike, and each a copy: what a problem computes once and
    keeps is paid for by everybody. An answer is certified outside the timed phases.

    Parameters
    ----------
    solvers
        Backends or chains, with default options.
    rounds
        Only the first so many problems.
    done
        Called after each problem with how many are done.
    notify
        Gets a message where kernels have to be compiled, which is in no figure.

    Raises
    ------
    UnknownBackendError, OptionError
        Where a solver cannot be opened; before anything is solved.
    UnsupportedProblemError
        Where a solver takes no problem of a family that comes up.
    ReplayFailedError
        Where a solver raises what is no native solver's failure: a defect.
    """
    opened: list[tuple[Record, PhaseTimer, Walk]] = []
    for name in solvers:
        timer = PhaseTimer()
        opened.append((Record(name), timer, Walk.of(name, {}, timer)))
    families, prepared = {name: _families(name) for name in solvers}, set[str]()
    for index, problem in enumerate(islice(problems, rounds)):
        solutions: list[tuple[Record, Solution]] = []
        for record, _, _ in opened:
            _require_support(record.solver, families, problem)
        if problem.family not in prepared:
            prepared.add(problem.family)
            _prepare([walk.solver for _, _, walk in opened], problem.family, notify)
        for record, timer, walk in opened:
            timer.take()
            solution = _answer(walk, problem.anew(), record, index)
            if isinstance(solution, Infeasible):
                record.infeasible += 1
            elif solution is not None:
                solutions.append((record, solution))
            record.timed(problem, timer)
        _note(problem, solutions)
        done(index + 1)
    return [record for record, _, _ in opened]


def _prepare(solvers: Sequence[Solver], family: str, notify: Callable[[str], None]) -> None:
    """Have the kernels compiled that these solvers take for a family; many take none, and load no compiler."""
    needed = [each for solver in solvers for each in solver.kernels(frozenset({family}))]
    if needed:
        from phasewise.profiling.jit.prepare import prepare

        prepare(needed, notify)


def _answer(walk: Walk, problem: AllocationProblem, record: Record, index: int) -> Solution | Infeasible | None:
    """Return the certified result; None, and a note of why, where there is none."""
    try:
        return walk.outcome(problem)
    except SolverError as error:
        record.failures.append(str(error))
        return None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a defect, even where it asks for the end of the process
        kept = where_kept(keep_traceback(error), error)
        raise ReplayFailedError(f"solver {record.solver} raised in problem {index}: {told(error)}; {kept}") from error


def _note(problem: AllocationProblem, solutions: Sequence[tuple[Record, Solution]]) -> None:
    """Enter the answers to one problem in their records, each judged by the tightest bound among them."""
    tightest = min if problem.sense is Sense.MAXIMISE else max
    best_bound = tightest((each.bound for _, each in solutions if each.bound is not None), default=None)
    for record, solution in solutions:
        record.solved(solution)
        if best_bound is not None:
            record.compared(problem, solution, best_bound)


def _families(spec: str) -> frozenset[str]:
    """Return the families that at least one backend of the chain takes."""
    return frozenset[str]().union(*(registry.get(part.strip()).families for part in spec.split(",")))


def _require_support(spec: str, families: Mapping[str, frozenset[str]], problem: AllocationProblem) -> None:
    if problem.family not in families[spec]:
        able = [name for name in registry.names() if problem.family in registry.get(name).families]
        raise UnsupportedProblemError(
            f"solver {spec!r} does not take problem family {problem.family!r}; these do: {', '.join(able) or 'none'}"
        )


def _quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(np.asarray(values, dtype=np.float64), share)) if values else None
