"""The conversions on the page for public traces: each is run on a few made-up rows, and what it writes is valid."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "convert-public-traces.md"
BLOCKS = {
    re.match(r"# (.*)", block).group(1): block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
}
INPUTS = {
    "throughputs.json": json.dumps(
        {"v100": {"('encoder0', 1)": {"null": 2.5, "('encoder1', 1)": [0.7, 0.6]}, "('encoder0', 2)": {"null": 4.5}}}
    ),
    "cluster_log.csv": (
        "job_id,user,vc,gpu_num,cpu_num,node_num,state,submit_time,start_time,end_time,duration,queue\n"
        "1,u,a,8,48,1,COMPLETED,2020-04-03 10:00:00,2020-04-03 10:00:02,2020-04-03 12:30:02,9000,2\n"
        "2,u,b,1,6,1,CANCELLED,2020-04-03 10:05:00,2020-04-03 10:05:00,2020-04-03 10:20:00,900,0\n"
        "3,u,b,0,6,1,COMPLETED,2020-04-03 10:06:00,2020-04-03 10:05:00,2020-04-03 10:20:00,900,0\n"
        "4,u,b,1,6,1,RUNNING,2020-04-03 10:06:00,2020-04-03 10:05:00,,900,0\n"
    ),
    "cluster_job_log": json.dumps(
        [
            {
                "status": "Pass",
                "jobid": "j0",
                "submitted_time": "2017-10-07 01:00:00",
                "attempts": [
                    {
                        "start_time": "2017-10-07 01:00:00",
                        "end_time": "2017-10-07 02:00:00",
                        "detail": [{"ip": "m0", "gpus": ["gpu0", "gpu1"]}],
                    },
                    {"start_time": "2017-10-07 03:00:00", "end_time": "2017-10-07 04:00:00", "detail": []},
                ],
            },
            {"status": "Killed", "jobid": "j1", "submitted_time": "2017-10-07 01:10:00", "attempts": []},
        ]
    ),
    "jobs.csv": "job_id,num_gpu,submit_time,iterations,model_name,duration,interval\n1,4,100,9,vgg,3600,0\n",
    "shockwave.trace": "\t".join(
        ["A3C", "train", "dir", "--n", "0", "7000", "1", "static", "1", "-1", "3600.0", "12.0"]
    ),
    "sacct.txt": (
        "JobIDRaw|Submit|Start|End|State|AllocTRES\n"
        "7|2024-01-01T00:00:00|2024-01-01T00:10:00|2024-01-01T01:10:00|COMPLETED|cpu=4,gres/gpu:l20=1,gres/gpu=1\n"
        "8|2024-01-01T00:00:00|Unknown|Unknown|PENDING|cpu=4\n"
    ),
}
# which block -> the file that it writes, and (arrival s, steps, GPUs) of the jobs that are to come out
TRACES = {
    "reads cluster_log.csv, writes helios.trace": ("helios.trace", [(0.0, 9000.0, 8), (300.0, 900.0, 1)]),
    "reads cluster_job_log, writes philly.trace": ("philly.trace", [(0.0, 7200.0, 2)]),
    "reads jobs.csv with a header, writes other.trace": ("other.trace", [(0.0, 3600.0, 4)]),
    "reads sacct.txt, writes slurm.trace": ("slurm.trace", [(0.0, 3600.0, 1)]),
}
TABLES = ("writes speeds.csv", "reads throughputs.json, writes gavel_speeds.csv")
SHARED = "defines write_trace, which the others use"
SHOCKWAVE = "reads shockwave.trace, writes from_shockwave.trace"


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder, which becomes the current one, with the files that the blocks read."""
    for name, content in INPUTS.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_block_of_the_page_is_tried_here() -> None:
    assert set(BLOCKS) == {*TRACES, *TABLES, SHARED, SHOCKWAVE}


@pytest.mark.parametrize("block", TABLES)
def test_a_table_is_valid(block: str, inputs: Path, phasewise: Callable) -> None:
    exec(BLOCKS[block], {})
    said = phasewise("validate", inputs / block.rpartition(" ")[2])
    assert said.code == 0, said.err


@pytest.mark.parametrize("block", TRACES)
def test_a_trace_has_the_jobs_that_ran_and_is_valid(block: str, inputs: Path, phasewise: Callable) -> None:
    names: dict[str, object] = {}
    for each in (TABLES[0], SHARED, block):
        exec(BLOCKS[each], names)
    written, jobs = TRACES[block]
    rows = [line.split("\t") for line in (inputs / written).read_text().splitlines()]
    assert [(float(row[9]), float(row[5]), int(row[6])) for row in rows] == jobs
    said = phasewise("validate", "--throughputs", inputs / "speeds.csv", inputs / written)
    assert said.code == 0, said.err


def test_a_trace_of_shockwave_keeps_what_gavel_has(inputs: Path, phasewise: Callable) -> None:
    exec(BLOCKS[SHOCKWAVE], {})
    said = phasewise("validate", inputs / "from_shockwave.trace")
    assert said.code == 0, said.err
