"""What is said about the machine, and how much memory is held."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from phasewise.profiling import environment
from phasewise.profiling.environment import describe_environment, peak_rss_mib, rss_mib


def test_the_description_is_ready_for_json_and_names_what_made_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    facts = json.loads(json.dumps(describe_environment(), allow_nan=False))
    assert list(facts) == ["commit", "dirty", "version", "python", "platform", "cpu", "cores", "threads", "packages"]
    assert facts["python"].endswith(".".join(map(str, sys.version_info[:3])))
    assert facts["cores"] >= 1
    assert facts["threads"]["OPENBLAS_NUM_THREADS"] == "1"
    assert "MKL_NUM_THREADS" not in facts["threads"]
    assert facts["packages"]["numpy"] == np.__version__


def test_no_described_package_is_imported() -> None:
    code = (
        "import sys; from phasewise.profiling.environment import describe_environment as d;"
        "names = d()['packages']; print([name for name in names if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


def run_git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org")
    done = subprocess.run(["git", "-C", folder, *identity, *arguments], capture_output=True, check=True, text=True)
    return done.stdout.strip()


def described_from(folder: Path, **more: str) -> dict[str, object]:
    """Return the description given by a copy of the module in ``folder``, with further environment variables."""
    code = "import json, environment; print(json.dumps(environment.describe_environment()))"
    variables = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"} | more
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, env=variables)
    facts: dict[str, object] = json.loads(done.stdout)
    return facts


@pytest.fixture
def copied_module(tmp_path: Path) -> Path:
    return Path(shutil.copy(environment.__file__, tmp_path / "environment.py"))


def test_a_checkout_is_named_by_its_commit_and_whether_it_was_changed(copied_module: Path) -> None:
    folder = copied_module.parent
    run_git(folder, "init", "--quiet")
    run_git(folder, "add", copied_module.name)
    run_git(folder, "commit", "--quiet", "--message", "Add a module")
    facts = described_from(folder)
    assert re.fullmatch(r"[0-9a-f]{40}", str(facts["commit"]))
    assert facts["commit"] == run_git(folder, "rev-parse", "HEAD")
    assert facts["dirty"] is False
    copied_module.write_text(copied_module.read_text() + "# changed\n")
    assert described_from(folder)["dirty"] is True


def test_asking_a_checkout_writes_nothing_into_it(copied_module: Path) -> None:
    # `git status` writes what it found out into the index, under a lock; killed there, it leaves the lock behind.
    folder = copied_module.parent
    run_git(folder, "init", "--quiet")
    run_git(folder, "add", copied_module.name)
    run_git(folder, "commit", "--quiet", "--message", "Add a module")
    os.utime(copied_module, (0, 0))
    before = (folder / ".git" / "index").read_bytes()
    assert described_from(folder)["dirty"] is False
    assert (folder / ".git" / "index").read_bytes() == before


def test_without_a_checkout_there_is_no_commit(copied_module: Path) -> None:
    facts = described_from(copied_module.parent)
    assert facts["commit"] is None
    assert facts["dirty"] is None


def test_the_checkout_around_an_installed_copy_is_not_passed_off_as_ours(copied_module: Path) -> None:
    folder = copied_module.parent
    run_git(folder, "init", "--quiet")
    run_git(folder, "commit", "--quiet", "--allow-empty", "--message", "Somebody else's work")
    assert described_from(folder)["commit"] is None


def test_without_git_there_is_no_commit(copied_module: Path, tmp_path: Path) -> None:
    run_git(tmp_path, "init", "--quiet")
    run_git(tmp_path, "add", copied_module.name)
    run_git(tmp_path, "commit", "--quiet", "--message", "Add a module")
    assert described_from(tmp_path)["commit"] is not None
    assert described_from(tmp_path, PATH=str(tmp_path / "nowhere"))["commit"] is None


def test_a_process_asks_its_checkout_once(copied_module: Path, tmp_path: Path) -> None:
    run_git(tmp_path, "init", "--quiet")
    run_git(tmp_path, "add", copied_module.name)
    run_git(tmp_path, "commit", "--quiet", "--message", "Add a module")
    code = "import environment as e, os; a = e.describe_environment(); os.environ['PATH'] = ''; "
    code += "print(a == e.describe_environment(), a['commit'] is not None)"
    variables = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, env=variables)
    assert done.stdout.split() == ["True", "True"]


def test_memory_held_grows_with_what_is_held_and_the_peak_stays() -> None:
    before = rss_mib()
    block = np.ones(8 << 20)  # 64 MiB
    held = rss_mib()
    assert 55.0 <= held - before <= 75.0
    assert peak_rss_mib() >= held - 1.0
    del block
    assert rss_mib() < held - 55.0
    assert peak_rss_mib() >= held - 1.0


@pytest.mark.alone
def test_reading_the_memory_held_is_cheaper_than_opening_a_file() -> None:
    def cost_s(call: Callable[[], object]) -> float:
        start = time.process_time()
        for _ in range(200):
            call()
        return time.process_time() - start

    # The least of interleaved samples: what else goes on here can only add. About an eighth on an idle machine.
    rss_mib()
    samples = [(cost_s(rss_mib), cost_s(Path("/proc/self/statm").read_bytes)) for _ in range(20)]
    assert min(ours for ours, _ in samples) < min(opening for _, opening in samples)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_reads_its_own_memory() -> None:
    code = (
        "import os, numpy; from phasewise.profiling.environment import rss_mib\n"
        "before = rss_mib()\n"
        "if (child := os.fork()) == 0:\n"
        "    block = numpy.ones(8 << 20)\n"
        "    os._exit(0 if rss_mib() > 40.0 + before / 2 else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "0"
