"""Many runs by groups: the mean of each figure over seeds with its interval, and what groups differ by, seed by seed.

Runs that differ in nothing but the seed are repetitions of one point. Two groups have the same jobs at the same point
and seed, so their difference is taken there, pair by pair: it is far surer than the difference of two means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from phasewise.profiling.stats import Interval, paired_difference, t_interval
from phasewise.reports.errors import ComparisonError
from phasewise.reports.figures import counted
from phasewise.reports.quantities import JCT, MAKESPAN, PLAIN, SHARE, WAIT, Quantity
from phasewise.reports.run_directory import Run
from phasewise.reports.trees import flat

_LABELS: Final = ("name", "description", "output")
_SEED: Final = "seed"


@dataclass(frozen=True, slots=True)
class Mean:
    """A figure over runs.

    Attributes
    ----------
    values
        One a run that has it, in its unit.
    interval
        The mean and Student's interval of it, 95 %; None of fewer than two runs.
    """

    values: tuple[float, ...]
    interval: Interval | None

    @property
    def mean(self) -> float | None:
        """The mean, None where no run has the figure."""
        return float(np.mean(self.values)) if self.values else None

    def as_json(self) -> dict[str, Any]:
        """Return it as plain numbers."""
        low, high = (None, None) if self.interval is None else (self.interval.low, self.interval.high)
        return {"n": len(self.values), "mean": self.mean, "low": low, "high": high}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one group at one point, and against the first group there.

    Attributes
    ----------
    label, quantity
        What it is, and how it is written.
    over_seeds
        Its mean over the runs.
    difference
        This group minus the first, over the seeds that both have; None for the first group itself.
    """

    label: str
    quantity: Quantity
    over_seeds: Mean
    difference: Mean | None


