"""What compiles a kernel, and what compiles them all before a run begins."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from phasewise.solvers.compiled import compiled

kernel = compiled()


def prepare(notify: Callable[[str], None]) -> None:
    """Load every kernel from its cache, or compile it; say so where it compiles, and how long it took."""
    from phasewise.sched import kernels, lease_kernels  # noqa: PLC0415  (they import this module)

    began_s = time.perf_counter()
    ints, floats, flags = np.zeros(2, np.int64), np.ones(2), np.zeros(2, np.bool_)
    table, free, empty = np.ones((2, 1)), np.full(2, -1, np.int64), np.zeros(0, np.int64)
    kernels.sort_descending(np.arange(2), floats, floats, floats)
    compiles = _compilations()
    if compiles:
        notify("compiling the simulation's kernels, once on this machine ...")
    types, start = np.zeros(1, np.int64), np.array([0, 2])
    kernels.fill_priorities(table, table, table, np.ones(1), table.copy())
    kernels.select_jobs(types, table, table, table, table, floats, np.ones(1), False, ints.copy(), ints.copy())
    nothing = np.zeros(3, np.int64)
    lease_kernels.place_strided(empty, empty, floats, start, nothing, empty, free)
    lease_kernels.count_leases(nothing, empty, nothing, empty, flags)
    lease_kernels.keep_rows(free, 0, nothing, empty)
    kernels.launch(0.0, 1.0, False, ints, table, floats, floats.copy(), floats.copy())
    kernels.settle(
        0.0, 0.0, False, ints, floats, floats, floats, floats, floats.copy(), table.copy(), np.ones(1), ints.copy(),
        floats.copy(), np.ones(1), ints.copy(),
    )  # fmt: skip
    lease_kernels.credit_gpus(nothing, empty, ints, floats, floats.copy())
    lease_kernels.change_holders(ints, nothing, empty, ints, 0, np.empty((0, 4), np.int64))
    if compiles:
        notify(f"compiled in {time.perf_counter() - began_s:.1f} s; later runs load the compiled kernels")


def _compilations() -> int:
    """Return how often the first kernel had to be compiled rather than loaded."""
    from phasewise.sched.kernels import sort_descending  # noqa: PLC0415

    return sum(sort_descending.stats.cache_misses.values())  # type: ignore[attr-defined]
