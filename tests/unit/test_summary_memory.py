"""The summary of many jobs is made a column at a time: it takes little memory beside the run's own."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from phasewise.profiling.artefacts.schemas import Field
from phasewise.profiling.artefacts.tables import ROW_GROUP, TableSink, read_blocks, read_table
from phasewise.sched.recording.completed import Completed, figures
from phasewise.sched.recording.summary import Totals

JOBS = 50_000
MOST_BYTES = 45  # a job: its place in order, its value in a column or two, and a copy that a percentile is found in


def totals() -> Totals:
    """Return the totals of a run of many jobs, which completed in another order than they came."""
    rng = np.random.default_rng(4)
    columns = {
        "job_id": np.argsort(np.arange(JOBS) + rng.integers(0, 300, JOBS), kind="stable"),
        "jct_s": rng.lognormal(8.0, 1.0, JOBS),
        "queued_s": rng.lognormal(5.0, 1.0, JOBS),
        "rho": rng.lognormal(0.0, 1.0, JOBS),
        "ideal_s": rng.lognormal(7.0, 1.0, JOBS),
        "gpus": rng.choice([1.0, 2.0, 8.0], JOBS),
        "moves": rng.integers(0, 9, JOBS),
        "restarts": rng.integers(0, 3, JOBS),
    }
    found = Totals(8, completed=Completed())
    for name, values in columns.items():
        getattr(found.completed, name).frombytes(values.tobytes())
    found.jobs_arrived = found.done = JOBS
    found.rounds, found.now_s = 1, 1.0
    return found


@pytest.mark.parametrize("window", [None, (100, JOBS - 100)])
def test_a_job_costs_the_summary_less_than_the_columns_of_the_run(window: tuple[int, int] | None) -> None:
    run = totals()
    run.window = window
    run.summary(np.ones(8))  # what is loaded or kept the first time
    tracemalloc.start()
    run.summary(np.ones(8))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MOST_BYTES * JOBS


def test_its_figures_are_those_of_the_jobs_in_order_of_their_ids() -> None:
    done = totals().completed
    order = np.argsort(np.array(done.job_id))
    jct_s, ideal_s = (np.array(values)[order] for values in (done.jct_s, done.ideal_s))
    found = figures(done.within(None), censored=False)
    assert found["avg_jct_s"] == jct_s.mean()
    assert (found["jct_s_p50"], found["jct_s_p95"]) == tuple(np.percentile(jct_s, [50.0, 95.0]))
    assert found["slowdown"].mean == np.maximum(jct_s / np.maximum(ideal_s, 10.0), 1.0).mean()
    assert found["moves_per_job"] == np.mean(done.moves)
    done.job_id.append(JOBS)  # nothing holds the columns


def test_a_table_is_read_block_by_block(tmp_path) -> None:
    sink = TableSink(tmp_path / "a.parquet", [Field(name, "int64", "", "a number") for name in ("one", "two")])
    rows = 2 * ROW_GROUP + 5
    sink.write({"one": np.arange(rows), "two": -np.arange(rows)})
    sink.close()
    blocks = list(read_blocks(tmp_path / "a.parquet", ["two"]))
    assert [block.num_rows for block in blocks] == [ROW_GROUP, ROW_GROUP, 5]
    whole = read_table(tmp_path / "a.parquet", ["two"])
    assert [value for block in blocks for value in block["two"].to_pylist()] == whole["two"].to_pylist()
