"""Mathematics that several policies share: normalisers and gains."""

from __future__ import annotations

import numpy as np

from phasewise.sched.api import ClusterView, Floats
from phasewise.sched.registry import PolicyOptions
from phasewise.solvers.problems import Bools, MaxMinProblem

CANONICAL_WEIGHT = 1e-3  # large enough to choose among equal optima, too small to move the least gain


def proportional_throughput(throughput: Floats, capacity: Floats) -> Floats:
    """Return each job's throughput under an equal share of the cluster's time, (J,) steps/s.

    Every job gets the fraction N_j / sum(N) of its time on type j, so norm_i = sum_j T_ij N_j / sum_j N_j.

    Parameters
    ----------
    throughput
        (J, W) float64, steps/s.
    capacity
        (W,) float64, GPUs; at least one of them above 0.

    Notes
    -----
    Source: OSDI'20 s4.1, X^equal.
    """
    norm: Floats = throughput @ capacity / capacity.sum()
    return norm


def runnable_pairs(throughput: Floats, capacity: Floats) -> Bools:
    """Return where a job can make progress, (J, W) bool: its throughput is above 0 and the type has GPUs."""
    pairs: Bools = (throughput > 0) & (capacity > 0)
    return pairs


def max_min_problem(view: ClusterView, throughput: Floats, options: PolicyOptions) -> tuple[MaxMinProblem, Bools]:
    """Return the max-min fairness problem of the jobs that can run, and which those are, (J,) bool.

    gain_ij = s_i T_ij / (w_i norm_i), and x_ij is fixed at 0 wherever the job makes no progress, unless the options
    ask for the original's form. A job that can run on no type at all has no row: its gain of 0 would be everybody's.

    Parameters
    ----------
    view
        The active jobs.
    throughput
        (J, W) the throughputs that the policy believes in; `view.throughput` alone decides which pairs are possible.
    options
        Whether the optimum is made unique, and whether impossible pairs are masked.

    Notes
    -----
    Source: OSDI'20 s4.1.
    """
    pairs = runnable_pairs(view.throughput, view.capacity)
    rows: Bools = np.any(pairs, axis=1)
    norm = proportional_throughput(throughput[rows], view.capacity)
    factor = view.scale_factor[rows] / (view.priority_weight[rows] * norm)
    problem = MaxMinProblem(
        gain=factor[:, None] * throughput[rows],
        scale_factor=view.scale_factor[rows],
        capacity=view.capacity,
        allowed=pairs[rows] if options.mask_impossible else np.ones_like(pairs[rows]),
        linear_weight=CANONICAL_WEIGHT if options.canonical else 0.0,
    )
    return problem, rows


def spread(x_rows: Floats, rows: Bools) -> Floats:
    """Return the (J, W) allocation that has the rows ``x_rows`` where ``rows`` is true, and 0 elsewhere."""
    x = np.zeros((rows.size, x_rows.shape[1]))
    x[rows] = x_rows
    return x
