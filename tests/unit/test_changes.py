"""Which phase moved between two runs, and when nothing can be said."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synthetic_run import RunShape, write_run

from phasewise.reports.changes import Change
from phasewise.reports.compare import compare_runs
from phasewise.reports.run_directory import Run, load_run

BASE = RunShape(rounds=400, jobs=40)


def made(folder: Path, **shape: object) -> Run:
    return load_run(write_run(folder, RunShape(**{"rounds": 400, "jobs": 40, **shape})))


def slowed(folder: Path, factors: dict[str, float], otherwise: float = 1.0) -> Run:
    """Return the base run with the CPU times of its phases multiplied."""
    write_run(folder, BASE)
    table = pq.read_table(folder / "rounds.parquet")
    columns = {name: table[name] for name in table.column_names}
    for name in columns:
        if name.endswith("_cpu_s"):
            phase = name.removeprefix("phase_").removesuffix("_cpu_s")
            columns[name] = pa.array(table[name].to_numpy() * factors.get(phase, otherwise))
    pq.write_table(pa.table(columns), folder / "rounds.parquet")
    return load_run(folder)


def change(base: Run, run: Run) -> Change:
    (found,) = compare_runs([base, run]).changes
    return found


@pytest.fixture
def base(tmp_path: Path) -> Run:
    return made(tmp_path / "base")


def test_the_phase_that_was_slowed_is_the_one_that_moved(base: Run, tmp_path: Path) -> None:
    found = change(base, slowed(tmp_path / "slow", {"worker_assignment": 1.5}))
    assert [phase.name for phase in found.movers] == ["worker_assignment"]
    assert found.movers[0].ratio.estimate == pytest.approx(1.5)
    assert found.verdict.startswith("slower: ")
    assert "moved: worker_assignment" in found.verdict


def test_a_phase_that_got_faster_is_told_as_well(base: Run, tmp_path: Path) -> None:
    found = change(base, slowed(tmp_path / "fast", {"lp_solve": 0.3}))
    assert [phase.name for phase in found.movers] == ["lp_solve"]
    assert found.verdict.startswith("faster: ")
    assert found.movers[0].difference_ms.high < 0.0


def test_a_machine_that_slows_all_phases_moves_none(base: Run, tmp_path: Path) -> None:
    found = change(base, slowed(tmp_path / "busy", {}, otherwise=1.4))
    assert found.movers == ()
    assert found.common.estimate == pytest.approx(1.4)
    assert found.verdict.startswith("undecided (slower, but no phase in particular)")


def test_a_phase_that_moved_is_found_on_a_busier_machine(base: Run, tmp_path: Path) -> None:
    found = change(base, slowed(tmp_path / "busy", {"lp_build": 3.0}, otherwise=1.3))
    assert [phase.name for phase in found.movers] == ["lp_build"]
    assert "all others ×1.3" in found.verdict


def test_two_runs_of_one_thing_do_not_differ(base: Run, tmp_path: Path) -> None:
    other = made(tmp_path / "again")
    found = change(base, other)
    assert found.paired
    assert found.movers == ()
    assert found.verdict.startswith("no clear change")


def test_the_differences_of_the_phases_add_up_to_that_of_the_round(base: Run, tmp_path: Path) -> None:
    found = change(base, slowed(tmp_path / "slow", {"policy": 2.0, "telemetry": 0.5}))
    total = sum(phase.difference_ms.estimate for phase in found.phases)
    assert total == pytest.approx(found.whole.difference_ms.estimate)
    sizes = [abs(phase.difference_ms.estimate) for phase in found.phases]
    assert sizes == sorted(sizes, reverse=True)


def test_runs_of_different_length_are_compared_without_pairs(base: Run, tmp_path: Path) -> None:
    found = change(base, made(tmp_path / "longer", rounds=700))
    assert not found.paired
    assert found.whole.ratio.low < 1.0 < found.whole.ratio.high


def test_there_is_no_verdict_on_another_machine_or_other_work(base: Run, tmp_path: Path) -> None:
    for folder, shape in (("machine", {"environment": {"cpu": "Another CPU"}}), ("work", {"seed": 9})):
        found = change(base, made(tmp_path / folder, **shape))
        assert found.verdict == "no verdict: the times are not comparable"


def test_a_handful_of_rounds_gives_no_verdict(tmp_path: Path) -> None:
    found = change(made(tmp_path / "a", rounds=3), made(tmp_path / "b", rounds=3))
    assert found.verdict == "no verdict: 5 stretches of rounds are needed, and there are 3"


def test_a_phase_that_is_new_has_no_ratio(tmp_path: Path) -> None:
    found = change(made(tmp_path / "a", lp=False), made(tmp_path / "b"))
    rows = {phase.name: phase for phase in found.phases}
    assert rows["lp_solve"].ratio is None
    assert rows["lp_solve"].difference_ms.low > 0.0
    assert "lp_solve" in [phase.name for phase in found.movers]


def test_a_change_is_valid_json(base: Run, tmp_path: Path) -> None:
    content = json.loads(json.dumps(compare_runs([base, made(tmp_path / "b", lp_factor=3.0)]).as_json()))
    (found,) = content["changes"]
    assert set(found["moved"]) == {"lp_build", "lp_solve"}
    assert len(found["phases"]["lp_solve"]["ratio"]) == 3
