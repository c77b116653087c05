"""What the gate measures and what it tolerates: `bench/gate.toml`, each limit with its reason."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from phasewise.bench.gate.errors import GateError
from phasewise.profiling.errors import cannot_read

LIMITS_FILE: Final = Path(__file__).resolve().parents[1] / "gate.toml"
Kind = TypeVar("Kind")
_FULL_HASH: Final = re.compile(r"[0-9a-f]{40}")


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file; a key that it does not know is an error."""


class Base(_Strict, frozen=True):
    """The commit that this tree is compared with.

    Attributes
    ----------
    commit
        Its full hash.
    reason
        Why it is this one; a commit that moves it says so here too.
    """

    commit: str
    reason: str


class _BaseAlone(msgspec.Struct, frozen=True):
    """A file of which nothing but the base is looked at."""

    base: Base


class Sampling(_Strict, frozen=True):
    """How much is measured.

    Attributes
    ----------
    pairs
        Pairs of worker processes, one of each tree; at least 4.
    samples
        Samples that each worker takes of a case; at least 12.
    again
        How often as much is taken once more where a case is undecided.
    """

    pairs: int
    samples: int
    again: int
    reason: str


class Band(_Strict, frozen=True):
    """When a case is slower: fractions of the base's CPU time.

    Attributes
    ----------
    low_above, estimate_above
        A case is slower where the lower end of its interval and the estimate are above these.
    undecided_above
        Where the estimate is above this and the case not slower, more is sampled, once.
    level
        Of the interval.
    """

    low_above: float
    estimate_above: float
    undecided_above: float
    level: float
    reason: str


class CounterKind(StrEnum):
    """What a difference in a counter means."""

    WORK = "work"  # more of it is slower
    INSTANCE = "instance"  # a difference means that the trees did not do the same


class CounterLimit(_Strict, frozen=True):
    """What a counter may differ by.

    Attributes
    ----------
    within
        Fraction of the base's count that the head's may be above it (work), or away from it (instance).
    """

    kind: CounterKind
    within: float
    reason: str


class CountLimit(_Strict, frozen=True):
    """What the instructions of a case may differ by: a fraction of the base's count."""

    within: float
    reason: str


class GateCase(_Strict, frozen=True):
    """A case of the catalogue that the gate measures.

    Attributes
    ----------
    name
        As the catalogue has it.
    steps
        Instances of a walk; None for as many as the suite walks over.
    walks
        Walks of a sample, for a case whose walk is short.
    counted
        Whether its instructions are counted where that is asked for: it is short enough.
    """

    name: str
    reason: str
    steps: int | None = None
    walks: int = 1
    counted: bool = False


class Limits(_Strict, frozen=True):
    """The whole file; without ``counts``, no instructions are counted."""

    base: Base
    sampling: Sampling
    band: Band
    counters: dict[str, CounterLimit]
    cases: tuple[GateCase, ...]
    counts: CountLimit | None = None


def load_limits(path: Path = LIMITS_FILE) -> Limits:
    """Return the limits of a file.

    Raises
    ------
    GateError
        Where the file is not as it has to be; the message says where.
    phasewise.profiling.errors.RecordError
        Where it cannot be read.
    """
    limits = _read(path, Limits)
    for holds, where, allowed in _rules(limits):
        if not holds:
            raise GateError(f"{path}: {where}; allowed: {allowed}")
    return limits


def load_base(path: Path) -> Base:
    """Return the base that a file names, whatever else is in it: the file may be of another version.

    Raises
    ------
    GateError
        Where it names none.
    phasewise.profiling.errors.RecordError
        Where it cannot be read.
    """
    return _read(path, _BaseAlone).base


def _read(path: Path, kind: type[Kind]) -> Kind:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise cannot_read(path, error) from error
    except msgspec.MsgspecError as error:
        raise GateError(f"{path}: {error}") from error


def _rules(limits: Limits) -> list[tuple[bool, str, str]]:
    """Return for every rule of the file whether it holds, what breaks it, and what is allowed."""
    base, sampling, band = limits.base, limits.sampling, limits.band
    names = [case.name for case in limits.cases]
    reasons = {
        "base": base.reason,
        "sampling": sampling.reason,
        "band": band.reason,
        **{f"counters.{name}": limit.reason for name, limit in limits.counters.items()},
        **{f"cases: {case.name}": case.reason for case in limits.cases},
        **({"counts": limits.counts.reason} if limits.counts else {}),
    }
    bare = [where for where, reason in reasons.items() if not reason.strip()]
    ordered = 0.0 <= band.undecided_above <= band.estimate_above and band.low_above >= 0.0
    least = min((min(1 if case.steps is None else case.steps, case.walks) for case in limits.cases), default=1)
    within = {f"counters.{name}": limit.within for name, limit in limits.counters.items()}
    within |= {"counts": limits.counts.within} if limits.counts else {}
    negative = [name for name, fraction in within.items() if not 0.0 <= fraction < 1.0]
    return [
        (bool(_FULL_HASH.fullmatch(base.commit)), f"base.commit is {base.commit!r}", "the 40 hex digits of a commit"),
        (sampling.pairs >= 4, f"sampling.pairs is {sampling.pairs}", "at least 4"),
        (sampling.samples >= 12, f"sampling.samples is {sampling.samples}", "at least 12"),
        (sampling.again >= 0, f"sampling.again is {sampling.again}", "at least 0"),
        (ordered, "the limits of [band] are not in order", "0 <= undecided_above <= estimate_above"),
        (0.5 < band.level < 1.0, f"band.level is {band.level:g}", "between 0.5 and 1"),
        (bool(names), "there are no cases", "at least one [[cases]]"),
        (len(set(names)) == len(names), "a case is named twice", "each case once"),
        (least >= 1, "steps or walks of a case are below 1", "at least 1"),
        (not negative, f"{', '.join(negative)}: within", "from 0 to below 1"),
        (not bare, f"{', '.join(bare)}: the reason is empty", "a reason for every limit"),
    ]
