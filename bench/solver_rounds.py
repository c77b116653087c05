"""What keeping something from round to round is worth: `highs-warm` and `cvxpy-dpp` against the same solvers afresh.

``python -P -m phasewise.bench.solver_rounds warm`` and ``... dpp`` print a Markdown table each: CPU milliseconds of a
round's build and solve, median over consecutive churned rounds, backends interleaved; certifying is outside. ``...
structured`` does so for `structured` against `highs-warm`, over sizes, loads and forms; ``... ecos`` against ECOS, at
one size and up to the largest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Final

import click
import numpy as np

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.api import Solution
from phasewise.solvers.buckets import slots_for
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.finish_time_instances import finish_time_rounds
from phasewise.solvers.highs import DEFAULTS
from phasewise.solvers.instances import Load, churned_rounds, with_switching
from phasewise.solvers.problems import AllocationProblem, Floats
from phasewise.solvers.session import Walk
from phasewise.solvers.silence import new_highs

FORMS: Final = ("plain", "canonical", "switching")
TIMED_FORMS: Final = ("finish-times", "duration")
"""Of rounds in which jobs have steps left: finish-time fairness, and the max-min problem of least total duration."""

LINEAR_WEIGHT: Final = 1e-3
TOLERANCE: Final = 1e-9
"""The relative gap above which an answer counts as not proven."""

FROM_SLACKS: Final[tuple[Mapping[str, object], ...]] = ({"simplex_strategy": 4}, {"simplex_strategy": 1})
"""Primal and dual simplex from the basis of all slacks."""


@dataclass
class Timed:
    """A backend and its CPU milliseconds, a figure a round."""

    name: str
    options: dict[str, object] = field(default_factory=dict)
    build_ms: list[float] = field(default_factory=list)
    solve_ms: list[float] = field(default_factory=list)
    iterations: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._timer = PhaseTimer()
        self._walk = Walk.of(self.name, self.options, self._timer)

    def solve(self, problem: AllocationProblem) -> Solution:
        """Return the certified solution, its cost noted."""
        self._timer.take()
        solution = self._walk.solve(problem.anew())
        spent = self._timer.take().phases_cpu_s
        self.build_ms.append(1e3 * spent.get("lp_build", 0.0))
        self.solve_ms.append(1e3 * spent.get("lp_solve", 0.0))
        self.iterations.append(solution.iterations)
        return solution

    @property
    def totals_ms(self) -> list[float]:
        """Build and solve together, without the first round."""
        return [build + solve for build, solve in zip(self.build_ms[1:], self.solve_ms[1:], strict=True)]


def problems(
    form: str, load: Load, jobs: int, types: int, rounds: int, mover: str = "highs-warm"
) -> Iterator[AllocationProblem]:
    """Yield consecutive problems; ``form`` is one of `FORMS` or `TIMED_FORMS`.

    Ten jobs, or a fiftieth of few, come and go a round. With a movement cost, what is in force is the answer of the
    backend ``mover`` to the round before.
    """
    churn = max(1, min(10, jobs // 50))
    if form in TIMED_FORMS:
        for timed in finish_time_rounds(1, jobs, rounds, load=load, types=types, churn=churn):
            gain = timed.throughput / timed.steps_remaining[:, None]
            yield timed if form == "finish-times" else MaxMinProblem(gain, timed.scale_factor, timed.capacity)
        return
    reference = Walk.of(mover, {}, PhaseTimer())
    x: Floats | None = None
    for churned in churned_rounds(1, jobs, rounds, load=load, types=types, churn=churn):
        problem = with_switching(churned, x) if form == "switching" else churned.problem
        if form == "canonical":
            problem = replace(problem, linear_weight=LINEAR_WEIGHT)
        yield problem
        if form == "switching":
            x = reference.solve(problem).x


@click.group()
def main() -> None:
    """Measure what is worth keeping between rounds."""


@main.command()
@click.option("--jobs", default=1700, show_default=True)
@click.option("--rounds", default=50, show_default=True)
@click.option("--fresh-rounds", default=8, show_default=True, help="Rounds of the slow starts from nothing.")
@click.option("--load", "loads", multiple=True, type=click.Choice(list(Load)), default=list(Load), show_default=True)
@click.option("--form", "forms", multiple=True, type=click.Choice(FORMS), default=FORMS, show_default=True)
def warm(jobs: int, rounds: int, fresh_rounds: int, loads: tuple[Load, ...], forms: tuple[str, ...]) -> None:
    """`highs-warm` against fresh HiGHS: as it comes, primal and dual from all slacks, and as `highs-direct` starts it.

    "As it comes" has no basis and every option at HiGHS' own default, presolve included. Primal and dual have this
    project's options, which suit the LP: no presolve, no scaling.
    """
    click.echo(
        "| rounds | warm ms | p95 | iterations | as it comes | primal | dual | highs-direct | as it comes / warm "
        "| best of four / warm |"
    )
    click.echo("|---|---|---|---|---|---|---|---|---|---|")
    for load in loads:
        for form in forms:
            carried, direct = Timed("highs-warm"), Timed("highs-direct")
            nothing = [Timed("highs-direct", dict(options)) for options in (as_it_comes(), *FROM_SLACKS)]
            for turn, problem in enumerate(problems(form, Load(load), jobs, 6, rounds)):
                best = carried.solve(problem).objective
                for other in [direct, *(nothing if turn <= fresh_rounds else [])]:
                    _same(other.solve(problem).objective, best)
            own, *fresh = (median(each.totals_ms) for each in (carried, *nothing, direct))
            p95 = float(np.percentile(carried.totals_ms, 95))
            row = [f"{load} {form}", f"{own:.1f}", f"{p95:.1f}", f"{median(carried.iterations[1:]):g}"]
            row += [f"{each:.1f}" for each in fresh] + [f"{fresh[0] / own:.1f}", f"{min(fresh) / own:.1f}"]
            click.echo(f"| {' | '.join(row)} |")


def as_it_comes() -> dict[str, object]:
    """Return the options that undo what this project sets, back to HiGHS' own defaults."""
    highs = new_highs()
    kept = {"output_flag", "threads"}  # silence, and one thread as everywhere
    return {name: highs.getOptionValue(name)[1] for name in DEFAULTS if name not in kept}


