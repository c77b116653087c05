"""Measure the table of the `auto` backend: CPU milliseconds of every exact backend at several sizes and structures.

``python -m phasewise.bench.calibrate_auto`` writes the table beside the backend; ``--out FILE`` elsewhere, ``--quick``
takes the small sizes and few rounds. Each point is a sequence of rounds in which jobs come and go, solved by one live
session; what counts is the median without the first round. A backend is dropped from the larger sizes of its structure
once a problem took it longer than the limit.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.backends.auto import TABLE, Auto, MeasuredPoint, load_table
from phasewise.solvers.errors import SolverError
from phasewise.solvers.families.finish_time import FINISH_TIME
from phasewise.solvers.families.lexicographic import LEXICOGRAPHIC, LexicographicProblem
from phasewise.solvers.families.max_min import MAX_MIN, MAX_MIN_SWITCHING
from phasewise.solvers.families.max_sum import MAX_SUM, MAX_SUM_SLO
from phasewise.solvers.families.moving_sum import MAX_SUM_SWITCHING
from phasewise.solvers.families.packed import MAX_MIN_PACKED
from phasewise.solvers.families.packed_finish_time import FINISH_TIME_PACKED
from phasewise.solvers.families.packed_lexicographic import LEXICOGRAPHIC_PACKED
from phasewise.solvers.families.packed_moving import MAX_MIN_PACKED_SWITCHING
from phasewise.solvers.families.transport import TRANSPORT
from phasewise.solvers.finish_time_instances import finish_time_rounds
from phasewise.solvers.instances import Load, churned_rounds, with_switching
from phasewise.solvers.problems import AllocationProblem, Floats
from phasewise.solvers.session import Walk
from phasewise.solvers.sum_instances import moving_sum_rounds, queue_rounds, sum_rounds

JOBS = (30, 100, 400, 1700)
QUICK_JOBS = (30, 100)
TYPES = (3, 6)
KINDS = {
    "plain": MAX_MIN,
    "linear": MAX_MIN,
    "switching": MAX_MIN_SWITCHING,
    "lexicographic": LEXICOGRAPHIC,
    "finish_time": FINISH_TIME,
    "sum": MAX_SUM,
    "sum with promises": MAX_SUM_SLO,
    "sum less moves": MAX_SUM_SWITCHING,
    "queues": TRANSPORT,
}
"""The kinds of problems that are measured, and the family of each."""

NOT_MEASURED = frozenset({MAX_MIN_PACKED, MAX_MIN_PACKED_SWITCHING, LEXICOGRAPHIC_PACKED, FINISH_TIME_PACKED})
"""Families without a choice: `by-kinds`, the first in ``FALLBACK`` that takes them, alone keeps partners together."""

LIMIT_MS = 400.0
LINEAR_WEIGHT = 1e-3
PROMISED = 0.5  # of its best rate, at most, to half of the jobs


def problems(kind: str, jobs: int, types: int, rounds: int) -> Iterator[AllocationProblem]:
    """Yield ``rounds`` problems of one kind; a switching one starts from equal shares in force."""
    churn = max(1, jobs // 100)
    if kind == "finish_time":
        yield from finish_time_rounds(1, jobs, rounds, load=Load.CONTENDED, types=types, churn=churn)
        return
    churned_ones = churned_rounds(1, jobs, rounds, load=Load.CONTENDED, types=types, churn=churn)
    if kind in ("sum", "sum with promises"):
        yield from sum_rounds(churned_ones, PROMISED if kind == "sum with promises" else 0.0)
        return
    if kind == "sum less moves":
        yield from moving_sum_rounds(churned_ones)
        return
    if kind == "queues":
        yield from queue_rounds(churned_ones, (jobs // 10 + 1,) * types)
        return
    before: Floats | None = None
    for churned in churned_ones:
        plain = churned.problem
        if kind == "linear":
            yield replace(plain, linear_weight=LINEAR_WEIGHT)
        elif kind == "switching":
            yield with_switching(churned, before)
            share = (plain.capacity / plain.scale_factor.sum()).clip(max=1.0 / types)
            before = plain.allowed_mask * share
        elif kind == "lexicographic":
            yield LexicographicProblem(plain.gain, plain.scale_factor, plain.capacity, plain.allowed)
        else:
            yield plain


def measure(kind: str, jobs: int, types: int, rounds: int, names: Sequence[str]) -> MeasuredPoint:
    """Return the point of one kind and size: the median CPU time of each backend that solved every round."""
    stated = list(problems(kind, jobs, types, rounds))
    cpu_ms = {}
    for name in names:
        timer = PhaseTimer()
        try:
            walk = Walk.of(name, {}, timer)
            cpu_ms[name] = round(median([_cpu_ms(walk, timer, problem) for problem in stated][1:]), 4)
        except SolverError as error:
            print(f"{kind} {jobs} x {types}: {name}: {error}", file=sys.stderr)
    return MeasuredPoint(stated[-1].traits, cpu_ms)


def _cpu_ms(walk: Walk, timer: PhaseTimer, problem: AllocationProblem) -> float:
    timer.take()
    walk.solve(problem.anew())
    return sum(timer.take().phases_cpu_s.values()) * 1e3


def calibrate(
    sizes: Sequence[int], rounds: int, only: Collection[str] = (), kinds: Collection[str] = tuple(KINDS)
) -> list[MeasuredPoint]:
    """Return all points, of all exact backends or of ``only`` some, saying on standard error how far it is."""
    points = []
    for kind in kinds:
        for types in TYPES:
            family = KINDS[kind]
            names = [
                name
                for name in registry.names()
                if name != Auto.name
                and (name in only or not only)
                and family in registry.get(name).families
                and registry.is_exact(registry.get(name))
            ]
            for jobs in sizes:
                point = measure(kind, jobs, types, rounds, names)
                names = [name for name in names if point.cpu_ms.get(name, LIMIT_MS) < LIMIT_MS]
                points.append(point)
                print(f"{kind} {jobs} x {types}: {dict(point.cpu_ms)}", file=sys.stderr)
    return points


def render(points: Sequence[MeasuredPoint]) -> str:
    """Return the table as TOML."""
    lines = [
        "# CPU milliseconds a problem, build and solve, by backend; the median over consecutive rounds.",
        "# Measured by `python -m phasewise.bench.calibrate_auto`; do not edit, run it again.",
    ]
    for point in points:
        of = point.traits
        lines += [
            "",
            "[[point]]",
            f'family = "{of.family}"',
            f"linear = {str(of.linear).lower()}",
            f"gangs = {str(of.gangs).lower()}",
            f"jobs = {of.rows}",
            f"types = {of.types}",
            "[point.cpu_ms]",
            *(f'"{name}" = {ms}' for name, ms in sorted(point.cpu_ms.items(), key=lambda item: item[1])),
        ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(prog="python -m phasewise.bench.calibrate_auto", description=__doc__)
    parser.add_argument("--out", type=Path, default=TABLE, metavar="FILE", help="where to write (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="small sizes, few rounds")
    parser.add_argument("--solver", action="append", default=[], metavar="NAME", help="only this backend; repeatable")
    parser.add_argument(
        "--family", choices=sorted(set(KINDS.values())), help="measure this family; keep what the table has of others"
    )
    chosen = parser.parse_args(arguments)
    kept = [] if chosen.family is None else [each for each in load_table() if each.traits.family != chosen.family]
    kinds = [kind for kind, family in KINDS.items() if chosen.family in (None, family)]
    points = calibrate(QUICK_JOBS if chosen.quick else JOBS, 5 if chosen.quick else 8, chosen.solver, kinds)
    write_atomically(chosen.out, render([*kept, *points]).encode())
    print(f"table: {chosen.out}")


if __name__ == "__main__":
    main()
