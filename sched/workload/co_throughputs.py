"""How fast two jobs run that share their GPUs: measured co-throughputs by pairs of job types."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.errors import TraceError
from phasewise.sched.pair_rates import Kinds, PairRates
from phasewise.sched.reading.csv_tables import CsvForm, scan_rows
from phasewise.sched.reading.faults import Fault, render
from phasewise.sched.reading.fields import number, positive_integer
from phasewise.sched.reading.recognise import CO_THROUGHPUTS
from phasewise.sched.workload.throughputs import MULTIPLES, TABLES, ThroughputView

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Pair = tuple[str, str, int]  # two job types, sorted, and the scale factor of both

BUILTIN = TABLES / "gavel_co_throughputs.csv"
COLUMNS = (
    "job_type_0",
    "scale_factor_0",
    "job_type_1",
    "scale_factor_1",
    "gpu_type",
    "steps_per_second_0",
    "steps_per_second_1",
)
FORM: Final = CsvForm(CO_THROUGHPUTS, COLUMNS, (), "two job types, their scale factor and a worker type")


@dataclass(frozen=True)
class CoThroughputTable:
    """Co-throughputs by two job types of a scale factor, and worker type.

    Attributes
    ----------
    source
        Where the figures come from, for messages.
    rates
        Steps/s of the whole jobs, in the order of the sorted names; what is not there cannot share, or is not known.
    """

    source: str
    rates: Mapping[tuple[Pair, str], tuple[float, float]]

    @staticmethod
    def builtin() -> CoThroughputTable:
        """Return the table of the Gavel study. Source: OSDI'20; the types of openb are multiples, as in isolation."""
        return _builtin()

    @staticmethod
    def from_csv(path: Path) -> CoThroughputTable:
        """Return the table in a CSV file of the columns `COLUMNS`.

        Raises
        ------
        TraceError
            Naming the file and the line of every fault.
        """
        table, faults = scan_csv(path)
        if table is None:
            raise TraceError(render(path, faults))
        return table

    @staticmethod
    def chosen(path: str) -> CoThroughputTable:
        """Return the table in a file, or the built-in one where ``path`` is empty; raises as `from_csv`."""
        return CoThroughputTable.from_csv(Path(path)) if path else CoThroughputTable.builtin()

    def require_some(self, view: ThroughputView) -> None:
        """Raise `TraceError` where no pair is of job types and a worker type of ``view``: names are misspelt, then."""
        there, types = {key for key, _ in view.items()}, set(view.worker_types)
        if not any(worker in types and there.issuperset(_sides(names)) for names, worker in self.rates):
            name, factor = min(there)
            raise TraceError(
                f"{self.source}: no pair is of two job types and a worker type of the scenario; "
                f"its job types are such as {name!r} with scale factor {factor}, "
                f"its worker types {', '.join(sorted(types))}"
            )

    def of_jobs(self, view: ThroughputView) -> CoRates:
        """Return the table for the job types and worker types of a throughput table; pairs of others are not used."""
        known = sorted({(name, factor) for names, _ in self.rates for name, factor in _sides(names)})
        place = {key: index for index, key in enumerate(known)}
        rate = np.zeros((len(known) + 1, len(known) + 1, len(view.worker_types), 2))
        column = {name: index for index, name in enumerate(view.worker_types)}
        for (names, worker_type), (first, second) in self.rates.items():
            if worker_type in column:
                a, b = (place[key] for key in _sides(names))
                rate[a, b, column[worker_type]] = first, second
                rate[b, a, column[worker_type]] = second, first
        kinds = [key for key, _ in view.items()]
        index = np.array([place.get(key, len(known)) for key in kinds], np.intp)
        return CoRates(index, np.array([factor for _, factor in kinds], np.int64), rate)


class CoRates:
    """Co-throughputs by rows of a throughput table. R rows, M measured kinds, W worker types.

    Parameters
    ----------
    measured
        (R,) the measured kind of each row, M where it is none.
    factor
        (R,) its scale factor.
    rate
        (M + 1, M + 1, W, 2) steps/s, 0 where two kinds cannot share, or that is not known.
    """

    def __init__(self, measured: Kinds, factor: Ints, rate: Floats) -> None:
        self._measured, self._factor, self._rate = measured, factor, rate
        self._none = len(rate) - 1

    def of(self, type_index: Ints, gpus: Ints, gpu_milli: Ints) -> Kinds:
        """Return (J,) the measured kind of jobs, by row of the throughput table; M for one that shares with nobody.

        Only jobs of whole GPUs do, as many as their row was measured with.
        """
        whole = (gpu_milli == WHOLE_MILLI) & (gpus == self._factor[type_index])
        return np.where(whole, self._measured[type_index], self._none)

    def pairs(self, kinds: Kinds, type_index: Ints) -> PairRates:
        """Return the rates of jobs with these measured kinds (J,) and rows of the throughput table (J,)."""
        key = kinds * len(self._factor) + type_index  # jobs that were never measured are still of several kinds
        present, kind = np.unique(key, return_inverse=True)
        measured = present // len(self._factor)
        rate = self._rate[measured[:, None], measured[None, :]]
        rate.flags.writeable = False
        found = kind.reshape(-1).astype(np.intp)
        found.flags.writeable = False
        return PairRates(found, rate)

    def between(self, first: Kinds, second: Kinds) -> Floats:
        """Return (P, W, 2) the rates of pairs of jobs by their measured kinds (P,)."""
        rates: Floats = self._rate[first, second]
        return rates


