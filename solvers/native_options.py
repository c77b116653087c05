"""What each native solver takes as options, so that a wrong one fails when a session opens, in one message.

The solvers themselves disagree: ECOS and SCS raise TypeError in the first solve, Clarabel takes some wrong values and
prints, raw HiGHS returns a code. Names and ranges are those of ECOS 2.0.14, SCS 3.2 to 3.3 and Clarabel 0.11; a name
that is missing here because a solver is newer is a one-line change.
"""

from __future__ import annotations

import difflib
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeGuard

from phasewise.solvers.errors import OptionError

if TYPE_CHECKING:
    import highspy


@dataclass(frozen=True, slots=True)
class Rule:
    """What an option takes: in words, and as a test."""

    takes: str
    accepts: Callable[[object], bool]


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)


def _whole(least: int) -> Rule:
    return Rule(
        f"a whole number of at least {least}",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least,
    )


def _choice(*values: str) -> Rule:
    return Rule("one of " + ", ".join(values), lambda value: value in values)


_POSITIVE: Final = Rule("a number above 0", lambda value: _number(value) and value > 0)
_NOT_NEGATIVE: Final = Rule(
    "a number of at least 0",
    lambda value: _number(value) and value >= 0,
)
_NUMBER: Final = Rule("a finite number", lambda value: _number(value) and math.isfinite(value))
_FLAG: Final = Rule("True or False", lambda value: isinstance(value, bool))
_TEXT: Final = Rule("a file name", lambda value: isinstance(value, str) and bool(value))

ECOS: Final[Mapping[str, Rule]] = {
    "feastol": _POSITIVE,
    "abstol": _POSITIVE,
    "reltol": _POSITIVE,
    "feastol_inacc": _POSITIVE,
    "abstol_inacc": _POSITIVE,
    "reltol_inacc": _POSITIVE,
    "max_iters": _whole(1),
}

SCS: Final[Mapping[str, Rule]] = {
    "normalize": _FLAG,
    "max_iters": _whole(1),
    "scale": _POSITIVE,
    "adaptive_scale": _FLAG,
    "rho_x": _POSITIVE,
    "alpha": Rule("a number between 0 and 2", lambda value: _number(value) and 0 < value < 2),
    "eps": _POSITIVE,
    "eps_abs": _NOT_NEGATIVE,
    "eps_rel": _NOT_NEGATIVE,
    "eps_infeas": _NOT_NEGATIVE,
    "time_limit_secs": _NOT_NEGATIVE,
    "acceleration_lookback": _whole(0),
    "acceleration_interval": _whole(1),
    "acceleration_type_1": _FLAG,
    "acceleration_regularization": _NUMBER,
    "acceleration_relaxation": Rule("a number between 0 and 2", lambda value: _number(value) and 0 <= value <= 2),
    "use_indirect": _FLAG,
    "linear_solver": _choice("auto", "qdldl", "cpu_indirect", "cpu_dense"),
    "write_data_filename": _TEXT,
    "log_csv_filename": _TEXT,
    "use_quad_obj": _FLAG,
}

CLARABEL: Final[Mapping[str, Rule]] = {
    "max_iter": _whole(1),
    "max_threads": _whole(0),
    "time_limit": _POSITIVE,
    "max_step_fraction": Rule(
        "a number between 0 and 1",
        lambda value: _number(value) and 0 < value < 1,
    ),
    **dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas", "tol_infeas_abs", "tol_infeas_rel"), _POSITIVE),
    **dict.fromkeys(("tol_ktratio", "reduced_tol_gap_abs", "reduced_tol_gap_rel", "reduced_tol_feas"), _POSITIVE),
    **dict.fromkeys(("reduced_tol_infeas_abs", "reduced_tol_infeas_rel", "reduced_tol_ktratio"), _POSITIVE),
    **dict.fromkeys(("equilibrate_enable", "static_regularization_enable", "presolve_enable"), _FLAG),
    **dict.fromkeys(("dynamic_regularization_enable", "iterative_refinement_enable", "direct_kkt_solver"), _FLAG),
    **dict.fromkeys(("input_sparse_dropzeros", "use_quad_obj", "accept_unknown"), _FLAG),
    **dict.fromkeys(("equilibrate_max_iter", "iterative_refinement_max_iter"), _whole(0)),
    **dict.fromkeys(("equilibrate_min_scaling", "equilibrate_max_scaling", "min_switch_step_length"), _POSITIVE),
    **dict.fromkeys(("linesearch_backtrack_step", "min_terminate_step_length"), _POSITIVE),
    **dict.fromkeys(("static_regularization_constant", "static_regularization_proportional"), _NOT_NEGATIVE),
    **dict.fromkeys(("dynamic_regularization_eps", "dynamic_regularization_delta"), _NOT_NEGATIVE),
    **dict.fromkeys(("iterative_refinement_reltol", "iterative_refinement_abstol"), _NOT_NEGATIVE),
    "iterative_refinement_stop_ratio": _NUMBER,
    "direct_solve_method": _choice("auto", "qdldl", "faer"),
}


