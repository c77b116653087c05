"""What the largest sum of values and jobs in queues cost to solve: ``python -P -m phasewise.bench.solver_sums``.

Prints a Markdown table each: CPU milliseconds of building and solving through `open_solver`, certifying outside, the
median and p95 over consecutive churned rounds, backends interleaved. Rounds of jobs in queues are of a cluster that
waits with all GPUs free, and of one with few of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Final

import click
import numpy as np

from phasewise.bench.solver_rounds import Timed
from phasewise.solvers.families.max_sum import MaxSumProblem
from phasewise.solvers.families.transport import TransportProblem
from phasewise.solvers.instances import Load, churned_rounds
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.promises import kept

PRICES: Final = np.array([1.0, 2.0, 3.0, 1.5, 2.2, 3.3])
FREE: Final = {  # GPUs of each of six types
    "6,212 free": (4392, 842, 265, 195, 312, 206),
    "619 free": (439, 84, 26, 19, 31, 20),
    "11 free": (4, 3, 2, 1, 1, 0),
}


def sums(load: Load, jobs: int, rounds: int, promised: float) -> Iterator[MaxSumProblem]:
    """Yield consecutive problems; half of the jobs are promised up to ``promised`` of their best rate.

    Promises that cannot be kept are given up before: the feasible problem is what is measured.
    """
    rng = np.random.default_rng(5)
    part = np.zeros(0)
    for churned in churned_rounds(1, jobs, rounds, load=load, churn=max(1, min(10, jobs // 50))):
        rate, came_from = churned.problem.gain, churned.came_from
        fresh = rng.uniform(0.0, promised, jobs) * (rng.random(jobs) < 0.5)
        part = np.where(came_from >= 0, part[came_from] * 1.001, fresh) if part.size else fresh
        rates = (rate, part * rate.max(axis=1)) if promised else (None, None)
        problem = MaxSumProblem(rate / PRICES, churned.problem.scale_factor, churned.problem.capacity, *rates)
        yield kept(problem).problem.anew() if promised else problem


def queues(free: tuple[int, ...], jobs: int, rounds: int) -> Iterator[TransportProblem]:
    """Yield problems of jobs of a minute to a week on the types of `churned_rounds`."""
    rng = np.random.default_rng(5)
    for churned in churned_rounds(1, jobs, rounds, load=Load.CONTENDED):
        steps = 60.0 * 10.0 ** rng.uniform(1.5, 4.0, (jobs, 1))
        rate = churned.problem.gain / churned.problem.scale_factor[:, None]
        duration = np.divide(steps, rate, out=np.zeros(rate.shape), where=rate > 0.0)
        yield TransportProblem(duration, np.ones(jobs), np.array(free, dtype=np.float64), rate > 0.0)


def row(title: str, problems: Iterator[AllocationProblem], names: tuple[str, ...]) -> str:
    """Return a row of the table: of each backend the median, of the first also p95, and its largest gap."""
    timed = [Timed(name) for name in names]
    gaps = []
    for problem in problems:
        for each in timed:
            solution = each.solve(problem.anew())
            if each is timed[0]:
                gaps.append(solution.gap or 0.0)
    own = timed[0].totals_ms
    figures = [f"{median(own):.2f}", f"{np.percentile(own, 95):.2f}", f"{max(gaps):.0e}"]
    figures += [f"{median(each.totals_ms):.1f}" for each in timed[1:]]
    return f"| {title} | {' | '.join(figures)} |"


@click.command()
@click.option("--jobs", default=1700, show_default=True)
@click.option("--rounds", default=51, show_default=True, help="The first one, which starts cold, is left out.")
@click.option("--others/--alone", default=True, show_default=True, help="Whether HiGHS is measured beside.")
def main(jobs: int, rounds: int, others: bool) -> None:
    """Measure `structured`, and HiGHS beside it."""
    beside = ("highs-warm", "highs-direct") if others else ()
    click.echo("| rounds | structured ms | p95 | largest gap |" + "".join(f" {name} ms |" for name in beside))
    click.echo("|---|---|---|---|" + "---|" * len(beside))
    for load in Load:
        for title, promised in (("sum", 0.0), ("sum with promises", 0.5)):
            problems = sums(load, jobs, rounds, promised)
            click.echo(row(f"{title}, {load}", problems, ("structured", *beside)))
    for title, free in FREE.items():
        click.echo(row(f"queues, {title}", queues(free, jobs, rounds), ("structured",)))


if __name__ == "__main__":
    main()
