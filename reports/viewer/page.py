"""The viewer's page: one self-contained HTML file, everything in it computed here or packed for the page to unpack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from phasewise.profiling.errors import OutputError
from phasewise.profiling.sinks import write_atomically
from phasewise.reports import quantities
from phasewise.reports.errors import ComparisonError, ReportWriteError
from phasewise.reports.run_directory import Run
from phasewise.reports.viewer import chunks, plots
from phasewise.reports.viewer.jobs import Jobs
from phasewise.reports.viewer.occupancy import Occupancy, read_occupancy
from phasewise.reports.viewer.planes import pack
from phasewise.reports.viewer.timeline import Timeline, timeline

MOST_RUNS = 2
_SERIES = ("utilization", "frag_rate", "active", "running", "queued", "completed", "moves")
_SCRIPTS = (
    ("vendor", "uPlot.iife.min.js"),
    ("templates", "viewer_frames.js"),
    ("templates", "viewer_heatmap.js"),
    ("templates", "viewer.js"),
    ("templates", "report.js"),
)
_STYLES = (("vendor", "uPlot.min.css"), ("templates", "report.css"), ("templates", "viewer.css"))


@dataclass(frozen=True, slots=True)
class Panel:
    """One run on the page: what the template writes, and its packed blocks by their id in the page."""

    run: Run
    name: str
    lede: str
    occupancy: Occupancy
    blocks: Sequence[tuple[str, str]]


def write_viewer(runs: Sequence[Run], out: Path | str) -> Path:
    """Write the viewer of one run, or of two side by side, to the file ``out`` and return its path.

    Raises
    ------
    ComparisonError
        Where there is no run, or more than two.
    RunDirectoryError
        Where a run's tables cannot be read or do not agree.
    ReportWriteError
        Where ``out`` cannot be written.
    """
    target = Path(out)
    if target.is_dir():
        raise ReportWriteError(f"{target}: is a folder; the name of an HTML file to write is expected")
    page = render_viewer(runs)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, page.encode())
    except (OSError, OutputError) as error:
        raise ReportWriteError(f"{target}: the viewer cannot be written: {error}") from error
    return target


def render_viewer(runs: Sequence[Run]) -> str:
    """Return the page's HTML; raises as `write_viewer` does."""
    if not 1 <= len(runs) <= MOST_RUNS:
        raise ComparisonError(f"the viewer shows one run, or two side by side; {len(runs)} were given")
    names = _names(runs)
    panels = [_panel(run, f"r{index}", name) for index, (run, name) in enumerate(zip(runs, names, strict=True))]
    clock = timeline([panel.occupancy for panel in panels])
    time = plots.time_charts(runs, names, clock)
    jct = plots.jct_charts(runs, names)
    shelf = files("phasewise.reports")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("phasewise.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = quantities.count
    return environment.get_template("viewer.html").render(
        panels=panels,
        ticks=len(clock.time_s),
        time=time,
        jct=jct,
        viewer=_payload(panels, clock),
        payload=[chart.payload() for chart in (*time, *jct) if not chart.absent],
        css="\n".join(shelf.joinpath(*name).read_text("utf-8") for name in _STYLES),
        scripts=[shelf.joinpath(*name).read_text("utf-8") for name in _SCRIPTS],
    )


def _names(runs: Sequence[Run]) -> list[str]:
    """Return a name for each run: its directory's, with A and B where both have the same."""
    names = [run.name for run in runs]
    if len(set(names)) == len(names):
        return names
    return [f"{name} ({letter})" for name, letter in zip(names, "AB", strict=True)]


def _panel(run: Run, key: str, name: str) -> Panel:
    occupancy = read_occupancy(run)
    texts = chunks.encode(occupancy.held, occupancy.rounds)
    blocks = [(f"{key}-base", _base(occupancy))]
    blocks += [(f"{key}-chunk-{index}", text) for index, text in enumerate(texts)]
    cluster = occupancy.cluster
    lede = " · ".join(
        part
        for part in (
            *(str(run.section(section).get("name") or "") for section in ("policy", "solver", "placement")),
            f"{quantities.count(cluster.gpus)} GPUs on {quantities.count(len(cluster.gpus_per_node))} nodes",
            f"{quantities.count(len(occupancy.jobs.job_id))} jobs",
            f"{quantities.count(occupancy.rounds)} rounds in {quantities.duration(occupancy.end_s)}",
        )
        if part
    )
    return Panel(run, name, lede, occupancy, blocks)


def _base(occupancy: Occupancy) -> str:
    """Return what the page needs before any chunk: GPUs by node, slots by GPU, and the jobs."""
    jobs = occupancy.jobs
    return pack(
        [
            occupancy.cluster.gpus_per_node,
            occupancy.held.slots_per_gpu,
            np.diff(jobs.job_id, prepend=0),
            jobs.type_index,
            jobs.kind_index,
            jobs.arrival_s,
            jobs.first_round,
            jobs.end_round,
            jobs.gpus,
            jobs.gpu_milli,
        ]
    )


def _payload(panels: Sequence[Panel], clock: Timeline) -> dict[str, Any]:
    return {
        "time_s": _rounded(clock.time_s),
        "chunkRounds": chunks.ROUNDS,
        "runs": [
            _run_payload(panel, f"r{index}", at)
            for index, (panel, at) in enumerate(zip(panels, clock.round_at, strict=True))
        ],
    }


def _run_payload(panel: Panel, key: str, round_at: npt.NDArray[np.int64]) -> dict[str, Any]:
    occupancy = panel.occupancy
    rounds = panel.run.rounds
    return {
        "key": key,
        "name": panel.name,
        "rounds": occupancy.rounds,
        "sim_time_s": _rounded(occupancy.sim_time_s),
        "end_s": round(occupancy.end_s, 3),
        "roundAt": round_at.tolist(),
        "workerTypes": list(occupancy.cluster.worker_types),
        "nodesPerType": list(occupancy.cluster.nodes_per_type),
        "jobTypes": list(occupancy.jobs.job_types),
        "kinds": list(_kinds(occupancy.jobs)),
        "series": {name: _significant(rounds.numbers(name)) for name in _SERIES if name in rounds},
    }


def _kinds(jobs: Jobs) -> Iterator[dict[str, Any]]:
    for kind in jobs.kinds:
        yield {"label": kind.label, "colour": kind.colour, "jobs": kind.jobs}


def _rounded(seconds: npt.NDArray[np.float64]) -> list[float]:
    return [round(value, 3) for value in seconds.tolist()]


def _significant(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [
        None if value != value else int(value) if value == int(value) else float(f"{value:.4g}")  # noqa: PLR0124  NaN
        for value in values.tolist()
    ]
