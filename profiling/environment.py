"""What made the numbers: commit, machine, threads, package versions; and how much memory the process holds."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib import metadata
from pathlib import Path

MIB = 1 << 20
DISTRIBUTION = "phasewise"
PACKAGES = ("numpy", "scipy", "cvxpy", "highspy", "clarabel", "scs", "ecos", "numba", "pyarrow")
THREAD_PINS = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
GIT_PATIENCE_S = 5.0  # a checkout on a slow network drive must not hold up a run


def describe_environment() -> dict[str, object]:
    """Return what a published figure has to state about its origin, ready for JSON.

    Returns
    -------
    dict
        ``commit`` and ``dirty`` of the checkout that this package runs from (both None where it runs from none),
        ``version`` of this package (None where it is not installed), ``python``, ``platform``, ``cpu``, ``cores`` (that
        this process may use), ``threads`` (the pins that are set) and ``packages`` (version by name; None where it is
        not installed).
    """
    commit, dirty = _checkout(Path(__file__).resolve().parent)
    return {
        "commit": commit,
        "dirty": dirty,
        "version": package_version(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": _cores(),
        "threads": {name: os.environ[name] for name in THREAD_PINS if name in os.environ},
        "packages": {name: _version(name) for name in PACKAGES},
    }


def package_version() -> str | None:
    """Return the version of this package as it was installed, editable or not; None where it was not."""
    return _version(DISTRIBUTION)


@cache  # what runs is what was there when it was imported; asking git takes longer than a short run
def _checkout(folder: Path) -> tuple[str | None, bool | None]:
    """Return commit and dirtiness of the checkout whose tracked files include this module, or None twice."""
    # An installed copy may lie inside somebody else's checkout (a virtual environment in a work tree): asking git
    # whether it tracks this very file keeps that checkout's commit from being passed off as ours.
    if _git(folder, "ls-files", "--error-unmatch", "environment.py") is None:
        return None, None
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return commit, None if changes is None else bool(changes)


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None where there is no git, no checkout, or no answer in time."""
    try:
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", os.fspath(folder), *arguments],  # killed in time, it leaves no lock
            capture_output=True,
            check=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=GIT_PATIENCE_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _cpu_model() -> str | None:
    """Return the processor's name, or None where the system does not tell."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in {"model name", "Model"}:
                return value.strip()
    except OSError:
        pass
    return platform.processor() or None


def _cores() -> int | None:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


@cache
def _version(distribution: str) -> str | None:
    """Return the installed version, without importing the package."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


@cache
def _statm() -> tuple[int, float] | None:
    """Return the descriptor of this process's memory counters and the MiB of a page; None where there are none.

    The file stays open: opening it would cost more than reading it, and it is read every round.
    """
    try:
        descriptor = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    return descriptor, resource.getpagesize() / MIB


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_statm.cache_clear)  # else a child would go on reading its parent's counters


def rss_mib() -> float:
    """Return the memory that this process holds now, MiB; where the system does not tell, the most it ever held."""
    counters = _statm()
    if counters is None:
        return peak_rss_mib()
    descriptor, page_mib = counters
    return int(os.pread(descriptor, 64, 0).split(None, 2)[1]) * page_mib


def peak_rss_mib() -> float:
    """Return the most memory that this process ever held, MiB."""
    # `getrusage` would do, but after a fork and exec it starts from the parent's figure.
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024  # kB
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MIB if sys.platform == "darwin" else peak / 1024  # bytes there, KiB elsewhere


def release_memory() -> None:
    """Give memory that was freed back to the system where the C library can (glibc); elsewhere do nothing.

    Allocations of every size come and go over a run; without this the pages between them stay with the process.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Callable[[int], int] | None:
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim
