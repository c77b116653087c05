"""What the published pages show, computed from the figures: tables and sentences, the same for Markdown and HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from phasewise.profiling.stats import PowerLaw
from phasewise.reports import phase_costs
from phasewise.reports.figures import OTHER
from phasewise.reports.phase_costs import ALL, SPEED_UPS
from phasewise.reports.publication import (
    Auto,
    AutoPoint,
    Figure,
    Growth,
    Memory,
    PhaseCost,
    Publication,
    Size,
    SolverCost,
)
from phasewise.reports.quantities import count

_CLEARLY = 1.25  # times as long
_SEVERAL = 2  # runs whose peaks can differ
_FORMS = {
    ("max_min", False): "max-min",
    ("max_min", True): "max-min, canonical",
    ("max_min_switching", False): "max-min with movement cost",
    ("max_min_switching", True): "max-min with movement cost, canonical",
    ("lexicographic", False): "lexicographic (water filling)",
}


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What a run would gain from one phase: its share, and the speed-up at each of `SPEED_UPS` and with it free."""

    name: str
    share: Figure
    gains: tuple[Figure, ...]

    @property
    def free(self) -> Figure:
        """Return the speed-up of the run if the phase cost nothing."""
        return self.gains[-1]


@dataclass(frozen=True, slots=True)
class GrowthRow:
    """A phase at all sizes, with the power law of its cost over active jobs where one can be fitted."""

    name: str
    cost_ms: tuple[Figure, ...]
    fit: PowerLaw | None


@dataclass(frozen=True, slots=True)
class AutoCell:
    """What `auto` takes at a point: the quickest backend, its time, and how many times as long the next one takes.

    Time and lead are those of the table; as they were measured again they have intervals, where that was done.
    """

    jobs: int
    backend: str
    cpu_ms: float
    following: str
    lead: float | None
    measured_ms: Figure | None = None
    measured_lead: Figure | None = None


@dataclass(frozen=True, slots=True)
class AutoRow:
    """The points of one form and number of worker types, by jobs, and sentences on where the choice changes."""

    form: str
    types: int
    cells: tuple[AutoCell, ...]
    switches: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScaleView:
    """One scale as the pages show it; empty tuples where a part was not measured."""

    publication: Publication
    phases: tuple[PhaseCost, ...]
    what_if: tuple[WhatIf, ...]
    growth: tuple[GrowthRow, ...]
    auto: tuple[AutoRow, ...]

    @property
    def key(self) -> str:
        """Return the name of the scale, for anchors."""
        return self.publication.scale

    @property
    def title(self) -> str:
        """Return what it is called."""
        return self.publication.title

    @property
    def top(self) -> PhaseCost | None:
        """Return the phase with the largest share."""
        return next((phase for phase in self.phases if phase.name != OTHER), None)

    @property
    def added(self) -> list[tuple[str, float]]:
        """Return by phase what resident memory grew by (MiB), most first, and the sum last."""
        by_phase = self.publication.runs.memory.added_mib if self.publication.runs else {}
        if not by_phase:
            return []
        return [*sorted(by_phase.items(), key=lambda item: (-item[1], item[0])), (ALL, sum(by_phase.values()))]

    @property
    def largest(self) -> tuple[WhatIf, ...]:
        """Return the what-if of the largest size of the growth study."""
        growth = self.publication.growth
        return tuple(what_ifs(size_shares(growth.sizes[-1]))) if growth and growth.sizes else ()

    @property
    def setup(self) -> str:
        """Return policy, solver and placement of the run, each said to be what it is."""
        runs = self.publication.runs
        names = runs.setup.split(" · ") if runs else []
        parts = ("policy", "solver", "placement")
        return ", ".join(f"{part} {name}" for part, name in zip(parts, names, strict=False))

    @property
    def heavier(self) -> bool:
        """Return whether the growth study starts with clearly more jobs on the GPUs of the run."""
        runs, growth = self.publication.runs, self.publication.growth
        if not runs or not growth or not growth.sizes or growth.sizes[0].gpus != runs.gpus:
            return False
        return growth.sizes[0].jobs > _CLEARLY * runs.active

    @property
    def quicker(self) -> SolverCost | None:
        """Return the scenario's own backend on the tape where another exact one is clearly quicker there."""
        runs, replay = self.publication.runs, self.publication.replay
        own = runs.setup.split(" · ")[1:2] if runs else []
        rows = [row for row in replay.rows if [row.solver] == own] if replay else []
        return next((row for row in rows if row.slower is not None and row.slower.low > _CLEARLY), None)

    @property
    def picked(self) -> Mapping[str, int]:
        """Return how many problems of the tape each backend got from `auto`."""
        replay = self.publication.replay
        rows: Sequence[SolverCost] = replay.rows if replay else ()
        solved_by = next((row.solved_by for row in rows if row.solver == "auto"), {})
        return {name.removeprefix("auto:"): problems for name, problems in solved_by.items()}


