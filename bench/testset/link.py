"""The test set's end of a worker: started when it is needed, ended when it hangs, and started again."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from phasewise.bench.testset.judging import Reached
from phasewise.bench.testset.worker import STARTING_S

_PINNED: Final = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_MARGIN_S: Final = 30.0
_TIMES: Final = 20.0
"""How much longer than its CPU limit a problem may take by the clock on the wall: one that waits uses no CPU time."""


class Link:
    """A worker process for one backend; a context manager that ends it.

    Parameters
    ----------
    backend
        Its name.
    times
        How many times a limit of CPU time may take by the clock on the wall.
    """

    def __init__(self, backend: str, times: float = _TIMES, margin_s: float = _MARGIN_S) -> None:
        self._backend, self._times, self._margin_s = backend, times, margin_s
        self._process: subprocess.Popen[bytes] | None = None
        self._read = b""
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  (closed in __exit__)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._errors.close()

    def figures(self, instance: str, tape: Path, mode: str, limit_s: float) -> dict[str, Any]:
        """Return the measured columns of a row; where the worker does not live to tell, that and why."""
        process = self._alive()
        request = {"backend": self._backend, "instance": instance, "tape": str(tape), "mode": mode, "limit_s": limit_s}
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return self._ended("before the first problem", limit_s)
        doing = "starting"
        while True:
            line = self.line(process, self._patience(doing, limit_s))
            if line is None:
                self._end()
                return _nothing(Reached.LIMIT, f"{doing}: no end within {self._patience(doing, limit_s):.0f} s")
            if not line:
                return self._ended(doing, limit_s)
            said = json.loads(line)
            if "row" in said:
                row: dict[str, Any] = said["row"]
                return row
            doing = "loading and compiling" if said["problem"] < 0 else f"problem {said['problem']}"

    def _patience(self, doing: str, limit_s: float) -> float:
        """Return the seconds by the clock on the wall after which a worker is taken for one that hangs."""
        starting = 0.0 if doing.startswith("problem") else STARTING_S
        return self._margin_s + self._times * (limit_s + starting)

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "phasewise.bench.testset.worker"],
                env={**os.environ, **_PINNED},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
            )
        return self._process

    def line(self, process: subprocess.Popen[bytes], patience_s: float) -> bytes | None:
        """Return the next line, empty where the worker has ended, or None where none comes in time.

        Lines that came together are kept here, not in a buffer of the stream, of which the system would know nothing.
        """
        assert process.stdout is not None
        until_s = time.monotonic() + patience_s
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._read:
                if not selector.select(max(0.0, until_s - time.monotonic())):
                    return None
                content = os.read(process.stdout.fileno(), 1 << 16)
                if not content:
                    return b""
                self._read += content
        line, _, self._read = self._read.partition(b"\n")
        return line

    def _ended(self, doing: str, limit_s: float) -> dict[str, Any]:
        """Return what the end of a worker means: it was out of time, or it failed."""
        assert self._process is not None
        code = self._process.wait()
        self._end()
        if code in {-signal.SIGXCPU, -signal.SIGKILL} and doing != "starting":
            spent = f"{limit_s + (0.0 if doing.startswith('problem') else STARTING_S):g} s of CPU"
            return _nothing(Reached.LIMIT, f"{doing}: ended by the system; allowed {spent}")
        return _nothing(Reached.FAILED, f"{doing}: the worker ended (code {code}): {self._words()}")

    def _words(self) -> str:
        """Return the last line that a worker said."""
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1][:300] if lines else "it said nothing"

    def _end(self) -> None:
        process, self._process, self._read = self._process, None, b""
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue


def _nothing(reached: Reached, message: str) -> dict[str, Any]:
    """Return the measured columns of a walk of which nothing is left."""
    return {
        "problems": 0,
        "cpu_ms": None,
        "cpu_ms_max": None,
        "objective": None,
        "gap": None,
        "violation": None,
        "tolerance": str(reached),
        "failures": 1,
        "message": message,
    }
