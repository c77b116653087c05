"""Whether a what-if holds: one phase is made twice as dear on purpose, and the run without that is the answer.

``python -P -m phasewise.bench.series.what_if SCENARIO [--phase NAME] [--pairs N]`` runs the scenario in pairs. Within a
run a phase takes its own CPU time and twice that in turn, `STRETCH` rounds each, and the second run of a pair has the
two the other way round: every round is measured both ways, and a machine that was slower during one run weighs on both.
The dear rounds predict, by their shares alone, how much faster a run gets where that phase is twice as quick; the other
rounds are such runs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import click
import numpy as np

from phasewise.bench.cli.boundary import guarded
from phasewise.profiling.phases import Clock, Phase, PhaseProfile, PhaseTimer, Span
from phasewise.profiling.stats import Interval, median_ratio_interval
from phasewise.reports.columns import ColumnTable, Floats
from phasewise.reports.phase_costs import ALL, costs, cpu_blocks, what_if
from phasewise.reports.publication import Figure
from phasewise.reports.run_directory import load_run

SLOWED: Final = (Phase.ARRIVALS, Phase.PRIORITIES, Phase.WORKER_ASSIGNMENT, Phase.EVENT_COMPLETION, Phase.EXIT_CHECKS)
"""Phases that no other one is nested in: what is within them is theirs."""

TIMES: Final = 2.0
STRETCH: Final = 5  # rounds: short beside what disturbs a machine


class SlowedTimer(PhaseTimer):
    """A timer with one phase that takes `TIMES` its CPU time in some rounds: it spins for as long as it took.

    It looks at the clock in all rounds, since that takes time of its own, and rounds have to differ by nothing else.

    Parameters
    ----------
    slowed
        Which, one of `SLOWED`.
    is_dear
        Whether it is slowed in a round, by the round's number from 0; None for all.
    """

    __slots__ = ("_began_ns", "_is_dear", "_rounds", "_slowed")

    def __init__(self, slowed: Phase, is_dear: Callable[[int], bool] | None = None, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._slowed = slowed
        self._is_dear = is_dear or (lambda _: True)
        self._rounds = -1  # what is taken first is what building the parts took
        self._began_ns: int | None = None

    def take(self) -> PhaseProfile:
        """Return what was measured since the last call, as `PhaseTimer.take`: a round is over."""
        self._rounds += 1
        return super().take()

    def phase(self, name: str) -> Span:
        """Return the context manager that keeps the phase ``name`` open, as `PhaseTimer.phase`."""
        return _Watched(self, name, super().phase(name))

    def turn(self, name: str) -> None:
        """Go from the phase that is open to ``name``, as `PhaseTimer.turn`."""
        self.close()
        super().turn(name)
        self.open(name)

    def open(self, name: str) -> None:
        """Note that ``name`` begins."""
        if name == self._slowed:
            self._began_ns = time.process_time_ns()

    def close(self) -> None:
        """Spin, where the phase that is to be slowed is open, before it ends."""
        if self._began_ns is None:
            return
        times = TIMES if self._is_dear(max(self._rounds, 0)) else 1.0
        until_ns = self._began_ns + times * (time.process_time_ns() - self._began_ns)
        self._began_ns = None
        while time.process_time_ns() < until_ns:
            pass


class _Watched:
    """A span whose beginning and end its timer is told of."""

    __slots__ = ("_name", "_span", "_timer")

    def __init__(self, timer: SlowedTimer, name: str, span: Span) -> None:
        self._timer, self._name, self._span = timer, name, span

    def __enter__(self) -> None:
        self._span.__enter__()
        self._timer.open(self._name)

    def __exit__(self, kind: object, value: object, traceback: object) -> None:
        self._timer.close()
        self._span.__exit__(kind, value, traceback)


class Checked(NamedTuple):
    """A what-if and what came of it.

    Attributes
    ----------
    share
        Of the phase in the dear rounds.
    predicted
        How many times faster a run gets where the phase takes half the time.
    measured
        CPU time of the dear rounds over that of the same rounds in the other run of the pair, stretch by stretch.
    """

    share: Figure
    predicted: Figure
    measured: Interval

    @property
    def holds(self) -> bool:
        """Whether the two intervals have a figure in common."""
        return self.predicted.low <= self.measured.high and self.measured.low <= self.predicted.high


def dear_rounds(run: int) -> Callable[[int], bool]:
    """Return which rounds of a run, by its number from 0, are dear: stretches in turn, the others in the next run."""
    return lambda number: (number // STRETCH + run) % 2 == 0


def checked(scenario: str, overrides: Mapping[str, object], phase: Phase, pairs: int) -> Checked:
    """Return what the shares of rounds with a dear phase predict, and what the same rounds without it took.

    Raises
    ------
    phasewise.sched.errors.SchedulingError, phasewise.solvers.errors.SolverError
        As `phasewise.sched.simulate.simulate`.
    """
    from phasewise.sched.scenario.loading import load_scenario
    from phasewise.sched.simulate import Callbacks, simulate

    resolved = load_scenario(scenario, overrides)
    tables: list[ColumnTable] = []
    with tempfile.TemporaryDirectory(prefix="phasewise-what-if-") as folder:
        for number in range(-1, 2 * pairs):  # the first one is not counted: it loads what the others find
            out = Path(folder) / f"run{number}"
            simulate(resolved, out, callbacks=Callbacks(timer=SlowedTimer(phase, dear_rounds(number))))
            if number >= 0:
                tables.append(load_run(out).rounds)
    return compared(tables, phase)


def compared(tables: Sequence[ColumnTable], phase: Phase) -> Checked:
    """Return the check for the rounds of runs that took turns as `dear_rounds` says, in pairs, and of equal length."""
    rounds = np.arange(len(tables[0]))
    is_dear = [np.array([dear_rounds(run)(number) for number in range(len(rounds))]) for run in range(len(tables))]
    dear_tables = [
        ColumnTable(table.path, table.table.filter(chosen), table.record)
        for table, chosen in zip(tables, is_dear, strict=True)
    ]
    share = next(each.share for each in costs(dear_tables) if each.name == phase)
    starts = rounds[:: 2 * STRETCH]
    sums: tuple[list[Floats], list[Floats]] = ([], [])
    for first in range(0, len(tables), 2):
        cpu = [cpu_blocks(table, blocks=len(rounds))[ALL] for table in tables[first : first + 2]]
        for which, found in zip((is_dear[first], ~is_dear[first]), sums, strict=True):
            found.append(np.add.reduceat(np.where(which, *cpu), starts))
    measured = median_ratio_interval(np.concatenate(sums[0]), np.concatenate(sums[1]), np.random.default_rng(0))
    return Checked(share, what_if(share, TIMES), measured)


def lines(phase: Phase, found: Checked) -> Sequence[str]:
    """Return the check in words."""
    share, predicted, measured = found
    return (
        f"{phase} made {TIMES:g} times as dear: {share.estimate:.1%} of a round ({share.low:.1%} to {share.high:.1%})",
        f"predicted where it is {TIMES:g} times as quick: {predicted.estimate:.3f} times faster "
        f"({predicted.low:.3f} to {predicted.high:.3f})",
        f"measured: {measured.estimate:.3f} ({measured.low:.3f} to {measured.high:.3f})",
        "the what-if holds" if found.holds else "the what-if does not hold",
    )


@click.command(help="Check what the shares of phases predict against runs in which a phase is twice as quick.")
@click.argument("scenario")
@click.option(
    "--phase", type=click.Choice([str(each) for each in SLOWED]), default="event_completion", show_default=True
)
@click.option("--pairs", default=4, show_default=True, type=click.IntRange(min=2))
@click.option("--rounds", default=400, show_default=True, type=click.IntRange(min=40))
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any key of the scenario; repeatable.")
def command(scenario: str, phase: str, pairs: int, rounds: int, settings: tuple[str, ...]) -> int:
    """Check a what-if."""
    given = dict(each.partition("=")[::2] for each in settings)
    found = checked(scenario, {"stop.window": "none", "stop.rounds": rounds, **given}, Phase(phase), pairs)
    for line in lines(Phase(phase), found):
        click.echo(line)
    return 0 if found.holds else 1


if __name__ == "__main__":
    raise SystemExit(guarded(lambda: command(standalone_mode=False)))
