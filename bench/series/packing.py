"""What it costs to decide who shares GPUs with whom, at sizes from those published to a hundred times as many jobs.

``python -P -m phasewise.bench.series.packing`` draws jobs of the Gavel study's types, 26 kinds of one GPU or 83 of 1,
2, 4 and 8, on three worker types, and prints CPU milliseconds of a cold solve and of a warm one after a hundredth of
the jobs was replaced, with the gap that is proven. Jobs that all differ are those of finish-time fairness and of least
total duration. ``--tape FILE`` writes rounds of one size down instead, for `phasewise solve` and `phasewise figure`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final

import click
import numpy as np

from phasewise.bench.series.runs import table
from phasewise.profiling.phases import PhaseTimer
from phasewise.sched.workload.co_throughputs import CoThroughputTable
from phasewise.sched.workload.throughputs import ThroughputTable
from phasewise.solvers.families.packed import PackedMaxMinProblem
from phasewise.solvers.families.packed_finish_time import PackedFinishTimeProblem
from phasewise.solvers.packed_instances import Table, lexicographic, packed_rounds
from phasewise.solvers.problems import AllocationProblem, Floats
from phasewise.solvers.session import Walk
from phasewise.solvers.tapes import TapeWriter

WORKER_TYPES: Final = ("k80", "p100", "v100")
WIDTHS: Final = {26: (1,), 83: (1, 2, 4, 8)}
"""The scale factors that make so many kinds."""

GPUS: Final = 0.25  # of what all jobs ask for
WARM: Final = 5  # rounds after the first
HEAD: Final = ("problem", "kinds", "jobs", "columns to choose from", "cold, ms", "warm, ms", "teams", "proven gap")


def measured_table(kinds: int) -> Table:
    """Return the Gavel study's kinds of jobs on its worker types: 26 of one GPU, or 83 of up to 8."""
    view = ThroughputTable.builtin().for_types(WORKER_TYPES)
    rows = [(index, factor) for index, ((_, factor), _) in enumerate(view.items()) if factor in WIDTHS[kinds]]
    rows = [(index, factor) for index, factor in rows if max(list(view.items())[index][1]) > 0.0]
    alone = np.array([list(view.items())[index][1] for index, _ in rows])
    rates = CoThroughputTable.builtin().of_jobs(view)
    place, width = (np.array(column) for column in zip(*rows, strict=True))
    measured = rates.of(place, width, np.full(place.size, 1000))
    rate = rates.between(np.repeat(measured, place.size), np.tile(measured, place.size))[..., 0]
    return Table(alone, rate.reshape(place.size, place.size, len(WORKER_TYPES)), width.astype(np.float64))


