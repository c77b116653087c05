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
from phasewise.solvers.instances import Load, churned_rounds
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.sum_instances import queue_rounds, sum_rounds

FREE: Final = {  # GPUs of each of six types
    "6,212 free": (4392, 842, 265, 195, 312, 206),
    "619 free": (439, 84, 26, 19, 31, 20),
    "11 free": (4, 3, 2, 1, 1, 0),
}


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
            churned = churned_rounds(1, jobs, rounds, load=load, churn=max(1, min(10, jobs // 50)))
            problems = sum_rounds(churned, promised)
            click.echo(row(f"{title}, {load}", problems, ("structured", *beside)))
    for title, free in FREE.items():
        click.echo(row(f"queues, {title}", queue_rounds(churned_rounds(1, jobs, rounds), free), ("structured",)))


if __name__ == "__main__":
    main()
