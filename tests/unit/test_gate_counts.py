"""The second verdict of the gate: instructions, by a tool that is there, and no failure where none is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import pytest
from toy_trees import catalogue, make_tree, toy_limits

from phasewise.bench.gate import count_self_test, count_tools, counts, gate
from phasewise.bench.gate.count_tools import Tool, find_tool
from phasewise.bench.gate.counts import Counted, Counts, count, judge_counts
from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.limits import LIMITS_FILE, CountLimit, Limits, load_limits
from phasewise.bench.gate.link import Tree
from phasewise.bench.gate.measure import Judged, Measured
from phasewise.bench.gate.outcome import GateExit, exit_code, render_counts
from phasewise.bench.gate.page import write_gate_page
from phasewise.bench.gate.plants import PLANTS
from phasewise.bench.gate.record import Found, read_record, write_record
from phasewise.bench.gate.verdict import Verdict
from phasewise.profiling.stats import Interval

TOY = "solvers/philly/toy"
PERF = '''#!{python}
"""What `perf stat` does with its pipes and its table; it counts how often it was switched on and off."""
import os, subprocess, sys

words = sys.argv[1:]
command = words[words.index("--") + 1 :]
out = words[words.index("-o") + 1] if "-o" in words else os.devnull
if "--control" not in words:
    sys.exit(print("{count},,instructions:u,1,100.00,,", file=sys.stderr))
control, told = words[words.index("--control") + 1].removeprefix("fifo:").split(",")
control, told = os.open(control, os.O_RDWR | os.O_NONBLOCK), os.open(told, os.O_RDWR)
process, said = subprocess.Popen(command), b""
while process.poll() is None:
    try:
        said += (more := os.read(control, 64))
        os.write(told, b"ack\\n\\0")
    except BlockingIOError:
        pass
with open(out, "w") as file:
    print("# started\\n", file=file)
    print(1000 * said.count(b"enable") + said.count(b"disable"), "", "instructions:u", 1, 100.00, sep=",", file=file)
sys.exit(process.returncode)
'''


def counted_limits(within: float = 0.005, walks: int = 3) -> Limits:
    limits = toy_limits()
    case = msgspec.structs.replace(limits.cases[0], counted=True, walks=walks)
    return msgspec.structs.replace(limits, cases=(case,), counts=CountLimit(within, "a test"))


def looping(times: int) -> str:
    return catalogue(spin_s=0.0, in_walk=f"all(map(int, [1] * {times}))")


def both(head: Path, base: Path, limits: Limits | None = None) -> Counts:
    trees = Tree("head", head), Tree("base", base)
    return count(limits or counted_limits(), *trees, head, lambda _: None)


@pytest.fixture
def perf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a perf of our own, whose plain runs count what it is told, before everything else."""

    def put(count: str) -> None:
        script = tmp_path / "bin" / "perf"
        script.parent.mkdir()
        script.write_text(PERF.format(python=sys.executable, count=count))
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(script.parent))

    return put


def test_walks_alone_are_counted_by_perf(perf: Callable[[str], None], tmp_path: Path) -> None:
    perf("123456")
    assert find_tool() == Tool("perf")
    tree = make_tree(tmp_path / "tree", catalogue())
    found = both(tree, tree)
    assert found == Counts("perf", cases=[Counted(TOY, 3003, 3003, Verdict.SAME)])


def test_one_percent_more_is_seen_by_what_counts_here(tmp_path: Path) -> None:
    """Where nothing counts, that is said, and nothing else happens."""
    head, base = (make_tree(tmp_path / str(times), looping(times)) for times in (101_000, 100_000))
    found = both(head, base, counted_limits(walks=1))
    if isinstance(tool := find_tool(), str):
        assert found == Counts(absent=tool)
    else:
        assert found.tool == tool.name
        assert found.cases[0].absent == ""
        assert found.cases[0].ratio == pytest.approx(1.01, abs=0.002)
        assert found.cases[0].verdict is Verdict.SLOWER


