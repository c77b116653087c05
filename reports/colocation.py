"""Who shared GPUs with whom: hours of every pair of job types, as a heat map, of a run whose policy packs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from phasewise.reports.errors import RunDirectoryError
from phasewise.reports.run_directory import Run

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CELL: Final = 34.0  # of the picture, in its own units
LEFT: Final = 190.0  # for the names
TOP: Final = 14.0
BOTTOM: Final = 26.0
_MOST_TYPES: Final = 12  # with more, families are shown: the name without what stands in brackets
_HOUR_S: Final = 3600.0
_WHOLE: Final = 1000  # of a GPU, milli


@dataclass(frozen=True, slots=True)
class Cell:
    """A pair of job types in the picture.

    Attributes
    ----------
    x, y
        Its corner.
    share
        Of the largest figure of all pairs, from 0 to 1.
    title
        What it says.
    """

    x: float
    y: float
    share: float
    title: str


@dataclass(frozen=True, slots=True)
class Colocation:
    """Hours in which jobs of two types held the same GPU, GPU by GPU.

    Attributes
    ----------
    names
        (K,) job types, or families of them, those that shared most first.
    hours
        (K, K) GPU-hours, symmetric; of a type with itself, each hour once.
    """

    names: Sequence[str]
    hours: Floats

    @property
    def total_h(self) -> float:
        """GPU-hours that were shared."""
        return float(np.triu(self.hours).sum())

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the picture."""
        side = CELL * len(self.names)
        return LEFT + side, TOP + side + BOTTOM

    @property
    def labels(self) -> Iterator[tuple[float, str, str]]:
        """Yield for each type its place along either axis, its number, and its name."""
        for index, name in enumerate(self.names):
            yield CELL * (index + 0.5), str(index + 1), name

    @property
    def cells(self) -> Iterator[Cell]:
        """Yield the cells of the picture."""
        largest = float(self.hours.max())
        for (row, column), hours in np.ndenumerate(self.hours):
            title = f"{self.names[row]} with {self.names[column]}: {hours:,.1f} GPU-hours"
            yield Cell(LEFT + CELL * column, TOP + CELL * row, float(hours) / largest, title)

    @property
    def rows(self) -> list[list[object]]:
        """The figures for a file: a head, then a row a pair."""
        pairs = zip(*np.triu_indices(len(self.names)), strict=True)
        head: list[object] = ["job type", "shares with", "time (GPU-hours)"]
        return [head, *([self.names[int(a)], self.names[int(b)], float(self.hours[a, b])] for a, b in pairs)]


def colocation(run: Run) -> Colocation | None:
    """Return who shared GPUs with whom; None of a run whose policy does not pack, or in which nobody shared.

    Raises
    ------
    RunDirectoryError
        Where a table of the run cannot be read.
    """
    rounds = run.rounds
    if "teams" not in rounds or not (rounds.numbers("teams") > 0).any() or not len(run.placements):
        return None
    first, second, hours = _shared(run)
    if not len(hours):
        return None
    names = _names(run, np.concatenate((first, second)))
    kinds = sorted(set(names.values()))
    place = {name: index for index, name in enumerate(kinds)}
    table = np.zeros((len(kinds), len(kinds)))
    for a, b, shared_h in zip(first.tolist(), second.tolist(), hours.tolist(), strict=True):
        one, other = place[names[a]], place[names[b]]
        table[one, other] += shared_h
        if one != other:
            table[other, one] += shared_h
    order = np.argsort(-table.sum(axis=1), kind="stable")
    return Colocation([kinds[index] for index in order], table[np.ix_(order, order)])


def untold(run: Run) -> str:
    """Return why a run in which jobs shared GPUs does not say who shared with whom; empty where it does, or none did.

    Raises
    ------
    RunDirectoryError
        Where a table of the run cannot be read.
    """
    rounds = run.rounds
    if "teams" not in rounds or not (rounds.numbers("teams") > 0).any() or len(run.placements):
        return ""
    return "Who shared GPUs with whom is not known: the run kept no placements (output.placements = false)."


def _shared(run: Run) -> tuple[Ints, Ints, Floats]:
    """Return (P,) two jobs that held the same GPU at the same time, and for how many hours."""
    stays = {name: run.placements.numbers(name).astype(np.int64) for name in _STAY}
    halved = stays["share_milli"] < _WHOLE
    order = np.lexsort((stays["start_round"], stays["gpu"], stays["node"]))
    order = order[halved[order]]
    node, gpu, start, end, job = (stays[name][order] for name in ("node", "gpu", "start_round", "end_round", "job_id"))
    begins_s, ends_s = run.rounds.numbers("sim_time_s"), run.rounds.numbers("end_s")
    end = np.minimum(end, len(ends_s))
    found: list[tuple[Ints, Ints, Floats]] = []
    for apart in range(1, len(job)):  # of the same GPU, sorted by start: those further apart overlap less and less
        one, other = slice(None, -apart), slice(apart, None)
        meet = (node[one] == node[other]) & (gpu[one] == gpu[other]) & (start[other] < end[one])
        if not meet.any():
            break
        last = np.minimum(end[one], end[other])[meet]
        hours = (ends_s[last - 1] - begins_s[start[other][meet]]) / _HOUR_S
        found.append((job[one][meet], job[other][meet], hours))
    if not found:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    first, second, hours = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return first, second, hours


_STAY: Final = ("job_id", "node", "gpu", "share_milli", "start_round", "end_round")


def _names(run: Run, job_ids: Ints) -> Mapping[int, str]:
    """Return what the job of each id is called in the picture: its type, or its family where there are many types."""
    wanted = set(job_ids.tolist())
    types = {
        job_id: kind or "unknown"
        for job_id, kind in zip(
            run.jobs.numbers("job_id").astype(np.int64).tolist(), run.jobs.strings("job_type"), strict=True
        )
        if job_id in wanted
    }
    if missing := wanted - types.keys():
        raise RunDirectoryError(f"{run.jobs.path}: job {min(missing)} of placements.parquet has no row")
    if len(set(types.values())) <= _MOST_TYPES:
        return types
    return {job_id: kind.partition(" (")[0] for job_id, kind in types.items()}
