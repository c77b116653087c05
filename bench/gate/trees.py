"""The two versions of the code, side by side in a temporary folder: a worktree of the base, and a copy of this tree.

This tree is copied so that what is edited meanwhile is not measured, and so that both lie in like places. Compiled
kernels are kept by what they are made from, so that both find what they have in common.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.link import Tree

FOLDERS: Final = ("phasewise", "profiling", "solvers", "sched", "reports", "bench")
_NAMESPACE: Final = ".namespace"
_SHALLOW: Final = "fetch the whole history (git fetch --unshallow; fetch-depth: 0 in GitHub Actions)"


def checkout() -> Path:
    """Return the root of the checkout that this code runs from; raise `GateError` where it runs from none."""
    root = Path(__file__).resolve().parents[2]
    if not (root / _NAMESPACE).is_dir() or git(root, "rev-parse", "--git-dir") is None:
        raise GateError(f"the gate runs in a git checkout of phasewise; {root} is none")
    return root


def resolve(root: Path, revision: str) -> str:
    """Return the full hash of a revision; raise `GateError` where the checkout's history does not have it."""
    found = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found is None:
        shallow = git(root, "rev-parse", "--is-shallow-repository") == "true"
        remedy = f"this checkout is shallow: {_SHALLOW}" if shallow else "name a commit that it has"
        raise GateError(f"the base {revision!r} is not in the history of this checkout; {remedy}")
    return found


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a temporary folder; within, SIGTERM ends the process as Ctrl-C does, so that the folder is removed."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="phasewise-gate-") as folder:
            yield Path(folder)
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def both(root: Path, commit: str) -> Iterator[tuple[Tree, Tree]]:
    """Yield the trees head, which is this checkout as it stands, and base, and remove them afterwards.

    Raises
    ------
    GateError
        Where git cannot make the worktree, or the base is older than the gate.
    """
    with scratch() as folder:
        head = copied(root, folder / "head", "head")
        with _worktree(root, folder, "base", commit) as base:
            yield head, base


@contextmanager
def commits(root: Path, head: str, base: str) -> Iterator[tuple[Tree, Tree]]:
    """Yield the trees of two commits, and remove them afterwards; raise `GateError` as `both` does."""
    with (
        scratch() as folder,
        _worktree(root, folder, "head", head) as newer,
        _worktree(root, folder, "base", base) as older,
    ):
        yield newer, older


@contextmanager
def _worktree(root: Path, folder: Path, name: str, commit: str) -> Iterator[Tree]:
    tree = Tree(name, folder / name)
    try:
        _made(root, "worktree", "add", "--quiet", "--detach", os.fspath(tree.root), commit)
        if not (tree.root / "bench" / "gate" / "worker.py").is_file():
            raise GateError(f"the {name} {commit[:12]} is older than the gate: it has no worker to measure it with")
        yield tree
    finally:
        git(root, "worktree", "remove", "--force", "--force", os.fspath(tree.root))
        git(root, "worktree", "prune")


def copied(root: Path, target: Path, name: str) -> Tree:
    """Return a copy of the packages of a checkout as they stand."""
    listed = _made(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", _NAMESPACE, *FOLDERS)
    for file in sorted(set(listed.split("\0")) - {""}):
        source, copy = root / file, target / file
        if source.is_symlink() or source.is_file():  # what is tracked may have been removed
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
    return Tree(name, target)


def git(root: Path, *words: str) -> str | None:
    """Return what git prints in the checkout at ``root``, None where it fails or there is no git."""
    try:
        done = subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _made(root: Path, *words: str) -> str:
    """Return what git prints; raise `GateError` with its complaint."""
    done = subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise GateError(f"git {words[0]} failed: {done.stderr.strip() or done.returncode}")
    return done.stdout
