"""Two commits compared by one case of the gate, for whoever looks for the commit that changed it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from phasewise.bench.gate.limits import GateCase, Limits, load_limits
from phasewise.bench.gate.measure import Bench
from phasewise.bench.gate.trees import commits
from phasewise.bench.history.bisecting import Compare, Say
from phasewise.bench.history.commits import Commit
from phasewise.bench.history.errors import HistoryError
from phasewise.bench.subjects.catalogue import catalogue
from phasewise.profiling.stats import Interval


def limits_of(case: str) -> Limits:
    """Return the gate's limits with one case: as the gate has it, or else as the suite has it.

    Raises
    ------
    HistoryError
        Where neither has it.
    """
    limits, cases = load_limits(), catalogue()
    known = {each.name: each for each in limits.cases}
    if case not in known and case not in cases:
        raise HistoryError(f"there is no case {case!r}; allowed: {', '.join([*known, *(set(cases) - set(known))])}")
    chosen = known.get(case) or GateCase(name=case, reason="looked for in the history")
    return msgspec.structs.replace(limits, cases=(chosen,))


def by_gate(root: Path, limits: Limits, say: Say) -> Compare:
    """Return what compares two commits of the checkout at ``root`` by the one case of ``limits``."""

    def compare(head: Commit, base: Commit) -> Interval:
        with commits(root, head.name, base.name) as (newer, older):
            return Bench(newer, older, root, say).judge(limits)[0].ratio

    return compare
