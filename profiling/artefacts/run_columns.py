"""The Parquet tables of a run directory, column by column."""

from __future__ import annotations

from typing import Final

from phasewise.profiling.artefacts.schemas import Field, Record

_SPANS = "jobs may span nodes"
_NO_SOLVE = "nothing was solved"
_OPEN = "the run ended first"
_NO_TEAMS = "the policy does not pack"
_NO_MEMORY = "`output.memory` is off"
_NOBODYS = "the workload does not say"

JOBS: Final = Record(
    "jobs.parquet",
    (
        Field("job_id", "int64", "", "order of arrival, from 0", needed=True),
        Field("job_type", "string", "", "name in the throughput table"),
        Field("name", "string", "", "what the trace calls it", _NOBODYS, 2),
        Field("user", "string", "", "user who submitted it", _NOBODYS, 2),
        Field("vc", "string", "", "virtual cluster or queue that it was submitted to", _NOBODYS, 2),
        Field("class", "string", "", "class of service, or priority", _NOBODYS, 2),
        Field("arrival_s", "float64", "s", "arrival time", needed=True),
        Field(
            "scale_factor",
            "float64",
            "GPUs",
            "GPUs that it needs at the same time; below 1 for a job that shares a GPU",
        ),
        Field("demand_milli", "int64", "GPU/1000", "total GPU demand in thousandths of a GPU", since=2),
        Field("gpu_milli", "int64", "GPU/1000", "`demand_milli` under its name in schema 1"),
        Field("cpu_milli", "int64", "core/1000", "CPU that it requests on its node; 0 for none", since=2),
        Field("memory_mib", "int64", "MiB", "memory that it requests on its node; 0 for none", since=2),
        Field("priority_weight", "float64", "", "weight in the policy's objective; 1 is normal"),
        Field("total_steps", "float64", "steps", "training steps (mini-batches) to complete"),
        Field("slo_s", "float64", "s", "deadline, measured from its arrival", "it has no SLO", 2),
        Field(
            "first_start_s",
            "float64",
            "s",
            "simulated time at which it first held GPUs",
            "it never did",
            2,
        ),
        Field("completion_s", "float64", "s", "simulated time at which it completed", "not complete"),
        Field("end_s", "float64", "s", "simulated time at which it left the system for any reason", _OPEN, 2),
        Field("jct_s", "float64", "s", "`completion_s - arrival_s`", "not complete", needed=True),
        Field("queued_s", "float64", "s", "`first_start_s - arrival_s`", "it never started", 2),
        Field("run_s", "float64", "s", "simulated time in which it ran or was being moved", since=2),
        Field("gpu_s", "float64", "GPU s", "GPU time that it held, counted to the end of each round", since=2),
        Field(
            "ideal_s",
            "float64",
            "s",
            "its steps over its throughput on the fastest worker type of this cluster",
            "refused",
            2,
        ),
        Field(
            "rho",
            "float64",
            "",
            "finish-time fairness: `jct_s` over its time on an isolated share of the cluster, as in the summary",
            "not complete",
            2,
        ),
        Field("cost", "float64", "as `cluster.gpu_hour_prices`", "price of its GPU time", "no prices are given", 2),
        Field(
            "status",
            "string",
            "",
            "`complete`, `failed`, `refused`, or `active` where the run ended first",
            needed=True,
        ),
        Field("rounds_run", "int64", "rounds", "rounds in which it held GPUs"),
        Field("moves", "int64", "times", "rounds in which it held other GPUs than in the previous round"),
        Field("restarts", "int64", "times", "rounds in which it ran again after a round of waiting", since=2),
    ),
    "One row per job, in the order in which jobs ended, followed by those that did not end.",
)

