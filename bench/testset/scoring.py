"""What rows come to: means of times with failures counted at the limit, performance profiles, backends in pairs.

Pure: rows in, figures out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np

from phasewise.bench.testset.judging import Reached
from phasewise.bench.testset.manifest import Manifest
from phasewise.bench.testset.rows import MODES, SOLVED, Row

SHIFT_MS: Final = 1.0
"""Added to every time before the mean of logarithms and taken off after: times far below it count as equal."""

Times = Mapping[str, float]


def within(tolerance: Reached) -> frozenset[Reached]:
    """Return the classes that are at least as good as ``tolerance``, one of `SOLVED`."""
    return frozenset(SOLVED[: SOLVED.index(tolerance) + 1])


def time_ms(row: Row, good: frozenset[Reached]) -> float:
    """Return a row's CPU milliseconds a problem; the limit where its answers are not good enough."""
    limit_ms = 1e3 * row.limit_s
    return min(row.cpu_ms, limit_ms) if row.tolerance in good and row.cpu_ms is not None else limit_ms


def shifted_mean(times_ms: Iterable[float], shift_ms: float = SHIFT_MS) -> float:
    """Return the shifted geometric mean: exp(mean(log(t + s))) - s, of at least one time."""
    return math.exp(float(np.mean([math.log(each + shift_ms) for each in times_ms]))) - shift_ms


def figures(rows: Sequence[Row], manifest: Manifest, tolerance: Reached = Reached.SIXTH) -> dict[str, Any]:
    """Return all that the page and ``--json`` say of ``rows``, ready for JSON.

    Parameters
    ----------
    rows
        One for every backend, machine, instance and start.
    tolerance
        The class from which on an answer counts as good.
    """
    good = within(tolerance)
    machines = sorted({row.machine for row in rows})
    return {
        "testset": manifest.testset,
        "tolerance": str(tolerance),
        "shift_ms": SHIFT_MS,
        "machines": machines,
        "instances": [_instance(manifest, name) for name in sorted({row.instance for row in rows})],
        "limits_s": sorted({row.limit_s for row in rows}),
        "unjudged": sorted({row.backend for row in rows if not row.judged}),
        "modes": [_mode(mode, [row for row in rows if row.mode == mode], manifest, good) for mode in MODES],
    }


def _instance(manifest: Manifest, name: str) -> dict[str, Any]:
    instance = manifest.named(name)
    kept = ("name", "family", "jobs", "types", "problems", "source", "seed", "sha256")
    return {each: getattr(instance, each) for each in kept}


def _mode(mode: str, rows: Sequence[Row], manifest: Manifest, good: frozenset[Reached]) -> dict[str, Any]:
    """Return the figures of one way of starting."""
    family = {row.instance: manifest.named(row.instance).family for row in rows}
    backends = _by_backend(rows)
    times = {name: {row.instance: time_ms(row, good) for row in own if _takes(row)} for name, own in backends.items()}
    solved = {name: {row.instance for row in own if row.tolerance in good} for name, own in backends.items()}
    totals = [_total(name, own, good) for name, own in backends.items()]
    by_family = {
        each: [_total(name, [row for row in own if family[row.instance] == each], good)
               for name, own in backends.items() if any(family[row.instance] == each for row in own)]
        for each in sorted(set(family.values()))
    }  # fmt: skip
    return {
        "mode": mode,
        "backends": sorted(totals, key=_order),
        "families": {each: sorted(found, key=_order) for each, found in by_family.items()},
        "profiles": profiles(times, solved),
        "pairs": pairs(times, solved),
    }


def _by_backend(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of every backend; where there are several machines, the name says which."""
    several = len({row.machine for row in rows}) > 1
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(f"{row.backend} ({row.machine or 'unknown machine'})" if several else row.backend, []).append(
            row
        )
    return dict(sorted(found.items()))


def _takes(row: Row) -> bool:
    return row.tolerance is not Reached.REFUSED


def _order(total: Mapping[str, Any]) -> tuple[bool, float, str]:
    return (total["mean_ms"] is None, total["mean_ms"] or 0.0, total["backend"])


def _total(name: str, rows: Sequence[Row], good: frozenset[Reached]) -> dict[str, Any]:
    """Return what a backend made of the instances that it takes."""
    taken = [row for row in rows if _takes(row)]
    counts = {str(each): sum(row.tolerance is each for row in rows) for each in Reached}
    gaps = [row.gap for row in taken if row.gap is not None]
    return {
        "backend": name,
        "instances": len(taken),
        "solved": sum(row.tolerance in good for row in taken),
        "mean_ms": shifted_mean(time_ms(row, good) for row in taken) if taken else None,
        "worst_gap": max(gaps, default=None),
        "classes": counts,
    }


def profiles(times: Mapping[str, Times], solved: Mapping[str, set[str]]) -> dict[str, list[list[float]]]:
    """Return the performance profile of every backend: points (ratio, share), a step up at each.

    The share of all instances that a backend solves within ``ratio`` times the time of the quickest that solves it
    (Dolan and More 2002). An instance that a backend does not take is one that it does not solve. Instances that nobody
    solves count.
    """
    instances = sorted({name for own in times.values() for name in own})
    best = {name: min((times[b][name] for b in times if name in solved[b]), default=math.inf) for name in instances}
    found = {}
    for backend, own in times.items():
        ratios = sorted(own[name] / best[name] if best[name] else 1.0 for name in instances if name in solved[backend])
        found[backend] = [[ratio, (index + 1) / len(instances)] for index, ratio in enumerate(ratios)]
    return found


def pairs(times: Mapping[str, Times], solved: Mapping[str, set[str]]) -> list[dict[str, Any]]:
    """Return every two backends on the instances that both take: a profile of many can mislead about two of them.

    Which curve of a profile lies above another depends on who else is in it (Gould and Scott 2016); this does not.
    ``ratio`` is the geometric mean of the first's time over the second's, both shifted; failures count at the limit.
    """
    found = []
    for one, other in combinations(sorted(times), 2):
        both = sorted(times[one].keys() & times[other].keys())
        if not both:
            continue
        logs = [math.log((times[one][name] + SHIFT_MS) / (times[other][name] + SHIFT_MS)) for name in both]
        first = [name for name in both if _wins(name, one, other, times, solved)]
        second = [name for name in both if _wins(name, other, one, times, solved)]
        found.append(
            {
                "one": one,
                "other": other,
                "instances": len(both),
                "ratio": math.exp(float(np.mean(logs))),
                "one_faster": len(first),
                "other_faster": len(second),
            }
        )
    return found


def _wins(name: str, one: str, other: str, times: Mapping[str, Times], solved: Mapping[str, set[str]]) -> bool:
    return name in solved[one] and (name not in solved[other] or times[one][name] < times[other][name])
