"""The parts of a publication, each measured here and now: runs, growth, solvers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from phasewise.bench.publish.origins import Report, Stopwatch, origin, settings
from phasewise.bench.publish.scales import SWEEP_COMMON, Plan
from phasewise.bench.series.runs import run_into
from phasewise.bench.suite_tapes import suite_tape
from phasewise.profiling.stats import median_interval, median_ratio_interval, quantile
from phasewise.reports import publication as published
from phasewise.reports.figures import bins_of, memory_column, memory_growth, phase_names
from phasewise.reports.phase_costs import costs, figure, round_ms, typical_costs
from phasewise.reports.run_directory import Run, load_run
from phasewise.solvers.errors import TapeError

if TYPE_CHECKING:
    from phasewise.solvers.replay import Record

MOST_POINTS: Final = 200  # of a curve over rounds
FIRST: Final = "structured"
_STRETCHES: Final = "95 % bootstrap over stretches of consecutive rounds"


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where runs are put, and who is told how far it is."""

    folder: Path
    say: Report


def runs(scale: str, plan: Plan, place: Workplace) -> published.Runs:
    """Return the figures of the scenario, run several times, each time in a process of its own."""
    plan.prepare()
    watch, made = Stopwatch(), []
    for index in range(plan.repeats):
        out = place.folder / f"{scale}-{index}"
        run_into(out, plan.scenario, plan.overrides)
        made.append(load_run(out))
        place.say(f"{scale}: run {index + 1} of {plan.repeats}: {made[-1].summary.cpu_s:.2f} CPU s")
    added = _added(scale, plan, place)
    tables = [run.rounds for run in made]
    cost = round_ms(tables)
    first = made[0]
    return published.Runs(
        origin=origin(
            settings(plan.scenario, plan.overrides),
            f"{plan.repeats} runs of {first.summary.rounds} rounds",
            f"{_STRETCHES}, 20 a run, those of all runs together",
            watch.cpu_s(),
        ),
        setup=_setup(first),
        gpus=_gpus(first),
        rounds=first.summary.rounds,
        active=float(first.rounds.numbers("active").mean()),
        lp_solves=first.summary.lp_solves or 0,
        rounds_per_cpu_s=published.Figure(1e3 / cost.high, 1e3 / cost.estimate, 1e3 / cost.low),
        round_ms=cost,
        phases=costs(tables),
        memory=msgspec.structs.replace(_memory(made), added_mib=added),
    )


def _setup(run: Run) -> str:
    names = [str(run.section(part).get("name", "")) for part in ("policy", "solver", "placement")]
    return " · ".join(name for name in names if name)


def _gpus(run: Run) -> int:
    return sum(nodes * gpus for nodes, gpus in run.layout["gpus_per_node"])


def _added(scale: str, plan: Plan, place: Workplace) -> dict[str, float]:
    """Return what resident memory grew by within each phase of a further run, MiB: reading it so often takes time."""
    out = place.folder / f"{scale}-memory"
    run_into(out, plan.scenario, {**plan.overrides, "output.memory": "true"})
    rounds = load_run(out).rounds
    return {name: float(rounds.numbers(memory_column(name)).sum()) for name in phase_names(rounds)}


