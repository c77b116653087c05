"""A process that walks over a case of one tree while a tool outside of it counts the instructions of its walks.

``python -P -S HEAD/bench/gate/count_worker.py CASE STEPS WALKS MARK``, STEPS 0 for all of the case's own, with the
tree's ``.namespace`` first on ``PYTHONPATH``. MARK says how the tool is told when a walk begins and ends:
``callgrind``, ``none`` (nobody counts), or a folder with the pipes ``control`` and ``told`` of ``perf stat --control``.
This file is the head's for both trees, as the base may be older: nothing is imported from the tree but the case.
"""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

Mark = Callable[[], object]

_START, _STOP = 0x43540004, 0x43540005  # CALLGRIND_START_INSTRUMENTATION and CALLGRIND_STOP_INSTRUMENTATION
_REQUEST: Final = bytes.fromhex(
    "4889f8"  # mov rax, rdi: where the request and its arguments are
    "31d2"  # xor edx, edx: the answer where nobody listens
    "48c1c703 48c1c70d 48c1c73d 48c1c733"  # rol rdi by 3, 13, 61, 51, so by nothing: what valgrind looks for
    "4887db"  # xchg rbx, rbx: make the request
    "4889d0 c3"  # mov rax, rdx; ret
)
"""A client request of valgrind as a function of one pointer, for x86-64. Source: valgrind.h 3.19 (BSD licence)."""


def no_marks() -> tuple[Mark, Mark]:
    """Return what tells nobody."""
    return (lambda: None), (lambda: None)


def callgrind_marks() -> tuple[Mark, Mark]:
    """Return what starts and stops callgrind's counting; neither does anything where it does not run."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(_REQUEST)
    held = ctypes.c_char.from_buffer(page)  # as long as this lives, the page does
    request = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)(ctypes.addressof(held))

    def marked(code: int) -> Mark:
        arguments = (ctypes.c_uint64 * 6)(code)

        def mark() -> None:
            assert held is not None
            request(ctypes.addressof(arguments))

        return mark

    return marked(_START), marked(_STOP)


def perf_marks(folder: Path) -> tuple[Mark, Mark]:
    """Return what enables and disables the events of ``perf stat --control``, each when perf says that it has."""
    control = os.open(folder / "control", os.O_WRONLY)
    told = os.open(folder / "told", os.O_RDONLY)

    def marked(word: bytes) -> Mark:
        def mark() -> None:
            os.write(control, word)
            os.read(told, 16)

        return mark

    return marked(b"enable\n"), marked(b"disable\n")


def walk_over(subject: Any, walks: int, start: Mark, stop: Mark) -> None:
    """Walk over a case, with everything but the walks themselves outside of what is counted."""
    subject.check(subject.prepare()())  # everything is loaded and compiled
    gc.collect()
    gc.freeze()
    for _ in range(walks):
        walk = subject.prepare()
        gc.collect()
        gc.disable()  # when it runs depends on what was allocated since the process began
        start()
        answer = walk()
        stop()
        gc.enable()
        subject.check(answer)


def main() -> None:
    """Walk; what solvers print goes to standard error."""
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    name, steps, walks, mark = sys.argv[1:]
    from phasewise.bench.subjects.catalogue import catalogue

    case = catalogue()[name]
    subject = case.shorter(int(steps)) if int(steps) and case.shorter is not None else case.make()
    marks = {"none": no_marks, "callgrind": callgrind_marks}
    walk_over(subject, int(walks), *(marks[mark]() if mark in marks else perf_marks(Path(mark))))


if __name__ == "__main__":
    main()