def view_of(publication: Publication) -> ScaleView:
    """Return what the pages show of a scale."""
    runs, growth, auto = publication.runs, publication.growth, publication.auto
    phases = sorted(runs.phases, key=lambda phase: (phase.name == OTHER, -phase.share.estimate)) if runs else []
    return ScaleView(
        publication,
        phases=tuple(phases),
        what_if=tuple(what_ifs({phase.name: phase.share for phase in phases})),
        growth=tuple(growth_rows(growth)) if growth else (),
        auto=tuple(auto_rows(auto)) if auto else (),
    )


def what_ifs(shares: Mapping[str, Figure]) -> list[WhatIf]:
    """Return the what-if of every named phase, the one with most to gain first."""
    rows = [
        WhatIf(name, share, tuple(phase_costs.what_if(share, times) for times in (*SPEED_UPS, math.inf)))
        for name, share in shares.items()
        if name != OTHER
    ]
    return sorted(rows, key=lambda row: (-row.share.estimate, row.name))


def size_shares(size: Size) -> dict[str, Figure]:
    """Return the share (of 1) of each phase at a size of the growth study.

    The ends are those of the phase over the opposite ends of all others: wider than a 95 % interval.
    """
    parts = {name: cost for name, cost in size.cost_ms.items() if name != ALL}
    shares = {}
    for name, part in parts.items():
        others = [cost for other, cost in parts.items() if other != name]
        ends = (
            (part.low, sum(cost.high for cost in others)),
            (part.estimate, sum(cost.estimate for cost in others)),
            (part.high, sum(cost.low for cost in others)),
        )
        shares[name] = Figure(*(own / (own + rest) if own + rest > 0.0 else 0.0 for own, rest in ends))
    return shares


def top_share(shares: Mapping[str, Figure]) -> str:
    """Return the phase with the largest share, with that share and its ends."""
    name = max((name for name in shares if name != OTHER), key=lambda name: shares[name].estimate)
    share = shares[name]
    low, estimate, high = (100.0 * part for part in (share.low, share.estimate, share.high))
    return f"{name} with {estimate:.1f} % ({low:.1f} to {high:.1f})"


def peaks_of(seen: Memory) -> str:
    """Return the peak of a run's memory, with those of the other runs where they are known."""
    peak = f"peak {count(seen.peak_mib)} MiB"
    if len(seen.peaks_mib) < _SEVERAL:
        return f"{peak}, of the run whose peak is the median"
    low, high = seen.peaks_mib[0], seen.peaks_mib[-1]
    return f"{peak}, the median of {len(seen.peaks_mib)} runs (least to most: {count(low)} to {count(high)})"


def added_rows(views: Sequence[ScaleView]) -> list[tuple[str, tuple[float | None, ...]]]:
    """Return a row a phase: what memory grew by in it at each of the scales (MiB), None where one has no such phase."""
    by_scale = [dict(view.added) for view in views]
    names = dict.fromkeys(name for each in reversed(by_scale) for name in each)
    return [(name, tuple(each.get(name) for each in by_scale)) for name in names]


