"""Mathematics that several policies share: normalisers and gains."""

from __future__ import annotations

import numpy as np

from phasewise.sched.api import ClusterView, Floats
from phasewise.sched.errors import ScenarioError
from phasewise.sched.policy_options import MaxMinOptions, PolicyOptions, SpeedOptions
from phasewise.solvers.families.lexicographic import LexicographicProblem
from phasewise.solvers.families.max_min import MAX_MIN, MAX_MIN_SWITCHING, MaxMinProblem
from phasewise.solvers.problems import Bools
from phasewise.solvers.short_rows import row_any

GAVEL_REFERENCE = "v100"
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


def isolated_share(view: ClusterView) -> Floats:
    """Return the (J, W) time fractions of m jobs that have the m-th part of every worker type each.

    x_ij = N_j / m / s_i, each row divided by max(1, its sum).

    Notes
    -----
    The order of the operations is the one whose results equal the original's to the last bit.
    Source: OSDI'20 s4.2 (the isolated baseline).
    """
    return even_split(view.capacity, view.scale_factor)


def even_split(capacity: Floats, scale_factor: Floats) -> Floats:
    """Return (R, W) the shares of `isolated_share` for rows of these scale factors (R,), teams or jobs."""
    rows = scale_factor.size
    if rows == 0:
        return np.zeros((0, capacity.size))
    x = (capacity / rows)[None, :] / scale_factor[:, None]
    share: Floats = x / np.maximum(x.sum(axis=1), 1.0)[:, None]
    return share


def even_throughput(view: ClusterView, options: SpeedOptions) -> Floats:
    """Return the (J, W) throughputs that a policy goes by which knows how long jobs take but not how fast types are.

    Each job has one rate on all the types on which it can run: its mean over them, or that on the reference type where
    there is one and it runs there. Under the original's rules it has its rate on the reference type everywhere (D2).

    Raises
    ------
    ScenarioError
        If the cluster does not have the reference type.
    """
    pairs = runnable_pairs(view.throughput, view.capacity)
    reference = _reference(view.worker_types, options)
    if reference is not None and options.reference_speeds:
        return np.repeat(view.throughput[:, reference, None], view.capacity.size, axis=1)
    total = np.where(pairs, view.throughput, 0.0).sum(axis=1)
    rate = np.divide(total, pairs.sum(axis=1), out=np.zeros(total.size), where=total > 0.0)
    if reference is not None:
        rate = np.where(pairs[:, reference], view.throughput[:, reference], rate)
    return np.where(pairs, rate[:, None], 0.0)


def require_reference(options: SpeedOptions) -> None:
    """Raise `ScenarioError` where the cluster, as far as it is known, does not have the reference type."""
    if options.worker_types:
        _reference(options.worker_types, options)


def _reference(worker_types: tuple[str, ...], options: SpeedOptions) -> int | None:
    """Return the index of the reference type, None where speeds are averaged; raise `ScenarioError` without one."""
    name = options.reference_type or (GAVEL_REFERENCE if options.reference_speeds else None)
    if name is None:
        return None
    if name not in worker_types:
        raise ScenarioError(
            f"the policy takes the speed of {name} for that of all worker types, but the cluster has none; allowed: "
            f"{', '.join(worker_types)}, by --set policy.options.reference_type=NAME"
            + (", or --timing corrected" if options.reference_type is None else ", or none for mean speeds")
        )
    return worker_types.index(name)


def runnable_pairs(throughput: Floats, capacity: Floats) -> Bools:
    """Return where a job can make progress, (J, W) bool: its throughput is above 0 and the type has GPUs."""
    pairs: Bools = (throughput > 0) & (capacity > 0)
    return pairs


def believed_throughput(view: ClusterView, *, knows_speeds: bool) -> Floats:
    """Return the (J, W) throughputs that a policy goes by: the true ones, or 1 where it knows no speeds."""
    return view.throughput if knows_speeds else np.ones(view.throughput.shape)