def check(backend: str, solver: str, rules: Mapping[str, Rule], options: Mapping[str, object]) -> None:
    """Raise `OptionError` at the first option that ``rules`` do not allow.

    Parameters
    ----------
    backend, solver
        Names for the message.
    rules
        What each option takes.
    options
        What the user gave.
    """
    for key, value in options.items():
        rule = rules.get(key)
        if rule is None:
            raise OptionError(f"{backend}: {solver} has no option {key!r} (value {value!r}); {_nearest(key, rules)}")
        if not rule.accepts(value):
            raise OptionError(f"{backend}: {solver} rejects option {key}={value!r}; it takes {rule.takes}")


def set_highs(backend: str, highs: highspy.Highs, options: Mapping[str, object]) -> None:
    """Set HiGHS options on a live object; raise `OptionError` saying what HiGHS takes: it merely returns a code."""
    from highspy import HighsStatus

    if options.get("log_to_console") not in (None, False):
        raise OptionError(
            f"{backend}: option log_to_console={options['log_to_console']!r}: standard output is not HiGHS' to write "
            'to; for its log in a file: {"output_flag": true, "log_file": "highs.log"}'
        )
    for key, value in options.items():
        try:
            status = highs.setOptionValue(key, value)
        except TypeError:  # a list, a dict: no overload takes it
            status = HighsStatus.kError
        if status != HighsStatus.kError:
            continue
        ranges = _highs_ranges(highs)
        if key in ranges:
            raise OptionError(f"{backend}: HiGHS rejects option {key}={value!r}; its documentation: {ranges[key]}")
        raise OptionError(f"{backend}: HiGHS has no option {key!r} (value {value!r}); {_nearest(key, ranges)}")


_scheduled: list[object] = []
"""The ``threads`` of the last HiGHS solve in this process; HiGHS' scheduler is global, so this is as well."""


def claim_highs_threads(threads: object) -> None:
    """Let the next HiGHS solve use ``threads``: call it before each, in every backend that runs HiGHS.

    HiGHS sizes one scheduler for the process in its first solve and refuses to run with another number afterwards.
    """
    if _scheduled != [threads]:
        from highspy import Highs

        Highs.resetGlobalScheduler(True)
        _scheduled[:] = [threads]


def _nearest(key: str, known: Mapping[str, object]) -> str:
    """Return the known names worth showing beside a wrong one."""
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.6)
    return "did you mean " + ", ".join(near) + "?" if near else "it has: " + ", ".join(sorted(known))


def _highs_ranges(highs: highspy.Highs) -> dict[str, str]:
    """Return what each option takes, read from the option file in which HiGHS documents itself."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "highs.options"
        highs.writeOptions(str(path))
        lines = path.read_text(encoding="utf-8").splitlines()
    ranges: dict[str, str] = {}
    about: list[str] = []
    for line in lines:
        if line.startswith("#"):
            about.append(line.removeprefix("#").strip())
        elif "=" in line:
            ranges[line.partition("=")[0].strip()] = " ".join(filter(None, about))
            about = []
        else:
            about = []
    return ranges
