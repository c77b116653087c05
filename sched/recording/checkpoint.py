"""Checkpoints: a run at a barrier, as one file that is whole or not there.

`DIR/checkpoint/last.npz` is what `numpy.savez` writes, without pickle. It has two members: ``values``, the bytes of all
arrays, and ``record``, JSON with the rest and with the name, kind and shape of each array in their order. (An array a
member would take twenty times as long.) Each member has its CRC-32 in the archive, and the list of members stands at
its end: a file that is cut short or damaged is known for one. The checkpoint before stays as `previous.npz`: where the
machine went down, and not the run alone, the system may have kept the name of the last one and lost what was in it.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from phasewise.profiling.artefacts.run_json import Basis, Resumption
from phasewise.profiling.artefacts.sinks import Tail, write_atomically
from phasewise.profiling.errors import cannot_write
from phasewise.sched.api import Leaf
from phasewise.sched.errors import ResumeError

FORMAT: Final = 1
FOLDER: Final = "checkpoint"
_LAST, _PREVIOUS = "last.npz", "previous.npz"
_PARTS: Final = ("state", "recorder")
_UNREADABLE: Final = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, msgspec.MsgspecError)


class Marks(msgspec.Struct, frozen=True, kw_only=True):
    """How far the files of a run were written."""

    rows: dict[str, int]
    """Rows of each table, by its file."""
    lines: Tail


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A run at a barrier."""

    round_index: int
    """Rounds run so far."""
    scenario: dict[str, Any]
    basis: Basis
    environment: dict[str, Any]
    marks: Marks
    resumed: list[Resumption] = []
    state: dict[str, Any] = {}
    """What `phasewise.sched.round.tree.written` returns."""
    recorder: dict[str, Any] = {}
    """What the recorder keeps, likewise."""


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """What of a checkpoint is no array."""

    format: int
    checkpoint: Checkpoint
    arrays: list[tuple[str, str, tuple[int, ...]]]
    """Name, kind as NumPy writes it, and shape."""
    not_finite: dict[str, str]
    """Numbers for which JSON has no word."""


class Checkpoints:
    """The checkpoints of a run directory.

    Parameters
    ----------
    out
        The run directory.
    """

    def __init__(self, out: Path) -> None:
        self.folder = out / FOLDER

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint; the last one becomes the previous one.

        Raises
        ------
        OutputError
            Where it cannot be written; the last one is still there.
        """
        content = encoded(checkpoint)
        try:
            self.folder.mkdir(exist_ok=True)
            if (self.folder / _LAST).exists():
                (self.folder / _LAST).replace(self.folder / _PREVIOUS)
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        write_atomically(self.folder / _LAST, content)

    def found(self) -> list[Path]:
        """Return the files there are, the last one first."""
        return [path for path in (self.folder / _LAST, self.folder / _PREVIOUS) if path.exists()]

    def remove(self) -> None:
        """Remove what there is, the previous one first; what is not ours stays.

        Raises
        ------
        OutputError
            Where it cannot be removed.
        """
        try:
            for name in (_PREVIOUS, _LAST):
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self.folder, error) from error
        with suppress(OSError):
            for stray in self.folder.glob(".*.tmp"):
                stray.unlink()
            self.folder.rmdir()


def encoded(checkpoint: Checkpoint) -> bytes:
    """Return the content of a checkpoint's file."""
    arrays: dict[str, np.ndarray] = {}
    not_finite: dict[str, str] = {}
    parts = {part: _plain(part, getattr(checkpoint, part), arrays, not_finite) for part in _PARTS}
    record = _Record(
        format=FORMAT,
        checkpoint=msgspec.structs.replace(checkpoint, **parts),
        arrays=[(name, array.dtype.str, array.shape) for name, array in arrays.items()],
        not_finite=not_finite,
    )
    content = msgspec.json.encode(record, enc_hook=_own)
    values = b"".join(array.tobytes() for array in arrays.values())
    file = io.BytesIO()
    np.savez(file, record=np.frombuffer(content, np.uint8), values=np.frombuffer(values, np.uint8))
    return file.getvalue()


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint of a file.

    Raises
    ------
    ResumeError
        Where it is damaged, or of another version of this format.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            content, values = (file[name].tobytes() for name in ("record", "values"))
        version = msgspec.json.decode(content)["format"]
        if version != FORMAT:
            raise ResumeError(f"{path} is a checkpoint of format {version}; this version reads format {FORMAT}")
        record = msgspec.json.decode(content, type=_Record)
        leaves = {**_arrays(record, values), **{name: float(text) for name, text in record.not_finite.items()}}
    except _UNREADABLE as error:
        raise ResumeError(f"{path} is damaged: {error}") from error
    for name, value in leaves.items():
        part, _, leaf = name.partition("/")
        getattr(record.checkpoint, part)[leaf] = value
    return record.checkpoint


def _arrays(record: _Record, values: bytes) -> dict[str, np.ndarray]:
    """Return the arrays by name; raises `ValueError` where their bytes do not suffice."""
    found, offset = {}, 0
    for name, kind, shape in record.arrays:
        count = math.prod(shape)
        found[name] = np.frombuffer(values, np.dtype(kind), count, offset).reshape(shape).copy()
        offset += found[name].nbytes
    return found


def _plain(
    part: str, leaves: Mapping[str, Leaf], arrays: dict[str, np.ndarray], not_finite: dict[str, str]
) -> dict[str, Leaf]:
    """Return the leaves that JSON can hold, and put the others where they belong."""
    plain: dict[str, Leaf] = {}
    for name, leaf in leaves.items():
        if isinstance(leaf, np.ndarray):
            arrays[f"{part}/{name}"] = leaf
        elif isinstance(leaf, float) and not math.isfinite(leaf):
            not_finite[f"{part}/{name}"] = repr(float(leaf))
        else:
            plain[name] = leaf
    return plain


def _own(number: np.generic) -> object:
    """Return a number of NumPy's in Python's own."""
    return number.item()
