"""Tables of how fast two jobs run that share their GPUs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phasewise.sched.errors import TraceError
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate
from phasewise.sched.validate import validate_file
from phasewise.sched.workload.co_throughputs import COLUMNS, CoThroughputTable
from phasewise.sched.workload.throughputs import ThroughputTable

HEADER = ",".join(COLUMNS)
TYPES = ("k80", "p100", "v100")
LM, CYCLE = "LM (batch size 80)", "CycleGAN"


def written(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "pairs.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_the_built_in_table_has_the_published_figures_for_both_orders_of_a_pair() -> None:
    view = ThroughputTable.builtin().for_types(TYPES)
    rates = CoThroughputTable.builtin().of_jobs(view)
    lm, a3c, wide = (view.index(name, factor) for name, factor in ((LM, 1), ("A3C", 1), (LM, 2)))
    rows, ones = np.array([lm, a3c, wide]), np.ones(3, np.int64)
    kinds = rates.of(rows, np.array([1, 1, 2]), ones * 1000)
    seen = rates.pairs(kinds, rows)
    a, b, c = seen.kind.tolist()
    assert seen.rate[b, b, 0].tolist() == [1.62224017930913, 1.62224017930913]
    assert np.array_equal(seen.rate[a, b, :, 0], seen.rate[b, a, :, 1])
    assert (seen.rate[a, b] > 0.0).all()
    assert not seen.rate[c].any(), "jobs of two GPUs were measured, and share with nobody"
    assert not seen.rate.flags.writeable


def test_jobs_that_have_a_part_of_a_gpu_or_more_gpus_than_were_measured_share_with_nobody() -> None:
    view = ThroughputTable.builtin().for_types(TYPES)
    rates = CoThroughputTable.builtin().of_jobs(view)
    row = np.full(3, view.index("A3C", 1))
    kinds = rates.of(row, np.array([1, 1, 2]), np.array([1000, 500, 1000]))
    seen = rates.pairs(kinds, row)
    assert seen.rate[seen.kind[0], seen.kind[0]].all()
    assert seen.kind[1] == seen.kind[2] != seen.kind[0]
    assert not seen.rate[seen.kind[1]].any()


def test_worker_types_without_measurements_are_the_same_multiples_as_alone() -> None:
    alone = ThroughputTable.builtin().for_types(("T4", "v100"))
    rates = CoThroughputTable.builtin().of_jobs(alone)
    row = np.array([alone.index("A3C", 1)])
    rate = rates.pairs(rates.of(row, np.ones(1, np.int64), np.array([1000])), row).rate[0, 0, :, 0]
    assert rate[0] / rate[1] == pytest.approx(alone.row("A3C", 1)[0] / alone.row("A3C", 1)[1])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,1,b,2,v100,1,1", "scale factors 1 and 2; only jobs of the same number of GPUs share them"),
        ("a,1,b,1,v100,1,0", "rates 1 and 0; allowed: both above 0, or both 0"),
        ("a,1,a,1,v100,4.5,3.1", "rates 4.5 and 3.1 of two jobs of one type; allowed: the same for both"),
        ("a,0,b,1,v100,1,1", "scale_factor_0 is '0'; allowed: a positive integer"),
        ("a,1,b,1,v100,-1,1", "steps_per_second_0 is '-1'; allowed: a finite number of at least 0"),
        ("a,1,,1,v100,1,1", "job_type_1 is empty"),
        ("a,1,b,1,v100,1", "6 fields; allowed: the 7 of the header"),
        ("x,1,y,1,v100,1,2", "'x' and 'y' with scale factor 1 on v100 again; first in line 2"),
        ("y,1,x,1,v100,2,3", "'x' and 'y' with scale factor 1 on v100 has other figures than in line 2"),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, row: str, message: str) -> None:
    path = written(tmp_path, "x,1,y,1,v100,1,2", row)
    (fault,) = validate_file(path)
    assert fault.line == 3
    assert message in fault.message
    with pytest.raises(TraceError, match=r"pairs\.csv:3: "):
        CoThroughputTable.from_csv(path)


def test_a_pair_may_stand_in_both_orders_with_the_same_figures(tmp_path: Path) -> None:
    path = written(tmp_path, "x,1,y,1,v100,1,2", "y,1,x,1,v100,2,1")
    assert validate_file(path) == []
    assert CoThroughputTable.from_csv(path).rates == {(("x", "y", 1), "v100"): (1.0, 2.0)}


def test_a_header_that_lacks_a_column_is_one_fault(tmp_path: Path) -> None:
    path = written(tmp_path, header=HEADER.replace("scale_factor_1,", ""))
    (fault,) = validate_file(path)
    assert "lacks scale_factor_1" in fault.message


def test_a_scenario_names_its_table_and_a_run_that_packs_reads_it(tmp_path: Path) -> None:
    table = written(tmp_path, f"{LM},1,{LM},1,v100,1,x")
    chosen = {"workload.co_throughputs": str(table), "policy.name": "gandiva", "output.trace": False}
    with pytest.raises(TraceError, match="steps_per_second_1 is 'x'"):
        simulate(load_scenario("toy", chosen), None)
    simulate(load_scenario("toy", {**chosen, "policy.name": "fifo", "stop.rounds": 1}), None)  # of no concern to it


@pytest.mark.parametrize("row", ["resnet,1,vgg,1,v100,1,2", f"{LM},1,{LM},1,a100,2,2"])
def test_a_table_of_other_jobs_or_other_gpus_is_an_error(tmp_path: Path, row: str) -> None:
    chosen = {"workload.co_throughputs": str(written(tmp_path, row)), "policy.name": "max_min_fairness_packed"}
    with pytest.raises(TraceError, match=r"pairs\.csv: no pair is of two job types and a worker type of the scenario"):
        simulate(load_scenario("toy", chosen), None)


def test_a_table_may_have_more_than_a_scenario_has(tmp_path: Path) -> None:
    table = written(tmp_path, f"{LM},1,{LM},1,v100,2,2", "resnet,1,vgg,1,v100,1,2")
    chosen = {"workload.co_throughputs": str(table), "policy.name": "gandiva", "stop.rounds": 3, "stop.window": "none"}
    assert simulate(load_scenario("toy", chosen), None).summary["rounds"] == 3


def test_a_scenario_file_is_validated_with_its_table(tmp_path: Path) -> None:
    written(tmp_path, "a,1,b,1,v100,1,0")
    scenario = tmp_path / "mine.toml"
    scenario.write_text('[cluster]\ngpus = { v100 = 1 }\n[workload]\njobs = 1\nco_throughputs = "pairs.csv"\n')
    (fault,) = validate_file(scenario)
    assert "workload.co_throughputs" in fault.message
    assert "pairs.csv:2: " in fault.message
