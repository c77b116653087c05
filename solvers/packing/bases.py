"""Bases of the programs of packing, by the codes of what is basic: so they fit the next program, whatever that has."""

from __future__ import annotations

import numpy as np

from phasewise.solvers.basis import BASIC, LOWER, UPPER, Basis
from phasewise.solvers.basis import Codes as BasisCodes
from phasewise.solvers.highs import HighsModel
from phasewise.solvers.lp import LinearProgram
from phasewise.solvers.packing.codes import Codes


def started(lp: LinearProgram, columns: Codes, rows: Codes, basic: Codes) -> Basis:
    """Return the basis of a program, of these ``columns`` and ``rows``, in which what was ``basic`` is basic."""
    of_columns: BasisCodes = np.where(np.isin(columns, basic), BASIC, LOWER)
    upper = np.isfinite(lp.row_upper) & ~np.isfinite(lp.row_lower)
    of_rows: BasisCodes = np.where(np.isin(rows, basic), BASIC, np.where(upper, UPPER, LOWER))
    return Basis(of_columns, of_rows)


def basic_codes(model: HighsModel, columns: Codes, rows: Codes) -> Codes | None:
    """Return the codes of what is basic, None where HiGHS has no basis."""
    basic = model.basic_variables()
    if basic is None:
        return None
    return np.concatenate((columns[basic[basic >= 0]], rows[-1 - basic[basic < 0]]))
