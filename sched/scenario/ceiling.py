"""The limit of simulated time that every built-in scenario has, so that an overload does not run on for ever.

It is far above what any run of the scenario as it stands takes: a hundred times the time in which its jobs come, or a
year. A file's limit belongs to the file's workload: another window or another number of jobs moves it, another trace,
which ends by itself, lifts it. What a user gives, as an option or in a file of their own, stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from phasewise.sched.scenario.config import MOST_SIZE

SPANS: Final = 100.0  # times that the window's jobs take to come, at the least
HOUR_S: Final = 3600.0
_WORKLOAD: Final = frozenset({"stop.window", "workload.rate_per_hour", "workload.jobs", "workload.initial_jobs"})

Limits = tuple[float, float]
"""The limit, seconds, and the number of jobs that it is for."""


def of(raw: Mapping[str, Any]) -> Limits | None:
    """Return the limit in a scenario file, or None where there is none."""
    limit_s = _section(raw, "stop").get("sim_time_s")
    return (float(limit_s), _coming(raw)) if limit_s else None


def fit(raw: dict[str, Any], given: Mapping[str, object], limits: Limits) -> None:
    """Move the limit of a scenario to what overrides made of its workload.

    Parameters
    ----------
    raw
        The scenario, overrides applied; what is wrong with it is for others to say.
    given
        The overrides by dotted key.
    limits
        What `of` said before them.
    """
    if "stop.sim_time_s" in given or not isinstance(raw.get("stop"), dict):
        return
    workload, rate = _section(raw, "workload"), _number(_section(raw, "workload").get("rate_per_hour"))
    endless = rate > 0.0 and not workload.get("jobs") and raw["stop"].get("window") is None
    if given.get("workload.trace") or endless:  # jobs without end and without a limit are for others to refuse
        raw["stop"].pop("sim_time_s", None)
    elif _WORKLOAD & given.keys():
        limit_s, jobs = limits
        coming = _coming(raw)
        span_s = coming / rate * HOUR_S if rate > 0.0 else 0.0
        raw["stop"]["sim_time_s"] = min(MOST_SIZE, max(limit_s, limit_s * coming / max(jobs, 1.0), SPANS * span_s))


def _coming(raw: Mapping[str, Any]) -> float:
    """Return how many jobs have come when the window, or all, are there."""
    workload, window = _section(raw, "workload"), _section(raw, "stop").get("window")
    if isinstance(window, list) and len(window) == 2:
        return _number(window[1])
    return _number(workload.get("jobs")) + _number(workload.get("initial_jobs"))


def _section(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = raw.get(name)
    return section if isinstance(section, dict) else {}


def _number(value: object) -> float:
    """Return a number, 0 for what is none or lies outside of anything allowed."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and 0.0 <= value <= 1e12
    return float(value) if usable else 0.0  # type: ignore[arg-type]
