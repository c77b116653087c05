"""Node lists against what a log shows: a machine has at least the GPUs that jobs were ever seen to hold on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from phasewise.sched.cluster.layout import Node

_MOST_NAMED = 4


def as_seen(nodes: Iterable[Node], seen: Mapping[str, int]) -> tuple[list[Node], str]:
    """Return nodes with as many GPUs as were seen on them where the list has fewer, and a sentence that says so.

    Parameters
    ----------
    nodes
        With GPUs; a copy of a node is called as the node, with ``#`` and a number behind it.
    seen
        By the name of a machine, the GPUs that a log shows on it.

    Returns
    -------
    nodes
        What was seen wins where it is more; what the log does not show stays as it is listed.
    told
        Empty where nothing is another.
    """
    found: list[Node] = []
    changed: list[str] = []
    added = 0
    for node in nodes:
        gpus = seen.get(node.name.partition("#")[0], 0)
        if gpus > node.gpus:
            changed.append(f"{node.name} has {node.gpus} and was seen with {gpus}")
            added += gpus - node.gpus
        found.append(node._replace(gpus=max(node.gpus, gpus)))
    if not changed:
        return found, ""
    named = ", ".join(changed[:_MOST_NAMED]) + (", ..." if len(changed) > _MOST_NAMED else "")
    return found, (
        f"the node list contradicts the log on {len(changed):,} of {len(found):,} machines ({named}): what was seen "
        f"counts, which adds {added:,} GPUs"
    )
