"""Figures from noisy samples: medians, paired ratios, intervals by bootstrap, power laws.

Everything is deterministic given the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.profiling.errors import SampleError

Floats = npt.NDArray[np.float64]
Samples = Sequence[float] | Floats

LEVEL = 0.95  # of every interval, unless told otherwise
BATCHES = 10  # of an interval by batch means: a tenth of the samples is a long stretch
RESAMPLES = 4000  # the ends of a 95 % interval then move by about 1 % of its width from seed to seed


class Interval(NamedTuple):
    """An estimate between the ends of its interval."""

    low: float
    estimate: float
    high: float


class PowerLaw(NamedTuple):
    """The fit ``y = coefficient * x ** exponent``.

    Attributes
    ----------
    coefficient, exponent
        The fit.
    exponent_low, exponent_high
        Interval of the exponent (Student's t, errors of log y independent and of equal spread).
    r_squared
        Share of the variance of log y that the fit explains.
    """

    coefficient: float
    exponent: float
    exponent_low: float
    exponent_high: float
    r_squared: float

    def at(self, x: float) -> float:
        """Return the fitted y at ``x``."""
        return float(self.coefficient * x**self.exponent)


def median(samples: Samples) -> float:
    """Return the median of (n,) finite samples, n at least 1; raises `SampleError`."""
    return float(np.median(_checked(samples, "samples")))


def quantile(samples: Samples, q: float) -> float:
    """Return the quantile ``q`` (0 to 1) of (n,) finite samples, linear between neighbours; raises `SampleError`."""
    if not 0.0 <= q <= 1.0:
        raise SampleError(f"a quantile lies between 0 and 1, not at {q}")
    return float(np.quantile(_checked(samples, "samples"), q))


def median_interval(
    samples: Samples, rng: np.random.Generator, level: float = LEVEL, resamples: int = RESAMPLES
) -> Interval:
    """Return the median of (n,) finite samples and its percentile bootstrap interval; raises `SampleError`."""
    values = _checked(samples, "samples")
    low, high = _bootstrap_medians(values, rng, level, resamples)
    return Interval(low, float(np.median(values)), high)


def mean_interval(
    samples: Samples, rng: np.random.Generator, level: float = LEVEL, resamples: int = RESAMPLES
) -> Interval:
    """Return the mean of (n,) finite samples and its percentile bootstrap interval; raises `SampleError`."""
    values = _checked(samples, "samples")
    low, high = _central(values[_resampled(values.size, rng, level, resamples)].mean(axis=1), level)
    return Interval(low, float(values.mean()), high)


def median_ratio_interval(
    head: Samples,
    base: Samples,
    rng: np.random.Generator,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return the median of the pairwise ratios head / base and its percentile bootstrap interval.

    Pairs are resampled, not sides: what both samples of a pair share (a busy machine, a hot cache) cancels. Logarithms
    make the figure symmetric: exchanging head and base gives the reciprocal.

    Parameters
    ----------
    head, base
        (n,) positive samples, ``head[i]`` taken beside ``base[i]``.
    rng
        Draws the resamples.
    level
        Probability that the interval is meant to cover.
    resamples
        How many resamples to draw.

    Raises
    ------
    SampleError
        Where the two differ in length, are empty, or hold anything but positive finite numbers.
    """
    above, below = _positive(head, "head"), _positive(base, "base")
    if above.shape != below.shape:
        raise SampleError(f"pairs need as many head as base samples, not {above.size} and {below.size}")
    logs = np.log(above) - np.log(below)
    low, high = _bootstrap_medians(logs, rng, level, resamples)
    return Interval(float(np.exp(low)), float(np.exp(np.median(logs))), float(np.exp(high)))


def ratio_interval(
    parts: Samples, wholes: Samples, rng: np.random.Generator, level: float = LEVEL, resamples: int = RESAMPLES
) -> Interval:
    """Return the sum of (n,) parts over the sum of their (n,) wholes, and its percentile bootstrap interval.

    A share of a total, where part and whole were measured together: pairs are resampled.

    Raises
    ------
    SampleError
        Where the two differ in length, are empty or not finite, or the wholes are not above 0.
    """
    above, below = _checked(parts, "parts"), _positive(wholes, "wholes")
    if above.shape != below.shape:
        raise SampleError(f"a share needs as many parts as wholes, not {above.size} and {below.size}")
    chosen = _resampled(above.size, rng, level, resamples)
    low, high = _central(above[chosen].sum(axis=1) / below[chosen].sum(axis=1), level)
    return Interval(low, float(above.sum() / below.sum()), high)


def block_means(samples: Samples, blocks: int) -> Floats:
    """Return the means of (n,) samples over so many stretches of neighbours, as equal in length as can be.

    What one round leaves the next one finds: neighbours are no independent samples, and a bootstrap of them one by one
    is too sure of itself. Stretches of many rounds nearly are. Raises `SampleError`.

    Returns
    -------
    ndarray
        (min(blocks, n),) means.
    """
    values = _checked(samples, "samples")
    if blocks < 1:
        raise SampleError(f"samples are gathered into at least 1 block, not {blocks}")
    return np.array([block.mean() for block in np.array_split(values, min(blocks, values.size))])


def t_interval(samples: Samples, level: float = LEVEL) -> Interval:
    """Return the mean of (n,) finite samples, n at least 2, and Student's interval of it.

    For independent samples of about equal spread, such as one figure of runs of several seeds. With few of them it is
    wide, as it has to be: of three, 4.3 standard errors to either side. Raises `SampleError`.
    """
    from scipy.special import stdtrit  # noqa: PLC0415  (scipy takes long to import, and only intervals need it)

    values = _checked(samples, "samples")
    _check_level(level)
    if values.size < 2:
        raise SampleError("an interval of a mean needs at least 2 samples, not 1")
    mean, error = float(values.mean()), float(values.std(ddof=1)) / values.size**0.5
    margin = float(stdtrit(values.size - 1, 0.5 + level / 2)) * error
    return Interval(mean - margin, mean, mean + margin)


def paired_difference(head: Samples, base: Samples, level: float = LEVEL) -> Interval:
    """Return the mean of the (n,) differences head - base, n at least 2, and Student's interval of it.

    What both samples of a pair share, as the jobs of one seed under two policies, is in neither the difference nor its
    interval. Raises `SampleError`, also where the two differ in length.
    """
    above, below = _checked(head, "head"), _checked(base, "base")
    if above.shape != below.shape:
        raise SampleError(f"pairs need as many head as base samples, not {above.size} and {below.size}")
    return t_interval(above - below, level)


def batch_mean_interval(samples: Samples, batches: int = BATCHES, level: float = LEVEL) -> Interval:
    """Return the mean of (n,) finite samples, and Student's interval of it over the means of stretches of neighbours.

    For samples in order whose neighbours are alike, as the JCTs of jobs that were in one queue. It covers what it says
    as long as a stretch is much longer than what one sample tells of the next; the fewer stretches, the longer each is.

    Parameters
    ----------
    samples
        (n,), n at least twice ``batches``.
    batches
        Stretches, at least 2, as equal in length as can be.
    level
        Probability that the interval is meant to cover.

    Raises
    ------
    SampleError
        Where there are too few samples, or one is not finite.
    """
    values = _checked(samples, "samples")
    if batches < 2 or values.size < 2 * batches:
        raise SampleError(f"{batches} batches need at least 2 samples each, not {values.size} in all; 2 are the fewest")
    spread = t_interval(block_means(values, batches), level)
    mean = float(values.mean())
    return Interval(mean + spread.low - spread.estimate, mean, mean + spread.high - spread.estimate)


def fit_power_law(x: Samples, y: Samples, level: float = LEVEL) -> PowerLaw:
    """Return the least-squares fit of log y against log x.

    Parameters
    ----------
    x, y
        (n,) positive samples, n at least 3, not all x equal.
    level
        Probability that the exponent's interval is meant to cover.

    Raises
    ------
    SampleError
        Where there are fewer than three points, or a line through them is not determined.
    """
    from scipy.special import stdtrit  # noqa: PLC0415  (scipy takes long to import, and only fits need it)

    log_x, log_y = np.log(_positive(x, "x")), np.log(_positive(y, "y"))
    if log_x.shape != log_y.shape:
        raise SampleError(f"a fit needs as many x as y, not {log_x.size} and {log_y.size}")
    _check_level(level)
    freedom = log_x.size - 2
    if freedom < 1:
        raise SampleError(f"a power law with an interval needs at least 3 points, not {log_x.size}")
    offset = log_x - log_x.mean()
    spread = float(offset @ offset)
    if np.ptp(log_x) == 0.0:
        raise SampleError(f"a power law needs different x; all are {float(np.exp(log_x[0])):g}")
    exponent = float(offset @ log_y) / spread
    intercept = float(log_y.mean() - exponent * log_x.mean())
    residual = log_y - (intercept + exponent * log_x)
    unexplained = float(residual @ residual)
    margin = float(stdtrit(freedom, 0.5 + level / 2)) * (unexplained / freedom / spread) ** 0.5
    variation = float(np.sum((log_y - log_y.mean()) ** 2))
    r_squared = 1.0 - unexplained / variation if variation > 0.0 else 1.0
    return PowerLaw(float(np.exp(intercept)), exponent, exponent - margin, exponent + margin, r_squared)


def _bootstrap_medians(values: Floats, rng: np.random.Generator, level: float, resamples: int) -> tuple[float, float]:
    """Return the ends of the central interval of the medians of resamples of ``values`` (n,)."""
    return _central(np.median(values[_resampled(values.size, rng, level, resamples)], axis=1), level)


def _resampled(size: int, rng: np.random.Generator, level: float, resamples: int) -> npt.NDArray[np.int64]:
    """Return (resamples, size) indices, drawn with replacement."""
    _check_level(level)
    if resamples < 1:
        raise SampleError(f"a bootstrap needs at least 1 resample, not {resamples}")
    return rng.integers(size, size=(resamples, size))


def _central(values: Floats, level: float) -> tuple[float, float]:
    """Return the ends of the central interval of ``values`` (n,)."""
    low, high = np.quantile(values, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def _check_level(level: float) -> None:
    """Raise `SampleError` unless the level of an interval is a probability between 0 and 1."""
    if not 0.0 < level < 1.0:
        raise SampleError(f"the level of an interval lies between 0 and 1, not at {level}")


def _checked(samples: Samples, name: str) -> Floats:
    """Return the samples as a float array (n,), or raise `SampleError` naming what is wrong with them."""
    values = np.asarray(samples, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise SampleError(f"{name}: one or more numbers in a row are needed, not an array of shape {values.shape}")
    if not np.isfinite(values).all():
        index = int(np.argmin(np.isfinite(values)))
        raise SampleError(f"{name}[{index}] is {values[index]}; only finite numbers can be summarised")
    return values


def _positive(samples: Samples, name: str) -> Floats:
    """Return the samples as `_checked` does, and raise `SampleError` where one is not above 0."""
    values = _checked(samples, name)
    if values.min() <= 0.0:
        index = int(np.argmin(values))
        raise SampleError(f"{name}[{index}] is {values[index]}; ratios and power laws need numbers above 0")
    return values