def test_without_a_tool_one_line_says_why_and_nothing_fails(perf: Callable[[str], None], tmp_path: Path) -> None:
    perf("<not supported>")
    found = both(tmp_path, tmp_path)
    assert found.absent == "perf: this machine does not count instructions:u; valgrind is not installed"
    (line,) = render_counts(found, "b" * 40)
    assert line == f"instructions are not counted: {found.absent}"
    assert exit_code([judged(Verdict.SAME)], found) is GateExit.PASSED


def test_neither_tool_and_another_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_tool() == "perf is not installed; valgrind is not installed"
    monkeypatch.setattr(count_tools.platform, "machine", lambda: "riscv64")
    assert find_tool() == "perf is not installed; callgrind: on riscv64 it is not used"


def test_a_worker_that_fails_leaves_the_first_verdict_alone(perf: Callable[[str], None], tmp_path: Path) -> None:
    perf("1")
    sound = make_tree(tmp_path / "base", catalogue())
    broken = make_tree(tmp_path / "head", catalogue(in_walk="raise MemoryError('none left')"))
    (case,) = both(broken, sound).cases
    assert case.absent.startswith("head: solvers/philly/toy: its instructions could not be counted: ")
    assert case.absent.endswith("MemoryError: none left")
    found = Counts("perf", cases=[case])
    assert exit_code([judged(Verdict.SAME)], found) is GateExit.PASSED
    assert any("not known: head: solvers/philly/toy" in line for line in render_counts(found, "b" * 40))


def test_a_tool_that_leaves_no_count_is_an_error(tmp_path: Path) -> None:
    for name in ("perf", "callgrind"):
        with pytest.raises(GateError, match=f"{name} counted no instructions"):
            Tool(name).counted(tmp_path)
    (tmp_path / "counts").write_text("part: 1\nsummary: 0\ntotals: 12\npart: 2\ntotals: 30\n")
    assert Tool("callgrind").counted(tmp_path) == 42


def test_marks_of_callgrind_do_nothing_where_it_does_not_run(tmp_path: Path) -> None:
    worker = Path(counts.__file__).with_name("count_worker.py")
    program = f"import sys; sys.path.insert(0, {str(worker.parent)!r}); import count_worker, gc\n"
    program += "marks = count_worker.callgrind_marks()\ngc.collect()\nprint([mark() for mark in marks * 2])"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[None, None, None, None]\n")


@pytest.mark.parametrize(
    ("head", "base", "verdict"),
    [
        (10_051, 10_000, Verdict.SLOWER),
        (10_049, 10_000, Verdict.SAME),
        (10_000, 10_049, Verdict.SAME),
        (10_000, 10_051, Verdict.FASTER),
    ],
)
def test_within_the_limit_counts_are_the_same(head: int, base: int, verdict: Verdict) -> None:
    assert judge_counts(head, base, CountLimit(0.005, "a test")) is verdict


def judged(verdict: Verdict) -> Judged:
    measured = Measured(load_limits().cases[0], [[0.11, 0.12]], [[0.1, 0.1]])
    return Judged(measured, Interval(0.98, 1.0, 1.02), [], verdict)


def test_both_verdicts_stand_in_the_terminal_on_the_page_and_in_the_record(tmp_path: Path) -> None:
    case = judged(Verdict.SAME)
    counted = Counts("callgrind", cases=[Counted(case.measured.case.name, 1_000_000, 1_010_000, Verdict.SLOWER)])
    found = Found("b" * 40, [case], [], counted)
    assert exit_code(found.cases) is GateExit.PASSED
    assert exit_code(found.cases, counted) is GateExit.SLOWER
    table = list(render_counts(counted, found.base))
    assert table[1].split() == ["engine/philly/loop", "1,000,000", "1.0100", "slower"]
    assert table[2] == "more instructions than at bbbbbbbbbbbb: slower, whatever the clock says"
    write_gate_page(found, tmp_path / "gate.html")
    page = (tmp_path / "gate.html").read_text()
    assert "The gate, against bbbbbbbbbbbb: slower" in page
    assert '<td class="n">×1.0100</td><td>slower</td>' in page
    assert "instructions, head/base (callgrind)" in page
    write_record(found, tmp_path / "gate.json")
    record = read_record(tmp_path / "gate.json")
    assert record.counted_by == "callgrind"
    assert record.cases[0].counts is not None
    assert (record.cases[0].counts.base, record.cases[0].counts.verdict) == (1_000_000, "slower")


