"""The table by which `auto` chooses, and what matters at each of its points measured again, here and now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from phasewise.bench.calibrate_auto import problems
from phasewise.bench.publish.measured import Workplace
from phasewise.bench.publish.origins import Stopwatch, commit_of, origin
from phasewise.profiling.stats import median_interval, median_ratio_interval
from phasewise.reports import publication as published
from phasewise.reports.phase_costs import figure

if TYPE_CHECKING:
    from phasewise.solvers.backends.auto import MeasuredPoint

PROBLEMS: Final = 16  # of a point, the first of which does not count
_KINDS: Final = {  # of `phasewise.bench.calibrate_auto.problems`, by family and whether there is a linear term
    ("max_min", False): "plain",
    ("max_min", True): "linear",
    ("max_min_switching", False): "switching",
    ("lexicographic", False): "lexicographic",
}


def auto(scale: str, place: Workplace) -> published.Auto:
    """Return the table of `auto` as it lies beside the backend, with the figures of today for those it chooses from."""
    from phasewise.solvers.backends.auto import ADVANTAGE, PATIENCE, TABLE, load_table

    watch, table = Stopwatch(), load_table()
    points = [_measured(point, rivals(point, table)) for point in table]
    place.say(f"{scale}: {len(points)} points of the table of auto")
    made = origin(
        f"make reports ARGS='--scale {scale} --part auto'",
        f"{PROBLEMS - 1} consecutive problems a point and backend, in turn, the first of each session left out",
        "median over problems with its 95 % bootstrap interval; ratios are medians of pairs",
        watch.cpu_s(),
    )
    commit = commit_of(TABLE)
    told = f"python -m phasewise.bench.calibrate_auto{f', commit {commit[:10]}' if commit else ''}"
    return published.Auto(made, points, ADVANTAGE, PATIENCE, told)


def rivals(point: MeasuredPoint, table: Sequence[MeasuredPoint]) -> list[str]:
    """Return the backends that matter at a point: its two quickest, and the quickest at every other size."""
    alike = [other for other in table if _form(other) == _form(point)]
    names = sorted(point.cpu_ms, key=lambda name: point.cpu_ms[name])[:2]
    firsts = (min(other.cpu_ms, key=lambda name: other.cpu_ms[name]) for other in alike if other.cpu_ms)
    return list(dict.fromkeys([*names, *(name for name in firsts if name in point.cpu_ms)]))


def _form(point: MeasuredPoint) -> tuple[object, ...]:
    of = point.traits
    return of.family, of.linear, of.gangs, of.types


def _measured(point: MeasuredPoint, names: Sequence[str]) -> published.AutoPoint:
    from phasewise.solvers.replay import replay

    of = point.traits
    stated = problems(_KINDS[of.family, of.linear], of.rows, of.types, PROBLEMS)
    # who comes first at a problem pays for what the problem computes once and keeps: an extra one does
    records = replay(stated, [names[0], *names])[1:]
    total = {each.solver: np.add(each.build_ms, each.solve_ms)[1:] for each in records}
    rng = np.random.default_rng(0)
    return published.AutoPoint(
        family=of.family,
        linear=of.linear,
        gangs=of.gangs,
        jobs=of.rows,
        types=of.types,
        cpu_ms=dict(point.cpu_ms),
        measured_ms={name: figure(median_interval(total[name], rng)) for name in names},
        slower={name: figure(median_ratio_interval(total[name], total[names[0]], rng)) for name in names[1:]},
    )
