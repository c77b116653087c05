"""`python -P -m phasewise.bench.same_bytes`: whether this tree's runs write what those of an earlier commit wrote.

For a change that is to move code and not behaviour. Each run is made twice, by a worktree of the commit and by a copy
of this tree, and what it wrote is compared exactly: EVENT and TELEMETRY lines, tables, summaries, the curves of a fill.
Left out are times and memory; keys and columns that one side alone has are named, so that none comes or goes unseen.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.link import Tree, environment
from phasewise.bench.gate.trees import both, checkout, resolve
from phasewise.profiling.artefacts.tables import read_table

RUNS: Final[Mapping[str, Sequence[str]]] = {
    "philly": ("run", "philly", "--rounds", "300"),
    "fifo as the original": (
        "run",
        "philly",
        "--policy",
        "fifo",
        "--timing",
        "gavel",
        "--rounds",
        "300",
        "--seed",
        "4",
    ),
    "water filling": (
        "run",
        "philly",
        "--policy",
        "max_min_fairness_water_filling_perf",
        "--rounds",
        "60",
        "--seed",
        "3",
    ),
    "moving costs": ("run", "philly", "--set", "migration.enabled=true", "--rounds", "60", "--seed", "6"),
    "alibaba": ("run", "alibaba", "--rounds", "6"),
    "alibaba by packing": ("run", "alibaba", "--placement", "gpu_packing", "--rounds", "3", "--seed", "5"),
    "spot2026": ("run", "spot2026", "--rounds", "6"),
    "toy on nodes": ("run", "toy", "--placement", "fgd"),
    "inflate": ("inflate", "--nodes", "nodes.csv", "--pods", "pods.csv", "--placement", "fgd", "--seed", "7"),
}
"""What is run, by the name that is printed: all scales, every kind of policy and placement, migration, a fill."""

_CALL: Final = """
try:
    from phasewise.bench.cli.main import main
except ModuleNotFoundError:  # before the command line had a room of its own
    from phasewise.bench.cli import main
main()
"""
_NOT_COMPARED: Final = ("phase_", "other_", "rss_mib")
_COST: Final = frozenset(
    ("wall_s", "cpu_s", "rounds_per_cpu_s", "cpu_us_per_pod", "compile_s", "peak_rss_mib", "phases", "version")
)
"""Keys of a summary that say what the run cost here; with those of `_NOT_COMPARED`."""
_KINDS: Final = ("EVENT ", "TELEMETRY ")
_PODS: Final = ((12000, 16384, 1, 460), (6000, 5600, 1, 1000), (32000, 65536, 4, 1000), (3152, 8192, 1, 230))


@click.command()
@click.option("--base", "revision", required=True, metavar="REV", help="Commit to compare this tree with.")
@click.option("--only", "names", multiple=True, type=click.Choice(list(RUNS)), help="Make only this run; repeatable.")
def command(revision: str, names: tuple[str, ...]) -> None:
    """Make every run with REV and with this tree, and exit with 1 where they wrote anything else."""
    root = checkout()
    with both(root, resolve(root, revision)) as trees:
        folder = trees[0].root.parent
        _write_lists(folder)
        differences = 0
        for name in names or RUNS:
            head, base = (_made(tree, folder, name) for tree in trees)
            found = list(differing(head, base))
            differences += len(found)
            click.echo(f"{name}: {'the same' if not found else 'NOT the same'}")
            for line in [*found, *one_sided(head, base)]:
                click.echo(f"    {line}")
    sys.exit(1 if differences else 0)


def differing(head: Path, base: Path) -> Iterator[str]:
    """Yield, for every file of two run directories whose content is another, where it first differs."""
    for name, (ours, theirs) in _contents(head, base).items():
        columns = [column for column in theirs if column in ours]
        if not columns:
            yield f"{name}: nothing to compare"
        for column in columns:
            if ours[column] != theirs[column]:
                yield f"{name}, {column}: {_first_difference(ours[column], theirs[column])}"


def one_sided(head: Path, base: Path) -> Iterator[str]:
    """Yield the columns and keys that only one of two run directories has."""
    for name, (ours, theirs) in _contents(head, base).items():
        if new := [column for column in ours if column not in theirs]:
            yield f"{name}: new here: {', '.join(new)}"
        if lost := [column for column in theirs if column not in ours]:
            yield f"{name}: gone: {', '.join(lost)}"


Columns = Mapping[str, list[Any]]


def _contents(head: Path, base: Path) -> dict[str, tuple[Columns, Columns]]:
    """Return the columns of every file that is compared, of both sides; lines have a column a kind and key."""
    files = sorted({path.name for path in (*head.iterdir(), *base.iterdir())})
    compared = [name for name in files if name in {"lines.log", "run.json"} or name.endswith((".parquet", ".csv"))]
    return {name: (_columns(head / name), _columns(base / name)) for name in compared}


def _columns(path: Path) -> Columns:
    if not path.exists():
        return {}
    if path.suffix == ".parquet":
        table: dict[str, list[Any]] = read_table(path).to_pydict()
        return {name: column for name, column in table.items() if not name.startswith(_NOT_COMPARED)}
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
    columns: dict[str, list[Any]] = {}
    if path.name == "run.json":
        summary = json.loads(path.read_bytes())["summary"]
        kept = {key for key in summary if key not in _COST and not key.startswith(_NOT_COMPARED)}
        return {key: [json.dumps(summary[key])] for key in summary if key in kept}
    for line in path.read_text().splitlines():
        kind, _, record = line.partition(" ")
        if line.startswith(_KINDS):
            _gather(columns, kind, json.loads(record))
    return columns


def _gather(columns: dict[str, list[Any]], kind: str, record: dict[str, Any]) -> None:
    """Add a line's values, nested ones under dotted keys; texts are written down, as NaN equals nothing."""
    event = str(record.get("event", "")) or "line"
    for key, value in record.items():
        if isinstance(value, dict):
            _gather(columns, f"{kind} {event}.{key}", value)
        else:
            columns.setdefault(f"{kind} {event}.{key}", []).append(json.dumps(value))


def _first_difference(ours: list[Any], theirs: list[Any]) -> str:
    for row, (here, there) in enumerate(zip(ours, theirs, strict=False)):
        if here != there:
            return f"row {row} is {here!r}, was {there!r}"
    return f"{len(ours)} rows, were {len(theirs)}"


def _made(tree: Tree, folder: Path, name: str) -> Path:
    """Return the folder of a run that a tree's code made."""
    out = folder / f"{name}-{tree.name}".replace(" ", "-")
    words = [sys.executable, "-P", "-S", "-c", _CALL, *RUNS[name], "--out", os.fspath(out)]
    done = subprocess.run(words, cwd=folder, env=environment(tree), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GateError(f"{tree.name}: {name} ended with {done.returncode}: {done.stderr.strip()}")
    return out


def _write_lists(folder: Path) -> None:
    """Write a small cluster, and pods that ask for more than it has."""
    nodes = [f"n-{index},96000,393216,8,{'G2' if index % 2 else 'T4'}" for index in range(12)]
    pods = [f"pod-{index:03},{','.join(map(str, _PODS[index * 7 % len(_PODS)]))}," for index in range(150)]
    (folder / "nodes.csv").write_text("\n".join(["sn,cpu_milli,memory_mib,gpu,model", *nodes, ""]))
    header = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec"
    (folder / "pods.csv").write_text("\n".join([header, *pods, ""]))


if __name__ == "__main__":
    command()
