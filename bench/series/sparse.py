"""What choosing among equal optima changes: moves, completion times, utilisation, and how alike equal jobs fare.

``python -P -m phasewise.bench.series.sparse`` runs scenario `alibaba` with ``policy.options.sparse`` off and on, with
three seeds, and prints means over seeds with their standard deviations.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Final

import click
import numpy as np
import pyarrow.parquet as pq

from phasewise.bench.series.runs import Floats, run_into, spread, table

CASES: Final = (("any optimum", "false"), ("sparse and nearest", "true"))
HEAD: Final = (
    *("of equal optima", "moves a round", "median", "utilisation", "average JCT, h", "p95 JCT, h"),
    *("Jain index among equals", "rounds"),
)
ALIKE: Final = ("job_type", "scale_factor", "gpu_milli", "priority_weight")
LEAST: Final = 5  # equal jobs: fewer say little about how alike they fare


@click.command()
@click.option("--scenario", default="alibaba", show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True)
@click.option("--window", default="1700:2000", show_default=True, help="Jobs whose completion times count.")
def main(scenario: str, seeds: str, window: str) -> None:
    """Measure what the choice among equal optima changes."""
    rows = []
    for label, sparse in CASES:
        chosen = {"stop.window": window, "output.trace": "false", "policy.options.sparse": sparse}
        runs = [_measured(scenario, {**chosen, "seed": seed}) for seed in seeds.split(",")]
        rows.append(
            [
                label,
                spread([each["moves"] / each["rounds"] for each in runs], 1),
                spread([each["moves_p50"] for each in runs], 0),
                spread([each["utilization"] for each in runs], 4),
                spread([each["avg_jct_s"] / 3600.0 for each in runs], 2),
                spread([each["jct_s_p95"] / 3600.0 for each in runs], 2),
                spread([each["alike"] for each in runs], 4),
                spread([each["rounds"] for each in runs], 0),
            ]
        )
        click.echo(" | ".join(rows[-1]), err=True)
    click.echo(table(HEAD, rows))


def _measured(scenario: str, overrides: dict[str, object]) -> dict[str, Any]:
    """Return the summary of a run, with its median of moves a round and how alike equal jobs fared in it."""
    with tempfile.TemporaryDirectory(prefix="phasewise-study-") as folder:
        out = Path(folder) / "run"
        run_into(out, scenario, overrides)
        summary: dict[str, Any] = json.loads((out / "run.json").read_text(encoding="utf-8"))["summary"]
        moves = pq.read_table(out / "rounds.parquet", columns=["moves"])["moves"].to_numpy()
        jobs = pq.read_table(out / "jobs.parquet", columns=[*ALIKE, "total_steps", "jct_s"]).to_pydict()
    rate = np.array(jobs["total_steps"]) / np.array(jobs["jct_s"], np.float64)
    kinds = list(zip(*(jobs[name] for name in ALIKE), strict=True))
    return {**summary, "moves_p50": float(np.median(moves)), "alike": alike(kinds, rate)}


def alike(kinds: list[tuple[Any, ...]], rate: Floats) -> float:
    """Return the Jain index of the rates (J,) of equal jobs, the mean over the kinds (J) that have enough, by jobs.

    A job's rate is that over all of its life, steps/s from arrival to completion; NaN for one that is not done.
    """
    of_kind: dict[tuple[Any, ...], list[float]] = {}
    for kind, own in zip(kinds, rate.tolist(), strict=True):
        if np.isfinite(own):
            of_kind.setdefault(kind, []).append(own)
    enough = [np.array(rates) for rates in of_kind.values() if len(rates) >= LEAST]
    index = [float(rates.sum() ** 2 / (rates.size * (rates**2).sum())) for rates in enough]
    return float(np.average(index, weights=[rates.size for rates in enough])) if enough else float("nan")


if __name__ == "__main__":
    main()
