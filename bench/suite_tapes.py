"""The tapes of the benchmark suite: small ones of both scales, made where they are wanted and kept in a build folder.

``python -P -m phasewise.bench.suite_tapes --out DIR`` makes those that DIR does not have yet; `suite_tape` does it for
another benchmark. A tape is kept under a name with a digest of what it is made from: the resolved scenario and the
number of rounds. The code is no part of it, so that two versions of the code are measured on the same problems;
``--again`` makes the tapes anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import numpy as np

from phasewise.bench.cli.boundary import guarded
from phasewise.bench.cli.taping import record
from phasewise.profiling.errors import OutputError
from phasewise.sched.scenario.loading import builtin_names, load_scenario
from phasewise.solvers.errors import TapeError
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import Load, churned_rounds
from phasewise.solvers.tapes import VERSION, Tape, TapeWriter

FOLDER: Final = Path(".bench") / "tapes"
LEAST_PROBLEMS: Final = 60


class Scale(StrEnum):
    """The sizes of cluster that the suite measures at."""

    PHILLY = "philly"  # 108 GPUs of 3 types
    ALIBABA = "alibaba"  # 6,212 GPUs of 7 types, of one of which there are 2


@dataclass(frozen=True, slots=True)
class Recipe:
    """A run of a built-in scenario whose problems are worth solving again.

    Attributes
    ----------
    overrides
        By dotted key, as `phasewise.sched.scenario.loading.load_scenario` takes them.
    """

    scenario: str
    overrides: Mapping[str, object]

    def resolved(self) -> dict[str, Any]:
        """Return the scenario with every default in place, as plain values; its files' names as they stand."""
        plain: dict[str, Any] = msgspec.to_builtins(load_scenario(self.scenario, self.overrides))
        return plain

    def write(self, path: Path) -> None:
        """Run the scenario and record its problems; raises as `phasewise.bench.cli.taping.record`."""
        record(load_scenario(self.scenario, self.overrides), path, quiet=True)


@dataclass(frozen=True, slots=True)
class Generated:
    """Rounds of random jobs on a cluster of that size, for a scale without a scenario: no run stands behind them.

    Attributes
    ----------
    capacity
        GPUs of each of the six types, in the order of `phasewise.solvers.instances`.
    linear_weight
        What the mean gain counts beside the least one.
    """

    jobs: int
    rounds: int
    capacity: tuple[float, ...]
    linear_weight: float
    seed: int = 0

    def resolved(self) -> dict[str, Any]:
        """Return what the rounds are made from, as plain values."""
        return {"generated": "phasewise.solvers.instances.churned_rounds", **msgspec.to_builtins(self)}

    def problems(self) -> Iterator[MaxMinProblem]:
        """Yield the problems, ten jobs of each replaced in the next."""
        capacity = np.array(self.capacity)
        for churned in churned_rounds(self.seed, self.jobs, self.rounds, load=Load.NATURAL, types=capacity.size):
            yield replace(churned.problem, capacity=capacity, linear_weight=self.linear_weight)

    def write(self, path: Path) -> None:
        """Write the problems to the tape ``path``."""
        with TapeWriter(path, self.resolved()) as tape:
            for problem in self.problems():
                tape.write(problem)


_BUSY: Final = {"stop.window": "none", "timing.preset": "corrected", "output.trace": False}
"""A problem in every round in which a job came or went, from the first one on."""

RECIPES: Final[Mapping[Scale, Recipe]] = {
    # 130 jobs are there at once where 108 GPUs are, and as many come as go: capacity binds throughout
    Scale.PHILLY: Recipe(
        "philly",
        {**_BUSY, "workload.initial_jobs": 130, "workload.rate_per_hour": 15.0, "stop.rounds": 80},
    ),
    Scale.ALIBABA: Recipe("alibaba", {**_BUSY, "stop.rounds": 64}),
}
SUBSTITUTES: Final[Mapping[Scale, Generated]] = {
    # G2, T4, P100, V100M16, G3, V100M32 of the trace's cluster; the weight is that of the canonical objective
    Scale.ALIBABA: Generated(1700, 64, (4392.0, 842.0, 265.0, 195.0, 312.0, 204.0), 1e-3),
}


def recipe(scale: Scale) -> Recipe | Generated:
    """Return what the tape of ``scale`` is made from: its scenario, or a substitute where that does not exist."""
    chosen = RECIPES[scale]
    return chosen if chosen.scenario in builtin_names() else SUBSTITUTES[scale]


def suite_tape(scale: Scale, folder: Path = FOLDER, *, again: bool = False) -> Path:
    """Return the tape of ``scale`` in ``folder``, made first where it is not there yet.

    Parameters
    ----------
    again
        Make it anew all the same.

    Raises
    ------
    TapeError
        Where the scenario states fewer than `LEAST_PROBLEMS` problems; nothing is kept then.
    OutputError
        Where the folder or the tape cannot be written.
    phasewise.sched.errors.SchedulingError, phasewise.solvers.errors.SolverError
        As a run of the scenario.
    """
    made_from = recipe(scale)
    key = json.dumps([VERSION, made_from.resolved()], sort_keys=True)
    path = folder / f"{scale}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.tape"
    if path.is_file() and not again:
        return path
    unfinished = path.with_suffix(".unfinished")  # an interrupted run leaves a tape as well, and a short one
    try:
        folder.mkdir(parents=True, exist_ok=True)
        made_from.write(unfinished)
        if (problems := len(Tape(unfinished))) < LEAST_PROBLEMS:
            raise TapeError(f"the tape of {scale} has {problems} problems; a suite needs at least {LEAST_PROBLEMS}")
        unfinished.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write the tape {path}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()
    return path


@click.command(help="Make the tapes of the benchmark suite, those that are not there yet.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    show_default=True,
    metavar="DIR",
    help="Where to keep them.",
)
@click.option(
    "--scale",
    "scales",
    type=click.Choice([str(scale) for scale in Scale]),
    multiple=True,
    help="Only this one; repeatable.",
)
@click.option("--again", is_flag=True, help="Make them anew.")
def command(out: Path, scales: tuple[str, ...], again: bool) -> None:
    """Make the tapes."""
    for scale in map(Scale, scales or tuple(Scale)):
        path = suite_tape(scale, out, again=again)
        source = "scenario" if isinstance(recipe(scale), Recipe) else "generated rounds, as there is no scenario"
        size_mb = path.stat().st_size / 1e6
        click.echo(f"{scale}: {path} ({len(Tape(path))} problems, {size_mb:.1f} MB; {source})")


def main() -> None:
    """Run the command and end the process with its exit code."""
    raise SystemExit(guarded(lambda: command(standalone_mode=False)))


if __name__ == "__main__":
    main()
