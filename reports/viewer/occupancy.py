"""A run's own tables as the viewer needs them: stays on GPUs, jobs and their lives in rounds, the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phasewise.profiling.artefacts.tables import parts_folder
from phasewise.reports.errors import RunDirectoryError
from phasewise.reports.run_directory import Run
from phasewise.reports.viewer.cluster import ClusterShape, cluster_shape
from phasewise.reports.viewer.jobs import MOST_JOB_ID, MOST_SHARE, Jobs, read_jobs, whole_numbers
from phasewise.reports.viewer.slots import SlottedStays, Stays, give_slots

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Who held what in a run.

    Attributes
    ----------
    cluster
        Its nodes and GPUs.
    jobs
        Its jobs.
    held
        Their stays.
    sim_time_s
        (R,) start of each round.
    end_s
        Simulated time at which the last round ended.
    notes
        What a reader must know about gaps in the records.
    """

    cluster: ClusterShape
    jobs: Jobs
    held: SlottedStays
    sim_time_s: Floats
    end_s: float
    notes: Sequence[str]

    @property
    def rounds(self) -> int:
        """Return the number of rounds."""
        return len(self.sim_time_s)


def read_occupancy(run: Run) -> Occupancy:
    """Return who held what in ``run``.

    Raises
    ------
    RunDirectoryError
        Where the run has no rounds, or its tables do not agree with each other.
    """
    sim_time_s = _clock(run)
    rounds = len(sim_time_s)
    table = run.placements
    node, gpu = whole_numbers(table, "node"), whole_numbers(table, "gpu")
    cluster = cluster_shape(run, node, gpu)
    job_id, job = _numbered(whole_numbers(table, "job_id", MOST_JOB_ID))
    stays = Stays(
        job,
        cluster.gpu_of(node, gpu, table.path),
        whole_numbers(table, "share_milli", MOST_SHARE),
        whole_numbers(table, "start_round"),
        np.minimum(whole_numbers(table, "end_round"), rounds),
    )
    jobs = read_jobs(run, job_id, stays, sim_time_s)
    of_all = Stays(np.searchsorted(jobs.job_id, job_id)[job], stays.gpu, stays.share_milli, stays.start, stays.end)
    return Occupancy(
        cluster,
        jobs,
        give_slots(of_all, cluster.gpus),
        sim_time_s,
        _end_s(run, sim_time_s),
        _notes(run, cluster, len(stays)),
    )


def _end_s(run: Run, sim_time_s: Floats) -> float:
    """Return when the last round ended; where a table of schema 1 does not say, after its full length."""
    end_s = float(run.rounds.numbers("end_s")[-1])
    if np.isfinite(end_s):
        return end_s
    lasted = np.diff(sim_time_s)[-1:]
    round_s = run.section("timing").get("round_s") or (lasted[0] if len(lasted) else 0.0)
    return float(sim_time_s[-1] + float(round_s))


def _numbered(job_id: Ints) -> tuple[Ints, Ints]:
    """Return the distinct ids, ascending, and (R,) the index of each row's: as `np.unique`, without sorting rows."""
    most = int(job_id.max(initial=-1)) + 1
    if most > 8 * len(job_id) + (1 << 20):
        distinct, index = np.unique(job_id, return_inverse=True)
        return distinct, index
    seen = np.zeros(most, np.bool_)
    seen[job_id] = True
    return np.flatnonzero(seen), (np.cumsum(seen) - 1)[job_id]


def _clock(run: Run) -> Floats:
    rounds = run.rounds
    if not len(rounds):
        raise RunDirectoryError(f"{run.path}: the run has no rounds, so there is nothing to view")
    if (rounds.numbers("round") != np.arange(len(rounds))).any():
        raise RunDirectoryError(f"{rounds.path}: column 'round' does not count from 0 to {len(rounds) - 1}")
    sim_time_s = rounds.numbers("sim_time_s")
    if not np.isfinite(sim_time_s).all() or (np.diff(sim_time_s) < 0).any():
        raise RunDirectoryError(
            f"{rounds.path}: column 'sim_time_s' does not ascend; the start of each round is expected"
        )
    return sim_time_s


def _notes(run: Run, cluster: ClusterShape, stays: int) -> list[str]:
    notes = [cluster.note] if cluster.note else []
    if not stays:
        off = run.section("output").get("placements") is False
        notes.append(
            "Where jobs ran was not recorded (`output.placements` is false), so every GPU looks idle."
            if off
            else "No job held a GPU in this run, so every GPU is idle."
        )
    table = run.path / "placements.parquet"
    if not table.exists() and parts_folder(table).exists():
        notes.append(
            "This run was killed or is still going on. What jobs held at its last written round is not in its files "
            "yet, so the last rounds look emptier than they were."
        )
    return notes
