"""Placement intervals as events on slots: what the chunks of the page are made of.

A GPU that is shared has several slots, each held by one job at a time, so that one arrival or departure is one event
however many others share the GPU. A GPU that is never shared has one slot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stays:
    """Stays of jobs on GPUs, R of them; all arrays are (R,) int64.

    Attributes
    ----------
    job
        Index of the job.
    gpu
        Number of the GPU over the whole cluster.
    share_milli
        Thousandths of the GPU.
    start, end
        First round, and first round in which it no longer held it.
    """

    job: Ints
    gpu: Ints
    share_milli: Ints
    start: Ints
    end: Ints

    def __len__(self) -> int:
        return len(self.job)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Stays:
        """Return some of the stays, in the order of ``rows``."""
        return Stays(self.job[rows], self.gpu[rows], self.share_milli[rows], self.start[rows], self.end[rows])


@dataclass(frozen=True, slots=True)
class SlottedStays:
    """Stays in the order of slot, then start, each with its slot.

    Attributes
    ----------
    stays
        R stays.
    slot
        (R,) int64; slots are numbered over the GPUs in their order.
    slots_per_gpu
        (G,) int64, 1 or more.
    """

    stays: Stays
    slot: Ints
    slots_per_gpu: Ints

    @property
    def slots(self) -> int:
        """Return the number of slots."""
        return int(self.slots_per_gpu.sum())


def give_slots(stays: Stays, gpus: int) -> SlottedStays:
    """Return the stays with slots: each the lowest of its GPU that is free at its start.

    Parameters
    ----------
    stays
        In any order; those that end before they start are left out.
    gpus
        GPUs of the cluster, G.
    """
    kept = stays.take(stays.end > stays.start)
    rounds = int(kept.end.max(initial=0)) + 1
    kept = kept.take(np.argsort(kept.gpu * rounds + kept.start, kind="stable"))
    follows = kept.gpu[1:] == kept.gpu[:-1]
    shared = np.zeros(gpus, np.bool_)
    shared[kept.gpu[1:][follows & (kept.start[1:] < kept.end[:-1])]] = True
    place = np.zeros(len(kept), np.int64)
    rows = np.flatnonzero(shared[kept.gpu])
    place[rows] = _first_free(kept.gpu[rows].tolist(), kept.start[rows].tolist(), kept.end[rows].tolist())
    slots_per_gpu = np.ones(gpus, np.int64)
    np.maximum.at(slots_per_gpu, kept.gpu[rows], place[rows] + 1)
    first_slot = np.concatenate(([0], np.cumsum(slots_per_gpu)))
    slot = first_slot[kept.gpu] + place
    order = np.argsort(slot * rounds + kept.start, kind="stable")
    return SlottedStays(kept.take(order), slot[order], slots_per_gpu)


def _first_free(gpu: list[int], start: list[int], end: list[int]) -> list[int]:
    """Return the lowest free place of each stay within its GPU, for stays in the order of GPU and start."""
    places = []
    ends: list[int] = []
    current = -1
    for on, first, last in zip(gpu, start, end, strict=True):
        if on != current:
            current, ends = on, []
        for place, busy_until in enumerate(ends):
            if busy_until <= first:
                ends[place] = last
                break
        else:
            place = len(ends)
            ends.append(last)
        places.append(place)
    return places
