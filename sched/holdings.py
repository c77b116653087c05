"""Which job holds which GPU from which round to which: rows of `placements.parquet`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from phasewise.sched import kernels
from phasewise.sched.cluster import ClusterLayout

Ints = npt.NDArray[np.int64]

SCHEMA = {
    "job_id": "int64",
    "node": "int64",
    "gpu": "int64",
    "share_milli": "int64",
    "start_round": "int64",
    "end_round": "int64",
}
WHOLE_MILLI = 1000  # a whole GPU, in thousandths


class Holdings:
    """Follows the holder of every GPU and keeps the intervals that ended since they were last taken. G GPUs."""

    def __init__(self, layout: ClusterLayout) -> None:
        self._layout = layout
        gpus = layout.gpus
        self._held_by = np.full(gpus, -1, np.int64)
        self._since = np.zeros(gpus, np.int64)
        self._job, self._gpu, self._start = (np.empty(gpus, np.int64) for _ in range(3))
        self._ended: list[tuple[Ints, Ints, Ints, int]] = []

    def observe(self, round_index: int, holder: Ints, job_id: Ints) -> None:
        """Take note of who holds what in a round: ``holder`` (G,) is a position in ``job_id`` (J,), or -1."""
        ended = kernels.change_holders(
            holder, job_id, round_index, self._held_by, self._since, self._job, self._gpu, self._start
        )
        if ended:
            self._ended.append(
                (self._job[:ended].copy(), self._gpu[:ended].copy(), self._start[:ended].copy(), round_index)
            )

    def close(self, rounds: int) -> None:
        """End every holding after the last of ``rounds`` rounds."""
        self.observe(rounds, np.full(self._layout.gpus, -1, np.int64), np.empty(0, np.int64))

    def take(self) -> dict[str, Ints]:
        """Return the intervals that ended since the last call, as columns, by end and then GPU."""
        none = np.empty(0, np.int64)
        job, gpu, start = (np.concatenate([none, *(piece[column] for piece in self._ended)]) for column in range(3))
        end = np.concatenate([none, *(np.full(len(piece[0]), piece[3], np.int64) for piece in self._ended)])
        self._ended = []
        return {
            "job_id": job,
            "node": self._layout.gpu_node[gpu],
            "gpu": self._layout.gpu_index[gpu],
            "share_milli": np.full(len(job), WHOLE_MILLI, np.int64),
            "start_round": start,
            "end_round": end,
        }
