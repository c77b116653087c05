"""Drift: the part of what arrives that piles up, and when it is enough to call a cluster overloaded.

Where a cluster keeps up, the number of active jobs comes back to the same level again and again; where it does not, a
part of every batch of arrivals stays for ever. That part is the drift: jobs added over jobs that arrived. A long queue
moves like a random walk with a slope: the changes over stretches that are longer than what a job remembers are nearly
independent, and the interval is Student's, over such changes. Where the rate of arrivals is known, a regression takes
out of it that jobs came faster or slower by chance. What all of it is worth, on queues whose load is known:
`docs/explanation/what-a-mean-is-worth.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from phasewise.profiling.artefacts.run_json import LEAST_DRIFT

SAMPLES: Final = 64
"""Kept at most: then every second one goes, so a run needs the same memory whatever its length."""
LEAST_SAMPLES: Final = SAMPLES // 2
"""Below these nothing is told: stretches of fewer than two samples say little."""
WARM_UP: Final = 0.25
"""Share of the samples, the first ones, that does not count: the cluster fills then."""
STRETCHES: Final = 12
"""Stretches into which the others fall: each is a sixteenth of the run."""
T_QUANTILES: Final = {11: 2.200985160082949, 10: 2.2281388519649385}
"""Student's t at 97.5 %, by degrees of freedom: of a mean over the stretches, and of a regression."""
FIRST_CHECK: Final = 3000
"""Arrivals after which a run is judged for the first time; then after twice as many, and so on.

Few looks, far apart: each has its chance of a false alarm, and one at every round would have thousands.
"""
LEAST_QUEUED: Final = 0.5
"""Share of what piles up that has to wait without a GPU: in a cluster that is still filling, it runs."""


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
    arrived, now_s, active, waiting
        The samples: jobs that arrived since the run began, when that was, simulated seconds, jobs that were active
        then, and those of them that held no GPU.
    span
        Arrivals between two samples.
    next_sample, next_check
        Arrivals at which the next sample is due, and the next judgement.
    initial
        Jobs there at the beginning, None before that.
    share, low, high
        The drift as of the last sample, and the ends of its interval; None where too few jobs have come to say.
    overloaded
        Whether the last judgement was that the cluster does not keep up.
    """

    arrived: list[float] = field(default_factory=list)
    now_s: list[float] = field(default_factory=list)
    active: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    span: int = 1
    next_sample: int = 0
    next_check: int = FIRST_CHECK
    initial: int | None = None
    share: float | None = None
    low: float | None = None
    high: float | None = None
    overloaded: bool = False

    def observe(self, moment: Census, arrivals_per_s: float | None) -> None:
        """Take note of a moment, such as the end of a round; ``arrivals_per_s`` is the rate, where it is known."""
        if self.initial is None:
            self.initial = moment.arrived
        since = moment.arrived - self.initial
        if since < self.next_sample:
            return
        if len(self.arrived) == SAMPLES:
            self._thin()
        self.arrived.append(float(since))
        self.now_s.append(moment.now_s)
        self.active.append(float(moment.active))
        self.waiting.append(float(moment.waiting))
        self.next_sample = (since // self.span + 1) * self.span
        found = estimate(self.arrived, self.active, self.now_s, arrivals_per_s)
        if found is not None:
            self.share, self.low, self.high = found
        if since >= self.next_check:
            self.overloaded = self._piles_up()
            while self.next_check <= since:
                self.next_check *= 2

    @property
    def drift(self) -> Estimate | None:
        """The part of arrivals that piles up, as of the last sample; None where too few have come to say."""
        if self.share is None or self.low is None or self.high is None:
            return None
        return Estimate(self.share, self.low, self.high)

    def _thin(self) -> None:
        """Keep every second sample."""
        self.span *= 2
        for samples in (self.arrived, self.now_s, self.active, self.waiting):
            samples[:] = samples[::2]

    def _piles_up(self) -> bool:
        """Return whether jobs pile up for certain, and most of them because they wait.

        The second sign tells overload from a cluster that is still filling, whose jobs all run.
        """
        queue = estimate(self.arrived, self.waiting)
        drift = self.drift
        if drift is None or queue is None:
            return False
        return drift.low > LEAST_DRIFT and queue.share > LEAST_QUEUED * drift.share


class Census(NamedTuple):
    """How many jobs there are at a moment.

    Attributes
    ----------
    now_s
        Simulated seconds.
    arrived
        Jobs that have come since the start, those that were there then included.
    active
        Those that are not gone.
    waiting
        Those of them that hold no GPU.
    """

    now_s: float
    arrived: int
    active: int
    waiting: int


def estimate(
    arrived: Sequence[float],
    jobs: Sequence[float],
    now_s: Sequence[float] = (),
    arrivals_per_s: float | None = None,
) -> Estimate | None:
    """Return the growth of a number of jobs over that of arrivals, after the warm-up, with its interval.

    Parameters
    ----------
    arrived, jobs
        (n,) samples, both counted at the same moments, ``arrived`` ascending.
    now_s
        (n,) when that was, seconds.
    arrivals_per_s
        The rate of arrivals, where it is known. Then the growth of each of the `STRETCHES` is regressed on how much
        longer its arrivals took than they would at that rate, and the drift is the growth at no excess: the shorter the
        time in which so many came, the fewer left in it, which says nothing of the load. Otherwise it is a ratio of
        sums.

    Returns
    -------
    Estimate or None
        None where there are fewer than `LEAST_SAMPLES`.
    """
    if len(arrived) < LEAST_SAMPLES:
        return None
    last = len(arrived) - 1
    first = WARM_UP * last
    ends = [round(first + index * (last - first) / STRETCHES) for index in range(STRETCHES + 1)]
    came, more = _changes(arrived, ends), _changes(jobs, ends)
    mean_came = sum(came) / STRETCHES
    share = sum(more) / sum(came)
    off = [(grown - share * new) / mean_came for grown, new in zip(more, came, strict=True)]
    variance, free = _product(off, off) / STRETCHES, STRETCHES - 1
    if arrivals_per_s is not None:
        lasted_s = _changes(now_s, ends)
        excess = [(span_s * arrivals_per_s - new) / mean_came for span_s, new in zip(lasted_s, came, strict=True)]
        mean_excess = sum(excess) / STRETCHES
        around = [each - mean_excess for each in excess]
        spread = _product(around, around)
        if spread > 0.0:
            slope = _product(around, off) / spread
            share -= slope * mean_excess
            off = [left - slope * each for left, each in zip(off, around, strict=True)]
            free = STRETCHES - 2
            variance = _product(off, off) * (1.0 / STRETCHES + mean_excess**2 / spread)
    margin = T_QUANTILES[free] * (variance / free) ** 0.5
    return Estimate(share, share - margin, share + margin)


def _changes(samples: Sequence[float], ends: Sequence[int]) -> list[float]:
    """Return by how much a sample grew from each end to the next."""
    return [samples[end] - samples[begin] for begin, end in pairwise(ends)]


def _product(these: Sequence[float], those: Sequence[float]) -> float:
    """Return the sum of products; a dozen terms take longer to hand to NumPy than to add."""
    return sum(one * other for one, other in zip(these, those, strict=True))
