"""From records to arrivals: what kind of job each is, its steps, and its speeds on the types of a cluster.

No public trace says how fast a job runs on each GPU type, so this is an assumption, which is written down in words and
can be varied. The steps of a job are its duration times its speed on the type on which that was recorded, so that on
this type it takes as long as it did there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.cluster.requests import WHOLE_MILLI, Request
from phasewise.sched.errors import ScenarioError
from phasewise.sched.workload.arrivals import Arrival
from phasewise.sched.workload.importing.record import Record
from phasewise.sched.workload.throughputs import ThroughputTable, ThroughputView, assembled

Floats = npt.NDArray[np.float64]
ScaleFactorRule = Literal["linear", "single", "refuse"]
ArrivalRule = Literal["recorded", "poisson"]

JOB: Final = "job"
"""The job type of a job of which nothing is known, where speeds are ratios."""

_DRAWS: Final = 7  # the key of the stream of draws beside the seed
_ARRIVALS: Final = 8  # the same of arrivals
_MOST_NAMED: Final = 12


@dataclass(frozen=True, slots=True)
class Rules:
    """What is assumed.

    Attributes
    ----------
    reference_type
        The worker type on which a duration counts as taken where none is recorded, or one that the speeds do not know.
    speed
        How fast a job is on each worker type, as ratios; empty means by the row of its job type in the table.
    scale_factor_rule
        The speed of a job on so many GPUs that the table has no row for them: ``linear``, the row of the largest number
        below, times as much as it is larger; ``single``, the row of one GPU, times their number; ``refuse``, an error.
    seed
        Of the draws.
    arrivals
        When jobs come: ``recorded``, as the trace has it; ``poisson``, as many over the same time, without its bursts.
    """

    reference_type: str = "v100"
    speed: Mapping[str, float] = field(default_factory=dict)
    scale_factor_rule: ScaleFactorRule = "linear"
    seed: int = 0
    arrivals: ArrivalRule = "recorded"


class Kind(NamedTuple):
    """What tells apart jobs whose speeds are not found in the same way."""

    job_type: str | None
    gpu_type: str | None
    gpus: int
    has_duration: bool


class _Option(NamedTuple):
    """A job type that a job may be of: its row, and its steps/s on the type on which the duration counts as taken."""

    job_type: str
    row: int
    rate: float


class _Sort(NamedTuple):
    """What jobs of a kind may be, all with equal probability, and whether their steps are those of the trace."""

    options: tuple[_Option, ...]
    keeps_steps: bool
    table_rate: float


def draws(seed: int, block: int, rows: int) -> Floats:
    """Return (rows,) float64, uniform over [0, 1): the draws of a block of jobs, whichever block was read before."""
    return np.random.default_rng(np.random.SeedSequence([seed, _DRAWS, block])).random(rows)


def poisson_arrivals_s(seed: int, jobs: int, span_s: float) -> Floats:
    """Return (jobs,) float64, ascending, seconds: a Poisson process of which so many arrivals fall from 0 to a span.

    Given their number, the arrivals between the first, at 0, and the last, at ``span_s``, are uniform over the time, so
    the mean rate is the recorded one to the last bit, and nothing but the times between arrivals is another.
    """
    stream = np.random.default_rng(np.random.SeedSequence([seed, _ARRIVALS]))
    between: Floats = stream.random(max(0, jobs - 2)) * span_s
    return np.concatenate([[0.0], np.sort(between), [span_s]])[:jobs]


class Attribution:
    """Makes arrivals of records.

    Parameters
    ----------
    table
        The speeds of job types.
    worker_types
        (W,) those of the cluster, alphabetical.
    kinds
        Every kind of job that will come, with their number.

    Raises
    ------
    ScenarioError
        Where the rules give no speed for one of them.
    """

    def __init__(
        self, rules: Rules, table: ThroughputTable, worker_types: tuple[str, ...], kinds: Mapping[Kind, int]
    ) -> None:
        self.rules = rules
        self._table = table
        self._worker_types = worker_types
        self._rates: dict[tuple[str, int], dict[str, float]] = {}
        self._native = frozenset(table.for_types(table.worker_types).job_types())
        self._told: dict[str, int] = {}
        self._require_types()
        found = {kind: self._options(kind, count) for kind, count in kinds.items()}
        self.throughputs: ThroughputView = assembled(self._source(), self._rates).for_types(worker_types)
        self._sorts = {kind: self._sort(kind, names) for kind, names in found.items()}

    @property
    def scaled(self) -> bool:
        """Whether a rate is none of the table's own rows: a ratio, or one that `scale_factor_rule` made."""
        return bool(self.rules.speed) or any(factor not in self._table.factors(name) for name, factor in self._rates)

    def arrival(self, job_id: int, record: Record, drawn: float) -> Arrival:
        """Return the arrival that a record is; ``drawn`` is uniform over [0, 1)."""
        sort = self._sorts[kind_of(record)]
        option = sort.options[int(drawn * len(sort.options))]
        total = record.total_steps
        seconds = record.duration_s if record.duration_s is not None else (total or 0.0) / sort.table_rate
        steps = total if sort.keeps_steps and total else seconds * option.rate
        gpus = record.gpus if record.gpu_milli == WHOLE_MILLI else record.gpu_milli / WHOLE_MILLI
        slo_s = None if record.slo is None else record.slo * seconds
        return Arrival(
            job_id, option.job_type, option.row, float(gpus), record.priority_weight, steps, record.arrival_s,
            request_of(record), record.slo, slo_s,
        )  # fmt: skip

    def sentences(self) -> list[str]:
        """Return what is assumed, in words."""
        if self.rules.speed:
            ratios = ", ".join(f"{name}={ratio:g}" for name, ratio in self.rules.speed.items())
            told = [f"every job runs at the same ratios, whatever its kind and its GPUs: {ratios} steps/s"]
        else:
            told = [
                "a job of no type that the table has is of one that is drawn, each of those that run here on so many "
                f"GPUs with equal probability (seed {self.rules.seed})"
            ]
        told.append(
            "steps = duration x speed on the recorded GPU type; where there is none, on the reference type "
            f"{self.rules.reference_type}"
        )
        return [*told, *(f"{sentence} ({jobs:,} jobs)" for sentence, jobs in self._told.items())]

    # -- speeds ------------------------------------------------------------------------------------------------------

    def _source(self) -> str:
        return "the ratios of workload.speed" if self.rules.speed else self._table.source

    def _require_types(self) -> None:
        known = tuple(self.rules.speed) or self._table.worker_types
        if missing := [name for name in self._worker_types if name not in known]:
            how = "workload.speed" if self.rules.speed else self._table.source
            raise ScenarioError(
                f"no speed is known for worker type {', '.join(missing)} in {how}; known: {', '.join(known)} "
                "(--speed TYPE=RATIO,... gives one ratio a type, --throughputs FILE.csv a table)"
            )
        if self.rules.reference_type not in known:
            raise ScenarioError(
                f"workload.reference_type is {self.rules.reference_type!r}, of which no speed is known; "
                f"allowed: {', '.join(known)}"
            )

    def _note(self, sentence: str, jobs: int) -> None:
        self._told[sentence] = self._told.get(sentence, 0) + jobs

    def _anchor(self, kind: Kind, jobs: int = 0) -> str:
        """Return the worker type on which the duration of a job counts as taken."""
        known = tuple(self.rules.speed) or self._table.worker_types
        if kind.gpu_type is None:
            return self.rules.reference_type
        if kind.gpu_type in known:
            return kind.gpu_type
        lowered = {name.lower(): name for name in known}
        if (other := lowered.get(kind.gpu_type.lower())) is not None:
            return other
        if jobs and kind.has_duration:
            self._note(f"recorded on {kind.gpu_type}, of which no speed is known: taken for the reference type", jobs)
        return self.rules.reference_type

    def _options(self, kind: Kind, jobs: int) -> tuple[str, ...]:
        """Return the job types that a kind may be of; their rates are entered."""
        anchor = self._anchor(kind, jobs)
        if self.rules.speed:
            name = kind.job_type or JOB
            self._rates[name, kind.gpus] = dict(self.rules.speed)
            return (name,)
        native = kind.job_type in self._native and kind.job_type is not None
        if not kind.has_duration and not native:
            raise ScenarioError(
                f"{jobs:,} jobs are of type {kind.job_type!r} and have steps but no duration, and {self._table.source} "
                "has no such type; give its speeds with --throughputs FILE.csv"
            )
        names = [kind.job_type] if native and kind.job_type is not None else sorted(self._native)
        usable = [name for name in names if self._enter(name, kind.gpus, anchor)]
        if not usable:
            raise ScenarioError(self._unusable(kind, anchor, jobs))
        if kind.gpus not in self._factors(usable):
            self._note(
                f"more GPUs than rows of the table are for, by scale_factor_rule {self.rules.scale_factor_rule!r}", jobs
            )
        return tuple(usable)

    def _factors(self, names: Iterable[str]) -> set[int]:
        return {factor for name in names for factor in self._table.factors(name)}

    def _enter(self, name: str, gpus: int, anchor: str) -> bool:
        """Enter the rates of a job type on so many GPUs; return whether it runs on the anchor and here."""
        known = self._table.factors(name)
        factor = max((each for each in known if each <= gpus), default=0)
        if gpus not in known and self.rules.scale_factor_rule == "single":
            factor = 1 if 1 in known else 0
        if not factor or (factor != gpus and self.rules.scale_factor_rule == "refuse"):
            return False
        scale = gpus / factor
        if scale > 1.0 and known == (1,):
            return False  # a job type that never runs on several GPUs
        row = self._table.row(name, factor)
        here = [row.get(each, np.nan) for each in self._worker_types]
        if np.isnan(here).any() or not max(here) > 0.0 or not row.get(anchor, 0.0) > 0.0:
            return False
        self._rates[name, gpus] = {each: rate * scale for each, rate in row.items()}
        return True

    def _unusable(self, kind: Kind, anchor: str, jobs: int) -> str:
        factors = ", ".join(map(str, sorted(self._factors(self._native))))
        return (
            f"{jobs:,} jobs need {kind.gpus} GPUs: no job type of {self._table.source} runs on so many on {anchor} and "
            f"here (it has {factors}; scale_factor_rule is {self.rules.scale_factor_rule!r}); allowed: "
            "--scale-factor-rule linear or single, --speed TYPE=RATIO,..., or another --reference-type"
        )

    def _sort(self, kind: Kind, names: tuple[str, ...]) -> _Sort:
        anchor = self._anchor(kind)
        rates = ((name, self._rates[name, kind.gpus][anchor]) for name in names)
        options = tuple(_Option(name, self.throughputs.index(name, kind.gpus), rate) for name, rate in rates)
        return _Sort(options, kind.job_type in self._native and not self.rules.speed, self._table_rate(kind))

    def _table_rate(self, kind: Kind) -> float:
        """Return the steps/s of a job of known steps, on the reference type, else on its fastest; 1 of any other."""
        if kind.has_duration:
            return 1.0
        rate = self._table.rate_of(kind.job_type or "", kind.gpus, self.rules.reference_type)
        if not rate > 0.0:
            raise ScenarioError(
                f"jobs of type {kind.job_type!r} on {kind.gpus} GPUs have steps but no duration, and "
                f"{self._table.source} says nothing of their speed; give it with --throughputs FILE.csv"
            )
        return rate


def kind_of(record: Record) -> Kind:
    """Return the kind of a record."""
    return Kind(record.job_type, record.gpu_type, record.gpus, record.duration_s is not None)


def request_of(record: Record) -> Request:
    """Return what a record asks for on its node."""
    return Request(record.cpu_milli, record.gpu_milli, record.gpus, record.gpu_spec or "", record.memory_mib)
