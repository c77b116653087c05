"""What a trace says in several files: PAI's job table beside its task table, Philly's machine list against its log."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trace_samples import PAI, PHILLY

from phasewise.sched.cluster.corrections import as_seen
from phasewise.sched.cluster.layout import Node
from phasewise.sched.errors import TraceError
from phasewise.sched.workload.importing.choice import Choice
from phasewise.sched.workload.importing.importer import import_trace
from phasewise.sched.workload.importing.job_table import Job, JobTable

JOBS = "job1,i1,ann,Terminated,900.0,1600.0\njob2,i2,bob,Failed,910.0,950.0\njob6,i6,,Interrupted,,\n"
BY_JOB = {"submit": "job_table"}
MACHINES = "machineId,number of GPUs,single GPU mem\nm1,1,12GB\nm2,2,24GB\nm3,8,24GB\n"


def rows(path: Path, columns: dict[str, str] | None = None) -> list[dict[str, Any]]:
    return [row for block in import_trace(path, Choice(columns=columns or {})) for row in block.to_pylist()]


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    (tmp_path / "pai_task_table.csv").write_text(PAI)
    (tmp_path / "pai_job_table.csv").write_text(JOBS)
    return tmp_path / "pai_task_table.csv"


def test_user_and_final_state_of_a_task_are_those_of_its_job(tasks: Path) -> None:
    found = {row["source_id"]: (row["user"], row["state"]) for row in rows(tasks)}
    assert found == {
        "job2/tensorflow": ("bob", "Failed"),
        "job1/worker": ("ann", "Terminated"),
        "job6/worker": (None, "Interrupted"),
    }


def test_a_task_arrives_when_it_started_or_where_asked_for_when_its_job_was_submitted(tasks: Path) -> None:
    assert [row["arrival_s"] for row in rows(tasks)] == [0.0, 100.0, 400.0]
    # job 2 was submitted after its task started, of job 6 no submission is known
    found = {row["source_id"]: row["arrival_s"] for row in rows(tasks, BY_JOB)}
    assert found == {"job2/tensorflow": 0.0, "job1/worker": 0.0, "job6/worker": 400.0}
    assert [row["duration_s"] for row in rows(tasks, BY_JOB)] == [600.0, 50.0, 100.0]
    assumed = " ".join(import_trace(tasks, Choice(columns=BY_JOB)).account["assumptions"])
    assert "joined with pai_job_table.csv" in assumed
    assert "they arrive when they start (4 rows)" in assumed


def test_tasks_whose_job_is_not_in_the_table_are_counted_and_keep_their_own_state(tasks: Path) -> None:
    tasks.with_name("pai_job_table.csv").write_text("job1,i1,ann,Failed,900.0,1600.0\n")
    account = import_trace(tasks).account
    assert any("the job table has no job" in told and "(5 rows)" in told for told in account["assumptions"])
    assert [row["state"] for row in rows(tasks)] == ["Failed", "Failed", "Terminated"]


def test_a_packed_job_table_with_a_header_is_joined_as_well(tasks: Path) -> None:
    plain = rows(tasks, BY_JOB)
    tasks.with_name("pai_job_table.csv").unlink()
    packed = gzip.compress(f"job_name,inst_id,user,status,start_time,end_time\n{JOBS}".encode())
    tasks.with_name("pai_job_table.csv.gz").write_bytes(packed)
    assert rows(tasks, BY_JOB) == plain


def test_what_is_wrong_with_a_job_table_is_told_with_its_line(tasks: Path) -> None:
    table = tasks.with_name("pai_job_table.csv")
    table.write_text(JOBS + "job9,i9,u,Terminated,soon,2\njob10,i10\n" + f"{'j' * 65},i,u,Failed,1,2\n")
    with pytest.raises(TraceError) as told:
        import_trace(tasks)
    lines = str(told.value).splitlines()
    assert [line.removeprefix(f"{table}:").split(":")[0] for line in lines] == ["4", "5", "6"]


def test_an_arrival_of_a_job_table_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "tasks.csv").write_text(PAI)
    with pytest.raises(TraceError, match="no job table lies beside it"):
        import_trace(tmp_path / "tasks.csv", Choice(columns=BY_JOB))


def test_a_job_is_found_by_its_name_alone_however_many_there_are(tmp_path: Path) -> None:
    names = [f"{index * 7919 % 50_000:x}" for index in range(50_000)]
    random.Random(3).shuffle(names)
    path = tmp_path / "pai_job_table.csv"
    path.write_text("".join(f"{name},i,u{int(name, 16) % 9},Terminated,{int(name, 16)}.0,\n" for name in names))
    table = JobTable(path)
    for name in names[::997]:
        assert table.get(name) == Job(f"u{int(name, 16) % 9}", "Terminated", float(int(name, 16)))
    for name in ("", "zz", names[0] + "0" * 20, "50000000"):
        assert table.get(name) is None


# -- machines --------------------------------------------------------------------------------------------------------


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "cluster_job_log").write_text(PHILLY)
    (tmp_path / "cluster_machine_list").write_text(MACHINES)
    return tmp_path / "cluster_job_log"


def test_the_log_says_which_gpus_jobs_held_on_each_machine(log: Path) -> None:
    assert import_trace(log).account["machines"] == {"m1": 2, "m2": 1}


def test_what_was_seen_wins_where_it_is_more() -> None:
    nodes = [Node("m1", "a", 2), Node("m2", "a", 8), Node("m3", "b", 4), Node("m1#2", "a", 2)]
    found, told = as_seen(nodes, {"m1": 8, "m2": 3, "m9": 8})
    assert [node.gpus for node in found] == [8, 8, 4, 8]
    assert "contradicts the log on 2 of 4 machines (m1 has 2 and was seen with 8, m1#2 has 2" in told
    assert "adds 12 GPUs" in told
    assert as_seen(nodes, {"m1": 2}) == (nodes, "")


@pytest.mark.parametrize("converted", [False, True])
def test_a_run_and_a_description_have_the_machines_of_the_log_and_say_so(
    converted: bool, log: Path, phasewise: Callable
) -> None:
    machines, trace = log.with_name("cluster_machine_list"), log
    if converted:
        trace = log.with_name("log.parquet")
        assert phasewise("trace", "convert", log, "--out", trace, "-q").code == 0
    words = "contradicts the log on 1 of 3 machines (m1 has 1 and was seen with 2)"
    said = phasewise("trace", "describe", trace, "--nodes", machines, "--json", "-q")
    figures = json.loads(said.out)
    assert figures["demand"]["all"]["capacity_gpus"] == 12
    assert sum(words in sentence for sentence in figures["assumptions"]) == 1
    said = phasewise(
        "run", "toy", "--trace", trace, "--nodes", machines, "--policy", "fifo", "--reference-type", "gpu-24GB",
        "--speed", "gpu-12GB=1,gpu-24GB=1", "--out", log.with_name("run"), "-q",
    )  # fmt: skip
    assert said.code == 0
    assert said.err.count(words) == 1
    run = json.loads((log.with_name("run") / "run.json").read_text())
    assert run["layout"]["gpus_per_node"] == [[2, 2], [1, 8]]
    assert sum(words in sentence for sentence in run["workload"]["assumptions"]) == 1
