"""Reading, describing and converting traces for the command line: options, progress, and what is printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from phasewise.bench.cli.progress import LINE_INTERVAL_S

if TYPE_CHECKING:
    from phasewise.sched.scenario.config import Scenario
    from phasewise.sched.workload.importing.store import RecordStore


def formats_text(*, as_json: bool) -> str:
    """Return the trace formats, a line each, or as JSON with what each takes for granted."""
    from phasewise.sched.workload.importing.registry import broken_formats, describe_formats, trace_format

    records: list[dict[str, Any]] = []
    for name, line in describe_formats().items():
        known = trace_format(name)
        records.append(
            {"name": name, "description": line, "assumes": list(known.assumes), "columns": list(known.columns),
             "broken": None}
        )  # fmt: skip
    nothing = {"description": "", "assumes": [], "columns": []}
    records += [{"name": name, **nothing, "broken": why} for name, why in broken_formats().items()]
    if as_json:
        return json.dumps(records, indent=2, ensure_ascii=False)
    width = max(len(record["name"]) for record in records)
    return "\n".join(f"{record['name']:<{width}}  {record['broken'] or record['description']}" for record in records)


def scenario_of(file: Path, overrides: Mapping[str, Any]) -> Scenario:
    """Return a scenario that reads a trace so: it has the checks and the messages of a run's options."""
    from phasewise.sched.scenario.loading import load_scenario

    return load_scenario("toy", {"workload.trace": str(file), **overrides})


def imported(scenario: Scenario, *, quiet: bool, target: Path | None = None) -> RecordStore:
    """Return the records of a scenario's trace, with a display of how far it is read."""
    from phasewise.sched.scenario.workloads import choice_of
    from phasewise.sched.workload.importing.importer import import_trace

    path = Path(scenario.workload.trace)
    with _progress(path.name, quiet=quiet) as report:
        return import_trace(path, choice_of(scenario.workload), report, target)


class _progress:  # noqa: N801  (a context manager, used as a function)
    """How far a file is read: a line every few seconds on standard error, rewritten in place on a terminal."""

    def __init__(self, name: str, *, quiet: bool) -> None:
        self._name, self._quiet = name, quiet
        self._last_s = monotonic()
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> Callable[[int, int, int], None] | None:
        return None if self._quiet else self._report

    def __exit__(self, *_: object) -> None:
        if self._terminal and not self._quiet:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _report(self, position: int, size: int, rows: int) -> None:
        now_s = monotonic()
        if now_s - self._last_s < (0.2 if self._terminal else LINE_INTERVAL_S):
            return
        self._last_s = now_s
        share = f"{position / size:.0%}" if size else ""
        line = f"{self._name}: {share} of {size / 1e6:,.0f} MB, {rows:,} rows"
        print(
            f"\r\033[K{line}" if self._terminal else line,
            end="" if self._terminal else "\n",
            file=sys.stderr,
            flush=True,
        )


def converted(file: Path, out: Path, given: dict[str, Any], *, throughputs: Path | None, seed: int, quiet: bool) -> str:
    """Convert a trace and return what is said of it."""
    import click

    from phasewise.sched.scenario.workloads import rules_of
    from phasewise.sched.workload.importing.importer import require_jobs

    overrides = given["overrides"] | {"seed": seed}
    if throughputs is not None:
        overrides["workload.throughputs"] = str(throughputs)
    if out.exists() and file.exists() and out.samefile(file):
        raise click.UsageError(f"--out {out} is the trace itself; name another file")
    if not out.parent.is_dir():
        raise click.UsageError(f"--out {out}: there is no folder {out.parent}")
    scenario = scenario_of(file, overrides)
    gavel = out.suffix == ".trace"
    store = require_jobs(imported(scenario, quiet=quiet, target=None if gavel else out), file)
    told = list(account_lines(store.account))
    if gavel:
        from phasewise.sched.workload.gavel_trace import write_trace
        from phasewise.sched.workload.recorded_jobs import RecordedJobs
        from phasewise.sched.workload.throughputs import ThroughputTable, write_csv

        rules = rules_of(scenario)
        chosen = scenario.workload.throughputs
        table = ThroughputTable.from_csv(Path(chosen)) if chosen else ThroughputTable.builtin()
        jobs = RecordedJobs(store, rules, table, tuple(sorted(rules.speed or {rules.reference_type: 1.0})))
        write_trace(jobs.arrivals_in_order(), out)
        told = list(account_lines(jobs.imported))
        if rules.speed or jobs.scaled:
            speeds = out.with_suffix(".speeds.csv")
            write_csv(jobs.throughputs, speeds)
            told.append(f"speeds of its jobs: {speeds} (run it with --throughputs)")
    return "\n".join([*told, f"written: {out}"])


def account_lines(account: Mapping[str, Any]) -> list[str]:
    """Return what became of the rows of a trace, and what was assumed, a line each."""
    lines = [
        f"{account.get('source', 'trace')}: format {account.get('format', '')}, "
        f"{account.get('rows_read', 0):,} rows read, {account.get('rows_kept', 0):,} kept"
    ]
    lines += [f"  dropped {rows:,}: {reason}" for reason, rows in account.get("dropped", {}).items()]
    if shift := account.get("first_arrival_s"):
        lines.append(f"  first arrival: {shift:,.0f} s, taken from every time, so that it is 0")
    lines += [f"  assumed: {sentence}" for sentence in account.get("assumptions", ())]
    return lines


def described(
    file: Path,
    given: dict[str, Any],
    *,
    machines: tuple[str | None, str | None],
    as_json: bool,
    html: Path | None,
    quiet: bool,
) -> str:
    """Return what a trace holds, as text or as JSON; write the page, where one is asked for."""
    from phasewise.reports import trace_text
    from phasewise.sched.workload.description import described as figures_of
    from phasewise.sched.workload.throughputs import ThroughputTable

    named = {"cluster.gpus": machines[0], "cluster.nodes": machines[1]}
    scenario = scenario_of(file, given["overrides"] | {key: value for key, value in named.items() if value})
    store = imported(scenario, quiet=quiet)
    table, reference = ThroughputTable.builtin(), scenario.workload.reference_type
    capacity, correction = _capacity(scenario, store) if any(machines) else (None, "")
    figures = figures_of(store, lambda job_type, gpus: table.rate_of(job_type, gpus, reference), capacity)
    if correction:
        figures["assumptions"] = [*figures.get("assumptions", ()), correction]
    if html is not None:
        from phasewise.reports.trace_page import write_page

        write_page(figures, html)
    if as_json:
        return json.dumps(figures, indent=1, ensure_ascii=False)
    lines = [*account_lines(figures), *trace_text.lines(figures)]
    return "\n".join([*lines, f"page: {html}"] if html is not None else lines)


def _capacity(scenario: Scenario, store: RecordStore) -> tuple[dict[str, int], str]:
    """Return the GPUs of each type of a scenario, and in what a log contradicts its node list."""
    from phasewise.sched.cluster.corrections import as_seen
    from phasewise.sched.cluster.node_lists import gpus_by_type, listed_nodes

    seen = store.account.get("machines")
    if not (scenario.cluster.nodes and seen):
        return dict(scenario.cluster.gpus), ""
    nodes, correction = as_seen(listed_nodes(scenario.cluster), seen)
    return gpus_by_type(nodes), correction
