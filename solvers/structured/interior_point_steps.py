"""What an iteration of the interior point does beside its two linear systems: lengths, products, balance."""

from __future__ import annotations

from phasewise.profiling.jit.kernel import loop
from phasewise.profiling.jit.layouts import Matrix, Vector
from phasewise.solvers.structured.interior_point_kernels import Point, Program, Reduced
from phasewise.solvers.structured.sums import dot, largest, sum_of_products

_GUARD = 1e-300  # keeps 0 / 0 at 0


@loop
def note_falls(change: Matrix, inverse: Matrix, worst: Vector) -> None:
    """Raise ``worst`` (J,) to -change / value: elementwise, for a maximum over all would not become vector code."""
    for j in range(change.shape[0]):
        for i in range(change.shape[1]):
            fall = -change[j, i] * inverse[j, i]
            worst[i] = fall if fall > worst[i] else worst[i]


@loop
def note_fall(value: Vector, change: Vector, worst: Vector) -> None:
    """Raise ``worst`` (n,) to -change / value."""
    for i in range(value.size):
        fall = -change[i] / value[i]
        worst[i] = fall if fall > worst[i] else worst[i]


@loop
def longest_steps(point: Point, change: Point, reduced: Reduced) -> tuple[float, float]:
    """Return the primal and the dual step to the boundary, each at most 1."""
    worst = reduced.worst
    worst[:] = 1.0
    note_falls(change.y, reduced.inverse_y, worst)
    note_fall(point.k, change.k, worst)
    note_fall(point.b, change.b, worst)
    note_fall(point.u, change.u, worst)
    note_fall(point.v, change.v, worst)
    note_fall(point.w, change.w, worst)
    primal = 1.0 / largest(worst)
    worst[:] = 1.0
    note_falls(change.z, reduced.inverse_z, worst)
    note_fall(point.zk, change.zk, worst)
    note_fall(point.zb, change.zb, worst)
    note_fall(point.lam, change.lam, worst)
    note_fall(point.mu, change.mu, worst)
    note_fall(point.price, change.price, worst)
    return primal, 1.0 / largest(worst)


@loop
def complementarity(first: Point, second: Point) -> float:
    """Return the sum of the primal values of ``first`` times their duals in ``second``."""
    total = sum_of_products(first.y, second.z) + dot(first.u, second.lam) + dot(first.v, second.mu)
    total += dot(first.w, second.price)
    return total + dot(first.k, second.zk) + dot(first.b, second.zb)


@loop
def multiply(first: Matrix, second: Matrix, out: Matrix) -> None:
    """Write the products of two (W, J) arrays."""
    for j in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[j, i] = first[j, i] * second[j, i]


@loop
def second_order(change: Point, second: Point) -> None:
    """Write the products of the predictor's primal and dual changes."""
    multiply(change.y, change.z, second.y)
    for n in range(change.k.size):
        second.k[n] = change.k[n] * change.zk[n]
        second.b[n] = change.b[n] * change.zb[n]
    for i in range(change.u.size):
        second.u[i] = change.u[i] * change.lam[i]
        second.v[i] = change.v[i] * change.mu[i]
    for j in range(change.w.size):
        second.w[j] = change.w[j] * change.price[j]


@loop
def clear(second: Point) -> None:
    """Set the second-order products to 0."""
    second.y[:] = 0.0
    second.u[:] = 0.0
    second.v[:] = 0.0
    second.w[:] = 0.0
    second.k[:] = 0.0
    second.b[:] = 0.0


@loop
def advance(value: Matrix, change: Matrix, step: float) -> None:
    """Add ``step * change`` to a (W, J) array in place."""
    for j in range(value.shape[0]):
        for i in range(value.shape[1]):
            value[j, i] += step * change[j, i]


@loop
def move(point: Point, change: Point, primal: float, dual: float) -> None:
    """Take the step."""
    advance(point.y, change.y, primal)
    advance(point.z, change.z, dual)
    for n in range(point.k.size):
        point.k[n] += primal * change.k[n]
        point.b[n] += primal * change.b[n]
    for n in range(point.k.size):
        point.zk[n] += dual * change.zk[n]
        point.zb[n] += dual * change.zb[n]
    for i in range(point.u.size):
        point.u[i] += primal * change.u[i]
        point.lam[i] += dual * change.lam[i]
    for i in range(point.v.size):
        point.v[i] += primal * change.v[i]
        point.mu[i] += dual * change.mu[i]
    for j in range(point.w.size):
        point.w[j] += primal * change.w[j]
        point.price[j] += dual * change.price[j]


@loop
def balance(program: Program, point: Point, reduced: Reduced, level: float, unit: float) -> float:
    """Write by how much each row is out of balance, and return the most, relative to what is in it."""
    types, jobs = program.gain.shape
    gain_off, time_off = reduced.gain_off, reduced.time_off
    for i in range(jobs):
        gain_off[i] = level + point.u[i]
        time_off[i] = 1.0 - point.v[i]
    spare = reduced.spare
    for j in range(types):
        taken = 0.0
        for i in range(jobs):
            y = point.y[j, i]
            gain_off[i] -= program.gain[j, i] * y
            time_off[i] -= y
            taken += y * program.use[i]
        spare[j] = program.capacity[j] - taken - program.drift[j] * level - point.w[j]
    for n in range(program.previous.size):
        j, i, kept = program.kept_type[n], program.kept_job[n], point.k[n]
        gain_off[i] -= program.gain[j, i] * kept
        time_off[i] -= kept
        spare[j] -= kept * program.use[i]
    worst = 0.0
    for j in range(types):
        worst = max(worst, abs(spare[j]) / (1e-3 + abs(program.capacity[j]) + point.w[j]))
    most_gain, most_time = 0.0, 0.0
    for i in range(jobs):
        most_gain = max(most_gain, abs(gain_off[i]) / (unit + point.u[i]))
        most_time = max(most_time, abs(time_off[i]))
    return max(worst, most_gain, most_time)


@loop
def reward(program: Program, point: Point, level: float) -> float:
    """Return the program's objective; a job's gain is its slack plus t."""
    total = program.level_reward * level
    for i in range(program.linear.size):
        total += program.linear[i] * (point.u[i] + level)
    if program.previous.size > 0:
        total -= sum_of_products(program.cost, point.y)
        for n in range(program.previous.size):
            total += program.cost[program.kept_type[n], program.kept_job[n]] * point.k[n]
    return total
