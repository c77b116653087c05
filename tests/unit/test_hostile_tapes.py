"""Tapes that somebody made up: one message each, before any memory is spent on them."""

from __future__ import annotations

import contextlib
import io
import json
import resource
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phasewise.solvers.errors import TapeError
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.tapes import Tape, TapeWriter

pytestmark = pytest.mark.thorough

COMMAND = Path(sys.executable).with_name("phasewise")
HEADER = {"format": "phasewise-tape", "version": 1, "origin": {}}
PROBLEM = {"kind": "max_min", "numbers": {}, "arrays": ["gain", "scale_factor", "capacity"]}


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def claiming(shape: str, descr: str = "<f8", body: bytes = b"\0" * 64) -> bytes:
    """Return an array whose header says what it likes of what follows."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + body


def repeated(head: bytes, block: bytes, times: int) -> bytes:
    """Return a beginning and a block, many times over, as deflate has them; the block is packed once."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    piece = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    return packed + piece * times + packer.flush(zlib.Z_FINISH)


def made_up(path: Path, end: str = '{"problems": 1}', **entries: Any) -> Path:
    """Write a tape of one small problem, in which some entries are others; underscores stand for dots."""
    content: dict[str, bytes] = {
        "tape.json": json.dumps(HEADER).encode(),
        "000000/problem.json": json.dumps(PROBLEM).encode(),
        "000000/gain.npy": npy(np.ones((2, 1))),
        "000000/scale_factor.npy": npy(np.ones(2)),
        "000000/capacity.npy": npy(np.ones(1)),
        "end.json": end.encode(),
    }
    for name, replaced in entries.items():
        key = next(key for key in content if key.endswith(name.replace("_json", ".json").replace("_npy", ".npy")))
        content[key] = replaced
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in content.items():
            archive.writestr(key, value)
    return path


def test_the_small_tape_that_the_others_differ_from_is_right(tmp_path: Path) -> None:
    (problem,) = Tape(made_up(tmp_path / "a.tape"))
    assert problem.jobs == 2


@pytest.mark.parametrize(
    "problems",
    ["-5", "1e999", "1.5", "true", "null", '"3"', "[1]", "99999999999999999999", "1000000", "NaN"],
)
def test_a_number_of_problems_that_is_none_is_refused(problems: str, tmp_path: Path) -> None:
    path = made_up(tmp_path / "a.tape", end=f'{{"problems": {problems}}}')
    with pytest.raises(TapeError, match="number of problems"):
        Tape(path)


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b"{}",
        b"null",
        b"[" * 100_000,
        b'{"format": "phasewise-tape", "version": 1e999, "origin": {}}',
        b'{"format": "phasewise-tape", "version": 1}',
        b" " * (2 << 20) + b"{}",
    ],
    ids=["list", "empty", "null", "deep", "huge version", "no origin", "too long"],
)
def test_a_header_that_is_none_is_refused(header: bytes, tmp_path: Path) -> None:
    with pytest.raises(TapeError, match=r"a\.tape"):
        Tape(made_up(tmp_path / "a.tape", tape_json=header))


@pytest.mark.parametrize(
    "array",
    [
        claiming("(10**12,)"),
        claiming("(1000000000000,)"),
        claiming("(-5,)"),
        claiming("(2, 9999999999999999999999)"),
        claiming("()", body=b""),
        claiming("(8,)", "|O"),
        claiming("(8,)", "<U4"),
        claiming("(4,)", "<c16"),
        claiming("(9,)"),
        b"\x93NUMPY\x01\x00\xff\xff{",
        b"\x93NUMPY\x09\x00",
        b"no array",
        b"",
        npy(np.array([np.nan, 1.0])),
        npy(np.array([np.inf, 1.0])),
        npy(np.ones((2, 2, 2))),
    ],
)
def test_an_array_that_is_not_what_its_header_says_is_refused(array: bytes, tmp_path: Path) -> None:
    path = made_up(tmp_path / "a.tape", gain_npy=array)
    with pytest.raises(TapeError, match="problem 0"):
        list(Tape(path))


@pytest.mark.parametrize(
    "problem",
    [
        b"[]",
        b'{"kind": "unknown", "numbers": {}, "arrays": []}',
        b'{"kind": "max_min", "numbers": {}, "arrays": ["nothing"]}',
        b'{"kind": "max_min", "numbers": {"linear_weight": 1e999}, "arrays": ["gain", "scale_factor", "capacity"]}',
        b'{"kind": "max_min", "numbers": {"nothing": 1}, "arrays": ["gain", "scale_factor", "capacity"]}',
        b'{"kind": "max_min", "numbers": [], "arrays": ["gain", "scale_factor", "capacity"]}',
        b'{"kind": ["max_min"], "numbers": {}, "arrays": []}',
        b"{" * 100_000,
        b'{"kind": "max_min", "numbers": {}, "arrays": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_a_problem_that_is_none_is_refused(problem: bytes, tmp_path: Path) -> None:
    with pytest.raises(TapeError, match="problem 0"):
        list(Tape(made_up(tmp_path / "a.tape", problem_json=problem)))


def test_a_small_tape_that_unpacks_to_gigabytes_is_refused_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tape"
    zeros, times = b"\0" * (1 << 20), 20_000_000 * 15 * 8 >> 20
    head = claiming("(20000000, 15)", body=b"")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tape.json", json.dumps(HEADER))
        archive.writestr("000000/problem.json", json.dumps(PROBLEM))
        archive.writestr("000000/gain.npy", repeated(head, zeros, times), zipfile.ZIP_STORED)
        gain = archive.getinfo("000000/gain.npy")  # stored as it is: it is packed already
        gain.compress_type, gain.file_size = zipfile.ZIP_DEFLATED, len(head) + times * len(zeros)
        archive.writestr("end.json", '{"problems": 1}')
    with zipfile.ZipFile(path) as archive, archive.open("000000/gain.npy") as entry:
        assert entry.read(len(head) + 4) == head + b"\0" * 4
    assert path.stat().st_size < 4 << 20

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (700 << 20, 700 << 20))

    ended = subprocess.run(
        [COMMAND, "solve", path, "--solver", "highs-direct"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
    )
    assert ended.returncode == 2, ended.stderr
    assert "unpacks to" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_whatever_byte_of_a_tape_is_damaged_nothing_but_a_message_comes_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    with TapeWriter(path, {}) as tape:
        tape.write(MaxMinProblem(np.array([[1.0, 2.0], [2.0, 1.0]]), np.ones(2), np.ones(2)))
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x5A]) + whole[place + 1 :])
        with contextlib.suppress(TapeError):  # anything else fails the test
            list(Tape(path))
