"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # one thread: figures and results do not depend on the machine's width

import pytest
from hypothesis import settings
from oracle import BESIDE
from scheduling import pytest_xdist_make_scheduler  # noqa: F401

from phasewise.bench.cli.main import main

# `instance_counts` in tests/fixtures promises more for the tests that every backend has to pass
settings.register_profile("ci", deadline=None, max_examples=40, derandomize=True)
settings.register_profile("nightly", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Return the folder of published lists and of more figures of the originals, beside the checkout."""
    if not BESIDE.is_dir():
        pytest.skip("needs ../shared (published lists, and more of what the original simulators computed)")
    return BESIDE


@dataclass(frozen=True)
class Said:
    """What a command of the command line answered."""

    code: int
    out: str
    err: str


@pytest.fixture
def phasewise(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Return a function that runs the command line in this process: `phasewise("run", "toy")`."""

    def answer(*arguments: object) -> Said:
        capfd.readouterr()  # what was printed before does not count
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        assert isinstance(end.value.code, int)
        return Said(end.value.code, said.out, said.err)

    return answer
