"""What counts instructions here: perf where the machine lets it, callgrind where valgrind is installed, or why not."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from phasewise.bench.gate.errors import GateError

_EVENT: Final = "instructions:u"  # u: those of the program and none of the kernel, which others' load disturbs
_PERF: Final = ("perf", "stat", "-x,", "-e", _EVENT)
_PROCESSOR: Final = "from llvmlite.binding import *; print(get_host_cpu_name(), get_host_cpu_features().flatten())"
_PATIENCE_S: Final = 300.0  # for a program of a second, slowed down tenfold on a busy machine


class Command(NamedTuple):
    """What runs a worker under a tool.

    Attributes
    ----------
    words
        What to put before the worker's own command.
    mark
        The worker's argument MARK.
    """

    words: Sequence[str]
    mark: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that counts the instructions of walks.

    Attributes
    ----------
    name
        ``perf`` or ``callgrind``.
    variables
        What a worker's environment has beside what the gate gives it.
    """

    name: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def command(self, folder: Path) -> Command:
        """Return what runs a worker so that its counts come to lie in ``folder``, which is empty."""
        if self.name == "perf":
            for pipe in ("control", "told"):
                os.mkfifo(folder / pipe)
            pipes = f"fifo:{folder / 'control'},{folder / 'told'}"
            words = [*_PERF, "-o", str(folder / "counts"), "--delay=-1", "--control", pipes, "--"]
            return Command(words, str(folder))
        words = ["valgrind", "-q", "--tool=callgrind", "--instr-atstart=no"]
        return Command([*words, f"--callgrind-out-file={folder / 'counts'}"], "callgrind")

    def counted(self, folder: Path) -> int:
        """Return the instructions that were counted; raise `GateError` where none were."""
        try:
            text = (folder / "counts").read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        count = _of_perf(text) if self.name == "perf" else _of_callgrind(text)
        if not count:
            raise GateError(f"{self.name} counted no instructions")
        return count


def find_tool() -> Tool | str:
    """Return the first tool that can count here, or in a line why there is none."""
    reasons = []
    for find in (_perf, _callgrind):
        found = find()
        if isinstance(found, Tool):
            return found
        reasons.append(found)
    return "; ".join(reasons)


def _perf() -> Tool | str:
    if shutil.which("perf") is None:
        return "perf is not installed"
    done = _asked([*_PERF, "--delay=-1", "--", "true"])  # the option is as old as --control
    if done is None or done.returncode != 0:
        return "perf stat cannot be run"
    plain = _asked([*_PERF, "--", "true"])
    if plain is None or not _of_perf(plain.stderr):
        return f"perf: this machine does not count {_EVENT}"
    return Tool("perf")


def _callgrind() -> Tool | str:
    """Return callgrind, with the processor that it simulates: compiled kernels have to be made for that one.

    valgrind knows no AVX-512, and says so to programs. Kernels are kept by processor; those of this machine's own would
    not be looked for, and compiling in valgrind takes half an hour.
    """
    if platform.machine() != "x86_64":
        return f"callgrind: on {platform.machine()} it is not used"
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    done = _asked(["valgrind", "-q", "--tool=none", sys.executable, "-P", "-c", _PROCESSOR])
    lines = done.stdout.split() if done is not None and done.returncode == 0 else []
    if len(lines) != 2:
        return "valgrind cannot run this Python"
    return Tool("callgrind", {"NUMBA_CPU_NAME": lines[0], "NUMBA_CPU_FEATURES": lines[1]})


def _asked(words: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return None


def _of_perf(text: str) -> int:
    """Return the count in a table of ``perf stat -x,``; 0 where there is none."""
    for line in text.splitlines():
        value, *others = line.split(",")
        if _EVENT in others and value.isdigit():
            return int(value)
    return 0


def _of_callgrind(text: str) -> int:
    """Return the sum of all parts of a file of callgrind."""
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("totals: "))
