"""A workload of records, read block by block: however many there are, a few blocks are in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from phasewise.sched.cluster.requests import Request, TaskDistribution, typical
from phasewise.sched.streams import Streams
from phasewise.sched.workload.arrivals import Arrival, Position
from phasewise.sched.workload.attribution import Attribution, Floats, Kind, Rules, draws, poisson_arrivals_s
from phasewise.sched.workload.importing.importer import records_of
from phasewise.sched.workload.importing.store import BLOCK, RecordStore
from phasewise.sched.workload.throughputs import ThroughputTable

_REQUEST: Final = ("cpu_milli", "gpu_milli", "gpus", "gpu_spec", "memory_mib")
_KIND: Final = ("job_type", "gpu_type", "gpus", "has_duration")
ORIGIN: Final = {"name": "source_id", "user": "user", "vc": "vc", "class": "class"}
"""By a column of jobs.parquet, that of a record."""


class RecordedJobs:
    """The jobs of a trace of any format, in order of arrival.

    Parameters
    ----------
    store
        Their records.
    jobs
        How many of them come, the first ones; 0 means all.

    Raises
    ------
    ScenarioError
        Where the rules give no speed for one of them.
    """

    def __init__(
        self, store: RecordStore, rules: Rules, table: ThroughputTable, worker_types: tuple[str, ...], jobs: int = 0
    ) -> None:
        self._store = store
        self.total: int | None = min(store.rows, jobs) if jobs else store.rows
        self._count = self.total
        self.held: int | None = min(self._count, BLOCK)
        kinds, self._requests = self._counted()
        self._attribution = Attribution(rules, table, worker_types, kinds)
        self.throughputs = self._attribution.throughputs
        self._poisson_s: Floats | None = None
        if rules.arrivals == "poisson":
            self._poisson_s = poisson_arrivals_s(rules.seed, self._count, self._recorded_s(self._count - 1))
        self._block = -1
        self._arrivals: list[Arrival] = []

    @property
    def imported(self) -> dict[str, Any]:
        """What was read, kept and dropped, and what is assumed."""
        account = dict(self._store.account)
        assumed = [*account.get("assumptions", ()), *self._attribution.sentences()]
        if self._poisson_s is not None:
            assumed.append(
                f"arrivals are not the recorded ones: a Poisson process of equal rate, {self._count:,} jobs over "
                f"{self._poisson_s[-1]:,.0f} s by seed {self._attribution.rules.seed}, in the recorded order"
            )
        return account | {"assumptions": assumed}

    @property
    def scaled(self) -> bool:
        """Whether some jobs have speeds that no row of the table has as it stands."""
        return self._attribution.scaled

    @property
    def tasks(self) -> TaskDistribution:
        """Return the typical requests of its jobs."""
        return typical((request, float(count)) for request, count in self._requests.items())

    def requests(self) -> Iterable[Request]:
        """Return every distinct request that a job makes."""
        return self._requests

    def next_arrival_s(self, position: Position) -> float | None:
        """Return when the next job comes, seconds, or None where no more come."""
        return self._at(position.given).arrival_s if position.given < self._count else None

    def until(self, now_s: float, position: Position, streams: Streams) -> list[Arrival]:
        """Return all jobs from ``position`` on that arrive at or before ``now_s``, by id."""
        del streams
        arrivals: list[Arrival] = []
        while position.given < self._count and (job := self._at(position.given)).arrival_s <= now_s:
            arrivals.append(job)
            position.given += 1
        return arrivals

    def arrivals_in_order(self) -> Iterable[Arrival]:
        """Yield every job, by id."""
        return map(self._at, range(self._count))

    def origins(self, job_ids: Sequence[int], weights: Sequence[float]) -> Mapping[str, list[str | None]]:
        """Return, by a column of jobs.parquet, what the trace says of jobs: its name for them, user, vc and class."""
        del weights
        columns: dict[str, list[str | None]] = {name: [None] * len(job_ids) for name in ORIGIN}
        places: dict[int, list[int]] = {}
        for place, job_id in enumerate(job_ids):
            places.setdefault(job_id // BLOCK, []).append(place)
        for block, wanted in places.items():
            table = self._store.block(block, list(ORIGIN.values()))
            rows = table.take(pa.array([job_ids[place] % BLOCK for place in wanted]))
            for name, column in ORIGIN.items():
                for place, value in zip(wanted, rows.column(column).to_pylist(), strict=True):
                    columns[name][place] = value
        return columns

    def _recorded_s(self, job_id: int) -> float:
        """Return when a job came, seconds, as the trace has it."""
        column = self._store.block(job_id // BLOCK, ["arrival_s"]).column(0)
        recorded_s: float = column[job_id % BLOCK].as_py()
        return recorded_s

    def _at(self, job_id: int) -> Arrival:
        block = job_id // BLOCK
        if block != self._block:
            table = self._store.block(block)
            drawn = draws(self._attribution.rules.seed, block, table.num_rows).tolist()
            first = block * BLOCK
            records = records_of(table)
            if self._poisson_s is not None:
                times_s = self._poisson_s[first : first + table.num_rows].tolist()
                records = (record._replace(arrival_s=at_s) for record, at_s in zip(records, times_s, strict=False))
            self._arrivals = [
                self._attribution.arrival(first + row, record, drawn[row]) for row, record in enumerate(records)
            ]
            self._block = block
        return self._arrivals[job_id % BLOCK]

    def _counted(self) -> tuple[dict[Kind, int], dict[Request, int]]:
        """Return every kind of job and every request, with their numbers, in the order in which they come up."""
        kinds: Counter[Kind] = Counter()
        requests: Counter[Request] = Counter()
        for index in range(-(-self._count // BLOCK)):
            table = self._store.block(index, sorted({*_REQUEST, "job_type", "gpu_type", "duration_s"}))
            table = table.slice(0, self._count - index * BLOCK)
            table = table.append_column("has_duration", table.column("duration_s").is_valid())
            for values, count in _grouped(table, _KIND):
                kinds[Kind(*values)] += count
            for values, count in _grouped(table, _REQUEST):
                requests[_request(*values)] += count
        return dict(kinds), dict(requests)


def _grouped(table: pa.Table, names: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Yield every combination of values of some columns, with its number of rows."""
    grouped = table.group_by(list(names), use_threads=False).aggregate([([], "count_all")])
    columns = [grouped.column(name).to_pylist() for name in names]
    yield from zip(zip(*columns, strict=True), grouped.column("count_all").to_pylist(), strict=True)


def _request(cpu_milli: int, gpu_milli: int, gpus: int, gpu_spec: str | None, memory_mib: int) -> Request:
    return Request(cpu_milli, gpu_milli, gpus, gpu_spec or "", memory_mib)
