"""Equal shares while the GPUs suffice for all, else jobs in random pairs that share theirs."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Floats, Ints, Solve, TypeOrder
from phasewise.sched.errors import SchedulingError
from phasewise.sched.pair_rates import PairRates
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.registry import register_policy
from phasewise.sched.sharing import ALONE, alone, kept_rates
from phasewise.sched.statements import even_split
from phasewise.sched.streams import own_stream, stream_words

LEAST_GAIN = 1.0  # below it, taking turns is better than sharing


class Paired(NamedTuple):
    """What the policy remembers. Any such tuple will do.

    Attributes
    ----------
    pairs
        (P, 2) int64 ids of the jobs that share, in the order in which they came together.
    words
        (625,) int64, where the policy's random stream stands.
    """

    pairs: Ints
    words: Ints


@register_policy
class Gandiva:
    """Split the cluster evenly; where jobs ask for more GPUs than there are, put them into random pairs that share.

    A pair stays together while sharing keeps at least what taking turns would: while its members' rates, over those
    alone, add up to 1 on some worker type. Only jobs of equal scale factor pair, and a draw of two others is lost.
    Every team gets the same share: x_ij = N_j / m / s_i for m teams, 0 where it makes no progress.

    Notes
    -----
    Source: OSDI'18 (Gandiva) as in OSDI'20 s5.2. The original adds up over all worker types, so that almost every pair
    stays, but breaks up one that cannot share one of them; and it gives pairs time where they cannot share.
    """

    name: ClassVar[str] = "gandiva"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    packs: ClassVar[bool] = True
    needs_positive_priority: ClassVar[bool] = False
    families: ClassVar[frozenset[str]] = frozenset()
    options: ClassVar[type[PolicyOptions]] = PolicyOptions

    def __init__(self, options: PolicyOptions) -> None:
        self._seed, self._mask = options.seed, options.mask_impossible

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return equal shares of jobs and pairs, and the `Paired`; solves nothing.

        Raises
        ------
        TypeError
            If ``memory`` is neither None nor what an earlier call returned.
        SchedulingError
            If the view does not say how fast jobs are in pairs.
        """
        del solve
        if view.pairs is None:
            raise SchedulingError(f"policy {self.name} was given no rates of pairs")
        words, before = self._remembered(memory)
        stream = own_stream(self._seed, words)
        pairs = np.empty((0, 2), np.int64)
        if view.scale_factor.sum() > view.capacity.sum():
            pairs = self._still_paired(view, view.pairs, before)
            waiting = np.setdiff1d(np.arange(view.job_id.size), pairs).tolist()
            drawn = []
            for _ in range(len(waiting)):  # so often the original draws, whatever comes of it
                if len(waiting) < 2:
                    break
                first, second = stream.sample(waiting, 2)
                if view.scale_factor[first] == view.scale_factor[second] >= 1.0:  # a part of a GPU is no team's
                    drawn.append(sorted((first, second)))
                    waiting.remove(first)
                    waiting.remove(second)
            pairs = np.concatenate((pairs, np.array(drawn, np.int64).reshape(-1, 2)))
        x, rows = self._shares(view, view.pairs, pairs)
        members = np.where(rows == ALONE, ALONE, view.job_id[rows] if view.job_id.size else rows)
        return Allocation(x, Paired(view.job_id[pairs], stream_words(stream)), members=members)

    def _remembered(self, memory: object) -> tuple[Ints | None, Ints]:
        if memory is None:
            return None, np.empty((0, 2), np.int64)
        if not isinstance(memory, tuple) or len(memory) != len(Paired._fields):
            raise TypeError(f"policy {self.name} was given the memory of another policy: {type(memory).__name__}")
        pairs, words = memory
        return words, pairs

    def _still_paired(self, view: ClusterView, rates: PairRates, before: Ints) -> Ints:
        """Return (P, 2) the rows of the pairs whose members are both there and still gain by sharing."""
        there = np.isin(before, view.job_id).all(axis=1)
        pairs: Ints = np.searchsorted(view.job_id, before[there])
        kept = kept_rates(view, rates, pairs)
        if self._mask:
            gains = kept.sum(axis=2).max(axis=1, initial=0.0)
        else:
            gains = np.where((kept > 0.0).all(axis=(1, 2)), kept.sum(axis=(1, 2)), 0.0)
        stay: Ints = pairs[gains >= LEAST_GAIN]
        return stay

    def _shares(self, view: ClusterView, rates: PairRates, pairs: Ints) -> tuple[Floats, Ints]:
        """Return (R, W) equal shares of the jobs alone and the pairs, and (R, 2) the rows of their members."""
        single = np.setdiff1d(np.arange(view.job_id.size), pairs)
        rows = np.concatenate((alone(single), pairs))
        x = even_split(view.capacity, view.scale_factor[rows[:, 0]])
        if self._mask:
            able = view.throughput[single] > 0.0, (kept_rates(view, rates, pairs) > 0.0).all(axis=2)
            x = np.where(np.concatenate(able), x, 0.0)
        return x, rows
