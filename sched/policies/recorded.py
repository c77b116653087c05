"""Allocations computed elsewhere, replayed call by call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from phasewise.profiling.inputs import read_input
from phasewise.sched.api import Allocation, ClusterView, Floats, Ints, Solve, TypeOrder
from phasewise.sched.errors import ScenarioError, TraceError
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.registry import register_policy

X_SLACK = 1e-6  # solvers of the originals overshoot 1 by their tolerance

NOBODY = -1
_PAIR = 2

# How the names of the policies that can have been recorded begin; a variant is a suffix.
STEMS = (
    "allox",
    "fifo",
    "finish_time_fairness",
    "gandiva",
    "isolated",
    "max_min_fairness",
    "max_sum_throughput",
    "min_total_duration",
)


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One recorded allocation.

    Attributes
    ----------
    entry
        Its index in the file.
    now_s
        When it was computed, simulated seconds.
    row
        The row of ``x`` of each job id, of the job alone.
    members
        (R, 2) int64, the jobs of each row, the second -1 in a row of one; read-only.
    x
        (R, W) time fractions, read-only; columns in the order of the file's worker types.
    """

    entry: int
    now_s: float
    row: Mapping[int, int]
    members: Ints
    x: Floats


class RecordedOptions(PolicyOptions, frozen=True, kw_only=True):
    """Options of `recorded`.

    Attributes
    ----------
    allocations
        Path of the recorded allocations.
    recorded_policy
        Whose selection rules apply; empty means the policy named in the file.
    """

    allocations: str = ""
    recorded_policy: str = ""


