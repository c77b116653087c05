"""Which job holds which GPU from which round to which: rows of `placements.parquet`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from phasewise.sched.api import Holding
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.round import lease_kernels

Ints = npt.NDArray[np.int64]


class Intervals:
    """Follows who holds what and keeps the intervals that ended since they were last taken.

    Attributes
    ----------
    held
        (n, 4) what is held now: job id, GPU, thousandths of it, first round.
    """

    def __init__(self, layout: ClusterLayout) -> None:
        self._layout = layout
        self.held = np.empty((0, 4), np.int64)
        self._ended: list[tuple[Ints, int]] = []

    def observe(
        self,
        round_index: int,
        holding: Holding,
        job_id: Ints,
        gpu_milli: Ints,
        *,
        shares_change: bool = False,
        all_stay: bool = False,
    ) -> None:
        """Take note of who holds what in a round: row i of ``holding`` is job ``job_id[i]`` (J,), ascending.

        ``all_stay`` says that every job that holds GPUs held exactly these in the last round.
        Where ``shares_change``, a job may keep its GPUs and have another part of them: one stay then ends, and another
        begins.
        """
        if all_stay and not shares_change and len(holding.gpu) == len(self.held):
            return  # nobody left, either
        cut = self._cut(job_id, gpu_milli) if shares_change else self.held[:0]
        self.held, ended = lease_kernels.change_holders(job_id, *holding, gpu_milli, round_index, self.held)
        if len(cut):
            ended = np.concatenate((ended, cut))
            ended = ended[np.lexsort((ended[:, 0], ended[:, 1]))]
        if len(ended):
            self._ended.append((ended, round_index))

    def _cut(self, job_id: Ints, gpu_milli: Ints) -> Ints:
        """Return what was held by jobs (J,) that have another part of their GPUs now, and hold it no more."""
        row = np.minimum(np.searchsorted(job_id, self.held[:, 0]), max(len(job_id) - 1, 0))
        if not len(job_id):
            return self.held[:0]
        changed = (job_id[row] == self.held[:, 0]) & (gpu_milli[row] != self.held[:, 2])
        cut: Ints = self.held[changed]
        self.held = self.held[~changed]
        return cut

    def close(self, rounds: int) -> None:
        """End every holding after the last of ``rounds`` rounds."""
        none = np.empty(0, np.int64)
        self.observe(rounds, Holding.nothing(0), none, none)

    def take(self) -> dict[str, Ints]:
        """Return the intervals that ended since the last call, as columns, by end, then GPU, then job."""
        held = np.concatenate([np.empty((0, 4), np.int64), *(piece for piece, _ in self._ended)])
        rounds = np.array([end for _, end in self._ended], np.int64)
        end = np.repeat(rounds, np.array([len(piece) for piece, _ in self._ended], np.int64))
        self._ended = []
        job, gpu, share, start = held.T.copy()
        return {
            "job_id": job,
            "node": self._layout.gpu_node[gpu],
            "gpu": self._layout.gpu_index[gpu],
            "share_milli": share,
            "start_round": start,
            "end_round": end,
        }