@main.command()
@click.option("--jobs", "sizes", multiple=True, type=int, default=(10, 30, 100, 300, 1000), show_default=True)
@click.option("--solver", "solvers", multiple=True, default=("ECOS", "CLARABEL"), show_default=True)
@click.option("--types", default=3, show_default=True)
@click.option("--rounds", default=40, show_default=True)
@click.option("--form", type=click.Choice(FORMS), default="plain", show_default=True)
def dpp(sizes: tuple[int, ...], solvers: tuple[str, ...], types: int, rounds: int, form: str) -> None:
    """`cvxpy-dpp` against `cvxpy-fresh`: a round's cost, the first round's, and after how many rounds it pays."""
    click.echo("| solver | jobs | slots | fresh build + solve ms | dpp build + solve ms | compile ms | pays after |")
    click.echo("|---|---|---|---|---|---|---|")
    for solver in solvers:
        for jobs in sizes:
            fresh, kept = Timed(f"cvxpy-fresh:{solver}"), Timed(f"cvxpy-dpp:{solver}")
            for problem in problems(form, Load.CONTENDED, jobs, types, rounds):
                _same(fresh.solve(problem).objective, kept.solve(problem).objective)
            saved = median(fresh.totals_ms) - median(kept.totals_ms)
            compiled = kept.build_ms[0] - median(kept.build_ms[1:])
            pays = f"{compiled / saved:.0f} rounds" if saved > 0.0 else "never"
            row = [solver, str(jobs), str(slots_for(jobs)), _parts(fresh), _parts(kept), f"{compiled:.0f}", pays]
            click.echo(f"| {' | '.join(row)} |")


