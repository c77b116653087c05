"""Chrome traces of the phases: nested, whole, reproducible."""

from __future__ import annotations

import gzip
import itertools
import json
import math
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from full_disk import full_disk

from phasewise.profiling.errors import OutputError, RecordError
from phasewise.profiling.phases import PHASES
from phasewise.profiling.trace import RoundRecord, TraceSink, write_trace


def events(path: Path) -> list[dict[str, object]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        found: list[dict[str, object]] = json.load(file)["traceEvents"]
    return found


def random_records(number: int, seed: int = 0) -> Iterator[RoundRecord]:
    rng = np.random.default_rng(seed)
    start_s = 0.0
    for index in range(number):
        phases_s = rng.exponential(1e-3, size=len(PHASES)).tolist()
        total_s = sum(phases_s) + 1e-5
        yield RoundRecord(index, start_s, total_s, phases_s, {"active": index % 50})
        start_s += total_s


def test_a_round_is_an_event_and_its_phases_follow_one_another_inside(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    record = RoundRecord(7, 2.0, 0.010, [0.001, 0.0, 0.004], {"active": 43, "load": 0.5})
    write_trace(path, [record], phases=["arrivals", "policy", "telemetry"])
    meta, rounds, phases, counters = [
        [event for event in events(path) if (event["ph"], event.get("cat")) == key]
        for key in [("M", None), ("X", "round"), ("X", "phase"), ("C", None)]
    ]
    assert [event["name"] for event in meta] == ["process_name", "thread_name"]
    assert [(event["name"], event["ts"], event["dur"]) for event in rounds] == [("round 7", 2_000_000, 10_000)]
    assert [(event["name"], event["ts"], event["dur"]) for event in phases] == [
        ("arrivals", 2_000_000, 1000),
        ("telemetry", 2_001_000, 4000),
    ]
    assert [(event["name"], event["args"]) for event in counters] == [
        ("active", {"value": 43}),
        ("load", {"value": 0.5}),
    ]


def test_events_nest_to_the_nanosecond_in_a_long_trace(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    write_trace(path, random_records(2000))
    ends = [(-math.inf, 0)]
    for event in events(path):
        if event["ph"] != "X":
            continue
        start = round(float(str(event["ts"])) * 1000)
        end = start + round(float(str(event["dur"])) * 1000)
        if event["cat"] == "round":
            assert start >= ends[0][1]
            ends = [(start, end)]
        else:
            assert start >= (ends[-1][1] if len(ends) > 1 else ends[0][0])
            assert end <= ends[0][1]
            ends.append((start, end))


def test_equal_rounds_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("first.json.gz", "second.json.gz"):
        write_trace(tmp_path / name, random_records(500))
    assert (tmp_path / "first.json.gz").read_bytes() == (tmp_path / "second.json.gz").read_bytes()


def test_memory_does_not_grow_with_rounds(tmp_path: Path) -> None:
    def peak_of(number: int) -> int:
        record = RoundRecord(0, 0.0, 0.01, [0.001] * len(PHASES))
        tracemalloc.start()
        try:
            write_trace(tmp_path / "trace.json.gz", itertools.repeat(record, number))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_of(10)
    assert peak_of(3000) < 1.1 * peak_of(1000)


def test_arrows_lead_from_a_solve_to_the_placing_of_every_round_that_goes_by_it(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    times_s = [0.001, 0.002]
    rounds = [RoundRecord(index, 0.01 * index, 0.01, times_s, solved=index in {1, 3}) for index in range(5)]
    write_trace(path, rounds, phases=["lp_solve", "worker_assignment"])
    arrows = [event for event in events(path) if event.get("cat") == "allocation"]
    assert [(event["ph"], event["id"], event["ts"]) for event in arrows] == [
        ("s", 1, 10_000),
        ("t", 1, 11_000),
        ("t", 1, 21_000),
        ("s", 2, 30_000),
        ("t", 2, 31_000),
        ("t", 2, 41_000),
    ]


def test_names_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    write_trace(path, [RoundRecord(0, 0.0, 1.0, [1.0])], phases=['a "name"\n'])
    assert events(path)[-1]["name"] == 'a "name"\n'


def test_a_trace_without_rounds_is_a_valid_trace(tmp_path: Path) -> None:
    write_trace(tmp_path / "trace.json.gz", [])
    assert len(events(tmp_path / "trace.json.gz")) == 2


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    sink = TraceSink(path)
    for record in random_records(600):
        sink.write(record)
    assert not path.exists()
    sink.close()
    sink.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["trace.json.gz"]


def test_a_record_with_another_number_of_phases_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="round 3 has 2 phases, not 9"):
        write_trace(tmp_path / "trace.json.gz", [RoundRecord(3, 0.0, 1.0, [0.5, 0.5])])
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_and_leaves_no_file(tmp_path: Path) -> None:
    for records in (3000, 60):
        with full_disk(2000), pytest.raises(OutputError, match=r"cannot write .*trace\.json\.gz: File too large"):
            write_trace(tmp_path / "trace.json.gz", random_records(records))
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*gone/trace\.json\.gz: No such file or directory"):
        TraceSink(tmp_path / "gone" / "trace.json.gz")
