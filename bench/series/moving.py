"""What the movement cost changes: moves, completion times, utilisation, with it and without.

``python -P -m phasewise.bench.series.moving`` runs scenario `alibaba` both ways with three seeds and prints means over
seeds with their standard deviations.
"""

from __future__ import annotations

from typing import Final

import click

from phasewise.bench.series.runs import run, spread, table

CASES: Final = (
    ("moving is free", {"migration.enabled": "false"}),
    ("paid in progress only", {"migration.enabled": "true", "migration.weight": 0.0, "migration.patience": 0.0}),
    ("in progress, order and objective", {"migration.enabled": "true"}),
)
HEAD: Final = (
    "movement cost",
    "moves a round",
    "GPU hours lost a round",
    "average JCT, h",
    "p95 JCT, h",
    "utilisation",
    "rounds",
)


@click.command()
@click.option("--scenario", default="alibaba", show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True)
@click.option("--window", default="1700:2000", show_default=True, help="Jobs whose completion times count.")
def main(scenario: str, seeds: str, window: str) -> None:
    """Measure what the movement cost changes."""
    rows = []
    for label, overrides in CASES:
        common = {"stop.window": window, "output.trace": "false", "policy.options.sparse": "false"}
        chosen = {**common, **overrides}
        runs = [run(scenario, {**chosen, "seed": seed}).summary for seed in seeds.split(",")]
        rows.append(
            [
                label,
                spread([each["moves"] / each["rounds"] for each in runs], 1),
                spread([each["migration_gpu_s"] / 3600.0 / each["rounds"] for each in runs], 2),
                spread([each["avg_jct_s"] / 3600.0 for each in runs], 2),
                spread([each["jct_s_p95"] / 3600.0 for each in runs], 2),
                spread([each["utilization"] for each in runs], 4),
                spread([each["rounds"] for each in runs], 0),
            ]
        )
        click.echo(" | ".join(rows[-1]), err=True)
    head = [
        "movement cost",
        "moves a round",
        "GPU hours lost a round",
        "average JCT, h",
        "p95 JCT, h",
        "utilisation",
        "rounds",
    ]
    click.echo(table(head, rows))


if __name__ == "__main__":
    main()
