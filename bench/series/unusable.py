"""How much capacity each placement leaves unusable, the policy being the same.

``python -P -m phasewise.bench.series.unusable`` runs each scenario under each placement with three seeds, at a load at
which jobs wait, and prints means over seeds with their standard deviations.
"""

from __future__ import annotations

from typing import Final

import click
import numpy as np

from phasewise.bench.series.runs import Finished, run, spread, table

SCENARIOS: Final = ("cluster-h", "alibaba", "alibaba-uniform")
PLACEMENTS: Final = ("fgd", "strided", "random")
SEEDS: Final = (0, 1, 2)
COLUMNS: Final = ("fragmented_gpus", "unallocated_gpus", "frag_rate", "occupied_nodes", "pending_gpus", "utilization")
FIGURES: Final = (  # column, heading, digits
    ("fragmented_gpus", "fragmented GPUs", 1),
    ("unallocated_gpus", "unallocated GPUs", 1),
    ("frag_rate", "fragmented / idle", 3),
    ("pending_gpus", "waiting for GPUs", 0),
    ("occupied_nodes", "occupied nodes", 1),
    ("utilization", "utilisation", 4),
)


def means(finished: Finished, skip: int) -> dict[str, float]:
    """Return the mean of each figure over all rounds but the first ``skip``."""
    return {name: float(np.nanmean(values[skip:])) for name, values in finished.columns.items()}


@click.command()
@click.option("--scenarios", default=",".join(SCENARIOS), show_default=True)
@click.option("--placements", default=",".join(PLACEMENTS), show_default=True)
@click.option("--seeds", default=",".join(map(str, SEEDS)), show_default=True)
@click.option("--jobs", default=8000, show_default=True, help="Active at the start.")
@click.option("--rate", default=360.0, show_default=True, help="Jobs an hour.")
@click.option("--rounds", default=25, show_default=True)
@click.option("--skip", default=8, show_default=True, help="Rounds at the start that do not count.")
def main(  # noqa: PLR0913, PLR0917  (one parameter an option)
    scenarios: str, placements: str, seeds: str, jobs: int, rate: float, rounds: int, skip: int
) -> None:
    """Measure what capacity placements leave unusable."""
    overrides = {
        "workload.initial_jobs": jobs,
        "workload.rate_per_hour": rate,
        "stop.window": "none",
        "stop.rounds": rounds,
        "output.trace": "false",
    }
    for scenario in scenarios.split(","):
        rows = []
        for placement in placements.split(","):
            chosen = {**overrides, "placement.name": placement}
            runs = [means(run(scenario, {**chosen, "seed": seed}, COLUMNS), skip) for seed in seeds.split(",")]
            cells = [spread([each[name] for each in runs], digits) for name, _, digits in FIGURES]
            rows.append([f"`{placement}`", *cells])
            click.echo(f"{scenario} {placement}: {cells[0]} fragmented GPUs", err=True)
        head = [f"`{scenario}`", *(heading for _, heading, _ in FIGURES)]
        click.echo(table(head, rows) + "\n")


if __name__ == "__main__":
    main()
