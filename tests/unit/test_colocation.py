"""Who shared GPUs with whom: hours of pairs of job types, from the tables of a run alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import phasewise
from phasewise.reports.colocation import colocation
from phasewise.reports.html import write_report
from phasewise.reports.run_directory import Run, load_run

PACKED = {"policy.name": "fifo_packed", "workload.rate_per_hour": 0.0, "workload.scale_factors": "single"}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("packed") / "run"
    phasewise.run("toy", out=folder, overrides=PACKED)
    return load_run(folder)


def by_rounds(run: Run) -> tuple[float, dict[frozenset[str], float]]:
    """Return the GPU-hours shared in all and by pair of types, round by round and GPU by GPU."""
    kind = dict(zip(run.jobs.numbers("job_id").tolist(), run.jobs.strings("job_type"), strict=True))
    begins_s, ends_s = run.rounds.numbers("sim_time_s"), run.rounds.numbers("end_s")
    held: dict[tuple[int, int, int], list[str]] = {}
    columns = ("job_id", "node", "gpu", "start_round", "end_round")
    for job, node, gpu, start, end in zip(*(run.placements.numbers(name).tolist() for name in columns), strict=True):
        for index in range(int(start), int(end)):
            held.setdefault((node, gpu, index), []).append(kind[job])
    found: dict[frozenset[str], float] = {}
    for (_, _, index), kinds in held.items():
        if len(kinds) == 2:
            hours = (ends_s[index] - begins_s[index]) / 3600.0
            found[frozenset(kinds)] = found.get(frozenset(kinds), 0.0) + hours
    return sum(found.values()), found


def test_hours_are_those_that_two_jobs_held_the_same_gpu(packed: Run) -> None:
    shared = colocation(packed)
    assert shared is not None
    total_h, by_pair = by_rounds(packed)
    assert total_h > 0.0
    assert shared.total_h == pytest.approx(total_h, rel=0.02)  # a stay has no gap between its rounds
    assert np.array_equal(shared.hours, shared.hours.T)
    for row, column in zip(*np.nonzero(np.triu(shared.hours)), strict=True):
        assert frozenset((shared.names[row], shared.names[column])) in by_pair


def test_the_report_has_a_cell_for_every_pair_and_their_figures(packed: Run, tmp_path: Path) -> None:
    shared = colocation(packed)
    assert shared is not None
    page = write_report([packed], tmp_path / "report.html").read_text()
    assert page.count("GPU-hours</title>") == len(shared.names) ** 2
    assert len(shared.rows) == 1 + len(shared.names) * (len(shared.names) + 1) // 2


def test_a_run_that_does_not_pack_has_none(tmp_path: Path) -> None:
    phasewise.run("toy", out=tmp_path / "run", overrides={"stop.rounds": 5})
    assert colocation(load_run(tmp_path / "run")) is None
