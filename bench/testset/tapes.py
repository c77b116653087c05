"""The tape of an instance: the one that comes with the package, or made from its seed and kept; checked either way."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from phasewise.bench.testset.canonical import digest
from phasewise.bench.testset.errors import TestsetError
from phasewise.bench.testset.generating import VERSION, Size, generated
from phasewise.bench.testset.manifest import Instance
from phasewise.profiling.errors import OutputError
from phasewise.solvers.instances import Load
from phasewise.solvers.tapes import Tape, TapeWriter

CACHE: Final = Path(".bench") / "testset"


def tape_of(instance: Instance, cache: Path = CACHE) -> Path:
    """Return the tape of ``instance``, made in ``cache`` first where it is not there yet.

    Raises
    ------
    TestsetError
        Where its problems are not those of the manifest's digest; nothing is kept then.
    OutputError
        Where it cannot be written.
    phasewise.solvers.errors.TapeError
        Where a tape that is there cannot be read.
    """
    path = instance.tape
    if not path.is_file():
        path = cache / f"{instance.name.replace('/', '-')}-{instance.sha256[:16]}.tape"
        if not path.is_file():
            _make(instance, path)
            return path
    found = digest(Tape(path))
    if found != instance.sha256:
        raise TestsetError(
            f"{path} holds other problems than {instance.name} has: SHA-256 {found[:16]}..., not "
            f"{instance.sha256[:16]}...; remove the file, and it is made anew"
        )
    return path


def _make(instance: Instance, path: Path) -> None:
    """Make a generated instance; what is not what the manifest says does not get its name."""
    if not instance.generator:
        raise TestsetError(f"{instance.tape} is missing: {instance.name} was recorded, and cannot be made from a seed")
    if instance.version != VERSION:
        raise TestsetError(f"{instance.name} is of generator version {instance.version}; this is version {VERSION}")
    unfinished = path.with_suffix(".unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(unfinished, instance.generator, size_of(instance))
        found = digest(Tape(unfinished))
        if found != instance.sha256:
            raise TestsetError(
                f"{instance.name}: seed {instance.seed} gives other problems on this machine (SHA-256 {found[:16]}..., "
                f"not {instance.sha256[:16]}...); NumPy's random streams may have changed"
            )
        unfinished.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write the tape {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def size_of(instance: Instance) -> Size:
    """Return what a generated instance is made from beside its generator."""
    return Size(instance.seed, instance.jobs, instance.problems, instance.types, Load(instance.load))


def write(path: Path, generator: str, size: Size) -> None:
    """Write the tape of a generator."""
    with TapeWriter(path, {"testset": generator, "seed": size.seed, "jobs": size.jobs, "version": VERSION}) as tape:
        for problem in generated(generator, size):
            tape.write(problem)
