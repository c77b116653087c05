"""Whether counted instructions can be trusted: how far equal copies differ, and whether a little more work is seen.

``python -P -m phasewise.bench.gate.count_self_test`` counts every short case of the gate in pairs of copies of this
tree. ``--plant NAME --loops N`` makes the calls of a defect of `plants` loop N times first in one of two copies.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from phasewise.bench.cli.boundary import guarded
from phasewise.bench.gate.counts import Counts, count
from phasewise.bench.gate.gate import only
from phasewise.bench.gate.limits import Limits, load_limits
from phasewise.bench.gate.outcome import render_counts
from phasewise.bench.gate.plants import PLANTS, Plant
from phasewise.bench.gate.trees import checkout, copied, scratch
from phasewise.bench.gate.verdict import Verdict


def count_copies(limits: Limits, plant: Plant | None, loops: int) -> Counts:
    """Return the instructions of two copies of this tree, of which the head's calls loop first, if there is a plant."""
    root = checkout()
    with scratch() as folder:
        head, base = (copied(root, folder / name, name) for name in ("head", "base"))
        if plant is not None:
            plant.put_loops_into(head.root, loops)
            limits = only(limits, [plant.case])
        return count(limits, head, base, root, lambda _: None)


def spread(counts: Sequence[int]) -> float:
    """Return the distance of the largest count from the smallest, as a fraction of the smallest."""
    return max(counts) / min(counts) - 1.0


@click.command(help="See how far counts of equal copies differ, or whether planted loops are seen.")
@click.option("--runs", type=click.IntRange(min=1), default=3, show_default=True, help="Pairs of copies.")
@click.option("--case", "cases", multiple=True, metavar="NAME", help="Only this case; repeatable.")
@click.option("--plant", type=click.Choice([name for name, each in PLANTS.items() if each.calls]), help="What loops.")
@click.option("--loops", type=click.IntRange(min=1), default=50, show_default=True, help="How often a call loops.")
def command(runs: int, cases: tuple[str, ...], plant: str | None, loops: int) -> int:
    """Count: 0 where verdicts are as they have to be, 1 where not."""
    limits, found = only(load_limits(), cases), list[Counts]()
    expected = Verdict.SAME if plant is None else Verdict.SLOWER
    for _ in range(runs):
        found.append(count_copies(limits, None if plant is None else PLANTS[plant], loops))
        for line in render_counts(found[-1], "another copy"):
            click.echo(line)
    if plant is None and not found[0].absent:
        for name in (case.case for case in found[0].cases):
            counts = [
                n for each in found if (case := each.of(name)) and not case.absent for n in (case.head, case.base)
            ]
            click.echo(f"{name}: {len(counts)} processes, spread {spread(counts):.4%}" if counts else f"{name}: none")
    return int(any(case.verdict is not expected for each in found for case in each.cases))


def main() -> None:
    """Run the command and end the process with its exit code."""
    raise SystemExit(guarded(lambda: command(standalone_mode=False)))


if __name__ == "__main__":
    main()
