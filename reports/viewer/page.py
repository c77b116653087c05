"""The viewer's page: one self-contained HTML file, everything in it computed here or packed for the page to unpack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt

from phasewise.profiling.artefacts.run_json import STATUSES
from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.errors import OutputError
from phasewise.reports import quantities
from phasewise.reports.compare import Comparison, compare_runs
from phasewise.reports.errors import ComparisonError, ReportWriteError
from phasewise.reports.losses import losses
from phasewise.reports.run_directory import Run
from phasewise.reports.viewer import chunks, plots
from phasewise.reports.viewer.counts import count_rounds
from phasewise.reports.viewer.details import NUMBERS, WORDS, read_details
from phasewise.reports.viewer.jobs import JobKind, kinds_of
from phasewise.reports.viewer.occupancy import Occupancy, read_occupancy
from phasewise.reports.viewer.opening import Opening, busiest
from phasewise.reports.viewer.planes import pack
from phasewise.reports.viewer.timeline import Timeline, timeline

MOST_RUNS = 2
_SERIES = ("utilization", "frag_rate", "active", "running", "queued", "completed", "moves")
_COMPARED = ("average JCT", "JCT p50", "JCT p95", "rho, mean", "makespan", "utilisation", "moves")
_SCRIPTS = (
    ("vendor", "uPlot.iife.min.js"),
    ("templates", "export.js"),
    ("templates", "viewer_frames.js"),
    ("templates", "viewer_heatmap.js"),
    ("templates", "viewer_words.js"),
    ("templates", "viewer_history.js"),
    ("templates", "viewer_details.js"),
    ("templates", "viewer_theme.js"),
    ("templates", "viewer_colours.js"),
    ("templates", "viewer_pointer.js"),
    ("templates", "viewer_tables.js"),
    ("templates", "viewer_job.js"),
    ("templates", "viewer_search.js"),
    ("templates", "viewer_parts.js"),
    ("templates", "viewer_link.js"),
    ("templates", "viewer_keys.js"),
    ("templates", "viewer_export.js"),
    ("templates", "viewer.js"),
    ("templates", "report.js"),
)
_STYLES = (
    ("vendor", "uPlot.min.css"),
    ("templates", "report.css"),
    ("templates", "export.css"),
    ("templates", "viewer.css"),
)


@dataclass(frozen=True, slots=True)
class Panel:
    """One run on the page: what the template writes, and its packed blocks by their id in the page."""

    key: str
    run: Run
    name: str
    lede: str
    occupancy: Occupancy
    kinds: Sequence[JobKind]
    blocks: Sequence[tuple[str, str]]

    def blocks_around(self, round_index: int) -> tuple[Sequence[tuple[str, str]], Sequence[tuple[str, str]]]:
        """Return the blocks that a page which opens at a round needs first, and the others."""
        wanted = {f"{self.key}-base", f"{self.key}-chunk-{max(0, round_index) // chunks.ROUNDS}"}
        first = [block for block in self.blocks if block[0] in wanted]
        return first, [block for block in self.blocks if block[0] not in wanted]

    @property
    def notes(self) -> Sequence[str]:
        """Return what to know of the run: what its tables lack, and jobs that are in no mean."""
        return [*self.occupancy.notes, *(f"{loss.sentence}." for loss in losses(self.run.summary))]

    @property
    def fragmentation(self) -> bool:
        """Return whether the run recorded fragmentation in any round."""
        return bool(np.isfinite(self.run.rounds.numbers("frag_rate")).any())


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
    panels = _panels(runs, names)
    clock = timeline([panel.occupancy for panel in panels])
    time = plots.time_charts(runs, names, clock)
    jct = plots.jct_charts(runs, names)
    opening = busiest(clock, runs)
    shelf = files("phasewise.reports")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("phasewise.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = quantities.number
    return environment.get_template("viewer.html").render(
        statuses=STATUSES,
        panels=panels,
        ticks=len(clock.time_s),
        time=time,
        jct=jct,
        opening=opening,
        blocks=[panel.blocks_around(int(at[opening.tick])) for panel, at in zip(panels, clock.round_at, strict=True)],
        comparison=_comparison(runs),
        viewer=_payload(panels, clock, opening),
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


def _panels(runs: Sequence[Run], names: Sequence[str]) -> list[Panel]:
    read = [read_occupancy(run) for run in runs]
    kinds = kinds_of([occupancy.jobs for occupancy in read])
    panels = []
    for index, (run, name, occupancy) in enumerate(zip(runs, names, read, strict=True)):
        texts = chunks.encode(occupancy.held, occupancy.rounds)
        blocks = [(f"r{index}-base", _base(occupancy, kinds.index[index], len(kinds.of_run[index])))]
        details = read_details(run, occupancy.jobs.job_id, occupancy.held.stays)
        blocks += [(f"r{index}-chunk-{number}", text) for number, text in enumerate(texts)]
        blocks.append((f"r{index}-jobs", pack(details.arrays())))
        panels.append(Panel(f"r{index}", run, name, _lede(run, occupancy), occupancy, kinds.of_run[index], blocks))
    return panels


def _lede(run: Run, occupancy: Occupancy) -> str:
    """Return in one line what ran, on what, and for how long."""
    cluster = occupancy.cluster
    return " · ".join(
        part
        for part in (
            *(str(run.section(section).get("name") or "") for section in ("policy", "solver", "placement")),
            f"{quantities.count(cluster.gpus)} GPUs on {quantities.count(len(cluster.gpus_per_node))} nodes",
            f"{quantities.count(len(occupancy.jobs.job_id))} jobs",
            f"{quantities.count(occupancy.rounds)} rounds in {quantities.MAKESPAN(occupancy.end_s)}",
        )
        if part
    )


def _base(occupancy: Occupancy, kind_index: npt.NDArray[np.int64], kinds: int) -> str:
    """Return what the page needs before any chunk: GPUs by node, slots by GPU, the jobs, and counts of each round."""
    jobs = occupancy.jobs
    counts = count_rounds(occupancy, kind_index, kinds)
    return pack(
        [
            occupancy.cluster.gpus_per_node,
            occupancy.held.slots_per_gpu,
            np.diff(jobs.job_id, prepend=0),
            jobs.type_index,
            kind_index,
            jobs.arrival_s,
            jobs.first_round,
            jobs.end_round,
            jobs.gpu_milli,
            jobs.rho_milli,
            counts.held_milli.ravel(),
            counts.waiting.ravel(),
            counts.waiting_milli,
        ]
    )


def _comparison(runs: Sequence[Run]) -> Comparison | None:
    """Return two runs side by side, with the figures that the page shows; None of one run."""
    if len(runs) < MOST_RUNS:
        return None
    compared = compare_runs(runs)
    return replace(compared, metrics=tuple(row for row in compared.metrics if row.label in _COMPARED))


def _payload(panels: Sequence[Panel], clock: Timeline, opening: Opening) -> dict[str, Any]:
    return {
        "start": opening.tick,
        "time_s": _rounded(clock.time_s),
        "chunkRounds": chunks.ROUNDS,
        "jobNumbers": list(NUMBERS.items()),
        "jobWords": WORDS,
        "runs": [_run_payload(panel, at) for panel, at in zip(panels, clock.round_at, strict=True)],
    }


def _run_payload(panel: Panel, round_at: npt.NDArray[np.int64]) -> dict[str, Any]:
    occupancy = panel.occupancy
    rounds = panel.run.rounds
    return {
        "key": panel.key,
        "name": panel.name,
        "rounds": occupancy.rounds,
        "sim_time_s": _rounded(occupancy.sim_time_s),
        "end_s": round(occupancy.end_s, 3),
        "roundAt": round_at.tolist(),
        "workerTypes": list(occupancy.cluster.worker_types),
        "nodesPerType": list(occupancy.cluster.nodes_per_type),
        "jobTypes": list(occupancy.jobs.job_types),
        "kinds": [{"label": kind.label, "colour": kind.colour, "jobs": kind.jobs} for kind in panel.kinds],
        "series": {name: _significant(rounds.numbers(name)) for name in _SERIES if name in rounds},
    }


def _rounded(seconds: npt.NDArray[np.float64]) -> list[float]:
    return [round(value, 3) for value in seconds.tolist()]


def _significant(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [
        None if value != value else int(value) if value == int(value) else float(f"{value:.4g}")  # noqa: PLR0124  NaN
        for value in values.tolist()
    ]