@dataclass(frozen=True, slots=True)
class Group:
    """The runs of one group at one point.

    Attributes
    ----------
    name
        The value of the key by which runs are grouped.
    point
        Keys in which the points of the comparison differ, with the values here.
    seeds
        Of its runs, ascending.
    partial
        How many of the runs left jobs unfinished or are overloaded: their mean JCT is no mean.
    figures
        Figures of `FIGURES` that any run has.
    """

    name: str
    point: Mapping[str, object]
    seeds: tuple[int, ...]
    partial: int
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Grouped:
    """Runs by groups: `groups` by point, then in the order in which they were given."""

    key: str
    groups: tuple[Group, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return a row a point, group and figure: names, numbers and units."""
        return [
            {
                **group.point,
                self.key: group.name,
                "figure": figure.label,
                "unit": figure.quantity.unit,
                "partial_runs": group.partial,
                **figure.over_seeds.as_json(),
                **_against_first(figure.difference),
            }
            for group in self.groups
            for figure in group.figures
        ]

    @property
    def cautions(self) -> tuple[str, ...]:
        """Sentences on means that are none."""
        return tuple(
            f"{_named(group)}: {group.partial} of {len(group.seeds)} runs are overloaded or left jobs unfinished: "
            "their mean JCT is over those that finished, or measures the length of the run"
            for group in self.groups
            if group.partial
        )


def _p99(run: Run) -> float | None:
    """Return the 99th percentile of the JCTs of the jobs that count and completed, seconds."""
    jct_s = counted(run, "jct_s")
    return float(np.percentile(jct_s, 99.0)) if jct_s.size else None


FIGURES: Final = (
    ("average JCT", JCT, lambda run: run.summary.avg_jct_s),
    ("JCT p99", JCT, _p99),
    ("JCT, lower bound", JCT, lambda run: run.summary.avg_jct_lower_bound_s if run.summary.censored else None),
    ("queue wait p95", WAIT, lambda run: run.summary.queue_s_p95),
    ("slowdown, mean", PLAIN, lambda run: None if run.summary.slowdown is None else run.summary.slowdown.mean),
    ("rho, p99", PLAIN, lambda run: None if run.summary.rho is None else run.summary.rho.p99),
    ("rho, worst", PLAIN, lambda run: None if run.summary.rho is None else run.summary.rho.worst),
    ("Jain's index", PLAIN, lambda run: run.summary.jain),
    ("Jain's index, users", PLAIN, lambda run: run.summary.jain_users),
    ("Jain's index, vcs", PLAIN, lambda run: run.summary.jain_vcs),
    ("makespan", MAKESPAN, lambda run: run.summary.makespan_s),
    ("utilisation", SHARE, lambda run: run.summary.utilization),
    ("drift", SHARE, lambda run: None if run.summary.drift is None else run.summary.drift.share),
    ("cost", PLAIN, lambda run: run.summary.cost),
    ("SLOs missed", PLAIN, lambda run: run.summary.slo_misses),
)
"""What is told of groups: label, quantity, and how a run says it."""


def grouped(runs: Sequence[Run], key: str) -> Grouped:
    """Return runs by the value of a key of their scenarios.

    Parameters
    ----------
    runs
        Any number; those of a group and point differ in their seeds.
    key
        A dotted key, or a section that has a ``name``, as ``policy``.

    Raises
    ------
    ComparisonError
        Where a run has no such key, or two runs are of one group, point and seed.
    RunDirectoryError
        Where a table of jobs cannot be read.
    """
    leaves = [flat(run.scenario) for run in runs]
    dotted = f"{key}.name" if all(f"{key}.name" in each for each in leaves) else key
    for run, each in zip(runs, leaves, strict=True):
        if dotted not in each:
            sections = ", ".join(sorted({name.partition(".")[0] for name in each if name.endswith(".name")}))
            raise ComparisonError(
                f"{run.path}: its scenario has no key {key!r} to group by; "
                f"allowed: a dotted key, as workload.rate_per_hour, or one of {sections}"
            )
    rests = [{name: value for name, value in each.items() if not _left_out(name, key)} for each in leaves]
    differing = sorted({name for rest in rests for name in rest if any(o.get(name) != rest[name] for o in rests)})
    found: dict[tuple[str, ...], dict[str, dict[int, Run]]] = {}
    for run, each, rest in zip(runs, leaves, rests, strict=True):
        point = tuple(str(rest.get(name)) for name in differing)
        seeds = found.setdefault(point, {}).setdefault(str(each[dotted]), {})
        seed = int(str(each.get(_SEED, 0)))
        if seed in seeds:
            raise ComparisonError(
                f"{run.path} and {seeds[seed].path} are one run: equal in {dotted} ({each[dotted]}), seed ({seed}) and "
                "all else; give each once"
            )
        seeds[seed] = run
    groups = [group for point, by in found.items() for group in _at_point(dict(zip(differing, point, strict=True)), by)]
    return Grouped(key, tuple(groups))


def _left_out(name: str, key: str) -> bool:
    """Return whether a key of a scenario says nothing of the point: a label, the seed, or what runs are grouped by."""
    top = name.partition(".")[0]
    return top in _LABELS or name in {_SEED, key} or name.startswith(f"{key}.")


def _at_point(point: Mapping[str, object], by_group: Mapping[str, Mapping[int, Run]]) -> list[Group]:
    """Return the groups at one point; each against the first."""
    values = {
        name: {seed: {label: quantity.of(read(run)) for label, quantity, read in FIGURES} for seed, run in runs.items()}
        for name, runs in by_group.items()
    }
    first = next(iter(values))
    groups = []
    for name, runs in by_group.items():
        partial = sum(run.status != "complete" or bool(run.summary.censored) for run in runs.values())
        told = tuple(
            Figure(
                label,
                quantity,
                _mean([of[label] for _, of in sorted(values[name].items())]),
                None if name == first else _paired(label, values[name], values[first]),
            )
            for label, quantity, _ in FIGURES
            if any(of[label] is not None for each in values.values() for of in each.values())
        )
        groups.append(Group(name, point, tuple(sorted(runs)), partial, told))
    return groups


_BySeed = Mapping[int, Mapping[str, float | None]]


def _mean(values: Sequence[float | None]) -> Mean:
    known = tuple(float(value) for value in values if value is not None)
    return Mean(known, t_interval(known) if len(known) > 1 else None)


def _paired(label: str, these: _BySeed, base: _BySeed) -> Mean:
    """Return the difference over the seeds of which both have the figure."""
    pairs = [
        (float(here), float(there))
        for seed in sorted(these.keys() & base.keys())
        if (here := these[seed][label]) is not None and (there := base[seed][label]) is not None
    ]
    if len(pairs) < 2:
        return Mean(tuple(here - there for here, there in pairs), None)
    head, below = zip(*pairs, strict=True)
    return Mean(tuple(here - there for here, there in pairs), paired_difference(head, below))


def _against_first(difference: Mean | None) -> dict[str, Any]:
    told = {} if difference is None else difference.as_json()
    return {
        "pairs": told.get("n"),
        "difference": told.get("mean"),
        "difference_low": told.get("low"),
        "difference_high": told.get("high"),
    }


def _named(group: Group) -> str:
    at = ", ".join(f"{name} {value}" for name, value in group.point.items())
    return f"{group.name} at {at}" if at else group.name
