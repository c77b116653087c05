"""RoundLog: the figures of each round in fixed arrays, given out in chunks as columns of `rounds.parquet`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Any

import numpy as np
import numpy.typing as npt

from phasewise.profiling.environment import MIB, rss_mib
from phasewise.profiling.phases import ACCOUNTS, NANOSECONDS, OTHER, PhaseProfile, PhaseTotals
from phasewise.sched.round.outcome import USE, RoundOutcome, Sharing, use_figures
from phasewise.solvers.api import Solution

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_COUNTS = ("round", "active", "running", "queued", "completed", "moves", "lp_solved", "lp_jobs", "lp_iterations")
_LP_FIGURES = ("lp_objective", "lp_gap", "lp_utilization", "lp_utilization_ceiling")
_FIGURES = ("sim_time_s", "end_s", "utilization", *USE, "migration_s", "teams", "sharing_gain", *_LP_FIGURES, "rss_mib")
RSS_EVERY = 16  # rounds between two readings of the memory in use: a reading costs as much as a phase
WALL_COLUMNS = tuple(f"{name}_s" if name == OTHER else f"phase_{name}_s" for name in ACCOUNTS)
CPU_COLUMNS = tuple(f"{name}_cpu_s" if name == OTHER else f"phase_{name}_cpu_s" for name in ACCOUNTS)
MEMORY_COLUMNS = tuple(f"{name}_rss_mib" if name == OTHER else f"phase_{name}_rss_mib" for name in ACCOUNTS)
_NO_VALUE = float("nan")


@dataclass(slots=True)
class LogAccount:
    """What a `RoundLog` holds behind a chunk.

    Attributes
    ----------
    before_ns
        Times since the last PROFILE line, nanoseconds, as the log has them.
    named_since_line
        What further names make of them.
    utilization
        Share of the GPU time of the last round that jobs used.
    """

    before_ns: Ints
    named_since_line: PhaseTotals
    utilization: float


class RoundLog:
    """The rounds since the last chunk. W worker types.

    A round is added when it happened and timed when its profile is known, one round later; only timed rounds are given
    out. The columns of times are those of the nine phases and ``other``. An account of another name, as a plug-in may
    open one, counts under ``other`` there; the profiles that are given out have it by its name.

    Parameters
    ----------
    worker_types
        (W,) names, for the columns ``utilization_<type>``.
    capacity
        (W,) GPUs of each type.
    rounds
        Rounds in a chunk.
    """

    def __init__(self, worker_types: tuple[str, ...], capacity: Floats, rounds: int) -> None:
        self._per_type = tuple(f"utilization_{name}" for name in worker_types)
        self._capacity = capacity.tolist()
        self._counts = np.zeros((rounds, len(_COUNTS)), np.int64)
        self._figures = np.zeros((rounds, len(_FIGURES) + len(worker_types)))
        self._times_ns = np.zeros((rounds, 3 * len(ACCOUNTS)), np.int64)
        self._grown_mib = np.full((rounds, len(ACCOUNTS)), _NO_VALUE)
        # Writing a row of Python's numbers so takes a third of the time of assigning it.
        self._count = _row_writer(self._counts)
        self._figure = _row_writer(self._figures)
        self._time = _row_writer(self._times_ns)
        self._rebuilds: list[str | None] = []
        self._added = self._timed = self._since_line = 0
        self._before_ns = np.zeros(3 * len(ACCOUNTS), np.int64)
        self._named, self._named_since_line = (
            PhaseTotals(),
            PhaseTotals(),
        )  # what makes `other` of the rows further names
        self._rss_mib = rss_mib()
        self.utilization = 0.0
        self.utilization_by_type: list[float] = [0.0] * len(worker_types)

    @property
    def holds(self) -> bool:
        """Whether there are rounds that were not taken yet."""
        return self._added > 0

    @property
    def full(self) -> bool:
        """Whether a chunk must be taken before another round is added."""
        return self._added == len(self._counts)

    @property
    def untimed(self) -> bool:
        """Whether a round was added that has no times yet."""
        return self._timed < self._added

    def add(self, outcome: RoundOutcome, completed: int) -> None:
        """Add a round; ``completed`` counts all jobs that have completed so far."""
        row, active = self._added, len(outcome.job_id)
        solutions = outcome.news.allocation.solutions if outcome.news.allocation is not None else ()
        last: Solution | None = solutions[-1] if solutions else None
        self._count(
            row,
            outcome.round_index,
            active,
            outcome.running,
            active - outcome.running,
            completed,
            outcome.moves,
            len(solutions),
            last.x.shape[0] if last is not None else 0,
            sum([solution.iterations for solution in solutions]),
        )
        if outcome.round_index % RSS_EVERY == 0:
            self._rss_mib = rss_mib()
        offered_s = outcome.end_s - outcome.start_s
        scale = 1.0 / offered_s if offered_s > 0.0 else 0.0
        used = zip(outcome.busy_gpu_s, self._capacity, strict=True)
        self.utilization_by_type = by_type = [busy_s * scale / gpus for busy_s, gpus in used]
        self.utilization = outcome.utilization
        self._figure(
            row,
            outcome.start_s,
            outcome.end_s,
            self.utilization,
            *[_NO_VALUE if value is None else value for value in use_figures(outcome.use)],
            outcome.migration.job_s,
            *_sharing(outcome.shared),
            *_lp_figures(last),
            self._rss_mib,
            *by_type,
        )
        self._rebuilds.append(str(last.rebuild) if last is not None and last.rebuild is not None else None)
        self._added += 1

    def time(self, profile: PhaseProfile) -> None:
        """Set the times of the oldest round that has none."""
        if len(profile.accounts) > len(ACCOUNTS):
            profile = self._folded(profile)
        self._time(self._timed, *profile.wall_ns, *profile.cpu_ns, *profile.entries)
        if profile.grown:
            self._grown_mib[self._timed] = np.array(profile.grown) / MIB
        self._timed += 1

    def _folded(self, profile: PhaseProfile) -> PhaseProfile:
        """Return the profile with further accounts added to `other`, and note what takes them out of it again."""
        own = len(ACCOUNTS)
        wall_ns, cpu_ns = sum(profile.wall_ns[own:]), sum(profile.cpu_ns[own:])
        nothing = (0,) * (own - 1)
        named = PhaseProfile(
            profile.accounts,
            (-wall_ns, *nothing, *profile.wall_ns[own:]),
            (-cpu_ns, *nothing, *profile.cpu_ns[own:]),
            (0, *nothing, *profile.entries[own:]),
        )
        self._named.add(named)
        self._named_since_line.add(named)
        other_wall_ns, *wall = profile.wall_ns[:own]
        other_cpu_ns, *cpu = profile.cpu_ns[:own]
        return PhaseProfile(
            ACCOUNTS,
            (other_wall_ns + wall_ns, *wall),
            (other_cpu_ns + cpu_ns, *cpu),
            profile.entries[:own],
            profile.grown,
        )

    def since_last_line(self) -> PhaseProfile:
        """Return the times added up since the last call of this method."""
        total_ns = self._before_ns + self._times_ns[self._since_line : self._timed].sum(axis=0)
        self._before_ns = np.zeros_like(total_ns)
        self._since_line = self._timed
        return _unfolded(total_ns, self._named_since_line)

    def take(self) -> tuple[dict[str, npt.NDArray[np.generic] | list[str | None]], PhaseProfile]:
        """Return the timed rounds as columns, with their times added up, and forget them."""
        end = self._timed
        columns: dict[str, npt.NDArray[np.generic] | list[str | None]] = {}
        for index, name in enumerate(_COUNTS):
            columns[name] = self._counts[:end, index].copy()
        for index, name in enumerate((*_FIGURES, *self._per_type)):
            columns[name] = self._figures[:end, index].copy()
        columns["lp_rebuild"] = self._rebuilds[:end]
        seconds = self._times_ns[:end] / NANOSECONDS
        for index, name in enumerate((*WALL_COLUMNS, *CPU_COLUMNS)):
            columns[name] = seconds[:, index]
        for index, name in enumerate(MEMORY_COLUMNS):
            columns[name] = self._grown_mib[:end, index].copy()
        total = _unfolded(self._times_ns[:end].sum(axis=0), self._named)
        self._before_ns += self._times_ns[self._since_line : end].sum(axis=0)
        self._keep_from(end)
        return columns, total

    def kept(self) -> LogAccount:
        """Return what the log holds behind a chunk, with every round timed and taken."""
        return LogAccount(self._before_ns, self._named_since_line, self.utilization)

    def refill(self, account: LogAccount) -> None:
        """Go on as the log did of which this was kept."""
        self._before_ns, self._named_since_line = account.before_ns, account.named_since_line
        self.utilization = account.utilization

    def _keep_from(self, end: int) -> None:
        """Move the rounds that are not timed yet (one at most) to the front."""
        for table in (self._counts, self._figures):
            table[: self._added - end] = table[end : self._added]
        self._rebuilds = self._rebuilds[end:]
        self._added -= end
        self._timed = self._since_line = 0


def _row_writer(table: npt.NDArray[Any]) -> Callable[..., None]:
    """Return what writes the numbers of a row into ``table`` (R, C), given the row and C numbers."""
    code = "q" if table.dtype.kind == "i" else "d"
    pack_into, row_bytes = Struct(f"={table.shape[1]}{code}").pack_into, table.strides[0]
    buffer = table.data

    def write(row: int, *numbers: float) -> None:
        pack_into(buffer, row * row_bytes, *numbers)

    return write


def _sharing(shared: Sharing | None) -> tuple[float, float]:
    """Return how many teams there were, and their mean gain."""
    if shared is None:
        return _NO_VALUE, _NO_VALUE
    return float(shared.teams), shared.gain / shared.teams if shared.teams else _NO_VALUE


def _lp_figures(solution: Solution | None) -> tuple[float, float, float, float]:
    """Return the values of `_LP_FIGURES`."""
    if solution is None:
        return _NO_VALUE, _NO_VALUE, _NO_VALUE, _NO_VALUE
    gap, ceiling = solution.gap, solution.utilization_ceiling
    return (
        solution.objective,
        _NO_VALUE if gap is None else gap,
        solution.utilization,
        _NO_VALUE if ceiling is None else ceiling,
    )


def _unfolded(total_ns: Ints, named: PhaseTotals) -> PhaseProfile:
    """Return a sum of rows as a profile, with the accounts of further names that are in it, and forget these."""
    wall_ns, cpu_ns, entries = total_ns.reshape(3, len(ACCOUNTS)).tolist()
    named.add(PhaseProfile(ACCOUNTS, tuple(wall_ns), tuple(cpu_ns), tuple(entries)))
    return named.take()
