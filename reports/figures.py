"""What a run says about itself, computed from its tables. Pure: arrays and records in, records out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phasewise.reports.columns import ColumnTable
from phasewise.reports.run_directory import Run, Summary

Floats = npt.NDArray[np.float64]
OTHER = "other"
# Where the phases stand in a round; a stacked chart reads from the bottom up. Unknown phases come after these.
PIPELINE = (
    "arrivals",
    "policy",
    "lp_build",
    "lp_solve",
    "priorities",
    "worker_assignment",
    "event_completion",
    "telemetry",
    "exit_checks",
)


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """Exclusive time of one phase over a run.

    Attributes
    ----------
    wall_s, cpu_s
        Total seconds; CPU is None where it is not known (``other`` of some runs).
    calls
        Times the phase was entered, None for ``other``.
    share
        Fraction of the loop's CPU time, as far as that is known; None where the phase's is not.
    rounds
        Rounds of the run, for the figures per round.
    """

    name: str
    wall_s: float
    cpu_s: float | None
    calls: int | None
    share: float | None
    rounds: int

    @property
    def wall_round_s(self) -> float | None:
        """Return wall seconds a round."""
        return self.wall_s / self.rounds if self.rounds else None

    @property
    def cpu_round_s(self) -> float | None:
        """Return CPU seconds a round."""
        return self.cpu_s / self.rounds if self.rounds and self.cpu_s is not None else None


def loop_wall_s(summary: Summary) -> float:
    """Return the loop's wall seconds: named phases and the rest."""
    named = sum(phase.wall_s for name, phase in summary.phases.items() if name != OTHER)
    if OTHER in summary.phases:
        return named + summary.phases[OTHER].wall_s
    return named / summary.phase_coverage if summary.phase_coverage else named


def phase_rows(summary: Summary) -> list[PhaseRow]:
    """Return the phases with the most CPU time first and ``other`` last; the shares add up to 1."""
    named = {name: phase for name, phase in summary.phases.items() if name != OTHER}
    if not named:
        return []
    loop_s = loop_wall_s(summary)
    rest_s, rest_cpu_s = max(0.0, loop_s - sum(phase.wall_s for phase in named.values())), _other_cpu_s(summary, loop_s)
    total = sum(phase.cpu_s for phase in named.values()) + (rest_cpu_s or 0.0)
    rows = [
        PhaseRow(name, phase.wall_s, phase.cpu_s, phase.calls, _share(phase.cpu_s, total), summary.rounds)
        for name, phase in named.items()
    ]
    rest = None if rest_cpu_s is None else _share(rest_cpu_s, total)
    rows.append(PhaseRow(OTHER, rest_s, rest_cpu_s, None, rest, summary.rounds))
    cost = {row.name: row.cpu_s or 0.0 for row in rows}
    return sorted(rows, key=lambda row: phase_order(row.name, cost))


def phase_order(name: str, cost: Mapping[str, float]) -> tuple[bool, float, int, str]:
    """Return the sort key of a phase: most cost first, then as in a round, ``other`` last whatever it cost."""
    rank = PIPELINE.index(name) if name in PIPELINE else len(PIPELINE)
    return name == OTHER, -cost.get(name, 0.0), rank, name


def _other_cpu_s(summary: Summary, loop_s: float) -> float | None:
    """Return the CPU seconds outside named phases, None where the run's CPU time covers more than its loop."""
    if OTHER in summary.phases:
        return summary.phases[OTHER].cpu_s
    if summary.cpu_s is None or summary.wall_s is None or abs(summary.wall_s - loop_s) > 1e-3 * loop_s:
        return None
    return max(0.0, summary.cpu_s - sum(phase.cpu_s for phase in summary.phases.values()))


def _share(part: float, total: float) -> float:
    return part / total if total > 0 else 0.0


def phase_names(rounds: ColumnTable) -> list[str]:
    """Return the phases that have columns in a table of rounds, in the order of a round, ``other`` last."""
    found = [
        name.removeprefix("phase_").removesuffix("_s")
        for name in rounds.names
        if name.startswith("phase_") and name.endswith("_s") and not name.endswith("_cpu_s")
    ]
    if phase_column(OTHER) in rounds:
        found.append(OTHER)
    rank = {name: index for index, name in enumerate(PIPELINE)}
    return sorted(set(found), key=lambda name: (rank.get(name, len(PIPELINE) + (name == OTHER)), name))


def memory_column(name: str) -> str:
    """Return the column of what resident memory grew by in a phase, or in ``other``."""
    return "other_rss_mib" if name == OTHER else f"phase_{name}_rss_mib"


def phase_column(name: str, clock: str = "") -> str:
    """Return the column of a phase's seconds; ``clock`` is ``"cpu_"`` for CPU time."""
    return f"other_{clock}s" if name == OTHER else f"phase_{name}_{clock}s"


def worker_types(rounds: ColumnTable) -> list[str]:
    """Return the worker types that have a utilisation column."""
    return [name.removeprefix("utilization_") for name in rounds.names if name.startswith("utilization_")]


