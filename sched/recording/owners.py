"""How evenly owners of jobs (users, virtual clusters) were served: sums for each, whatever the number of jobs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from phasewise.sched.recording.metrics import jain_of


@dataclass(slots=True)
class Served:
    """What the completed jobs of each owner got, by its name.

    Attributes
    ----------
    jobs
        How many of its jobs count.
    got
        The sum over them of 1 / rho: 1 for a job that took as long as on an isolated share.
    """

    jobs: dict[str, int] = field(default_factory=dict)
    got: dict[str, float] = field(default_factory=dict)

    def add(self, owners: Iterable[str | None], rho: Iterable[float | None]) -> None:
        """Add completed jobs; those of nobody, and those of which rho is not known, are left out."""
        for owner, each in zip(owners, rho, strict=True):
            if owner is not None and each is not None and each > 0.0:
                self.jobs[owner] = self.jobs.get(owner, 0) + 1
                self.got[owner] = self.got.get(owner, 0.0) + 1.0 / each

    def jain(self) -> float | None:
        """Return Jain's index over owners of the mean that their jobs got; None where no job has an owner."""
        return jain_of(np.array([got / self.jobs[owner] for owner, got in self.got.items()]))
