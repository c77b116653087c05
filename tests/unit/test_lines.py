"""``KIND {json}`` lines and back."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from phasewise.profiling.artefacts.lines import LineKind, decode, encode, read_lines
from phasewise.profiling.errors import RecordError


def test_a_line_is_its_kind_and_json_with_keys_in_order() -> None:
    line = encode("PROFILE", {"v": 1, "round": 12, "rebuild": None, "total_s": 0.131, "phases_s": {"policy": 0.1}})
    assert line == b'PROFILE {"v":1,"round":12,"rebuild":null,"total_s":0.131,"phases_s":{"policy":0.1}}'


def test_lines_come_back_as_they_were() -> None:
    record = {"job": 3, "name": 'ResNet-18 \u00b5 \n "null"', "x": [1.5, None, True], "at": {"s": 0.1 + 0.2}}
    for kind in LineKind:
        assert decode(encode(kind, record)) == (kind, record)
        assert decode(encode(kind, record).decode() + "\n") == (kind, record)


def test_a_newline_inside_a_text_does_not_break_the_line() -> None:
    assert b"\n" not in encode("EVENT", {"message": "two\nlines"})


def test_numpy_scalars_and_arrays_are_written_as_numbers() -> None:
    line = encode("TELEMETRY", {"jobs": np.int64(3), "rate": np.float64(0.5), "by_type": np.array([1.0, 2.0])})
    assert line == b'TELEMETRY {"jobs":3,"rate":0.5,"by_type":[1.0,2.0]}'


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_refused_by_its_key_path(wrong: float) -> None:
    with pytest.raises(RecordError, match=r"but gap is (nan|-?inf)"):
        encode("PROFILE", {"round": 1, "gap": wrong})
    with pytest.raises(RecordError, match=r"but phases_s\.policy is"):
        encode("PROFILE", {"rebuild": None, "phases_s": {"policy": wrong}})
    with pytest.raises(RecordError, match=r"but x\[1\]\.y is"):
        encode("EVENT", {"none": None, "x": [1.0, {"y": wrong}]})
    with pytest.raises(RecordError, match=r"but x\[1\] is"):
        encode("EVENT", {"x": np.array([0.0, wrong])})
    with pytest.raises(RecordError, match="but x is"):
        encode("EVENT", {"x": np.float64(wrong)})


def test_nones_inside_and_the_word_null_are_no_fault() -> None:
    record = {"a": None, "b": {"c": None}, "null": "null"}
    assert decode(encode("EVENT", record)) == ("EVENT", record)


def test_a_value_without_a_json_form_is_refused() -> None:
    with pytest.raises(RecordError, match="EVENT line: object is no JSON value"):
        encode("EVENT", {"x": object()})


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RecordError, match="'DEBUG'; choose one of: PROFILE, TELEMETRY, EVENT"):
        encode("DEBUG", {})
    with pytest.raises(RecordError, match="'DEBUG'; expected one of: PROFILE, TELEMETRY, EVENT"):
        decode(b"DEBUG {}")


@pytest.mark.parametrize("line", [b"", b"EVENT", b"EVENT ", b"EVENT {", b"EVENT [1]", b'EVENT {"a":\xff}', b"\xff {}"])
def test_what_is_no_line_is_refused(line: bytes) -> None:
    with pytest.raises(RecordError):
        decode(line)


def test_a_torn_last_line_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "lines.log"
    path.write_bytes(b'EVENT {"a":1}\nEVENT {"a":2}\nEVENT {"a"')
    assert [record for _, record in read_lines(path)] == [{"a": 1}, {"a": 2}]


def test_a_whole_last_line_counts_even_without_its_newline(tmp_path: Path) -> None:
    path = tmp_path / "lines.log"
    path.write_bytes(b'EVENT {"a":1}\nPROFILE {"a":2}')
    assert list(read_lines(path)) == [("EVENT", {"a": 1}), ("PROFILE", {"a": 2})]


@pytest.mark.parametrize(("content", "number"), [(b'EVENT {"a"\nEVENT {}\n', 1), (b"EVENT {}\nEVENT nonsense\n", 2)])
def test_a_broken_line_is_named_by_file_and_number(content: bytes, number: int, tmp_path: Path) -> None:
    path = tmp_path / "lines.log"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=rf"lines\.log, line {number}: EVENT line: "):
        list(read_lines(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"cannot read .*gone\.log: No such file or directory"):
        list(read_lines(tmp_path / "gone.log"))
