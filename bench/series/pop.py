"""What splitting a problem into parts saves, and what it gives up: POP over our exact solver, and over ECOS.

``python -P -m phasewise.bench.series.pop`` solves max-min problems whole and split at random into parts, each with GPUs
in proportion to what its jobs ask for (POP, SOSP 2021). It prints CPU time cold and warm, apart, and the quality of
what the parts come to together: its objective over the bound that is proven for the whole. Every answer is checked.
``--out FOLDER`` also gets ``pop.csv``, ``pop.json`` and the figure ``quality-over-time``.

Without ECOS, an extra, the table has our solver alone.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final

import click
import numpy as np
import numpy.typing as npt

from phasewise.bench.series.runs import Floats, table
from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import Load, churned_rounds, of_kinds, scattered
from phasewise.solvers.session import Walk

Indices = npt.NDArray[np.int64]

OWN: Final = "structured"
ECOS: Final = "cvxpy-fresh:ECOS"
PARTS: Final = (1, 4, 16, 64)
FEASIBLE: Final = 1e-9
EXACT: Final = 1e-9
HEAD: Final = (
    "instance", "solver", "parts", "cold, ms", "largest part", "quality", "warm, ms", "largest part", "worst quality"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Instance:
    """Rounds of a busy cluster: (J, W), of how many kinds the jobs are (0: all differ), and what limits them."""

    jobs: int
    types: int
    kinds: int
    load: Load

    @property
    def name(self) -> str:
        """What it is called in tables and figures."""
        sort = f"{self.kinds} kinds" if self.kinds else "all different"
        return f"{self.jobs:,} x {self.types}, {sort}"

    def rounds(self, count: int) -> Iterator[MaxMinProblem]:
        """Yield consecutive problems; a thousandth of the jobs is replaced in each."""
        churn = max(1, self.jobs // 1000)
        first: MaxMinProblem | None = None
        for churned in churned_rounds(1, self.jobs, count, load=self.load, types=self.types, churn=churn):
            first = first or churned.problem
            yield of_kinds(churned.problem, first, self.kinds) if self.kinds else churned.problem


INSTANCES: Final = (
    Instance(32_768, 3, 0, Load.CONTENDED),
    Instance(32_768, 3, 26, Load.CONTENDED),
    Instance(2_000, 10, 0, Load.NATURAL),
)
"""POP's size with jobs all different and of the Gavel study's 26 kinds; the GPUs of DeDe's example cluster."""

_SALT: Final = 1_000_003


@dataclass(frozen=True, slots=True)
class Measured:
    """A solver on an instance in so many parts, cold or warm: a record of ``pop.json``, a row of ``pop.csv``.

    Attributes
    ----------
    cpu_ms
        Building and solving all parts: the first round, or the median of the others.
    largest_part_ms
        The part that takes longest: what is waited for if each part has a processor.
    quality
        Objective of all parts together over the bound proven for the whole; of warm rounds, the worst.
    rounds
        How many were solved.
    """

    instance: str
    jobs: int
    types: int
    solver: str
    parts: int
    state: str
    cpu_ms: float
    largest_part_ms: float
    quality: float
    rounds: int


def parts_of(problem: MaxMinProblem, parts: int) -> Indices:
    """Return (J,) which of ``parts`` each job is in: for good, as its key decides."""
    keys = np.arange(problem.jobs) if problem.keys is None else problem.keys
    return scattered(keys, _SALT) % parts


def part(problem: MaxMinProblem, rows: Indices) -> MaxMinProblem:
    """Return the problem of some jobs, with the share of all GPUs that they ask for of what all ask for."""
    use = problem.scale_factor
    share = float(use[rows].sum() / use.sum())
    keys = None if problem.keys is None else problem.keys[rows]
    return MaxMinProblem(problem.gain[rows], use[rows], problem.capacity * share, keys=keys)


class Split:
    """Parts that are solved round after round, each by a session of its own."""

    def __init__(self, solver: str, parts: int) -> None:
        self._timers = [PhaseTimer() for _ in range(parts)]
        self._walks = [Walk.of(solver, {}, timer) for timer in self._timers]

    def solve(self, problem: MaxMinProblem) -> tuple[list[float], Floats]:
        """Return CPU milliseconds by part, and (J, W) what the answers are together, checked to be feasible."""
        spent, x = [], np.zeros((problem.jobs, problem.types))
        of = parts_of(problem, len(self._walks))
        for index, (timer, walk) in enumerate(zip(self._timers, self._walks, strict=True)):
            rows = np.flatnonzero(of == index)
            if not rows.size:
                continue
            timer.take()
            x[rows] = walk.solve(part(problem, rows)).x
            spent_s = timer.take().phases_cpu_s
            spent.append(1e3 * (spent_s.get("lp_build", 0.0) + spent_s.get("lp_solve", 0.0)))
        if problem.violation(x) > FEASIBLE:
            raise click.ClickException(f"{len(self._walks)} parts: infeasible by {problem.violation(x):.1e}")
        return spent, x