ROUNDS: Final = Record(
    "rounds.parquet",
    (
        Field("round", "int64", "", "from 0", needed=True),
        Field("sim_time_s", "float64", "s", "start of the round", needed=True),
        Field(
            "end_s",
            "float64",
            "s",
            "end of the round; where nothing ran, includes the wait for the next arrival",
            since=2,
        ),
        Field("active", "int64", "jobs", "in the system", needed=True),
        Field("running", "int64", "jobs", "holding GPUs", needed=True),
        Field("queued", "int64", "jobs", "`active - running`", needed=True),
        Field("completed", "int64", "jobs", "completed since the start, this round included"),
        Field("utilization", "float64", "fraction", "GPU time used in this round over GPU time available", needed=True),
        Field("utilization_<type>", "float64", "fraction", "the same for one worker type; one column per type"),
        Field(
            "frag_rate",
            "float64",
            "fraction",
            "[fragmented](../explanation/placement.md) GPU capacity over idle GPU capacity; 0 if none is idle",
            _SPANS,
        ),
        Field(
            "fragmented_gpus",
            "float64",
            "GPUs",
            "idle GPU capacity that typical jobs cannot use, in expectation",
            _SPANS,
        ),
        Field("occupied_nodes", "float64", "nodes", "nodes on which at least one job ran", _SPANS),
        Field(
            "unallocated_gpus",
            "float64",
            "GPUs",
            "GPU capacity that no job holds, including the idle parts of shared GPUs",
        ),
        Field("pending_gpus", "float64", "GPUs", "total request of the waiting jobs"),
        Field("unplaced", "float64", "jobs", "jobs selected by priority for which no node had room"),
        Field("moves", "int64", "jobs", "jobs that ran in the previous round and now run on other GPUs", needed=True),
        Field(
            "migration_s",
            "float64",
            "s",
            "simulated time that jobs spent starting on other GPUs; 0 if moving is free",
        ),
        Field("teams", "float64", "teams", "pairs of jobs that shared their GPUs", _NO_TEAMS, 2),
        Field(
            "sharing_gain",
            "float64",
            "",
            "mean over these [teams](../explanation/packing.md) of both rates over those alone: 1 is as good as taking "
            "turns, 2 as having the GPUs for oneself",
            "there was no team",
            2,
        ),
        Field("lp_solved", "int64", "solves", "allocation problems solved in this round", needed=True),
        Field("lp_jobs", "int64", "jobs", "jobs in the last allocation problem of this round; 0 if there was none"),
        Field("lp_iterations", "int64", "", "iterations of the solver in this round"),
        Field(
            "lp_rebuild",
            "string",
            "",
            "why the solver model was built anew: see below",
            "it was reused, or nothing was solved",
        ),
        Field("lp_objective", "float64", "", "certified objective", _NO_SOLVE),
        Field(
            "lp_gap",
            "float64",
            "fraction",
            "relative gap to the proven bound; for a heuristic, an upper bound on the loss",
            "nothing was solved or proven",
        ),
        Field("lp_utilization", "float64", "fraction", "share of all GPUs that the allocation uses", _NO_SOLVE),
        Field(
            "lp_utilization_ceiling",
            "float64",
            "fraction",
            "largest share that any feasible allocation can use",
            "the solver is no heuristic, or nothing was solved",
        ),
        Field("rss_mib", "float64", "MiB", "memory of the process; read every 16 rounds", needed=True),
        Field("other_s", "float64", "s", "wall time of the round outside the nine phases"),
        Field("phase_<name>_s", "float64", "s", "exclusive wall time of a phase"),
        Field("other_cpu_s", "float64", "s", "CPU time of the round outside the nine phases"),
        Field("phase_<name>_cpu_s", "float64", "s", "exclusive CPU time of a phase"),
        Field(
            "other_rss_mib",
            "float64",
            "MiB",
            "what resident memory grew by in the round outside the nine phases",
            _NO_MEMORY,
            2,
        ),
        Field(
            "phase_<name>_rss_mib",
            "float64",
            "MiB",
            "what resident memory grew by in a phase; below 0 where it shrank",
            _NO_MEMORY,
            2,
        ),
    ),
    "One row per round, in order.",
)

PLACEMENTS: Final = Record(
    "placements.parquet",
    (
        Field("job_id", "int64", "", "the job", needed=True),
        Field("node", "int64", "", "node, numbered across the worker types in alphabetical order", needed=True),
        Field("gpu", "int64", "", "GPU within the node", needed=True),
        Field("share_milli", "int64", "GPU/1000", "share of the GPU that it held; 1000 is the whole GPU", needed=True),
        Field("start_round", "int64", "", "first round", needed=True),
        Field("end_round", "int64", "", "first round in which it no longer held the GPU", needed=True),
    ),
    "One row per stay of a job on a GPU. A job on four GPUs has four rows.",
)
