"""The loops of the interior-point method; `docs/explanation/structured-solvers.md` derives every formula.

Arrays are laid out by type, (W, J): the innermost loop runs over jobs, which become the lanes of vector instructions.
A pair that is not open has gain 0, y = 0 and z = 1 throughout, so that it adds nothing anywhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phasewise.profiling.jit.kernel import loop
from phasewise.profiling.jit.layouts import IntVector, Matrix, Vector
from phasewise.solvers.structured.sums import dot, sum_of

CONVERGED, STALLED, OUT_OF_ITERATIONS = 0, 1, 2

_GUARD = 1e-300  # keeps 0 / 0 at 0 where a pair is not open
BLOCK = 512  # jobs: six rows of them fit into the fastest cache
_PIVOT = 1e-14  # relative to the entry itself: those of types with few GPUs are far smaller than others


class Program(NamedTuple):
    """A MaxMin linear program with few types, and fixed jobs' use of capacity affine in the level t.

    Maximise ``level_reward t + sum_i linear_i (a_i . x_i) + sum_ij cost_ij (kept_ij - added_ij)`` with
    x = kept + added, 0 <= kept <= previous, added >= 0, subject to a_i . x_i >= t, sum_j x_ij <= 1 and
    sum_i use_i x_ij + drift_j t <= capacity_j.

    Attributes
    ----------
    gain
        (W, J) a_ij, 0 where not open.
    open
        (W, J) 1 where x may be above 0, else 0.
    use
        (J,) GPUs that all of x_i takes.
    linear
        (J,) reward for a unit of gain.
    capacity, drift
        (W,) GPUs, and GPUs that fixed jobs take for each unit of t (may be negative).
    level_reward
        Reward for a unit of t.
    cost
        (W, J) what a unit of change costs, or of shape (0, 0).
    kept_type, kept_job, previous
        (K,) the pairs on which the allocation in force is above 0 and costs something to leave, and how much it is.
    """

    gain: Matrix
    open: Matrix
    use: Vector
    linear: Vector
    capacity: Vector
    drift: Vector
    level_reward: float
    cost: Matrix
    kept_type: IntVector
    kept_job: IntVector
    previous: Vector


class Point(NamedTuple):
    """Where the method is: primal variables, slacks, and the duals that belong to them; see `Program`.

    ``y`` (W, J) is what is added (without a movement cost all of x), ``k`` (K,) what is kept and ``b = previous - k``;
    their duals are ``z``, ``zk`` and ``zb``. The slacks ``u`` of throughput rows, ``v`` of time rows and ``w`` of
    capacity rows have the duals ``lam``, ``mu`` and ``price``.
    """

    y: Matrix
    z: Matrix
    u: Vector
    lam: Vector
    v: Vector
    mu: Vector
    w: Vector
    price: Vector
    k: Vector
    zk: Vector
    b: Vector
    zb: Vector


class Reduced(NamedTuple):
    """What eliminating columns and the 2 x 2 block of each job leaves, for one point."""

    inverse_z: Matrix
    inverse_y: Matrix
    d: Matrix
    dk: Vector
    used: Matrix  # use * (d + dk)
    off: Matrix  # gain - centre
    tilted: Matrix  # used * off
    centre: Vector
    foremost: IntVector  # the type with the largest D
    largest: Vector
    rest: Vector  # time_pivot - largest
    time_pivot: Vector
    gain_pivot: Vector
    matrix: Matrix
    coupling: Vector
    aimed: Matrix
    aimed_k: Vector
    gain_aim: Vector
    time_aim: Vector
    right: Vector
    gain_off: Vector
    time_off: Vector
    spare: Vector
    idle: Vector  # v / mu
    reference: Vector  # the gain of the foremost type
    own: Vector  # the change of its price
    left: Vector
    right_block: Vector
    worst: Vector


@loop
def reduce_columns(program: Program, point: Point, reduced: Reduced) -> None:
    """Fill in what depends on columns alone: D, the centre of each job's gains, the pivots of its 2 x 2 block."""
    gain, open_pair = program.gain, program.open
    types, jobs = gain.shape
    used, d, inverse = reduced.used, reduced.d, reduced.inverse_z
    for j in range(types):
        for i in range(jobs):
            inverse[j, i] = open_pair[j, i] / point.z[j, i]
            reduced.inverse_y[j, i] = open_pair[j, i] / (point.y[j, i] + _GUARD)
        for i in range(jobs):
            d[j, i] = point.y[j, i] * inverse[j, i]
            used[j, i] = d[j, i]
    if program.previous.size > 0:
        keep_columns(program, point, reduced.dk, used)
    for i in range(jobs):
        reduced.idle[i] = point.v[i] / point.mu[i]
        reduced.rest[i] = reduced.idle[i]
    centre_gains(program, point, reduced)
    weigh(program.use, reduced)


