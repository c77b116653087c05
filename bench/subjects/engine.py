"""The whole loop: rounds a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from phasewise.bench.subjects.api import Case, require
from phasewise.bench.subjects.loops import LOOPS, Loop, no_time
from phasewise.sched import invariants
from phasewise.sched.engine import Simulation, step
from phasewise.solvers.api import Solution


class EngineSubject:
    """Rounds of the whole loop, everything recorded but nothing written."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def prepare(self) -> Callable[[], Simulation]:
        """Return the walk over the measured rounds."""
        simulation = self._loop.begun()

        def walk() -> Simulation:
            while simulation.step(no_time) is None:
                pass
            return simulation

        return walk

    def check(self, answer: Simulation) -> None:
        """Check that all rounds were run and that the state is sound."""
        require(answer.state.round_index == self._loop.warm_up + self._loop.rounds, "not every round was run")
        require(answer.recorder.totals.jobs_completed > 0, "no job completed")
        invariants.check(answer.state, answer.parts)

    def counters(self, answer: Simulation) -> Mapping[str, float]:
        """Return what was done since the start of the simulation, the warm-up included."""
        totals = answer.recorder.totals
        return {
            "lp_solves": totals.lp_solves,
            "lp_rebuilds": totals.lp_rebuilds.total(),
            "jobs_completed": totals.jobs_completed,
            "moves": totals.moves,
        }

    def sizes(self, answer: Simulation) -> Mapping[str, float]:
        """Return what passed through the measured rounds, counted in a second simulation of them."""
        again, jobs, nonzeros = self._loop.begun(), 0, 0
        solutions: list[Solution] = []
        for _ in range(self._loop.rounds):
            allocation = step(again.state, again.parts, again.timer).news.allocation
            solutions += allocation.solutions if allocation else ()
            jobs += len(again.state.jobs)
            nonzeros += int((again.state.jobs.throughput > 0.0).sum())
        return {
            "jobs": jobs,
            "nonzeros": nonzeros,
            "iterations": sum(solution.iterations for solution in solutions),
            "rebuilds": sum(solution.rebuild is not None for solution in solutions),
        }


def cases() -> Iterator[Case]:
    """Yield a case a scale."""
    for scale, loop in LOOPS.items():
        shorter = lambda rounds, loop=loop: EngineSubject(replace(loop, rounds=rounds))  # noqa: E731
        make = lambda shorter=shorter, loop=loop: shorter(loop.rounds)  # noqa: E731
        yield Case(f"engine/{scale}/loop", loop.rounds, "round", make, shorter)
