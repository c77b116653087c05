"""From records to arrivals: steps from durations and speeds, sizes that the table has no row for, what is assumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from readers import Reader
from trace_samples import SAMPLES

from phasewise.sched.errors import ScenarioError
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.scenario.workloads import build_workload
from phasewise.sched.workload.arrivals import Position
from phasewise.sched.workload.attribution import Attribution, Kind, Rules
from phasewise.sched.workload.importing.choice import Choice
from phasewise.sched.workload.importing.importer import import_trace
from phasewise.sched.workload.importing.record import Record
from phasewise.sched.workload.importing.store import BLOCK
from phasewise.sched.workload.recorded_jobs import RecordedJobs
from phasewise.sched.workload.throughputs import ThroughputTable

TABLE = ThroughputTable.builtin()
HERE = ("k80", "p100", "v100")
RATIOS = {"v100": 1.0, "p100": 0.5, "k80": 0.25}


def attribution(rules: Rules, *records: Record, types: tuple[str, ...] = HERE) -> Attribution:
    kinds = {Kind(each.job_type, each.gpu_type, each.gpus, each.duration_s is not None): 1 for each in records}
    return Attribution(rules, TABLE, types, kinds)


@pytest.mark.parametrize("drawn", [0.0, 0.5, 0.999])
@pytest.mark.parametrize(("recorded", "on"), [(None, "v100"), ("p100", "p100"), ("P100", "P100"), ("K80", "k80")])
def test_a_job_takes_as_long_as_recorded_on_the_type_on_which_that_was_recorded(
    drawn: float, recorded: str | None, on: str
) -> None:
    record = Record(0.0, 1234.5, 2, gpu_type=recorded)
    job = attribution(Rules(), record).arrival(0, record, drawn)
    assert job.total_steps / TABLE.row(job.job_type, 2)[on] == pytest.approx(1234.5, rel=1e-12)


def test_a_ratio_a_type_holds_for_every_size() -> None:
    records = [Record(0.0, 100.0, 3, gpu_type="p100"), Record(0.0, 100.0, 96)]
    made = attribution(Rules(speed=RATIOS), *records)
    jobs = [made.arrival(at, record, 0.3) for at, record in enumerate(records)]
    rates = [dict(zip(HERE, made.throughputs.rows[job.type_index].tolist(), strict=True)) for job in jobs]
    assert rates == [RATIOS, RATIOS]
    assert [job.total_steps for job in jobs] == [50.0, 100.0]
    assert [job.scale_factor for job in jobs] == [3.0, 96.0]


@pytest.mark.parametrize(("rule", "factor"), [("linear", 2), ("single", 1)])
def test_a_size_without_a_row_is_scaled_from_the_row_that_the_rule_says(rule: str, factor: int) -> None:
    record = Record(0.0, 60.0, 3, job_type="LM (batch size 10)")
    made = attribution(Rules(scale_factor_rule=rule), record)
    job = made.arrival(0, record, 0.0)
    row = TABLE.row("LM (batch size 10)", factor)
    assert made.throughputs.rows[job.type_index].tolist() == pytest.approx([row[name] * 3 / factor for name in HERE])
    assert job.total_steps == pytest.approx(60.0 * row["v100"] * 3 / factor)


def test_a_size_without_a_row_is_refused_where_that_is_the_rule() -> None:
    with pytest.raises(ScenarioError, match=r"jobs need 3 GPUs.*1, 2, 4, 8.*--scale-factor-rule"):
        attribution(Rules(scale_factor_rule="refuse"), Record(0.0, 60.0, 3))


def test_steps_of_the_trace_stay_as_they_are_where_the_table_has_the_type() -> None:
    record = Record(0.0, None, 1, job_type="A3C", total_steps=7000.0, slo=2.0)
    job = attribution(Rules(), record).arrival(0, record, 0.9)
    assert (job.job_type, job.total_steps) == ("A3C", 7000.0)
    assert job.slo_s == pytest.approx(2.0 * 7000.0 / TABLE.row("A3C", 1)["v100"])


def test_what_no_speed_is_known_of_is_refused_by_name() -> None:
    record = Record(0.0, 60.0, 1)
    with pytest.raises(ScenarioError, match=r"worker type a100 in .*--speed TYPE=RATIO"):
        attribution(Rules(), record, types=("a100",))
    with pytest.raises(ScenarioError, match=r"worker type k80, p100 in workload.speed; known: v100"):
        attribution(Rules(speed={"v100": 1.0}), record)
    with pytest.raises(ScenarioError, match="reference_type is 'h100'"):
        attribution(Rules(reference_type="h100"), record)
    with pytest.raises(ScenarioError, match="of type 'unheard' and have steps but no duration"):
        attribution(Rules(), Record(0.0, None, 1, job_type="unheard", total_steps=1.0))


def test_an_unknown_recorded_type_counts_as_the_reference_type_and_that_is_said() -> None:
    record = Record(0.0, 60.0, 1, gpu_type="unheard")
    made = attribution(Rules(), record)
    job = made.arrival(0, record, 0.0)
    assert job.total_steps / TABLE.row(job.job_type, 1)["v100"] == pytest.approx(60.0)
    assert any("recorded on unheard, of which no speed is known" in told for told in made.sentences())


def spot(folder: Path, rows: int) -> Path:
    header = SAMPLES["spot2026"].text.splitlines()[0]
    path = folder / "spot.csv"
    path.write_text(
        "\n".join([header, *(f"{at},org{at % 7},A10,1,1,1,{at // 3},{at % 50 + 1},HP" for at in range(rows))])
    )
    return path


def test_job_types_are_drawn_by_the_seed_whatever_is_read_before(tmp_path: Path) -> None:
    store = import_trace(spot(tmp_path, 2 * BLOCK + 100))
    jobs = RecordedJobs(store, Rules(seed=3), TABLE, HERE)
    in_order = [job.job_type for job in jobs.arrivals_in_order()]
    again = RecordedJobs(store, Rules(seed=3), TABLE, HERE)
    late = again.until(1e9, Position(given=2 * BLOCK), None)
    assert [job.job_type for job in late] == in_order[2 * BLOCK :]
    other = [job.job_type for job in RecordedJobs(store, Rules(seed=4), TABLE, HERE).arrivals_in_order()]
    assert in_order != other
    counts = np.unique(in_order, return_counts=True)[1]
    assert len(counts) == 26
    assert (abs(counts - len(in_order) / 26) < 6 * (len(in_order) / 26) ** 0.5).all()  # 26 types run on one GPU


def test_jobs_come_in_order_each_once_and_only_as_many_as_asked_for(tmp_path: Path) -> None:
    store = import_trace(spot(tmp_path, BLOCK + 50))
    reader = Reader(RecordedJobs(store, Rules(), TABLE, HERE, jobs=BLOCK + 10))
    got = []
    while (next_s := reader.next_arrival_s()) is not None:
        got += reader.until(next_s + 500.0)
    assert [job.job_id for job in got] == list(range(BLOCK + 10))
    assert [job.arrival_s for job in got] == [float(at // 3) for at in range(BLOCK + 10)]
    assert sum(reader.workload._requests.values()) == BLOCK + 10


def test_whose_a_job_is_can_be_asked_for_in_any_order(tmp_path: Path) -> None:
    jobs = RecordedJobs(import_trace(spot(tmp_path, BLOCK + 50)), Rules(), TABLE, HERE)
    ids = [BLOCK + 3, 0, 8]
    assert jobs.origins(ids, [1.0] * len(ids)) == {
        "name": [str(each) for each in ids],
        "user": [None] * 3,
        "vc": [f"org{each % 7}" for each in ids],
        "class": ["HP"] * 3,
    }


def test_a_gavel_trace_is_the_same_jobs_whether_it_is_imported_or_not(tmp_path: Path) -> None:
    path = tmp_path / "mine.trace"
    path.write_text(SAMPLES["gavel"].text)
    plain = build_workload(load_scenario("toy", {"workload.trace": str(path)}), HERE)
    store = import_trace(path, Choice("gavel"))
    imported = list(RecordedJobs(store, Rules(), TABLE, HERE).arrivals_in_order())
    for one, other in zip(plain.arrivals, imported, strict=True):
        assert (one.job_type, one.scale_factor, one.total_steps, one.priority_weight, one.slo, one.slo_s) == (
            other.job_type, other.scale_factor, other.total_steps, other.priority_weight, other.slo, other.slo_s,
        )  # fmt: skip
        assert one.arrival_s - plain.arrivals[0].arrival_s == other.arrival_s
        assert plain.throughputs.rows[one.type_index].shape == (3,)
