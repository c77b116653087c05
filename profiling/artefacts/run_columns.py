"""The Parquet tables of a run directory, column by column."""

from __future__ import annotations

from typing import Final

from phasewise.profiling.artefacts.schemas import Field, Record

_SPANS = "jobs may span nodes"
_NO_SOLVE = "nothing was solved"
_OPEN = "the run ended first"
_NO_TEAMS = "the policy does not pack"
_NOBODYS = "the workload does not say"

JOBS: Final = Record(
    "jobs.parquet",
    (
        Field("job_id", "int64", "", "order of arrival, from 0", needed=True),
        Field("job_type", "string", "", "name in the throughput table"),
        Field("name", "string", "", "what the trace calls it", _NOBODYS, 2),
        Field("user", "string", "", "who submitted it", _NOBODYS, 2),
        Field("vc", "string", "", "virtual cluster, or queue, it was submitted to", _NOBODYS, 2),
        Field("class", "string", "", "class of service, or priority", _NOBODYS, 2),
        Field("arrival_s", "float64", "s", "when it came", needed=True),
        Field("scale_factor", "float64", "GPUs", "GPUs it needs at once; below 1 of a job that shares one"),
        Field("demand_milli", "int64", "GPU/1000", "the same in thousandths of a GPU, all its GPUs together", since=2),
        Field("gpu_milli", "int64", "GPU/1000", "`demand_milli` by its name of schema 1"),
        Field("cpu_milli", "int64", "core/1000", "CPU it needs on its node; 0 where it asks for none", since=2),
        Field("memory_mib", "int64", "MiB", "memory it needs on its node; 0 where it asks for none", since=2),
        Field("priority_weight", "float64", "", "1 is normal"),
        Field("total_steps", "float64", "steps", "mini-batches to do"),
        Field("slo_s", "float64", "s", "time from its arrival within which it is to complete", "it has no SLO", 2),
        Field(
            "first_start_s",
            "float64",
            "s",
            "simulated time at which it first held GPUs",
            "it never did",
            2,
        ),
        Field("completion_s", "float64", "s", "simulated time at which it completed", "not complete"),
        Field("end_s", "float64", "s", "simulated time at which it left, whatever ended it", _OPEN, 2),
        Field("jct_s", "float64", "s", "`completion_s - arrival_s`", "not complete", needed=True),
        Field("queued_s", "float64", "s", "`first_start_s - arrival_s`", "it never started", 2),
        Field("run_s", "float64", "s", "simulated time in which its tasks ran or it moved", since=2),
        Field("gpu_s", "float64", "GPU s", "GPU time that it held, in each round to its end", since=2),
        Field("ideal_s", "float64", "s", "its steps over its best rate on a worker type of this cluster", "refused", 2),
        Field(
            "rho",
            "float64",
            "",
            "finish-time fairness: `jct_s` over its time under an isolated share, as in the summary",
            "not complete",
            2,
        ),
        Field("cost", "float64", "as `cluster.gpu_hour_prices`", "what its GPU time costs", "no prices are given", 2),
        Field(
            "status",
            "string",
            "",
            "`complete`, `failed`, `refused`, or `active` where the run ended first",
            needed=True,
        ),
        Field("rounds_run", "int64", "rounds", "rounds in which it held GPUs"),
        Field("moves", "int64", "times", "rounds in which it held other GPUs than in the round before"),
        Field("restarts", "int64", "times", "rounds in which it ran again after one in which it waited", since=2),
    ),
    "In the order in which jobs ended, then those that the run left behind.",
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
            "its end, and with it any wait for the next arrival where nothing ran",
            since=2,
        ),
        Field("active", "int64", "jobs", "in the system", needed=True),
        Field("running", "int64", "jobs", "holding GPUs", needed=True),
        Field("queued", "int64", "jobs", "`active - running`", needed=True),
        Field("completed", "int64", "jobs", "completed since the start, this round included"),
        Field("utilization", "float64", "fraction", "GPU time used over GPU time offered in this round", needed=True),
        Field("utilization_<type>", "float64", "fraction", "the same on one worker type; a column for each type"),
        Field(
            "frag_rate",
            "float64",
            "fraction",
            "[fragmented](../explanation/placement.md) over idle GPU capacity, 0 where none is idle",
            _SPANS,
        ),
        Field(
            "fragmented_gpus", "float64", "GPUs", "idle capacity that a typical job cannot be expected to use", _SPANS
        ),
        Field("occupied_nodes", "float64", "nodes", "nodes on which a job ran", _SPANS),
        Field("unallocated_gpus", "float64", "GPUs", "held by nobody, the idle parts of shared GPUs included"),
        Field("pending_gpus", "float64", "GPUs", "what the waiting jobs ask for"),
        Field("unplaced", "float64", "jobs", "chosen by priority, and no node had room"),
        Field("moves", "int64", "jobs", "jobs that ran in the last round and now run on other GPUs", needed=True),
        Field(
            "migration_s",
            "float64",
            "s",
            "simulated time that jobs spent starting on other GPUs; 0 where moving is free",
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
        Field("lp_solved", "int64", "solves", "problems solved in this round", needed=True),
        Field("lp_jobs", "int64", "jobs", "jobs in the last problem of this round, 0 without one"),
        Field("lp_iterations", "int64", "", "iterations of the solver in this round"),
        Field("lp_rebuild", "string", "", "why the model was built: see below", "it was reused, or nothing was solved"),
        Field("lp_objective", "float64", "", "certified objective", _NO_SOLVE),
        Field(
            "lp_gap",
            "float64",
            "fraction",
            "relative gap to the proven bound; of a heuristic, what it gives up at most",
            "nothing was solved or proven",
        ),
        Field("lp_utilization", "float64", "fraction", "share of all GPUs that the allocation uses", _NO_SOLVE),
        Field(
            "lp_utilization_ceiling",
            "float64",
            "fraction",
            "largest share that any feasible allocation uses",
            "the solver is no heuristic, or nothing was solved",
        ),
        Field("rss_mib", "float64", "MiB", "memory the process held; read every 16 rounds", needed=True),
        Field("other_s", "float64", "s", "wall time of the round outside the nine phases"),
        Field("phase_<name>_s", "float64", "s", "exclusive wall time of a phase"),
        Field("other_cpu_s", "float64", "s", "CPU time of the round outside the nine phases"),
        Field("phase_<name>_cpu_s", "float64", "s", "exclusive CPU time of a phase"),
    ),
    "In the order of rounds.",
)

PLACEMENTS: Final = Record(
    "placements.parquet",
    (
        Field("job_id", "int64", "", "the job", needed=True),
        Field("node", "int64", "", "node, counted over the worker types in alphabetical order", needed=True),
        Field("gpu", "int64", "", "GPU within the node", needed=True),
        Field("share_milli", "int64", "GPU/1000", "how much of it; 1000 is the whole", needed=True),
        Field("start_round", "int64", "", "first round", needed=True),
        Field("end_round", "int64", "", "first round in which it no longer held it", needed=True),
    ),
    "A row for each stay of a job on a GPU. A job on four GPUs has four rows.",
)
