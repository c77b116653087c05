"""A worker of the gate: one process that walks over cases of one tree and says what CPU time it took.

``python -P -S -m phasewise.bench.gate.worker`` with the tree's ``.namespace`` first on ``PYTHONPATH``. A request is a
line of JSON on standard input, and so is its answer on standard output:

    {"do": "hello"}                                        -> {"protocol", "environment"}
    {"do": "open", "case": NAME, "steps": N, "walks": N}   -> {"foreign": modules that are not of this tree}
    {"do": "sample"}                                       -> {"cpu_s", "counters"}

``{"wrong": TEXT}`` answers a request that cannot be met. Anything unforeseen ends the process with a traceback.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

PROTOCOL: Final = 1
ROOT: Final = Path(__file__).resolve().parents[2]

Request = Mapping[str, Any]
Reply = dict[str, Any]


class Worker:
    """The case that is open, and what answers requests."""

    def __init__(self) -> None:
        self._subject: Any = None
        self._walks = 1

    def answer(self, request: Request) -> Reply:
        """Return the answer to a request."""
        from phasewise.bench.subjects.api import WrongAnswerError

        try:
            match request["do"]:
                case "hello":
                    return self._hello()
                case "open":
                    return self._open(request["case"], request["steps"], request["walks"])
                case "sample":
                    return self._sample()
        except WrongAnswerError as error:
            return {"wrong": str(error)}
        return {"wrong": f"this worker knows no request {request['do']!r}"}

    @staticmethod
    def _hello() -> Reply:
        from phasewise.profiling.environment import describe_environment

        environment = describe_environment()
        return {"protocol": PROTOCOL, "environment": {**environment, "commit": None, "dirty": None, "version": None}}

    def _open(self, name: str, steps: int | None, walks: int) -> Reply:
        """Make a case, and sample it once so that everything is loaded and compiled."""
        from phasewise.bench.subjects.catalogue import catalogue

        case = catalogue().get(name)
        if case is None:
            return {"wrong": "there is no such case"}
        if steps is not None and case.shorter is None:
            return {"wrong": f"its steps cannot be chosen; they are {case.steps}"}
        gc.unfreeze()
        self._subject, self._walks = None, walks
        self._subject = case.make() if steps is None or case.shorter is None else case.shorter(steps)
        if "wrong" in (first := self._sample()):
            return first
        gc.collect()
        gc.freeze()  # what lives as long as the case is not looked through again at every collection
        return {"foreign": foreign_modules()}

    def _sample(self) -> Reply:
        """Walk over the case as often as a sample takes, and check every answer outside of what is measured."""
        cpu_s, counters = 0.0, None
        for _ in range(self._walks):
            walk = self._subject.prepare()
            gc.collect()
            began_s = time.process_time()
            answer = walk()
            cpu_s += time.process_time() - began_s
            self._subject.check(answer)
            found = dict(self._subject.counters(answer))
            if counters not in (None, found):
                return {"wrong": f"two walks over the same did not do the same work: {counters} and {found}"}
            counters = found
        return {"cpu_s": cpu_s, "counters": counters}


def foreign_modules() -> list[str]:
    """Return the modules of this project that were not loaded from this worker's tree, with their files."""
    ours = {name: module for name, module in sys.modules.items() if name.startswith("phasewise.")}
    files = {name: getattr(module, "__file__", None) for name, module in ours.items()}
    return [
        f"{name} ({file})"
        for name, file in sorted(files.items())
        if file is not None and not Path(file).resolve().is_relative_to(ROOT)
    ]


def serve(requests: Iterable[str], answers: TextIO) -> None:
    """Answer every request, in order."""
    worker = Worker()
    for line in requests:
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)


def main() -> None:
    """Serve standard input; what solvers print goes to standard error, out of the way of the answers."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
