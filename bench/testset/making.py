"""Makes the manifest of the test set, and the tapes that come with the package: for whoever changes the set.

``python -P -m phasewise.bench.testset.making [--recorded DIR]``. Small instances that were recorded are taken as they
are, from the tapes that there are, or from those in DIR, of which the first problems count. All others are generated.
Every instance is solved for its certificates, so this takes minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import numpy as np

from phasewise.bench.cli.boundary import guarded
from phasewise.bench.testset import manifest, tapes
from phasewise.bench.testset.canonical import digest
from phasewise.bench.testset.errors import TestsetError
from phasewise.bench.testset.generating import VERSION, Size, cut
from phasewise.bench.testset.manifest import Instance, Scale
from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Answer, Solution, State, parted
from phasewise.solvers.certify import certify
from phasewise.solvers.instances import Load
from phasewise.solvers.problems import AllocationProblem, Sense
from phasewise.solvers.proofs import Duals
from phasewise.solvers.tapes import Tape, TapeWriter

TESTSET: Final = 1
"""The version of the set: another one where an instance changes."""

PROVEN: Final = 1e-10
"""How near every reference has to be to its bound."""

_REFERENCES: Final = ("structured", "by-kinds", "highs-direct")
"""Backends of which the first that takes a family is asked, and the next where its proof is not near enough."""

_STAGES: Final = ("stages", "stage_gain", "stage_time")
_SEED: Final = 20

_RECORDED: Final = {
    "max_min": "max_min_fairness_perf",
    "max_min_one_speed": "max_min_fairness",
    "max_min_makespan": "min_total_duration_perf",
    "lexicographic": "max_min_fairness_water_filling_perf",
    "finish_time": "finish_time_fairness_perf",
    "max_sum": "max_sum_throughput_perf",
    "transport": "allox",
    "max_min_packed": "max_min_fairness_packed",
    "lexicographic_packed": "max_min_fairness_water_filling_packed",
    "finish_time_packed": "finish_time_fairness_packed",
}
"""Small instances by the policy whose problems they are."""

_COMMAND: Final = (
    "phasewise tape philly --policy {policy} --initial-jobs 24 --rate 20 --timing corrected --window none --rounds 12 "
    "--scale-factors {factors} --seed 11 --cluster v100=4,p100=4,k80=4 --gpus-per-node v100=4,p100=4,k80=4"
)
_KEPT: Final = 8  # problems of a recorded tape
_PACKED: Final = frozenset({"max_min_packed", "lexicographic_packed", "finish_time_packed", "max_min_packed_switching"})
_ALONE: Final = (
    "max_min_switching", "lexicographic", "lexicographic_confined", "finish_time", "max_sum", "max_sum_slo",
    "max_sum_switching",
)  # fmt: skip
_SMALL: Final = (
    "max_min_switching", "lexicographic_confined", "max_sum_slo", "max_sum_switching", "max_min_packed_switching",
)  # fmt: skip
_MOST: Final = {Scale.SMALL: 10.0, Scale.MEDIUM: 20.0, Scale.LARGE: 60.0}  # CPU seconds a problem


class Made(NamedTuple):
    """An instance to be generated."""

    name: str
    scale: Scale
    generator: str
    size: Size


def recipes() -> Iterator[Made]:
    """Yield every generated instance."""
    for generator in _SMALL:
        yield Made(f"small/{generator}", Scale.SMALL, generator, Size(_SEED, 24, _KEPT, 3))
    for scale, jobs, queued, shared, problems in ((Scale.MEDIUM, 300, 100, 150, 8), (Scale.LARGE, 3000, 400, 600, 5)):
        for generator in ("max_min", "max_min_canonical"):
            for load in Load:
                yield Made(f"{scale}/{generator}-{load}", scale, generator, Size(_SEED, jobs, problems, 6, load))
        for generator in _ALONE:
            yield Made(f"{scale}/{generator}", scale, generator, Size(_SEED, jobs, problems))
        yield Made(f"{scale}/transport", scale, "transport", Size(_SEED, queued, problems))
        for generator in sorted(_PACKED):
            yield Made(f"{scale}/{generator}", scale, generator, Size(_SEED, shared, problems))


def recorded(name: str, policy: str, folder: Path | None) -> Instance:
    """Return a small instance that was recorded; its tape is cut and written anew where ``folder`` has it."""
    path = manifest.TAPES / f"small-{name}.tape"
    if folder is not None:
        problems = list(islice(cut(Tape(folder / f"{policy}.tape")), _KEPT))
        with TapeWriter(path, {"testset": name, "policy": policy}) as tape:
            for problem in problems:
                tape.write(problem)
    command = _COMMAND.format(policy=policy, factors="single" if name == "transport" else "gavel")
    return described(f"small/{name}", Scale.SMALL, path, source=command)


def described(
    name: str, scale: Scale, path: Path, *, source: str = "generated", generator: str = "", size: Size | None = None
) -> Instance:
    """Return the instance on a tape, with its digest and its certificates."""
    problems = list(Tape(path))
    found = certified(name, problems)
    return Instance(
        name=name,
        family=problems[0].family,
        scale=scale,
        jobs=max(each.jobs for each in problems),
        types=problems[0].types,
        problems=len(problems),
        source=source,
        generator=generator,
        seed=size.seed if size else 0,
        load=str(size.load) if size else "",
        version=VERSION if size else 0,
        sha256=digest(problems),
        limit_s=_MOST[scale],
        **found,
    )


def certified(name: str, problems: Sequence[AllocationProblem]) -> dict[str, Any]:
    """Return objectives, bounds and stages as `Instance` has them; raise `TestsetError` where none is proven."""
    takes = [each for each in _REFERENCES if problems[0].family in registry.get(each).families]
    worst: dict[str, float] = {}
    for reference in takes:
        session, state = registry.get(reference).open({}, PhaseTimer()), None
        results = []
        for problem in problems:
            results.append(_result(problem, session, state, reference))
            state = results[-1][2]
        solutions = [solution for solution, _, _ in results]
        worst[reference] = max(_gap(solution) for solution in solutions)
        if worst[reference] <= PROVEN:
            stages = tuple(_stages(duals) for _, duals, _ in results) if "lexicographic" in problems[0].family else ()
            objectives = [problem.objective(s.x) if s.members is None else s.objective
                          for problem, s in zip(problems, solutions, strict=True)]  # fmt: skip
            bounds = [_outside(p, s) for p, s in zip(problems, solutions, strict=True)]
            return {"reference": reference, "objective": tuple(objectives), "bound": tuple(bounds), "stages": stages}
    raise TestsetError(f"{name}: no reference is proven within {PROVEN:g}: {worst}")


def _result(problem: AllocationProblem, session: Any, state: State, name: str) -> tuple[Solution, Duals, State]:
    answer, left = parted(session.solve(problem.anew(), state))
    verdict = certify(problem, answer, name)
    if not isinstance(verdict, Solution) or not isinstance(answer, Answer):
        raise TestsetError(f"{name}: no certified answer: {verdict}")
    return verdict, answer.duals or Duals(), left


def _outside(problem: AllocationProblem, solution: Solution) -> float:
    """Return the bound; where rounding puts it on the wrong side of what is reached, that."""
    bound = solution.objective if solution.bound is None else solution.bound
    outer = max if problem.sense is Sense.MAXIMISE else min
    return outer(bound, solution.objective)


def _gap(solution: Solution) -> float:
    return float("inf") if solution.gap is None else solution.gap


def _stages(duals: Duals) -> dict[str, list[list[float]]]:
    return {name: np.asarray(getattr(duals, name)).tolist() for name in _STAGES if getattr(duals, name) is not None}


@click.command(help="Make the manifest of the test set anew, and the tapes of its small instances.")
@click.option(
    "--recorded",
    "folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where recorded tapes lie, each named after its policy; without it, those that there are.",
)
@click.option("--instance", "pattern", default="*", metavar="GLOB", help="Make only these; others stay as they are.")
def command(folder: Path | None, pattern: str) -> None:
    """Make the set."""
    before = manifest.load().instances if pattern != "*" else ()
    instances = {each.name: each for each in before if not fnmatchcase(each.name, pattern)}
    for name, policy in _RECORDED.items():
        if fnmatchcase(f"small/{name}", pattern):
            instances[f"small/{name}"] = recorded(name, policy, folder)
    tapes.CACHE.mkdir(parents=True, exist_ok=True)
    for made in recipes():
        if fnmatchcase(made.name, pattern):
            small = made.scale is Scale.SMALL
            path = manifest.TAPES / f"small-{made.generator}.tape" if small else tapes.CACHE / "making.tape"
            tapes.write(path, made.generator, made.size)
            found = described(made.name, made.scale, path, generator=made.generator, size=made.size)
            instances[made.name] = found
            click.echo(f"{made.name}: by {found.reference}")
    order = sorted(instances.values(), key=lambda each: (list(Scale).index(each.scale), each.name))
    write_atomically(manifest.MANIFEST, manifest.text(TESTSET, order))


if __name__ == "__main__":
    raise SystemExit(guarded(lambda: command(standalone_mode=False)))
