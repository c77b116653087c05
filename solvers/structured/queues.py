"""The least sum of completion times on queues: exact, integral, with potentials that prove it.

Jobs of one GPU each wait for GPUs of several types. A job at position k from the end of a GPU's queue holds up itself
and the k - 1 behind it: it adds k c_ij to the sum of completion times, c_ij its duration on type j. Which job goes to
which position is a transport with N_j jobs to a position of type j. `docs/explanation/structured-solvers.md` derives
the method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from phasewise.profiling.jit.layouts import IntVector, Matrix, Vector, laid_out
from phasewise.solvers.structured import queue_kernels
from phasewise.solvers.structured.queue_kernels import NOWHERE, Paths, Places, fill_queues, least_payments

KERNELS: Final = queue_kernels.KERNELS


@dataclass(frozen=True, slots=True)
class Queued:
    """An optimal transport with the potentials that prove it.

    Attributes
    ----------
    kind
        (J,) the type whose queues each job waits in; `NOWHERE` for one that can run nowhere.
    rank
        (J,) its position from the end, 1 for the last; 0 for one that can run nowhere.
    first, price
        (W + 1,) and (P,): ``price[first[j] + k - 1]``, at least 0, is the price of position k of type j.
    payments
        (J,) what each job pays at these prices, 0 for one that can run nowhere.
    cost, bound
        The sum of k c_ij over jobs, and what the prices prove: no transport costs less.
    looks
        How many jobs were looked at on shortest paths.
    """

    kind: IntVector
    rank: IntVector
    first: IntVector
    price: Vector
    payments: Vector
    cost: float
    bound: float
    looks: int

    def deepest(self, gpus: IntVector) -> IntVector:
        """Return (J,) the type that each job starts on now, `NOWHERE` for those that wait.

        Of a type's N_j queues, ``gpus`` (W,), each starts with its deepest job. Which job stands before which in a
        queue costs nothing: the N_j jobs of the largest positions start, of equal ones the first.
        """
        starts = np.full(self.kind.size, NOWHERE)
        order = np.lexsort((-self.rank, self.kind))
        order = order[self.kind[order] != NOWHERE]
        kind = self.kind[order]
        place = np.arange(order.size) - np.searchsorted(kind, kind)
        now = place < gpus[kind]
        starts[order[now]] = kind[now]
        return starts


def fill(cost: Matrix, gpus: IntVector) -> Queued:
    """Return the transport of all jobs to positions that costs least in all.

    Parameters
    ----------
    cost
        (J, W) c_ij > 0, the duration of job i on type j; infinite where it may not run.
    gpus
        (W,) N_j >= 0, free GPUs: queues of each type.
    """
    cost = laid_out(np.where(gpus > 0, cost, np.inf))
    least = cost.min(axis=1, initial=np.inf)
    order = np.argsort(-least, kind="stable")
    order = order[np.isfinite(least[order])]
    places, paths = _nobody_anywhere(cost.shape, order.size, gpus)
    looks = fill_queues(cost, order, places, paths) if order.size else 0
    kind, rank = np.full(cost.shape[0], NOWHERE), np.zeros(cost.shape[0], dtype=np.int64)
    kind[order] = places.kind[places.spot[order]]
    rank[order] = places.spot[order] - places.first[kind[order]] + 1
    paid = float(np.sum(rank[order] * cost[order, kind[order]]))
    bound, payments = proven(cost, gpus, places.first, places.price)
    return Queued(kind, rank, places.first, places.price, payments, paid, bound, looks)


def proven(cost: Matrix, gpus: IntVector, first: IntVector, price: Vector) -> tuple[float, Vector]:
    """Return what ``price`` (P,), at least 0, proves: no transport costs less; and (J,) what each job pays.

    A job pays min_jk (k c_ij + price): its place in the dual of the transport, 0 where it can run nowhere.
    """
    places = np.empty(cost.shape[0])
    paid = least_payments(laid_out(cost), first, laid_out(price), places)
    return paid - float(np.repeat(gpus, np.diff(first)) @ price), places


def _nobody_anywhere(shape: tuple[int, int], waiting: int, gpus: IntVector) -> tuple[Places, Paths]:
    """Return all places that ``waiting`` of (J,) jobs may need, empty and without a price, and no paths."""
    room = np.minimum(gpus, max(waiting, 1))
    deep = np.where(room > 0, -(-waiting // np.maximum(room, 1)) + 1, 0)
    first = np.concatenate(([0], np.cumsum(deep)))
    total = int(first[-1])
    kind = np.repeat(np.arange(room.size), deep)
    slot = np.concatenate(([0], np.cumsum(room[kind])))[:-1] if total else np.zeros(0, dtype=np.int64)
    members = np.zeros(int(room @ deep), dtype=np.int64)
    nowhere = np.full(shape[0], NOWHERE)
    places = Places(
        first, room, first[:-1].copy(), kind, np.zeros(total), np.zeros(total, dtype=np.int64), members, slot,
        nowhere, nowhere.copy(), np.zeros(shape, dtype=np.int64),
    )  # fmt: skip
    numbers = np.zeros((4, total), dtype=np.int64)
    numbers[2] = NOWHERE
    paths = Paths(np.full(total, np.inf), np.zeros(total), numbers[0], numbers[1], numbers[2], numbers[3])
    return places, paths
