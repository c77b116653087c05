"""The two versions of the code, side by side in a temporary folder: a worktree of the base, and a copy of this tree.

This tree is copied so that what is edited meanwhile is not measured, and so that both lie in like places.

Compiling every kernel takes a minute or more, so what the checkout has compiled is taken along, but only where that is
sound. numba looks at a kernel's own file alone; a kernel that calls one of another file keeps the old machine code of
that one. So what is compiled of a file is taken only where it is younger than every source file that its kernels can
see, and for the base only where all those files are the same there.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.link import Tree

FOLDERS: Final = ("profiling", "solvers", "sched", "reports", "bench")
_NAMESPACE: Final = ".namespace"
_COMPILES: Final = re.compile(r"numba\..*|phasewise\..*\bcompiled\.(?!prepare|announce).*")  # names that make kernels
_SHALLOW: Final = "fetch the whole history (git fetch --unshallow; fetch-depth: 0 in GitHub Actions)"


def checkout() -> Path:
    """Return the root of the checkout that this code runs from; raise `GateError` where it runs from none."""
    root = Path(__file__).resolve().parents[2]
    if not (root / _NAMESPACE).is_dir() or _git(root, "rev-parse", "--git-dir") is None:
        raise GateError(f"the gate runs in a git checkout of phasewise; {root} is none")
    return root


def resolve(root: Path, revision: str) -> str:
    """Return the full hash of a revision; raise `GateError` where the checkout's history does not have it."""
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found is None:
        shallow = _git(root, "rev-parse", "--is-shallow-repository") == "true"
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
    """Yield the trees head and base, and remove them afterwards.

    Raises
    ------
    GateError
        Where git cannot make the worktree, or the base is older than the gate.
    """
    with scratch() as folder:
        head, base = copied(root, folder / "head", "head"), Tree("base", folder / "base")
        try:
            _made(root, "worktree", "add", "--quiet", "--detach", os.fspath(base.root), commit)
            if not (base.root / "bench" / "gate" / "worker.py").is_file():
                raise GateError(f"the base {commit[:12]} is older than the gate: it has no worker to measure it with")
            share_compiled(head.root, base.root)
            yield head, base
        finally:
            _git(root, "worktree", "remove", "--force", "--force", os.fspath(base.root))
            _git(root, "worktree", "prune")


def copied(root: Path, target: Path, name: str) -> Tree:
    """Return a copy of the packages of a checkout as they stand, with what is soundly compiled."""
    listed = _made(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", _NAMESPACE, *FOLDERS)
    for file in sorted(set(listed.split("\0")) - {""}):
        source, copy = root / file, target / file
        if source.is_symlink() or source.is_file():  # what is tracked may have been removed
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
    for file, seen in kernels(target).items():
        newest_ns = max((target / each).stat().st_mtime_ns for each in seen)
        _take_compiled(root, target, file, newest_ns)
    return Tree(name, target)


def share_compiled(head: Path, base: Path) -> None:
    """Give the base what is compiled for the head, file by file, where the kernels see the same files in both."""
    theirs = kernels(base)
    for file, seen in kernels(head).items():
        if theirs.get(file) == seen and all((head / each).read_bytes() == (base / each).read_bytes() for each in seen):
            times = (head / file).stat()  # numba knows a source file by its time and size
            os.utime(base / file, ns=(times.st_atime_ns, times.st_mtime_ns))
            _take_compiled(head, base, file, 0)


def kernels(root: Path) -> dict[str, frozenset[str]]:
    """Return each file with kernels, relative to ``root``, and the files that they see: it and all that it imports."""
    files = [path for folder in FOLDERS for path in (root / folder).rglob("*.py")]
    imports = {path.relative_to(root).as_posix(): _imported(path) for path in files}
    return {
        file: _seen(root, file, imports)
        for file, names in imports.items()
        if any(_COMPILES.fullmatch(name) for name in names)
    }


def _seen(root: Path, file: str, imports: Mapping[str, list[str]]) -> frozenset[str]:
    """Return a file and all files that it imports, at any remove."""
    waiting, seen = [file], set[str]()
    while waiting:
        found = waiting.pop()
        if found not in seen:
            seen.add(found)
            waiting.extend(_files(root, imports[found]))
    return frozenset(seen)


def _imported(file: Path) -> list[str]:
    """Return what a file imports, dotted, when it is itself imported: a kernel sees nothing else of other modules."""
    names: list[str] = []
    waiting: list[ast.AST] = [ast.parse(file.read_bytes())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif not isinstance(node, ast.FunctionDef):
            waiting += ast.iter_child_nodes(node)
    return names


def _files(root: Path, names: Iterable[str]) -> Iterator[str]:
    """Yield the files of this project behind dotted names: of modules, or of what they are imported for."""
    for name in names:
        if name.startswith("phasewise."):
            path = root.joinpath(*name.split(".")[1:])
            for candidate in (path.with_suffix(".py"), path / "__init__.py", path.parent.with_suffix(".py")):
                if candidate.is_file():
                    yield candidate.relative_to(root).as_posix()


def _take_compiled(source: Path, target: Path, file: str, newest_ns: int) -> None:
    """Copy what numba compiled of a file and what is not older than ``newest_ns``."""
    folder, stem = Path(file).parent / "__pycache__", Path(file).stem
    for path in (source / folder).glob(f"{stem}.*.nb[ic]"):
        if path.stat().st_mtime_ns >= newest_ns:
            (target / folder).mkdir(exist_ok=True)
            shutil.copy2(path, target / folder)


def _git(root: Path, *words: str) -> str | None:
    """Return what git prints, None where it fails or there is no git."""
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
