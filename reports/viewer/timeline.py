"""One clock for the runs of a page, and their figures over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phasewise.reports.figures import Bins, bins_of
from phasewise.reports.viewer.occupancy import Occupancy

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MOST_BINS = 500  # about as many as a chart has pixels for


@dataclass(frozen=True, slots=True)
class Timeline:
    """The moments that a page can show: every start of a round of any of its runs.

    Attributes
    ----------
    time_s
        (T,) simulated seconds, ascending, distinct.
    round_at
        For each run (T,) the round it is in, -1 where it has ended or not begun.
    """

    time_s: Floats
    round_at: Sequence[Ints]

    @property
    def bins(self) -> Bins:
        """Return the bins of the charts."""
        return bins_of(len(self.time_s), _MOST_BINS)

    def binned(self, run: int, values: Floats) -> Floats:
        """Return (B,) means over the bins of a figure (R,) by round; NaN where the run has no rounds."""
        at = self.round_at[run]
        return self.bins.mean(np.where(at >= 0, values[np.maximum(at, 0)], np.nan))

    @property
    def hours(self) -> Floats:
        """Return (B,) start of each bin, hours."""
        return self.bins.first(self.time_s) / 3600.0


def timeline(runs: Sequence[Occupancy]) -> Timeline:
    """Return the clock of ``runs``; with one run its moments are its rounds.

    A round may end a little early, when the last job in it has done its last whole step, so that rounds of equal length
    drift apart by milliseconds. Starts that lie so close together are one moment, the later of them.
    """
    if len(runs) == 1:
        return Timeline(runs[0].sim_time_s, [np.arange(runs[0].rounds)])
    starts = np.unique(np.concatenate([run.sim_time_s for run in runs]))
    followed_closely = np.append(np.diff(starts) <= _same_moment_s(runs), False)
    time_s = starts[~followed_closely]
    return Timeline(
        time_s,
        [
            np.where(time_s < run.end_s, np.searchsorted(run.sim_time_s, time_s, "right") - 1, -1).astype(np.int64)
            for run in runs
        ],
    )


def _same_moment_s(runs: Sequence[Occupancy]) -> float:
    """Return how close two starts must be to count as one: a hundredth of a round, and never two rounds of one run."""
    lengths = [np.diff(run.sim_time_s) for run in runs]
    lengths = [length[length > 0] for length in lengths]
    lengths = [length for length in lengths if len(length)]
    if not lengths:
        return 0.0
    return min(min(0.01 * float(np.median(length)), 0.4 * float(length.min())) for length in lengths)
