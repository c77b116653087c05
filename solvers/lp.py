"""Linear programs as sparse arrays, in named blocks of columns and rows.

A family's builder (see `phasewise.solvers.forms.tables`) makes one of a problem. Which columns are an allocation, which
rows are what, is said by names: solvers hand over arrays, and whoever reads a solution, carries a basis or leaves
columns out asks the program where things are.

`restrict` leaves columns of x out, which fixes them at 0; `reduced_gains` says whether one of them would improve the
optimum of what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from phasewise.solvers.problems import Floats, Ints
from phasewise.solvers.proofs import Duals
from phasewise.solvers.rows import Keys

Int32s = npt.NDArray[np.int32]

INFINITE: Final = float("inf")

KEPT_SHAPES: Final = 16
"""How many shapes' constant arrays are kept: the number of jobs wanders, and at 1,700 jobs each takes 0.2 MB."""

_PER_PAIR: Final = 3  # entries in a column of a pair, where each row of the problem is one job


@dataclass(frozen=True, slots=True)
class LinearProgram:
    """Maximise ``cost @ z`` subject to ``row_lower <= A z <= row_upper`` and ``col_lower <= z <= col_upper``.

    Attributes
    ----------
    cost, col_lower, col_upper
        (n,) over the columns.
    row_lower, row_upper
        (m,) over the rows.
    start, index, value
        A by columns (CSC): (n + 1,), (nnz,) and (nnz,).
    continuous
        (n,) zeros: no column is integral.
    shape
        (R, W) of the allocation.
    columns, rows
        Where each block is, by name. A block that ``pairs`` names is time of a pair of row and type.
    pairs
        Of each block of time, flat indices into (R, W) of its columns' pairs, ascending; None for all of them. An
        allocation is the sum of these blocks.
    to_duals
        Makes duals of the problem of row duals by block, which have the signs of a maximisation: at most 0 for ``>=``
        rows, at least 0 for ``<=`` rows.
    scale
        What quantities of the problem were divided by.
    members
        (R, 2) the teams that the rows of the allocation are, where the program has chosen them; else None.
    """

    cost: Floats
    col_lower: Floats
    col_upper: Floats
    row_lower: Floats
    row_upper: Floats
    start: Int32s
    index: Int32s
    value: Floats
    continuous: Int32s
    shape: tuple[int, int]
    columns: Mapping[str, slice]
    rows: Mapping[str, slice]
    pairs: Mapping[str, Ints | None]
    to_duals: Callable[[Mapping[str, Floats]], Duals]
    scale: float = field(default=1.0)
    members: Keys | None = None

    def decode(self, values: Floats) -> Floats:
        """Return the (R, W) allocation that the (n,) ``values`` of the columns are."""
        x = np.zeros(self.shape[0] * self.shape[1])
        for turn, (name, pairs) in enumerate(self.pairs.items()):
            where, part = slice(None) if pairs is None else pairs, values[self.columns[name]]
            x[where] = x[where] + part if turn else part  # a first block stays as it is, to the sign of a 0
        return x.reshape(self.shape)

    def duals(self, row_duals: Floats) -> Duals:
        """Return the duals of the problem from the (m,) row duals, with the signs of a maximisation."""
        return self.to_duals({name: row_duals[block] for name, block in self.rows.items()})


def restrict(lp: LinearProgram, pairs: Ints) -> LinearProgram:
    """Return ``lp``, whose block x is whole, without the columns of x but those of ``pairs``, flat, ascending."""
    block = lp.columns["x"]
    kept = np.concatenate((np.arange(block.start), block.start + pairs, np.arange(block.stop, lp.cost.size)))
    counts = lp.start[kept + 1] - lp.start[kept]
    start = np.zeros(kept.size + 1, dtype=np.int32)
    np.cumsum(counts, out=start[1:])
    entries = np.arange(start[-1]) + np.repeat(lp.start[kept] - start[:-1], counts)
    gone = block.stop - block.start - pairs.size
    columns = {
        name: each if each.start < block.start else slice(each.start - gone * (name != "x"), each.stop - gone)
        for name, each in lp.columns.items()
    }
    return replace(
        lp,
        cost=lp.cost[kept],
        col_lower=lp.col_lower[kept],
        col_upper=lp.col_upper[kept],
        start=start,
        index=lp.index[entries],
        value=lp.value[entries],
        continuous=lp.continuous[kept],
        columns=columns,
        pairs={**lp.pairs, "x": pairs},
    )


def reduced_gains(lp: LinearProgram, row_duals: Floats) -> tuple[Floats, Floats]:
    """Return (R, W) what a unit of each column of x is worth, and that less what it costs.

    In units of the LP's objective, at the (m,) duals of a maximisation. Where the latter is positive and the column not
    at its upper bound, it improves the optimum. For a program with the blocks gain, time and capacity, in which block x
    is whole and each of its columns has one entry in a row of each, in this order: that of single jobs.
    """
    block = lp.columns["x"]
    entries = lp.value[lp.start[block.start] : lp.start[block.stop]].reshape(*lp.shape, _PER_PAIR)
    gain, time, capacity = (row_duals[lp.rows[name]] for name in ("gain", "time", "capacity"))
    worth = entries[:, :, 0] * -gain[:, None]
    paid = lp.cost[block].reshape(lp.shape)
    costs = entries[:, :, 2] * capacity + time[:, None]
    return worth + np.maximum(paid, 0.0), worth + paid - costs
