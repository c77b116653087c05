"""How fast each job type runs on each worker type."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.names import nearest, quoted
from phasewise.sched.errors import ScenarioError, TraceError
from phasewise.sched.reading.csv_tables import csv_records
from phasewise.sched.reading.faults import Fault, render
from phasewise.sched.reading.fields import decoded_lines, number, positive_integer
from phasewise.sched.reading.recognise import THROUGHPUTS

Floats = npt.NDArray[np.float64]
Key = tuple[str, int]

TABLES = Path(__file__).resolve().parent.parent / "data"
BUILTIN = TABLES / "gavel_throughputs.csv"
MULTIPLES = TABLES / "gpu_type_speeds.csv"
COLUMNS = ("job_type", "scale_factor", "gpu_type", "steps_per_second")


@dataclass(frozen=True)
class ThroughputView:
    """A throughput table in the order of a cluster's worker types.

    Attributes
    ----------
    source
        Where the figures come from, for messages.
    worker_types
        (W,) names.
    rows
        (R, W) float64, read-only: steps/s of the whole job; 0 where it cannot run, NaN where the table says nothing.
    """

    source: str
    worker_types: tuple[str, ...]
    rows: Floats
    _index: dict[Key, int]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The job type of each row, (R,)."""
        return tuple(job_type for job_type, _ in sorted(self._index))

    def items(self) -> Iterator[tuple[Key, list[float]]]:
        """Yield every job type and scale factor with its steps/s, (W,)."""
        for key, row in sorted(self._index.items()):
            yield key, self.rows[row].tolist()

    def job_types(self) -> list[str]:
        """Return the job types, sorted."""
        return sorted({job_type for job_type, _ in self._index})

    def mean_rates(self) -> dict[str, float]:
        """Return the mean steps/s of all rows on each worker type, for a preference among types."""
        means = np.nanmean(self.rows, axis=0) if len(self.rows) else np.zeros(len(self.worker_types))
        return dict(zip(self.worker_types, map(float, means), strict=True))

    def index(self, job_type: str, scale_factor: int) -> int:
        """Return the row of a job type at a scale factor.

        Raises
        ------
        ValueError
            Where the table has no such row, or says nothing of one of the worker types.
        """
        row = self._index.get((job_type, scale_factor))
        if row is None:
            raise ValueError(self._unknown(job_type, scale_factor))
        if np.isnan(self.rows[row]).any():
            gaps = [name for name, rate in zip(self.worker_types, self.rows[row], strict=True) if math.isnan(rate)]
            raise ValueError(
                f"{self.source} has no throughput for {job_type!r} with scale factor {scale_factor} "
                f"on {', '.join(gaps)}; add a row (0 where it cannot run)"
            )
        return row

    def row(self, job_type: str, scale_factor: int) -> Floats:
        """Return the throughputs of a job type at a scale factor, (W,) float64, steps/s; raises as `index` does."""
        rates: Floats = self.rows[self.index(job_type, scale_factor)]
        return rates

    def _unknown(self, job_type: str, scale_factor: int) -> str:
        factors = sorted(factor for name, factor in self._index if name == job_type)
        if not factors:
            types = self.job_types()
            listed = ", ".join(types) if len(types) <= 8 else f"the {len(types)} job types of {self.source}"
            near = nearest(job_type, types)
            return f"unknown job type {quoted(job_type)}{near}; allowed: {listed} (--throughputs FILE.csv gives others)"
        allowed = ", ".join(map(str, factors))
        return f"scale factor is {scale_factor} for {quoted(job_type)}; allowed by {self.source}: {allowed}"