def plain_rounds(kinds: int, jobs: int, rounds: int = WARM + 1) -> Iterator[PackedMaxMinProblem]:
    """Yield rounds, between two of which a hundredth of the jobs is replaced."""
    known = measured_table(kinds)
    asked = jobs * float(known.width.mean())
    capacity = np.full(len(WORKER_TYPES), np.ceil(GPUS * asked / len(WORKER_TYPES)))
    yield from packed_rounds(0, known, jobs, rounds, churn=max(1, jobs // 100), capacity=capacity)


def filled(plain: PackedMaxMinProblem) -> AllocationProblem:
    """Return water filling of the same jobs."""
    return lexicographic(plain)


def lasting(plain: PackedMaxMinProblem) -> AllocationProblem:
    """Return least total duration of the same jobs: each of another length."""
    steps = _seconds(plain) * (plain.gain / plain.factor[:, None]).max(axis=1)
    return PackedMaxMinProblem(
        plain.gain / (plain.factor * steps)[:, None], plain.kind, 1.0 / steps, plain.rate, plain.scale_factor,
        plain.capacity, keys=plain.keys,
    )  # fmt: skip


def finishing(plain: PackedMaxMinProblem) -> AllocationProblem:
    """Return finish-time fairness of the same jobs: each of another length and age."""
    throughput = plain.gain / plain.factor[:, None]
    steps = _seconds(plain) * throughput.max(axis=1)
    since = 0.7 * _seconds(plain)[::-1]
    share = np.minimum(1.0, plain.capacity / plain.rows / plain.scale_factor[:, None])
    isolated = 0.8 * since + steps / (throughput * share).sum(axis=1)
    return PackedFinishTimeProblem(
        throughput, plain.kind, plain.rate, plain.scale_factor, plain.capacity, steps, since, isolated, keys=plain.keys
    )


def _seconds(plain: PackedMaxMinProblem) -> Floats:
    """Return (J,) lengths as the study's generator draws them: 10 to the power of 1.5 to 4, in minutes."""
    assert plain.keys is not None
    draws = np.array([np.random.default_rng(int(key)).random(2) for key in plain.keys])
    longer = 60.0 * 10.0 ** (3.0 + draws[:, 1])
    seconds: Floats = np.where(draws[:, 0] >= 0.8, longer, 60.0 * 10.0 ** (1.5 + 1.5 * draws[:, 1]))
    return seconds


def same(plain: PackedMaxMinProblem) -> AllocationProblem:
    """Return the round as it is: max-min fairness."""
    return plain


KINDS: Final[dict[str, tuple[Callable[[PackedMaxMinProblem], AllocationProblem], tuple[int, ...]]]] = {
    "max-min fairness": (same, (256, 1024, 4096, 32768)),
    "water filling": (filled, (256, 1024, 4096)),
    "least total duration": (lasting, (256, 1024)),
    "finish-time fairness": (finishing, (256, 1024)),
}
"""Each kind of problem, and the numbers of jobs at which it is measured."""


def measured(solver: str, rounds: list[AllocationProblem]) -> tuple[float, float, int, float]:
    """Return CPU milliseconds of the first round and the median of the others, teams of the last, and the worst gap."""
    timer = PhaseTimer()
    walk = Walk.of(solver, {}, timer)
    spent, gaps, teams = [], [], 0
    for problem in rounds:
        timer.take()
        solution = walk.solve(problem.anew())
        spent.append(1e3 * sum(timer.take().phases_cpu_s.values()))
        gaps.append(solution.gap or 0.0)
        teams = (
            0 if solution.members is None else int((solution.x[solution.members[:, 1] >= 0] > 0.0).any(axis=1).sum())
        )
    return spent[0], median(spent[1:]), teams, max(gaps)


def columns(plain: PackedMaxMinProblem) -> int:
    """Return how many columns the program has that lists every team: a job, or a pair, on a type."""
    crowd = plain.crowd
    pairs = np.einsum("a,b,abj->", crowd.jobs_of_kind, crowd.jobs_of_kind, crowd.shares.astype(np.float64))
    itself = float((crowd.jobs_of_kind[:, None] * crowd.shares[np.arange(crowd.kinds), np.arange(crowd.kinds)]).sum())
    return int(plain.allowed_mask.sum() + (pairs - itself) / 2)


@click.command()
@click.option("--solver", default="by-kinds", show_default=True)
@click.option("--most", default=32768, show_default=True, help="Leave out problems of more jobs.")
@click.option("--tape", type=click.Path(path_type=Path), help="Write max-min rounds of --most jobs here, and stop.")
def main(solver: str, most: int, tape: Path | None) -> None:
    """Measure what packing costs."""
    if tape is not None:
        with TapeWriter(tape, {"series": "packing", "jobs": most}) as writer:
            for problem in plain_rounds(26, most):
                writer.write(problem)
        click.echo(f"tape: {tape}")
        return
    measured(solver, [next(plain_rounds(26, 64)), *plain_rounds(26, 64)])  # libraries are loaded by then
    rows = []
    for name, (stated, sizes) in KINDS.items():
        for kinds in WIDTHS:
            for jobs in (size for size in sizes if size <= most):
                plain = list(plain_rounds(kinds, jobs))
                cold, warm, teams, gap = measured(solver, [stated(each) for each in plain])
                listed = columns(plain[0])
                row = [
                    name,
                    str(kinds),
                    f"{jobs:,}",
                    f"{listed:,}",
                    f"{cold:.1f}",
                    f"{warm:.1f}",
                    f"{teams:,}",
                    f"{gap:.0e}",
                ]
                rows.append(row)
                click.echo(" | ".join(row), err=True)
    click.echo(table(list(HEAD), rows))


if __name__ == "__main__":
    main()
