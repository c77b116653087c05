"""What a run of the gate found, as a file: every sample, every verdict, and the call stacks of what became slower."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from phasewise.bench.gate.counts import Counted, Counts
from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.measure import Judged
from phasewise.bench.gate.places import Place
from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.environment import describe_environment
from phasewise.profiling.errors import cannot_read
from phasewise.profiling.stacks import Folded


class Found(NamedTuple):
    """What a run of the gate found.

    Attributes
    ----------
    base
        Full hash of the commit that the tree was compared with.
    counts
        The second verdict; None where it was not asked for.
    """

    base: str
    cases: Sequence[Judged]
    places: Sequence[Place]
    counts: Counts | None = None


class CountRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The instructions of a case.

    Attributes
    ----------
    head, base
        Of all walks; 0 where ``absent`` says why they are not known.
    """

    verdict: str
    head: int
    base: int
    absent: str = ""


class CaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A case as it was measured and judged.

    Attributes
    ----------
    ratio
        CPU time of the head over that of the base: low, estimate, high.
    head_s, base_s
        A row of samples a worker pair, CPU seconds.
    head_counters, base_counters
        The work of a walk.
    head_stacks, base_stacks
        Sampled call stacks, one a process; empty where the case did not become slower.
    counts
        Its instructions; None where they were not asked for, or the case is not counted.
    """

    name: str
    verdict: str
    ratio: tuple[float, float, float]
    head_s: list[list[float]]
    base_s: list[list[float]]
    head_counters: dict[str, float]
    base_counters: dict[str, float]
    head_stacks: list[Folded] = []
    base_stacks: list[Folded] = []
    counts: CountRecord | None = None


class GateRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the gate.

    Attributes
    ----------
    kind
        What distinguishes this file from others.
    base
        Full hash of the base.
    environment
        Of the head: its commit and whether the tree was modified, machine, versions.
    counted_by
        What counted instructions: ``perf`` or ``callgrind``; empty where nothing did.
    counts_absent
        Why nothing did; empty where it was not asked for.
    """

    kind: Literal["phasewise gate"] = "phasewise gate"
    v: int = 1
    base: str
    environment: dict[str, Any]
    cases: list[CaseRecord]
    counted_by: str = ""
    counts_absent: str = ""


def record_of(found: Found) -> GateRecord:
    """Return what a run of the gate found as a record."""
    stacks = {place.case: place for place in found.places}
    counts = found.counts or Counts()
    return GateRecord(
        base=found.base,
        environment=describe_environment(),
        cases=[_case(case, stacks.get(name := case.measured.case.name), counts.of(name)) for case in found.cases],
        counted_by=counts.tool,
        counts_absent=counts.absent,
    )


def write_record(found: Found, path: Path) -> None:
    """Write what a run of the gate found as JSON; raises `OutputError` where it cannot be written."""
    write_atomically(path, msgspec.json.encode(record_of(found)))


def read_record(path: Path) -> GateRecord:
    """Return the record in a file.

    Raises
    ------
    RecordError
        Where it cannot be read.
    GateError
        Where it is none.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=GateRecord)
    except OSError as error:
        raise cannot_read(path, error) from error
    except msgspec.MsgspecError as error:
        raise GateError(
            f"{path}: not a record of the gate: {error}; `phasewise gate --json FILE` writes one"
        ) from error


def _case(case: Judged, place: Place | None, counted: Counted | None) -> CaseRecord:
    measured = case.measured
    low, estimate, high = case.ratio
    return CaseRecord(
        name=measured.case.name,
        verdict=str(case.verdict),
        ratio=(low, estimate, high),
        head_s=measured.head_s,
        base_s=measured.base_s,
        head_counters=measured.head_counters,
        base_counters=measured.base_counters,
        head_stacks=list(place.head) if place else [],
        base_stacks=list(place.base) if place else [],
        counts=_counts(counted) if counted else None,
    )


def _counts(counted: Counted) -> CountRecord:
    return CountRecord(verdict=str(counted.verdict), head=counted.head, base=counted.base, absent=counted.absent)
