"""What moving a job costs: seconds in which it holds its GPUs and makes no step.

A start on other GPUs than those of the round before costs ``fixed_s + checkpoint size / bandwidth``, less a discount on
a worker type on which the job ran before, where its image and its training samples still are. Resuming after a pause is
such a start as well. The first start of all is free: there is no checkpoint to bring, and no schedule can avoid it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from phasewise.sched.api import Assignment
from phasewise.sched.errors import ScenarioError
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.round.outcome import NOTHING_PAID, MigrationPaid
from phasewise.sched.scenario.config import Migration

Floats = npt.NDArray[np.float64]

_LEAST_FACTOR: Final = 1.0 / 8.0  # an account of 1,920 s lets shares of service drift apart by more than that
CHECKPOINTS = Path(__file__).resolve().parent.parent / "data" / "checkpoint_sizes.csv"


@dataclass(frozen=True, slots=True)
class MigrationModel:
    """What a start costs.

    Attributes
    ----------
    full_s
        (R,) seconds of a start on a worker type that is new to the job, by `JobTable.type_index`.
    warm_share
        Part of it that a start on a worker type costs on which the job ran before.
    patience
        By what the priority of a start falls, in the exponent, where the start takes a whole round.
    """

    full_s: Floats
    warm_share: float
    patience: float = 0.0

    @classmethod
    def build(cls, chosen: Migration, job_types: Sequence[str]) -> MigrationModel | None:
        """Return the model of a scenario's migration section, None where moving is free.

        Parameters
        ----------
        chosen
            The section.
        job_types
            (R,) the job types that may come, for example ``"ResNet-50 (batch size 64)"``.

        Raises
        ------
        ScenarioError
            Where a job type's checkpoint size is not known.
        """
        if not chosen.enabled:
            return None
        sizes_mb = {**checkpoint_sizes_mb(), **chosen.checkpoint_mb}
        size_mb = np.array([_size_mb(job_type, sizes_mb) for job_type in job_types])
        full_s = chosen.fixed_s + size_mb / chosen.bandwidth_mb_per_s
        return cls(full_s, 1.0 - chosen.warm_discount, chosen.patience)

    def start_s(self, jobs: JobTable) -> Floats:
        """Return what starting each job on each worker type would cost, (J, W) seconds; 0 for a job that never ran."""
        moves_s = np.where(jobs.rounds_run > 0, self.full_s[jobs.type_index], 0.0)
        return moves_s[:, None] * np.where(jobs.visited > 0.0, self.warm_share, 1.0)

    def favour(self, jobs: JobTable, round_s: float) -> Floats:
        """Return by what priorities (J, W) are multiplied, so that a job gives way only to one with a better claim.

        1 where a job goes on as in the round before or starts at no cost, less the dearer the start. Without it a
        job's turn ends as soon as another's priority is a trifle higher, and jobs that share a GPU would start anew
        every round. The limit lets nobody wait for longer than the service it is owed justifies.
        """
        factor = np.maximum(np.exp(-self.patience / round_s * self.start_s(jobs)), _LEAST_FACTOR)
        running = np.flatnonzero(jobs.worker_type >= 0)
        factor[running, jobs.worker_type[running]] = 1.0
        return factor

    def begin(self, jobs: JobTable, assignment: Assignment) -> int:
        """Charge every job that starts with this assignment, in place; return how many start at a cost.

        ``jobs.worker_type`` is still the one of the round before. What a job had left to pay is forgotten when it
        starts anew: the move it paid for is over.
        """
        runs = assignment.worker_type >= 0
        starts = np.flatnonzero(assignment.moved | (runs & (jobs.worker_type < 0)))
        cost_s = self.start_s(jobs)[starts, assignment.worker_type[starts]]
        jobs.migration_due_s[starts] = cost_s
        running = np.flatnonzero(runs)
        jobs.visited[running, assignment.worker_type[running]] = 1.0
        return int(np.count_nonzero(cost_s))

    @staticmethod
    def pay(jobs: JobTable, assignment: Assignment, round_s: float) -> Floats:
        """Return what each job pays in this round, (J,) seconds, at most ``round_s``; the rest stays due, in place."""
        paid_s = np.where(assignment.worker_type >= 0, np.minimum(jobs.migration_due_s, round_s), 0.0)
        jobs.migration_due_s -= paid_s
        return paid_s


def paid(starts: int, lost_s: Floats, scale_factor: Floats) -> MigrationPaid:
    """Return the record of a round in which each job lost ``lost_s`` (J,) seconds on ``scale_factor`` (J,) GPUs."""
    if not lost_s.any():
        return NOTHING_PAID
    return MigrationPaid(starts, float(lost_s.sum()), float(lost_s @ scale_factor))


def checkpoint_sizes_mb() -> dict[str, float]:
    """Return the size of a checkpoint by model family, MB (10^6 bytes), from the built-in table."""
    with CHECKPOINTS.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(line for line in stream if not line.startswith("#"))
        return {row["family"]: float(row["parameters_m"]) * float(row["bytes_per_parameter"]) for row in rows}


def _size_mb(job_type: str, sizes_mb: Mapping[str, float]) -> float:
    """Return the checkpoint size of a job type, given by its own name or by its family's."""
    family = job_type.partition(" (")[0]
    for name in (job_type, family):
        if name in sizes_mb:
            return sizes_mb[name]
    raise ScenarioError(
        f"migration.checkpoint_mb: no checkpoint size is known for job type {job_type!r}; known: "
        f"{', '.join(sorted(sizes_mb))}; give others as checkpoint_mb = {{ {family!r} = MB }}"
    )