@dataclass(frozen=True)
class ThroughputTable:
    """Isolated throughputs by job type, scale factor and worker type.

    Attributes
    ----------
    source
        Where the figures come from, for messages.
    worker_types
        (T,) names, alphabetical.
    rates
        (R, T) float64, steps/s of the whole job; 0 where it cannot run, NaN where the source says nothing.
    """

    source: str
    worker_types: tuple[str, ...]
    rates: Floats
    _index: dict[Key, int]

    @staticmethod
    def builtin() -> ThroughputTable:
        """Return the table of the Gavel study: 26 job types on k80, p100 and v100. Source: OSDI'20.

        The worker types of the openb cluster are multiples of its columns (``gpu_type_speeds.csv``, an assumption).
        """
        return _builtin()

    @staticmethod
    def from_csv(path: Path) -> ThroughputTable:
        """Return the table in a CSV file of ``job_type,scale_factor,gpu_type,steps_per_second``.

        Raises
        ------
        TraceError
            Naming the file and the line of every fault.
        """
        table, faults = scan_csv(path)
        if table is None:
            raise TraceError(render(path, faults))
        return table

    def factors(self, job_type: str) -> tuple[int, ...]:
        """Return the scale factors that a job type has rows for, ascending."""
        return self._factors.get(job_type, ())

    @cached_property
    def _factors(self) -> dict[str, tuple[int, ...]]:
        by_type: dict[str, list[int]] = {}
        for name, factor in sorted(self._index):
            by_type.setdefault(name, []).append(factor)
        return {name: tuple(found) for name, found in by_type.items()}

    def row(self, job_type: str, scale_factor: int) -> dict[str, float]:
        """Return the steps/s of a row by worker type; NaN where nothing is said."""
        return dict(zip(self.worker_types, self.rates[self._index[job_type, scale_factor]].tolist(), strict=True))

    def rate_of(self, job_type: str, scale_factor: int, worker_type: str) -> float:
        """Return the steps/s of a job on a worker type, else on its fastest one; 0 where there is no such row."""
        if (job_type, scale_factor) not in self._index:
            return 0.0
        row = self.row(job_type, scale_factor)
        known = row.get(worker_type, math.nan)
        return known if known > 0.0 else max((rate for rate in row.values() if rate > 0.0), default=0.0)

    def with_factors(self, job_types: Iterable[str], factors: Iterable[int]) -> ThroughputTable:
        """Return the table with rows for further scale factors: the row of the largest smaller one, scaled up."""
        rates = {key: self.row(*key) for key in self._index}
        for job_type in job_types:
            known = self.factors(job_type)
            for factor in factors:
                below = max((each for each in known if each < factor), default=0)
                if below and factor not in known:
                    rates[job_type, factor] = {
                        name: rate * factor / below for name, rate in self.row(job_type, below).items()
                    }
        return assembled(self.source, rates)

    def for_types(self, worker_types: tuple[str, ...]) -> ThroughputView:
        """Return the table with a column for each of ``worker_types``, in that order.

        Raises
        ------
        ScenarioError
            Where a worker type is in no row.
        """
        if unknown := [name for name in worker_types if name not in self.worker_types]:
            raise ScenarioError(
                f"no throughput is known for worker type {', '.join(map(repr, unknown))} in {self.source}; "
                f"known: {', '.join(self.worker_types)} (give other types a table with --throughputs FILE.csv)"
            )
        columns = [self.worker_types.index(name) for name in worker_types]
        rows = np.ascontiguousarray(self.rates[:, columns])
        rows.setflags(write=False)
        return ThroughputView(self.source, worker_types, rows, self._index)


def assembled(source: str, rates: dict[Key, dict[str, float]]) -> ThroughputTable:
    """Return the table of rates that are given by job type and scale factor, then by worker type.

    Parameters
    ----------
    source
        Where they come from, for messages.
    rates
        Steps/s of the whole job; a worker type that is not named is one of which nothing is said.
    """
    worker_types = tuple(sorted({name for by_type in rates.values() for name in by_type}))
    matrix = np.full((len(rates), len(worker_types)), np.nan)
    keys = sorted(rates)
    for row, key in enumerate(keys):
        for column, name in enumerate(worker_types):
            matrix[row, column] = rates[key].get(name, np.nan)
    matrix.setflags(write=False)
    return ThroughputTable(source, worker_types, matrix, {key: row for row, key in enumerate(keys)})


