"""Jobs of one GPU each into queues, so that their completion times add up to as little as possible."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, NamedTuple

import numpy as np

from phasewise.solvers.errors import ProblemError
from phasewise.solvers.problems import AllocationProblem, Bools, Floats, Sense, check_common, usable_pairs
from phasewise.solvers.proofs import Duals, Proof
from phasewise.solvers.rows import Keys

TRANSPORT: Final = "transport"
NOWHERE: Final = -1


class Queues(NamedTuple):
    """Who waits where: (J,) the type each job waits for, and its position from the end of a queue, 1 for the last.

    A job that waits nowhere has the type `NOWHERE` and the position 0.
    """

    kind: np.typing.NDArray[np.intp]
    position: np.typing.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TransportProblem(AllocationProblem):
    """Minimise the sum of completion times of jobs that wait in the queues of free GPUs.

    min sum_ijk k duration_ij z_ijk with sum_jk z_ijk = 1 for every job that can run, and sum_i z_ijk <= N_j: at
    position k from the end of a queue a job delays itself and the k - 1 behind it. x_ij = sum_k z_ijk says which type a
    job waits for, 0 or 1; given that, longer jobs stand nearer to the end. GPUs of a type are interchangeable, and a
    vertex of this transport is integral.

    Attributes
    ----------
    duration
        (J, W) c_ij > 0, seconds, finite; where it is not allowed, any figure.
    scale_factor
        (J,) ones: jobs of one GPU.
    capacity
        (W,) N_j, free GPUs, whole numbers.
    allowed
        (J, W) where a job may run.
    keys
        As in `AllocationProblem`.
    """

    families: ClassVar[tuple[str, ...]] = (TRANSPORT,)
    forms: ClassVar[str] = "phasewise.solvers.forms.transport"
    sense: ClassVar[Sense] = Sense.MINIMISE

    duration: Floats
    scale_factor: Floats
    capacity: Floats
    allowed: Bools | None = None
    keys: Keys | None = None

    @cached_property
    def allowed_mask(self) -> Bools:
        """(J, W) where a job may wait."""
        return usable_pairs(self.duration, self.allowed, self.capacity)

    @cached_property
    def gpus(self) -> np.typing.NDArray[np.int64]:
        """(W,) free GPUs, each with a queue."""
        return self.capacity.astype(np.int64)

    @cached_property
    def usable_duration(self) -> Floats:
        """(J, W) duration, infinite where a job may not run."""
        return np.where(self.allowed_mask, self.duration, np.inf)

    @cached_property
    def runs(self) -> Bools:
        """(J,) who may run anywhere, and therefore has to wait somewhere."""
        return np.asarray(self.allowed_mask.any(axis=1))

    @cached_property
    def depth(self) -> np.typing.NDArray[np.int64]:
        """(W,) positions of each type's queues that any optimum may use: as many as would take all jobs."""
        open_types = self.gpus > 0
        return np.where(open_types, -(-int(self.runs.sum()) // np.where(open_types, self.gpus, 1)), 0)

    def validate(self) -> None:
        """Check shapes and values in a few vectorised passes; raise `ProblemError` naming the first fault."""
        check_common(self, "duration", self.duration, self.allowed)
        if self.members is not None:
            raise ProblemError("members are given; rows of two jobs are not taken in this family")
        if not (self.scale_factor == 1.0).all():
            row = int((self.scale_factor != 1.0).argmax())
            raise ProblemError(f"scale_factor[{row}] is {self.scale_factor[row]:g}; expected 1: jobs of one GPU alone")
        if not (self.capacity == np.floor(self.capacity)).all():
            kind = int((self.capacity != np.floor(self.capacity)).argmax())
            raise ProblemError(f"capacity[{kind}] is {self.capacity[kind]:g}; expected a whole number of free GPUs")
        if not (self.duration[self.allowed_mask] > 0.0).all():
            raise ProblemError("duration is 0 where a job may run; expected seconds above 0")

    def queues(self, x: Floats) -> Queues:
        """Return who stands where if each job waits for the type on which it has the most of ``x`` (J, W).

        Of jobs of equal length the first ones stand deeper.
        """
        kind = np.where(self.runs, np.where(self.allowed_mask, x, -1.0).argmax(axis=1), NOWHERE)
        waits = np.flatnonzero(kind != NOWHERE)
        order = waits[np.lexsort((-waits, -self.duration[waits, kind[waits]], kind[waits]))]
        place = np.arange(order.size) - np.searchsorted(kind[order], kind[order])
        position = np.zeros(self.rows, dtype=np.int64)
        position[order] = place // self.gpus[kind[order]] + 1
        return Queues(kind, position)

    def starts(self, x: Floats) -> Floats:
        """Return (J, W) ones and zeros: who starts now, the deepest job of each queue of ``x`` (J, W).

        Which of two jobs at one position stands before which at the next costs nothing: of a type's jobs, as many start
        as there are free GPUs, those at the largest positions, and of these the ones with the smallest keys.
        """
        kind, position = self.queues(x)
        keys = np.arange(self.rows) if self.keys is None else self.keys
        order = np.lexsort((keys, -position, kind))
        order = order[kind[order] != NOWHERE]
        place = np.arange(order.size) - np.searchsorted(kind[order], kind[order])
        now = order[place < self.gpus[kind[order]]]
        starts = np.zeros((self.rows, self.types))
        starts[now, kind[now]] = 1.0
        return starts

    def objective(self, x: Floats) -> float:
        """Return the sum of position times duration if each job waits where ``x`` (J, W) says, seconds."""
        kind, position = self.queues(x)
        waits = np.flatnonzero(position)
        return float(position[waits] @ self.duration[waits, kind[waits]])

    def violation(self, x: Floats) -> float:
        """Return how far ``x`` (J, W) is from ones and zeros with one 1 for each job that can run."""
        if self.rows == 0:
            return 0.0
        stray = np.where(self.allowed_mask, np.minimum(np.abs(x), np.abs(x - 1.0)), np.abs(x))
        return float(max(stray.max(), np.abs(x.sum(axis=1) - self.runs).max()))

    def project(self, x: Floats) -> Floats:
        """Return ones and zeros: each job on the type on which it has the most of ``x`` (J, W)."""
        kind, _ = self.queues(x)
        whole = np.zeros((self.rows, self.types))
        whole[self.runs, kind[self.runs]] = 1.0
        return whole

    def utilization(self, x: Floats) -> float:
        """Return the share of the free GPUs that a job starts on."""
        total = float(self.capacity.sum())
        return float(self.starts(x).sum()) / total if total > 0.0 else 0.0

    def utilization_ceiling(self) -> float:
        """Return the largest share of the free GPUs on which jobs can start."""
        open_types = self.allowed_mask.any(axis=0)
        total = float(self.capacity.sum())
        return min(float(self.capacity[open_types].sum()), float(self.runs.sum())) / total if total > 0.0 else 0.0

    def prove(self, x: Floats, duals: Duals) -> Proof | None:
        """Return the bound by the jobs' places in the transport.

        For any u: sum_i u_i - sum_jk N_j max(0, max_i (u_i - k c_ij)), the transport's dual with the best prices of
        positions.
        """
        places = duals.vector("potential", self.rows)
        if places is None or not np.isfinite(places).all():
            return None
        worth = np.where(self.runs, places, 0.0)
        bound = float(worth.sum())
        for kind in np.flatnonzero(self.gpus):
            prices = position_prices(worth, self.usable_duration[:, kind], int(self.depth[kind]))
            bound -= float(self.gpus[kind]) * float(prices.sum())
        return Proof(bound, self.gap(bound, x))


def position_prices(worth: Floats, duration: Floats, depth: int) -> Floats:
    """Return the prices above 0 of positions 1 to ``depth`` of a type at which nobody is better off there.

    max_i (u_i - k c_i) for each k, for ``worth`` u (J,) and ``duration`` c (J,), infinite for jobs that may not run.
    """
    jobs = np.flatnonzero((worth > duration) & np.isfinite(duration))
    if not jobs.size:
        return np.zeros(0)
    u, c = worth[jobs], duration[jobs]
    deepest = min(depth, int(np.floor((u / c).max())))
    prices = np.zeros(deepest)
    for start in range(0, deepest, _BLOCK):
        k = np.arange(start + 1, min(start + _BLOCK, deepest) + 1)
        near = u > (start + 1) * c
        prices[start : start + k.size] = (u[near] - k[:, None] * c[near]).max(axis=1, initial=0.0)
    return prices


_BLOCK: Final = 64

FAMILIES: Final = (TransportProblem,)
