"""What the mean JCT of a run is worth, in plain sentences: whoever reads a mean has to read of them."""

from __future__ import annotations

from phasewise.profiling.artefacts.run_json import LEAST_DRIFT, Drift, Status
from phasewise.reports.quantities import JCT, count, percent
from phasewise.reports.run_directory import Summary

_SPACE = " "


def doubts(status: Status | None, summary: Summary) -> list[str]:
    """Return why the mean JCT is not one, without full stops; empty where it is.

    Parameters
    ----------
    status
        How the run ended, None where that is not known.
    """
    told = []
    if summary.drift is not None and (status == "overloaded" or piles_up(summary.drift)):
        told.append(_piling(status, summary.drift))
    elif status == "overloaded":
        told.append("more work arrives than is completed: JCT measures the length of the run")
    if summary.censored:
        told.append(_unfinished(summary))
    return told


def piles_up(drift: Drift) -> bool:
    """Return whether a part of what arrives stays for certain: the whole interval lies above the least that counts."""
    return drift.low > LEAST_DRIFT


def drift_text(drift: Drift | None) -> str:
    """Return a drift as people read it, with its interval in per cent."""
    if drift is None:
        return percent(None)
    low, high = (percent(end, group=_SPACE).removesuffix(" %") for end in (drift.low, drift.high))
    return f"{percent(drift.share, group=_SPACE)} ({low} to {high})"


def _piling(status: Status | None, drift: Drift) -> str:
    part = f"{drift_text(drift)} of arrivals pile up"
    if status == "overloaded":
        return f"{part}: JCT measures the length of the run, not the policy"
    return f"{part}: the number of active jobs kept growing, and the mean JCT depends on when it is taken"


def _unfinished(summary: Summary) -> str:
    """Return of how many jobs the mean is, and which bound stands beside it."""
    of = f"{count(summary.jct_jobs, _SPACE)} of {count(summary.window_jobs, _SPACE)} counted jobs"
    bound_s = summary.avg_jct_lower_bound_s
    if bound_s is None:
        return f"the mean JCT is over {of}: none of the others has arrived"
    least = JCT(bound_s, _SPACE)
    return f"the mean JCT is over {of}; with the unfinished ones at their current age it is at least {least}"
