"""Has kernels ready before they are needed: loaded where they are kept, compiled first where they are not.

They are compiled by processes of their own (`worker`). So a loop that follows finds the same process, the same machine
code and the same memory whether they had to be compiled or not, and what is measured of it is the same.
"""

from __future__ import annotations

import atexit
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from numba.core.errors import NumbaError

from phasewise.profiling import own_files
from phasewise.profiling.errors import cannot_write
from phasewise.profiling.jit import store as stores
from phasewise.profiling.jit.account import ACCOUNT
from phasewise.profiling.jit.kernel import Wanted
from phasewise.profiling.jit.store import Store
from phasewise.profiling.jit.worker import WorkOrder, ordered

EXPECTED: Final = Path(__file__).with_name("expected.toml")
_UNKNOWN_S: Final = 1.5  # CPU seconds of a kernel that the table does not have
_START_S: Final = 1.0  # CPU seconds until a worker compiles
_POLL_S: Final = 0.1
_TELL_S: Final = 4.0

Say = Callable[[str], None]


class KernelError(Exception):
    """A kernel cannot be compiled: something in it is beyond the compiler."""


def prepare(
    wanted: Iterable[Wanted], say: Say = lambda _: None, interrupted: Callable[[], bool] = lambda: False
) -> float:
    """Have kernels ready to be called, and return the wall seconds that compiling took; 0 where all were kept.

    Parameters
    ----------
    wanted
        See `phasewise.profiling.jit.kernel.wanted`.
    say
        Gets a line where something is to be compiled: how much, how long it should take, how far it is.
    interrupted
        Asked several times a second while compiling, whether to end with KeyboardInterrupt.

    Raises
    ------
    OutputError
        Where what is compiled can be kept nowhere.
    KernelError
        Where something cannot be compiled.
    """
    needed = [each for each in dict.fromkeys(wanted) if not each.ready]
    missing = _missing(needed)
    began_s, known_s = time.perf_counter(), ACCOUNT.wall_s
    if missing:
        _writable_store(say)
        say(f"compiling {_counted(len(missing))}, once on this machine: about {_expected_s(missing):.0f} s ...")
        _by_workers(missing, say, interrupted)
    waited_s = time.perf_counter() - began_s if missing else 0.0
    for each in needed:
        try:
            each.kernel.result_for(each.signature)
        except NumbaError as error:
            raise KernelError(f"cannot compile {each.title}: {_reason(error)}") from error
    compile_s = waited_s + ACCOUNT.wall_s - known_s
    if missing:
        stores.current().evict()
        say(f"compiled in {compile_s:.1f} s; later runs load the compiled kernels")
    return compile_s


def _reason(error: NumbaError) -> str:
    """Return the lines of numba's message that say what is wrong and where, on one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(("<source", "^")))[:600]


def _counted(count: int) -> str:
    return "one kernel" if count == 1 else f"{count} kernels"


def _missing(needed: Iterable[Wanted]) -> list[Wanted]:
    """Return what is kept nowhere in a whole file, the costliest first."""
    store = stores.current()
    names = ((each, each.kernel.file_of(each.signature)) for each in needed)
    missing = [each for each, name in names if name is not None and store.load(name) is None]
    return sorted(missing, key=_cost_s, reverse=True)


def _writable_store(say: Say) -> None:
    """Make sure that what is compiled can be kept: for this process alone where the user's folder takes nothing.

    Raises `OutputError` where a folder was named and takes nothing, or no temporary one does.
    """
    store = stores.current()
    try:
        store.require_writable()
    except OSError as error:
        place = f"compiled kernels to {store.folder} ({stores.VARIABLE} names another folder for them)"
        if os.environ.get(stores.VARIABLE):
            raise cannot_write(place, error) from error
        try:
            folder = tempfile.mkdtemp(prefix="phasewise-kernels-")
        except OSError as neither:
            raise cannot_write(place, neither) from neither
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        say(
            f"compiled kernels cannot be kept in {stores.user_folder()} ({error.strerror}); they are compiled for this "
            f"run alone; {stores.VARIABLE} names another folder"
        )
        stores.use(Store(Path(folder)))


def _by_workers(missing: Sequence[Wanted], say: Say, interrupted: Callable[[], bool]) -> None:
    """Have kernels compiled by processes of their own; what they cannot make stays missing."""
    groups: dict[str, list[tuple[str, str, bytes]]] = {}
    for each in missing:
        if each.kernel.py_func.__module__ != "__main__":
            groups.setdefault(_group(each), []).append(ordered(each))
    order = pickle.dumps(WorkOrder(list(sys.path), own_files.loaded(), stores.current(), groups))
    command = [sys.executable, "-P", *["-O"] * sys.flags.optimize, "-m", "phasewise.profiling.jit.worker"]
    count = min(len(groups), _cores())
    with tempfile.TemporaryFile() as complaints:
        workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=complaints, stderr=complaints) for _ in range(count)
        ]
        try:
            for worker in workers:
                _hand_over(worker, order)
            _wait(workers, missing, say, interrupted)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()


def _hand_over(worker: subprocess.Popen[bytes], order: bytes) -> None:
    if worker.stdin is not None:
        try:
            worker.stdin.write(order)
            worker.stdin.close()
        except BrokenPipeError:  # it could not start: what it should have made is made in this process
            return


def _wait(
    workers: Sequence[subprocess.Popen[bytes]],
    missing: Sequence[Wanted],
    say: Say,
    interrupted: Callable[[], bool],
) -> None:
    """Wait until all workers have ended, and say how far they are now and then."""
    store, began_s = stores.current(), time.perf_counter()
    told_s, total_s = began_s, sum(map(_cost_s, missing))
    names = {each.kernel.file_of(each.signature): _cost_s(each) for each in missing}
    while any(worker.poll() is None for worker in workers):
        if interrupted():
            raise KeyboardInterrupt
        time.sleep(_POLL_S)
        now_s = time.perf_counter()
        if now_s - told_s >= _TELL_S:
            told_s = now_s
            made = [cost_s for name, cost_s in names.items() if name is not None and store.has(name)]
            left_s = (now_s - began_s) * (total_s - sum(made)) / sum(made) if made else _expected_s(missing)
            say(f"compiling: {len(made)} of {len(missing)} done, about {left_s:.0f} s left")


def _cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _group(wanted: Wanted) -> str:
    """Return what is compiled by one worker: kernels of a package share most of what they call."""
    return str(wanted.kernel.py_func.__module__).rpartition(".")[0]


@cache
def _table() -> dict[str, float]:
    return tomllib.loads(EXPECTED.read_text(encoding="utf-8"))["cpu_s"] if EXPECTED.is_file() else {}


def _cost_s(wanted: Wanted) -> float:
    return float(_table().get(wanted.title, _UNKNOWN_S))


def _expected_s(missing: Sequence[Wanted]) -> float:
    """Return the wall seconds that compiling should take on a machine like that of the table."""
    groups: dict[str, float] = {}
    for each in missing:
        groups[_group(each)] = groups.get(_group(each), 0.0) + _cost_s(each)
    cores = min(len(groups), _cores())
    return _START_S + max(*groups.values(), sum(groups.values()) / cores)
