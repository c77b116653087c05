"""What a trace holds, in figures: arrivals and gaps, GPU time by whose and what it is, demand over capacity by day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from phasewise.sched.workload.importing.store import RecordStore

Floats = npt.NDArray[np.float64]
RateOf = Callable[[str, int], float]
"""Returns the steps/s of a job type on so many GPUs; 0 where that is not known."""

DAY_S: Final = 86_400.0
MOST_GAPS: Final = 20
MOST_DAYS: Final = 10_000
UNSAID: Final = "not recorded"
GROUPS: Final = {"size": "gpus", "state": "state", "user": "user", "vc": "vc", "class": "class", "type": "gpu_type"}
"""By the name of a grouping, the column of the records."""


def described(
    store: RecordStore, rate_of: RateOf, capacity: Mapping[str, int] | None = None, most: int = 1_000
) -> dict[str, Any]:
    """Return the figures of a trace, as JSON takes them.

    Parameters
    ----------
    rate_of
        For jobs of which only the steps are known.
    capacity
        GPUs by type, to set the demand against; None where no machines are named.
    most
        Groups of a grouping that are told one by one, those with most GPU time; the others are added up.
    """
    arrivals, groups, demand = _Arrivals(), {name: _Groups(column) for name, column in GROUPS.items()}, _Demand()
    durations: list[Floats] = []
    unknown = 0
    for block in store:
        arrival_s = _numbers(block, "arrival_s")
        duration_s = _durations(block, rate_of)
        known = np.isfinite(duration_s)
        unknown += int((~known).sum())
        duration_s = np.where(known, duration_s, 0.0)
        gpus = _numbers(block, "gpus") * _numbers(block, "gpu_milli") / 1000.0
        arrivals.add(arrival_s)
        for group in groups.values():
            group.add(block, gpus * duration_s)
        demand.add(block, arrival_s, duration_s, gpus)
        durations.append(duration_s[known])
    all_s = np.concatenate([np.empty(0), *durations])
    gpu_s = float(sum(sum(group.gpu_s.values()) for name, group in groups.items() if name == "size"))
    return {
        **store.account,
        "jobs": store.rows,
        "arrivals": arrivals.figures(),
        "duration_s": _spread(all_s),
        "jobs_without_duration": unknown,
        "gpu_s": gpu_s,
        "gpu_time_by": {name: group.figures(gpu_s, most) for name, group in groups.items()},
        "demand": demand.figures(capacity),
    }


def _numbers(block: pa.Table, name: str) -> Floats:
    column = block.column(name).combine_chunks().to_numpy(zero_copy_only=False)
    values: Floats = np.asarray(column, np.float64)
    return values


def _durations(block: pa.Table, rate_of: RateOf) -> Floats:
    """Return (B,) the durations, seconds; of jobs that have steps alone, these over their rate; NaN where unknown."""
    duration_s = _numbers(block, "duration_s").copy()
    missing = np.flatnonzero(np.isnan(duration_s))
    if missing.size:
        rows = block.select(["job_type", "gpus", "total_steps"]).take(pa.array(missing)).to_pylist()
        for at, row in zip(missing.tolist(), rows, strict=True):
            rate = rate_of(row["job_type"] or "", row["gpus"])
            if rate > 0.0 and row["total_steps"] is not None:
                duration_s[at] = row["total_steps"] / rate
    return duration_s


def _spread(values: Floats) -> dict[str, float | None]:
    if not values.size:
        return {"mean": None, "p50": None, "p95": None, "most": None}
    p50, p95 = np.percentile(values, [50.0, 95.0]).tolist()
    return {"mean": float(values.mean()), "p50": p50, "p95": p95, "most": float(values.max())}


class _Arrivals:
    """When jobs come."""

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._gaps = 0
        self._sum_s = self._squares = self._longest_s = 0.0
        self._first_s = 0.0
        self._long: list[tuple[float, float]] = []
        self._by_day = np.zeros(0)

    def add(self, arrival_s: Floats) -> None:
        """Take a block of arrivals, in order."""
        if not arrival_s.size:
            return
        before = arrival_s[:1] if self._last_s is None else np.array([self._last_s])
        self._first_s = float(arrival_s[0]) if self._last_s is None else self._first_s
        gaps = np.diff(np.concatenate((before, arrival_s)))[int(self._last_s is None) :]
        self._gaps += gaps.size
        self._sum_s += float(gaps.sum())
        self._squares += float((gaps**2).sum())
        self._longest_s = max(self._longest_s, float(gaps.max(initial=0.0)))
        ends = arrival_s[-gaps.size :] if gaps.size else arrival_s[:0]
        self._long += [(float(ends[at] - gaps[at]), float(gaps[at])) for at in np.flatnonzero(gaps >= DAY_S).tolist()]
        self._by_day = _added(self._by_day, np.bincount((arrival_s // DAY_S).astype(np.int64)).astype(np.float64))
        self._last_s = float(arrival_s[-1])

    def figures(self) -> dict[str, Any]:
        """Return the figures."""
        mean_s = self._sum_s / self._gaps if self._gaps else 0.0
        variance = max(0.0, self._squares / self._gaps - mean_s**2) if self._gaps else 0.0
        longest = sorted(self._long, key=lambda gap: -gap[1])[:MOST_GAPS]
        return {
            "span_s": (self._last_s or 0.0) - self._first_s,
            "rate_per_hour": 3600.0 / mean_s if mean_s > 0.0 else None,
            "cv": variance**0.5 / mean_s if mean_s > 0.0 else None,
            "longest_gap_s": self._longest_s,
            "gaps_of_a_day": len(self._long),
            "gaps": [{"start_s": start_s, "length_s": length_s} for start_s, length_s in sorted(longest)],
            "days_without_arrivals": int((self._by_day == 0.0).sum()),
            "by_day": self._by_day.astype(int).tolist()[:MOST_DAYS],
        }


class _Groups:
    """Jobs and GPU time by the value of a column."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._jobs: dict[str, int] = {}
        self.gpu_s: dict[str, float] = {}

    def add(self, block: pa.Table, gpu_s: Floats) -> None:
        """Take a block of jobs with their GPU time."""
        column = block.column(self._column).combine_chunks()
        encoded = pc.dictionary_encode(column, null_encoding="encode")
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        names = encoded.dictionary.to_pylist()
        counts, sums = np.bincount(codes, minlength=len(names)), np.bincount(codes, gpu_s, minlength=len(names))
        for name, jobs, seconds in zip(names, counts.tolist(), sums.tolist(), strict=True):
            key = UNSAID if name is None else str(name)
            self._jobs[key] = self._jobs.get(key, 0) + jobs
            self.gpu_s[key] = self.gpu_s.get(key, 0.0) + seconds

    def figures(self, total_s: float, most: int) -> list[dict[str, Any]]:
        """Return the groups, those with most GPU time first; sizes in their own order."""
        keys = sorted(self.gpu_s, key=lambda key: (-self.gpu_s[key], key))
        shown, rest = keys[:most], keys[most:]
        if self._column == "gpus":
            shown.sort(key=int)
        rows = [(key, self._jobs[key], self.gpu_s[key]) for key in shown]
        if rest:
            others = f"{len(rest):,} others"
            rows.append((others, sum(self._jobs[key] for key in rest), sum(self.gpu_s[key] for key in rest)))
        return [
            {"key": key, "jobs": jobs, "gpu_s": gpu_s, "share": gpu_s / total_s if total_s else 0.0}
            for key, jobs, gpu_s in rows
        ]


