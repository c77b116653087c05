"""First in, first out: each job on a random type with room, where it stays, or anew on the fastest one, or packed."""

from __future__ import annotations

import random
from typing import Annotated, ClassVar

import msgspec
import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Solve, TypeOrder
from phasewise.sched.errors import SchedulingError
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.registry import register_policy
from phasewise.sched.sharing import ALONE, kept_rates
from phasewise.sched.sticky import Served, still_served


@register_policy
class Fifo:
    """Serve jobs in order of id, each on a random worker type with room, where it stays until it completes.

    The queue is strict: where its head has room on no type it can run on, everybody behind it waits. A slot that
    a completed job leaves therefore goes to the head of the queue.

    Notes
    -----
    Each job has its own random stream, derived from the policy's seed and the job's id, so a draw depends neither on
    the order of earlier draws nor on how often the policy ran; the memory is the assignment alone.
    Source: OSDI'20 s4.2 (FIFO, heterogeneity-agnostic); the type is drawn among those with room.
    """

    name: ClassVar[str] = "fifo"
    type_order: ClassVar[TypeOrder] = TypeOrder.SHUFFLED
    needs_positive_priority: ClassVar[bool] = True
    options: ClassVar[type[PolicyOptions]] = PolicyOptions

    def __init__(self, options: PolicyOptions) -> None:
        self._seed = options.seed

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return ones and zeros: the type each served job runs on, and the `Served` of it.

        Raises
        ------
        TypeError
            If ``memory`` is neither None nor what an earlier call returned.
        """
        del solve
        order = np.argsort(view.job_id, kind="stable")
        served = still_served(view.job_id[order], memory, self.name)
        kept = served >= 0
        gpus = view.scale_factor[order]
        free = view.capacity - np.bincount(served[kept], weights=gpus[kept], minlength=view.capacity.size)
        for position in np.flatnonzero(~kept).tolist():
            row = order[position]
            candidates = np.flatnonzero((free >= gpus[position]) & (view.throughput[row] > 0))
            if candidates.size == 0:
                break
            # int, not NumPy's: the seed's text must not depend on NumPy's way of printing
            draw = random.Random(f"fifo {self._seed} {int(view.job_id[row])}")
            served[position] = draw.choice(candidates.tolist())
            free[served[position]] -= gpus[position]
        kept = served >= 0
        x = np.zeros(view.throughput.shape)
        x[order[kept], served[kept]] = 1.0
        return Allocation(x, Served.of(view.job_id[order[kept]], served[kept]))


@register_policy
class FifoPerf:
    """Serve jobs in order of id, each on the fastest worker type with room; rebuilt at every call.

    The first job that fits on no type ends the call. A job whose best type with room has throughput 0 is passed over.
    Of equally fast types the alphabetically first is taken.

    Notes
    -----
    Source: OSDI'20 s4.2 (FIFO, heterogeneity-aware).
    """

    name: ClassVar[str] = "fifo_perf"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    needs_positive_priority: ClassVar[bool] = True
    options: ClassVar[type[PolicyOptions]] = PolicyOptions

    def __init__(self, options: PolicyOptions) -> None:
        del options  # nothing to choose

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return ones and zeros: the type each served job runs on; neither solves nor remembers."""
        del solve, memory
        x = np.zeros(view.throughput.shape)
        for row, kind in _fastest(view)[0].items():
            x[row, kind] = 1.0
        return Allocation(x)


class PackingOptions(PolicyOptions, frozen=True, kw_only=True):
    """Options of `fifo_packed`.

    Attributes
    ----------
    packing_threshold
        What the members' rates in a pair, over those alone, have to add up to for a job to join: 1 is as good as taking
        turns, 2 as if each had the GPUs for itself.
    """

    packing_threshold: Annotated[float, msgspec.Meta(ge=0.0, le=2.0)] = 1.5


@register_policy
class FifoPacked:
    """Serve jobs in order of id, each on the fastest worker type with room, as fifo_perf; those without room join one.

    A job joins the one of equal scale factor that runs alone and with which it keeps the most: the largest sum of both
    rates over those alone, above a threshold. The queue is strict there, too: one that joins nobody ends the call.

    Notes
    -----
    Source: OSDI'20 s4.2 (FIFO with space sharing).
    """

    name: ClassVar[str] = "fifo_packed"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    packs: ClassVar[bool] = True
    needs_positive_priority: ClassVar[bool] = True
    families: ClassVar[frozenset[str]] = frozenset()
    options: ClassVar[type[PackingOptions]] = PackingOptions

    def __init__(self, options: PackingOptions) -> None:
        self._threshold = options.packing_threshold

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return a row of one 1 for each team that is served; neither solves nor remembers.

        Raises
        ------
        SchedulingError
            If the view does not say how fast jobs are in pairs.
        """
        del solve, memory
        if view.pairs is None:
            raise SchedulingError(f"policy {self.name} was given no rates of pairs")
        served, waiting = _fastest(view)
        mate = dict.fromkeys(served, ALONE)
        for row in waiting:
            free = np.array([lead for lead, other in mate.items() if other == ALONE], np.int64)
            free = free[view.scale_factor[free] == view.scale_factor[row]]
            kinds = np.array([served[lead] for lead in free.tolist()], np.int64)
            kept = kept_rates(view, view.pairs, np.column_stack((free, np.full(len(free), row))))
            gains = kept[np.arange(len(free)), kinds].sum(axis=1)
            if not gains.size or gains.max() <= self._threshold:
                break
            mate[int(free[gains.argmax()])] = row  # the first of equals
        rows = np.array(list(mate.items()), np.int64).reshape(-1, 2)
        x = np.zeros((len(rows), view.capacity.size))
        x[np.arange(len(rows)), list(served.values())] = 1.0
        ids = view.job_id[rows] if rows.size else rows
        return Allocation(x, members=np.where(rows == ALONE, ALONE, ids))


def _fastest(view: ClusterView) -> tuple[dict[int, int], list[int]]:
    """Return the type of each row that is served, the fastest with room, and the rows that wait, in order of id."""
    served: dict[int, int] = {}
    free: list[float] = view.capacity.tolist()
    # Plain lists: a row has a handful of entries, which NumPy would take ten times longer to look at.
    gpus: list[float] = view.scale_factor.tolist()
    throughput: list[list[float]] = view.throughput.tolist()
    queue: list[int] = np.argsort(view.job_id, kind="stable").tolist()
    for place, row in enumerate(queue):
        candidates = [j for j, room in enumerate(free) if room >= gpus[row]]
        if not candidates:
            return served, queue[place:]
        best = max(candidates, key=throughput[row].__getitem__)  # the first of equals
        if throughput[row][best] > 0:
            served[row] = best
            free[best] -= gpus[row]
    return served, []
