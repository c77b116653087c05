"""Folded stacks: a line a stack, functions joined by semicolons, then microseconds of CPU time."""

from __future__ import annotations

from typing import Final

from phasewise.bench.exports.content import Content
from phasewise.bench.exports.errors import ExportError

DESCRIPTION: Final = "for flamegraph.pl, inferno and whatever else reads folded stacks"
_MICRO: Final = 1e6


def written(content: Content) -> bytes:
    """Return the file; raises `ExportError` where there are no call stacks, or those of several cases."""
    if not content.sampled:
        raise ExportError(f"{content.source}: no call stacks: {content.without_stacks}")
    several = len(content.sampled) > 1
    lines = []
    for each in content.sampled:
        frames = [_plain(frame) for frame in each.stacks.frames]
        first = [_plain(each.name)] if several else []  # whose they are stands at the root
        for stack, cpu_s in zip(each.stacks.stacks, each.stacks.cpu_s, strict=True):
            if (micros := round(_MICRO * cpu_s)) > 0:
                lines.append(f"{';'.join([*first, *(frames[frame] for frame in stack)])} {micros}\n")
    return "".join(lines).encode()


def _plain(name: str) -> str:
    """Return a name without what separates functions and lines."""
    return name.replace(";", ",").replace("\n", " ")
