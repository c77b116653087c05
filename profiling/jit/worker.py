"""A process that compiles kernels and keeps them: started by `prepare`, apart from what is measured.

Several may be at work at once, also those of other runs: each group of kernels is made by whoever claims it first.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, NamedTuple

from phasewise.profiling import own_files
from phasewise.profiling.errors import OwnFileError
from phasewise.profiling.jit.kernel import Wanted
from phasewise.profiling.jit.store import Store, used


class WorkOrder(NamedTuple):
    """What a worker is to do.

    Attributes
    ----------
    path
        Where modules are found (`sys.path`).
    own
        Names of files, as `phasewise.profiling.own_files` has them, of which kernels, or their signatures, are made.
    store
        Where kernels are kept.
    kernels
        By group: module and name of each function, and its signature, pickled.
    """

    path: list[str]
    own: list[str]
    store: Store
    kernels: dict[str, list[tuple[str, str, bytes]]]


def main() -> None:
    """Compile what is ordered on standard input."""
    order: WorkOrder = pickle.load(sys.stdin.buffer)
    sys.path[:] = order.path
    for name in order.own:
        with suppress(OwnFileError):  # of those that are gone by now, no kernel may be wanted
            own_files.load(name)
    with used(order.store):
        left = [group for group in order.kernels if not _made(order, group, wait=False)]
        for group in left:  # others are at it; where they were stopped, it is for this process to do
            _made(order, group, wait=True)


def _made(order: WorkOrder, group: str, *, wait: bool) -> bool:
    """Return whether a group could be claimed; make what is missing of it."""
    with order.store.claimed(group, wait=wait) as claimed:
        if claimed:
            make(order.kernels[group])
    return claimed


def make(kernels: Sequence[tuple[str, str, bytes]]) -> None:
    """Load or compile kernels."""
    for module, name, signature in kernels:
        kernel: Any = attrgetter(name)(importlib.import_module(module))
        kernel.result_for(pickle.loads(signature))


def ordered(wanted: Wanted) -> tuple[str, str, bytes]:
    """Return a kernel as an order names it."""
    function = wanted.kernel.py_func
    return function.__module__, function.__qualname__, pickle.dumps(wanted.signature)


if __name__ == "__main__":
    main()
