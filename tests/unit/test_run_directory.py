"""Reading run directories: what is there, what is missing, what is broken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from synthetic_run import RunShape, write_run

from phasewise.profiling.artefacts.tables import parts_folder
from phasewise.reports.errors import RunDirectoryError
from phasewise.reports.run_directory import load_run
from phasewise.reports.viewer.occupancy import read_occupancy

SCHEMA_1 = Path(__file__).resolve().parents[1] / "fixtures" / "run-of-schema-1"


def edit_run_json(run: Path, **changes: object) -> None:
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(content | changes))


def test_a_run_directory_gives_back_what_was_written(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "first", RunShape(rounds=50, jobs=12)))
    assert (run.name, run.scenario_name, run.status) == ("first", "philly", "complete")
    assert run.summary.rounds == len(run.rounds) == 50
    assert len(run.jobs) == len(run.placements) == 12
    assert run.section("solver")["name"] == "highs-direct"
    assert run.section("nothing") == {}
    assert run.command == "phasewise run philly --solver highs-direct --out first"
    np.testing.assert_array_equal(run.rounds.numbers("sim_time_s"), np.arange(50) * 360.0)


def test_the_path_of_run_json_names_its_directory(tmp_path: Path) -> None:
    write_run(tmp_path / "run", RunShape(rounds=3, jobs=2))
    assert load_run(tmp_path / "run" / "run.json").path == tmp_path / "run"


def test_null_numbers_become_nan_and_null_texts_none(tmp_path: Path) -> None:
    rounds = load_run(write_run(tmp_path / "run", RunShape(rounds=40))).rounds
    solved = rounds.numbers("lp_solved") > 0
    assert solved.any()
    assert not solved.all()
    np.testing.assert_array_equal(np.isnan(rounds.numbers("lp_gap")), ~solved)
    assert [reason is None for reason in rounds.strings("lp_rebuild")] == (~solved).tolist()


def test_a_killed_run_is_read_from_its_parts(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", RunShape(rounds=30, status="interrupted"))
    table = pq.read_table(path / "rounds.parquet")
    (path / "rounds.parquet").unlink()
    folder = parts_folder(path / "rounds.parquet")
    folder.mkdir()
    for index in range(3):
        pq.write_table(table.slice(10 * index, 10), folder / f"{index:06d}.parquet")
    run = load_run(path)
    assert run.status == "interrupted"
    np.testing.assert_array_equal(run.rounds.numbers("round"), np.arange(30))


def test_a_summary_without_figures_has_none_of_them(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", RunShape(rounds=3))
    edit_run_json(path, status="failed", summary={"avg_jct_s": None, "a_later_figure": 3})
    summary = load_run(path).summary
    assert summary.avg_jct_s is None
    assert summary.lease_extension_rate is None
    assert summary.phases == {}


def test_no_opportunity_to_extend_a_lease_means_no_rate(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", RunShape(rounds=3))
    edit_run_json(path, summary={"lease_extensions": 0, "lease_extension_opportunities": 0})
    assert load_run(path).summary.lease_extension_rate is None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "is no run.json of schema 1 and 2"),
        ("[]", "is no run.json of schema 1 and 2"),
        ('{"schema": 3}', "schema 3; this version reads schema 1 and 2: a later version wrote it"),
        ("{}", "schema None; this version reads schema 1 and 2"),
        ('{"schema": 1, "scenario": {}, "status": "asleep"}', "asleep"),
        ('{"schema": 1, "status": "complete"}', "scenario"),
        ('{"schema": 1, "scenario": {}, "status": "complete", "summary": {"rounds": "many"}}', "summary.rounds"),
    ],
)
def test_a_broken_run_json_is_named_with_what_is_wrong(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunDirectoryError) as caught:
        load_run(tmp_path)
    assert str(tmp_path / "run.json") in str(caught.value)
    assert told in str(caught.value)


def test_a_missing_directory_is_named_with_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="gone: is missing; a run directory is expected"):
        load_run(tmp_path / "gone")
    with pytest.raises(RunDirectoryError, match=r"run\.json: no such file; a run directory has"):
        load_run(tmp_path)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(RunDirectoryError, match=r"notes\.txt: is a file"):
        load_run(tmp_path / "notes.txt")


def test_a_missing_or_broken_table_is_named_when_it_is_asked_for(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", RunShape(rounds=3, jobs=2))
    (path / "jobs.parquet").unlink()
    (path / "placements.parquet").write_bytes(b"PAR1 not really")
    run = load_run(path)
    with pytest.raises(RunDirectoryError, match=r"run: its table jobs\.parquet is missing or broken"):
        _ = run.jobs
    with pytest.raises(RunDirectoryError, match=r"run: its table placements\.parquet is missing or broken"):
        _ = run.placements


def test_missing_and_unusable_columns_are_named(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", RunShape(rounds=3, jobs=2))
    table = pq.read_table(path / "rounds.parquet")
    pq.write_table(table.drop_columns(["rss_mib", "moves"]), path / "rounds.parquet")
    run = load_run(path)
    with pytest.raises(RunDirectoryError, match=r"rounds\.parquet: no column moves, rss_mib; this table has round"):
        _ = run.rounds
    with pytest.raises(RunDirectoryError, match="column 'job_type' holds string; numbers are expected"):
        run.jobs.numbers("job_type")


# -- schema 1: a run directory that an earlier version wrote ---------------------------------------------------------


def test_a_run_of_schema_1_is_read_and_what_it_lacks_is_absent() -> None:
    run = load_run(SCHEMA_1)
    assert (run.status, run.summary.jobs_completed, run.summary.rounds) == ("complete", 3, 64)
    assert run.summary.avg_jct_s == pytest.approx(np.mean(run.jobs.numbers("jct_s")))
    assert run.summary.rho is run.summary.censored is run.summary.queue_s_p95 is None
    assert np.isnan(run.jobs.numbers("rho")).all()
    assert run.jobs.strings("user") == [None] * 3
    assert np.isnan(run.rounds.numbers("end_s")).all()


def test_a_run_of_schema_1_can_be_viewed_and_ends_after_its_last_round() -> None:
    shown = read_occupancy(load_run(SCHEMA_1))
    assert shown.end_s == pytest.approx(shown.sim_time_s[-1] + 360.0)


def test_the_viewer_knows_the_fairness_of_the_jobs_that_have_it(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "run", RunShape(rounds=20, jobs=12)))
    rho = np.nan_to_num(run.jobs.numbers("rho"))
    assert rho.any()
    np.testing.assert_allclose(read_occupancy(run).jobs.rho_milli / 1000.0, rho, atol=5e-4)
    assert not read_occupancy(load_run(SCHEMA_1)).jobs.rho_milli.any()


def test_a_run_that_schema_1_calls_saturated_is_overloaded(tmp_path: Path) -> None:
    shutil.copytree(SCHEMA_1, tmp_path / "run")
    edit_run_json(tmp_path / "run", status="saturated")
    assert load_run(tmp_path / "run").status == "overloaded"