class _Demand:
    """GPUs that are asked for at a time, as if every job ran from its arrival on, by type and day."""

    def __init__(self) -> None:
        self._gpu_s: dict[str, Floats] = {}

    def add(self, block: pa.Table, arrival_s: Floats, duration_s: Floats, gpus: Floats) -> None:
        """Take a block of jobs."""
        encoded = pc.dictionary_encode(block.column("gpu_type").combine_chunks(), null_encoding="encode")
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        for code, name in enumerate(encoded.dictionary.to_pylist()):
            of_type = codes == code
            found = _by_day(arrival_s[of_type], duration_s[of_type], gpus[of_type])
            key = UNSAID if name is None else name
            self._gpu_s[key] = _added(self._gpu_s.get(key, np.zeros(0)), found)

    def figures(self, capacity: Mapping[str, int] | None) -> dict[str, Any]:
        """Return by type, and for all of them, the mean GPUs that are asked for on each day, and over what there is."""
        whole = np.zeros(0)
        for days in self._gpu_s.values():
            whole = _added(whole, days)
        there = dict(capacity or {})
        lowered = {name.lower(): gpus for name, gpus in there.items()}
        rows = {name: (self._gpu_s[name], lowered.get(name.lower())) for name in sorted(self._gpu_s)}
        rows["all"] = (whole, sum(there.values()) if there else None)
        return {name: _of_type(days, gpus) for name, (days, gpus) in rows.items()}


def _of_type(gpu_s: Floats, capacity: int | None) -> dict[str, Any]:
    gpus = gpu_s / DAY_S
    mean, peak = (float(gpus.mean()), float(gpus.max())) if gpus.size else (0.0, 0.0)
    return {
        "capacity_gpus": capacity,
        "mean_gpus": mean,
        "peak_gpus": peak,
        "mean_over_capacity": mean / capacity if capacity else None,
        "peak_over_capacity": peak / capacity if capacity else None,
        "days_over_capacity": int((gpus > capacity).sum()) if capacity else None,
        "gpus_by_day": gpus.tolist()[:MOST_DAYS],
    }


def _by_day(arrival_s: Floats, duration_s: Floats, gpus: Floats) -> Floats:
    """Return (D,) the GPU-seconds that fall on each day: parts of first and last days, whole days between."""
    end_s = np.minimum(arrival_s + duration_s, MOST_DAYS * DAY_S)
    first, last = (arrival_s // DAY_S).astype(np.int64), (end_s // DAY_S).astype(np.int64)
    last = np.maximum(last, first)
    days = int(last.max(initial=-1)) + 1
    same = first == last
    found = np.bincount(first[same], (gpus * duration_s)[same], minlength=days).astype(np.float64)
    first, last, gpus, start_s, end_s = (each[~same] for each in (first, last, gpus, arrival_s, end_s))
    found = found + np.bincount(first, gpus * ((first + 1) * DAY_S - start_s), minlength=days)
    found = found + np.bincount(last, gpus * (end_s - last * DAY_S), minlength=days)
    begin, end = (np.bincount(day, gpus * DAY_S, minlength=days + 1) for day in (first + 1, last))
    whole: Floats = np.asarray(found + np.cumsum(begin - end)[:days], np.float64)
    return whole


def _added(one: Floats, other: Floats) -> Floats:
    """Return the sum of two rows of days, the shorter one filled up with 0."""
    long, short = (one, other) if len(one) >= len(other) else (other, one)
    total = long.copy()
    total[: len(short)] += short
    return total
