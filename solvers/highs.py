"""HiGHS as the backends use it: arrays in one call, a basis as small integers, an `Answer` out.

Importing this module imports no HiGHS; opening a `HighsModel` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from phasewise.solvers.api import Answer, RebuildReason, Status
from phasewise.solvers.basis import Basis
from phasewise.solvers.lp import INFINITE, LinearProgram
from phasewise.solvers.native_options import claim_highs_threads, set_highs
from phasewise.solvers.problems import Floats, Ints
from phasewise.solvers.silence import new_highs

DEFAULTS: Final[Mapping[str, object]] = {
    "output_flag": False,
    "threads": 1,
    "presolve": "off",  # 0.3 ms of 1.0 at 43 jobs x 3 types
    "simplex_strategy": 4,  # primal: the starting points of `phasewise.solvers.crash` are primal feasible
    "simplex_scale_strategy": 0,  # the LP is scaled already
    "primal_feasibility_tolerance": 1e-9,  # at 1e-7, projecting the answer to a round with a movement cost lost 8e-10
    "dual_feasibility_tolerance": 1e-10,  # at 1e-7, jobs in units decades apart lost up to 2e-7; it costs no iteration
}
_TELLS_RAY: Final[Mapping[str, object]] = {"solver": "simplex", "simplex_strategy": 1, "presolve": "off"}
"""What tells why a model is infeasible: of all methods the dual simplex alone ends with a ray."""

_BY_COLUMNS: Final = 1
_MAXIMISE: Final = -1


class HighsModel:
    """One live HiGHS object; not to be shared between threads.

    Parameters
    ----------
    backend
        Name for messages.
    options
        Native options; they replace `DEFAULTS` one by one. Raises `OptionError` where HiGHS rejects one.
    """

    def __init__(self, backend: str, options: Mapping[str, object]) -> None:
        self._highs = new_highs()
        import highspy

        self._new_basis = highspy.HighsBasis
        self._error = highspy.HighsStatus.kError
        status = highspy.HighsBasisStatus
        self._codes = np.array([status.kLower, status.kBasic, status.kUpper], dtype=object)
        self._statuses = _statuses()
        merged = {**DEFAULTS, **options}
        set_highs(backend, self._highs, merged)
        self._threads = merged["threads"]
        self._time_limit_s = float(self._highs.getOptionValue("time_limit")[1])
        self._failed = False
        self._before = 0  # iterations of a run before the last one

    def load(self, lp: LinearProgram) -> None:
        """Hand over the whole model; what was there before, its basis included, is gone."""
        self._highs.passModel(
            lp.cost.size,
            lp.row_lower.size,
            lp.value.size,
            _BY_COLUMNS,
            _MAXIMISE,
            0.0,
            lp.cost,
            lp.col_lower,
            lp.col_upper,
            lp.row_lower,
            lp.row_upper,
            lp.start,
            lp.index,
            lp.value,
            lp.continuous,
        )

    def start_from(self, basis: Basis) -> None:
        """Start the next run from ``basis``; HiGHS completes one that has too few or too many basic variables."""
        native = self._new_basis()
        native.col_status = self._codes.take(basis.columns).tolist()
        native.row_status = self._codes.take(basis.rows).tolist()
        native.valid = True
        native.alien = not basis.is_square
        self._highs.setBasis(native)

    def option(self, name: str) -> object:
        """Return the value of a native option in force."""
        return self._highs.getOptionValue(name)[1]

    def set_option(self, name: str, value: object) -> None:
        """Set a native option that is known to be right."""
        self._highs.setOptionValue(name, value)

    def run(self) -> None:
        """Solve the model that is loaded; once more by the dual simplex where that tells why it is infeasible.

        So it is where the method that was asked for gives up without a verdict, as the primal simplex was seen to do on
        programs of a few rows that are not feasible at the start.
        """
        self._before = 0
        self._run()
        gave_up = self.status is Status.FAILED and not self._failed
        if gave_up or (self.status is Status.INFEASIBLE and self._ray() is None):
            self._before = self.iterations
            own = {name: self.option(name) for name in _TELLS_RAY}
            for name, value in _TELLS_RAY.items():
                self.set_option(name, value)
            self._highs.clearSolver()
            self._run()
            for name, value in own.items():
                self.set_option(name, value)

    def _run(self) -> None:
        """Solve the model that is loaded."""
        claim_highs_threads(self._threads)
        if self._time_limit_s < INFINITE:  # HiGHS counts its running time from the birth of the object
            self._highs.setOptionValue("time_limit", self._time_limit_s + self._highs.getRunTime())
        self._failed = self._highs.run() == self._error

    @property
    def status(self) -> Status:
        """How the last run ended."""
        return Status.FAILED if self._failed else self._statuses.get(self._highs.getModelStatus(), Status.FAILED)

    @property
    def iterations(self) -> int:
        """Iterations of whichever method ran; HiGHS counts -1 for one that did not."""
        counts = [self._highs.getInfoValue(f"{method}_iteration_count")[1] for method in ("simplex", "ipm", "pdlp")]
        return self._before + sum(max(0, int(count)) for count in counts)

    def outcome(self) -> HighsOutcome:
        """Return what the last run came to, each vector converted once."""
        status, solution = self.status, self._highs.getSolution()
        if status is not Status.OPTIMAL or not solution.value_valid:
            words = self._highs.modelStatusToString(self._highs.getModelStatus())
            ray = self._ray() if status is Status.INFEASIBLE else None
            return HighsOutcome(status, self.iterations, f"HiGHS: {words}", row_duals=ray)
        row_duals = np.array(solution.row_dual) if solution.dual_valid else None
        return HighsOutcome(status, self.iterations, "HiGHS: Optimal", np.array(solution.col_value), row_duals)

    def _ray(self) -> Floats | None:
        """Return (m,) row duals that prove the model infeasible, with the signs of a maximisation; None without.

        HiGHS' own have those of a minimisation, whatever the sense of the model is.
        """
        status, found, ray = self._highs.getDualRay()
        return -np.array(ray, dtype=np.float64) if found and status != self._error else None

    def basic_variables(self) -> Ints | None:
        """Return the (m,) basic variables, columns from 0 on and rows r as -1 - r, or None where HiGHS has none."""
        status, basic = self._highs.getBasicVariables()
        return None if status == self._error else np.asarray(basic, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class HighsOutcome:
    """What a run came to.

    Attributes
    ----------
    status
        The verdict, translated.
    iterations
        Of whichever method ran.
    note
        HiGHS' own words.
    columns, row_duals
        (n,) values and (m,) duals, None where there are none; of an infeasible model the duals that prove it so.
    """

    status: Status
    iterations: int
    note: str
    columns: Floats | None = None
    row_duals: Floats | None = None

    def answer(self, lp: LinearProgram, rebuild: RebuildReason | None, wasted: int = 0) -> Answer:
        """Return the backend's answer to the problem that ``lp`` is.

        Parameters
        ----------
        lp
            The program that was solved.
        rebuild
            Why its model was built anew, None where it was not.
        wasted
            Iterations of an attempt before.
        """
        iterations = self.iterations + wasted
        x = None if self.columns is None else lp.decode(self.columns)
        duals = None if self.row_duals is None else lp.duals(self.row_duals)
        return Answer(self.status, x, duals, iterations, rebuild, self.note, members=lp.members)


def _statuses() -> Mapping[object, Status]:
    """Return our word for each of HiGHS' model statuses; what is missing is a failure."""
    from highspy import HighsModelStatus as Native

    return {
        Native.kOptimal: Status.OPTIMAL,
        Native.kIterationLimit: Status.ITERATION_LIMIT,
        Native.kTimeLimit: Status.TIME_LIMIT,
        Native.kInfeasible: Status.INFEASIBLE,
        Native.kUnbounded: Status.UNBOUNDED,
        Native.kUnboundedOrInfeasible: Status.INFEASIBLE,
    }
