"""Runs side by side: metrics, phases, solver statistics, and whether they may be compared at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phasewise.profiling.artefacts.run_json import LostGpuTime, Rho
from phasewise.reports.changes import Change, change_of
from phasewise.reports.errors import ComparisonError
from phasewise.reports.figures import PhaseRow, SolverFigures, phase_order, phase_rows, quantile, solver_figures
from phasewise.reports.flame_changes import FlameChanges, changes_between, has_stacks
from phasewise.reports.losses import different_jobs
from phasewise.reports.periods import different_periods
from phasewise.reports.quantities import (
    GPU_TIME,
    JCT,
    MAKESPAN,
    MEMORY,
    PER_ROUND,
    PLAIN,
    RUN_TIME,
    SHARE,
    SOLVE_TIME,
    SPEED,
    THIN_SPACE,
    WAIT,
    Quantity,
)
from phasewise.reports.run_directory import Run, Summary
from phasewise.reports.trees import flat
from phasewise.reports.worth import drift_text, piles_up

# A difference here means that the runs did other work; elsewhere (policy, solver, placement) it is the experiment.
_WORK = ("cluster", "workload", "seed", "timing", "stop", "recorded", "migration")
_TABLES = ("metrics", "wall_ms", "cpu_ms", "shares", "solver")
_LABELS = ("name", "description", "output")
# What may differ between two runs on one machine without touching their times.
_INCIDENTAL = ("commit", "dirty", "version", "branch", "date", "started", "load", "hostname", "pid", "git")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a comparison.

    Attributes
    ----------
    label, quantity
        What it is, and what kind of figure: unit, and how it is written.
    values
        One a run, in the unit; None where a run has no such figure.
    relative
        Whether a ratio to the first run means something (not for a rounding error).
    """

    label: str
    quantity: Quantity
    values: tuple[float | None, ...]
    relative: bool = True

    @property
    def unit(self) -> str:
        """Return the unit of the values, empty for a plain number."""
        return self.quantity.unit

    def shown(self, index: int, group: str = THIN_SPACE) -> str:
        """Return the value of a run as people read it, without its unit."""
        return self.quantity.shown(self.values[index], group)

    @property
    def ratios(self) -> tuple[float | None, ...]:
        """Return each value over the first run's, None where that means nothing."""
        first = self.values[0] if self.relative else None
        return tuple(value / first if value is not None and first else None for value in self.values)