@dataclass(frozen=True, slots=True)
class Bins:
    """Rounds gathered into bins of equal length; the last may be shorter.

    Attributes
    ----------
    size
        Rounds in a bin: 1, 2 or 5 times a power of ten.
    rows
        Rounds in all.
    """

    size: int
    rows: int

    @property
    def starts(self) -> npt.NDArray[np.int64]:
        """Return (B,) the first row of each bin."""
        return np.arange(0, self.rows, self.size, dtype=np.int64)

    def mean(self, values: Floats) -> Floats:
        """Return (B,) means of the values that exist, NaN for a bin with none."""
        exists = np.isfinite(values)
        totals = np.add.reduceat(np.where(exists, values, 0.0), self.starts)
        counts = np.add.reduceat(exists.astype(np.float64), self.starts)
        return np.asarray(np.divide(totals, counts, out=np.full(len(totals), np.nan), where=counts > 0))

    def largest(self, values: Floats) -> Floats:
        """Return (B,) maxima of the values that exist, NaN for a bin with none."""
        return np.asarray(np.fmax.reduceat(values, self.starts), dtype=np.float64)

    def first(self, values: Floats) -> Floats:
        """Return (B,) the value of each bin's first row."""
        return np.asarray(values[self.starts], dtype=np.float64)


def bins_of(rows: int, most: int) -> Bins:
    """Return bins for ``rows`` rounds, at most ``most`` of them."""
    wanted = max(1.0, rows / most)
    power = 10 ** int(np.floor(np.log10(wanted)))
    size = next(step * power for step in (1, 2, 5, 10) if step * power >= wanted)
    return Bins(size, rows)


@dataclass(frozen=True, slots=True)
class SolverFigures:
    """How the allocation problems of a run were solved, over the rounds that solved one.

    Attributes
    ----------
    solves
        Rounds with a solve.
    build_s, solve_s
        (S,) CPU seconds of `lp_build` and of `lp_solve` in those rounds.
    iterations_median
        None where no backend reported iterations.
    rebuilds
        Rounds by the reason for which the model was built anew; a round without a reason reused its model.
    worst_gap
        Largest certified relative gap, None without one.
    uncertified
        Solves without a dual bound.
    """

    solves: int
    build_s: Floats
    solve_s: Floats
    iterations_median: float | None
    rebuilds: dict[str, int]
    worst_gap: float | None
    uncertified: int

    @property
    def build_share(self) -> float | None:
        """Return the share of building in the CPU time of building and solving."""
        total = float(self.build_s.sum() + self.solve_s.sum())
        return float(self.build_s.sum()) / total if total > 0 else None


def quantile(values: Floats, level: float) -> float | None:
    """Return a quantile of the finite values, or None where there is none."""
    finite = values[np.isfinite(values)]
    return float(np.quantile(finite, level)) if len(finite) else None


def solver_figures(rounds: ColumnTable) -> SolverFigures:
    """Return the solver statistics of a table of rounds."""
    solved = solved_rows(rounds)
    iterations = rounds.numbers("lp_iterations")[solved]
    gaps = rounds.numbers("lp_gap")[solved]
    reasons = rounds.strings("lp_rebuild")
    counted = Counter(reason for reason, used in zip(reasons, solved, strict=True) if used and reason)
    return SolverFigures(
        solves=int(solved.sum()),
        build_s=rounds.numbers(phase_column("lp_build", "cpu_"))[solved],
        solve_s=rounds.numbers(phase_column("lp_solve", "cpu_"))[solved],
        iterations_median=quantile(iterations, 0.5),
        rebuilds=dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))),
        worst_gap=quantile(gaps, 1.0),
        uncertified=int(np.isnan(gaps).sum()),
    )


def solved_rows(rounds: ColumnTable) -> npt.NDArray[np.bool_]:
    """Return (R,) whether a round solved an allocation problem."""
    return np.asarray(rounds.numbers("lp_solved") > 0)


def counted(run: Run, column: str) -> Floats:
    """Return (C,) a figure of the jobs that count, ascending, above 0 and where it is known: the window's, or all."""
    values = run.jobs.numbers(column)
    counts = np.isfinite(values) & (values > 0)
    if run.summary.window is not None:
        first, end = run.summary.window
        job_id = run.jobs.numbers("job_id")
        counts &= (job_id >= first) & (job_id < end)
    return np.sort(values[counts])


def log_histogram(values: Floats, edges: Floats) -> Floats:
    """Return (E-1,) counts of ``values`` between ``edges``."""
    return np.histogram(values, edges)[0].astype(np.float64)


def log_edges(values: Floats, bins: int) -> Floats:
    """Return bin edges of equal ratio that hold all of the positive ``values``; a constant gets a bin of its own."""
    low, high = float(values.min()), float(values.max())
    if high <= low * 1.001:
        low, high = low / 1.5, high * 1.5
    return np.geomspace(low * (1 - 1e-9), high * (1 + 1e-9), bins + 1)


def memory_growth(rss_mib: Floats, first: int = 1000) -> float | None:
    """Return the relative growth of memory from round ``first`` to the end, or None for a shorter run.

    Medians of 200 rounds at either end are compared, so that one sample does not decide.
    """
    if len(rss_mib) < first + 400:
        return None
    early, late = np.median(rss_mib[first : first + 200]), np.median(rss_mib[-200:])
    return float(late / early - 1.0) if early > 0 else None
