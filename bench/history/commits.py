"""What git knows of commits: when they were made, what they say, which lie between two of them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from phasewise.bench.gate.trees import FOLDERS, git
from phasewise.bench.history.errors import HistoryError


class Commit(NamedTuple):
    """A commit.

    Attributes
    ----------
    name
        Its full hash.
    committed_s
        Seconds since 1970.
    subject
        First line of its message.
    """

    name: str
    committed_s: float
    subject: str


def described(root: Path, revision: str) -> Commit:
    """Return a commit of the checkout at ``root``; raise `HistoryError` where it has none of that name."""
    told = git(root, "show", "--no-patch", "--format=%H%n%ct%n%s", "--end-of-options", f"{revision}^{{commit}}")
    if told is None:
        raise HistoryError(f"{revision!r} is not in the history of the checkout {root}; name a commit that it has")
    name, seconds, *subject = told.split("\n")
    return Commit(name, float(seconds), subject[0] if subject else "")


def between(root: Path, good: str, bad: str) -> list[Commit]:
    """Return the commits after ``good`` up to ``bad``, oldest first, along first parents.

    Raises
    ------
    HistoryError
        Where one of them is unknown, or ``good`` is no ancestor of ``bad``.
    """
    first, last = described(root, good), described(root, bad)
    told = git(root, "log", "--first-parent", "--reverse", "--format=%H%x09%ct%x09%s", f"{first.name}..{last.name}")
    if not told or git(root, "merge-base", "--is-ancestor", first.name, last.name) is None:
        raise HistoryError(
            f"{good} is no ancestor of {bad}; name as good a commit that the bad one descends from, and not itself"
        )
    return _rows(told)


def last(root: Path, count: int, revision: str) -> list[Commit]:
    """Return the last ``count`` commits up to ``revision`` that changed code, oldest first, along first parents.

    Raises
    ------
    HistoryError
        Where the revision is unknown, or there are not as many as two.
    """
    name = described(root, revision).name
    told = git(root, "log", "--first-parent", "--format=%H%x09%ct%x09%s", f"-{count}", name, "--", *FOLDERS)
    found = _rows(told)[::-1] if told else []
    if len(found) < 2:
        raise HistoryError(f"{revision} has fewer than two commits that changed code behind it")
    return found


def _rows(told: str) -> list[Commit]:
    rows = (line.split("\t", 2) for line in told.split("\n"))
    return [Commit(name, float(seconds), subject) for name, seconds, subject in rows]
