"""What a row of any trace says, in one form: times in seconds, GPUs and thousandths of one, names as they stand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Protocol

from phasewise.profiling.artefacts.schemas import Field
from phasewise.sched.cluster.requests import WHOLE_MILLI

if TYPE_CHECKING:
    from phasewise.sched.workload.importing.source import Head, Source

_UNSAID: Final = "the trace does not say"


class Record(NamedTuple):
    """A job as a trace has it; `FIELDS` says what each value means, and how the column is called in a file."""

    arrival_s: float
    duration_s: float | None
    gpus: int
    gpu_milli: int = WHOLE_MILLI
    gpu_type: str | None = None
    gpu_spec: str | None = None
    cpu_milli: int = 0
    memory_mib: int = 0
    user: str | None = None
    vc: str | None = None
    job_class: str | None = None
    state: str | None = None
    eligible_s: float | None = None
    limit_s: float | None = None
    depends_on: str | None = None
    source_id: str | None = None
    job_type: str | None = None
    total_steps: float | None = None
    priority_weight: float = 1.0
    slo: float | None = None


FIELDS: Final = (
    Field("arrival_s", "float64", "s", "arrival time, counted from the first job that was kept", needed=True),
    Field("duration_s", "float64", "s", "run time on its GPUs, without queueing", "only its steps are known"),
    Field("gpus", "int64", "GPUs", "GPUs that it needs at the same time", needed=True),
    Field("gpu_milli", "int64", "GPU/1000", "share of each GPU: 1000, or less if it shares one", needed=True),
    Field("gpu_type", "string", "", "GPU type on which the duration was recorded", _UNSAID),
    Field("gpu_spec", "string", "", "GPU types that it allows, as `A|B`", "it allows any"),
    Field("cpu_milli", "int64", "core/1000", "CPU that it requests; 0 if not recorded"),
    Field("memory_mib", "int64", "MiB", "memory that it requests; 0 if not recorded"),
    Field("user", "string", "", "who submitted it", _UNSAID),
    Field("vc", "string", "", "virtual cluster, account or queue", _UNSAID),
    Field("class", "string", "", "class of service or priority", _UNSAID),
    Field("state", "string", "", "final state, as named in the trace", _UNSAID),
    Field("eligible_s", "float64", "s", "earliest possible start, counted like `arrival_s`", _UNSAID),
    Field("limit_s", "float64", "s", "time limit", "none, or the trace does not say"),
    Field("depends_on", "string", "", "`source_id` of the job that it waits for", "none, or the trace does not say"),
    Field("source_id", "string", "", "its name in the trace", _UNSAID),
    Field("job_type", "string", "", "job type, as named in the trace", _UNSAID),
    Field("total_steps", "float64", "steps", "its steps, if the trace has them", "the trace has durations"),
    Field("priority_weight", "float64", "", "1 is normal"),
    Field("slo", "float64", "durations", "deadline, as a multiple of its duration", "no promise"),
)

COLUMNS: Final = tuple(each.name for each in FIELDS)


class Dropped(NamedTuple):
    """A row that is no job that can be run, and why."""

    reason: str


class Wrong(NamedTuple):
    """A row that cannot be read, and why."""

    message: str


Row = tuple[int, "Record | Dropped | Wrong"]
"""A line number from 1, and what it says."""


@dataclass(slots=True)
class Notes:
    """What was taken for granted while a file was read, in the order in which it came up.

    Attributes
    ----------
    counts
        Sentences, each with how many rows it concerns; 0 where it concerns the whole file.
    machines
        By the name of a machine, the GPUs that jobs held on it, by their names; of logs that say so.
    """

    counts: dict[str, int] = field(default_factory=dict)
    machines: dict[str, set[str]] = field(default_factory=dict)

    def add(self, sentence: str, rows: int = 1) -> None:
        """Count a row to which a sentence applies."""
        self.counts[sentence] = self.counts.get(sentence, 0) + rows

    def held(self, machine: str, gpus: Iterable[str]) -> None:
        """Note that a job held some GPUs of a machine."""
        self.machines.setdefault(machine, set()).update(gpus)

    def sentences(self) -> list[str]:
        """Return the sentences with their numbers of rows."""
        return [f"{told} ({rows:,} rows)" if rows else told for told, rows in self.counts.items()]


class TraceFormat(Protocol):
    """A trace format. An instance reads one file."""

    name: ClassVar[str]
    assumes: ClassVar[tuple[str, ...]]
    """What reading it takes for granted, a sentence each: which time is the arrival comes first."""

    columns: ClassVar[tuple[str, ...]]
    """The columns that it needs, for the reference page; empty where it has no header."""

    def __init__(self, columns: Mapping[str, str], notes: Notes) -> None:
        """Take the column map of the user, and where to note what is taken for granted."""
        ...

    @staticmethod
    def sniff(head: Head) -> bool:
        """Return whether a file that begins so is of this format."""
        ...

    def rows(self, source: Source) -> Iterator[Row]:
        """Yield every row of the file, in its order."""
        ...


def listed(words: Sequence[str]) -> str:
    """Return words as a message lists them."""
    return ", ".join(words)