def write_csv(view: ThroughputView, path: Path) -> None:
    """Write a table, in the columns that `ThroughputTable.from_csv` reads; it appears only when it is complete.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for key, row in view.items():
        rows.writerows((*key, name, repr(rate)) for name, rate in zip(view.worker_types, row, strict=True))
    write_atomically(path, text.getvalue().encode())


@cache
def _builtin() -> ThroughputTable:
    with BUILTIN.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(line for line in stream if not line.startswith("#"))
        _, _, *names = next(reader)
        rates = {
            (job_type, int(factor)): dict(zip(names, map(float, values), strict=True))
            for job_type, factor, *values in reader
        }
    with MULTIPLES.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(line for line in stream if not line.startswith("#")):
            for by_type in rates.values():
                by_type[row["worker_type"]] = by_type[row["column"]] * float(row["multiple"])
    return assembled("the built-in throughput table", rates)


def scan_csv(path: Path) -> tuple[ThroughputTable | None, list[Fault]]:
    """Return the table in a CSV file, or None, and every fault with its line."""
    try:
        lines, faults = decoded_lines(path, THROUGHPUTS)
    except OSError as error:
        return None, [Fault(None, f"cannot read the throughput table: {error.strerror}")]
    records = csv_records(lines, faults)
    columns = _columns(next(records, None), faults)
    if columns is None:
        return None, faults
    rates: dict[Key, dict[str, float]] = {}
    seen: dict[tuple[Key, str], int] = {}
    for line, fields in records:
        try:
            key, worker_type, rate = _parse(fields, columns)
        except ValueError as error:
            faults.append(Fault(line, str(error)))
            continue
        if (first := seen.setdefault((key, worker_type), line)) != line:
            faults.append(
                Fault(line, f"{key[0]!r} with scale factor {key[1]} on {worker_type} again; first in line {first}")
            )
        rates.setdefault(key, {})[worker_type] = rate
    if not rates and not faults:
        faults.append(Fault(None, "no rows; a row for each job type, scale factor and worker type is needed"))
    faults.sort(key=lambda fault: fault.line or 0)
    return (None if faults else assembled(str(path), rates)), faults


def _columns(header: tuple[int, list[str]] | None, faults: list[Fault]) -> dict[str, int] | None:
    wanted = ",".join(COLUMNS)
    if header is None:
        if not faults:
            faults.append(Fault(None, f"the file is empty; the first line must be {wanted}"))
        return None
    line, names = header
    missing = [name for name in COLUMNS if name not in names]
    unknown = [name for name in names if name not in COLUMNS]
    if missing or unknown or len(names) != len(COLUMNS):
        parts = [f"missing: {', '.join(missing)}"] if missing else []
        parts += [f"unknown: {', '.join(map(repr, unknown))}"] if unknown else []
        faults.append(
            Fault(
                line, f"the header is {','.join(names)!r} ({'; '.join(parts) or 'a column twice'}); allowed: {wanted}"
            )
        )
        return None
    return {name: names.index(name) for name in COLUMNS}


def _parse(fields: list[str], columns: dict[str, int]) -> tuple[Key, str, float]:
    if len(fields) != len(columns):
        raise ValueError(f"{len(fields)} fields; allowed: the {len(columns)} of the header")
    job_type, factor, worker_type, rate = (fields[columns[name]] for name in COLUMNS)
    for name, text in (("job_type", job_type), ("gpu_type", worker_type)):
        if not text:
            raise ValueError(f"{name} is empty; a name is needed")
    key = (job_type, positive_integer("scale_factor", factor))
    return key, worker_type, number("steps_per_second", rate, least=0.0)
