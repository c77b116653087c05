"""Runs of one series, each in a process of its own, and tables of what they came to.

A process of its own, because peak memory belongs to a process, and so that no run finds warm what another one loaded.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that was made.

    Attributes
    ----------
    summary
        As in `run.json`.
    columns
        Columns of `rounds.parquet`, by name; null is NaN.
    """

    summary: Mapping[str, Any]
    columns: Mapping[str, Floats]


def run(scenario: str, overrides: Mapping[str, object], rounds_columns: Sequence[str] = ()) -> Finished:
    """Run ``scenario`` with ``overrides`` (by dotted key) and return what it came to.

    Raises
    ------
    click.ClickException
        Where the run does not end with exit code 0.
    """
    with tempfile.TemporaryDirectory(prefix="phasewise-study-") as folder:
        out = Path(folder) / "run"
        run_into(out, scenario, overrides)
        summary = json.loads((out / "run.json").read_text(encoding="utf-8"))["summary"]
        table = pq.read_table(out / "rounds.parquet", columns=list(rounds_columns)) if rounds_columns else None
        columns = {} if table is None else {name: table[name].to_numpy().astype(np.float64) for name in rounds_columns}
    return Finished(summary, columns)


def run_into(out: Path, scenario: str, overrides: Mapping[str, object]) -> None:
    """Run ``scenario`` with ``overrides`` in a process of its own, its run directory ``out``; raises as `run`."""
    settings = [word for key, value in overrides.items() for word in ("--set", f"{key}={value}")]
    phasewise("run", scenario, *settings, "--out", str(out), "--overwrite", "--quiet")


def phasewise(*words: str) -> None:
    """Run the command ``phasewise`` with these words in a process of its own; raises as `run`."""
    command = [sys.executable, "-P", "-c", "from phasewise.bench.cli.main import main; main()"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"phasewise {' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()}")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(values: Sequence[float], digits: int) -> str:
    """Return mean and sample standard deviation of a figure over seeds."""
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"
