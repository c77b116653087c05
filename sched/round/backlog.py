"""Drift: the part of what arrives that piles up, and when it is enough to call a cluster overloaded.

Where a cluster keeps up, the number of active jobs comes back to the same level again and again; where it does not, a
part of every batch of arrivals stays for ever. That part is the drift: jobs added over jobs that arrived. Once the
queue is long it moves like a random walk with a slope, so its value at the end of a stretch says all about the slope,
and the changes over stretches of equal length are nearly independent: the interval is Student's, over such changes.
What this is worth, on queues whose load is known: `docs/explanation/what-a-mean-is-worth.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SAMPLES: Final = 64
"""Kept at most: then every second one goes, so a run needs the same memory whatever its length."""
WARM_UP: Final = 0.25
"""Share of the samples, the first ones, that says nothing: the cluster fills then."""
STRETCHES: Final = 12
"""Stretches of the others over whose changes the interval is: each as long as many jobs live."""
T_QUANTILE: Final = 2.200985160082949
"""Student's t at 97.5 %, 11 degrees of freedom."""
LEAST_SAMPLES: Final = SAMPLES // 2
"""Below these there is no interval: fewer than three samples a stretch would hardly be stretches."""
FIRST_CHECK: Final = 1000
"""Arrivals after which a run is judged for the first time; then after twice as many, and so on.

Few looks, far apart: each has its chance of a false alarm, and ten thousand rounds would have ten thousand.
"""
LEAST_DRIFT: Final = 0.05
"""Part of arrivals above which the whole interval has to lie: near its critical load a queue wanders so far for long."""


class Estimate(NamedTuple):
    """A drift and the ends of its interval, 95 %, as parts of what arrived."""

    share: float
    low: float
    high: float


@dataclass(slots=True)
class Backlog:
    """How many jobs were active and waiting when so many had arrived: samples, one every ``span`` arrivals.

    The jobs that are there when the run begins are no arrivals.

    Attributes
    ----------
    arrived, active, waiting
        The samples: jobs that arrived since the run began, those active then, and those of them that held no GPU.
    span
        Arrivals between two samples.
    next_sample, next_check
        Arrivals at which the next sample is due, and the next judgement.
    initial
        Jobs there at the beginning, -1 before that.
    overloaded
        Whether a judgement was that the cluster does not keep up.
    """

    arrived: list[float] = field(default_factory=list)
    active: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    span: int = 1
    next_sample: int = 0
    next_check: int = FIRST_CHECK
    initial: int = -1
    overloaded: bool = False

    def observe(self, arrived: int, active: int, waiting: int) -> None:
        """Take note of a moment, such as the end of a round.

        Parameters
        ----------
        arrived
            Jobs that have come since the start, the initial ones included.
        active
            Those that are not gone.
        waiting
            Those of them that hold no GPU.
        """
        if self.initial < 0:
            self.initial = arrived
        since = arrived - self.initial
        if since < self.next_sample:
            return
        if len(self.arrived) == SAMPLES:
            self._thin()
        self.arrived.append(float(since))
        self.active.append(float(active))
        self.waiting.append(float(waiting))
        self.next_sample = (since // self.span + 1) * self.span
        if since >= self.next_check:
            self._judge()
            while self.next_check <= since:
                self.next_check *= 2

    def _thin(self) -> None:
        """Keep every second sample."""
        self.span *= 2
        for samples in (self.arrived, self.active, self.waiting):
            samples[:] = samples[1::2]

    def _judge(self) -> None:
        """Say whether the cluster is overloaded: jobs pile up for certain, and so do those that wait.

        The second sign tells overload from a cluster that is still filling, whose jobs all run.
        """
        drift = self.drift()
        queue = estimate(self.arrived, self.waiting)
        self.overloaded = drift is not None and queue is not None and min(drift.low, queue.low) > LEAST_DRIFT

    def drift(self) -> Estimate | None:
        """Return the part of arrivals that piles up; None where too few have come to say."""
        return estimate(self.arrived, self.active)


def estimate(arrived: list[float], jobs: list[float]) -> Estimate | None:
    """Return the growth of a number of jobs over that of arrivals, after the warm-up, with its interval.

    Parameters
    ----------
    arrived, jobs
        (n,) samples, both counted at the same moments, ``arrived`` ascending.

    Notes
    -----
    A ratio of sums over `STRETCHES` stretches; the interval is Student's, over what each stretch is off that ratio.
    """
    if len(arrived) < LEAST_SAMPLES:
        return None
    first = WARM_UP * (len(arrived) - 1)
    ends = np.rint(np.linspace(first, len(arrived) - 1, STRETCHES + 1)).astype(np.int64)
    came: Floats = np.diff(np.array(arrived)[ends])
    more: Floats = np.diff(np.array(jobs)[ends])
    share = float(more.sum() / came.sum())
    off = more - share * came
    error = float(np.sqrt((off @ off) / (STRETCHES - 1) / STRETCHES)) / float(came.mean())
    return Estimate(share, share - T_QUANTILE * error, share + T_QUANTILE * error)
