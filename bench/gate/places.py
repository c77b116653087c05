"""Where a case became slower: call stacks of both trees, sampled after the verdict and in no measured round."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.limits import GateCase
from phasewise.bench.gate.link import Tree, environment
from phasewise.bench.gate.measure import Judged, Say
from phasewise.bench.gate.verdict import Verdict
from phasewise.profiling.errors import SamplingError
from phasewise.profiling.stack_changes import StackChanges, stack_changes
from phasewise.profiling.stacks import Folded

PAIRS: Final = 4  # of processes, one of each tree: as in the gate, two processes of the same code are not alike
CPU_S: Final = 2.0  # that each samples
MOST_CASES: Final = 3  # that are looked into, the slowest first
_LAST_WORDS: Final = 3  # lines


@dataclass(frozen=True, slots=True)
class Place:
    """Where the time of a case went in both trees.

    Attributes
    ----------
    case
        Its name.
    base, head
        Stacks of each process.
    changes
        What moved; None where that could not be found out.
    absent
        Why not.
    """

    case: str
    base: Sequence[Folded] = ()
    head: Sequence[Folded] = ()
    changes: StackChanges | None = None
    absent: str = ""


def places(cases: Sequence[Judged], head: Tree, base: Tree, folder: Path, say: Say) -> list[Place]:
    """Return where the slowest of the slower cases became slower; what cannot be sampled says why.

    Parameters
    ----------
    folder
        Where the processes run, and keep their tapes.
    """
    slower = [case for case in cases if case.verdict is Verdict.SLOWER]
    slower.sort(key=lambda case: -case.ratio.estimate)
    return [place_of(case.measured.case, head, base, folder, say) for case in slower[:MOST_CASES]]


def place_of(case: GateCase, head: Tree, base: Tree, folder: Path, say: Say) -> Place:
    """Return where a case became slower."""
    found: dict[str, list[Folded]] = {head.name: [], base.name: []}
    try:
        for pair in range(PAIRS):
            say(f"{case.name}: call stacks, pair {pair + 1} of {PAIRS}")
            for tree in (head, base) if pair % 2 == 0 else (base, head):
                found[tree.name].append(_sampled(case, tree, head, folder))
        changes = stack_changes(found[base.name], found[head.name], paired=True)
    except (GateError, SamplingError) as error:
        return Place(case.name, absent=str(error))
    return Place(case.name, found[base.name], found[head.name], changes)


def _sampled(case: GateCase, tree: Tree, head: Tree, folder: Path) -> Folded:
    """Return the stacks of a case in one process of ``tree``; the program and its sampler are the head's."""
    program = head.root / "bench" / "gate" / "stack_worker.py"
    done = subprocess.run(
        [sys.executable, "-P", "-S", program, case.name, str(case.steps or 0), str(CPU_S)],
        cwd=folder,
        env=environment(tree),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        words = "; ".join(done.stderr.strip().splitlines()[-_LAST_WORDS:])
        raise GateError(f"{tree.name}: {case.name}: its call stacks could not be sampled: {words or done.returncode}")
    try:
        return msgspec.json.decode(done.stdout, type=Folded)
    except msgspec.MsgspecError as error:
        raise GateError(f"{tree.name}: {case.name}: no sampled call stacks came back: {error}") from error
