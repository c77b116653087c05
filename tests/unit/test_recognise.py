"""Files of another kind are told apart before they are judged: one message, which says what they seem to be."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from phasewise.sched.reading.recognise import misfit, recognise

ROOT = Path(__file__).resolve().parents[2]
BAD_INPUT = 2
TRACE_LINE = "A3C\ttrain\twork\t--n\t1\t7000\t1\t1\t-1\t0"
MARK = b"\xef\xbb\xbf"
TABLE = "job_type,scale_factor,gpu_type,steps_per_second\nA3C,1,v100,5\n"
NODES = "sn,cpu_milli,memory_mib,gpu,model\na,64000,262144,4,T4\n"
PODS = "name,cpu_milli,memory_mib,num_gpu,gpu_milli\np,4000,8192,1,500\n"
SCENARIO = '[cluster]\ngpus = { v100 = 2 }\n\n[workload]\ntrace = "mine.trace"\n'

OURS = {
    "trace": TRACE_LINE,
    "throughput table": TABLE,
    "node list": NODES,
    "pod list": PODS,
    "scenario": SCENARIO,
}


def parquet() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), stream)
    return stream.getvalue()


def npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ones(3))
    return stream.getvalue()


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", "b")
    return stream.getvalue()


GAVEL = {"k80": {f"('job{index}', 1)": {"null": 1.5, "('job2', 1)": [0.7, 0.6]} for index in range(500)}}
PHILLY = [{"status": "Pass", "vc": "a", "jobid": "j", "attempts": [{"start_time": "x", "detail": []}]}] * 300

# what it is -> the file's content, and words that the message must have
OTHERS: dict[str, tuple[bytes, str]] = {
    "throughputs of Gavel": (json.dumps(GAVEL, indent=4).encode(), "throughput table of Gavel (JSON)"),
    "throughputs of Gavel on one line": (json.dumps(GAVEL).encode(), "throughput table of Gavel (JSON)"),
    "a Philly job log": (json.dumps(PHILLY, indent=2).encode(), "Philly"),
    "other JSON": (b'{"a": [1, 2, 3]}', "JSON"),
    "a JSON list of numbers": (b"[1, 2, 3]", "JSON"),
    "a JSON list of lists": (b"[[1], [2]]", "JSON"),
    "JSON after white space": (b'\n\n  {"a": 1}', "JSON"),
    "an empty JSON object": (b"{}\n", "JSON"),
    "recorded allocations": (b'{"worker_types": ["v100"], "allocations": []}', "--allocations"),
    "arrival orders": (b'{"seeds": {"42": {"order": [0], "node_rank": [0]}}}', "--order"),
    "a run.json": (b'{"schema": 1, "summary": {}, "status": "complete"}', "phasewise report"),
    "a Helios job log": (
        b"job_id,user,vc,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue\n1,u,v,8,4,1,C,a",
        "Helios",
    ),
    "an Acme job log": (
        b"job_id,user,node_num,gpu_num,cpu_num,type,state,submit_time,start_time,end_time,duration,queue,gpu_time\n",
        "Acme",
    ),
    "a Sia workload": (b"name,time,application,num_replicas,batch_size\ncifar10-0,107,cifar10,2,512\n", "Sia"),
    "a Tiresias trace": (b"job_id,num_gpu,submit_time,iterations,model_name,duration,interval\n", "Tiresias"),
    "a PAI simulator list": (b"num_gpu,num_cpu,submit_time,duration,user_dur,group_dur,group_gpu_dur\n", "PAI"),
    "a spot trace": (
        b"job_name,organization,gpu_model,cpu_request,gpu_request,worker_num,submit_time,duration,job_type\n",
        "spot",
    ),
    "an output of sacct": (b"JobIDRaw|User|Account|Partition|QOS|Submit|Start|End|State\n1|a|b|c|d|e|f|g|h\n", "sacct"),
    "a SWF workload": (("; Version: 2\n" + " ".join(["1"] * 18) + "\n").encode(), "SWF"),
    "a SWF workload without a header": ((" " + " ".join(["-1"] * 18) + "\n").encode() * 3, "SWF"),
    "a Shockwave trace": ("\t".join(["a"] * 12).encode() + b"\n", "Shockwave"),
    "a Gavel trace of 7 fields": ("\t".join(["a"] * 7).encode() + b"\n", "7 fields"),
    "a PAI job table": (b"5e5d,c404,360d,Terminated,4550879.0,4551416.0\n", "the task table is to be named"),
    "a PAI instance table": (b"f3ef,worker,a6d9,460d,e757,Failed,2081336.0,,0eb1\n", "the task table is to be named"),
    "another table": (b"id,when,how many\n1,2,3\n", "no column that is known"),
    "a semicolon for a comma": (PODS.replace(",", ";").encode(), "use commas"),
    "a pickle": (pickle.dumps({"a": 1}), "pickle"),
    "a Parquet file": (parquet(), "Parquet"),
    "a zip archive": (zipped(), "zip"),
    "xz": (lzma.compress(TRACE_LINE.encode()), "xz"),
    "bzip2": (bz2.compress(TRACE_LINE.encode()), "bzip2"),
    "a NumPy array": (npy(), "NumPy"),
    "UTF-16": (TRACE_LINE.encode("utf-16"), "UTF-16"),
    "a pointer of Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "git lfs pull"),
    "an HTML page": (b"<!DOCTYPE html>\n<html><body>404</body></html>\n", "HTML"),
    "the lines of a run": (b'EVENT {"event":"run_start"}\n' * 50, "lines.log"),
    "a picture": ((ROOT / "docs" / "images" / "report.png").read_bytes(), "picture"),
    "binary data": (bytes(range(256)) * 40, "binary"),
}


_READ = ("a Philly", "a Helios", "an Acme", "a Tiresias", "a PAI simulator", "a spot", "an output of sacct", "a SWF")
IMPORTED = {name for name in OTHERS if name.startswith((*_READ, "a Gavel trace of 7"))}
"""Of these a trace is read, so what is wrong with one is told in the words of its format."""
VALID = {"a SWF workload"}  # one whole job of one processor


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("prefix", [b"", MARK], ids=["plain", "marked"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CR LF"])
@pytest.mark.parametrize("packed", [False, True], ids=["", "gzip"])
def test_what_is_read_here_is_read_whatever_its_name_its_mark_its_lines_and_its_packing(
    kind: str, prefix: bytes, newline: str, packed: bool, tmp_path: Path, phasewise: Callable
) -> None:
    (tmp_path / "mine.trace").write_text(TRACE_LINE)
    content = prefix + OURS[kind].replace("\n", newline).encode()
    (tmp_path / "file.txt").write_bytes(gzip.compress(content) if packed else content)
    said = phasewise("validate", tmp_path / "file.txt")
    assert said.code == 0, said.err
    assert recognise(content.removeprefix(MARK)).kind == kind


@pytest.mark.parametrize("what", OTHERS)
def test_a_file_of_another_kind_is_one_message_that_says_what_it_seems_to_be(
    what: str, tmp_path: Path, phasewise: Callable
) -> None:
    content, words = OTHERS[what]
    for name in ("file", "file.csv", "file.txt", "file.json"):
        (tmp_path / name).write_bytes(content)
        said = phasewise("validate", tmp_path / name)
        if what in VALID:
            assert said.code == 0, said.err
            continue
        assert said.code == BAD_INPUT
        if what in IMPORTED:  # it is judged as what it is
            assert f"{tmp_path / name}:" in said.err
            continue
        assert said.err.count("\n") == 1, said.err
        assert words in said.err
        assert "a trace, a scenario (.toml)" in said.err


@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize(
    ("option", "expected"),
    [("--trace", "trace"), ("--throughputs", "throughput table"), ("--nodes", "node list"), ("--pods", "pod list")],
)
def test_a_run_refuses_it_with_one_message(
    what: str, option: str, expected: str, tmp_path: Path, phasewise: Callable
) -> None:
    content, words = OTHERS[what]
    (tmp_path / "file").write_bytes(content)
    said = phasewise("run", "philly", "-q", option, tmp_path / "file", "--out", tmp_path / "out")
    if option == "--trace" and what in VALID:
        assert said.code == 0, said.err
        return
    assert said.code == BAD_INPUT
    assert said.err.count("\n") == 1, said.err
    if option == "--trace" and what in IMPORTED:
        assert f"{tmp_path / 'file'}" in said.err
        return
    assert f"this is not a {expected}" in said.err
    assert words in said.err


@pytest.mark.parametrize("what", OTHERS)
def test_it_is_no_scenario_either(what: str, tmp_path: Path, phasewise: Callable) -> None:
    content, words = OTHERS[what]
    (tmp_path / "file.toml").write_bytes(content)
    said = phasewise("run", tmp_path / "file.toml", "-q", "--out", tmp_path / "out")
    assert said.code == BAD_INPUT
    assert said.err.count("\n") == 1, said.err
    assert "this is not a scenario" in said.err
    assert words in said.err


@pytest.mark.parametrize("kind", OURS)
@pytest.mark.parametrize("option", ["--trace", "--throughputs", "--nodes", "--pods"])
def test_one_of_our_kinds_in_the_place_of_another_is_named(
    kind: str, option: str, tmp_path: Path, phasewise: Callable
) -> None:
    expected = {"--trace": "trace", "--throughputs": "throughput table", "--nodes": "node list", "--pods": "pod list"}
    if expected[option] == kind:
        return
    (tmp_path / "file").write_text(OURS[kind])
    said = phasewise("run", "toy", "-q", option, tmp_path / "file", "--out", tmp_path / "out")
    assert said.code == BAD_INPUT
    assert f"this is not a {expected[option]}; it seems to be a {kind}" in said.err


def test_what_may_be_of_a_kind_with_faults_is_left_to_the_reader_of_that_kind() -> None:
    assert misfit(b"A3C\t1\n", "trace") == ""
    assert misfit(b"job_type,gpu_type\n", "throughput table") == ""
    assert misfit(b"[cluster\n", "scenario") == ""
    assert misfit(b"", "trace") == ""
    assert misfit(TRACE_LINE.encode(), "trace") == ""


def test_the_page_that_messages_name_is_there_and_has_every_kind_that_they_name() -> None:
    page = (ROOT / "docs" / "howto" / "bring-your-own-trace.md").read_text()
    for word in ("Gavel", "Philly", "Helios", "Acme", "Sia", "Tiresias", "PAI", "spot", "sacct", "SWF", "Shockwave"):
        assert word in page


def test_a_pipe_is_read_as_often_as_a_run_asks(tmp_path: Path, phasewise: Callable) -> None:
    for name, content in (("jobs", TRACE_LINE), ("table", TABLE.replace("v100", "T4")), ("nodes", NODES)):
        os.mkfifo(tmp_path / name)
        threading.Thread(target=(tmp_path / name).write_text, args=(content,), daemon=True).start()
    said = phasewise(
        "run", "toy", "-q", "--trace", tmp_path / "jobs", "--throughputs", tmp_path / "table",
        "--nodes", tmp_path / "nodes", "--placement", "fgd", "--out", tmp_path / "out",
    )  # fmt: skip
    assert said.code == 0, said.err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(TRACE_LINE.encode() * 100)[:-20], "not a complete gzip file"),
        (gzip.compress(TRACE_LINE.encode() * 100)[:40] + b"\xff" * 90, "not a complete gzip file"),
        (b"\x1f\x8b", "not a complete gzip file"),
        (gzip.compress(bytes(1 << 20)) * 600, "more than 512 MiB"),
    ],
    ids=["cut", "damaged", "only its mark", "a bomb"],
)
def test_gzip_that_is_damaged_or_too_much_is_one_message(
    content: bytes, words: str, tmp_path: Path, phasewise: Callable
) -> None:
    (tmp_path / "jobs.trace").write_bytes(content)
    for arguments in (("validate", tmp_path / "jobs.trace"), ("run", "toy", "-q", "--trace", tmp_path / "jobs.trace")):
        said = phasewise(*arguments)
        assert said.code == BAD_INPUT
        assert said.err.count("\n") == 1
        assert words in said.err


@pytest.mark.parametrize(
    ("listed", "option"),
    [
        ("sn,cpu_milli,memory_mib,gpu,model\na,64000,262144,0,\n", "--nodes"),
        ("sn,cpu_milli,memory_mib,gpu,model\na,64000,262144,2,T 4\n", "--nodes"),
        ("name,cpu_milli,memory_mib,num_gpu,gpu_milli\np,4000,8192,0,0\n", "--pods"),
    ],
)
def test_a_list_that_a_run_refuses_does_not_pass_validate(
    listed: str, option: str, tmp_path: Path, phasewise: Callable
) -> None:
    (tmp_path / "list.csv").write_text(listed)
    refused = phasewise("run", "toy", "-q", option, tmp_path / "list.csv", "--out", tmp_path / "out")
    judged = phasewise("validate", tmp_path / "list.csv")
    assert (refused.code, judged.code) == (BAD_INPUT, BAD_INPUT)
    assert judged.err.strip().split(": ", 1)[1].split(":")[-1] in refused.err


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ('[policy]\nname = "fiffo"', "did you mean 'fifo'?"),
        ('[placement]\nname = "stridd"', "did you mean 'strided'?"),
        ('[solver]\nname = "highs-direct,ecoss"', "did you mean 'ecos'?"),
        ("[stop]\nwindow = [0, 5]", "only 1 jobs come"),
    ],
)
def test_a_scenario_that_a_run_refuses_does_not_pass_validate(
    section: str, words: str, tmp_path: Path, phasewise: Callable
) -> None:
    (tmp_path / "mine.trace").write_text(TRACE_LINE)
    (tmp_path / "mine.toml").write_text(f"{SCENARIO}{section}\n")
    refused = phasewise("run", tmp_path / "mine.toml", "-q", "--out", tmp_path / "out")
    judged = phasewise("validate", tmp_path / "mine.toml")
    assert (refused.code, judged.code) == (BAD_INPUT, BAD_INPUT)
    assert words in refused.err
    assert words in judged.err


NODE_LISTS = {
    "spot": "gpu_model,gpu_capacity_num,cpu_num,node_name\nA10,1,128,0\n",
    "PAI, with a header": "machine,gpu_type,cap_cpu,cap_mem,cap_gpu\nbe06,T4,96,512,2\n",
    "PAI, as it comes": "be063909c05bed0e0b5b4cd9,T4,96,512,2\n",
    "Philly": "machineId,number of GPUs,single GPU mem\nm1,8,24GB\n",
    "Tiresias": "num_switch,num_node_p_switch,num_gpu_p_node,num_cpu_p_node,mem_p_node\n4,32,8,128,256\n",
    "Helios": "date,vchbv,vc4om,total\n2020-09-01,64,96,160\n",
}


@pytest.mark.parametrize("name", NODE_LISTS)
@pytest.mark.parametrize("command", [("trace", "describe"), ("run", "toy", "-q", "--trace")])
def test_a_node_list_in_place_of_a_trace_is_named_with_the_option_that_takes_it(
    name: str, command: tuple[str, ...], tmp_path: Path, phasewise: Callable
) -> None:
    path = tmp_path / "machines.csv"
    path.write_text(NODE_LISTS[name])
    said = phasewise(*command, path)
    assert said.code == 2
    assert name.split(",", maxsplit=1)[0] in said.err
    assert "which is no jobs; give it to `--nodes`" in said.err
    assert phasewise("validate", path).code == 0
