"""Tapes: what is written is read, the same problems give the same bytes, and damage is one message."""

from __future__ import annotations

import errno
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import native_library
import numpy as np
import pytest

from phasewise.profiling.errors import OutputError
from phasewise.solvers import registry
from phasewise.solvers.api import Answer, State, Status
from phasewise.solvers.errors import TapeError, UnknownBackendError, UnsupportedProblemError
from phasewise.solvers.families.lexicographic import LexicographicProblem
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import churned_rounds, random_problem, with_switching
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.replay import replay
from phasewise.solvers.tapes import Tape, TapeWriter


def stated() -> list[AllocationProblem]:
    """Return problems of every family, masked and not, with and without each term."""
    plain = random_problem(1, 7, 3)
    masked = replace(plain, allowed=plain.gain > 0.5, linear_weight=1e-3)
    churned = next(iter(churned_rounds(2, 12, 1)))
    return [plain, masked, plain, with_switching(churned, None), LexicographicProblem(plain.gain, plain.scale_factor,
            plain.capacity)]  # fmt: skip


def written(path: Path, problems: list[AllocationProblem]) -> Path:
    with TapeWriter(path, {"scenario": "made up"}) as tape:
        for problem in problems:
            tape.write(problem)
    return path


def test_what_is_written_is_read_as_often_as_wanted(tmp_path: Path) -> None:
    tape = Tape(written(tmp_path / "a.tape", stated()))
    assert len(tape) == 5
    assert tape.origin == {"scenario": "made up"}
    for _ in range(2):
        for ours, theirs in zip(tape, stated(), strict=True):
            assert type(ours) is type(theirs)
            assert ours.family == theirs.family
            assert ours.stated().keys() == theirs.stated().keys()
            for name, value in ours.stated().items():
                np.testing.assert_array_equal(value, theirs.stated()[name])


def test_a_tape_of_the_first_version_is_still_read() -> None:
    tape = Tape(Path(__file__).resolve().parents[1] / "fixtures" / "tapes" / "version-1.tape")
    for ours, theirs in zip(tape, stated(), strict=True):
        assert ours.family == theirs.family
        assert ours.keys is None
        for name, value in theirs.stated().items():
            if isinstance(value, np.ndarray) and name != "keys":
                # another processor rounds the exponentials of the instances otherwise, in their last bit
                np.testing.assert_allclose(ours.stated()[name], value, rtol=1e-14)
            elif name != "keys":
                assert ours.stated()[name] == value


def test_keys_and_teams_are_recorded(tmp_path: Path) -> None:
    keys, members = np.array([4, 7, 9]), np.array([[4, -1], [7, -1], [4, 7]])
    teams = MaxMinProblem(
        np.ones((3, 2)), np.ones(3), np.ones(2), keys=keys, members=members, partner_gain=np.ones((3, 2))
    )
    (read,) = Tape(written(tmp_path / "a.tape", [teams]))
    np.testing.assert_array_equal(read.keys, keys)
    np.testing.assert_array_equal(read.members, members)


def test_the_same_problems_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (written(tmp_path / name, stated()).read_bytes() for name in ("a.tape", "b.tape"))
    assert first == second


