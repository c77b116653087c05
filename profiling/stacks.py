"""Call stacks of a callable, sampled by the CPU time of this thread, each with the CPU and the wall time up to it.

The system's timer of CPU time sends a signal; Python takes it between two instructions, so the time of a call into
compiled code stands with the function that made it. A sampled run is for reading, never for timing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.errors import SamplingError
from phasewise.profiling.sampler import INTERVAL_S, Sampler, can_sample

Result = TypeVar("Result")


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """Sampled stacks, equal ones as one.

    Attributes
    ----------
    samples
        How many were taken.
    frames
        Functions, as ``module:name``.
    stacks
        Indices of frames, the outermost first, and of each stack in the same place:
    cpu_s, wall_s
        the seconds that passed up to its samples since those before.
    squares_s2
        Sums of the squares of the CPU seconds of each stack's samples: they say whether its time is of many samples or
        of one long compiled call. Empty where nobody noted them, as in files of earlier versions.
    tick_s
        CPU seconds that a sample usually stands for, the median; 0 where nobody noted them.
    times
        How often the work was done that was sampled: the rounds of a run, the walks of a benchmark case.
    """

    samples: int
    frames: list[str]
    stacks: list[list[int]]
    cpu_s: list[float]
    wall_s: list[float]
    squares_s2: list[float] = msgspec.field(default_factory=list)
    tick_s: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    times: Annotated[int, msgspec.Meta(ge=1)] = 1


def sample_folded(call: Callable[[], Result], interval_s: float = INTERVAL_S) -> tuple[Result, Folded]:
    """Return what ``call`` returns, and the stacks that were seen below it.

    Raises
    ------
    SamplingError
        Where `can_sample` says no.
    """
    if not can_sample():
        raise SamplingError("call stacks cannot be sampled: this system, or this thread, has no timer of CPU time")
    sampler = Sampler(interval_s)
    result = sampler.run(call)
    return result, Folded(**sampler.folded())


def write_folded(folded: Folded, path: Path | str) -> None:
    """Write stacks as JSON; raises `OutputError` where they cannot be written."""
    write_atomically(path, msgspec.json.encode(folded))


def read_folded(path: Path) -> Folded:
    """Return the stacks of a file.

    Raises
    ------
    SamplingError
        Where it cannot be read, or holds something else.
    """
    try:
        folded = msgspec.json.decode(path.read_bytes(), type=Folded)
    except (OSError, msgspec.MsgspecError) as error:
        raise SamplingError(f"{path}: the sampled call stacks cannot be read: {error}") from error
    if not _fits(folded):
        raise SamplingError(f"{path}: the sampled call stacks do not fit together")
    return folded


def _fits(folded: Folded) -> bool:
    """Return whether each stack is of frames that are there and has its seconds, and squares where it has time."""
    known, squares_s2 = range(len(folded.frames)), folded.squares_s2 or folded.cpu_s
    rows = len(folded.stacks)
    if not rows == len(folded.cpu_s) == len(folded.wall_s) == len(squares_s2):
        return False
    if any(value < 0.0 for value in (*folded.cpu_s, *folded.wall_s, *squares_s2)):
        return False
    if any(cpu_s > 0.0 == square_s2 for cpu_s, square_s2 in zip(folded.cpu_s, squares_s2, strict=True)):
        return False
    return all(stack and all(index in known for index in stack) for stack in folded.stacks)
