"""A process that does points, one after another: what they all load and compile is paid for once.

``python -P -m phasewise.bench.study.worker DESCRIPTOR`` reads orders, a JSON line each, from standard input, and writes
answers, likewise, to the descriptor: standard output belongs to whatever a solver has to say. It ends with its input,
and gives up its point where the process that started it is gone.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from phasewise.bench.cli.boundary import Interruption
from phasewise.bench.study.perform import perform, prepare_kernels_of
from phasewise.bench.study.points import Point
from phasewise.bench.study.records import Attempt
from phasewise.profiling.environment import release_memory
from phasewise.sched.simulate import Progress

CPU_SLACK: Final = 1.2  # a run ends itself at its limit, after the round; where a round does not end, the system does
CPU_SLACK_S: Final = 10.0
REPORT_S: Final = 1.0  # between two words on how far a point is


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to do: points to prepare the kernels of, or one to do, and where."""

    prepare: list[Point] = []
    point: Point | None = None
    run: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: kernels are there, a point is so far done, or it has ended."""

    prepared: bool = False
    share: float | None = None
    attempt: Attempt | None = None


def main() -> None:
    """Follow orders until there are no more, or a signal asks for the end."""
    for number in (signal.SIGUSR1, signal.SIGUSR2):  # SLURM's word that time is up, meant for who started us
        signal.signal(number, signal.SIG_IGN)
    with os.fdopen(int(sys.argv[1]), "wb", buffering=0) as answers:
        interruption, parent = Interruption(), os.getppid()
        with interruption.watched():
            for line in sys.stdin.buffer:
                order = msgspec.json.decode(line, type=Order)
                try:
                    _obey(order, answers, lambda: interruption.asked() or os.getppid() != parent)
                except KeyboardInterrupt:
                    return
                if interruption.asked():
                    return


def _obey(order: Order, answers: BinaryIO, interrupted: Callable[[], bool]) -> None:
    if order.point is None:
        prepare_kernels_of(order.prepare, interrupted)
        _tell(answers, Answer(prepared=True))
        return
    _limit_cpu(order.point)
    attempt = perform(order.point, Path(order.run), interrupted, _reporter(answers))
    release_memory()
    _tell(answers, Answer(attempt=attempt))


def _limit_cpu(point: Point) -> None:
    """Have the system end this process where a point takes far more CPU time than it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    limit_s = point.limits.cpu_s
    soft = hard if limit_s is None else int(time.process_time() + CPU_SLACK * limit_s + CPU_SLACK_S)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _reporter(answers: BinaryIO) -> Callable[[Progress], None]:
    last_s = time.monotonic()

    def report(progress: Progress) -> None:
        nonlocal last_s
        if progress.target and time.monotonic() - last_s >= REPORT_S:
            last_s = time.monotonic()
            _tell(answers, Answer(share=min(1.0, progress.completed / progress.target)))

    return report


def _tell(answers: BinaryIO, answer: Answer) -> None:
    answers.write(msgspec.json.encode(answer) + b"\n")


if __name__ == "__main__":
    main()
