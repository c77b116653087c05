"""The same run again, under profilers: for reading, never for timing."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from phasewise.bench.cli import progress
from phasewise.bench.cli.boundary import Interruption

if TYPE_CHECKING:
    from phasewise.sched.scenario.config import Scenario
    from phasewise.sched.simulate import RunOutcome

TREE, LINES, STACKS, NATIVE = "pyinstrument.html", "line_profile.txt", "stacks.json", "native.json"

# The modules that every round runs through; those of the policy, the placement and the solver are found by name.
EVERY_ROUND = (
    "phasewise.sched.engine",
    "phasewise.sched.round.phases",
    "phasewise.sched.round.completion",
    "phasewise.sched.round.jobs",
    "phasewise.sched.round.admission",
    "phasewise.sched.round.priorities",
    "phasewise.sched.round.selection",
    "phasewise.sched.round.assignment",
    "phasewise.sched.nodes.placement",
    "phasewise.sched.nodes.state",
    "phasewise.sched.round.progress",
    "phasewise.sched.recording.intervals",
    "phasewise.sched.round.stopping",
    "phasewise.sched.recording.recorder",
    "phasewise.sched.statements",
    "phasewise.solvers.session",
    "phasewise.solvers.certify",
)


def profile_again(scenario: Scenario, out: Path, *, rounds: int, quiet: bool, native: bool = False) -> tuple[Path, ...]:
    """Run ``scenario`` once under each profiler, and return what was written into ``out``.

    They are pyinstrument, line_profiler and, where there is a timer of CPU time, the sampler of call stacks.

    Parameters
    ----------
    rounds
        A longer run is stopped after so many rounds.
    native
        Once more under a tool that sees compiled and native frames.

    Raises
    ------
    phasewise.profiling.errors.ProfilingError
        Where a profiler cannot start, or its page cannot be written.
    """
    from phasewise.profiling import sampler, sampling, stacks
    from phasewise.profiling.native import native_tool, sample_native

    fewer, interruption = shortened(scenario, rounds), Interruption()
    written = [out / TREE, out / LINES]
    with _traceback_in(out), interruption.watched(), tempfile.TemporaryDirectory(prefix="phasewise-") as scratch:
        with progress.shown(f"{scenario.name} under pyinstrument", quiet=quiet) as report:
            sampling.sample_stacks(run_of(fewer, Path(scratch, "tree"), report, interruption), written[0])
        with progress.shown(f"{scenario.name} under line_profiler", quiet=quiet) as report:
            sampling.profile_lines(
                run_of(fewer, Path(scratch, "lines"), report, interruption), modules_of(scenario), written[1]
            )
        if sampler.can_sample():
            with progress.shown(f"{scenario.name} under the timer of CPU time", quiet=quiet) as report:
                ran, folded = stacks.sample_folded(run_of(fewer, Path(scratch, "stacks"), report, interruption))
            folded = msgspec.structs.replace(folded, times=max(1, int(ran.summary["rounds"])))
            stacks.write_folded(folded, out / STACKS)
            written.append(out / STACKS)
        if native:
            with progress.shown(f"{scenario.name} under {native_tool()}", quiet=quiet) as report:
                _, folded = sample_native(run_of(fewer, Path(scratch, "native"), report, interruption))
            stacks.write_folded(folded, out / NATIVE)
            written.append(out / NATIVE)
    return tuple(written)


@contextlib.contextmanager
def _traceback_in(out: Path) -> Iterator[None]:
    """Keep the traceback of a defect in ``out``: the run directory of a profiled run does not last."""
    from phasewise.profiling.defects import keep_traceback, told, where_kept
    from phasewise.sched.errors import DefectError

    try:
        yield
    except DefectError as error:
        cause = error.__cause__ or error
        kept = keep_traceback(cause, out)
        words = f"under a profiler, and not without one: {told(cause)}; {where_kept(kept, cause)}"
        raise DefectError(words, error.round_index, out, kept) from cause


def shortened(scenario: Scenario, rounds: int) -> Scenario:
    """Return the scenario with at most so many rounds."""
    least = rounds if scenario.stop.rounds is None else min(rounds, scenario.stop.rounds)
    return msgspec.structs.replace(scenario, stop=msgspec.structs.replace(scenario.stop, rounds=least))


def run_of(
    scenario: Scenario, out: Path, report: progress.Report | None = None, interruption: Interruption | None = None
) -> Callable[[], RunOutcome]:
    """Return the run as a profiler takes it; its own run directory is of no further use."""
    from phasewise.sched.simulate import Callbacks, simulate

    asked = (interruption or Interruption()).asked
    return partial(simulate, scenario, out, callbacks=Callbacks(report, interrupted=asked))


def modules_of(scenario: Scenario) -> tuple[str, ...]:
    """Return the modules whose lines are worth timing in this scenario."""
    from phasewise.profiling.phases import PhaseTimer
    from phasewise.sched.building import build_parts
    from phasewise.solvers import registry

    parts = build_parts(scenario, PhaseTimer())
    chosen = (parts.policy, parts.placement, *(registry.get(name.strip()) for name in scenario.solver.name.split(",")))
    return (*EVERY_ROUND, *(type(part).__module__ for part in chosen))
