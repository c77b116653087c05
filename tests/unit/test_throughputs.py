"""The throughput table: the built-in one, CSV files, and what a cluster sees of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from phasewise.sched.errors import ScenarioError, TraceError
from phasewise.sched.workload.throughputs import ThroughputTable

HEADER = "job_type,scale_factor,gpu_type,steps_per_second\n"


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    return tmp_path / "speeds.csv"


def faults(path: Path, text: str | bytes) -> str:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TraceError) as caught:
        ThroughputTable.from_csv(path)
    return str(caught.value)


def test_the_built_in_table_knows_26_job_types_on_three_measured_and_twelve_assumed_worker_types() -> None:
    table = ThroughputTable.builtin()
    assumed = ("A10", "A100-SXM4-80GB", "A800-SXM4-80GB", "G2", "G3", "GPU-series-1", "GPU-series-2", "H800")
    assert table.worker_types == (*assumed, "P100", "T4", "V100M16", "V100M32", "k80", "p100", "v100")
    assert len(table.for_types(("v100",)).job_types()) == 26
    assert table.for_types(("v100",)).row("A3C", 1)[0] == 7.175767179667988


def test_the_types_of_openb_are_multiples_of_a_measured_column() -> None:
    view = ThroughputTable.builtin().for_types(("p100", "v100", "P100", "V100M16", "V100M32", "T4", "G2", "G3", "A10"))
    p100, v100, *assumed = view.rows.T
    for column, expected in zip(
        assumed, (p100, v100, v100, *(v100 * k for k in (0.33, 0.34, 0.35, 0.67))), strict=True
    ):
        assert column.tolist() == expected.tolist()


def test_a_view_has_its_columns_in_the_order_asked_for_and_cannot_be_written() -> None:
    view = ThroughputTable.builtin().for_types(("k80", "v100"))
    assert view.row("A3C", 1).tolist() == [3.4387678290723933, 7.175767179667988]
    assert view.rows[view.index("A3C", 1)].tolist() == view.row("A3C", 1).tolist()
    assert view.names[view.index("LM (batch size 5)", 4)] == "LM (batch size 5)"
    with pytest.raises(ValueError, match="read-only"):
        view.rows[0, 0] = 1.0


def test_a_worker_type_without_throughputs_names_those_that_have_some() -> None:
    with pytest.raises(ScenarioError, match=r"'h100' in the built-in .*known: .*k80, p100, v100 .*--throughputs"):
        ThroughputTable.builtin().for_types(("h100", "v100"))


def test_an_unknown_job_type_names_the_nearest() -> None:
    view = ThroughputTable.builtin().for_types(("v100",))
    with pytest.raises(ValueError, match=r"unknown job type 'ResNet-18 \(batch size 17\)', did you mean 'ResNet-18"):
        view.index("ResNet-18 (batch size 17)", 1)


def test_an_unknown_scale_factor_names_those_that_are_allowed() -> None:
    view = ThroughputTable.builtin().for_types(("v100",))
    with pytest.raises(ValueError, match=r"scale factor is 2 for 'A3C'; allowed by .*: 1"):
        view.index("A3C", 2)


def test_a_csv_gives_the_figures_it_holds_in_any_order_of_columns(csv_file: Path) -> None:
    csv_file.write_text("gpu_type,steps_per_second,scale_factor,job_type\nnew,1.25,2,net\nold,0.0,2,net\n")
    view = ThroughputTable.from_csv(csv_file).for_types(("new", "old"))
    assert view.row("net", 2).tolist() == [1.25, 0.0]
    assert view.mean_rates() == {"new": 1.25, "old": 0.0}


def test_a_hole_in_a_csv_is_told_where_a_job_needs_it(csv_file: Path) -> None:
    csv_file.write_text(HEADER + "net,1,new,2.0\nnet,1,old,1.0\nother,1,new,3.0\n")
    view = ThroughputTable.from_csv(csv_file).for_types(("new", "old"))
    assert view.row("net", 1).tolist() == [2.0, 1.0]
    with pytest.raises(ValueError, match=r"no throughput for 'other' with scale factor 1 on old; add a row \(0 where"):
        view.index("other", 1)
    assert np.isfinite(list(view.mean_rates().values())).all()


@pytest.mark.parametrize("figure", ["nan", "-1.0", "inf", "fast", "", "1_000", "1e999"])
def test_a_figure_that_is_no_speed_is_refused_with_its_line(csv_file: Path, figure: str) -> None:
    message = faults(csv_file, HEADER + f"net,1,old,1.0\nnet,1,new,{figure}\n")
    assert message == f"{csv_file}:3: steps_per_second is {figure!r}; allowed: a finite number of at least 0"


@pytest.mark.parametrize("factor", ["0", "-1", "1.5", "x", ""])
def test_a_scale_factor_that_is_no_count_is_refused(csv_file: Path, factor: str) -> None:
    message = faults(csv_file, HEADER + f"net,{factor},new,1.0\n")
    assert message == f"{csv_file}:2: scale_factor is {factor!r}; allowed: a positive integer"


def test_a_header_with_another_column_names_what_is_missing_and_unknown(csv_file: Path) -> None:
    message = faults(csv_file, "job_type,scale_factor,gpu,steps_per_second\n")
    assert message.startswith(f"{csv_file}:1: ")
    assert "missing: gpu_type; unknown: 'gpu'" in message


def test_a_row_twice_names_the_first(csv_file: Path) -> None:
    assert "3: 'net' with scale factor 1 on new again; first in line 2" in faults(
        csv_file, HEADER + "net,1,new,1\nnet,1,new,2\n"
    )


def test_every_fault_of_a_csv_is_told_in_order_of_lines(csv_file: Path) -> None:
    message = faults(csv_file, HEADER.encode() + b"net,1,new\n\xff,1,new,1.0\n,1,new,1.0\n")
    assert [line.split(":")[1] for line in message.splitlines()] == ["2", "3", "4"]


@pytest.mark.parametrize("text", ["", HEADER])
def test_a_csv_without_rows_is_refused(csv_file: Path, text: str) -> None:
    assert "needed" in faults(csv_file, text) or "empty" in faults(csv_file, text)


def test_a_csv_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot read the throughput table: No such file"):
        ThroughputTable.from_csv(tmp_path / "none.csv")
