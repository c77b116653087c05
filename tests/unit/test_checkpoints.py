"""A checkpoint holds what was put into it, and all that observers keep can be put into one."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phasewise.profiling.artefacts.run_json import Basis, Resumption
from phasewise.profiling.artefacts.sinks import Tail
from phasewise.profiling.phases import PhaseProfile, PhaseTotals
from phasewise.sched.errors import StateError
from phasewise.sched.recording.checkpoint import Checkpoint, Checkpoints, Marks, read_checkpoint
from phasewise.sched.recording.kept import leaves_of, refilled
from phasewise.sched.recording.summary import Totals

LEAVES: dict[str, Any] = {
    "none": None,
    "yes": True,
    "count": 3,
    "large": 2**53 + 1,
    "figure": 0.1 + 0.2,
    "nothing known": float("nan"),
    "endless": float("-inf"),
    "text": "grün",
    "floats": np.array([[0.1, np.nan], [np.inf, -0.0]]),
    "ints": np.arange(5),
    "words": np.array([1, 2], np.uint32),
    "flags": np.array([True, False]),
    "names": np.array(["a", "longer"]),
    "no rows": np.empty((0, 4), np.int64),
    "number": np.float64(1 / 3),
    "counted": np.int64(7),
}


def checkpoint(**changed: Any) -> Checkpoint:
    made = {
        "round_index": 7,
        "scenario": {"seed": 3},
        "basis": Basis(version="1", rules="abc", inputs={"workload.trace": "def"}),
        "environment": {"cpu": "a"},
        "marks": Marks(rows={"rounds.parquet": 7}, lines=Tail(100, 2**32 - 1)),
        "resumed": [Resumption(round=3, changed={"cpu": ("a", None)})],
        "state": LEAVES,
        "recorder": {f"totals.{name}": leaf for name, leaf in LEAVES.items()},
    }
    return Checkpoint(**{**made, **changed})


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, leaf in expected.items():
        np.testing.assert_array_equal(found[name], leaf, name)
        if isinstance(leaf, np.ndarray):
            assert (found[name].dtype, found[name].shape) == (leaf.dtype, leaf.shape)
            assert found[name].tobytes() == leaf.tobytes()  # the sign of a zero, too
            assert found[name].flags.writeable
        else:
            assert type(found[name]) is type(leaf.item() if isinstance(leaf, np.generic) else leaf)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    kept.save(checkpoint())
    found = read_checkpoint(*kept.found())
    assert_same(found.state, LEAVES)
    assert_same(found.recorder, checkpoint().recorder)
    for name in ("round_index", "scenario", "basis", "environment", "marks", "resumed"):
        assert getattr(found, name) == getattr(checkpoint(), name)


def test_the_archive_is_read_without_this_project_and_holds_no_pickle(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(checkpoint())
    with np.load(tmp_path / "checkpoint" / "last.npz", allow_pickle=False) as members:
        assert {name: members[name].dtype for name in members.files} == {"record": np.uint8, "values": np.uint8}
        assert b'"format":1' in members["record"].tobytes()


def test_the_last_two_are_kept_and_removed_together(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    assert kept.found() == []
    for index in range(3):
        kept.save(checkpoint(round_index=index))
    assert [read_checkpoint(path).round_index for path in kept.found()] == [2, 1]
    (kept.folder / ".last.npz.77.tmp").write_bytes(b"torn")
    kept.remove()
    assert list(tmp_path.iterdir()) == []
    kept.remove()


def test_a_strangers_file_among_the_checkpoints_stays(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path)
    kept.save(checkpoint())
    (kept.folder / "notes.txt").write_text("mine")
    kept.remove()
    assert [path.name for path in kept.folder.iterdir()] == ["notes.txt"]


def some_totals() -> Totals:
    """Return totals with another value in every field than they begin with."""
    totals = Totals(12, (3, 9))
    for each in fields(Totals):
        value = getattr(totals, each.name)
        match value:
            case PhaseTotals():
                value.add(PhaseProfile(("other", "mine"), (1, 2), (3, 4), (5, 6)))
            case Counter():
                value.update({"first": 2, "size": 5})
            case array():
                value.extend([4, 2] if value.typecode == "q" else [0.1, float("nan")])
            case dict():
                value.update({"b": 0.5, "a": 1.5} if each.name == "use" else {9: 0.25, 4: 0.125})
            case None:
                setattr(totals, each.name, "a text" if each.name.endswith("example") else 0.7)
            case int() | float():
                setattr(totals, each.name, value + 1)
    return totals


def test_every_total_is_written_down_and_comes_back(tmp_path: Path) -> None:
    totals = some_totals()
    kept = Checkpoints(tmp_path)
    kept.save(checkpoint(recorder=dict(leaves_of("totals", totals))))
    leaves = read_checkpoint(*kept.found()).recorder
    again = refilled("totals", Totals(12, (3, 9)), leaves)
    assert leaves == {}
    for each in fields(Totals):
        ours, theirs = getattr(again, each.name), getattr(totals, each.name)
        assert type(ours) is type(theirs), each.name
        if isinstance(theirs, PhaseTotals):
            assert ours.profile == theirs.profile
        elif isinstance(theirs, dict):
            assert list(ours.items()) == list(theirs.items())  # sums go in this order
        else:
            np.testing.assert_array_equal(ours, theirs, each.name)


@dataclass
class Keeps:
    what: Any


@pytest.mark.parametrize("what", [object(), [object()], {"a": object()}, {1, 2}])
def test_what_cannot_be_written_down_is_named(what: object) -> None:
    with pytest.raises(StateError, match=r"mine\.what"):
        dict(leaves_of("mine", Keeps(what)))


def test_what_is_missing_is_named() -> None:
    leaves = dict(leaves_of("totals", Totals(12)))
    del leaves["totals.rounds"]
    with pytest.raises(StateError, match=r"the checkpoint has no 'totals\.rounds'"):
        refilled("totals", Totals(12), leaves)