def _memory(made: Sequence[Run]) -> published.Memory:
    """Return the memory of the run whose peak is the median of all."""
    chosen = sorted(made, key=lambda run: run.summary.peak_rss_mib or 0.0)[len(made) // 2]
    rss = chosen.rounds.numbers("rss_mib")
    bins = bins_of(len(rss), MOST_POINTS)
    return published.Memory(
        round=[int(at) for at in bins.first(chosen.rounds.numbers("round"))],
        rss_mib=[round(float(value), 1) for value in bins.largest(rss)],
        peak_mib=chosen.summary.peak_rss_mib or float(np.nanmax(rss)),
        growth=memory_growth(rss[np.isfinite(rss)]),
        peaks_mib=sorted(run.summary.peak_rss_mib or 0.0 for run in made),
    )


def growth(scale: str, plan: Plan, place: Workplace) -> published.Growth:
    """Return what each phase costs at each size of the scale's sweep."""
    watch, sweep = Stopwatch(), plan.sweep
    made: dict[float, list[Run]] = {times: [] for times in sweep.sizes}
    for turn, (times, done) in product(range(sweep.turns), made.items()):
        sweep.prepare(times)
        out = place.folder / f"{scale}-grown-{times:g}-{turn}"
        run_into(out, plan.scenario, {**SWEEP_COMMON, **sweep.at(times), "stop.rounds": sweep.rounds})
        done.append(load_run(out))
        place.say(f"{scale}: {times:g} times: {done[-1].summary.cpu_s:.1f} CPU s")
    made_by = origin(
        f"make reports ARGS='--scale {scale} --part growth'",
        f"{_times(sweep.turns)} of {sweep.rounds} rounds a size, the first {sweep.warm_up} left out",
        "median stretch of rounds with its 95 % bootstrap interval; exponents by least squares of the logarithms, "
        "95 % interval by Student's t",
        watch.cpu_s(),
    )
    sizes = [_size(times, done, sweep.warm_up) for times, done in made.items()]
    return published.Growth(made_by, settings(plan.scenario, {**SWEEP_COMMON, **sweep.at(1)}), sizes)


def _times(turns: int) -> str:
    return "one run" if turns == 1 else f"{turns} runs, all sizes in turn,"


def _size(times: float, made: Sequence[Run], warm_up: int) -> published.Size:
    """Return a size of the growth study, of the runs that were made at it."""
    first = made[0]
    return published.Size(
        times=float(times),
        gpus=_gpus(first),
        jobs=float(first.rounds.numbers("active")[warm_up:].mean()),
        rounds=first.summary.rounds - warm_up,
        peak_mib=max(run.summary.peak_rss_mib or 0.0 for run in made),
        cost_ms=typical_costs([run.rounds for run in made], warm_up),
    )


def replay(scale: str, plan: Plan, place: Workplace) -> published.Replay:
    """Return what each backend costs on the tape of the benchmark suite, build and solve apart."""
    from phasewise.solvers import registry
    from phasewise.solvers.replay import replay as solve_all
    from phasewise.solvers.tapes import Tape

    if plan.tape is None:
        raise TapeError(f"{scale}: no tape belongs to this scale")
    watch, solvers = Stopwatch(), plan.tape.solvers
    tape = suite_tape(plan.tape.scale)
    problems = list(islice(Tape(tape), max(solvers.values())))
    installed = {each.name for each in registry.describe() if each.installed}
    records: list[Record] = []
    for count in sorted(set(solvers.values()), reverse=True):
        names = [name for name, wanted in solvers.items() if wanted == count and name in installed]
        # who comes first at a problem pays for what the problem computes once and keeps: an extra one does
        records += solve_all(problems[:count], [FIRST, *names])[1:] if names else []
        place.say(f"{scale}: {', '.join(names)}: {count} problems")
    most = max(solvers.values())
    return published.Replay(
        origin=origin(
            f"make reports ARGS='--scale {scale} --part replay'",
            f"up to {most - 1} consecutive problems a backend, the first of its session left out",
            "median over problems with its 95 % bootstrap interval; ratios are medians of pairs",
            watch.cpu_s(),
        ),
        tape=f"{scale}, {most} problems",
        jobs=float(np.mean([problem.rows for problem in problems])),
        types=problems[0].types,
        nonzeros=float(np.mean([problem.allowed_mask.sum() for problem in problems])),
        rows=rows_of(records, {each.solver: registry.is_exact(registry.get(each.solver)) for each in records}),
        left_out={**plan.tape.left_out, **{name: "not installed" for name in solvers if name not in installed}},
    )


def rows_of(records: Sequence[Record], exact: Mapping[str, bool]) -> list[published.SolverCost]:
    """Return a row a backend, the quickest exact one first, which the others are measured against."""
    totals = {each.solver: np.add(each.build_ms, each.solve_ms)[1:] for each in records}
    records = sorted(records, key=lambda each: (not exact[each.solver], float(np.median(totals[each.solver]))))
    base = next((each.solver for each in records if each.solver != "auto"), records[0].solver)
    rng, rows = np.random.default_rng(0), []
    for each in records:
        total, common = totals[each.solver], min(len(totals[each.solver]), len(totals[base]))
        ratio = median_ratio_interval(total[:common], totals[base][:common], rng) if each.solver != base else None
        rows.append(
            published.SolverCost(
                solver=each.solver,
                problems=len(total),
                build_ms=figure(median_interval(each.build_ms[1:], rng)),
                solve_ms=figure(median_interval(each.solve_ms[1:], rng)),
                total_ms=figure(median_interval(total, rng)),
                total_ms_p95=quantile(total, 0.95),
                iterations=float(np.median(each.iterations[1:])) if each.iterations[1:] else None,
                rebuilds=dict(sorted(each.rebuilds.items())),
                worst_gap=max(each.gaps, default=None),
                worst_violation=max(each.violations, default=None),
                exact=exact[each.solver],
                failures=len(each.failures),
                solved_by=dict(sorted(each.picked.items())),
                slower=None if ratio is None else figure(ratio),
            )
        )
    return rows
