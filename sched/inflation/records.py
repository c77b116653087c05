"""What an inflation experiment leaves: curves, placements and figures, as files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from phasewise.profiling.artefacts.fill_files import CURVES, PLACEMENTS, FillJson, FillSummary, Status
from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.environment import describe_environment, peak_rss_mib
from phasewise.sched.cluster.requests import WHOLE_MILLI, Request
from phasewise.sched.inflation.experiment import DEFAULT_LOAD, Experiment, Filling
from phasewise.sched.inflation.fill_curves import FillCurves, fill_curves
from phasewise.sched.inflation.unplaceable import arrivals_of, unplaceable


def write_experiment(
    out: Path, experiment: Experiment, filling: Filling, *, status: Status, command: Sequence[str] = ()
) -> dict[str, Any]:
    """Write `placements.parquet`, `curves.csv` and, last, `run.json`; return the summary that the latter holds.

    Each is written beside its place and renamed, so that it is whole or not there.

    Raises
    ------
    OutputError
        Where a file cannot be written.
    """
    from phasewise.profiling.artefacts.tables import TableSink  # noqa: PLC0415  pyarrow: only where tables are written

    summary = summarise(experiment, filling)
    table = TableSink(out / PLACEMENTS.name, PLACEMENTS.columns())
    table.write(placement_columns(experiment, filling))
    table.close()
    write_atomically(out / CURVES.name, curves(experiment, filling).csv().encode())
    setting = {
        name: str(value) if isinstance(value, Path) else value for name, value in asdict(experiment.setting).items()
    }
    record = FillJson(
        setting=setting, command=list(command), environment=describe_environment(), summary=summary, status=status
    )
    write_atomically(out / "run.json", msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    return msgspec.structs.asdict(summary)


def placement_columns(experiment: Experiment, filling: Filling) -> dict[str, list[Any]]:
    """Return the columns of `placements.parquet`: event, pod, node (empty where none), GPUs ("0-1-2"), score."""
    layout, arrived = experiment.layout, experiment.order.pod[: len(filling)].tolist()
    index = layout.gpu_index.tolist()
    return {
        "event": list(range(len(filling))),
        "pod": [experiment.pods[pod].name for pod in arrived],
        "node": [layout.node_names[node] if node >= 0 else "" for node in filling.node],
        "gpus": ["-".join(str(index[gpu]) for gpu in gpus) for gpus in filling.gpus[: len(filling)]],
        "score": filling.score[: len(filling)],
    }


def curves(experiment: Experiment, filling: Filling) -> FillCurves:
    """Return the curves of what has happened, from load 0 to the last arrival's, or the one that was to be."""
    arrived = experiment.order.pod[: len(filling)]
    demand = np.array([pod.request.demand_milli for pod in experiment.pods], np.int64)[arrived]
    load = experiment.setting.load or (DEFAULT_LOAD if experiment.setting.order is None else 0.0)
    whole = len(filling) == experiment.arrivals
    return fill_curves(
        demand,
        np.array(filling.used_milli[: len(filling) + 1]),
        np.array(filling.fragmented_milli[: len(filling) + 1]),
        _occupied_nodes(filling),
        experiment.capacity_milli,
        round(100.0 * load) if whole else 0,
    )


def _occupied_nodes(filling: Filling) -> npt.NDArray[np.int64]:
    """Return (E + 1,) nodes with a GPU in use, before the first arrival and after each; nothing departs."""
    taken: set[int] = set()
    counts = [0]
    for node, gpus in zip(filling.node, filling.gpus, strict=False):
        if node >= 0 and gpus:
            taken.add(node)
        counts.append(len(taken))
    return np.array(counts, np.int64)


def failures(experiment: Experiment, filling: Filling) -> Counter[str]:
    """Return how many arrivals found no node, by what they ask for: see `request_class`."""
    counts: Counter[str] = Counter()
    for pod, node in zip(experiment.order.pod.tolist(), filling.node, strict=False):
        if node < 0:
            counts[request_class(experiment.pods[pod].request)] += 1
    return counts


def request_class(request: Request) -> str:
    """Return ``cpu`` for a request without GPUs, ``share`` for a part of one, otherwise ``gpu`` and how many."""
    if not request.gpus:
        return "cpu"
    return "share" if request.gpu_milli < WHOLE_MILLI else f"gpu{request.gpus}"


def summarise(experiment: Experiment, filling: Filling) -> FillSummary:
    """Return the figures of an experiment, as `run.json` has them."""
    found = curves(experiment, filling)
    failed = failures(experiment, filling)
    arrived = experiment.order.pod[: len(filling)]
    impossible = unplaceable(experiment)
    lost = sum(
        experiment.pods[pod].request.demand_milli
        for pod, node in zip(arrived.tolist(), filling.node, strict=True)
        if node < 0
    )
    return FillSummary(
        arrived_load_pct=int(found.load_pct[-1]),
        alloc_pct=float(found.alloc_pct[-1]),
        frag_pct_of_total=float(found.frag_pct_of_total[-1]),
        frag_pct_of_idle=float(found.frag_pct_of_idle[-1]),
        occupied_nodes=float(found.occupied_nodes[-1]),
        arrived_pods=len(filling),
        clones=len(filling) - len(np.unique(arrived)),
        failed_pods=failed.total(),
        failed_by_class=dict(sorted(failed.items())),
        failed_gpu_milli=lost,
        unplaceable_pods=arrivals_of(experiment, impossible, len(filling)),
        unplaceable_example=next(iter(impossible.values()), None),
        nodes=experiment.layout.nodes,
        gpus=experiment.layout.gpus,
        typical_requests=len(experiment.tasks.requests),
        cpu_s=filling.cpu_s,
        peak_rss_mib=peak_rss_mib(),
        cpu_us_per_pod=1e6 * filling.cpu_s / len(filling) if len(filling) else None,
    )
