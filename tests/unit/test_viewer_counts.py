"""What the viewer counts in each round is what one finds by looking at every GPU and every job of the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from large_run import LargeRun, write_large_run

from phasewise.reports.run_directory import load_run
from phasewise.reports.viewer.counts import count_rounds
from phasewise.reports.viewer.jobs import kinds_of
from phasewise.reports.viewer.occupancy import read_occupancy

SHAPE = LargeRun(nodes_per_type=(2, 3), gpus_per_node=(4, 2), spare_gpus=1, rounds=90, jobs=120, churn=0.2, shared=0.4)


@pytest.fixture(params=["as it is", "with gaps", "given out twice"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = write_large_run(tmp_path / "run", SHAPE)
    table = pq.read_table(path / "placements.parquet")
    rng = np.random.default_rng(2)
    if request.param == "with gaps":  # else no job would hold less than before, and no GPU would be idle
        table = table.filter(pa.array(rng.random(len(table)) < 0.6))
    if request.param == "given out twice":
        table = pa.concat_tables([table, table.slice(0, len(table) // 2)])
    pq.write_table(table, path / "placements.parquet")
    return path


def test_counts_are_those_of_the_tables(folder: Path) -> None:
    occupancy = read_occupancy(load_run(folder))
    kinds = kinds_of([occupancy.jobs])
    counts = count_rounds(occupancy, kinds.index[0], len(kinds.of_run[0]))
    stays = pq.read_table(folder / "placements.parquet").to_pydict()
    jobs = pq.read_table(folder / "jobs.parquet").to_pydict()
    kind_of = dict(zip(jobs["job_id"], kinds.index[0].tolist(), strict=True))
    rows = list(
        zip(
            *(stays[name] for name in ("job_id", "node", "gpu", "share_milli", "start_round", "end_round")), strict=True
        )
    )
    for at in range(SHAPE.rounds):
        held: dict[tuple[int, int], int] = {}
        busy = set()
        for job, node, gpu, share, start, end in rows:
            if start <= at < end:
                held[node, gpu] = held.get((node, gpu), 0) + share
                busy.add(job)
        by_type = [0, 0]
        for (node, _), share in held.items():
            by_type[node >= 2] += min(share, 1000)
        assert counts.held_milli[at].tolist() == by_type
        now_s = at * SHAPE.round_s
        lives = zip(jobs["job_id"], jobs["arrival_s"], jobs["completion_s"], jobs["gpu_milli"], strict=True)
        waits = [(job, milli) for job, arrival, done, milli in lives if arrival <= now_s < done and job not in busy]
        expected = np.bincount([kind_of[job] for job, _ in waits], minlength=len(kinds.of_run[0]))
        np.testing.assert_array_equal(counts.waiting[at], expected)
        assert counts.waiting_milli[at] == sum(milli for _, milli in waits)


def test_a_run_in_which_nothing_was_ever_placed_has_counts(folder: Path) -> None:
    table = pq.read_table(folder / "placements.parquet")
    pq.write_table(table.slice(0, 0), folder / "placements.parquet")
    occupancy = read_occupancy(load_run(folder))
    counts = count_rounds(occupancy, np.zeros(SHAPE.jobs, np.int64), 1)
    assert counts.held_milli.sum() == 0
    assert counts.waiting.max() > 0
