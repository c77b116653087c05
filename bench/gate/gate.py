"""The gate from end to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from phasewise.bench.gate.counts import Counts, count
from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.limits import LIMITS_FILE, Base, Limits, load_base, load_limits
from phasewise.bench.gate.measure import Bench, Judged, Say
from phasewise.bench.gate.places import places
from phasewise.bench.gate.record import Found
from phasewise.bench.gate.trees import both, checkout, resolve

Tell = Callable[[Sequence[Judged], str], None]
"""Takes the verdicts and the base commit."""


TellCounts = Callable[[Counts, str], None]
"""Takes the second verdict and the base commit."""


def run_gate(
    revision: str | None, names: Sequence[str], say: Say, tell: Tell, tell_counts: TellCounts | None = None
) -> Found:
    """Return every case with its verdict and, of those that became slower, where.

    Parameters
    ----------
    revision
        The base; None for the one that `bench/gate.toml` names.
    names
        Cases to measure; empty for all that it lists.
    say
        Takes a line of progress.
    tell
        Called with the verdicts as soon as they stand, before call stacks are sampled: that takes minutes, and may be
        interrupted.
    tell_counts
        Called with the instructions of the short cases once they are counted, before call stacks are sampled; None
        where they are not wanted.

    Raises
    ------
    GateError
        Where the trees cannot be compared, or a case is missing or broken.
    """
    limits = only(load_limits(), names)
    root = checkout()
    commit = resolve(root, limits.base.commit if revision is None else revision)
    say(f"this tree against {commit[:12]}, {len(limits.cases)} cases")
    began_s = time.monotonic()
    with both(root, commit) as (head, base):
        if revision is None:
            require_new_reason(limits.base, load_base(base.root / "bench" / LIMITS_FILE.name))
        judged = Bench(head, base, root, say).judge(limits)
        say(f"measured in {time.monotonic() - began_s:.0f} s")
        tell(judged, commit)
        counts = None
        if tell_counts is not None:
            counts = count(limits, head, base, root, say)
            tell_counts(counts, commit)
        return Found(commit, judged, places(judged, head, base, root, say), counts)


def require_new_reason(base: Base, before: Base) -> None:
    """Raise `GateError` where a base has the reason of the one that its own tree names: nobody said why it was moved.

    Parameters
    ----------
    base, before
        What this tree's `bench/gate.toml` names, and what that of the base does.
    """
    if base.reason.strip() == before.reason.strip():
        raise GateError(
            f"the base was moved from {before.commit[:12]} to {base.commit[:12]}, but base.reason is the same; say why"
        )


def only(limits: Limits, names: Sequence[str]) -> Limits:
    """Return the limits with the named cases alone; raise `GateError` for a name that they do not have."""
    known = {case.name: case for case in limits.cases}
    if unknown := [name for name in names if name not in known]:
        raise GateError(f"--case {unknown[0]!r} is not a case of the gate; allowed: {', '.join(known)}")
    return msgspec.structs.replace(limits, cases=tuple(known[name] for name in names)) if names else limits
