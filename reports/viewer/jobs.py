"""The jobs of a run: what they are, when they were in the system, and the kinds by which a page colours them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phasewise.reports import palette
from phasewise.reports.columns import ColumnTable
from phasewise.reports.errors import RunDirectoryError
from phasewise.reports.run_directory import Run
from phasewise.reports.viewer.slots import Stays

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST_JOB_ID = (1 << 32) - 1
MOST_SHARE = (1 << 16) - 1
_UNKNOWN = "not recorded"
_NEVER = 1 << 30  # a round after every run's last
_KINDS = len(palette.CYCLE) - 1  # kinds of jobs with a colour of their own; one colour is for the rest


@dataclass(frozen=True, slots=True)
class JobKind:
    """Job types that share a colour: its name in the legend, the colour's name, and how many jobs there are."""

    label: str
    colour: str
    jobs: int


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of a run, J of them, in ascending order of id.

    Attributes
    ----------
    job_id
        (J,) int64.
    job_types, type_index
        Names, and (J,) which of them.
    arrival_s
        (J,) simulated seconds, rounded to whole ones.
    first_round, end_round
        (J,) first round in which it is in the system, and first in which it no longer is.
    gpu_milli
        (J,) thousandths of a GPU that it asks for in all.
    rho_milli
        (J,) finish-time fairness in thousandths, 0 where it is not known.
    """

    job_id: Ints
    job_types: Sequence[str]
    type_index: Ints
    arrival_s: Ints
    first_round: Ints
    end_round: Ints
    gpu_milli: Ints
    rho_milli: Ints


def read_jobs(run: Run, held: Ints, stays: Stays, sim_time_s: Floats) -> Jobs:
    """Return the jobs of the table, and those that held a GPU but never came into it because their run was killed.

    Parameters
    ----------
    held
        (H,) ids of the jobs that held a GPU, ascending.
    stays
        What they held; ``job`` is an index into ``held``.
    sim_time_s
        (R,) start of each round.

    Raises
    ------
    RunDirectoryError
        Where the table of jobs lacks a column or holds something else than numbers.
    """
    table = JobTable.read(run.jobs, held)
    rounds = len(sim_time_s)
    first_held, last_held = np.full(len(table.job_id), rounds), np.zeros(len(table.job_id), np.int64)
    index = np.searchsorted(table.job_id, held)[stays.job]
    np.minimum.at(first_held, index, stays.start)
    np.maximum.at(last_held, index, stays.end)
    arrival_s = table.numbers("arrival_s")
    arrival_s = np.where(np.isnan(arrival_s), sim_time_s[np.minimum(first_held, rounds - 1)], arrival_s)
    job_types, type_index = np.unique(table.words("job_type", _UNKNOWN), return_inverse=True)
    names = [str(name) for name in job_types]
    return Jobs(
        job_id=table.job_id,
        job_types=names,
        type_index=type_index,
        arrival_s=np.clip(np.rint(arrival_s), 0, MOST_JOB_ID).astype(np.int64),
        first_round=np.searchsorted(sim_time_s, arrival_s, "left"),
        end_round=_end_rounds(table, last_held, sim_time_s),
        gpu_milli=np.clip(table.numbers("gpu_milli", 1000.0), 0, _NEVER).astype(np.int64),
        rho_milli=np.clip(np.rint(1000.0 * table.numbers("rho", 0.0)), 0, _NEVER).astype(np.int64),
    )


def _end_rounds(table: JobTable, last_held: Ints, sim_time_s: Floats) -> Ints:
    """Return (J,) the first round in which a job is no longer there.

    A job is there in the rounds that start before it ends. Where a table of schema 1 does not say when a failed or
    refused job left, it is taken to leave with its last GPU.
    """
    completion_s = table.numbers("completion_s", np.inf)
    end_s = table.numbers("end_s")
    told = np.isfinite(end_s)
    end = np.searchsorted(sim_time_s, np.where(told, end_s, completion_s), "left")
    status = table.words("status", "active")
    gone = (status == "failed") | (status == "refused")
    return np.where(gone & ~told, last_held, end)


@dataclass(frozen=True, slots=True)
class JobTable:
    """The table of jobs by ascending id, with rows that know nothing but the id for the jobs that it lacks.

    Attributes
    ----------
    job_id
        (J,) int64, ascending.
    table
        As the run wrote it.
    row
        (J,) row of the table, -1 where there is none.
    """

    job_id: Ints
    table: ColumnTable
    row: Ints

    @classmethod
    def read(cls, table: ColumnTable, held: Ints) -> JobTable:
        """Return the jobs of ``table`` and those of ``held``, (H,) ids of jobs that may not have come into it."""
        known, row = np.unique(whole_numbers(table, "job_id", MOST_JOB_ID), return_index=True)
        lost = np.setdiff1d(held, known)
        every = np.concatenate((known, lost))
        order = np.argsort(every)
        return cls(every[order], table, np.concatenate((row, np.full(len(lost), -1)))[order])

    def numbers(self, name: str, absent: float = np.nan) -> Floats:
        """Return (J,) a column as float64, ``absent`` where it says nothing."""
        found = np.append(self.table.numbers(name), np.nan)[self.row]
        return np.where(np.isfinite(found), found, absent)

    def words(self, name: str, absent: str) -> npt.NDArray[np.str_]:
        """Return (J,) a column as text, ``absent`` where it says nothing."""
        return np.array([*(value or absent for value in self.table.strings(name)), absent])[self.row]


def whole_numbers(table: ColumnTable, name: str, most: int = _NEVER) -> Ints:
    """Return a column as int64; raises `RunDirectoryError` where it is not whole numbers from 0 to ``most``."""
    values = table.numbers(name)
    wrong = ~((values >= 0) & (values <= most) & (values == np.floor(values)))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise RunDirectoryError(
            f"{table.path}: column {name!r} is {values[row]:g} in row {row}; a whole number from 0 to {most} is due"
        )
    return values.astype(np.int64)


@dataclass(frozen=True, slots=True)
class Kinds:
    """What the legend of a page shows: one for all of its runs, so that a colour means the same in each.

    Attributes
    ----------
    of_run
        For each run the kinds, in the same order, with the run's own numbers of jobs.
    index
        For each run (J,) the kind of each job.
    """

    of_run: Sequence[Sequence[JobKind]]
    index: Sequence[Ints]


def kinds_of(runs: Sequence[Jobs]) -> Kinds:
    """Return the kinds of the jobs of ``runs``, most frequent first.

    Where there are more types than colours, those that differ only in what stands in brackets are one kind, and the
    rarest kinds are one.
    """
    short = len({name for jobs in runs for name in jobs.job_types}) > _KINDS
    labels = [[name.partition(" (")[0] if short else name for name in jobs.job_types] for jobs in runs]
    total: Counter[str] = Counter()
    for jobs, names in zip(runs, labels, strict=True):
        for label, number in zip(names, np.bincount(jobs.type_index, minlength=len(names)).tolist(), strict=True):
            total[label] += number
    ranked = sorted(total, key=lambda label: (-total[label], label))
    own = {label: index for index, label in enumerate(ranked[:_KINDS])}
    index = [
        np.array([own.get(label, _KINDS) for label in names], np.int64)[jobs.type_index]
        for jobs, names in zip(runs, labels, strict=True)
    ]
    rest = len(ranked) - len(own)
    shown = [*own, *([f"{rest} other type{'s' if rest > 1 else ''}"] if rest else [])]
    return Kinds([_counted(shown, kind) for kind in index], index)


def _counted(labels: Sequence[str], index: Ints) -> list[JobKind]:
    jobs = np.bincount(index, minlength=len(labels)).tolist()
    colours = palette.job_type_colours(labels[:_KINDS]) + [palette.REST] * (len(labels) > _KINDS)
    return [JobKind(label, colour, number) for label, colour, number in zip(labels, colours, jobs, strict=True)]
