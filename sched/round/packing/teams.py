"""TeamTable: what is kept of teams beside the table of jobs; a run whose policy does not pack has none.

A row is a pair of jobs of equal scale factor; a job alone has its row in the table of jobs. Both have an allocation, an
account of service and a priority of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from phasewise.sched.api import Bools, Floats, Ints, Leaf
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.errors import SchedulingError
from phasewise.sched.pair_rates import Kinds
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.workload.co_throughputs import CoRates

ALONE: Final = -1

_PAIRS: Final = ("x", "job_time_s", "deficit_s")
_RATES: Final = ("rate", "speed")
_JOBS: Final = ("partner", "account")


class TeamTable:
    """Pairs of active jobs, and which teams ran in the last round. P pairs, J jobs, W worker types.

    Parameters
    ----------
    rates
        How fast jobs are in pairs.
    types
        W.
    every_pair
        Whether every pair of equal scale factor has a row from the arrival of its second job on, as in the original;
        otherwise those that the allocation in force gives time.

    Attributes
    ----------
    row
        (P, 2) int64: the rows of the members in the table of jobs, ascending; pairs by their second member, then their
        first, which is the order in which the original comes to know them.
    x, job_time_s, deficit_s
        (P, W) as in the table of jobs, of the pair.
    rate, speed
        (P, W, 2) steps/s of each member, 0 where they cannot share; (P, W) the lesser of the two.
    partner
        (J,) id of the job with which each shared its GPUs in the last round, `ALONE` for none. It may be gone.
    account
        (J,) index of the request by which the nodes know what a job holds, alone or with its partner.
    """

    def __init__(self, rates: CoRates, types: int, *, every_pair: bool) -> None:
        self.rates, self.every_pair = rates, every_pair
        self.row = np.empty((0, 2), np.int64)
        self.x, self.job_time_s, self.deficit_s = (np.zeros((0, types)) for _ in _PAIRS)
        self.rate, self.speed = np.zeros((0, types, 2)), np.zeros((0, types))
        self.partner = self.account = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self.row)

    def kinds(self, jobs: JobTable) -> Kinds:
        """Return (J,) the measured kind of every job."""
        return self.rates.of(jobs.type_index, jobs.gpus, jobs.gpu_milli)

    def admit(self, jobs: JobTable, first: int) -> None:
        """Take in the jobs from row ``first`` on.

        Where every pair has a row, its account begins with nothing, and not with the prior that jobs are credited with:
        so in the original, and therefore a pair is owed that much more than a job when accounts close.
        """
        added = len(jobs) - first
        self.partner = np.append(self.partner, np.full(added, ALONE))
        self.account = np.append(self.account, jobs.request[first:])
        if not self.every_pair:
            return
        whole = jobs.gpu_milli == WHOLE_MILLI
        found = [np.empty((0, 2), np.int64)]
        for second in range(first, len(jobs)):
            alike = np.flatnonzero((jobs.scale_factor[:second] == jobs.scale_factor[second]) & whole[:second])
            if whole[second]:
                found.append(np.column_stack((alike, np.full(len(alike), second))))
        self._append(jobs, np.concatenate(found), 0.0)

    def take(self, jobs: JobTable, pairs: Ints, x: Floats, prior_s: float) -> None:
        """Make ``x`` (Q, W) the allocation in force of ``pairs`` (Q, 2), rows of jobs, ascending; others have none.

        Raises
        ------
        SchedulingError
            Where a pair cannot be a team: its members differ in scale factor, or do not take whole GPUs.
        """
        known = self._code(self.row, len(jobs))
        if self.every_pair:
            place = np.searchsorted(known, codes := self._code(pairs, len(jobs)))
            inside = place < len(known)
            if not (inside.all() and (known[place] == codes).all()):
                raise SchedulingError("a pair of jobs that cannot share their GPUs was given time")
            self.x[:] = 0.0
            self.x[place] = x
            return
        order = np.lexsort((pairs[:, 0], pairs[:, 1]))
        order = order[x[order].any(axis=1)]
        pairs, x, before = pairs[order], x[order], (self.job_time_s, self.deficit_s)
        codes = self._code(pairs, len(jobs))
        old = np.searchsorted(known, codes)
        same = np.flatnonzero(old < len(known))
        same = same[known[old[same]] == codes[same]]
        self.row = np.empty((0, 2), np.int64)
        self.x, self.job_time_s, self.deficit_s = (np.zeros((0, x.shape[1])) for _ in _PAIRS)
        self.rate, self.speed = np.zeros((0, x.shape[1], 2)), np.zeros((0, x.shape[1]))
        self._append(jobs, pairs, prior_s)
        self.x[:] = x
        self.job_time_s[same], self.deficit_s[same] = before[0][old[same]], before[1][old[same]]

    def _append(self, jobs: JobTable, pairs: Ints, prior_s: float) -> None:
        """Add rows, without an allocation."""
        kinds = self.kinds(jobs)
        rate = self.rates.between(kinds[pairs[:, 0]], kinds[pairs[:, 1]])
        alone = (jobs.throughput[pairs[:, 0]] > 0.0) & (jobs.throughput[pairs[:, 1]] > 0.0)
        self.row = np.concatenate((self.row, pairs))
        rate = np.where(alone[:, :, None], rate, 0.0)
        self.rate = np.concatenate((self.rate, rate))
        self.speed = np.concatenate((self.speed, rate.min(axis=2)))
        shape = (len(pairs), self.x.shape[1])
        self.x = np.concatenate((self.x, np.zeros(shape)))
        self.deficit_s = np.concatenate((self.deficit_s, np.zeros(shape)))
        self.job_time_s = np.concatenate((self.job_time_s, np.full(shape, prior_s)))

    def find(self, first: Ints, second: Ints, jobs: int) -> Ints:
        """Return (Q,) the rows of pairs that are in the table, given their members' rows (Q,) of ``jobs`` rows."""
        codes = self._code(np.column_stack((first, second)), jobs)
        found: Ints = np.searchsorted(self._code(self.row, jobs), codes)
        return found

    @staticmethod
    def _code(pairs: Ints, jobs: int) -> Ints:
        """Return (Q,) one number a pair, ascending in the order of rows."""
        codes: Ints = pairs[:, 1] * jobs + pairs[:, 0]
        return codes

    def remove(self, new_row: Ints) -> None:
        """Drop the jobs whose new row (J_old,) is -1, with all their pairs."""
        stays = new_row >= 0
        for name in _JOBS:
            setattr(self, name, getattr(self, name)[stays])
        row = new_row[self.row]
        kept = (row >= 0).all(axis=1)
        self.row = row[kept]
        for name in (*_PAIRS, *_RATES):
            setattr(self, name, getattr(self, name)[kept])

    def partner_rows(self, job_id: Ints) -> Ints:
        """Return (J,) the row of each job's partner of the last round, `ALONE` where it had none or that is gone."""
        return rows_of(self.partner, job_id)

    def is_shared(self, job_id: Ints) -> Bools:
        """Return (J,) whether each job of the last round shares its GPUs still."""
        shared: Bools = self.partner_rows(job_id) != ALONE
        return shared

    def written(self) -> dict[str, Leaf]:
        """Return a copy of everything by name."""
        return {name: getattr(self, name).copy() for name in ("row", *_RATES, *_PAIRS, *_JOBS)}

    def restore(self, leaves: Mapping[str, Leaf]) -> None:
        """Become the table that was written down."""
        for name, leaf in leaves.items():
            setattr(self, name, np.array(leaf))


def rows_of(ids: Ints, job_id: Ints) -> Ints:
    """Return the row in ``job_id`` (J,), ascending, of each of ``ids``, `ALONE` where it is not there."""
    if not len(job_id):
        return np.full(len(ids), ALONE)
    place = np.minimum(np.searchsorted(job_id, ids), len(job_id) - 1)
    return np.where(job_id[place] == ids, place, ALONE)
