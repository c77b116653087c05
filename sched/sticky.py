"""Who is being served where: what policies remember in which a job keeps its type until it completes."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from phasewise.sched.api import Ints


class Served(NamedTuple):
    """Read-only, in order of job id. Any tuple of the two will do.

    Attributes
    ----------
    job_id
        (K,) int64, ascending.
    worker_type
        (K,) int64, index of the type that serves the job.
    """

    job_id: Ints
    worker_type: Ints

    @classmethod
    def of(cls, job_id: Ints, worker_type: Ints) -> Self:
        """Return what is to be remembered; the arrays are not to be written to any more."""
        job_id.flags.writeable = False
        worker_type.flags.writeable = False
        return cls(job_id, worker_type)

    @classmethod
    def ordered(cls, job_id: Ints, worker_type: Ints) -> Self:
        """Return what is to be remembered of jobs in any order; the arrays are not to be written to any more."""
        if not (job_id[1:] > job_id[:-1]).all():
            order = np.argsort(job_id, kind="stable")
            job_id, worker_type = job_id[order], worker_type[order]
        return cls.of(job_id, worker_type)


def still_served(job_id: Ints, memory: object, policy: str) -> Ints:
    """Return (J,) the type that serves each of ``job_id`` (J,), in any order, so far, -1 for those that wait.

    Raises
    ------
    TypeError
        If ``memory`` is neither None nor what ``policy`` returned.
    """
    served = np.full(job_id.size, -1, dtype=np.int64)
    if memory is None:
        return served
    if not isinstance(memory, tuple) or len(memory) != len(Served._fields):
        raise TypeError(f"policy {policy} was given the memory of another policy: {type(memory).__name__}")
    before, worker_type = memory
    if len(before):
        there = np.minimum(np.searchsorted(before, job_id), len(before) - 1)
        served = np.where(before[there] == job_id, worker_type[there], -1)
    return served
