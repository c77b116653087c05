"""The 10-field trace of Gavel, read strictly and written.

A line a job, tab separated: job type, command, working directory, name of the steps argument, needs_data_dir (0 or 1),
total steps, scale factor, priority weight, SLO (-1: none), arrival (s). The simulation reads the job type and the last
five; every field is checked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from phasewise.profiling.names import quoted
from phasewise.sched.errors import TraceError
from phasewise.sched.reading.faults import Fault, render
from phasewise.sched.reading.fields import decoded_lines, number, positive_integer
from phasewise.sched.reading.recognise import TRACE
from phasewise.sched.workload.arrivals import Arrival
from phasewise.sched.workload.throughputs import ThroughputView

FIELDS = 10


def read_trace(
    path: Path, throughputs: ThroughputView, jobs: int = 0, reference: ThroughputView | None = None
) -> list[Arrival]:
    """Return the jobs of a trace in order, the first ``jobs`` of them unless that is 0.

    An SLO is a multiple of the duration that a job has on the worker type of ``reference``; where that is not given, or
    the job does not run there, on its fastest type.

    Raises
    ------
    TraceError
        Naming the file and the line of every fault of the whole file (the first 20, then their number).
    """
    arrivals, faults = scan_trace(path, throughputs, reference)
    if faults:
        raise TraceError(render(path, faults))
    return arrivals[:jobs] if jobs else arrivals


def scan_trace(
    path: Path, throughputs: ThroughputView, reference: ThroughputView | None = None
) -> tuple[list[Arrival], list[Fault]]:
    """Return the jobs of the lines that are right, and every fault with its line, in order."""
    try:
        lines, faults = decoded_lines(path, TRACE)
    except OSError as error:
        return [], [Fault(None, f"cannot read the trace: {error.strerror}")]
    if not lines and not faults:
        return [], [Fault(None, f"the trace is empty; a line of {FIELDS} tab-separated fields for each job is needed")]
    arrivals: list[Arrival] = []
    last_s, last_line = 0.0, 0
    for line, text in lines:
        arrival, told = _parse(len(arrivals), text, throughputs)
        if arrival is not None and arrival.arrival_s < last_s:
            told.append(
                f"arrival is {arrival.arrival_s:g} s, before the {last_s:g} s of line {last_line}; "
                "allowed: arrivals in ascending order"
            )
        elif arrival is not None:
            last_s, last_line = arrival.arrival_s, line
            arrivals.append(_promised(arrival, throughputs, reference))
        faults.extend(Fault(line, message) for message in told)
    faults.sort(key=lambda fault: fault.line or 0)
    return arrivals, faults


def _parse(job_id: int, text: str, throughputs: ThroughputView) -> tuple[Arrival | None, list[str]]:
    fields = text.split("\t")
    if len(fields) != FIELDS:
        what = "the line is empty" if not text.strip() else f"{len(fields)} tab-separated fields"
        return None, [f"{what}; allowed: {FIELDS} fields"]
    job_type, _, _, _, needs_data_dir, steps, scale_factor, priority, slo, arrival = fields
    told: list[str] = []

    def take(field: str, value: str, **bounds: float) -> float:
        try:
            return number(field, value, **bounds)
        except ValueError as error:
            told.append(str(error))
            return math.nan

    if needs_data_dir not in ("0", "1"):
        told.append(f"needs_data_dir is {quoted(needs_data_dir)}; allowed: 0 or 1")
    total_steps = take("total steps", steps, above=0.0)
    factor, row = 0, 0
    try:
        factor = positive_integer("scale factor", scale_factor)
        row = throughputs.index(job_type, factor)
    except ValueError as error:
        told.append(str(error))
    weight = take("priority weight", priority, above=0.0)
    multiple = take("SLO", slo, finest=0.0)
    if multiple <= 0 and multiple != -1.0:
        told.append(f"SLO is {quoted(slo)}; allowed: -1 (none) or a number above 0")
    arrival_s = take("arrival", arrival, least=0.0, finest=0.0)
    if told:
        return None, told
    slo_of_job = multiple if multiple > 0.0 else None
    return Arrival(job_id, job_type, row, float(factor), weight, total_steps, arrival_s, slo=slo_of_job), told


def _promised(job: Arrival, throughputs: ThroughputView, reference: ThroughputView | None) -> Arrival:
    """Return a job with its SLO in seconds."""
    if job.slo is None:
        return job
    rate = 0.0
    if reference is not None:
        with suppress(ValueError):  # the table says nothing of the job there
            rate = float(reference.row(job.job_type, int(job.scale_factor))[0])
    rate = rate or float(throughputs.rows[job.type_index].max())
    return replace(job, slo_s=job.slo * job.total_steps / rate) if rate > 0.0 else job


def write_trace(arrivals: Iterable[Arrival], path: Path, *, truncate: bool = False) -> None:
    """Write jobs as a trace that `read_trace` gives back exactly.

    Parameters
    ----------
    arrivals
        The jobs, in order of arrival.
    path
        Where to; the file appears only when it is complete.
    truncate
        Write what the original would: steps and weights cut to integers and arrivals to 6 decimals. Its reader takes
        integer steps only, and its own traces lose up to a step a job this way.
    """
    beside = path.with_name(path.name + ".part")
    with beside.open("w", encoding="utf-8", newline="\n") as stream:
        for job in arrivals:
            steps = str(int(job.total_steps)) if truncate else _shortest(job.total_steps)
            weight = str(int(job.priority_weight)) if truncate else _shortest(job.priority_weight)
            arrival = f"{job.arrival_s:.6f}" if truncate else _shortest(job.arrival_s)
            named = (job.job_type, "command", "directory", "--steps", "1")
            slo = "-1.000000" if job.slo is None else f"{job.slo:.6f}" if truncate else _shortest(job.slo)
            stream.write("\t".join((*named, steps, _shortest(job.scale_factor), weight, slo, arrival)) + "\n")
    beside.replace(path)


def _shortest(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)
