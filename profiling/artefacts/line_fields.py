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
            "backend that solved last, for `auto` with the one it picked (`auto:structured`); before the first solve, "
            "the solver of the scenario",
        ),
        Field("rebuild", "text", "", "why that backend built its model", "it reused it, or nothing was solved"),
        Field("iterations", "int", "", "solver iterations since the last line"),
        Field("total_s", "float", "s", "wall time; equal to the sum of `phases_s` plus `other_s`"),
        Field("phases_s", "object", "s", "exclusive wall time by phase; phases that were never open are left out"),
        Field("phases_cpu_s", "object", "s", "exclusive CPU time by phase"),
        Field("other_s", "float", "s", "wall time outside all phases"),
        Field(
            "final",
            "bool",
            "",
            "`true`: this is the last line, with the totals of the run",
            "any other line (left out)",
        ),
    ),
    "Where the time went, in total since the last such line.",
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
        Field("utilization", "float", "fraction", "share of the GPU time of this round that was used"),
        Field("utilization_by_type", "object", "fraction", "the same by worker type"),
        Field("unallocated_gpus", "float", "GPUs", "held by nobody, the idle parts of shared ones included"),
        Field("pending_gpus", "float", "GPUs", "what the waiting jobs ask for"),
        Field(
            "fragmented_gpus",
            "float",
            "GPUs",
            "[on nodes](../explanation/placement.md): idle GPUs that a typical job cannot be expected to use",
            _NODES,
        ),
        Field("occupied_nodes", "int", "nodes", "nodes on which a job ran", _NODES),
        Field("unplaced", "int", "jobs", "jobs chosen by priority for which no node had room", _NODES),
        Field("migrations", "int", "times", "jobs that started [at a cost](../explanation/migration.md)", _FREE),
        Field("migration_s", "float", "s", "simulated time in which jobs held GPUs for that and made no step", _FREE),
        Field("teams", "int", "teams", "pairs of jobs that shared their GPUs", _NO_TEAMS),
        Field("sharing_gain", "float", "", "their mean gain, as in [rounds.parquet](run-directory.md)", _NOBODY_SHARED),
    ),
    "The cluster in one round.",
)

EVENT_FIELDS: Final = (
    Field("round", "int", "", "the round"),
    Field("sim_time_s", "float", "s", "simulated time: start of the round; of `run_end`, the end of the run"),
    Field("end_s", "float", "s", "end of the round"),
    Field("scenario", "object", "", "the resolved scenario"),
    Field("job_id", "int", "", "the job"),
    Field("job_type", "text", "", "its name in the throughput table"),
    Field("scale_factor", "float", "GPUs", "GPUs it needs at once"),
    Field("gpu_milli", "int", "GPU/1000", "what it needs of each of its GPUs", _WHOLE),
    Field("cpu_milli", "int", "core/1000", "CPU it needs on its node", _WHOLE),
    Field("memory_mib", "int", "MiB", "memory it needs on its node", _WHOLE),
    Field("gpu_spec", "text", "", r"worker types on which it may run, as `V100M16\|V100M32`; empty means any", _WHOLE),
    Field("priority_weight", "float", "", "1 is normal"),
    Field("total_steps", "float", "steps", "mini-batches to do"),
    Field("arrival_s", "float", "s", "when it came"),
    Field("completion_s", "float", "s", "when it completed"),
    Field("jct_s", "float", "s", "`completion_s - arrival_s`"),
    Field("reason", "text", "", "why"),
    Field("jobs", "int", "jobs", "active jobs that the policy saw"),
    Field("solves", "int", "solves", "problems that it stated"),
    Field(
        "solver",
        "text",
        "",
        "the backend that solved last, or that the event is about (`auto:NAME` of `auto`)",
        _NO_SOLVE,
    ),
    Field("objective", "float", "", "certified objective of the last problem", _NO_SOLVE),
    Field("utilization", "float", "fraction", "share of all GPUs that the allocation uses", _NO_SOLVE),
    Field("next", "text", "", "the backend that is asked next"),
    Field("gap", "float", "fraction", "relative gap to the proven bound"),
    Field("allowed", "float", "fraction", "what it should have come within"),
    Field("limit", "float", "fraction", "what it must come within"),
    Field("slo_s", "float", "s", "the duration, from its arrival, that the job is promised", "it is promised none"),
    Field("passed", "list", "jobs", "ids of jobs whose SLO is given up as its time is up"),
    Field("alone", "list", "jobs", "ids of those that could not meet it with the cluster for themselves"),
    Field("together", "list", "jobs", "ids of those whose SLO went, in this order, so that the others can be met"),
    Field("running", "int", "jobs", "jobs that held GPUs"),
    Field("moves", "int", "jobs", "jobs that ran in the last round and now run on other GPUs"),
    Field("lease_extensions", "int", "jobs", "jobs of the last round that kept exactly their GPUs"),
    Field("status", "text", "", "[status](run-directory.md#runjson) of the run"),
    Field("rounds", "int", "rounds", "rounds that were run"),
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
            "a job that no pool can ever hold, or whose speed is 0 on every worker type",
            "round job_id job_type reason",
        ),
        _event(
            "slos_given_up",
            "the policy tries to meet other SLOs than before: all that it has given up for now",
            "round sim_time_s passed alone together",
        ),
        _event("allocation", "the policy was asked", "round sim_time_s jobs solves solver objective utilization"),
        _event(
            "solver_fallback",
            "a backend of a chain gave way to the next, or one that `auto` had picked to another",
            "round sim_time_s solver reason next",
        ),
        _event(
            "solver_less_accurate",
            "no backend came within `allowed` of its bound; the best answer, proven to `gap`, stands because that is "
            "within `limit`",
            "round sim_time_s solver gap allowed limit",
        ),
        _event("schedule_round", "every round", "round sim_time_s end_s running moves lease_extensions"),
        _event("job_complete", "a job did its last step", "round job_id completion_s jct_s"),
        _event("job_failed", "a job was dropped after five failed micro-tasks in a row", "round job_id"),
        _event("run_end", "the last line, where the run could still write it", "status reason rounds sim_time_s"),
    )
)
"""By what the key ``event`` says."""