def growth_rows(growth: Growth) -> list[GrowthRow]:
    """Return a row a phase, most expensive at the largest size first, and the whole round last."""
    fits = phase_costs.exponents(growth.sizes)
    last = growth.sizes[-1].cost_ms
    names = sorted(last, key=lambda name: (name == ALL, name == OTHER, -last[name].estimate))
    return [GrowthRow(name, tuple(size.cost_ms[name] for size in growth.sizes), fits[name]) for name in names]


def auto_rows(auto: Auto) -> list[AutoRow]:
    """Return the table of `auto`: a row a form and number of types, in the order of the file."""
    groups: dict[tuple[str, bool, int], list[AutoPoint]] = {}
    for point in auto.points:
        groups.setdefault((point.family, point.linear, point.types), []).append(point)
    rows = []
    for (family, linear, types), points in groups.items():
        ordered = sorted(points, key=lambda point: point.jobs)
        rows.append(
            AutoRow(
                _FORMS.get((family, linear), family),
                types,
                tuple(_cell(point) for point in ordered if point.cpu_ms),
                tuple(_switches(ordered, auto.advantage)),
            )
        )
    return rows


def _cell(point: AutoPoint) -> AutoCell:
    ranked = sorted(point.cpu_ms.items(), key=lambda item: item[1])
    (backend, cpu_ms), following = ranked[0], ranked[1] if len(ranked) > 1 else None
    if following is None:
        return AutoCell(point.jobs, backend, cpu_ms, "", None, point.measured_ms.get(backend))
    lead, again = following[1] / cpu_ms, point.slower.get(following[0])
    return AutoCell(point.jobs, backend, cpu_ms, following[0], lead, point.measured_ms.get(backend), again)


def _switches(points: Sequence[AutoPoint], advantage: float) -> list[str]:
    """Return a sentence for each pair of neighbouring sizes at which another backend is the quickest."""
    told = []
    for small, large in pairwise(points):
        one, other = (min(point.cpu_ms, key=lambda name: point.cpu_ms[name]) for point in (small, large))
        if one == other:
            continue
        at = crossing(small, large, one, other)
        between = f"between {count(small.jobs)} and {count(large.jobs)} jobs"
        where = between if at is None else f"at about {count(at)} jobs"
        told.append(f"{where} from {one} to {other}{_why(large, one, other, advantage)}")
    return told


def _why(point: AutoPoint, one: str, other: str, advantage: float) -> str:
    """Return why the backend ``other`` is taken at a point, and ``one`` is not."""
    if one not in point.cpu_ms:
        return f": {one} takes too long to be measured at {count(point.jobs)} jobs"
    ratio, again = point.cpu_ms[other] / point.cpu_ms[one], point.slower.get(one)
    why = f", which takes {ratio:.2f} of its time at {count(point.jobs)} jobs by the table"
    why += " (too little for a run to change over)" if ratio >= advantage else ""
    if again is not None:
        low, estimate, high = 1.0 / again.high, 1.0 / again.estimate, 1.0 / again.low
        why += f", {estimate:.2f} ({low:.2f} to {high:.2f}) measured again"
        why += ": no clear difference" if round(low, 2) <= 1.0 <= round(high, 2) else ""
    return why


def crossing(small: AutoPoint, large: AutoPoint, one: str, other: str) -> float | None:
    """Return the number of jobs at which two backends take equally long, both taken for power laws in between."""
    if any(name not in point.cpu_ms for point in (small, large) for name in (one, other)):
        return None
    before = math.log(small.cpu_ms[other] / small.cpu_ms[one])
    after = math.log(large.cpu_ms[other] / large.cpu_ms[one])
    if before == after or before * after > 0.0:
        return None
    part = before / (before - after)
    return math.exp((1.0 - part) * math.log(small.jobs) + part * math.log(large.jobs))
