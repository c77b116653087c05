"""What is counted in each round of a run: how much of each worker type is held, and who waits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phasewise.reports.viewer.jobs import Jobs
from phasewise.reports.viewer.occupancy import Occupancy
from phasewise.reports.viewer.slots import Stays

Ints = npt.NDArray[np.int64]

_WHOLE = 1000  # thousandths: no GPU counts for more, however often it is given out


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of each of R rounds.

    Attributes
    ----------
    held_milli
        (R, T) thousandths of a GPU that jobs hold, by worker type.
    waiting
        (R, K) jobs in the system that hold nothing, by kind of job.
    waiting_milli
        (R,) thousandths of a GPU that they ask for.
    """

    held_milli: Ints
    waiting: Ints
    waiting_milli: Ints


def count_rounds(occupancy: Occupancy, kind: Ints, kinds: int) -> Counts:
    """Return the counts of a run.

    Parameters
    ----------
    kind
        (J,) kind of each job, 0 to ``kinds`` - 1.
    """
    jobs, rounds = occupancy.jobs, occupancy.rounds
    job, first, end = _waits(jobs, occupancy.held.stays, rounds)
    asked = jobs.gpu_milli[job]
    return Counts(
        _held_milli(occupancy),
        _sums(first, end, kind[job], np.ones(len(job), np.int64), (rounds, kinds)),
        _sums(first, end, np.zeros(len(job), np.int64), asked, (rounds, 1))[:, 0],
    )


def _held_milli(occupancy: Occupancy) -> Ints:
    """Return (R, T) what is held. A GPU whose shares add up to more than it has counts once."""
    held, cluster = occupancy.held, occupancy.cluster
    stays = held.stays
    type_of_gpu = np.repeat(
        np.repeat(np.arange(len(cluster.worker_types)), cluster.nodes_per_type), cluster.gpus_per_node
    )
    shape = (occupancy.rounds, len(cluster.worker_types))
    together = held.slots_per_gpu[stays.gpu] > 1
    alone = stays.take(~together)
    result = _sums(alone.start, alone.end, type_of_gpu[alone.gpu], np.minimum(alone.share_milli, _WHOLE), shape)
    start, gpu, milli = _changes(stays.take(together))
    never = np.full(len(start), occupancy.rounds)
    return result + _sums(start, never, type_of_gpu[gpu], milli, shape)


def _changes(stays: Stays) -> tuple[Ints, Ints, Ints]:
    """Return rounds, GPUs and by how much what is held of the GPU changes there, thousandths."""
    at = np.concatenate((stays.start, stays.end))
    gpu = np.concatenate((stays.gpu, stays.gpu))
    order = np.lexsort((at, gpu))
    at, gpu = at[order], gpu[order]
    # Every stay ends, so the sum over the GPUs in their order begins anew with each of them.
    total = np.cumsum(np.concatenate((stays.share_milli, -stays.share_milli))[order])
    last = np.append((np.diff(at) != 0) | (np.diff(gpu) != 0), True)[: len(at)]
    return at[last], gpu[last], np.diff(np.minimum(total[last], _WHOLE), prepend=0)


def _waits(jobs: Jobs, stays: Stays, rounds: int) -> tuple[Ints, Ints, Ints]:
    """Return job, first round and the round after the last of each stretch in which a job is there with nothing."""
    order = np.argsort(stays.job * (rounds + 1) + stays.start, kind="stable")
    job = stays.job[order]
    base = job * (rounds + 1)  # keeps the jobs apart in one running maximum
    start = base + stays.start[order]
    busy_until = np.maximum.accumulate(base + stays.end[order])
    begins = np.append(True, start[1:] > busy_until[:-1])[: len(job)]
    ends = np.append(begins[1:], True)[: len(job)]
    # A job waits until its first stay, between stays, and from the last one until it is gone, in the order of time.
    every = np.arange(len(jobs.job_id))
    owner = np.concatenate((every, job[ends]))
    gap = np.argsort(owner, kind="stable")
    free_from = np.concatenate((jobs.first_round, (busy_until - base)[ends]))[gap]
    gap_end = np.argsort(np.concatenate((job[begins], every)), kind="stable")
    until = np.concatenate(((start - base)[begins], np.full(len(every), rounds)))[gap_end]
    owner = owner[gap]
    first = np.maximum(free_from, jobs.first_round[owner])
    end = np.minimum(until, jobs.end_round[owner])
    some = end > first
    return owner[some], first[some], end[some]


def _sums(first: Ints, end: Ints, column: Ints, amount: Ints, shape: tuple[int, int]) -> Ints:
    """Return ``shape`` sums, by round and column, of the amounts that last from ``first`` to before ``end``."""
    rounds, columns = shape
    cells = (rounds + 1) * columns
    begun = np.bincount(first * columns + column, amount, cells)
    ended = np.bincount(end * columns + column, amount, cells)
    return np.cumsum((begun - ended).reshape(rounds + 1, columns), axis=0)[:rounds].astype(np.int64)
