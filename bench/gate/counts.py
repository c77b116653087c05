"""A second verdict where clocks are noisy: instructions of the gate's short cases, nearly the same in every run.

Each case is walked over in one process of each tree, both at once: what else the machine does changes no count.
Start-up and what lies between walks are not counted. Kernels are compiled before, by processes that nobody counts.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from phasewise.bench.gate.count_tools import Command, Tool, find_tool
from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.limits import CountLimit, GateCase, Limits
from phasewise.bench.gate.link import Tree, environment
from phasewise.bench.gate.measure import Say
from phasewise.bench.gate.verdict import Verdict

_LAST_WORDS: Final = 3  # lines
_ALONE: Final = Command((), "none")


@dataclass(frozen=True, slots=True)
class Counted:
    """Instructions of a case.

    Attributes
    ----------
    base, head
        Of all walks together; 0 where ``absent`` says why they are not known.
    """

    case: str
    base: int
    head: int
    verdict: Verdict
    absent: str = ""

    @property
    def ratio(self) -> float:
        """Head over base."""
        return self.head / self.base if self.base else float("nan")


@dataclass(frozen=True, slots=True)
class Counts:
    """The second verdict.

    Attributes
    ----------
    tool
        What counted; empty where nothing did.
    absent
        Why nothing did.
    cases
        In the order of the gate; those that are not short are left out.
    """

    tool: str = ""
    absent: str = ""
    cases: Sequence[Counted] = field(default_factory=list)

    def of(self, case: str) -> Counted | None:
        """Return what was counted of a case."""
        return next((each for each in self.cases if each.case == case), None)


def count(limits: Limits, head: Tree, base: Tree, folder: Path, say: Say) -> Counts:
    """Return the instructions of the short cases in both trees, or why they cannot be had; never raises for that.

    Parameters
    ----------
    folder
        Where the processes run, and keep their tapes.
    """
    short = [case for case in limits.cases if case.counted]
    limit = limits.counts
    if limit is None or not short:
        return Counts(absent="no case of these is short enough to be counted (counted = true in bench/gate.toml)")
    tool = find_tool()
    if isinstance(tool, str):
        return Counts(absent=tool)
    return Counts(tool.name, cases=[_case(case, limit, tool, (head, base), folder, say) for case in short])


def judge_counts(head: int, base: int, limit: CountLimit) -> Verdict:
    """Return the verdict on two counts: within the limit they are the same."""
    if head > base * (1.0 + limit.within):
        return Verdict.SLOWER
    return Verdict.FASTER if base > head * (1.0 + limit.within) else Verdict.SAME


def _case(case: GateCase, limit: CountLimit, tool: Tool, trees: Sequence[Tree], folder: Path, say: Say) -> Counted:
    say(f"{case.name}: instructions, by {tool.name}")
    try:
        for tree in trees:  # one after the other: the first makes the tape and the kernels that both have
            Counting(case, tree, trees[0], folder, tool.variables).answer()
        with tempfile.TemporaryDirectory(prefix="phasewise-counts-") as place:
            outs = [Path(place) / tree.name for tree in trees]
            head, base = counted_at_once(case, tool, list(zip(trees, outs, strict=True)), folder)
    except GateError as error:
        return Counted(case.name, 0, 0, Verdict.UNDECIDED, str(error))
    return Counted(case.name, base, head, judge_counts(head, base, limit))


def counted_at_once(case: GateCase, tool: Tool, trees: Sequence[tuple[Tree, Path]], folder: Path) -> list[int]:
    """Return the instructions of a case in each tree, counted by processes that run at the same time.

    Parameters
    ----------
    trees
        Each with the folder that its counts are written to, which is not there yet. The worker is that of the first.
    """
    running = []
    for tree, out in trees:
        out.mkdir()
        running.append(Counting(case, tree, trees[0][0], folder, tool.variables, tool.command(out)))
    for each in running:
        each.wait()
    for each in running:
        each.answer()
    return [tool.counted(out) for _, out in trees]


class Counting:
    """A process that walks over a case of a tree, under a tool or alone."""

    def __init__(
        self,
        case: GateCase,
        tree: Tree,
        head: Tree,
        folder: Path,
        variables: Mapping[str, str],
        under: Command = _ALONE,
    ) -> None:
        """Start it; ``head`` is the tree whose worker it runs."""
        self._what = f"{tree.name}: {case.name}"
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115  (closed by answer)
        worker = head.root / "bench" / "gate" / "count_worker.py"
        words = [sys.executable, "-P", "-S", str(worker), case.name, str(case.steps or 0), str(case.walks), under.mark]
        self._process = subprocess.Popen(
            [*under.words, *words],
            cwd=folder,
            env={**environment(tree), **variables},
            stdout=subprocess.DEVNULL,
            stderr=self._said,
        )

    def wait(self) -> None:
        """Wait for its end."""
        try:
            self._process.wait()
        except BaseException:
            self._process.kill()
            raise

    def answer(self) -> None:
        """Wait for its end; raise `GateError` with its last words where it failed."""
        self.wait()
        with self._said as said:
            said.seek(0)
            words = "; ".join(said.read().strip().splitlines()[-_LAST_WORDS:])
        if self._process.returncode != 0:
            raise GateError(f"{self._what}: its instructions could not be counted: {words or self._process.returncode}")
