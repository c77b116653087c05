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

    def observe(self, round_index: int, holding: Holding, job_id: Ints, gpu_milli: Ints) -> None:
        """Take note of who holds what in a round: row i of ``holding`` is job ``job_id[i]`` (J,), ascending."""
        self.held, ended = lease_kernels.change_holders(job_id, *holding, gpu_milli, round_index, self.held)
        if len(ended):
            self._ended.append((ended, round_index))

    def close(self, rounds: int) -> None:
        """End every holding after the last of ``rounds`` rounds."""
        none = np.empty(0, np.int64)
        self.observe(rounds, Holding.nothing(0), none, none)

    def take(self) -> dict[str, Ints]:
        """Return the intervals that ended since the last call, as columns, by end, then GPU, then job."""
        held = np.concatenate([np.empty((0, 4), np.int64), *(piece for piece, _ in self._ended)])
        end = np.concatenate([np.empty(0, np.int64), *(np.full(len(piece), end) for piece, end in self._ended)])
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
