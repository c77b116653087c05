"""Rows of `rounds.parquet` that stand for several rounds each: sums, means over their time, the state in the last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[np.generic] | list[str | None]
Floats = npt.NDArray[np.float64]

SUMMED: Final = frozenset({"moves", "migration_s", "lp_solved", "lp_iterations"})
FIRST: Final = "sim_time_s"  # a row lasts from the start of its first round
MEAN: Final = "utilization"  # and what begins with it and a worker type; not what solvers say of their answer
TIMES: Final = ("phase_", "other_")


def thinned(columns: Mapping[str, Column], every: int) -> dict[str, Column]:
    """Return columns in which each row stands for ``every`` rounds, the last one for what is left.

    Parameters
    ----------
    columns
        (R,) each, a row a round, in order, as `phasewise.sched.recording.rounds.RoundLog.take` gives them.
    every
        Rounds a row.

    Notes
    -----
    Times of phases, moves, migration, solves and iterations are added up, so that sums over the table are those over
    all rounds. Utilisations are means over the simulated time of the row. Of the rest, a row has what its last round
    has; of why a model was built, the last reason in it.
    """
    rounds = len(columns["round"])
    first = np.arange(0, rounds, every)
    if every == 1 or not rounds:
        return dict(columns)
    last = np.append(first[1:], rounds) - 1
    lasted = np.asarray(columns["end_s"], np.float64) - np.asarray(columns["sim_time_s"], np.float64)
    return {name: _rows(name, column, (first, last), lasted) for name, column in columns.items()}


def _rows(name: str, column: Column, ends: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]], lasted: Floats) -> Column:
    """Return one column with a row for each group, whose (G,) first and last rounds ``ends`` are."""
    first, last = ends
    if isinstance(column, list):
        return [_last_text(column[low : high + 1]) for low, high in zip(first, last, strict=True)]
    if name in SUMMED or name.startswith(TIMES):
        summed: Column = np.add.reduceat(column, first)
        return summed
    if name.startswith(MEAN):
        return _means(np.asarray(column, np.float64), first, lasted)
    return column[first] if name == FIRST else column[last]


def _means(values: Floats, first: npt.NDArray[np.intp], lasted: Floats) -> Floats:
    """Return means weighted by how long rounds lasted; rounds without length, as before a first arrival, count as 0."""
    span = np.add.reduceat(lasted, first)
    used = np.add.reduceat(values * lasted, first)
    return np.divide(used, span, out=np.zeros_like(span), where=span > 0.0)


def _last_text(texts: list[str | None]) -> str | None:
    return next((text for text in reversed(texts) if text is not None), None)
