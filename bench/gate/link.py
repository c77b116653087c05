"""The gate's end of a worker: a live process that runs the code of one tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.limits import GateCase
from phasewise.bench.gate.worker import PROTOCOL

_WORKER: Final = "phasewise.bench.gate.worker"
_PINNED: Final = {  # one thread, and the same order of every set and dictionary of strings
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}
_PATIENCE_S: Final = 5.0  # for a worker to end by itself
_LAST_WORDS: Final = 12  # lines


@dataclass(frozen=True, slots=True)
class Tree:
    """A version of the code.

    Attributes
    ----------
    name
        What messages call it: head or base.
    root
        Folder with its packages and its ``.namespace``.
    """

    name: str
    root: Path


class Link:
    """A worker process of one tree; a context manager that ends it."""

    def __init__(self, tree: Tree, folder: Path) -> None:
        """Start a worker of ``tree``; ``folder`` is where it runs, and keeps the tapes of the suite."""
        self.tree = tree
        self._doing = "starting"
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  (closed in __exit__)
        # -S leaves out the site's path files, and so an editable installation: it would lend a tree what that lacks.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-S", "-m", _WORKER],
            cwd=folder,
            env=environment(tree),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill() if error is not None else self._close()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()

    def ask(self, doing: str, **request: Any) -> None:
        """Send a request; ``doing`` is what messages call it."""
        self._doing = doing
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # then the answer is missing, and says why
            print(json.dumps(request), file=self._process.stdin, flush=True)

    def answer(self) -> Mapping[str, Any]:
        """Return the answer to the request; raise `GateError` where the worker ended or cannot meet it."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise GateError(
                f"{self.tree.name}: {self._doing}: the worker ended (code {self._process.returncode}): {self._words()}"
            )
        answer: dict[str, Any] = json.loads(line)
        if "wrong" in answer:
            raise GateError(f"{self.tree.name}: {self._doing}: {answer['wrong']}")
        if foreign := answer.get("foreign"):
            raise GateError(f"{self.tree.name}: {self._doing}: code of another tree was loaded: {', '.join(foreign)}")
        return answer

    def hello(self) -> Mapping[str, Any]:
        """Return the environment of the worker; raise `GateError` where it speaks another protocol."""
        self.ask("greeting", do="hello")
        answer = self.answer()
        if answer["protocol"] != PROTOCOL:
            raise GateError(
                f"{self.tree.name}: its worker speaks protocol {answer['protocol']}, this gate {PROTOCOL}; "
                "move the base to a commit that speaks the same"
            )
        environment: Mapping[str, Any] = answer["environment"]
        return environment

    def ask_open(self, case: GateCase) -> None:
        """Ask the worker to open a case; `answer` says when it has."""
        self.ask(case.name, do="open", case=case.name, steps=case.steps, walks=case.walks)

    def sample(self, case: GateCase) -> tuple[float, dict[str, float]]:
        """Return CPU seconds and counters of one sample of the open case."""
        self.ask(case.name, do="sample")
        answer = self.answer()
        return float(answer["cpu_s"]), dict(answer["counters"])

    def _close(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _words(self) -> str:
        """Return the last that the worker said."""
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()[-_LAST_WORDS:]
        return "\n".join(["", *lines]) if len(lines) > 1 else "".join(lines) or "it said nothing"


def environment(tree: Tree) -> dict[str, str]:
    """Return the variables of a worker: the tree's code first, then what is installed beside this interpreter."""
    installed = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    paths = [str(tree.root / ".namespace"), *installed]
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "NUMBA_CACHE_DIR" or not name.startswith(("PYTHON", "NUMBA_", "LINE_PROFILE"))
    }
    return {**kept, **_PINNED, "PYTHONPATH": os.pathsep.join(paths)}
