"""Whether the gate can be trusted: it must find planted defects, and nothing where there is nothing.

``python -P -m phasewise.bench.gate.self_test`` plants a slowdown of 10 % in engine, solver and placement, and an added
rebuild, each in a copy of this tree, and compares the copy with another copy. ``--same N`` compares equal copies.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import click

from phasewise.bench.cli.boundary import guarded
from phasewise.bench.gate.gate import only
from phasewise.bench.gate.limits import Limits, load_limits
from phasewise.bench.gate.measure import Bench, Judged, Say
from phasewise.bench.gate.outcome import GateExit, exit_code, render
from phasewise.bench.gate.plants import PLANTS, Plant
from phasewise.bench.gate.trees import checkout, copied, scratch
from phasewise.profiling.errors import cannot_write

COLUMNS = ("run", "planted", "by", "case", "pair", "sample", "head_s", "base_s")


def compare_copies(limits: Limits, plant: Plant | None, by: float, say: Say) -> list[Judged]:
    """Return the cases of a comparison of two copies of this tree, of which one has a defect, or none.

    Parameters
    ----------
    plant
        The defect; its case alone is measured then.
    by
        How much slower it makes its calls, as a fraction.
    """
    root = checkout()
    with scratch() as folder:
        head, base = (copied(root, folder / name, name) for name in ("head", "base"))
        if plant is not None:
            plant.put_into(head.root, by)
            limits = only(limits, [plant.case])
        return Bench(head, base, root, say).judge(limits)


def append_samples(path: Path, origin: Sequence[object], cases: Sequence[Judged]) -> None:
    """Append all samples to a table; ``origin`` is what its first three columns hold."""
    try:
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            if new:
                table.writerow(COLUMNS)
            for case in (each.measured for each in cases):
                for pair, (head, base) in enumerate(zip(case.head_s, case.base_s, strict=True)):
                    for index, (mine, theirs) in enumerate(zip(head, base, strict=True)):
                        row = (*origin, case.case.name, pair, index, f"{mine:.6f}", f"{theirs:.6f}")
                        table.writerow(row)
    except OSError as error:
        raise cannot_write(path, error) from error


@click.command(help="See whether the gate finds what it has to find, and nothing else.")
@click.option("--plant", "names", type=click.Choice(list(PLANTS)), multiple=True, help="Only this defect; repeatable.")
@click.option("--by", default=0.10, show_default=True, help="How much slower a planted slowdown is, as a fraction.")
@click.option("--runs", default=1, show_default=True, help="Runs of every defect.")
@click.option("--same", default=0, show_default=True, metavar="N", help="Compare equal copies N times instead.")
@click.option("--case", "cases", multiple=True, metavar="NAME", help="With --same: only this case; repeatable.")
@click.option("--record", type=click.Path(path_type=Path), metavar="CSV", help="Append every sample to this table.")
def command(
    names: tuple[str, ...], by: float, runs: int, same: int, cases: tuple[str, ...], record: Path | None
) -> int:
    """Run the self-test: 0 where all was as it has to be, 1 where not."""
    limits = only(load_limits(), cases)
    planted = [(name, PLANTS[name]) for name in names or PLANTS] * runs
    wrong = 0
    for run, (name, plant) in enumerate([("nothing", None)] * same if same else planted):
        click.echo(f"run {run}: {name} planted")
        found = compare_copies(limits, plant, by, lambda _: None)
        if record is not None:
            append_samples(record, (run, name, by if plant else 0.0), found)
        expected = GateExit.PASSED if plant is None else GateExit.SLOWER
        wrong += exit_code(found) != expected
        for line in list(render(found, "another copy"))[:-1]:
            click.echo(f"  {line}")
        click.echo(f"  {'as it has to be' if exit_code(found) == expected else f'WRONG: expected {expected.name}'}")
    return 1 if wrong else 0


def main() -> None:
    """Run the command and end the process with its exit code."""
    raise SystemExit(guarded(lambda: command(standalone_mode=False)))


if __name__ == "__main__":
    main()
