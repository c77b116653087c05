"""What can be exported: a run directory, a record of the gate, results of the suite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from phasewise.bench.exports.content import Benchmark, Content, Sampled
from phasewise.bench.exports.errors import ExportError
from phasewise.bench.gate.record import CaseRecord, GateRecord, read_record
from phasewise.profiling.errors import cannot_read
from phasewise.profiling.stacks import Folded, read_folded
from phasewise.profiling.stats import Interval
from phasewise.reports.phase_costs import cpu_blocks
from phasewise.reports.run_directory import load_run

_RUN: Final = "run.json"
_STACKS: Final = "stacks.json"


class Side(StrEnum):
    """Of a record of the gate, whose figures."""

    HEAD = "head"
    BASE = "base"


class _Stats(msgspec.Struct):
    """Statistics of a case of the suite, CPU seconds a step; ``data`` are all walks, where they were kept."""

    median: float
    q1: float
    q3: float
    data: list[float] = []


class _Case(msgspec.Struct):
    param: str
    stats: _Stats
    extra_info: dict[str, int | float | str | None]


class _Results(msgspec.Struct):
    """Of the results of the suite, what can be exported."""

    environment: dict[str, Any]
    benchmarks: list[_Case]


def content_of(path: Path, side: Side = Side.HEAD) -> Content:
    """Return what is to be exported.

    Parameters
    ----------
    path
        A run directory, what ``phasewise gate --json`` wrote, or what ``make bench`` wrote.
    side
        Of the gate.

    Raises
    ------
    ExportError
        Where it is none of these.
    RecordError, RunDirectoryError, SamplingError
        Where it cannot be read.
    """
    if path.is_dir():
        if not (path / _RUN).is_file():
            raise ExportError(f"{path}: not a run directory: it has no {_RUN}")
        return _of_run(path)
    try:
        kinds = msgspec.json.decode(path.read_bytes(), type=dict[str, msgspec.Raw])
    except OSError as error:
        raise cannot_read(path, error) from error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        kinds = {}
    if "kind" in kinds:
        return _of_gate(path, read_record(path), side)
    if "benchmarks" in kinds:
        return _of_suite(path)
    raise ExportError(
        f"{path}: nothing that can be exported; expected a run directory, what `phasewise gate --json FILE` writes, or "
        "the results of `make bench`"
    )


def _of_run(path: Path) -> Content:
    """Return the phases of a run, a sample each stretch of rounds, and its stacks where it was profiled."""
    run, file = load_run(path), path / _STACKS
    blocks = cpu_blocks(run.rounds) if len(run.rounds) else {}
    return Content(
        source=str(path),
        environment=run.environment,
        benchmarks=[
            _benchmark(f"{run.scenario_name}/{name}", [list(each / 1e3)]) for name, each in blocks.items() if each.any()
        ],
        sampled=[Sampled(run.scenario_name, read_folded(file))] if file.is_file() else [],
        without_stacks="`phasewise profile` samples call stacks, `phasewise run` does not",
    )


def _of_gate(path: Path, record: GateRecord, side: Side) -> Content:
    environment = dict(record.environment)
    if side is Side.BASE:
        environment |= {"commit": record.base, "dirty": False}
    cases = [_of_side(case, side) for case in record.cases]
    return Content(
        source=str(path),
        environment=environment,
        benchmarks=[benchmark for benchmark, _ in cases],
        sampled=[Sampled(f"{benchmark.name}, {side}", _together(stacks)) for benchmark, stacks in cases if stacks],
        without_stacks="the gate samples call stacks of the cases that became slower, and none did",
    )


def _of_side(case: CaseRecord, side: Side) -> tuple[Benchmark, Sequence[Folded]]:
    """Return the samples of one of the two trees, and its sampled stacks."""
    if side is Side.HEAD:
        return _benchmark(case.name, case.head_s, case.head_counters), case.head_stacks
    return _benchmark(case.name, case.base_s, case.base_counters), case.base_stacks


def _of_suite(path: Path) -> Content:
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_Results)
    except msgspec.MsgspecError as error:
        raise ExportError(f"{path}: not results of the suite: {error}; make them with `make bench`") from error
    return Content(
        source=str(path),
        environment=found.environment,
        benchmarks=[
            Benchmark(
                case.param,
                [case.stats.data or [case.stats.median]],
                Interval(case.stats.q1, case.stats.median, case.stats.q3),
                _numbers(case.extra_info),
            )
            for case in found.benchmarks
        ],
        sampled=[],
        without_stacks="the suite samples no call stacks; export a profiled run or a record of the gate",
    )


def _benchmark(name: str, samples_s: Sequence[Sequence[float]], work: Mapping[str, float] | None = None) -> Benchmark:
    values = np.concatenate([np.asarray(row, dtype=np.float64) for row in samples_s])
    middle = Interval(*(float(value) for value in np.quantile(values, [0.25, 0.5, 0.75])))
    return Benchmark(name, samples_s, middle, work or {})


def _numbers(values: Mapping[str, int | float | str | None]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def _together(samplings: Sequence[Folded]) -> Folded:
    """Return the stacks of several processes as those of one."""
    frames = sorted({name for each in samplings for name in each.frames})
    place = {name: index for index, name in enumerate(frames)}
    spent: dict[tuple[int, ...], list[float]] = {}
    for each in samplings:
        for stack, cpu_s, wall_s in zip(each.stacks, each.cpu_s, each.wall_s, strict=True):
            total = spent.setdefault(tuple(place[each.frames[frame]] for frame in stack), [0.0, 0.0])
            total[0] += cpu_s
            total[1] += wall_s
    return Folded(
        samples=sum(each.samples for each in samplings),
        frames=frames,
        stacks=[list(stack) for stack in spent],
        cpu_s=[cpu_s for cpu_s, _ in spent.values()],
        wall_s=[wall_s for _, wall_s in spent.values()],
        tick_s=float(np.median([each.tick_s for each in samplings])),
        times=sum(each.times for each in samplings),
    )
