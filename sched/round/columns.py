"""The columns of `phasewise.sched.round.jobs.JobTable` by their place in its three blocks.

A block holds the columns of one kind, so that compiled code takes all of them as one argument, and so that one loop
removes rows from all of them.
"""

from __future__ import annotations

from typing import Final

FLOATS: Final = (
    "scale_factor",
    "priority_weight",
    "total_steps",
    "steps_done",
    "arrival_s",
    "migration_due_s",
    "demand_milli",
    "pooled_throughput",
    "isolated_s",
    "steps_settled",
    "first_start_s",
    "run_s",
    "gpu_s",
    "slo_s",
    "cost",
)
INTS: Final = (
    "job_id", "type_index", "failures", "rounds_run", "moves", "restarts", "worker_type", "has_allocation",
    "gpus", "gpu_milli", "cpu_milli", "memory_mib", "request",
)  # fmt: skip
PER_TYPE: Final = ("throughput", "x", "job_time_s", "deficit_s", "visited")

SCALE_FACTOR: Final = FLOATS.index("scale_factor")
PRIORITY_WEIGHT: Final = FLOATS.index("priority_weight")
TOTAL_STEPS: Final = FLOATS.index("total_steps")
STEPS_DONE: Final = FLOATS.index("steps_done")
ARRIVAL_S: Final = FLOATS.index("arrival_s")
DEMAND_MILLI: Final = FLOATS.index("demand_milli")
POOLED_THROUGHPUT: Final = FLOATS.index("pooled_throughput")
ISOLATED_S: Final = FLOATS.index("isolated_s")
STEPS_SETTLED: Final = FLOATS.index("steps_settled")
FIRST_START_S: Final = FLOATS.index("first_start_s")
RUN_S: Final = FLOATS.index("run_s")
GPU_S: Final = FLOATS.index("gpu_s")
SLO_S: Final = FLOATS.index("slo_s")
COST: Final = FLOATS.index("cost")

JOB_ID: Final = INTS.index("job_id")
TYPE_INDEX: Final = INTS.index("type_index")
FAILURES: Final = INTS.index("failures")
ROUNDS_RUN: Final = INTS.index("rounds_run")
MOVES: Final = INTS.index("moves")
RESTARTS: Final = INTS.index("restarts")
WORKER_TYPE: Final = INTS.index("worker_type")
GPUS: Final = INTS.index("gpus")
GPU_MILLI: Final = INTS.index("gpu_milli")
CPU_MILLI: Final = INTS.index("cpu_milli")
MEMORY_MIB: Final = INTS.index("memory_mib")
REQUEST: Final = INTS.index("request")

THROUGHPUT: Final = PER_TYPE.index("throughput")
JOB_TIME_S: Final = PER_TYPE.index("job_time_s")
