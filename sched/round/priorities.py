"""Allocation and service received -> each job's priority on each worker type (pure).

Source: OSDI'20 (Gavel) section 5: a job's priority on a type is its allocation there over the share of the type's time
it has received, so that over time the shares approach the allocation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from phasewise.sched.round import kernels

Floats = npt.NDArray[np.float64]


def compute(x: Floats, throughput: Floats, job_time_s: Floats, worker_time_s: Floats) -> Floats:
    """Return the (J, W) priorities.

    Parameters
    ----------
    x
        (J, W) allocation in force; zero rows where the policy has not seen the job yet.
    throughput
        (J, W) steps/s; a job has priority 0 where it cannot run.
    job_time_s
        (J, W) seconds of service received since the account opened.
    worker_time_s
        (W,) seconds of service given on each type since then; 0 makes any allocation urgent (1e9 times x).
    """
    priority = np.empty_like(x)
    kernels.fill_priorities(x, throughput, job_time_s, worker_time_s, priority)
    return priority


def present_worker_time(job_time_s: Floats) -> Floats:
    """Return (W,) the service received on each type by the jobs present, seconds: their shares then add up to 1.

    Counting GPU-seconds would multiply a job's time and its allocation by the same scale factor, which cancels.
    """
    given_s: Floats = job_time_s.sum(axis=0)
    return given_s
