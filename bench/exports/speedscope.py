"""The file format of speedscope: a sampled profile of each set of call stacks, weighed by seconds of CPU time."""

from __future__ import annotations

import json
from typing import Any, Final

from phasewise.bench.exports.content import Content, Sampled
from phasewise.bench.exports.errors import ExportError

DESCRIPTION: Final = "for https://www.speedscope.app"
_SCHEMA: Final = "https://www.speedscope.app/file-format-schema.json"


def written(content: Content) -> bytes:
    """Return the file; raises `ExportError` where there are no call stacks."""
    if not content.sampled:
        raise ExportError(f"{content.source}: no call stacks: {content.without_stacks}")
    frames = sorted({name for each in content.sampled for name in each.stacks.frames})
    place = {name: index for index, name in enumerate(frames)}
    whole = {
        "$schema": _SCHEMA,
        "exporter": "phasewise",
        "name": content.source,
        "activeProfileIndex": 0,
        "shared": {"frames": [_frame(name) for name in frames]},
        "profiles": [_profile(each, place) for each in content.sampled],
    }
    return json.dumps(whole, allow_nan=False).encode()


def _frame(name: str) -> dict[str, Any]:
    module, _, function = name.rpartition(":")
    return {"name": function, "file": module} if module else {"name": function}


def _profile(sampled: Sampled, place: dict[str, int]) -> dict[str, Any]:
    stacks = sampled.stacks
    return {
        "type": "sampled",
        "name": sampled.name,
        "unit": "seconds",
        "startValue": 0,
        "endValue": sum(stacks.cpu_s),
        "samples": [[place[stacks.frames[frame]] for frame in stack] for stack in stacks.stacks],
        "weights": stacks.cpu_s,
    }
