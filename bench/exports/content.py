"""What was measured, whatever measured it: benchmarks with their samples, and sampled call stacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phasewise.profiling.stacks import Folded
from phasewise.profiling.stats import Interval


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A measured case.

    Attributes
    ----------
    name
        Of the case, or of a phase of a run.
    samples_s
        A row of CPU seconds for each process.
    estimate_s
        The median with the ends of its interval or, where there are none, of the middle half of the samples.
    work
        Counters, the same on every machine.
    """

    name: str
    samples_s: Sequence[Sequence[float]]
    estimate_s: Interval
    work: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sampled:
    """Call stacks and whose they are."""

    name: str
    stacks: Folded


@dataclass(frozen=True, slots=True)
class Content:
    """What a file or a folder holds.

    Attributes
    ----------
    source
        Its path, for messages.
    environment
        What made the figures.
    benchmarks, sampled
        What there is; each may be empty.
    without_stacks
        What has to be done so that there are call stacks.
    """

    source: str
    environment: Mapping[str, Any]
    benchmarks: Sequence[Benchmark]
    sampled: Sequence[Sampled]
    without_stacks: str
