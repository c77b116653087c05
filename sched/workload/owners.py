"""Whose generated jobs are: drawn for each job from the seed and its id, so that nothing else that is drawn moves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

BLOCK: Final = 4096
"""Jobs that are drawn at once."""
_VCS: Final = 7  # beside the seed and the block, in a SeedSequence: apart from other draws
_BLOCKS_KEPT: Final = 64


class Owners:
    """Draws the virtual cluster of each job.

    Parameters
    ----------
    seed
        The scenario's.
    vcs
        Names, each with how many of the jobs are its.
    """

    def __init__(self, seed: int, vcs: Sequence[tuple[str, int]]) -> None:
        self._seed = seed
        self._names = [name for name, _ in vcs]
        self._below = np.array(list(accumulate(jobs for _, jobs in vcs)), np.float64)
        self._blocks: dict[int, Ints] = {}

    def vc(self, job_id: int) -> str:
        """Return the virtual cluster of a job."""
        block, row = divmod(job_id, BLOCK)
        if block not in self._blocks:
            if len(self._blocks) == _BLOCKS_KEPT:
                del self._blocks[next(iter(self._blocks))]  # the one drawn first: ids mostly ascend
            rng = np.random.default_rng(np.random.SeedSequence([self._seed, _VCS, block]))
            self._blocks[block] = np.searchsorted(self._below, rng.random(BLOCK) * self._below[-1], side="right")
        return self._names[int(self._blocks[block][row])]
