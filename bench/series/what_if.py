"""Whether a what-if holds: one phase is made twice as dear on purpose, and the run without that is the answer.

``python -P -m phasewise.bench.series.what_if SCENARIO [--phase NAME] [--pairs N]`` runs the scenario in turn as it is
and with a phase that takes twice its CPU time. The runs of the second kind predict, by their shares alone, how much
faster a run gets where that phase is twice as quick; the runs of the first kind are such runs.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import click
import numpy as np

from phasewise.bench.cli.boundary import guarded
from phasewise.profiling.phases import Clock, Phase, PhaseTimer, Span
from phasewise.profiling.stats import Interval, median_ratio_interval
from phasewise.reports.columns import ColumnTable
from phasewise.reports.phase_costs import ALL, costs, cpu_blocks, what_if
from phasewise.reports.publication import Figure
from phasewise.reports.run_directory import load_run

SLOWED: Final = (Phase.ARRIVALS, Phase.PRIORITIES, Phase.WORKER_ASSIGNMENT, Phase.EVENT_COMPLETION, Phase.EXIT_CHECKS)
"""Phases that no other one is nested in: what is within them is theirs."""

TIMES: Final = 2.0


class SlowedTimer(PhaseTimer):
    """A timer with one phase that takes ``times`` its CPU time: it spins at the end of the phase for the rest.

    Parameters
    ----------
    slowed
        Which, one of `SLOWED`.
    times
        1 for a timer that slows nothing and costs what one costs that does: only such two may be compared, since to watch
        a phase takes time of its own, in every phase.
    """

    __slots__ = ("_began_ns", "_slowed", "_times")

    def __init__(self, slowed: Phase, times: float = TIMES, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._slowed = slowed
        self._times = times
        self._began_ns: int | None = None

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
        until_ns = self._began_ns + self._times * (time.process_time_ns() - self._began_ns)
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
        Of the phase in the dear runs.
    predicted
        How many times faster a run gets where the phase takes half the time.
    measured
        CPU time of the dear runs over that of the others, stretch by stretch of rounds.
    """

    share: Figure
    predicted: Figure
    measured: Interval

    @property
    def holds(self) -> bool:
        """Whether the two intervals have a figure in common."""
        return self.predicted.low <= self.measured.high and self.measured.low <= self.predicted.high


def checked(scenario: str, overrides: Mapping[str, object], phase: Phase, pairs: int) -> Checked:
    """Return what the shares of runs with a dear phase predict, and what runs without it took.

    Raises
    ------
    phasewise.sched.errors.SchedulingError, phasewise.solvers.errors.SolverError
        As `phasewise.sched.simulate.simulate`.
    """
    from phasewise.sched.scenario.loading import load_scenario
    from phasewise.sched.simulate import Callbacks, simulate

    resolved = load_scenario(scenario, overrides)
    plain: list[ColumnTable] = []
    dear: list[ColumnTable] = []
    with tempfile.TemporaryDirectory(prefix="phasewise-what-if-") as folder:
        for number in range(2 * pairs + 1):  # the first one is not counted: it loads what the others find
            is_dear = number % 2 == 0
            out = Path(folder) / str(number)
            timer = SlowedTimer(phase, TIMES if is_dear else 1.0)
            simulate(resolved, out, callbacks=Callbacks(timer=timer))
            if number:
                (dear if is_dear else plain).append(load_run(out).rounds)
        share = next(each.share for each in costs(dear) if each.name == phase)
        blocks = [np.concatenate([cpu_blocks(each)[ALL] for each in tables]) for tables in (dear, plain)]
    measured = median_ratio_interval(blocks[0], blocks[1], np.random.default_rng(0))
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
