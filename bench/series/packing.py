"""What it costs to decide who shares GPUs with whom, at sizes from those published to a hundred times as many jobs.

``python -P -m phasewise.bench.series.packing`` draws jobs of the Gavel study's types, 26 kinds of one GPU or 83 of 1,
2, 4 and 8, on three worker types, and prints CPU milliseconds of a cold solve and of a warm one after a hundredth of
the jobs was replaced, with the gap that is proven. Jobs that all differ are those of finish-time fairness and of least
total duration. ``--tape FILE`` writes rounds of one size down instead, for `phasewise solve` and `phasewise figure`;
``--figure FOLDER`` does all of it: tapes of all sizes, their replays, and the figure of time over the number of jobs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias

import click
import numpy as np

from phasewise.bench.series.runs import table
from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.phases import PhaseTimer
from phasewise.reports.figure_files import making
from phasewise.sched.workload.co_throughputs import CoThroughputTable
from phasewise.sched.workload.throughputs import ThroughputTable
from phasewise.solvers.families.packed import PackedMaxMinProblem
from phasewise.solvers.families.packed_finish_time import PackedFinishTimeProblem
from phasewise.solvers.families.packed_moving import PackedMovingProblem
from phasewise.solvers.packed_instances import Table, lexicographic, packed_rounds
from phasewise.solvers.problems import AllocationProblem, Floats
from phasewise.solvers.replay import replay
from phasewise.solvers.rows import NOBODY, origin
from phasewise.solvers.session import Walk
from phasewise.solvers.tapes import Tape, TapeWriter

WORKER_TYPES: Final = ("k80", "p100", "v100")
WIDTHS: Final = {26: (1,), 83: (1, 2, 4, 8)}
"""The scale factors that make so many kinds."""

GPUS: Final = 0.25  # of what all jobs ask for
WARM: Final = 5  # rounds after the first
SIZES: Final = (32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
"""The numbers of jobs of the figure."""

LISTED: Final = ("highs-direct", 128)
"""What lists every pair, and up to how many jobs the figure asks it: at 256 a problem takes 5 s."""

FIGURE: Final = "solve-time"

Rounds: TypeAlias = Sequence[PackedMaxMinProblem]
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


def one_by_one(
    stated: Callable[[PackedMaxMinProblem], AllocationProblem],
) -> Callable[[Rounds], list[AllocationProblem]]:
    """Return what states each of some rounds anew."""
    return lambda rounds: [stated(each) for each in rounds]


def moving(rounds: Rounds) -> list[AllocationProblem]:
    """Return the rounds where a start costs a quarter of a round: in force is what the round before came to.

    Jobs that have just come start for free.
    """
    walk = Walk.of("by-kinds", {}, PhaseTimer())
    found: list[AllocationProblem] = []
    before, had = np.empty(0, dtype=np.int64), np.empty((0, rounds[0].types))
    for plain in rounds:
        assert plain.keys is not None
        source = origin(plain.keys, before)
        known = source != NOBODY
        previous, cost = np.zeros(plain.gain.shape), np.zeros((plain.rows, 1))
        previous[known], cost[known] = had[source[known]], 0.25 / plain.rows
        problem = PackedMovingProblem(**plain.stated(), previous=previous, move_cost=cost)
        found.append(problem)
        solution = walk.solve(problem)
        assert solution.members is not None
        before, had = plain.keys, problem.over(solution.members).time_on(solution.x)
    return found


KINDS: Final[dict[str, tuple[Callable[[Rounds], Sequence[AllocationProblem]], tuple[int, ...]]]] = {
    "max-min fairness": (list, (256, 1024, 4096, 32768)),
    "water filling": (one_by_one(filled), (256, 1024, 4096)),
    "least total duration": (one_by_one(lasting), (256, 1024)),
    "max-min fairness, moving costs": (moving, (256, 1024)),
    "finish-time fairness": (one_by_one(finishing), (256, 1024)),
}
"""Each kind of problem, and the numbers of jobs at which it is measured."""


def measured(solver: str, rounds: Sequence[AllocationProblem]) -> tuple[float, float, int, float]:
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


def taped(path: Path, jobs: int) -> None:
    """Write max-min rounds of so many jobs down."""
    with TapeWriter(path, {"series": "packing", "jobs": jobs}) as writer:
        for problem in plain_rounds(26, jobs):
            writer.write(problem)


def drawn(folder: Path, solver: str, most: int) -> list[Path]:
    """Return the files of the figure of time over jobs, in ``folder``, where its tapes and replays are too."""
    folder.mkdir(parents=True, exist_ok=True)
    replays = []
    for jobs in (size for size in SIZES if size <= most):
        tape, found = folder / f"packed-{jobs}.tape", folder / f"packed-{jobs}.json"
        taped(tape, jobs)
        asked = [solver, *LISTED[:1]] if jobs <= LISTED[1] and solver != LISTED[0] else [solver]
        records = [record.summary() for record in replay(Tape(tape), asked)]
        write_atomically(found, (json.dumps(records, indent=2, allow_nan=False) + "\n").encode())
        for record in records:
            click.echo(f"{jobs:,} jobs, {record['solver']}: {record['total_ms_median']:.1f} ms", err=True)
        replays.append(found)
    return list(making.make(FIGURE, replays, folder))


@click.command()
@click.option("--solver", default="by-kinds", show_default=True)
@click.option("--most", default=32768, show_default=True, help="Leave out problems of more jobs.")
@click.option("--tape", type=click.Path(path_type=Path), help="Write max-min rounds of --most jobs here, and stop.")
@click.option("--figure", type=click.Path(path_type=Path), help="Draw time over jobs into this folder, and stop.")
def main(solver: str, most: int, tape: Path | None, figure: Path | None) -> None:
    """Measure what packing costs."""
    if tape is not None:
        taped(tape, most)
        click.echo(f"tape: {tape}")
    if figure is not None:
        for path in drawn(figure, solver, most):
            click.echo(path)
    if tape is not None or figure is not None:
        return
    measure(solver, most)


def measure(solver: str, most: int) -> None:
    """Print the table of what every kind of problem costs."""
    measured(solver, [next(plain_rounds(26, 64)), *plain_rounds(26, 64)])  # libraries are loaded by then
    rows = []
    for name, (stated, sizes) in KINDS.items():
        for kinds in WIDTHS:
            for jobs in (size for size in sizes if size <= most):
                plain = list(plain_rounds(kinds, jobs))
                cold, warm, teams, gap = measured(solver, stated(plain))
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