@loop
def find_foremost(gain: Matrix, used: Matrix, reduced: Reduced) -> None:
    """Fill in each job's column with the largest D, that D, its gain, and the sum of the others, added to ``rest``.

    A loop for each: one loop over as many arrays would not become vector code.
    """
    types, jobs = used.shape
    foremost, largest, rest = reduced.foremost, reduced.largest, reduced.rest
    largest[:] = 0.0
    foremost[:] = 0
    for j in range(types):
        for i in range(jobs):
            largest[i] = used[j, i] if used[j, i] > largest[i] else largest[i]
    for j in range(types):
        for i in range(jobs):
            foremost[i] = j if used[j, i] >= largest[i] else foremost[i]
    for j in range(types):
        for i in range(jobs):
            rest[i] += 0.0 if foremost[i] == j else used[j, i]
    for j in range(types):
        for i in range(jobs):
            reduced.reference[i] = gain[j, i] if foremost[i] == j else reduced.reference[i]


@loop
def centre_gains(program: Program, point: Point, reduced: Reduced) -> None:
    """Fill in each job's centre, its gains' distances from it, and its two pivots.

    The column with the largest D is the reference: near the optimum the centre almost is its gain, and their difference
    times a D of 1e12 would be noise if it were not computed as a difference from the start.
    """
    gain, used, off, centre = program.gain, reduced.used, reduced.off, reduced.centre
    types, jobs = gain.shape
    weight, spread = reduced.time_pivot, reduced.gain_pivot
    reference, idle = reduced.reference, reduced.idle
    find_foremost(gain, used, reduced)
    for i in range(jobs):
        weight[i] = reduced.rest[i] + reduced.largest[i]
        centre[i] = -idle[i] * reference[i]
    for j in range(types):
        for i in range(jobs):
            off[j, i] = gain[j, i] - reference[i]
            centre[i] += used[j, i] * off[j, i]
    for i in range(jobs):
        centre[i] /= weight[i]
        spread[i] = point.u[i] / point.lam[i] + idle[i] * (reference[i] + centre[i]) ** 2
    for j in range(types):
        for i in range(jobs):
            off[j, i] -= centre[i]
            spread[i] += used[j, i] * off[j, i] * off[j, i]
    for i in range(jobs):
        centre[i] += reference[i]


@loop
def weigh(use: Vector, reduced: Reduced) -> None:
    """Multiply ``used`` by the jobs' GPUs, and write it times the distances from the centre."""
    used, off, tilted = reduced.used, reduced.off, reduced.tilted
    for j in range(used.shape[0]):
        for i in range(use.size):
            used[j, i] *= use[i]
            tilted[j, i] = used[j, i] * off[j, i]


@loop
def keep_columns(program: Program, point: Point, dk: Vector, used: Matrix) -> None:
    """Write D of what is kept, 1 / (zk / k + zb / b), and add it to ``used``."""
    k, zk, b, zb = point.k, point.zk, point.b, point.zb
    for n in range(k.size):
        dk[n] = k[n] * b[n] / (zk[n] * b[n] + zb[n] * k[n])
    for n in range(k.size):
        used[program.kept_type[n], program.kept_job[n]] += dk[n]


@loop
def reduce_rows(program: Program, point: Point, reduced: Reduced) -> None:
    """Fill in the (W, W) matrix over prices and the (W + 1,) coupling with t, whose last entry is t's own pivot."""
    types, jobs = program.gain.shape
    reduced.matrix[:] = 0.0
    reduced.coupling[:] = 0.0
    for low in range(0, jobs, BLOCK):
        add_block(program.use, reduced, low, min(low + BLOCK, jobs))
    for j in range(types):
        reduced.coupling[j] += program.drift[j]
        reduced.matrix[j, j] += point.w[j] / point.price[j]
        for k in range(j):
            reduced.matrix[k, j] = reduced.matrix[j, k]