def max_min_problem(view: ClusterView, throughput: Floats, options: MaxMinOptions) -> tuple[MaxMinProblem, Bools]:
    """Return the max-min fairness problem of the jobs that can run, and which those are, (J,) bool.

    gain_ij = s_i T_ij / (w_i norm_i), and x_ij is fixed at 0 wherever the job makes no progress, unless the options
    ask for the original's form. A job that can run on no type at all has no row: its gain of 0 would be everybody's.
    Where moving costs, leaving the allocation in force costs move_weight * migration_s_ij / J a unit of time.

    Parameters
    ----------
    view
        The active jobs.
    throughput
        (J, W) the throughputs that the policy believes in; `view.throughput` alone decides which pairs are possible.
    options
        Whether the optimum is made unique, whether impossible pairs are masked, and what moving weighs.

    Notes
    -----
    Source: OSDI'20 s4.1.
    """
    pairs, rows = possible_pairs(view, options)
    chosen = _chosen(rows)
    previous, lost = movement(view, rows, options)
    if lost is not None:
        lost = lost / max(1, int(rows.sum()))
    problem = MaxMinProblem(
        gain=_fair_gain(view, throughput, chosen),
        scale_factor=view.scale_factor[chosen],
        capacity=view.capacity,
        allowed=pairs,
        linear_weight=CANONICAL_WEIGHT if options.canonical else 0.0,
        previous=previous,
        move_cost=lost,
        keys=view.job_id[chosen],
    )
    return problem, rows


def possible_pairs(view: ClusterView, options: PolicyOptions) -> tuple[Bools, Bools]:
    """Return where x may be above 0, (R, W) bool, and which R of the J jobs can run at all, (J,) bool.

    Every pair of a job that can run is open where the options ask for the original's form.
    """
    pairs = runnable_pairs(view.throughput, view.capacity)
    rows = row_any(pairs)
    pairs = pairs[_chosen(rows)]
    return (pairs if options.mask_impossible else np.ones_like(pairs)), rows


def _fair_gain(view: ClusterView, throughput: Floats, chosen: Bools | slice) -> Floats:
    """Return s_i T_ij / (w_i norm_i) of the ``chosen`` jobs."""
    throughput = throughput[chosen]
    norm = proportional_throughput(throughput, view.capacity)
    factor = view.scale_factor[chosen] / (view.priority_weight[chosen] * norm)
    gain: Floats = factor[:, None] * throughput
    return gain


def _chosen(rows: Bools) -> Bools | slice:
    """Return what takes ``rows`` (J,) out of an array: a slice, which copies nothing, where these are all, as usual."""
    return slice(None) if rows.all() else rows


def max_min_families(options: MaxMinOptions) -> frozenset[str]:
    """Return the families of what `max_min_problem` states in a simulation with these options."""
    return frozenset({MAX_MIN_SWITCHING if options.move_weight else MAX_MIN})


def water_filling_problem(
    view: ClusterView, throughput: Floats, options: PolicyOptions
) -> tuple[LexicographicProblem, Bools]:
    """Return the lexicographic problem over the gains of `max_min_problem`, and which jobs have a row, (J,) bool.

    Its levels are unique, so that no linear term has to choose among optima; moving costs nothing in it.
    """
    pairs, rows = possible_pairs(view, options)
    gain = _fair_gain(view, throughput, _chosen(rows))
    return LexicographicProblem(gain, view.scale_factor[rows], view.capacity, pairs, view.job_id[rows]), rows


def movement(view: ClusterView, rows: Bools, options: PolicyOptions) -> tuple[Floats | None, Floats | None]:
    """Return the (R, W) allocation in force of the jobs in ``rows``, and the part of a round that starting each costs.

    The part is weighted by the options; both are None where moving is free.
    """
    if view.previous is None or view.migration_s is None or not options.move_weight:
        return None, None
    return view.previous[rows], view.migration_s[rows] * options.move_weight


def spread(x_rows: Floats, rows: Bools) -> Floats:
    """Return the (J, W) allocation that has the rows ``x_rows`` where ``rows`` is true, and 0 elsewhere.

    Where all are true, ``x_rows`` itself.
    """
    if rows.all():
        return x_rows
    x = np.zeros((rows.size, x_rows.shape[1]))
    x[rows] = x_rows
    return x
