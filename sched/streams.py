"""Every random stream of a run in one place: who draws from which, and how each follows from the seed.

A stream belongs to one part of the simulation, so that what one part draws never moves another. What is drawn once,
before the first round (the jobs active at time 0), or by itself (a policy's draw for a job, from the seed and the job's
id) leaves nothing behind and has no stream. A policy that draws on remembers where its own stream stands.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

# The original's offsets from the seed.
JOBS_OFFSET: Final = 2
GAPS_OFFSET: Final = 3
TYPES_OFFSET: Final = 5
SLOS_OFFSET: Final = 6
_VERSION: Final = 3  # of the state of `random.Random`
PLACEMENT_KEY: Final = 5  # beside the seed, in a SeedSequence: apart from the others

# The placement's stream is two multiplicative generators whose difference has a period of 2.3e18 (L'Ecuyer 1988);
# integers only, so that compiled code and NumPy draw the same.
MODULUS: Final = (2_147_483_563, 2_147_483_399)
FACTOR: Final = (40_014, 40_692)


@dataclass(slots=True)
class Streams:
    """The random streams of a run; drawing advances them in place.

    Attributes
    ----------
    jobs, gaps
        What generated jobs are, and the time between two of them.
    slos
        What duration each generated job is promised, where they are.
    types
        The order of worker types, for policies that have it shuffled.
    placement
        (2,) int64: nodes and GPUs, for placements that draw them (`phasewise.sched.placement.random.draw`).
    """

    jobs: random.Random
    gaps: random.Random
    slos: random.Random
    types: random.Random
    placement: Ints

    @classmethod
    def of(cls, seed: int) -> Streams:
        """Return the streams of a seed, none of which was drawn from."""
        return cls(
            jobs=random.Random(seed + JOBS_OFFSET),
            gaps=random.Random(seed + GAPS_OFFSET),
            slos=random.Random(seed + SLOS_OFFSET),
            types=random.Random(seed + TYPES_OFFSET),
            placement=placement_stream(seed),
        )


def own_stream(seed: int, words: Ints | None) -> random.Random:
    """Return a policy's own stream, as it stands in ``words`` (625,); None: of a seed, as the original's policies'."""
    stream = random.Random(seed)
    if words is not None:
        stream.setstate((_VERSION, tuple(words.tolist()), None))
    return stream


def stream_words(stream: random.Random) -> Ints:
    """Return (625,) where a policy's own stream stands, for it to remember."""
    return np.array(stream.getstate()[1], np.int64)


def placement_stream(seed: int) -> Ints:
    """Return (2,) the start of the placement's stream."""
    first = np.random.default_rng(np.random.SeedSequence([seed, PLACEMENT_KEY]))
    return first.integers(1, MODULUS[1], 2)