@loop
def add_block(use: Vector, reduced: Reduced, low: int, high: int) -> None:
    """Add jobs ``low`` to ``high`` to the matrix and the coupling; few enough for the fastest cache."""
    matrix, coupling, left, right = reduced.matrix, reduced.coupling, reduced.left, reduced.right_block
    types, size = matrix.shape[0], high - low
    gain_pivot, time_pivot, takes = reduced.gain_pivot[low:high], reduced.time_pivot[low:high], use[low:high]
    largest, rest = reduced.largest[low:high], reduced.rest[low:high]
    for i in range(size):
        coupling[types] += 1.0 / gain_pivot[i]
    for j in range(types):
        tilted, used = reduced.tilted[j, low:high], reduced.used[j, low:high]
        for i in range(size):
            left[i] = tilted[i] / gain_pivot[i]
            right[i] = used[i] / time_pivot[i]
        slope, own = 0.0, 0.0
        for i in range(size):
            others = rest[i] * takes[i] if used[i] >= largest[i] * takes[i] else time_pivot[i] * takes[i] - used[i]
            slope += left[i]
            own += right[i] * others - tilted[i] * left[i]
        coupling[j] += slope
        matrix[j, j] += own
        for k in range(j):
            matrix[j, k] -= dot(left, reduced.tilted[k, low:high]) + dot(right, reduced.used[k, low:high])


@loop
def aim(program: Program, point: Point, reduced: Reduced, second: Point, target: float) -> None:
    """Fill in the right-hand side for products ``target - second``: zero and no second order for the predictor."""
    types, jobs = program.gain.shape
    use, gain_aim, time_aim, aimed = program.use, reduced.gain_aim, reduced.time_aim, reduced.aimed
    for i in range(jobs):
        gain_aim[i] = (target - second.u[i]) / point.lam[i] - point.u[i] + reduced.gain_off[i]
        time_aim[i] = (target - second.v[i]) / point.mu[i] - point.v[i] - reduced.time_off[i]
        gain_aim[i] += reduced.centre[i] * time_aim[i]
    for j in range(types):
        for i in range(jobs):
            aimed[j, i] = (target - second.y[j, i]) * reduced.inverse_z[j, i] - point.y[j, i]
    if program.previous.size > 0:
        aim_kept(program, point, reduced, second, target)
    for j in range(types):
        for i in range(jobs):
            gain_aim[i] -= reduced.off[j, i] * aimed[j, i]
            time_aim[i] += aimed[j, i]
    for i in range(jobs):
        gain_aim[i] /= reduced.gain_pivot[i]
        time_aim[i] /= reduced.time_pivot[i]
    for j in range(types):
        total = (target - second.w[j]) / point.price[j] - point.w[j] - reduced.spare[j]
        for i in range(jobs):
            total += aimed[j, i] * use[i] + reduced.tilted[j, i] * gain_aim[i] - reduced.used[j, i] * time_aim[i]
        reduced.right[j] = total


@loop
def aim_kept(program: Program, point: Point, reduced: Reduced, second: Point, target: float) -> None:
    """Write where what is kept would go at unchanged row duals, and add it to ``reduced.aimed``."""
    k, zk, b, zb, aimed = point.k, point.zk, point.b, point.zb, reduced.aimed_k
    for n in range(k.size):
        aimed[n] = (target - second.k[n]) / k[n] - zk[n]
    for n in range(k.size):
        aimed[n] = reduced.dk[n] * (aimed[n] - (target - second.b[n]) / b[n] + zb[n])
    for n in range(k.size):
        reduced.aimed[program.kept_type[n], program.kept_job[n]] += aimed[n]


@loop
def factorise(matrix: Matrix, coupling: Vector) -> None:
    """Replace ``matrix`` by the Cholesky factor of itself plus the part of t, eliminated; tiny pivots become huge."""
    types = matrix.shape[0]
    for j in range(types):
        for k in range(types):
            matrix[j, k] += coupling[j] * coupling[k] / coupling[types]
    for j in range(types):
        own = matrix[j, j]
        for k in range(j):
            matrix[j, j] -= matrix[j, k] ** 2
        matrix[j, j] = np.sqrt(matrix[j, j]) if matrix[j, j] > _PIVOT * own else 1e64
        for i in range(j + 1, types):
            for k in range(j):
                matrix[i, j] -= matrix[i, k] * matrix[j, k]
            matrix[i, j] /= matrix[j, j]


