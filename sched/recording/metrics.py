"""What a run is judged by: JCT, utilisation, fairness. Pure, over simulated quantities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasewise.profiling.artefacts.run_json import Rho, Slowdown
from phasewise.sched.api import Floats, Ints
from phasewise.solvers.problems import Bools


@dataclass(frozen=True, slots=True)
class JctStatistics:
    """Job completion times of the jobs that completed.

    Attributes
    ----------
    completed
        How many of the jobs completed; where some did not, the rest are lower bounds of what they would have been.
    avg_s, p50_s, p95_s
        Mean and linearly interpolated percentiles, seconds; None where no job completed.
    """

    completed: int
    avg_s: float | None
    p50_s: float | None
    p95_s: float | None


def jct_statistics(jct_s: Floats) -> JctStatistics:
    """Return mean, median and 95th percentile of the JCTs.

    Parameters
    ----------
    jct_s
        (K,) completion minus arrival, seconds, in order of job id; NaN for a job that did not complete.

    Raises
    ------
    ValueError
        If a JCT is infinite or negative.

    Notes
    -----
    In order of job id the mean equals the original's to the last bit; in another order the sum may round otherwise.
    """
    jct_s = np.asarray(jct_s, dtype=np.float64)
    completed = _known(jct_s)
    if completed.size == 0:
        return JctStatistics(0, None, None, None)
    if not (np.isfinite(completed) & (completed >= 0)).all():
        raise ValueError("a JCT is finite and not negative; NaN stands for a job that did not complete")
    p50_s, p95_s = np.percentile(completed, [50.0, 95.0]).tolist()
    return JctStatistics(int(completed.size), float(completed.mean()), p50_s, p95_s)


def in_window(job_id: Ints, window: tuple[int, int] | None) -> Bools:
    """Return which jobs count, (K,) bool: those with A <= id < B, or all where there is no window."""
    if window is None:
        return np.ones(job_id.size, dtype=np.bool_)
    counts: Bools = (job_id >= window[0]) & (job_id < window[1])
    return counts


def worker_utilization(busy_s: Floats, elapsed_s: float) -> float:
    """Return the mean over GPUs of the share of the run's time that each was held by a job.

    The whole run counts: the filling of the cluster at the start, and the tail in which the last jobs run alone. A GPU
    counts as busy for as long as its job ran in a round, so one that waits for a round's slowest job is idle.

    Parameters
    ----------
    busy_s
        (G,) seconds each GPU was busy, in order of worker id.
    elapsed_s
        Simulated seconds from the start to the end of the run.

    Returns
    -------
    float
        0 to 1, and 0 where no time has passed. More than 1 says that ``busy_s`` counts time in which nothing ran, as
        the original's account does after an idle gap; it is not hidden here.

    Notes
    -----
    Source: the original simulator's cluster utilisation.
    """
    if elapsed_s <= 0 or busy_s.size == 0:
        return 0.0
    return float((busy_s / elapsed_s).mean())


def percentiles(values: Floats, *levels: float) -> tuple[float | None, ...]:
    """Return linearly interpolated percentiles of the values that are known (not NaN); None each where none is."""
    known = _known(values)
    if known.size == 0:
        return (None,) * len(levels)
    return tuple(np.percentile(known, levels).tolist())


def _known(values: Floats) -> Floats:
    """Return the values that are not NaN; no copy, but the same array, where all are known."""
    unknown = np.isnan(values)
    return values[~unknown] if unknown.any() else values


def rho_statistics(rho: Floats) -> Rho | None:
    """Return finish-time fairness over jobs; None where it is known of none.

    Parameters
    ----------
    rho
        (K,) JCT over the time on an isolated share, of jobs that completed; NaN where that is not known.

    Notes
    -----
    Source: NSDI'20 (Themis) s3; OSDI'20 s4.2.
    """
    known = _known(rho)
    if known.size == 0:
        return None
    return Rho(
        mean=float(known.mean()),
        p99=float(np.percentile(known, 99.0)),
        worst=float(known.max()),
        share_above_1=float((known > 1.0).mean()),
        jobs=int(known.size),
    )


def slowdown_statistics(jct_s: Floats, ideal_s: Floats, bound_s: float) -> Slowdown | None:
    """Return the bounded slowdown over jobs: JCT over the time on their best worker type; None of no job.

    Parameters
    ----------
    jct_s, ideal_s
        (K,) seconds; NaN where it is not known.
    bound_s
        A job that would take less counts as if it took so long, or short jobs alone would make the mean.

    Notes
    -----
    Source: Feitelson, Metrics for parallel job scheduling and their convergence (JSSPP 2001).
    """
    slowdown = np.maximum(ideal_s, bound_s)  # one array of a million jobs, not three
    np.divide(jct_s, slowdown, out=slowdown)
    np.maximum(slowdown, 1.0, out=slowdown)
    known = _known(slowdown)
    if known.size == 0:
        return None
    p95, p99 = np.percentile(known, [95.0, 99.0]).tolist()
    return Slowdown(mean=float(known.mean()), p95=p95, p99=p99, worst=float(known.max()), jobs=int(known.size))


def jain_index(rho: Floats) -> float | None:
    """Return Jain's index of how evenly jobs were served, 1 / K to 1; None where that is known of none.

    Parameters
    ----------
    rho
        (K,) finish-time fairness; NaN where it is not known. What a job got is 1 / rho: 1 on an isolated share.

    Notes
    -----
    Source: Jain, Chiu, Hawe, A quantitative measure of fairness (DEC-TR-301, 1984).
    """
    return jain_of(1.0 / rho[rho > 0.0])


def jain_of(got: Floats) -> float | None:
    """Return Jain's index of what each of K got, (K,) and above 0: 1 / K to 1; None where there is nobody."""
    return float(got.sum() ** 2 / (got.size * (got @ got))) if got.size else None
