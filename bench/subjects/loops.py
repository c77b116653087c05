"""Simulations brought to where measuring begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from phasewise.bench.suite_tapes import Scale
from phasewise.profiling.artefacts.sinks import NullSink
from phasewise.profiling.phases import PhaseTimer
from phasewise.sched.building import build_parts
from phasewise.sched.engine import Simulation
from phasewise.sched.recording.recorder import Recorder
from phasewise.sched.round.state import begin
from phasewise.sched.scenario.config import Scenario
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import prepare_kernels

# The suite's own load: capacity binds at Philly scale, and about 1,700 jobs are active at Alibaba scale.
LOADS: Final = {
    Scale.PHILLY: {"workload.initial_jobs": 130, "workload.rate_per_hour": 15.0},
    Scale.ALIBABA: {},
}
COMMON: Final = {"stop.window": "none", "output.trace": False}


@dataclass(frozen=True, slots=True)
class Loop:
    """A simulation that can be begun again.

    Attributes
    ----------
    warm_up
        Rounds before measuring begins: the jobs of the start arrive, and the first problem is solved from nothing.
    rounds
        Rounds that are measured.
    """

    scale: Scale
    warm_up: int
    rounds: int

    def scenario(self) -> Scenario:
        """Return the scenario, which ends after the measured rounds."""
        overrides = {**COMMON, **LOADS[self.scale], "stop.rounds": self.warm_up + self.rounds}
        return load_scenario(str(self.scale), overrides)

    def begun(self) -> Simulation:
        """Return a simulation that has run its warm-up."""
        scenario, timer = self.scenario(), PhaseTimer()
        parts = build_parts(scenario, timer)
        prepare_kernels(parts)
        simulation = Simulation(begin(parts), parts, Recorder(scenario, parts.layout, None, NullSink()), timer)
        for _ in range(self.warm_up):
            simulation.step(no_time)
        return simulation


def no_time() -> float:
    """Return 0: how long a run took decides nothing here."""
    return 0.0


LOOPS: Final = {
    Scale.PHILLY: Loop(Scale.PHILLY, warm_up=20, rounds=150),
    Scale.ALIBABA: Loop(Scale.ALIBABA, warm_up=5, rounds=25),
}