@loop
def solve_reduced(reduced: Reduced, missing: float, change: Vector) -> float:
    """Write the change of prices into ``change`` (W,) and return that of t, whose column lacks ``missing``."""
    factor, coupling = reduced.matrix, reduced.coupling
    types = factor.shape[0]
    rest = missing - sum_of(reduced.gain_aim)
    for j in range(types):
        change[j] = reduced.right[j] + coupling[j] * rest / coupling[types]
        for k in range(j):
            change[j] -= factor[j, k] * change[k]
        change[j] /= factor[j, j]
    for j in range(types - 1, -1, -1):
        for k in range(j + 1, types):
            change[j] -= factor[k, j] * change[k]
        change[j] /= factor[j, j]
    for j in range(types):
        rest -= coupling[j] * change[j]
    return float(rest / coupling[types])


@loop
def direct(
    program: Program, point: Point, reduced: Reduced, second: Point, target: float, change: Point, level: float
) -> None:
    """Fill in the change of everything, given that of prices (in ``change.price``) and of t (``level``)."""
    types, jobs = program.gain.shape
    direct_rows(program, point, reduced, change, level)
    for i in range(jobs):
        change.u[i] = (target - second.u[i] - point.u[i] * change.lam[i]) / point.lam[i] - point.u[i]
    for i in range(jobs):
        change.v[i] = (target - second.v[i] - point.v[i] * change.mu[i]) / point.mu[i] - point.v[i]
    for j in range(types):
        change.w[j] = (target - second.w[j] - point.w[j] * change.price[j]) / point.price[j] - point.w[j]
    for j in range(types):
        for i in range(jobs):
            aimed = (target - second.y[j, i]) * reduced.inverse_z[j, i] - point.y[j, i]
            change.y[j, i] = aimed - reduced.d[j, i] * change.z[j, i]
    if program.previous.size > 0:
        direct_kept(program, point, reduced, second, target, change)


@loop
def direct_rows(program: Program, point: Point, reduced: Reduced, change: Point, level: float) -> None:
    """Fill in the change of the job rows' duals and of the columns' reduced costs."""
    types, jobs = program.gain.shape
    lam, mu, price = change.lam, change.mu, change.price
    own = reduced.own
    for i in range(jobs):
        own[i] = price[reduced.foremost[i]]
    for i in range(jobs):
        lam[i] = level
        mu[i] = -reduced.idle[i] * program.use[i] * own[i]
    for j in range(types):
        for i in range(jobs):
            lam[i] += price[j] * reduced.tilted[j, i]
            mu[i] += (price[j] - own[i]) * reduced.used[j, i]
    for i in range(jobs):
        lam[i] = reduced.gain_aim[i] + lam[i] / reduced.gain_pivot[i]
        mu[i] = reduced.time_aim[i] - mu[i] / reduced.time_pivot[i]
    for j in range(types):
        for i in range(jobs):
            worth = mu[i] + program.use[i] * (price[j] - own[i]) - reduced.off[j, i] * lam[i]
            change.z[j, i] = program.open[j, i] * worth
    for i in range(jobs):
        mu[i] += reduced.centre[i] * lam[i] - program.use[i] * own[i]


@loop
def direct_kept(program: Program, point: Point, reduced: Reduced, second: Point, target: float, change: Point) -> None:
    """Fill in the change of what is kept; ``change.z`` has the change of the columns' reduced costs."""
    k, zk, b, zb = point.k, point.zk, point.b, point.zb
    for n in range(k.size):
        step = reduced.aimed_k[n] - reduced.dk[n] * change.z[program.kept_type[n], program.kept_job[n]]
        change.k[n] = step
        change.b[n] = -step
    for n in range(k.size):
        change.zk[n] = (target - second.k[n] - zk[n] * change.k[n]) / k[n] - zk[n]
        change.zb[n] = (target - second.b[n] - zb[n] * change.b[n]) / b[n] - zb[n]
