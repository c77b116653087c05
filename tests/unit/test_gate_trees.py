"""The two trees of the gate: a worktree of the base, and a copy of what is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from toy_trees import catalogue, commit_all, git, make_tree, toy_limits

from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.measure import Bench
from phasewise.bench.gate.outcome import GateExit, exit_code
from phasewise.bench.gate.trees import both, copied, resolve

SOURCES = {"sched/engine.py": "from phasewise.solvers import session\n", "solvers/session.py": ""}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = make_tree(tmp_path / "checkout", catalogue())
    for name, source in SOURCES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(source)
    commit_all(root)
    return root


def test_a_tree_as_it_stands_is_compared_with_a_commit_and_nothing_is_left(repository: Path, tmp_path: Path) -> None:
    commit = resolve(repository, "HEAD")
    (repository / "bench/subjects/catalogue.py").write_text(catalogue(spin_s=0.002))
    with both(repository, commit) as (head, base):
        cases = Bench(head, base, tmp_path, lambda _: None).judge(toy_limits(pairs=2, samples=6))
        folder = head.root.parent
    assert exit_code(cases) is GateExit.SLOWER
    assert not folder.exists()
    assert git(repository, "worktree", "list").count("\n") == 0


def test_the_copy_has_new_files_and_lacks_removed_and_ignored_ones(repository: Path, tmp_path: Path) -> None:
    (repository / "sched/new.py").write_text("")
    (repository / "sched/engine.py").unlink()
    (repository / "sched/__pycache__").mkdir()
    (repository / "sched/__pycache__/new.pyc").write_text("")
    root = copied(repository, tmp_path / "copy", "head").root
    assert (root / "sched/new.py").exists()
    assert not (root / "sched/engine.py").exists()
    assert not (root / "sched/__pycache__").exists()
    assert (root / ".namespace/phasewise/sched/new.py").exists()


def test_a_base_that_the_history_does_not_have_is_refused(repository: Path) -> None:
    with pytest.raises(GateError, match="the base 'nowhere' is not in the history of this checkout; name a commit"):
        resolve(repository, "nowhere")
    with pytest.raises(GateError, match="'--all' is not in the history"):
        resolve(repository, "--all")


def test_in_a_shallow_checkout_a_missing_base_says_how_to_fetch_it(repository: Path, tmp_path: Path) -> None:
    first = resolve(repository, "HEAD")
    commit_all(repository)
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{repository}", "shallow")
    with pytest.raises(GateError, match="this checkout is shallow: fetch the whole history"):
        resolve(tmp_path / "shallow", first)


def test_a_base_without_a_worker_is_older_than_the_gate(repository: Path) -> None:
    (repository / "bench/gate/worker.py").unlink()
    older = commit_all(repository)
    with pytest.raises(GateError, match="is older than the gate"), both(repository, older):
        pytest.fail("there is nothing to compare with")
    assert git(repository, "worktree", "list").count("\n") == 0


def test_a_gate_that_is_told_to_end_leaves_no_folder_and_no_worktree(repository: Path, tmp_path: Path) -> None:
    (folders := tmp_path / "tmp").mkdir()
    script = (
        "import pathlib, sys, time\n"
        "from phasewise.bench.gate.trees import both, resolve\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "with both(root, resolve(root, 'HEAD')):\n"
        "    print('measuring', flush=True)\n"
        "    time.sleep(3600)\n"
    )
    environment = {**os.environ, "TMPDIR": os.fspath(folders)}
    told = subprocess.Popen(
        [sys.executable, "-P", "-c", script, repository],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    with told:
        assert told.stdout is not None
        assert told.stdout.readline() == "measuring\n"
        assert list(folders.iterdir()) != []
        told.send_signal(signal.SIGTERM)
        assert "KeyboardInterrupt" in told.communicate(timeout=600)[1]
    assert list(folders.iterdir()) == []
    assert git(repository, "worktree", "list").count("\n") == 0
