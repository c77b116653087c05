"""The gate from end to end."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.limits import Limits, load_limits
from phasewise.bench.gate.measure import Bench, Judged, Say
from phasewise.bench.gate.trees import both, checkout, resolve


def run_gate(revision: str | None, names: Sequence[str], say: Say) -> tuple[str, list[Judged]]:
    """Return the full hash of the base and every case with its verdict.

    Parameters
    ----------
    revision
        The base; None for the one that `bench/gate.toml` names.
    names
        Cases to measure; empty for all that it lists.
    say
        Takes a line of progress.

    Raises
    ------
    GateError
        Where the trees cannot be compared, or a case is missing or broken.
    """
    limits = only(load_limits(), names)
    root = checkout()
    commit = resolve(root, limits.base.commit if revision is None else revision)
    say(f"this tree against {commit[:12]}, {len(limits.cases)} cases")
    with both(root, commit) as (head, base):
        return commit, Bench(head, base, root, say).judge(limits)


def only(limits: Limits, names: Sequence[str]) -> Limits:
    """Return the limits with the named cases alone; raise `GateError` for a name that they do not have."""
    known = {case.name: case for case in limits.cases}
    if unknown := [name for name in names if name not in known]:
        raise GateError(f"--case {unknown[0]!r} is not a case of the gate; allowed: {', '.join(known)}")
    return msgspec.structs.replace(limits, cases=tuple(known[name] for name in names)) if names else limits
