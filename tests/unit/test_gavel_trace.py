"""The 10-field trace: what is read, and that every fault comes with its line and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest
from readers import Reader

from phasewise.sched.errors import TraceError
from phasewise.sched.workload.arrivals import ListedWorkload
from phasewise.sched.workload.gavel_trace import read_trace, write_trace
from phasewise.sched.workload.throughputs import ThroughputTable

VIEW = ThroughputTable.builtin().for_types(("k80", "p100", "v100"))
GOOD = ("A3C", "command", "directory", "--steps", "1", "5000", "1", "1", "-1.000000", "0.000000")


def line(**changed: str) -> str:
    names = ("job_type", "command", "directory", "argument", "needs", "steps", "factor", "weight", "slo", "arrival")
    return "\t".join(changed.get(name, value) for name, value in zip(names, GOOD, strict=True))


def faults(path: Path, *lines: str) -> list[str]:
    path.write_text("".join(f"{text}\n" for text in lines), encoding="utf-8")
    with pytest.raises(TraceError) as caught:
        read_trace(path, VIEW)
    return str(caught.value).splitlines()


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "jobs.trace"


def test_a_trace_gives_its_jobs_in_order(trace: Path) -> None:
    trace.write_text(line() + "\n" + line(job_type="LM (batch size 80)", factor="4", weight="5", arrival="7.5") + "\n")
    first, second = read_trace(trace, VIEW)
    assert (first.job_id, first.job_type, first.total_steps, first.arrival_s) == (0, "A3C", 5000.0, 0.0)
    assert (second.job_id, second.scale_factor, second.priority_weight, second.arrival_s) == (1, 4.0, 5.0, 7.5)
    assert VIEW.rows[second.type_index].tolist() == VIEW.row("LM (batch size 80)", 4).tolist()


def test_a_last_line_without_an_end_and_windows_line_ends_are_read(trace: Path) -> None:
    trace.write_bytes((line() + "\r\n" + line()).encode())
    assert len(read_trace(trace, VIEW)) == 2


def test_jobs_keeps_the_first_so_many(trace: Path) -> None:
    trace.write_text(f"{line()}\n" * 5)
    assert [job.job_id for job in read_trace(trace, VIEW, jobs=2)] == [0, 1]
    assert len(read_trace(trace, VIEW, jobs=99)) == 5


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"needs": "yes"}, "needs_data_dir is 'yes'; allowed: 0 or 1"),
        ({"steps": "many"}, "total steps is 'many'; allowed: a finite number above 0"),
        ({"steps": "0"}, "total steps is '0'; allowed: a finite number above 0"),
        (
            {"steps": "1e-320"},
            "total steps is '1e-320'; allowed: a finite number above 0, its size from 1e-09",
        ),
        ({"steps": "1e16"}, "its size from 1e-09 to 1e+15"),
        ({"steps": "٣"}, "total steps is '٣'; allowed: a finite number above 0"),
        ({"factor": "١"}, "scale factor is '١'; allowed: a positive integer"),
        ({"job_type": "A3C\0"}, "character 4 is NUL; allowed: text without NUL"),
        ({"weight": "1e-300"}, "its size from"),
        ({"arrival": "1e300"}, "its size from"),
        ({"job_type": "x" * 100_000}, "(100,000 characters)"),
        ({"steps": "nan"}, "total steps is 'nan'; allowed: a finite number above 0"),
        ({"steps": "1_0"}, "total steps is '1_0'; allowed: a finite number above 0"),
        ({"factor": "0"}, "scale factor is '0'; allowed: a positive integer"),
        ({"factor": "1.0"}, "scale factor is '1.0'; allowed: a positive integer"),
        ({"factor": "9" * 5000}, "allowed: a positive integer"),
        ({"factor": "2"}, "scale factor is 2 for 'A3C'; allowed by the built-in throughput table: 1"),
        ({"job_type": "A3D"}, "unknown job type 'A3D', did you mean 'A3C'?"),
        ({"weight": "0"}, "priority weight is '0'; allowed: a finite number above 0"),
        ({"weight": "-1"}, "priority weight is '-1'; allowed: a finite number above 0"),
        ({"slo": "0"}, "SLO is '0'; allowed: -1 (none) or a number above 0"),
        ({"slo": "x"}, "SLO is 'x'; allowed: a finite number"),
        ({"arrival": "inf"}, "arrival is 'inf'; allowed: a finite number of at least 0"),
        ({"arrival": "-0.5"}, "arrival is '-0.5'; allowed: a finite number of at least 0"),
    ],
)
def test_a_wrong_field_is_refused_with_its_line(trace: Path, changed: dict[str, str], told: str) -> None:
    (message,) = faults(trace, line(), line(**changed))
    assert message.startswith(f"{trace}:2: ")
    assert told in message


def test_every_fault_of_a_line_and_of_every_line_is_told(trace: Path) -> None:
    told = faults(trace, line(steps="-1", weight="x"), line(), "A3C\t1", "")
    assert [text.split(":")[1] for text in told] == ["1", "1", "3", "4"]
    assert "2 tab-separated fields; allowed: 10 fields" in told[2]
    assert "the line is empty" in told[3]


def test_arrivals_out_of_order_name_both_lines(trace: Path) -> None:
    (message,) = faults(trace, line(arrival="10"), line(arrival="20"), line(arrival="15"), line(arrival="20"))
    assert message == f"{trace}:3: arrival is 15 s, before the 20 s of line 2; allowed: arrivals in ascending order"


def test_of_faults_that_are_alike_three_are_told_and_the_lines_of_the_others(trace: Path) -> None:
    told = faults(trace, *["x"] * 50)
    assert len(told) == 4
    assert told[-1] == f"{trace}: and 47 more like this, in lines 4-50"


def test_bytes_that_are_no_text_are_a_fault_of_their_line(trace: Path) -> None:
    trace.write_bytes(line().encode() + b"\n\xfe\n" + line().encode())
    with pytest.raises(TraceError, match=r"jobs\.trace:2: byte 1 is 0xfe; allowed: UTF-8 text"):
        read_trace(trace, VIEW)


def test_an_empty_trace_is_refused(trace: Path) -> None:
    trace.write_bytes(b"")
    with pytest.raises(TraceError, match="the trace is empty; a line of 10 tab-separated fields"):
        read_trace(trace, VIEW)


def test_a_trace_that_cannot_be_read_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot read the trace: No such file or directory"):
        read_trace(tmp_path / "none.trace", VIEW)


def test_a_listed_workload_gives_each_job_once_and_then_no_more(trace: Path) -> None:
    trace.write_text("".join(line(arrival=at) + "\n" for at in ("0", "5", "5", "9")))
    workload = Reader(ListedWorkload(read_trace(trace, VIEW), VIEW))
    assert workload.workload.total == 4
    assert [job.job_id for job in workload.until(5.0)] == [0, 1, 2]
    assert workload.until(5.0) == []
    assert workload.next_arrival_s() == 9.0
    (last,) = workload.until(100.0)
    assert workload.workload.throughputs.rows[last.type_index].tolist() == VIEW.row("A3C", 1).tolist()
    assert workload.next_arrival_s() is None


def test_a_truncated_trace_has_whole_steps_and_six_decimals(trace: Path, tmp_path: Path) -> None:
    trace.write_text(line(steps="99.75", weight="1.5", arrival="1.23456789") + "\n")
    jobs = read_trace(trace, VIEW)
    write_trace(jobs, tmp_path / "cut.trace", truncate=True)
    assert (tmp_path / "cut.trace").read_text().split("\t")[5:] == ["99", "1", "1", "-1.000000", "1.234568\n"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.trace", "jobs.trace"]
