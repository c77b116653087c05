"""What `phasewise history` does beyond reading its options."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from phasewise.bench.gate.gate import only
from phasewise.bench.gate.limits import load_limits
from phasewise.bench.gate.trees import checkout
from phasewise.bench.history import measurements, past, telling
from phasewise.bench.history.bisecting import bisect, lines
from phasewise.bench.history.commits import between, described, last
from phasewise.bench.history.errors import HistoryError
from phasewise.bench.history.paired import by_gate, limits_of
from phasewise.bench.history.series import all_series


class Rules(NamedTuple):
    """What of a history is shown.

    Attributes
    ----------
    pattern
        Cases, as a shell pattern.
    false_alarms
        Probability that anything at all is called a step that is none.
    least
        Smallest change that is a step, as a fraction.
    """

    pattern: str
    false_alarms: float
    least: float


def shown(folder: Path, machine: str | None, rules: Rules, out: Path | None, *, as_json: bool) -> Iterator[str]:
    """Yield the lines of a history, and write its page where ``out`` names one.

    Parameters
    ----------
    folder, machine
        Where it lies, and whose file of several.
    rules
        What is shown, and what is called a step.

    Raises
    ------
    HistoryError
        Where there is no such history.
    """
    kept = measurements.read(_file(folder, machine))
    chosen = [each for each in kept.measurements if fnmatchcase(each.case, rules.pattern)]
    if not chosen:
        raise HistoryError(
            f"no case matches {rules.pattern!r}; there are {', '.join(sorted({m.case for m in kept.measurements}))}"
        )
    series = all_series(chosen, rules.false_alarms, rules.least)
    figures = telling.figures(kept, series, rules.false_alarms)
    if out is not None:
        from phasewise.reports.history_page import write_page

        write_page(figures, out)
    if as_json:
        yield json.dumps(figures)
        return
    yield from telling.lines(kept, series, rules.false_alarms)
    if out is not None:
        yield f"page: {out}"


def _file(folder: Path, machine: str | None) -> Path:
    """Return the file of a machine: the one that is named, or the only one."""
    found = {path.stem: path for path in measurements.files(folder)}
    if machine is None and len(found) == 1:
        return next(iter(found.values()))
    if machine not in found:
        which = (
            "several machines' files here; name one with --machine" if machine is None else f"no machine {machine!r}"
        )
        raise HistoryError(f"{folder}: {which}; there are {', '.join(found)}")
    return found[machine]


def searched(case: str, good: str, bad: str, *, quiet: bool) -> list[str]:
    """Return what a search for the commit that changed a case came to, as lines."""
    root = checkout()
    limits = limits_of(case)
    first, later = described(root, good), between(root, good, bad)

    def say(text: str) -> None:
        if not quiet:
            click.echo(f"bisect: {text}", err=True)

    say(f"{case}: {len(later)} commits after {first.name[:12]}")
    return lines(bisect(first, later, by_gate(root, limits, say), say), case)


def measured_past(
    folder: Path,
    wanted: tuple[int, str],
    names: Sequence[str],
    *,
    quiet: bool,
    minutes: float | None = None,
    **sampling: int | None,
) -> Iterator[str]:
    """Yield a line for each of some commits, as it is measured.

    Parameters
    ----------
    wanted
        How many commits, up to which.
    minutes
        Wall time after which no commit is begun; None for as long as it takes.
    sampling
        ``pairs`` and ``samples`` instead of those of the gate, where they are not None.
    """
    limits = only(load_limits(), names)
    given = {name: value for name, value in sampling.items() if value is not None}
    given["again"] = 0  # a history keeps ratios and their intervals; that a verdict is open is none of its business
    limits = msgspec.structs.replace(limits, sampling=msgspec.structs.replace(limits.sampling, **given))
    end_s = float("inf") if minutes is None else time.monotonic() + 60.0 * minutes

    def say(text: str) -> None:
        if not quiet:
            click.echo(f"history: {text}", err=True)

    root = checkout()
    yield from past.take(folder, root, limits, last(root, *wanted), say, lambda: time.monotonic() >= end_s)
