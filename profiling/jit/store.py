"""Machine code on disk, a file a kernel, named by what it was made from.

A file is looked for in the user's folder and in that of the installation, and written to the first. What cannot be read
(cut short, of another program) is dropped and made anew; what was not used for long is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import llvmlite
import numba
import numpy as np

VARIABLE: Final = "NUMBA_CACHE_DIR"
SUFFIX: Final = ".kernel"
_RECIPE: Final = Path(__file__).with_name("pipeline.py")  # how functions are compiled
_MAGIC: Final = b"phasewise kernel 1\n"
_UNUSED_S: Final = 45 * 86_400.0
_MOST_BYTES: Final = 512 << 20
_SEEN_AGAIN_S: Final = 86_400.0  # a file's time of use is noted once a day: a run writes nothing
_IRRELEVANT: Final = frozenset({VARIABLE, "NUMBA_NUM_THREADS", "NUMBA_CAPTURED_ERRORS", "NUMBA_FULL_TRACEBACKS"})


def user_folder() -> Path:
    """Return the folder that kernels are written to: $NUMBA_CACHE_DIR/phasewise, or that of the user's caches."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).absolute() / "phasewise"
    caches = os.environ.get("XDG_CACHE_HOME")
    base = Path(caches) if caches else Path(os.path.expanduser("~")) / ".cache"  # noqa: PTH111  (never raises)
    return base.absolute() / "phasewise" / "kernels"


def installed_folder() -> Path:
    """Return the folder of the installation: kernels that whoever installed it compiled for everybody."""
    return Path(sys.prefix) / "share" / "phasewise" / "kernels"


def install(names: Iterable[str]) -> None:
    """Copy kernels to the folder of the installation, where all its users find them. Raises OSError."""
    there = Store(installed_folder())
    for name in names:
        content = current().load(name)
        if content is not None:
            there.save(name, content)


def current() -> Store:
    """Return the store that this process uses."""
    return _CURRENT[-1]


@contextlib.contextmanager
def used(store: Store) -> Iterator[None]:
    """Use another store within."""
    _CURRENT.append(store)
    try:
        yield
    finally:
        _CURRENT.pop()


def use(store: Store) -> None:
    """Use another store from here on."""
    _CURRENT[-1] = store


def environment(codegen: Any) -> str:
    """Return what machine code depends on beside its source: versions, processor, the compiler's settings."""
    return f"{_versions()} {codegen.magic_tuple()}"


@cache
def _versions() -> str:
    settings = sorted(
        pair for pair in os.environ.items() if pair[0].startswith("NUMBA_") and pair[0] not in _IRRELEVANT
    )
    recipe = hashlib.sha256(_RECIPE.read_bytes()).hexdigest()
    python = (platform.python_implementation(), sys.version_info[:2])
    return f"{recipe} {python} {numba.__version__} {llvmlite.__version__} {np.__version__} {settings}"


class Store:
    """Files of kernels.

    Parameters
    ----------
    folder
        Where to write, and where to look first.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where to write, and where to look first."""
        return user_folder() if self._folder is None else self._folder

    def has(self, name: str) -> bool:
        """Return whether there is a file of this name; whether it can be read shows when it is."""
        return any((folder / (name + SUFFIX)).is_file() for folder in self._folders())

    def load(self, name: str) -> bytes | None:
        """Return what was kept under a name, None where there is nothing that is whole."""
        for folder in self._folders():
            path = folder / (name + SUFFIX)
            try:
                whole = path.read_bytes()
            except OSError:
                continue
            start = len(_MAGIC) + 32
            if whole[: len(_MAGIC)] == _MAGIC and hashlib.sha256(whole[start:]).digest() == whole[len(_MAGIC) : start]:
                self._note_use(path)
                return whole[start:]
            self.drop(name)
        return None

    def save(self, name: str, content: bytes) -> None:
        """Keep something under a name; whoever reads meanwhile sees all of it or nothing. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{name}.{os.getpid()}.part"
        try:
            temporary.write_bytes(_MAGIC + hashlib.sha256(content).digest() + content)
            temporary.replace(self.folder / (name + SUFFIX))
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise

    def drop(self, name: str) -> None:
        """Remove what is kept under a name, where that is possible."""
        for folder in self._folders():
            with contextlib.suppress(OSError):
                (folder / (name + SUFFIX)).unlink(missing_ok=True)

    def require_writable(self) -> None:
        """Raise OSError where nothing can be written."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix=".", suffix=".part", dir=self.folder) as probe:
            probe.write(b"\0" * 4096)
            probe.flush()

    @contextlib.contextmanager
    def claimed(self, what: str, *, wait: bool) -> Iterator[bool]:
        """Yield whether this process alone may make ``what`` meanwhile; it may where files cannot be locked, too.

        The lock is the operating system's: it ends with the process that holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f".{what}.lock").open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            except OSError:
                yield True
            else:
                yield True

    def evict(self) -> None:
        """Remove what was not used for long, the oldest where there is too much, and what killed processes left."""
        now_s, found = time.time(), []
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                state = path.stat()
                if path.suffix == SUFFIX:
                    found.append((state.st_mtime, state.st_size, path))
                elif path.suffix == ".part" and now_s - state.st_mtime > _SEEN_AGAIN_S:
                    path.unlink(missing_ok=True)
        kept = 0
        for used_s, size, path in sorted(found, reverse=True):
            kept += size
            if now_s - used_s > _UNUSED_S or kept > _MOST_BYTES:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _folders(self) -> tuple[Path, Path]:
        return self.folder, installed_folder()

    @staticmethod
    def _note_use(path: Path) -> None:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _SEEN_AGAIN_S:
                os.utime(path)


_CURRENT: Final = [Store()]