def test_without_being_asked_for_there_is_no_second_verdict(tmp_path: Path) -> None:
    found = Found("b" * 40, [judged(Verdict.SAME)], [])
    write_gate_page(found, tmp_path / "gate.html")
    assert "instructions" not in (tmp_path / "gate.html").read_text()
    write_record(found, tmp_path / "gate.json")
    record = read_record(tmp_path / "gate.json")
    assert (record.counted_by, record.counts_absent, record.cases[0].counts) == ("", "", None)


def test_the_gates_own_file_says_which_cases_are_counted_and_how_close_they_have_to_be(tmp_path: Path) -> None:
    limits = load_limits()
    assert limits.counts is not None
    assert 0.0 < limits.counts.within < 0.01
    assert {case.name.split("/")[0] for case in limits.cases if case.counted} >= {"engine", "solvers", "phases"}
    path = tmp_path / "gate.toml"
    path.write_text(LIMITS_FILE.read_text().replace(f"within = {limits.counts.within}", "within = 1.5"))
    with pytest.raises(GateError, match="counts: within; allowed"):
        load_limits(path)


def test_cases_that_are_not_short_are_not_counted() -> None:
    tree = Tree("head", Path())
    found = count(toy_limits(), tree, tree, Path(), lambda _: None)
    assert found.absent.startswith("no case of these is short enough")


def test_the_command_takes_it(phasewise: Callable[..., Any]) -> None:
    assert "--counts" in phasewise("gate", "--help").out


def test_the_gate_counts_after_its_verdict_and_only_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    answer = Counts(absent="nothing counts here")

    def found(*_: object) -> Counts:
        told.append("counting")
        return answer

    monkeypatch.setattr(gate, "checkout", Path)
    monkeypatch.setattr(gate, "resolve", lambda *_: "b" * 40)
    monkeypatch.setattr(gate, "both", lambda *_: nullcontext((None, None)))
    monkeypatch.setattr(gate.Bench, "judge", lambda *_: [judged(Verdict.SAME)])
    monkeypatch.setattr(gate, "count", found)

    def run(*counts: Callable[[Counts, str], None]) -> Found:
        return gate.run_gate("b", (), lambda _: None, lambda *_: told.append("verdict"), *counts)

    assert run(lambda counts, base: told.append(f"{counts.absent} {base[:1]}")).counts is answer
    assert told == ["verdict", "counting", "nothing counts here b"]
    assert run().counts is None
    assert told[3:] == ["verdict"]


# -- the self-test ---------------------------------------------------------------------------------------------------


def test_planted_loops_are_in_every_call_of_the_plant_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "solvers").mkdir()
    (tmp_path / "solvers/session.py").write_text("class Solver:\n    def solve(self):\n        return 7\n")
    PLANTS["solver"].put_loops_into(tmp_path, 13)
    source = (tmp_path / "solvers/session.py").read_text()
    found: dict[str, Any] = {}
    exec(source, found)
    assert found["Solver"]().solve() == 7
    assert "range(13)" in source
    assert source.endswith("Solver.solve = _planted(Solver.solve)\n")


def test_the_self_test_needs_equal_copies_to_be_the_same_and_loops_to_be_slower(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(_: Limits, plant: object, loops: int) -> Counts:
        head = 1000 + (loops if plant else 1)
        return Counts("perf", cases=[Counted(TOY, 1000, head, judge_counts(head, 1000, CountLimit(0.005, "a test")))])

    monkeypatch.setattr(count_self_test, "count_copies", found)
    ask = count_self_test.command.main
    assert ask(["--runs", "2"], standalone_mode=False) == 0
    assert f"{TOY}: 4 processes, spread 0.1000%" in capsys.readouterr().out
    assert ask(["--plant", "solver", "--loops", "10"], standalone_mode=False) == 0
    assert ask(["--plant", "solver", "--loops", "3"], standalone_mode=False) == 1


def test_copies_are_compared_without_a_tool_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "find_tool", lambda: "nothing counts here")
    assert count_self_test.count_copies(load_limits(), PLANTS["solver"], 10).absent == "nothing counts here"
