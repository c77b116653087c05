"""Live workers of small trees: what passes, what is slower, and what is never a pass."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from toy_trees import catalogue, make_tree, toy_limits

from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.limits import Limits
from phasewise.bench.gate.link import Link, Tree
from phasewise.bench.gate.measure import Bench, Judged
from phasewise.bench.gate.outcome import GateExit, exit_code, render
from phasewise.bench.gate.verdict import Verdict


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("sound"), catalogue())


def compared(head: Path, base: Path, limits: Limits | None = None) -> list[Judged]:
    said: list[str] = []
    return Bench(Tree("head", head), Tree("base", base), head, said.append).judge(limits or toy_limits())


@pytest.mark.alone
def test_equal_trees_pass(sound: Path) -> None:
    cases = compared(sound, sound, toy_limits(pairs=2, samples=6))
    assert exit_code(cases) is GateExit.PASSED
    assert shape(cases) == (2, 6)


def shape(cases: list[Judged]) -> tuple[int, ...]:
    return cases[0].measured.logs().shape


@pytest.mark.alone
def test_a_tree_that_takes_half_as_long_again_is_slower(sound: Path, tmp_path: Path) -> None:
    head = make_tree(tmp_path / "head", catalogue(spin_s=0.0015))
    cases = compared(head, sound, toy_limits(pairs=2, samples=6))
    assert exit_code(cases) is GateExit.SLOWER
    assert cases[0].ratio.estimate == pytest.approx(1.5, rel=0.1)
    assert exit_code(compared(sound, head, toy_limits(pairs=2, samples=6))) is GateExit.PASSED


@pytest.mark.alone
def test_an_undecided_case_is_sampled_again_as_often_as_the_limits_say(tmp_path: Path) -> None:
    head, base = (make_tree(tmp_path / str(spin_s), catalogue(spin_s=spin_s)) for spin_s in (0.00518, 0.005))
    cases = compared(head, base, toy_limits(pairs=2, samples=6, again=2))
    assert shape(cases) == (6, 6)
    assert cases[0].ratio.estimate == pytest.approx(1.036, abs=0.01)
    assert exit_code(cases) is GateExit.PASSED  # in the dead band


def test_more_work_is_slower_though_it_takes_no_longer(sound: Path, tmp_path: Path) -> None:
    head = make_tree(tmp_path / "head", catalogue(work="102"))
    cases = compared(head, sound)
    assert exit_code(cases) is GateExit.SLOWER
    assert any("counter work: 100 -> 102: slower" in line for line in render(cases, "0" * 40))


def test_other_work_is_not_comparable(sound: Path, tmp_path: Path) -> None:
    head = make_tree(tmp_path / "head", catalogue(asked="9"))
    cases = compared(head, sound)
    assert exit_code(cases) is GateExit.NOT_COMPARABLE
    assert cases[0].verdict is Verdict.DIFFERENT


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (catalogue(right="False"), "head: solvers/philly/toy: the answer is wrong"),
        (catalogue(names=("solvers/philly/renamed",)), "head: solvers/philly/toy: there is no such case"),
        (catalogue(shorter="None"), "head: solvers/philly/toy: its steps cannot be chosen; they are 3"),
        (catalogue(work="len(self.walks)"), "head: solvers/philly/toy: walks did not do the same work"),
        (catalogue(in_walk="raise MemoryError('none left')"), "the worker ended (code 1)"),
        (catalogue(in_walk="__import__('os').abort()"), "the worker ended (code -6)"),
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
    ],
    ids=["wrong answer", "renamed", "cannot be shortened", "not the same twice", "raises", "dies", "cannot be loaded"],
)
def test_a_broken_case_is_never_a_pass(source: str, message: str, sound: Path, tmp_path: Path) -> None:
    head = make_tree(tmp_path / "head", source)
    with pytest.raises(GateError) as error:
        compared(head, sound, toy_limits(steps=2))
    assert message in error.value.message


def test_a_case_that_the_base_does_not_have_is_never_a_pass(sound: Path, tmp_path: Path) -> None:
    base = make_tree(tmp_path / "base", catalogue(names=("solvers/philly/older",)))
    with pytest.raises(GateError, match="base: solvers/philly/toy: there is no such case"):
        compared(sound, base)


def test_a_worker_that_speaks_another_protocol_is_refused(sound: Path, tmp_path: Path) -> None:
    base = make_tree(tmp_path / "base", catalogue())
    worker = base / "bench/gate/worker.py"
    worker.write_text(worker.read_text().replace("PROTOCOL: Final = 1", "PROTOCOL: Final = 0"))
    with pytest.raises(GateError, match="base: its worker speaks protocol 0, this gate 1"):
        compared(sound, base)


def test_another_environment_is_never_a_pass(sound: Path, tmp_path: Path) -> None:
    base = make_tree(tmp_path / "base", catalogue())
    environment = base / "profiling/environment.py"
    environment.write_text(environment.read_text() + "\n\nPACKAGES = ('numpy', 'none-of-that-name')\n")
    with pytest.raises(GateError, match="not the same environment: packages is"):
        compared(sound, base)


def test_code_that_is_not_of_the_tree_is_found_out(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = tmp_path / "site"
    (installed / "phasewise").mkdir(parents=True)
    (installed / "phasewise/lent.py").write_text("")
    base = make_tree(tmp_path / "base", "import phasewise.lent\n" + catalogue())
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(installed))
    with pytest.raises(GateError, match=r"base: solvers/philly/toy: code of another tree was loaded: phasewise\.lent"):
        compared(sound, base)


def test_a_worker_reads_its_own_tree_whatever_is_installed(sound: Path, tmp_path: Path) -> None:
    said = "print(__import__('phasewise.bench.gate.worker', fromlist=['x']).__file__, file=__import__('sys').stderr)"
    head = make_tree(tmp_path / "head", catalogue(in_walk=said + "; raise MemoryError"))
    with pytest.raises(GateError) as error:
        compared(head, sound)
    assert str(head) in error.value.message


def test_a_worker_has_one_thread_and_a_fixed_hash_seed(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    with Link(Tree("head", sound), sound) as link:
        threads = link.hello()["threads"]
    assert set(threads.values()) == {"1"}
    assert os.environ["OPENBLAS_NUM_THREADS"] == "7"


def test_a_request_that_no_worker_knows_is_said_to_be_one(sound: Path) -> None:
    with Link(Tree("head", sound), sound) as link:
        link.ask("something", do="dance")
        with pytest.raises(GateError, match="knows no request 'dance'"):
            link.answer()
