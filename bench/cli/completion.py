"""What a shell may complete: names of what there is, and folders of runs, studies and fills.

Each function is a `shell_complete` of click. Names are read from the registries, so that those of plug-ins are among
them; nothing heavy is imported for them. What cannot be read is not completed, and nothing is ever said about it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

MOST_FOLDERS = 2000  # that are looked into for one answer
RUN, STUDY = "run.json", "study.toml"  # the file that makes a folder one

Items = list[CompletionItem]
Completer = Callable[[click.Context, click.Parameter, str], Items]


def _names(described: Mapping[str, str], incomplete: str, prefix: str = "") -> Items:
    """Return the names that begin so, each with its line of help, behind ``prefix``."""
    return [
        CompletionItem(f"{prefix}{name}", help=line) for name, line in described.items() if name.startswith(incomplete)
    ]


def _or_files(found: Items, incomplete: str) -> Items:
    """Return the same, and have the shell complete files as well.

    That comes first: bash, by click's script, forgets what came before it, and turns to files where no word is left.
    """
    return [CompletionItem(incomplete, type="file"), *found]


def scenarios(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Return built-in scenarios, and files."""
    from phasewise.sched.scenario.loading import describe

    return _or_files(_names({each["name"]: each["description"] for each in describe()}, incomplete), incomplete)


def policies(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Return policies."""
    from phasewise.sched.registry import describe_policies

    return _names(describe_policies(), incomplete)


def placements(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Return placements."""
    from phasewise.sched.registry import describe_placements

    return _names(describe_placements(), incomplete)


def solvers(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Return solver backends and their aliases; behind a comma, the next of a chain."""
    from phasewise.solvers.registry import describe

    chain, _, last = incomplete.rpartition(",")
    taken = set(chain.split(","))
    lines = {
        name: backend.limits if backend.installed else f"missing: {backend.advice}"
        for backend in describe()
        for name in (backend.name, *backend.aliases)
        if name not in taken
    }
    return _names(lines, last, f"{chain}," if chain else "")


def trace_formats(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Return formats of traces."""
    from phasewise.sched.workload.importing.registry import describe_formats

    return _names(describe_formats(), incomplete)


def figures(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Return figures, and the word that lists them."""
    from phasewise.reports.figure_files.catalogue import FIGURES

    lines = {name: each.shows for name, each in FIGURES.items()}
    return _names({**lines, "list": "print what figures there are"}, incomplete)


def studies(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Return built-in studies, and files."""
    from phasewise.bench.study.catalogue import describe

    return _or_files(_names({each["name"]: each["description"] for each in describe()}, incomplete), incomplete)


def files(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Return files."""
    return _or_files([], incomplete)


def folders_with(*marks: str) -> Completer:
    """Return what completes folders that hold a file of one of these names."""

    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
        return _folders(incomplete, marks) or [CompletionItem(incomplete, type="dir")]

    return complete


def _folders(incomplete: str, marks: Sequence[str]) -> Items:
    """Return the folders that begin so and are marked, or are in one that begins so, a level below."""
    above, begun = os.path.split(incomplete)
    found, looked = [], 0
    for name in _within(above or "."):
        if not name.startswith(begun) or (name.startswith(".") and not begun):
            continue
        path = os.path.join(above, name)  # noqa: PTH118  as it was typed: pathlib would take "./" away
        inside = [] if _marked(path, marks) else [f"{path}/{each}" for each in _within(path)]
        looked += 1 + len(inside)
        found += [each for each in (inside or [path]) if _marked(each, marks)]
        if looked > MOST_FOLDERS:
            break
    return [CompletionItem(each) for each in found]


def _marked(path: str, marks: Sequence[str]) -> bool:
    return any(Path(path, mark).expanduser().is_file() for mark in marks)


def _within(folder: str) -> list[str]:
    """Return the names of the folders in one, in order; none where it cannot be read."""
    try:
        with os.scandir(Path(folder).expanduser()) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir())[:MOST_FOLDERS]
    except (OSError, RuntimeError):  # of a home that nobody has
        return []


def run_directories(metavar: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what gives a command its run directories, as ``runs``."""
    kind = click.Path(path_type=Path)
    return click.argument("runs", nargs=-1, required=True, type=kind, metavar=metavar, shell_complete=runs)


runs = folders_with(RUN)
study_folders = folders_with(STUDY)


def sources(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> Items:
    """Return what figures are made of: folders of studies, runs and fills, and files."""
    return _or_files(_folders(incomplete, (RUN, STUDY)), incomplete)
