"""The kinds of lines in `lines.log`, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from phasewise.profiling.artefacts.schemas import Field, Record

_NODES = "jobs may span nodes (left out)"
_NO_TEAMS = "the policy does not pack (left out)"
_NOBODY_SHARED = "there was no team (left out)"
_FREE = "no job paid for a move in this round (left out)"
_WHOLE = "the job asks for whole GPUs and nothing else (left out)"
_NO_SOLVE = "the policy solved nothing"

PROFILE: Final = Record(
    "PROFILE",
    (
        Field("v", "int", "", "1"),
        Field("round", "int", "", "last round it covers"),
        Field("sim_time_s", "float", "s", "simulated time at the end of that round"),
        Field("jobs", "int", "jobs", "jobs active in that round"),
        Field(
            "solver",
            "text",
            "",
            "backend of the last solve, for `auto` with its choice (`auto:structured`); before the first solve, the "
            "solver of the scenario",
        ),
        Field(
            "rebuild", "text", "", "why that backend built a new model", "it reused its model, or nothing was solved"
        ),
        Field("iterations", "int", "", "solver iterations since the last line"),
        Field("total_s", "float", "s", "wall time, equal to the sum of `phases_s` and `other_s`"),
        Field("phases_s", "object", "s", "exclusive wall time by phase; phases that were not entered are left out"),
        Field("phases_cpu_s", "object", "s", "exclusive CPU time by phase"),
        Field("other_s", "float", "s", "wall time outside all phases"),
        Field(
            "final",
            "bool",
            "",
            "`true` on the last line, which has the totals of the run",
            "any other line (left out)",
        ),
    ),
    "Time by phase, since the previous PROFILE line.",
)

TELEMETRY: Final = Record(
    "TELEMETRY",
    (
        Field("round", "int", "", "the round"),
        Field("sim_time_s", "float", "s", "its start"),
        Field("active", "int", "jobs", "in the system"),
        Field("running", "int", "jobs", "on GPUs"),
        Field("queued", "int", "jobs", "waiting"),
        Field("completed", "int", "jobs", "completed since the start"),
        Field("utilization", "float", "fraction", "share of the GPU time of this round that was in use"),
        Field("utilization_by_type", "object", "fraction", "the same for each worker type"),
        Field(
            "unallocated_gpus",
            "float",
            "GPUs",
            "GPU capacity that no job holds, including the idle parts of shared GPUs",
        ),
        Field("pending_gpus", "float", "GPUs", "total request of the waiting jobs"),
        Field(
            "fragmented_gpus",
            "float",
            "GPUs",
            "[on nodes](../explanation/placement.md): idle GPU capacity that typical jobs cannot use, in expectation",
            _NODES,
        ),
        Field("occupied_nodes", "int", "nodes", "nodes on which at least one job ran", _NODES),
        Field("unplaced", "int", "jobs", "jobs selected by priority for which no node had room", _NODES),
        Field("migrations", "int", "times", "jobs that started [at a cost](../explanation/migration.md)", _FREE),
        Field("migration_s", "float", "s", "simulated time that those starts took, without training progress", _FREE),
        Field("teams", "int", "teams", "pairs of jobs that shared their GPUs", _NO_TEAMS),
        Field("sharing_gain", "float", "", "their mean gain, as in [rounds.parquet](run-directory.md)", _NOBODY_SHARED),
    ),
    "State of the cluster in one round.",
)

EVENT_FIELDS: Final = (
    Field("round", "int", "", "the round"),
    Field("sim_time_s", "float", "s", "simulated time: start of the round; in `run_end`, end of the run"),
    Field("end_s", "float", "s", "end of the round"),
    Field("scenario", "object", "", "the resolved scenario"),
    Field("job_id", "int", "", "the job"),
    Field("job_type", "text", "", "its name in the throughput table"),
    Field("scale_factor", "float", "GPUs", "GPUs that it needs at the same time"),
    Field("gpu_milli", "int", "GPU/1000", "share that it needs of each of its GPUs", _WHOLE),
    Field("cpu_milli", "int", "core/1000", "CPU that it requests on its node", _WHOLE),
    Field("memory_mib", "int", "MiB", "memory that it requests on its node", _WHOLE),
    Field("gpu_spec", "text", "", r"worker types on which it may run, as `V100M16\|V100M32`; empty means any", _WHOLE),
    Field("priority_weight", "float", "", "weight in the policy's objective; 1 is normal"),
    Field("total_steps", "float", "steps", "training steps (mini-batches) to complete"),
    Field("arrival_s", "float", "s", "arrival time"),
    Field("completion_s", "float", "s", "completion time"),
    Field("jct_s", "float", "s", "`completion_s - arrival_s`"),
    Field("reason", "text", "", "the reason"),
    Field("jobs", "int", "jobs", "active jobs passed to the policy"),
    Field("solves", "int", "solves", "allocation problems that it posed"),
    Field(
        "solver",
        "text",
        "",
        "backend of the last solve, or the one that the event is about (`auto:NAME` for `auto`)",
        _NO_SOLVE,
    ),
    Field("objective", "float", "", "certified objective of the last problem", _NO_SOLVE),
    Field("utilization", "float", "fraction", "share of all GPUs that the allocation uses", _NO_SOLVE),
    Field("next", "text", "", "backend that is tried next"),
    Field("gap", "float", "fraction", "relative gap to the proven bound"),
    Field("allowed", "float", "fraction", "gap that a backend should reach"),
    Field("limit", "float", "fraction", "largest gap that is accepted"),
    Field("slo_s", "float", "s", "deadline of the job, measured from its arrival", "it has none"),
    Field("passed", "list", "jobs", "ids of jobs whose SLO is given up because the deadline has passed"),
    Field("alone", "list", "jobs", "ids of jobs that could not meet it even alone on the cluster"),
    Field(
        "together", "list", "jobs", "ids of jobs whose SLO is given up, in this order, so that the others can be met"
    ),
    Field("running", "int", "jobs", "jobs that held GPUs"),
    Field("moves", "int", "jobs", "jobs that ran in the previous round and now run on other GPUs"),
    Field("lease_extensions", "int", "jobs", "jobs that kept exactly the GPUs of the previous round"),
    Field("status", "text", "", "[status](run-directory.md#runjson) of the run"),
    Field("rounds", "int", "rounds", "simulated rounds"),
)
"""Keys of EVENT lines: one of a name means the same in every event."""


def _event(name: str, meaning: str, keys: str) -> tuple[str, Record]:
    known = {each.name: each for each in EVENT_FIELDS}
    return name, Record(name, tuple(known[key] for key in keys.split()), meaning)


EVENTS: Final[Mapping[str, Record]] = dict(
    (
        _event("run_start", "first line", "scenario"),
        _event(
            "job_arrival",
            "a job was admitted",
            "round job_id job_type scale_factor gpu_milli cpu_milli memory_mib gpu_spec priority_weight "
            "total_steps arrival_s slo_s",
        ),
        _event(
            "job_refused",
            "a job can never fit on the cluster, or its throughput is 0 on every worker type",
            "round job_id job_type reason",
        ),
        _event(
            "slos_given_up",
            "the set of SLOs that the policy gives up has changed; lists all that are given up now",
            "round sim_time_s passed alone together",
        ),
        _event("allocation", "the policy was called", "round sim_time_s jobs solves solver objective utilization"),
        _event(
            "solver_fallback",
            "a chain, or `auto`, fell back from one backend to the next",
            "round sim_time_s solver reason next",
        ),
        _event(
            "solver_less_accurate",
            "no backend reached a gap of `allowed`; the best answer, with the proven gap `gap`, is accepted as it is "
            "within `limit`",
            "round sim_time_s solver gap allowed limit",
        ),
        _event("schedule_round", "every round", "round sim_time_s end_s running moves lease_extensions"),
        _event("job_complete", "a job completed its last step", "round job_id completion_s jct_s"),
        _event("job_failed", "a job was dropped after five failed micro-tasks in a row", "round job_id"),
        _event("run_end", "last line, unless the run was killed", "status reason rounds sim_time_s"),
    )
)
"""By what the key ``event`` says."""
