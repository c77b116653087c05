"""Traces: what is written is read back, and what is not a trace is a message and never another error."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewise.sched.errors import TraceError
from phasewise.sched.validate import validate_file
from phasewise.sched.workload.arrivals import Arrival
from phasewise.sched.workload.gavel_trace import read_trace, write_trace
from phasewise.sched.workload.generator import DISTRIBUTED
from phasewise.sched.workload.throughputs import ThroughputTable

VIEW = ThroughputTable.builtin().for_types(("k80", "p100", "v100"))
positive = st.floats(min_value=1e-9, max_value=1e15, allow_nan=False)


@st.composite
def workloads(draw: st.DrawFn) -> list[Arrival]:
    at = sorted(draw(st.lists(st.floats(min_value=0.0, max_value=1e9), min_size=1, max_size=20)))
    jobs = []
    for job_id, arrival_s in enumerate(at):
        job_type, factor = draw(st.sampled_from(DISTRIBUTED)), draw(st.sampled_from([1, 2, 4, 8]))
        row = VIEW.index(job_type, factor)
        jobs.append(Arrival(job_id, job_type, row, float(factor), draw(positive), draw(positive), arrival_s))
    return jobs


@given(workloads())
def test_a_written_trace_is_read_back_to_the_last_bit(jobs: list[Arrival]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.trace"
        write_trace(jobs, path)
        assert read_trace(path, VIEW) == jobs


@given(st.binary(max_size=400))
def test_any_bytes_give_a_trace_or_a_message_with_lines_of_the_file(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.trace"
        path.write_bytes(content)
        faults = validate_file(path)
        with pytest.raises(TraceError, match=re.escape(str(path))):
            read_trace(path, VIEW)
        assert faults
        assert all(fault.line is None or 1 <= fault.line <= content.count(b"\n") + 1 for fault in faults)


@given(workloads(), st.data())
def test_a_spoilt_line_is_the_one_that_is_named(jobs: list[Arrival], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "jobs.trace"
        write_trace(jobs, path)
        lines = path.read_text(encoding="utf-8").splitlines()
        spoilt = data.draw(st.integers(0, len(lines) - 1))
        field = data.draw(st.sampled_from([0, 4, 5, 6, 7, 8, 9]))
        fields = lines[spoilt].split("\t")
        fields[field] = data.draw(st.sampled_from(["", "nan", "-2", "x", "0x1", "1 2"]))
        lines[spoilt] = "\t".join(fields)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        assert {fault.line for fault in validate_file(path)} == {spoilt + 1}