@register_policy
class RecordedPolicy:
    """Replay recorded allocations, one per call, instead of solving; it is an error if the jobs differ.

    What it remembers is the number of calls so far. The selection rules are those of the policy that was recorded.
    """

    name: ClassVar[str] = "recorded"
    options: ClassVar[type[RecordedOptions]] = RecordedOptions

    def __init__(self, options: RecordedOptions) -> None:
        if not options.allocations:
            raise ScenarioError(
                "policy recorded replays a file, but recorded.allocations is empty; name it with --allocations FILE"
            )
        self._path = Path(options.allocations)
        contents = _parsed(self._path)
        self.policy_name = _policy_name(self._path, contents, options.recorded_policy)
        self.type_order = _type_order(self.policy_name)
        self.needs_positive_priority = self.policy_name.startswith("fifo")
        self._worker_types = _worker_types(self._path, contents, options.worker_types)
        self._recordings = _recordings(self._path, contents, len(self._worker_types))
        self.packs = any(len(each.members) > len(each.row) for each in self._recordings)

    @classmethod
    def from_file(cls, path: Path, policy_name: str = "", worker_types: Sequence[str] = ()) -> RecordedPolicy:
        """Return the policy that replays ``path``.

        Parameters
        ----------
        path
            JSON, or gzipped JSON, with `worker_types`, `allocations` (a list of {t, jobs, x}) and perhaps `case`.
        policy_name
            Whose selection rules apply; empty means the policy named in the file's `case`.
        worker_types
            The cluster's; empty means that they are compared at the first call only.

        Raises
        ------
        TraceError
            If the file cannot be read or holds anything else; names the file and the entry.
        ScenarioError
            If ``policy_name`` is not the name of a policy that can have been recorded.
        """
        return cls(
            RecordedOptions(allocations=str(path), recorded_policy=policy_name, worker_types=tuple(worker_types))
        )

    @property
    def calls(self) -> int:
        """How many allocations the file holds."""
        return len(self._recordings)

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return the next recorded allocation in the order of the view's jobs, and the number of calls so far.

        Where teams were recorded, in the order of the recording, with the members of its rows.

        Raises
        ------
        TraceError
            If the recording is at its end, or is of other jobs or of other worker types.
        """
        del solve
        call = memory if isinstance(memory, int) else 0
        columns = self._columns(view.worker_types)
        if call == len(self._recordings) and view.job_id.size == 0:
            nobody = np.zeros((0, 2), np.int64) if self.packs else None
            return Allocation(np.zeros((0, columns.size)), call, members=nobody)
        if call >= len(self._recordings):
            raise TraceError(
                f"{self._path}: allocation {call} is asked for at {view.now_s} s (jobs {_some(view.job_id.tolist())}),"
                f" but the recording has {len(self._recordings)}; the run is not the one that was recorded"
            )
        recording = self._recordings[call]
        active: list[int] = view.job_id.tolist()
        if len(active) != len(recording.row) or any(job not in recording.row for job in active):
            raise TraceError(self._other_jobs(recording, view.now_s, active))
        if self.packs:
            return Allocation(recording.x[:, columns], call + 1, members=recording.members)
        rows = np.array([recording.row[job] for job in active], dtype=np.int64)
        return Allocation(recording.x[rows[:, None], columns], call + 1)

    def _columns(self, worker_types: tuple[str, ...]) -> Ints:
        _require_same_types(self._path, self._worker_types, worker_types)
        return np.array([self._worker_types.index(name) for name in worker_types], dtype=np.int64)

    def _other_jobs(self, recording: Recording, now_s: float, active: list[int]) -> str:
        missing = sorted(set(recording.row) - set(active))
        extra = sorted(set(active) - set(recording.row))
        return (
            f"{self._path}: allocation {recording.entry}, recorded at {recording.now_s} s and asked for at {now_s} s,"
            f" is of other jobs: expected {_some(sorted(recording.row))}, got {_some(active)}"
            f" (not active: {_some(missing)}; not recorded: {_some(extra)}); the run is not the one that was recorded"
        )


def _some(jobs: Sequence[int]) -> str:
    """Return the ids as text, at most eight of them."""
    listed = ", ".join(map(str, jobs[:8]))
    return f"[{listed}]" if len(jobs) <= 8 else f"[{listed}, ... {len(jobs)} in all]"


def _parsed(path: Path) -> dict[str, Any]:
    try:
        raw = read_input(path)
    except OSError as error:
        raise TraceError(f"{path}: cannot read recorded allocations: {error.strerror or error}") from error
    try:
        contents = json.loads(raw)
    except ValueError as error:  # also bytes that are no text, and a number of too many digits
        raise TraceError(f"{path}: not JSON: {error}") from error
    except RecursionError as error:
        raise TraceError(f"{path}: not recorded allocations: nested too deeply") from error
    if not isinstance(contents, dict) or not isinstance(contents.get("allocations"), list):
        raise TraceError(f"{path}: not recorded allocations: needs an object with the list `allocations`")
    return contents


def _is_policy_name(name: str) -> bool:
    return any(name == stem or name.startswith(stem + "_") for stem in STEMS)


def _policy_name(path: Path, contents: Mapping[str, Any], chosen: str) -> str:
    """Return the policy that was recorded: the one chosen, or else the one of TRACE--CLUSTER--NODES--POLICY."""
    if chosen:
        if not _is_policy_name(chosen):
            raise ScenarioError(
                f"recorded.policy is {chosen!r}; allowed is {', '.join(STEMS)}, or a variant such as fifo_perf"
            )
        return chosen
    case = contents.get("case")
    if case is None:
        raise TraceError(f"{path}: no `case` says whose allocations these are; add --set recorded.policy=NAME")
    parts = str(case).split("--")
    # The trace comes first and may be called anything, so it is not looked at unless it is all there is.
    for part in parts[1:] or parts:
        if _is_policy_name(part):
            return part
    raise TraceError(
        f"{path}: `case` {case!r} names no policy between its `--`; add --set recorded.policy=NAME,"
        f" where NAME is {', '.join(STEMS)}, or a variant such as fifo_perf"
    )


def _type_order(policy_name: str) -> TypeOrder:
    """Return the order in which the original fills worker types: fixed where it knows how fast they are."""
    fixed = policy_name in {"allox", "gandiva"} or "_perf" in policy_name or policy_name.endswith("_packed")
    return TypeOrder.FIXED if fixed else TypeOrder.SHUFFLED


def _worker_types(path: Path, contents: Mapping[str, Any], cluster: tuple[str, ...]) -> tuple[str, ...]:
    recorded = contents.get("worker_types")
    if not isinstance(recorded, list) or not recorded or not all(isinstance(name, str) for name in recorded):
        raise TraceError(f"{path}: `worker_types` must be a list of names, got {recorded!r}")
    if len(set(recorded)) < len(recorded):
        raise TraceError(f"{path}: `worker_types` names a type twice: {', '.join(recorded)}")
    if cluster:
        _require_same_types(path, recorded, cluster)
    return tuple(recorded)


def _require_same_types(path: Path, recorded: Sequence[str], cluster: Sequence[str]) -> None:
    if set(recorded) != set(cluster):
        raise TraceError(
            f"{path}: recorded on worker types {', '.join(sorted(recorded))},"
            f" but the cluster has {', '.join(sorted(cluster))}"
        )


def _recordings(path: Path, contents: Mapping[str, Any], types: int) -> tuple[Recording, ...]:
    return tuple(_recording(path, entry, found, types) for entry, found in enumerate(contents["allocations"]))


def _recording(path: Path, entry: int, found: Any, types: int) -> Recording:
    where = f"{path}: allocations[{entry}]"
    if not isinstance(found, dict) or not {"jobs", "x"} <= found.keys():
        raise TraceError(f"{where}: needs an object with `jobs` and `x`")
    now_s = found.get("t", 0.0)
    if isinstance(now_s, bool) or not isinstance(now_s, (int, float)):
        raise TraceError(f"{where}: `t` must be simulated seconds, got {now_s!r}")
    jobs = _jobs(where, found["jobs"])
    alone = {job[0]: row for row, job in enumerate(jobs) if len(job) == 1}
    if strange := [job for job in jobs if not alone.keys() >= set(job)]:
        raise TraceError(f"{where}: of the pair {list(strange[0])} a job has no row of its own")
    members = np.array([(*job, NOBODY)[:2] for job in jobs], np.int64).reshape(len(jobs), 2)
    members.flags.writeable = False
    return Recording(entry, float(now_s), alone, members, _x(where, found["x"], jobs, types))


def _jobs(where: str, found: Any) -> list[tuple[int, ...]]:
    """Return the jobs, and pairs of them, of the rows; the members of a pair in order."""
    if not isinstance(found, list):
        raise TraceError(f"{where}: `jobs` must be a list of [id] and [id, id], got {found!r}")
    jobs = []
    for job in found:
        parts = job if isinstance(job, list) else [job]
        if not parts or any(isinstance(part, bool) or not isinstance(part, int) or part < 0 for part in parts):
            raise TraceError(f"{where}: a job must be [id] with an integer id of at least 0, got {job!r}")
        if len(parts) > _PAIR or len(set(parts)) < len(parts):
            raise TraceError(f"{where}: job {job!r} is neither one job nor two that share their GPUs")
        jobs.append(tuple(sorted(parts)))
    if len(set(jobs)) < len(jobs):
        twice = sorted({job for job in jobs if jobs.count(job) > 1})
        raise TraceError(f"{where}: a job is listed twice in {_some([job for each in twice for job in each])}")
    return jobs


def _x(where: str, found: Any, jobs: Sequence[tuple[int, ...]], types: int) -> Floats:
    if not isinstance(found, list) or len(found) != len(jobs):
        got = f"{len(found)} rows" if isinstance(found, list) else repr(found)
        raise TraceError(f"{where}: `x` needs a row for each of the {len(jobs)} jobs, got {got}")
    for job, row in zip(jobs, found, strict=True):
        name = ", ".join(map(str, job))
        if not isinstance(row, list) or len(row) != types:
            raise TraceError(f"{where}: job {name}: a row needs {types} fractions, one a worker type, got {row!r}")
        for fraction in row:
            # not (0 <= x <= 1) is also true of NaN
            number = isinstance(fraction, (int, float)) and not isinstance(fraction, bool)
            if not number or not 0 <= fraction <= 1 + X_SLACK:
                raise TraceError(f"{where}: job {name}: a fraction of time is between 0 and 1, got {fraction!r}")
    x = np.array(found, dtype=np.float64).reshape(len(jobs), types)
    x.flags.writeable = False
    return x
