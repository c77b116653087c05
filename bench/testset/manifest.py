"""The manifest of the test set: what each instance is, the digest that it is known by, and its proven optima."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from phasewise.bench.testset.errors import TestsetError
from phasewise.profiling.errors import cannot_read
from phasewise.solvers.proofs import Duals

MANIFEST: Final = Path(__file__).with_name("manifest.json")
TAPES: Final = Path(__file__).with_name("tapes")


class Scale(StrEnum):
    """The sizes of an instance."""

    SMALL = "small"  # tens of jobs; the tapes come with the package
    MEDIUM = "medium"  # hundreds of jobs
    LARGE = "large"  # thousands, of jobs that do not share


class Instance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sequence of problems.

    Attributes
    ----------
    name
        ``SCALE/WHAT``.
    family
        Of its problems.
    jobs, types, problems
        Jobs of the largest problem, worker types, how many problems.
    source
        ``"generated"``, or the command that recorded it.
    generator, seed, load, version
        What makes it again, see `phasewise.bench.testset.generating`; of a recorded one empty, 0, empty, 0.
    sha256
        Of its canonical bytes, see `phasewise.bench.testset.canonical`.
    limit_s
        CPU seconds that a backend has for one problem.
    reference
        The backend whose certificates these are.
    objective, bound
        Of each problem: what is reached, and what nobody can be better than, as proven by the reference's duals.
    stages
        Of each problem of a lexicographic family: the duals that bound every level, by name. Empty for others, where
        the bound says it all.
    """

    name: str
    family: str
    scale: Scale
    jobs: int
    types: int
    problems: int
    source: str
    generator: str
    seed: int
    load: str
    version: int
    sha256: str
    limit_s: float
    reference: str
    objective: tuple[float, ...]
    bound: tuple[float, ...]
    stages: tuple[dict[str, list[list[float]]], ...] = ()

    @property
    def tape(self) -> Path:
        """The tape that comes with the package, if one does."""
        return TAPES / f"{self.name.replace('/', '-')}.tape"

    def duals(self, index: int) -> Duals | None:
        """Return the certificate of every level of problem ``index``; None where its bound is all there is."""
        if not self.stages:
            return None
        return Duals(**{name: np.array(values, dtype=np.float64) for name, values in self.stages[index].items()})


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole test set.

    Attributes
    ----------
    testset
        Its version: results of two versions are not compared.
    """

    testset: int
    instances: tuple[Instance, ...]

    def named(self, name: str) -> Instance:
        """Return an instance; raise `TestsetError` where there is none of that name."""
        found = {each.name: each for each in self.instances}
        if name not in found:
            raise TestsetError(f"no instance {name!r}; there are {', '.join(found)}")
        return found[name]


def load(path: Path = MANIFEST) -> Manifest:
    """Return the manifest; raises `TestsetError` or `RecordError` where the file is none or cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise cannot_read(path, error) from error
    except msgspec.MsgspecError as error:
        raise TestsetError(f"{path}: {error}") from error


def text(version: int, instances: Sequence[Instance]) -> bytes:
    """Return the manifest as it is written: an instance a line, so that a change shows."""
    lines = b",\n".join(msgspec.json.encode(each) for each in instances)
    return b'{"testset":%d,"instances":[\n' % version + lines + b"\n]}\n"