def bounds(rounds: Sequence[MaxMinProblem]) -> list[float]:
    """Return what is proven of the optimum of each whole problem, to `EXACT`."""
    walk, proven = Walk.of(OWN, {}, PhaseTimer()), []
    for problem in rounds:
        solution = walk.solve(problem.anew())
        if solution.bound is None or solution.gap is None or solution.gap > EXACT:
            raise click.ClickException(f"the optimum of the whole is not proven: gap {solution.gap}")
        proven.append(solution.bound)
    return proven


def measured(
    instance: Instance, solver: str, parts: int, rounds: Sequence[MaxMinProblem], proven: Sequence[float]
) -> Iterator[Measured]:
    """Yield what the first round took and came to, and, where there are more, what the others did."""
    split, spent, quality = Split(solver, parts), [], []
    for problem, bound in zip(rounds, proven, strict=True):
        by_part, x = split.solve(problem)
        spent.append(by_part)
        quality.append(problem.objective(x) / bound)
    record = Measured(instance.name, instance.jobs, instance.types, solver, parts, "cold", 0.0, 0.0, 0.0, 1)
    yield replace(record, cpu_ms=sum(spent[0]), largest_part_ms=max(spent[0]), quality=quality[0])
    if len(spent) > 1:
        yield replace(
            record,
            state="warm",
            cpu_ms=median(sum(each) for each in spent[1:]),
            largest_part_ms=median(max(each) for each in spent[1:]),
            quality=min(quality[1:]),
            rounds=len(spent) - 1,
        )


def report(records: Sequence[Measured]) -> str:
    """Return the table: a row an instance, solver and number of parts."""
    rows: dict[tuple[str, str, int], dict[str, Measured]] = {}
    for each in records:
        rows.setdefault((each.instance, each.solver, each.parts), {})[each.state] = each
    return table(HEAD, [[*map(str, key), *_cells(of.get("cold")), *_cells(of.get("warm"))] for key, of in rows.items()])


def _cells(of: Measured | None) -> list[str]:
    if of is None:
        return ["", "", ""]
    return [f"{of.cpu_ms:,.1f}", f"{of.largest_part_ms:,.1f}", f"{of.quality:.9f}"]


def write(records: Sequence[Measured], out: Path) -> None:
    """Write the records as CSV and JSON, and the figure made of them."""
    from phasewise.reports.figure_files.making import make

    out.mkdir(parents=True, exist_ok=True)
    rows = [asdict(each) for each in records]
    with (out / "pop.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (out / "pop.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    drawn = find_spec("matplotlib") is not None
    for path in [out / "pop.csv", out / "pop.json", *make("quality-over-time", [out / "pop.json"], out, drawn=drawn)]:
        click.echo(str(path), err=True)


@click.command()
@click.option("--parts", "numbers", multiple=True, type=click.IntRange(1), default=PARTS, show_default=True)
@click.option("--instance", "chosen", multiple=True, type=click.IntRange(1, len(INSTANCES)), help="By number; all.")
@click.option("--rounds", default=6, show_default=True, type=click.IntRange(1), help="The first is cold.")
@click.option("--ecos-rounds", default=2, show_default=True, type=click.IntRange(0), help="Of the same; 0 for no ECOS.")
@click.option("--scale", default=1, show_default=True, type=click.IntRange(1), help="Divide the numbers of jobs by it.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Write CSV, JSON and figure here.")
def main(
    numbers: tuple[int, ...], chosen: tuple[int, ...], rounds: int, ecos_rounds: int, scale: int, out: Path | None
) -> None:
    """Measure POP, in so many parts, over `structured` and over ECOS."""
    counts = {OWN: rounds} | ({ECOS: min(ecos_rounds, rounds)} if ecos_rounds and find_spec("ecos") else {})
    records: list[Measured] = []
    for instance in [INSTANCES[number - 1] for number in chosen] or INSTANCES:
        smaller = replace(instance, jobs=instance.jobs // scale)
        problems = list(smaller.rounds(rounds))
        proven = bounds(problems)
        for solver, count in counts.items():
            few = [part(problems[0], np.arange(min(64, smaller.jobs)))]
            list(measured(smaller, solver, 1, few, bounds(few)))  # libraries are loaded by then
            for parts in numbers:
                found = list(measured(smaller, solver, parts, list(islice(problems, count)), proven[:count]))
                records += found
                click.echo(" | ".join([smaller.name, solver, str(parts), *_cells(found[0])]), err=True)
    click.echo(report(records))
    if out is not None:
        write(records, out)


if __name__ == "__main__":
    main()
