"""Run a scenario for its allocation problems."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from phasewise.bench.cli import progress
from phasewise.bench.cli.boundary import InterruptedRunError, Interruption
from phasewise.bench.cli.runs import Voice, warn_of_losses

if TYPE_CHECKING:
    from phasewise.sched.scenario.config import Scenario


def record(scenario: Scenario, out: Path, *, quiet: bool) -> int:
    """Run ``scenario``, write its problems to the tape ``out``, and return how many they are.

    Raises
    ------
    InterruptedRunError
        On Ctrl-C or SIGTERM; the problems stated until then are on the tape.
    phasewise.profiling.errors.OutputError
        Where the tape cannot be written.
    phasewise.sched.errors.SchedulingError, phasewise.solvers.errors.SolverError
        As `phasewise.sched.simulate.simulate`; what was stated before a run failed is on the tape.
    """
    from phasewise.sched.simulate import Callbacks, simulate
    from phasewise.solvers.tapes import TapeWriter

    voice, interruption = Voice(quiet), Interruption()
    origin = {"scenario": scenario.name, "policy": scenario.policy.name, "seed": scenario.seed}
    with TapeWriter(out, origin) as tape, interruption.watched(), progress.shown(scenario.name, quiet=quiet) as report:
        try:
            callbacks = Callbacks(report, voice.say, interruption.asked, tape.write, voice.warn)
            outcome = simulate(scenario, None, callbacks=callbacks)
        except KeyboardInterrupt as interrupt:
            raise InterruptedRunError(f"{tape.problems} problems were recorded for {out}") from interrupt
    warn_of_losses(outcome.summary, voice)
    return tape.problems
