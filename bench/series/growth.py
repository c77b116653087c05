"""How the cost of each phase grows with the cluster and its jobs.

``python -P -m phasewise.bench.series.growth`` runs scenario `alibaba` with its machines, its jobs and its arrivals
multiplied, and prints CPU milliseconds a round by phase, with the exponent of a power law fitted to each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import click
import numpy as np

from phasewise.bench.series.runs import Finished, run, table
from phasewise.profiling.phases import ACCOUNTS, OTHER
from phasewise.profiling.stats import fit_power_law

SIZES: Final = (1, 2, 3, 4, 6, 8)
ROUNDS: Final = 60
WARM_UP: Final = 10  # rounds that do not count: all jobs arrive, and the first solve starts from nothing
COLUMNS: Final = {name: f"{name}_cpu_s" if name == OTHER else f"phase_{name}_cpu_s" for name in ACCOUNTS}


def grown(scenario: str, size: int, rounds: int) -> Finished:
    """Return a run of ``scenario`` at ``size`` times its machines and jobs."""
    from phasewise.sched.scenario.loading import load_scenario

    workload = load_scenario(scenario).workload
    overrides = {
        "cluster.copies": size,
        "workload.initial_jobs": size * workload.initial_jobs,
        "workload.rate_per_hour": size * workload.rate_per_hour,
        "stop.window": "none",
        "stop.rounds": rounds,
    }
    return run(scenario, overrides, ["active", *COLUMNS.values()])


def round_ms(finished: Finished) -> dict[str, float]:
    """Return the median CPU milliseconds of a round by phase, and in all, after the warm-up."""
    by_phase = {name: 1e3 * finished.columns[column][WARM_UP:] for name, column in COLUMNS.items()}
    medians = {name: float(np.median(spent)) for name, spent in by_phase.items()}
    return medians | {"all": float(np.median(sum(by_phase.values())))}


def report(sizes: Sequence[int], figures: Mapping[int, Mapping[str, float]], jobs: Mapping[int, float]) -> str:
    """Return the table: a row a phase, a column a size, and the exponent over active jobs with its 95 % interval."""
    head = ["CPU ms a round, median", *(f"{size}x" for size in sizes), "exponent"]
    rows = [["active jobs", *(f"{jobs[size]:.0f}" for size in sizes), ""]]
    for name in [*ACCOUNTS, "all"]:
        cost = [figures[size][name] for size in sizes]
        fit = fit_power_law([jobs[size] for size in sizes], cost) if min(cost) > 0.0 and len(sizes) > 2 else None
        exponent = "" if fit is None else f"{fit.exponent:.2f} ({fit.exponent_low:.2f} to {fit.exponent_high:.2f})"
        rows.append([f"`{name}`", *(f"{value:.3f}" for value in cost), exponent])
    return table(head, rows)


@click.command()
@click.option("--scenario", default="alibaba", show_default=True)
@click.option("--sizes", default=",".join(map(str, SIZES)), show_default=True, help="Multiples, comma-separated.")
@click.option("--rounds", default=ROUNDS, show_default=True)
def main(scenario: str, sizes: str, rounds: int) -> None:
    """Measure how each phase grows with the cluster."""
    multiples = [int(size) for size in sizes.split(",")]
    figures, jobs = {}, {}
    for size in multiples:
        finished = grown(scenario, size, rounds)
        figures[size] = round_ms(finished)
        jobs[size] = float(np.median(finished.columns["active"][WARM_UP:]))
        click.echo(
            f"{size}x: {finished.summary['rounds']} rounds, {finished.summary['cpu_s']:.1f} CPU s, "
            f"{finished.summary['peak_rss_mib']:.0f} MiB",
            err=True,
        )
    click.echo(report(multiples, figures, jobs))


if __name__ == "__main__":
    main()
