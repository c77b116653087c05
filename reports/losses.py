"""Jobs that are in no mean of a run: refused or dropped. Whoever reads a mean has to read of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phasewise.reports.errors import RunDirectoryError
from phasewise.reports.quantities import count
from phasewise.reports.run_directory import Run, Summary

_SPACE = " "


@dataclass(frozen=True, slots=True)
class Loss:
    """Jobs of one run that left without having completed.

    Attributes
    ----------
    verb
        What became of them: ``refused`` or ``dropped``.
    jobs, arrived
        How many, and of how many that came; None where the run does not say.
    example
        One of them and why, empty where the run does not say.
    """

    verb: str
    jobs: int
    arrived: int | None
    example: str

    @property
    def share(self) -> str:
        """Return how many they are: ``6 of 15``."""
        return count(self.jobs, _SPACE) + ("" if self.arrived is None else f" of {count(self.arrived, _SPACE)}")

    @property
    def sentence(self) -> str:
        """Return one sentence, without its full stop."""
        was, counts = ("was", "counts") if self.jobs == 1 else ("were", "count")
        jobs = "job" if self.jobs == 1 and self.arrived is None else "jobs"
        example = f": {self.example}" if self.example and self.jobs == 1 else ""
        example = f", for example {self.example}" if self.example and self.jobs > 1 else example
        return f"{self.share} {jobs} {was} {self.verb} and {counts} in no completion time{example}"


def losses(summary: Summary) -> list[Loss]:
    """Return the jobs that are in no mean of the run, by what became of them; empty where there are none."""
    known = (
        ("refused", summary.jobs_refused, summary.jobs_refused_example),
        ("dropped", summary.jobs_failed, summary.jobs_failed_example),
    )
    return [Loss(verb, jobs, summary.jobs_arrived, example or "") for verb, jobs, example in known if jobs]


def different_jobs(runs: Sequence[Run], names: Sequence[str]) -> str | None:
    """Return a sentence where runs lost jobs, and not all of them the same ones; None otherwise."""
    if not any(losses(run.summary) for run in runs):
        return None
    lost = [_lost(run) for run in runs]
    if all(each == lost[0] for each in lost):
        return None
    told = (
        f"{name}: " + ("; ".join(loss.sentence for loss in losses(run.summary)) or "none is missing")
        for name, run in zip(names, runs, strict=True)
    )
    return f"the JCT means cover different jobs ({'. '.join(told)})"


def _lost(run: Run) -> tuple[object, ...]:
    """Return the ids of the jobs that a run lost; their number where its table cannot say."""
    if not losses(run.summary):
        return ()
    try:
        status = np.array(run.jobs.strings("status"), dtype=object)
        ids = run.jobs.numbers("job_id")[(status == "refused") | (status == "failed")]
    except RunDirectoryError:
        return tuple((loss.verb, loss.jobs) for loss in losses(run.summary))
    return tuple(np.sort(ids).tolist())
