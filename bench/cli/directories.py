"""Which folder a run writes to: it is one run's for as long as that lives, and no earlier run is lost by accident.

A folder is claimed by a lock on a hidden file in it. The system lets go of the lock when its process ends, however that
ends, so a killed run leaves a folder that can be claimed again. What `--overwrite` replaces waits in a hidden folder
beside the lock until the new run has begun and ended, and comes back where it did not begin.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from phasewise.profiling.errors import OutputError, cannot_write

RUNS = Path("runs")
MARK = "run.json"  # what makes a folder a run directory
LOCK = ".phasewise.lock"
ASIDE = ".phasewise.replaced"
MOVING = ".phasewise.moving"  # what it is called until all is in it, or out of it again
OUR_FILES = ("lines.log", "*.parquet", "*.parquet.*", "curves.csv", "trace.json.gz", ".*.tmp", "checkpoint")
LONGEST_NAME = 80  # characters of a scenario's name that a folder takes over
ATTEMPTS = 100  # a folder that others make and remove all the time is given up

_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL})


class FolderError(OutputError):
    """A run may not be written where it is to be: somebody else's files are there."""


class _TakenError(Exception):
    """Another process holds the folder."""


class _Claim:
    """A folder and the lock on it, held until `release`.

    Attributes
    ----------
    path
        The folder.
    made
        The folders that had to be made for it, outermost first.
    ours
        Whether a run had claimed the folder before and did not live to let go of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.made: list[Path] = []
        self.ours = False
        try:
            self._descriptor = self._hold()
        except BaseException:
            self._unmake()
            raise

    def _hold(self) -> int:
        """Return the descriptor of the lock, which is had; raise `_TakenError` where another process has it."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._make_folders()
                self.ours = self._lock.exists()
                descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o666)
            except FileNotFoundError:  # whoever had the folder before has just removed it
                if attempt == ATTEMPTS:
                    raise
                continue
            if self._locked(descriptor):
                return descriptor
            os.close(descriptor)
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    @property
    def _lock(self) -> Path:
        return self.path / LOCK

    def _make_folders(self) -> None:
        missing = [self.path, *self.path.parents]
        for folder in reversed([each for each in missing if not each.exists()]):
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                self.made.append(folder)

    def _locked(self, descriptor: int) -> bool:
        """Return whether the lock is had, and is still the one in the folder."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 64, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise _TakenError(holder) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:  # such a file system has no claims: its folders are only looked into
                raise
        with contextlib.suppress(OSError):  # a courtesy to whoever finds the folder taken
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {os.uname().nodename}\n".encode(), 0)
        return self._is_here(descriptor)

    def _is_here(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._lock.stat())
        except OSError:
            return False

    def stands(self) -> bool:
        """Return whether the folder in that place still is the one that was claimed."""
        return self._is_here(self._descriptor)

    def entries(self) -> set[str]:
        """Return the names of what is in the folder, besides the lock."""
        return {entry.name for entry in self.path.iterdir()} - {LOCK}

    def release(self, *, as_found: bool = False) -> None:
        """Let go of the folder, and remove what was made for nothing.

        ``as_found`` leaves the lock of a run that was killed before it began: nothing else says whose folder it is.
        """
        if self.stands():
            ours = self.ours or bool(self.entries())
            if not (as_found and ours and not has_begun(self.path)):
                with contextlib.suppress(OSError):
                    self._lock.unlink()
            self._unmake()
        os.close(self._descriptor)

    def _unmake(self) -> None:
        for folder in reversed(self.made):
            with contextlib.suppress(OSError):  # most often: it is not empty
                folder.rmdir()


@contextlib.contextmanager
def claimed(out: Path | None, scenario: str, *, overwrite: bool, resume: bool = False) -> Iterator[Path]:
    """Yield a folder that no other run gets within the block; leave nothing where the run did not begin.

    It is empty, unless the run in it is to be resumed.

    Parameters
    ----------
    out
        The folder asked for; None takes the next free `runs/SCENARIO-N`.
    scenario
        The scenario's name.
    overwrite
        Whether a run directory in that place may be replaced. It is put aside first and comes back when the new run
        does not begin. A directory whose run is still going on is never replaced.
    resume
        Whether a run directory in that place is taken as it is.

    Raises
    ------
    FolderError
        Where ``out`` is a file, a folder that another run has, or one that is not empty and may not be replaced.
    OutputError
        Where the folder cannot be made.
    """
    try:
        claim = _next_free(scenario) if out is None else _claimed(out, overwrite=overwrite, resume=resume)
    except _TakenError as error:
        holder = f" ({error})" if str(error) else ""
        raise FolderError(
            f"{out} is taken: another run{holder} writes there; name another folder, or wait for its end"
        ) from error
    except OSError as error:
        raise cannot_write(out or RUNS, error) from error
    try:
        yield claim.path
    finally:
        if claim.stands():
            if has_begun(claim.path):
                shutil.rmtree(claim.path / ASIDE, ignore_errors=True)
            else:
                _undo(claim.path)
        claim.release(as_found=True)


def has_begun(out: Path) -> bool:
    """Return whether a run directory holds what a run has computed."""
    return (out / MARK).is_file()


def _next_free(scenario: str) -> _Claim:
    """Return a folder of its own, made here, so that runs started side by side do not meet in one."""
    RUNS.mkdir(exist_ok=True)
    name = re.sub(r"[^\w.-]+", "-", scenario)[:LONGEST_NAME].strip(".-") or "run"
    number = 1
    while True:
        path = RUNS / f"{name}-{number}"
        number += 1
        with contextlib.suppress(FileExistsError, _TakenError):
            path.mkdir()
            claim = _Claim(path)
            claim.made.append(path)
            return claim


def _claimed(out: Path, *, overwrite: bool, resume: bool) -> _Claim:
    """Return the claim of a folder, empty now or as it was; or raise `FolderError` without having touched it."""
    if os.path.lexists(out) and not out.is_dir():
        raise FolderError(f"{out} is a file; name a folder for the run")
    if out.is_dir():
        found = {entry.name for entry in out.iterdir()}
        if LOCK not in found:
            _require_replaceable(out, found, ours=False, overwrite=overwrite or resume)
    claim = _Claim(out)
    try:
        _recover(out)
        found = claim.entries()
        _require_replaceable(out, found, ours=claim.ours, overwrite=overwrite or resume)
        if not resume:
            _put_aside(out, found)
    except BaseException:
        claim.release(as_found=True)
        raise
    return claim


def _require_replaceable(out: Path, found: set[str], *, ours: bool, overwrite: bool) -> None:
    if not found:
        return
    if MARK not in found and not found & {ASIDE, MOVING} and not ours:
        raise FolderError(f"{out} is not empty and holds no {MARK}, so it is not a run directory; name another folder")
    if not overwrite:
        holds = "a run already" if MARK in found else "what a killed run left"
        raise FolderError(f"{out} holds {holds}; name another folder, or overwrite the run (--overwrite)")


def _put_aside(out: Path, found: set[str]) -> None:
    """Move what is to be replaced into a folder that has its final name once all is in it."""
    if found:
        (out / MOVING).mkdir()
        for name in found:
            (out / name).rename(out / MOVING / name)
        (out / MOVING).rename(out / ASIDE)


def _recover(out: Path) -> None:
    """Make good what a run that was to replace another one and was killed has left."""
    if (out / MOVING).is_dir():
        _bring_back(out)
    elif has_begun(out):
        shutil.rmtree(out / ASIDE, ignore_errors=True)
    elif (out / ASIDE).is_dir():
        _undo(out)


def _undo(out: Path) -> None:
    """Remove what a run wrote that did not begin, and bring back what it was to replace."""
    with contextlib.suppress(OSError):
        for entry in [entry for pattern in OUR_FILES for entry in out.glob(pattern)]:
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        if (out / ASIDE).is_dir():
            (out / ASIDE).rename(out / MOVING)
            _bring_back(out)


def _bring_back(out: Path) -> None:
    for entry in list((out / MOVING).iterdir()):
        entry.rename(out / entry.name)
    (out / MOVING).rmdir()
