"""Node lists and pod lists in the layout of the openb traces: what is read, and every fault with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from phasewise.sched.cluster.layout import Node
from phasewise.sched.cluster.openb import read_nodes
from phasewise.sched.cluster.requests import Request
from phasewise.sched.errors import TraceError
from phasewise.sched.validate import validate_file
from phasewise.sched.workload.openb import Pod, read_pods

NODES = "sn,cpu_milli,memory_mib,gpu,model\n"
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\n"
SPECIFIC = PODS.rstrip() + ",gpu_spec\n"


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    return tmp_path / "list.csv"


def node_faults(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(TraceError) as caught:
        read_nodes(path)
    return str(caught.value)


def pod_faults(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(TraceError) as caught:
        read_pods(path)
    return str(caught.value)


def test_a_node_list_gives_its_nodes_in_its_order(csv_file: Path) -> None:
    csv_file.write_text(NODES + "b,96000,393216,8,G2\na,64000,262144,2,P100\nc,1000,1,0,\n")
    assert read_nodes(csv_file) == [
        Node("b", "G2", 8, 96000, 393216),
        Node("a", "P100", 2, 64000, 262144),
        Node("c", "", 0, 1000, 1),
    ]


def test_columns_may_stand_in_any_order_and_fields_between_spaces(csv_file: Path) -> None:
    csv_file.write_text("gpu, model,sn,memory_mib,cpu_milli\n 2 ,T4, n ,10,20\n")
    assert read_nodes(csv_file) == [Node("n", "T4", 2, 20, 10)]


def test_a_pod_list_gives_what_each_pod_needs(csv_file: Path) -> None:
    csv_file.write_text(SPECIFIC + "p,12000,16384,1,460,T4|P100\nq,8000,0,8,1000,\nr,1000,1024,0,0,\n")
    assert read_pods(csv_file) == [
        Pod("p", Request(12000, 460, 1, "T4|P100", 16384)),
        Pod("q", Request(8000, 1000, 8, "", 0)),
        Pod("r", Request(1000, 0, 0, "", 1024)),
    ]


def test_a_pod_list_without_a_specification_column_has_none(csv_file: Path) -> None:
    csv_file.write_text(PODS + "p,1,2,1,1000\n")
    assert read_pods(csv_file) == [Pod("p", Request(1, 1000, 1, "", 2))]


def test_columns_on_times_and_classes_are_not_read(csv_file: Path) -> None:
    csv_file.write_text(
        SPECIFIC.rstrip() + ",qos,pod_phase,creation_time,deletion_time,scheduled_time\np,1,2,1,1000,,LS,Pending,x,,\n"
    )
    assert read_pods(csv_file) == [Pod("p", Request(1, 1000, 1, "", 2))]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("n,0,1,1,T4", "cpu_milli is '0'; allowed: an integer from 1 to 999999999"),
        ("n,1.5,1,1,T4", "cpu_milli is '1.5'; allowed: an integer from 1 to 999999999"),
        ("n,1,-1,1,T4", "memory_mib is '-1'; allowed: an integer from 1 to 999999999"),
        ("n,1,1000000000,1,T4", "memory_mib is '1000000000'; allowed: an integer from 1 to 999999999"),
        ("n,1,1,1025,T4", "gpu is '1025'; allowed: an integer from 0 to 1024"),
        ("n,1,1,٢,T4", "gpu is '٢'; allowed: an integer from 0 to 1024"),
        ("n,1,1,2,", "model is empty and gpu is 2; a node with GPUs needs their model"),
        ("n,1,1,0,T4", "model is 'T4' and gpu is 0; allowed: no model where there are no GPUs"),
        ("n,1,1,1,T4|G2", "model is 'T4|G2'; allowed: one name without '|', which separates those of a gpu_spec"),
        (",1,1,1,T4", "sn is empty; a name is needed"),
        ("m,1,1,1,T4", "node 'm' again; first in line 2"),
        ("n,1,1,1", "4 fields; allowed: the 5 of the header"),
        ("", "0 fields; allowed: the 5 of the header"),
        ('"n,1,1,1,T4', "not a CSV row: unexpected end of data"),
    ],
)
def test_a_fault_of_a_node_is_told_with_its_line(csv_file: Path, row: str, message: str) -> None:
    assert node_faults(csv_file, NODES + "m,1,1,1,T4\n" + row + "\n") == f"{csv_file}:3: {message}"
    assert [(fault.line, fault.message) for fault in validate_file(csv_file)] == [(3, message)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("p,-1,1,1,1000,", "cpu_milli is '-1'; allowed: an integer from 0 to 999999999"),
        ("p,1,1e3,1,1000,", "memory_mib is '1e3'; allowed: an integer from 0 to 999999999"),
        ("p,1,1,2000,1000,", "num_gpu is '2000'; allowed: an integer from 0 to 1024"),
        ("p,1,1,1,1001,", "gpu_milli is '1001'; allowed: an integer from 0 to 1000"),
        ("p,1,1,0,500,", "gpu_milli is 500 and num_gpu is 0; allowed: 0 where no GPU is asked for"),
        ("p,1,1,1,0,", "gpu_milli is 0 and num_gpu is 1; allowed: 1 to 1000"),
        ("p,1,1,2,500,", "gpu_milli is 500 and num_gpu is 2; allowed: 1000, since only a single GPU is shared"),
        ("p,1,1,1,500,T4||G2", "gpu_spec is 'T4||G2'; allowed: models separated by '|', as T4|P100, or nothing"),
        (",1,1,1,500,", "name is empty; a name is needed"),
        ("o,1,1,1,500,", "pod 'o' again; first in line 2"),
    ],
)
def test_a_fault_of_a_pod_is_told_with_its_line(csv_file: Path, row: str, message: str) -> None:
    assert pod_faults(csv_file, SPECIFIC + "o,1,1,1,1000,\n" + row + "\n") == f"{csv_file}:3: {message}"
    assert [(fault.line, fault.message) for fault in validate_file(csv_file)] == [(3, message)]


def test_several_faults_of_one_row_are_all_told(csv_file: Path) -> None:
    assert pod_faults(csv_file, PODS + "p,x,y,2,0\n").count(f"{csv_file}:2: ") == 3


def test_all_faults_are_told_in_order_of_lines(csv_file: Path) -> None:
    csv_file.write_bytes(NODES.encode() + b"a,1,1\n\xff,1,1,1,T4\nb,x,1,1,T4\n")
    assert [fault.line for fault in validate_file(csv_file)] == [2, 3, 4]


@pytest.mark.parametrize(
    ("header", "complaints"),
    [
        ("sn,cpu_milli,memory_mib,gpu", "lacks model"),
        ("sn,cpu_mili,memory_mib,gpu,model", "lacks cpu_milli; has 'cpu_mili', did you mean 'cpu_milli'?"),
        ("sn,cpu_milli,memory_mib,gpu,model,gpu", "has 'gpu' twice"),
    ],
)
def test_a_header_with_other_columns_says_which(csv_file: Path, header: str, complaints: str) -> None:
    told = node_faults(csv_file, header + "\n")
    assert told == f"{csv_file}:1: the header of a node list {complaints}; allowed: sn,cpu_milli,memory_mib,gpu,model"
    assert [fault.line for fault in validate_file(csv_file)] == [1]


def test_a_pod_list_with_a_column_that_is_not_known_is_refused(csv_file: Path) -> None:
    told = pod_faults(csv_file, SPECIFIC.replace("gpu_spec", "gpu_specs") + "p,1,1,1,1000,T4\n")
    assert "has 'gpu_specs', did you mean 'gpu_spec'?" in told


@pytest.mark.parametrize(("text", "message"), [("", "the file is empty"), (NODES, "no rows; a row for each node")])
def test_a_list_without_rows_is_refused(csv_file: Path, text: str, message: str) -> None:
    assert message in node_faults(csv_file, text)


def test_a_list_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot read the node list: No such file"):
        read_nodes(tmp_path / "none.csv")
    with pytest.raises(TraceError, match="cannot read the pod list: Is a directory"):
        read_pods(tmp_path)


@pytest.mark.oracle
def test_the_lists_of_the_original_traces_have_no_fault(shared_dir: Path) -> None:
    folder = shared_dir / "data" / "openb"
    found = {path.stem: validate_file(path) for path in folder.glob("*.csv")}
    assert len(found) == 5
    assert [name for name, faults in found.items() if faults] == []
    assert len(read_nodes(folder / "openb_node_list_gpu_node.csv")) == 1213
    assert len(read_pods(folder / "openb_pod_list_multigpu20.csv")) == 8324
