"""Where the memory of a run goes, by phase, and whether it leaks.

``python -P -m phasewise.bench.series.memory SCENARIO [--set KEY=VALUE] [--rounds N] [--out FILE.parquet]`` runs the
scenario once with memory read at every change of phase. It prints what each phase adds and holds, and by how much
memory grows a round, with an interval; exit code 1 where that is certainly more than ``--allowed`` bytes.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from enum import IntEnum
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import click

from phasewise.bench.cli.boundary import guarded
from phasewise.bench.series.runs import table
from phasewise.profiling.environment import MIB
from phasewise.profiling.memory import BLOCKS, MemoryRow, MemoryTimer, by_phase, columns, slope, traced
from phasewise.profiling.stats import Interval

WARM_UP: Final = 400
"""Rounds that no slope is fitted through: caches fill, and the solver's model grows to its size."""

COLLECT_EVERY: Final = 8
"""Rounds between two collections of garbage, which by itself may be left lying for hundreds of rounds."""

ALLOWED: Final = 1024.0
"""Bytes a round that a run may keep: what its summary has to know of every job that is done."""


class LeakExit(IntEnum):
    """What the shell is told."""

    FLAT = 0
    LEAKS = 1


class Watched(NamedTuple):
    """A run whose memory was watched.

    Attributes
    ----------
    rows
        One a round.
    resident, traced
        Growth in bytes a round after the warm-up; the second is None where Python's allocations were not counted.
    """

    rows: Sequence[MemoryRow]
    resident: Interval
    traced: Interval | None

    @property
    def growth(self) -> Interval:
        """The growth that is judged: what Python has allocated where that is known, as it is exact."""
        return self.resident if self.traced is None else self.traced


def watched(
    scenario: str, overrides: dict[str, object], *, trace: bool, plant: int = 0, warm_up: int = WARM_UP
) -> Watched:
    """Return what the memory of a run of ``scenario`` does.

    Parameters
    ----------
    trace
        Whether Python's allocations are counted, which makes the run several times slower.
    plant
        Bytes that are lost in every round on purpose.

    Raises
    ------
    phasewise.profiling.errors.SampleError
        Where the run has too few rounds after ``warm_up``.
    phasewise.sched.errors.SchedulingError, phasewise.solvers.errors.SolverError
        As `phasewise.sched.simulate.simulate`.
    """
    from phasewise.sched.scenario.loading import load_scenario
    from phasewise.sched.simulate import Callbacks, simulate

    lost: list[bytearray] = []
    rounds = count()

    def after_round() -> bool:
        if plant:
            lost.append(bytearray(plant))
        if next(rounds) % COLLECT_EVERY == 0:
            gc.collect()  # what only waits to be collected is no leak
        return False

    resolved = load_scenario(scenario, overrides)
    with tempfile.TemporaryDirectory(prefix="phasewise-memory-") as folder, traced() if trace else nullcontext():
        timer = MemoryTimer(rounds=resolved.stop.rounds or 0)
        outcome = simulate(resolved, Path(folder) / "run", callbacks=Callbacks(interrupted=after_round, timer=timer))
    rows = timer.rows()[1 : 1 + int(outcome.summary["rounds"])]  # the first is of what came before the first round
    kept = rows[warm_up:]
    found = slope([row.traced for row in kept]) if trace else None
    return Watched(rows, slope([row.resident for row in kept]), found)


def report(run: Watched) -> str:
    """Return the table by phase and the growth in words."""
    head = ["phase", "resident added MiB", "Python added MiB", "most held in a round MiB"]
    rows = [
        [f"`{name}`", f"{each['grown_mib']:.2f}", f"{each['allocated_mib']:.3f}", f"{each['high_mib']:.3f}"]
        for name, each in by_phase(run.rows).items()
    ]
    words = [f"resident memory: {_growth(run.resident)}, at the end {run.rows[-1].resident / MIB:.1f} MiB"]
    if run.traced is not None:
        words.append(f"Python's allocations: {_growth(run.traced)}, at the end {run.rows[-1].traced / MIB:.1f} MiB")
    return "\n".join([table(head, rows), "", *words])


def _growth(growth: Interval) -> str:
    return f"{growth.estimate:+.0f} bytes a round ({growth.low:+.0f} to {growth.high:+.0f})"


@click.command(help="Say where the memory of a run goes, by phase, and whether it leaks.")
@click.argument("scenario")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any key of the scenario; repeatable.")
@click.option("--rounds", default=2000, show_default=True, type=click.IntRange(min=1))
@click.option("--warm-up", default=WARM_UP, show_default=True, type=click.IntRange(min=0))
@click.option("--allowed", default=ALLOWED, show_default=True, help="Bytes a round that are no leak.")
@click.option("--trace/--no-trace", default=True, show_default=True, help="Count what Python allocates.")
@click.option("--plant", default=0, show_default=True, help="Lose so many bytes a round, to see that it is found.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.parquet", help="A row a round.")
def command(
    scenario: str, settings: tuple[str, ...], out: Path | None, allowed: float, rounds: int, **how: int
) -> LeakExit:
    """Watch the memory of a run."""
    given = dict(each.partition("=")[::2] for each in settings)
    held_back = max(1, (rounds - how["warm_up"]) // (2 * BLOCKS))  # so that every stretch sees it written
    overrides = {"stop.window": "none", "stop.rounds": rounds, "output.chunk_rounds": held_back, **given}
    run = watched(scenario, overrides, trace=bool(how["trace"]), plant=how["plant"], warm_up=how["warm_up"])
    click.echo(report(run))
    if out is not None:
        _write(run.rows, out)
    leaks = run.growth.low > allowed
    click.echo(f"{'leaks' if leaks else 'no leak'}: {allowed:g} bytes a round are allowed")
    return LeakExit.LEAKS if leaks else LeakExit.FLAT


def _write(rows: Sequence[MemoryRow], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from phasewise.profiling.artefacts.sinks import write_atomically

    stream = pa.BufferOutputStream()
    pq.write_table(pa.table({"round": list(range(len(rows))), **columns(rows)}), stream)
    write_atomically(path, stream.getvalue().to_pybytes())


if __name__ == "__main__":
    raise SystemExit(guarded(lambda: command(standalone_mode=False)))
