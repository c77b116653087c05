"""What the first solve of many jobs costs, of which nothing is known.

``python -P -m phasewise.bench.series.cold`` prints CPU milliseconds of building and solving by a session that has
solved nothing before, the least of three such sessions, with the interior-point iterations of all steps together and
the gap that is proven.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import click

from phasewise.bench.series.runs import table
from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import Load, churned_rounds, of_kinds
from phasewise.solvers.session import Walk

SIZES: Final = ((10_000, 6), (32_768, 3), (100_000, 3), (100_000, 6))
KINDS: Final = 26  # of jobs, as the Gavel study has of one GPU
LINEAR_WEIGHT: Final = 1e-3
HEAD: Final = ("jobs x types", "load", "form", "cold, ms", "iterations", "proven gap")
SESSIONS: Final = 3


def instances(most: int) -> Iterator[tuple[list[str], MaxMinProblem]]:
    """Yield each problem with what the table says of it."""
    for jobs, types in SIZES:
        if jobs > most:
            continue
        for load in Load:
            plain = next(churned_rounds(1, jobs, 1, load=load, types=types)).problem
            size = f"{jobs:,} x {types}"
            yield [size, load, "plain"], plain
            yield [size, load, "canonical"], replace(plain, linear_weight=LINEAR_WEIGHT)
            if types == 3:
                yield [size, load, f"plain, {KINDS} kinds"], of_kinds(plain, plain, KINDS)


def measured(problem: MaxMinProblem, solver: str) -> list[str]:
    """Return the rest of the row: the cheapest of three first solves."""
    found = []
    for _ in range(SESSIONS):
        timer = PhaseTimer()
        solution = Walk.of(solver, {}, timer).solve(problem.anew())
        spent = timer.take().phases_cpu_s
        found.append(1e3 * (spent.get("lp_build", 0.0) + spent.get("lp_solve", 0.0)))
    return [f"{min(found):.1f}", str(solution.iterations), f"{solution.gap:.0e}"]


@click.command()
@click.option("--solver", default="structured", show_default=True)
@click.option("--most", default=100_000, show_default=True, help="Leave out problems of more jobs.")
def main(solver: str, most: int) -> None:
    """Measure first solves of many jobs."""
    measured(next(instances(10_000))[1], solver)  # libraries and compiled code are loaded by then
    rows = []
    for said, problem in instances(most):
        rows.append([*said, *measured(problem, solver)])
        click.echo(" | ".join(rows[-1]), err=True)
    click.echo(table(HEAD, rows))


if __name__ == "__main__":
    main()
