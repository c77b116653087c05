"""Call stacks with compiled and native frames, by py-spy or perf where one of them is installed.

Both are programs that look into this process from outside. py-spy sees the functions of Python and those of libraries
in one stack. perf sees libraries and the interpreter; from Python 3.12 on the interpreter tells it names of functions.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from phasewise.profiling.errors import SamplingError
from phasewise.profiling.native_text import folded_of_perf, folded_of_py_spy
from phasewise.profiling.stacks import Folded

Result = TypeVar("Result")

TOOLS: Final = ("py-spy", "perf")  # the first that is installed is taken
PER_SECOND: Final = 99  # samples; not a round number, so that they do not fall in step with what is periodic
_STACK_BYTES: Final = 16384  # of each sample, from which perf finds the callers
_PATIENCE_S: Final = 120.0  # for a tool to begin, or to write what it saw


def native_tool() -> str:
    """Return the tool that is there; raise `SamplingError` where none is."""
    found = next((tool for tool in TOOLS if shutil.which(tool)), None)
    if found is None:
        raise SamplingError(
            f"--native needs {' or '.join(TOOLS)} on the path: `pip install py-spy`, or install perf for your kernel"
        )
    return found


def sample_native(call: Callable[[], Result]) -> tuple[Result, Folded]:
    """Return what ``call`` returns, and the stacks of this thread meanwhile, native frames among them.

    Seconds are shares of the CPU time that the call took, as a tool may fall behind its rate.

    Raises
    ------
    SamplingError
        Where no tool is installed, or it may not look into this process.
    """
    tool = native_tool()
    with tempfile.TemporaryDirectory(prefix="phasewise-") as scratch:
        out = Path(scratch, "stacks")
        with _watched(_command(tool, out), out, tool), _named_for_perf():
            began_s = time.thread_time()
            result = call()
            spent_s = time.thread_time() - began_s
        return result, _shared_out(_read(tool, out), spent_s)


def _shared_out(folded: Folded, cpu_s: float) -> Folded:
    """Return stacks whose seconds add up to so many."""
    each = cpu_s / max(1, folded.samples)
    seconds = [round(samples * each, 6) for samples in folded.cpu_s]
    return msgspec.structs.replace(folded, cpu_s=seconds, wall_s=seconds, tick_s=round(each, 6))


def _command(tool: str, out: Path) -> list[str]:
    pid, rate = str(os.getpid()), str(PER_SECOND)
    if tool == "py-spy":
        return [tool, "record", "--native", "--function", "--format", "raw", "-r", rate, "-p", pid, "-o", str(out)]
    graph = f"dwarf,{_STACK_BYTES}"
    return [tool, "record", "-q", "-e", "cpu-clock:u", "-F", rate, "--call-graph", graph, "-p", pid, "-o", str(out)]


@contextmanager
def _watched(command: list[str], out: Path, tool: str) -> Iterator[None]:
    """Have the tool look into this process within the block; raise `SamplingError` where it cannot."""
    with tempfile.TemporaryFile("w+", errors="replace") as words:
        with subprocess.Popen(command, stdout=words, stderr=words, stdin=subprocess.DEVNULL) as process:
            try:
                _wait_until_it_looks(process, words.fileno(), out, tool)
                yield
            finally:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGINT)
                _ended(process)
        words.seek(0)
        if not out.is_file() or out.stat().st_size == 0:
            last = "; ".join(line.strip() for line in words.read().splitlines()[-3:] if line.strip())
            raise SamplingError(f"{tool} could not look into this process: {last or f'code {process.returncode}'}")


def _wait_until_it_looks(process: subprocess.Popen[bytes], words: int, out: Path, tool: str) -> None:
    """Return once the tool has attached: perf has made its file then, and py-spy has said something."""
    until_s = time.monotonic() + _PATIENCE_S
    while process.poll() is None and time.monotonic() < until_s:
        told = os.fstat(words).st_size > 0 if tool == "py-spy" else out.is_file()
        if told:
            return
        time.sleep(0.01)


def _ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()


@contextmanager
def _named_for_perf() -> Iterator[None]:
    """Have the interpreter tell perf the names of functions within the block, where it can."""
    start, stop = (getattr(sys, f"{verb}_stack_trampoline", None) for verb in ("activate", "deactivate"))
    if start is None or stop is None or not sys.platform.startswith("linux"):
        yield
        return
    start("perf")
    try:
        yield
    finally:
        stop()


def _read(tool: str, out: Path) -> Folded:
    if tool == "py-spy":
        return folded_of_py_spy(out.read_text("utf-8", "replace"), __name__)
    main_thread = str(os.getpid())  # its id is that of the process
    fields = ["-F", "tid,ip,sym,dso", "--no-inline", "--tid", main_thread]
    done = subprocess.run(
        [tool, "script", "-i", out, *fields], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        raise SamplingError(f"perf could not read what it recorded: {done.stderr.strip()}")
    return folded_of_perf(done.stdout)