def test_what_does_not_change_is_written_once(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tape", [random_problem(1, 400, 6)] * 50)
    assert path.stat().st_size < 1.2 * written(tmp_path / "b.tape", [random_problem(1, 400, 6)]).stat().st_size + 50_000
    with zipfile.ZipFile(path) as archive:
        assert sum(name.endswith("gain.npy") for name in archive.namelist()) == 1


def test_a_run_that_fails_leaves_the_problems_so_far(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"

    def failing_run() -> None:
        with TapeWriter(path, {}) as tape:
            tape.write(stated()[0])
            raise RuntimeError("the run failed")

    with pytest.raises(RuntimeError, match="the run failed"):
        failing_run()
    assert len(Tape(path)) == 1


def test_nothing_is_left_of_a_run_that_stated_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), TapeWriter(tmp_path / "a.tape", {}):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_until_the_end_there_is_no_tape_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    with TapeWriter(path, {}) as tape:
        tape.write(stated()[0])
        assert not path.exists()
    assert path.exists()


def test_a_place_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*no.*folder"):
        TapeWriter(tmp_path / "no" / "folder.tape", {})


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "not a tape"), (b"hello", "not a tape"), (b"PK\x03\x04 and more", "not a tape")],
)
def test_a_foreign_file_is_not_a_tape(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(TapeError, match=message):
        Tape(path)


def test_a_foreign_archive_or_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.zip"
    for header, message in (({"format": "other"}, "is not a tape"), ({"format": "phasewise-tape", "version": 9}, "9")):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("tape.json", json.dumps(header))
        with pytest.raises(TapeError, match=message):
            Tape(path)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(TapeError, match=r"cannot read the tape nowhere.tape: No such file"):
        Tape(Path("nowhere.tape"))


def test_every_cut_and_many_a_flipped_byte_are_told(tmp_path: Path) -> None:
    content = written(tmp_path / "a.tape", stated()).read_bytes()
    path = tmp_path / "damaged.tape"
    rng = np.random.default_rng(0)
    for length in rng.integers(0, len(content), 20):
        path.write_bytes(content[:length])
        with pytest.raises(TapeError):
            Tape(path)
    told = 0
    for place in rng.integers(0, len(content), 60):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            assert len(list(Tape(path))) == 5  # a byte that matters to nobody, such as a date
        except TapeError:
            told += 1
    assert told > 30


class Failing:
    """A backend for tests that fails on every other problem."""

    name, aliases, limits, tolerance = "every-other", (), "for tests", 1.0
    families = frozenset({"max_min"})
    requires: dict[str, str] = {}  # noqa: RUF012
    calls = 0

    def open(self, options: object, timer: object) -> Failing:
        return self

    def solve(self, problem: AllocationProblem, state: State) -> tuple[Answer, State]:
        self.calls += 1
        if self.calls % 2:
            native_library.fail(RuntimeError("no"))
        return Answer(Status.OPTIMAL, np.zeros((problem.rows, problem.types))), None


def test_a_failing_backend_is_counted_and_stops_nobody() -> None:
    problems = [random_problem(seed, 6, 3) for seed in range(6)]
    with registry.registered(Failing()):
        failing, sound = (record.summary() for record in replay(problems, ["every-other", "highs-direct"]))
    assert (failing["rounds"], failing["failures"]) == (6, 3)
    assert (sound["rounds"], sound["failures"]) == (6, 0)
    assert sound["max_gap"] <= 1e-9
    assert sound["rebuilds"] == {"fresh": 6}
    assert sound["build_ms_median"] > 0.0
    assert sound["total_ms_p95"] >= sound["total_ms_median"]
    assert json.dumps([failing, sound], allow_nan=False)


def test_a_chain_is_replayed_and_says_who_answered() -> None:
    with registry.registered(Failing()):
        (record,) = replay([random_problem(seed, 6, 3) for seed in range(4)], ["every-other,highs-direct"])
    assert record.summary()["solved_by"] == {"every-other": 2, "highs-direct": 2}


def test_only_the_first_rounds_are_replayed_where_asked() -> None:
    (record,) = replay([random_problem(seed, 6, 3) for seed in range(9)], ["highs-direct"], rounds=4)
    assert record.summary()["rounds"] == 4


def test_a_family_that_a_solver_does_not_take_is_one_message() -> None:
    problem = stated()[-1]
    with pytest.raises(UnsupportedProblemError, match=r"'single-type' does not take problem family 'lexicographic'"):
        replay([problem], ["single-type"])
    with pytest.raises(UnknownBackendError):
        replay([problem], ["no-such-solver"])


def test_a_full_disk_is_one_message_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def run_out_of_space() -> None:
        with TapeWriter(tmp_path / "a.tape", {}) as tape:
            tape.write(stated()[0])
            monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
            tape.write(stated()[1])

    with pytest.raises(OutputError, match="No space left"):
        run_out_of_space()
    assert list(tmp_path.iterdir()) == []