@dataclass(frozen=True, slots=True)
class Difference:
    """A key whose values are not the same in all runs (None where a run does not have it)."""

    key: str
    values: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side; the first is what the others are measured against.

    Attributes
    ----------
    names, statuses
        One a run.
    scenario, environment
        Keys that differ.
    cautions
        Sentences saying what may not be compared; empty where everything may.
    metrics, wall_ms, cpu_ms, shares, solver
        The tables: metrics; phases as wall and CPU ms a round and as share of the loop's CPU time, those with the most
        CPU time in the first run first; solver statistics.
    rebuilds
        Solves by the reason for which the model was built anew, one mapping a run.
    changes
        Each run but the first against the first, in CPU time a round with intervals; those without times are left out.
    functions
        Each run but the first against the first, by sampled call stacks, where both have them.
    """

    names: tuple[str, ...]
    statuses: tuple[str, ...]
    scenario: tuple[Difference, ...]
    environment: tuple[Difference, ...]
    cautions: tuple[str, ...]
    metrics: tuple[Row, ...]
    wall_ms: tuple[Row, ...]
    cpu_ms: tuple[Row, ...]
    shares: tuple[Row, ...]
    solver: tuple[Row, ...]
    rebuilds: tuple[Mapping[str, int], ...]
    changes: tuple[Change, ...] = ()
    functions: tuple[FlameChanges, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as plain lists, mappings, text and numbers, units in the keys' neighbours."""
        tables = {name: getattr(self, name) for name in _TABLES}
        return {
            "runs": list(self.names),
            "status": list(self.statuses),
            "comparable": not self.cautions,
            "cautions": list(self.cautions),
            "scenario_differences": {item.key: list(item.values) for item in self.scenario},
            "environment_differences": {item.key: list(item.values) for item in self.environment},
            **{
                name: {
                    row.label: {"unit": row.unit, "values": list(row.values), "ratios": list(row.ratios)}
                    for row in rows
                }
                for name, rows in tables.items()
            },
            "rebuilds": [dict(reasons) for reasons in self.rebuilds],
            "changes": [change.as_json() for change in self.changes],
            "functions": {item.key: item.as_json() for item in self.functions},
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each line of a table: table, label, unit, and a column a run."""
        return [
            {"table": name, "label": row.label, "unit": row.unit, **dict(zip(self.names, row.values, strict=True))}
            for name in _TABLES
            for row in getattr(self, name)
        ]


def compare_runs(runs: Sequence[Run]) -> Comparison:
    """Return the runs side by side, measured against the first.

    Raises
    ------
    ComparisonError
        With fewer than two runs.
    RunDirectoryError
        Where a run's table of rounds cannot be read.
    """
    if len(runs) < 2:
        raise ComparisonError(f"{len(runs)} run given; a comparison needs at least two run directories")
    scenario = _differences([flat(run.scenario) for run in runs], _LABELS)
    environment = _differences([flat(run.environment) for run in runs], _INCIDENTAL)
    phases = [{row.name: row for row in phase_rows(run.summary)} for run in runs]
    solvers = [solver_figures(run.rounds) for run in runs]
    return Comparison(
        names=_names(runs),
        statuses=tuple(run.status for run in runs),
        scenario=scenario,
        environment=environment,
        cautions=_cautions(runs, scenario, environment),
        metrics=_metrics([run.summary for run in runs]),
        wall_ms=_phase_table(phases, PER_ROUND, lambda row: row.wall_round_s),
        cpu_ms=_phase_table(phases, PER_ROUND, lambda row: row.cpu_round_s),
        shares=_phase_table(phases, SHARE, lambda row: row.share),
        solver=tuple(
            Row(label, quantity, tuple(quantity.of(read(item)) for item in solvers), relative=label != _GAP)
            for label, quantity, read in _SOLVER
        ),
        rebuilds=tuple(item.rebuilds for item in solvers),
        changes=_changes(runs),
        functions=_functions(runs),
    )


def _changes(runs: Sequence[Run]) -> tuple[Change, ...]:
    """Return each run but the first against the first: judged where both did the same work in one environment."""
    base, found = runs[0], []
    for name, run in zip(_names(runs)[1:], runs[1:], strict=True):
        same_work, same_machine = _alike(base, run)
        change = change_of(name, base, run, same_work=same_work, judged=same_work and same_machine)
        if change is not None:
            found.append(change)
    return tuple(found)


def _functions(runs: Sequence[Run]) -> tuple[FlameChanges, ...]:
    """Return each run but the first against the first by sampled stacks, where both have them."""
    first, *others = _names(runs)
    base, found = runs[0], []
    for name, run in zip(others, runs[1:], strict=True):
        if not (has_stacks(base.path) and has_stacks(run.path)):
            continue
        alike = all(_alike(base, run))
        found.append(
            changes_between(base.path, run.path, (first, name))
            if alike
            else FlameChanges(name, (first, name), absent="No verdict: the times are not comparable.")
        )
    return tuple(found)


def _alike(base: Run, run: Run) -> tuple[bool, bool]:
    """Return whether two runs did the same work, and whether they did it in the same environment."""
    differing = _differences([flat(base.scenario), flat(run.scenario)], _LABELS)
    same_work = not any(_top(row.key) in _WORK for row in differing)
    return same_work, not _differences([flat(base.environment), flat(run.environment)], _INCIDENTAL)


def _names(runs: Sequence[Run]) -> tuple[str, ...]:
    names = [run.name for run in runs]
    return tuple(name if names.count(name) == 1 else str(run.path) for name, run in zip(names, runs, strict=True))


def _of_rho(read: Callable[[Rho], float]) -> Callable[[Summary], float | None]:
    """Return what reads a figure of finish-time fairness from a summary, None where it is not known."""
    return lambda summary: None if summary.rho is None else read(summary.rho)


def _lost(read: Callable[[LostGpuTime], float | None]) -> Callable[[Summary], float | None]:
    """Return what reads GPU time that is lost to a cause from a summary, None where it is not known."""
    return lambda summary: None if summary.lost_gpu_s is None else read(summary.lost_gpu_s)


_METRICS: tuple[tuple[str, Quantity, Callable[[Summary], float | None]], ...] = (
    ("average JCT", JCT, lambda s: s.avg_jct_s),
    ("JCT p50", JCT, lambda s: s.jct_s_p50),
    ("JCT p95", JCT, lambda s: s.jct_s_p95),
    ("jobs in the mean JCT", PLAIN, lambda s: s.jct_jobs),
    ("queue wait p50", WAIT, lambda s: s.queue_s_p50),
    ("queue wait p95", WAIT, lambda s: s.queue_s_p95),
    ("slowdown, mean", PLAIN, lambda s: None if s.slowdown is None else s.slowdown.mean),
    ("slowdown, p99", PLAIN, lambda s: None if s.slowdown is None else s.slowdown.p99),
    ("rho, mean", PLAIN, _of_rho(lambda rho: rho.mean)),
    ("rho, p99", PLAIN, _of_rho(lambda rho: rho.p99)),
    ("rho, worst", PLAIN, _of_rho(lambda rho: rho.worst)),
    ("rho above 1, of jobs", SHARE, _of_rho(lambda rho: rho.share_above_1)),
    ("Jain's index", PLAIN, lambda s: s.jain),
    ("makespan", MAKESPAN, lambda s: s.makespan_s),
    ("utilisation", SHARE, lambda s: s.utilization),
    ("offered load", SHARE, lambda s: s.offered_load),
    ("drift", SHARE, lambda s: None if s.drift is None else s.drift.share),
    ("goodput", SHARE, lambda s: s.goodput),
    ("lost to moving", GPU_TIME, _lost(lambda lost: lost.migration)),
    ("lost at ends of rounds", GPU_TIME, _lost(lambda lost: lost.round_end)),
    ("idle, jobs waiting", GPU_TIME, _lost(lambda lost: lost.fragmented)),
    ("idle, no work", GPU_TIME, _lost(lambda lost: lost.no_work)),
    ("rounds", PLAIN, lambda s: s.rounds),
    ("jobs completed", PLAIN, lambda s: s.jobs_completed),
    ("jobs failed", PLAIN, lambda s: s.jobs_failed),
    ("jobs refused", PLAIN, lambda s: s.jobs_refused),
    ("moves", PLAIN, lambda s: s.moves),
    ("moves per job", PLAIN, lambda s: s.moves_per_job),
    ("restarts per job", PLAIN, lambda s: s.restarts_per_job),
    ("LP solves", PLAIN, lambda s: s.lp_solves),
    ("models reused", SHARE, lambda s: s.kept_models),
    ("lease extensions", SHARE, lambda s: s.lease_extension_rate),
    ("rounds per CPU second", SPEED, lambda s: s.rounds_per_cpu_s),
    ("CPU time", RUN_TIME, lambda s: s.cpu_s),
    ("wall time", RUN_TIME, lambda s: s.wall_s),
    ("peak RSS", MEMORY, lambda s: s.peak_rss_mib),
)

# Of runs in which every job runs on one node.
_NODES: tuple[tuple[str, Quantity, Callable[[Summary], float | None]], ...] = (
    ("idle GPUs, mean", PLAIN, lambda s: s.unallocated_gpus_mean),
    ("fragmented GPUs, mean", PLAIN, lambda s: s.fragmented_gpus_mean),
    ("fragmented of idle, mean", SHARE, lambda s: s.frag_rate_mean),
    ("nodes used, mean", PLAIN, lambda s: s.occupied_nodes_mean),
    ("unplaced jobs, mean", PLAIN, lambda s: s.unplaced_mean),
)

# Of runs in which jobs that count were left unfinished.
_CENSORED: tuple[tuple[str, Quantity, Callable[[Summary], float | None]], ...] = (
    ("JCT, lower bound", JCT, lambda s: s.avg_jct_lower_bound_s),
    ("counted jobs", PLAIN, lambda s: s.window_jobs),
)

# Of runs whose GPUs have prices, and of runs with jobs that were promised a duration.
_COST: tuple[tuple[str, Quantity, Callable[[Summary], float | None]], ...] = (("cost", PLAIN, lambda s: s.cost),)
_SLOS: tuple[tuple[str, Quantity, Callable[[Summary], float | None]], ...] = (
    ("SLOs missed", PLAIN, lambda s: s.slo_misses),
)
_OWNERS: tuple[tuple[str, Quantity, Callable[[Summary], float | None]], ...] = (
    ("Jain's index, users", PLAIN, lambda s: s.jain_users),
    ("Jain's index, vcs", PLAIN, lambda s: s.jain_vcs),
)

_GAP = "worst gap"
_SOLVER: tuple[tuple[str, Quantity, Callable[[SolverFigures], float | None]], ...] = (
    ("rounds with a solve", PLAIN, lambda s: s.solves),
    ("iterations, median", PLAIN, lambda s: s.iterations_median),
    ("build CPU, median", SOLVE_TIME, lambda s: quantile(s.build_s, 0.5)),
    ("build CPU, p95", SOLVE_TIME, lambda s: quantile(s.build_s, 0.95)),
    ("solve CPU, median", SOLVE_TIME, lambda s: quantile(s.solve_s, 0.5)),
    ("solve CPU, p95", SOLVE_TIME, lambda s: quantile(s.solve_s, 0.95)),
    (_GAP, PLAIN, lambda s: s.worst_gap),
    ("solves without a bound", PLAIN, lambda s: s.uncertified),
)


def _metrics(summaries: Sequence[Summary]) -> tuple[Row, ...]:
    asked = [*_METRICS]
    if any(summary.follows_nodes for summary in summaries):
        asked += _NODES
    if any(summary.censored for summary in summaries):
        asked += _CENSORED
    if any(summary.cost is not None for summary in summaries):
        asked += _COST
    if any(summary.slo_misses is not None for summary in summaries):
        asked += _SLOS
    asked += [each for each in _OWNERS if any(each[2](summary) is not None for summary in summaries)]
    return tuple(
        Row(label, quantity, tuple(quantity.of(read(summary)) for summary in summaries))
        for label, quantity, read in asked
    )


def _phase_table(
    phases: Sequence[Mapping[str, PhaseRow]], quantity: Quantity, read: Callable[[PhaseRow], float | None]
) -> tuple[Row, ...]:
    """Return a row a phase, in the order of the first run that has it, and their total."""
    cost: dict[str, float] = {}
    for run in phases:
        cost = {name: row.cpu_s or 0.0 for name, row in run.items()} | cost
    order = sorted(cost, key=lambda name: phase_order(name, cost))
    rows = [
        Row(name, quantity, tuple(quantity.of(read(run[name])) if name in run else None for run in phases))
        for name in order
    ]
    totals = tuple(
        sum(value for row in rows if (value := row.values[index]) is not None) for index in range(len(phases))
    )
    return (*rows, Row("total", quantity, totals)) if rows else ()


def _differences(trees: Sequence[Mapping[str, object]], ignored: Sequence[str]) -> tuple[Difference, ...]:
    keys = sorted(set().union(*trees))
    rows = (Difference(key, tuple(tree.get(key) for tree in trees)) for key in keys if _top(key) not in ignored)
    return tuple(row for row in rows if any(value != row.values[0] for value in row.values[1:]))


def _top(key: str) -> str:
    return key.split(".", 1)[0]


def _is_partial(run: Run) -> bool:
    """Return whether jobs that count were left unfinished, as far as a run of schema 1 says so."""
    censored = run.summary.censored
    return run.status != "complete" if censored is None else censored


def _cautions(
    runs: Sequence[Run], scenario: Sequence[Difference], environment: Sequence[Difference]
) -> tuple[str, ...]:
    cautions = []
    if work := [row.key for row in scenario if _top(row.key) in _WORK]:
        cautions.append(f"not comparable: the runs simulate different work (differing: {', '.join(work)})")
    if environment:
        keys = ", ".join(row.key for row in environment)
        cautions.append(f"times are not comparable: the runs were made in different environments (differing: {keys})")
    if partial := [run.name for run in runs if _is_partial(run)]:
        cautions.append(
            f"JCT covers only finished jobs (a lower bound) in runs that did not complete: {', '.join(partial)}"
        )
    cautions += _piling(runs)
    if periods := different_periods(runs, _names(runs)):
        cautions.append(periods)
    if lost := different_jobs(runs, _names(runs)):
        cautions.append(lost)
    return tuple(cautions)


def _piling(runs: Sequence[Run]) -> list[str]:
    """Return a sentence where jobs piled up in runs, so that their JCT says when they ended; none otherwise."""
    growing = [
        f"{name}: {drift_text(run.summary.drift)}"
        for name, run in zip(_names(runs), runs, strict=True)
        if run.status == "overloaded" or (run.summary.drift is not None and piles_up(run.summary.drift))
    ]
    if not growing:
        return []
    return [f"JCT measures the length of the run, because arrivals pile up (drift): {'; '.join(growing)}"]
