"""The built-in studies."""

from __future__ import annotations

from typing import Any

from phasewise.bench.study.definition import builtin_names, load_definition
from phasewise.bench.study.grid import combinations


def describe() -> list[dict[str, Any]]:
    """Return name, kind, scenario, number of points and description of each built-in study."""
    studies = [load_definition(name) for name in builtin_names()]
    return [
        {
            "name": study.study.name,
            "kind": study.study.kind,
            "scenario": study.study.scenario,
            "points": len(combinations(study.grid, study.exclude)),
            "description": study.study.description,
        }
        for study in studies
    ]
