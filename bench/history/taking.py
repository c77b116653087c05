"""What becomes a measurement: a case of the gate, a case of the suite's results."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from phasewise.bench.gate.measure import Judged
from phasewise.bench.gate.trees import git
from phasewise.bench.history.commits import Commit, described
from phasewise.bench.history.errors import HistoryError
from phasewise.bench.history.measurements import Kind, Measurement, append, machine_of
from phasewise.profiling.environment import describe_environment
from phasewise.profiling.errors import cannot_read

_NOTCH = 1.57  # times the quartiles' distance over sqrt(n): about a 95 % interval of a median (McGill et al., 1978)

_Positive = Annotated[float, msgspec.Meta(gt=0.0)]


class _Stats(msgspec.Struct):
    """Statistics of a case: CPU seconds of a step, over so many walks."""

    median: _Positive
    q1: _Positive
    q3: _Positive
    rounds: Annotated[int, msgspec.Meta(ge=1)]


class _Case(msgspec.Struct):
    """A case, as pytest-benchmark writes it."""

    param: str
    stats: _Stats
    extra_info: dict[str, int | float | str | None]


class _Results(msgspec.Struct):
    """Of the results of the suite, what a history takes."""

    environment: dict[str, Any]
    yardstick_s: _Positive
    benchmarks: list[_Case]


def require_commit(root: Path) -> None:
    """Raise `HistoryError` where the checkout at ``root`` has uncommitted changes: no commit has its figures."""
    if git(root, "status", "--porcelain", "--untracked-files=no"):
        raise HistoryError("this checkout has changes that are not committed, and a history is one of commits")


def keep_gate(folder: Path, root: Path, base: str, cases: Sequence[Judged]) -> Path:
    """Add the cases of a run of the gate to the history in ``folder``, and return the file.

    Raises
    ------
    HistoryError
        Where the checkout at ``root`` has changes that are not committed: no commit has those figures.
    """
    require_commit(root)
    commit, environment = described(root, "HEAD"), describe_environment()
    return append(folder, machine_of(environment), [of_gate(case, commit, base, environment) for case in cases])


def keep_results(folder: Path, root: Path, results: Path) -> tuple[Path, int]:
    """Add the results of the suite, as `make bench` writes them, to the history; return the file and how many.

    Raises
    ------
    HistoryError
        Where they are no such results, or of a checkout with changes that were not committed.
    RecordError
        Where they cannot be read.
    """
    try:
        found = msgspec.json.decode(results.read_bytes(), type=_Results)
    except OSError as error:
        raise cannot_read(results, error) from error
    except msgspec.MsgspecError as error:
        raise HistoryError(f"{results}: not results of the suite: {error}; make them with `make bench`") from error
    environment = found.environment
    if environment.get("commit") is None or environment.get("dirty"):
        raise HistoryError(
            f"{results}: of a checkout with changes that were not committed; a history is one of commits"
        )
    commit = described(root, environment["commit"])
    kept = [_of_suite(case, commit, found.yardstick_s, environment) for case in found.benchmarks]
    return append(folder, machine_of(environment), kept), len(kept)


def of_gate(case: Judged, commit: Commit, base: str, environment: Mapping[str, Any]) -> Measurement:
    """Return a case of the gate as a measurement of ``commit`` against ``base``."""
    low, estimate, high = (math.log(value) for value in case.ratio)
    measured = case.measured
    return Measurement(
        kind=Kind.GATE,
        case=measured.case.name,
        commit=commit.name,
        committed_s=commit.committed_s,
        subject=commit.subject,
        measured_s=time.time(),
        log=estimate,
        low=low,
        high=high,
        cpu_ms=1e3 * float(np.median(measured.head_s)),
        base=base,
        counters=measured.head_counters,
        packages=environment["packages"],
    )


def _of_suite(case: _Case, commit: Commit, spin_s: float, environment: Mapping[str, Any]) -> Measurement:
    stats = case.stats
    margin = _NOTCH * (stats.q3 - stats.q1) / math.sqrt(stats.rounds)
    return Measurement(
        kind=Kind.SUITE,
        case=case.param,
        commit=commit.name,
        committed_s=commit.committed_s,
        subject=commit.subject,
        measured_s=time.time(),
        log=math.log(stats.median / spin_s),
        low=math.log(max(stats.median - margin, 0.5 * stats.median) / spin_s),
        high=math.log((stats.median + margin) / spin_s),
        cpu_ms=1e3 * stats.median,
        counters={name: float(value) for name, value in case.extra_info.items() if isinstance(value, (int, float))},
        packages=environment["packages"],
    )
