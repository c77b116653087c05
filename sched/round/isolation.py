"""How long a job would have taken alone on its share of the cluster: the yardstick of finish-time fairness.

Alone on its share, job i does iso_i steps a second: what the policy `isolated` gives it among the m jobs that are
active, x_ij = (W_j / m) / s_i with each row divided by max(1, its sum). Summed over types that is
T_i . W / max(s_i m, G), so only T_i . W has to be kept of a job. The account C_i grows by the steps done over iso_i and
is settled whenever m changes; rho_i is the JCT over C_i.

Source: NSDI'20 (Themis) s3; OSDI'20 (Gavel) s4.2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from phasewise.sched.round import round_kernels
from phasewise.sched.round.columns import ISOLATED_S
from phasewise.sched.round.jobs import JobTable

Floats = npt.NDArray[np.float64]


def account_s(jobs: JobTable, gpus: int) -> Floats:
    """Return (J,) C_i as of now, seconds; ``gpus`` is G, all GPUs of the cluster."""
    floats = jobs.floats.copy()
    round_kernels.settle_isolated(float(gpus), len(jobs), floats)
    settled_s: Floats = floats[ISOLATED_S, : len(jobs)]
    return settled_s


def settle(jobs: JobTable, gpus: int) -> None:
    """Book the steps done with the present number of jobs, in place; to be called before it changes."""
    round_kernels.settle_isolated(float(gpus), len(jobs), jobs.floats)