def scan_csv(path: Path) -> tuple[CoThroughputTable | None, list[Fault]]:
    """Return the table in a CSV file, or None, and every fault with its line."""
    rows, faults = scan_rows(path, FORM)
    rates: dict[tuple[Pair, str], tuple[float, float]] = {}
    seen: dict[tuple[str, ...], int] = {}
    first_line: dict[tuple[Pair, str], int] = {}
    for line, row in rows:
        try:
            names, worker_type, pair = _parsed(row)
        except ValueError as error:
            faults.append(Fault(line, str(error)))
            continue
        written = (row["job_type_0"], row["job_type_1"], str(names[2]), worker_type)
        if (first := seen.setdefault(written, line)) != line:
            faults.append(Fault(line, f"{_named(names)} on {worker_type} again; first in line {first}"))
        elif rates.setdefault((names, worker_type), pair) != pair:
            first = first_line[names, worker_type]
            faults.append(Fault(line, f"{_named(names)} on {worker_type} has other figures than in line {first}"))
        first_line.setdefault((names, worker_type), line)
    faults.sort(key=lambda fault: fault.line or 0)
    return (None if faults else CoThroughputTable(str(path), rates)), faults


def _parsed(row: Mapping[str, str]) -> tuple[Pair, str, tuple[float, float]]:
    """Return the pair, the worker type and the two rates of a row; raise ValueError with what is wrong."""
    for name in ("job_type_0", "job_type_1", "gpu_type"):
        if not row[name]:
            raise ValueError(f"{name} is empty; a name is needed")
    factors = [positive_integer(name, row[name]) for name in ("scale_factor_0", "scale_factor_1")]
    if factors[0] != factors[1]:
        raise ValueError(
            f"scale factors {factors[0]} and {factors[1]}; only jobs of the same number of GPUs share them"
        )
    rates = [number(name, row[name], least=0.0) for name in ("steps_per_second_0", "steps_per_second_1")]
    if (rates[0] == 0.0) != (rates[1] == 0.0):
        raise ValueError(
            f"rates {rates[0]:g} and {rates[1]:g}; allowed: both above 0, or both 0 where they cannot share"
        )
    if row["job_type_0"] == row["job_type_1"] and rates[0] != rates[1]:
        raise ValueError(f"rates {rates[0]:g} and {rates[1]:g} of two jobs of one type; allowed: the same for both")
    sides = sorted(zip((row["job_type_0"], row["job_type_1"]), rates, strict=True), key=lambda side: side[0])
    return (sides[0][0], sides[1][0], factors[0]), row["gpu_type"], (sides[0][1], sides[1][1])


def _sides(names: Pair) -> tuple[tuple[str, int], tuple[str, int]]:
    return (names[0], names[2]), (names[1], names[2])


def _named(names: Pair) -> str:
    return f"{names[0]!r} and {names[1]!r} with scale factor {names[2]}"


@cache
def _builtin() -> CoThroughputTable:
    rates: dict[tuple[Pair, str], tuple[float, float]] = {}
    with BUILTIN.open(encoding="utf-8", newline="") as stream:
        reader = csv.reader(line for line in stream if not line.startswith("#"))
        columns = [name.removesuffix("_0") for name in next(reader)[3::2]]
        for first, second, factor, *values in reader:
            for index, column in enumerate(columns):
                pair = float(values[2 * index]), float(values[2 * index + 1])
                if pair[0] > 0.0:
                    rates[(first, second, int(factor)), column] = pair
    with MULTIPLES.open(encoding="utf-8", newline="") as stream:
        multiples = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    for (names, column), pair in list(rates.items()):
        for row in multiples:
            if row["column"] == column:
                factor_of = float(row["multiple"])
                rates[names, row["worker_type"]] = pair[0] * factor_of, pair[1] * factor_of
    return CoThroughputTable("the built-in table of co-throughputs", rates)
