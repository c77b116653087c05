"""Commits of the past measured after the fact, each against the oldest of them, as the gate compares two trees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from phasewise.bench.gate.limits import Limits
from phasewise.bench.gate.measure import Bench, Say
from phasewise.bench.gate.trees import commits
from phasewise.bench.history.commits import Commit
from phasewise.bench.history.measurements import SUFFIX, append, fingerprint, machine_of, read
from phasewise.bench.history.taking import of_gate
from phasewise.profiling.environment import describe_environment


def take(folder: Path, root: Path, limits: Limits, found: Sequence[Commit], say: Say) -> Iterator[str]:
    """Measure the commits that are not in the history yet, and yield a line for each.

    Parameters
    ----------
    folder, root
        Of the history and of the checkout.
    limits
        The cases, and how often each is sampled.
    found
        Commits, oldest first; the first is what the others are compared with.
    """
    base, later = found[0], halving(found[1:])
    environment = describe_environment()
    done = _measured(folder / f"{fingerprint(machine_of(environment))}{SUFFIX}", base, limits)
    for commit in later:
        if commit.name in done:
            continue
        try:
            with commits(root, commit.name, base.name) as (newer, older):
                cases = Bench(newer, older, root, say).judge(limits)
        except click.ClickException as error:  # older than the gate, without the case, or broken: no point of the curve
            yield f"{commit.name[:12]} {commit.subject}: left out: {error.message}"
            continue
        append(folder, machine_of(environment), [of_gate(case, commit, base.name, environment) for case in cases])
        ratios = ", ".join(f"{case.measured.case.name} {case.ratio.estimate:.3f}" for case in cases)
        yield f"{commit.name[:12]} {commit.subject}: {ratios}"


def halving(commits: Sequence[Commit]) -> list[Commit]:
    """Return commits so that the first n are spread evenly for any n: the last, the middle, those between."""
    found = list(commits[-1:])
    gaps = [(0, len(commits) - 1)]
    while gaps:
        low, high = gaps.pop(0)
        if low < high:
            middle = (low + high) // 2
            found.append(commits[middle])
            gaps += [(middle + 1, high), (low, middle)]
    return found


def _measured(path: Path, base: Commit, limits: Limits) -> set[str]:
    """Return the commits of which every case is in the history already."""
    if not path.is_file():
        return set()
    kept = {(each.commit, each.case) for each in read(path).measurements if each.base == base.name}
    names = {commit for commit, _ in kept}
    return {name for name in names if all((name, case.name) in kept for case in limits.cases)}