SIZES: Final = ((30, 3), (100, 3), (300, 6), (1000, 6), (1700, 6), (4000, 6))


@main.command()
@click.option("--rounds", default=12, show_default=True)
def structured(rounds: int) -> None:
    """`structured` against `highs-warm`, from 30 jobs x 3 types to 4,000 x 6."""
    click.echo("| rounds | " + " | ".join(f"{jobs:,} x {types}" for jobs, types in SIZES) + " |")
    click.echo("|---" * (len(SIZES) + 1) + "|")
    for load in Load:
        for form in FORMS:
            cells = []
            for jobs, types in SIZES:
                own, other = Timed("structured"), Timed("highs-warm")
                for problem in problems(form, load, jobs, types, rounds):
                    _same(own.solve(problem).objective, other.solve(problem).objective)
                cells.append(f"{median(own.totals_ms):.2f} / {median(other.totals_ms):.2f}")
            click.echo(f"| {load} {form} | {' | '.join(cells)} |")


@main.command()
@click.option("--jobs", default=1700, show_default=True)
@click.option("--types", default=6, show_default=True)
@click.option("--rounds", default=52, show_default=True, help="Two more than count: the first answers are not warm.")
@click.option("--ecos-rounds", default=4, show_default=True, help="Of the same rounds, spread evenly; 0 for none.")
@click.option("--load", "loads", multiple=True, type=click.Choice(list(Load)), default=list(Load), show_default=True)
@click.option(
    "--form", "forms", multiple=True, type=click.Choice(FORMS + TIMED_FORMS), default=FORMS, show_default=True
)
def ecos(jobs: int, types: int, rounds: int, ecos_rounds: int, loads: tuple[Load, ...], forms: tuple[str, ...]) -> None:
    """`structured`, warm, against ECOS as the original calls it, through a CVXPY program of its own."""
    click.echo("| rounds | first ms | warm ms | p95 | largest | largest gap | not proven | ECOS ms | ratio |")
    click.echo("|---|---|---|---|---|---|---|---|---|")
    for load in loads:
        for form in forms:
            own, other = Timed("structured"), Timed("cvxpy-fresh:ECOS")
            gaps, every = [], rounds // (ecos_rounds + 1) + 1
            for turn, problem in enumerate(problems(form, Load(load), jobs, types, rounds, "structured")):
                solution = own.solve(problem)
                gaps.append(solution.gap or 0.0)
                if ecos_rounds and turn % every == every - 1:
                    _same(other.solve(problem).objective, solution.objective)
            row = [f"{jobs:,} {load} {form}", f"{own.build_ms[0] + own.solve_ms[0]:.0f}", *_spread(own.totals_ms[1:])]
            row += [f"{max(gaps):.0e}", str(sum(gap > TOLERANCE for gap in gaps))]
            theirs = [build + solve for build, solve in zip(other.build_ms, other.solve_ms, strict=True)]
            row += (
                [f"{median(theirs):.0f}", f"{median(theirs) / median(own.totals_ms[1:]):.0f}"] if theirs else ["", ""]
            )
            click.echo(f"| {' | '.join(row)} |")


def _spread(spent_ms: list[float]) -> list[str]:
    """Return median, 95th percentile and largest."""
    return [f"{each:.2f}" for each in (median(spent_ms), float(np.percentile(spent_ms, 95)), max(spent_ms))]


def _parts(timed: Timed) -> str:
    """Return a round's median build and solve."""
    return f"{median(timed.build_ms[1:]):.1f} + {median(timed.solve_ms[1:]):.1f}"


def _same(objective: float, best: float) -> None:
    """Refuse to report times of answers that differ."""
    if abs(objective - best) > 2e-6 * abs(best):
        raise click.ClickException(f"objectives differ: {objective!r} and {best!r}")


if __name__ == "__main__":
    main()
