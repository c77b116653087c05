"""What is told of a round in lines: the fields of EVENT and TELEMETRY lines, made of what happened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from phasewise.sched.recording.rounds import RoundLog
from phasewise.sched.round.outcome import NOTHING_PAID, AllocationRecord, RoundOutcome
from phasewise.sched.workload.arrivals import Arrival
from phasewise.solvers.api import Solution
from phasewise.solvers.certify import GAP_LIMIT, LESSER_GAP_LIMIT

Fields = dict[str, Any]
Events = Iterator[tuple[str, Fields]]


def arrival(round_index: int, job: Arrival) -> Fields:
    """Return what is told of a job that was admitted."""
    return {
        "round": round_index,
        "job_id": job.job_id,
        "job_type": job.job_type,
        "scale_factor": job.scale_factor,
        **_request(job),
        "priority_weight": job.priority_weight,
        "total_steps": job.total_steps,
        "arrival_s": job.arrival_s,
        **({} if job.slo_s is None else {"slo_s": job.slo_s}),
    }


def allocation(round_index: int, now_s: float, record: AllocationRecord) -> Events:
    """Yield the events of a call of the policy, by name."""
    when = {"round": round_index, "sim_time_s": now_s}
    for solution in record.solutions:
        yield from _answer(when, solution)
    if record.given_up is not None:
        yield "slos_given_up", when | {name: list(ids) for name, ids in record.given_up._asdict().items()}
    last = record.solutions[-1] if record.solutions else None
    yield (
        "allocation",
        when
        | {
            "jobs": record.jobs,
            "solves": len(record.solutions),
            "solver": None if last is None else last.backend,
            "objective": None if last is None else last.objective,
            "utilization": None if last is None else last.utilization,
        },
    )


def _answer(when: Fields, solution: Solution) -> Events:
    """Yield what is out of the ordinary in an answer."""
    for index, fallback in enumerate(solution.fallbacks):
        behind = solution.fallbacks[index + 1 :]
        then = behind[0].backend if behind else solution.backend
        yield "solver_fallback", when | {"solver": fallback.backend, "reason": fallback.reason, "next": then}
    if solution.less_accurate:
        limits = {"gap": solution.gap, "allowed": GAP_LIMIT, "limit": LESSER_GAP_LIMIT}
        yield "solver_less_accurate", when | {"solver": solution.backend, **limits}


def round_run(outcome: RoundOutcome) -> Fields:
    """Return what is told of a round that was run."""
    return {
        "round": outcome.round_index,
        "sim_time_s": outcome.start_s,
        "end_s": outcome.end_s,
        "running": outcome.running,
        "moves": outcome.moves,
        "lease_extensions": outcome.lease_extensions,
    }


def telemetry(outcome: RoundOutcome, log: RoundLog, worker_types: tuple[str, ...], completed: int) -> Fields:
    """Return the state of the cluster in a round that was just added to ``log``."""
    active, use = len(outcome.job_id), outcome.use
    told: Fields = {
        "round": outcome.round_index,
        "sim_time_s": outcome.start_s,
        "active": active,
        "running": outcome.running,
        "queued": active - outcome.running,
        "completed": completed,
        "utilization": log.utilization,
        "utilization_by_type": dict(zip(worker_types, log.utilization_by_type, strict=True)),
        "unallocated_gpus": use.unallocated_gpus,
        "pending_gpus": use.pending_gpus,
    }
    if use.fragmented_gpus is not None:
        told |= {
            "fragmented_gpus": use.fragmented_gpus,
            "occupied_nodes": use.occupied_nodes,
            "unplaced": use.unplaced,
        }
    if outcome.migration is not NOTHING_PAID:
        told |= {"migrations": outcome.migration.starts, "migration_s": outcome.migration.job_s}
    if outcome.shared is not None:
        told |= {"teams": outcome.shared.teams}
        if outcome.shared.teams:
            told |= {"sharing_gain": outcome.shared.gain / outcome.shared.teams}
    return told


def _request(job: Arrival) -> Fields:
    """Return what a job needs on its node, where that is more than whole GPUs."""
    if job.request is None:
        return {}
    needs = job.request
    return {
        "gpu_milli": needs.gpu_milli,
        "cpu_milli": needs.cpu_milli,
        "memory_mib": needs.memory_mib,
        "gpu_spec": needs.gpu_spec,
    }
