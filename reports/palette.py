"""Colours that colour-blind readers tell apart.

They started from Okabe and Ito's set and two of Paul Tol's, and were moved until any two of the ten differ by 20 (CIE
1976) and more for protanopes, deuteranopes and tritanopes as well as for everybody else, in both themes.

Each colour is a CSS variable name; the light and the dark value stand in the page's style sheet, so that one page
serves both. Colour is never the only sign: every use has a label or a legend beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files

_PHASES = {
    "arrivals": "wine",
    "policy": "sky",
    "lp_build": "orange",
    "lp_solve": "vermilion",
    "priorities": "pink",
    "worker_assignment": "blue",
    "event_completion": "green",
    "telemetry": "yellow",
    "exit_checks": "olive",
    "other": "grey",
}
_JOB_TYPES = {
    "LM": "blue",
    "ResNet-18": "orange",
    "Recommendation": "green",
    "Transformer": "pink",
    "ResNet-50": "sky",
    "CycleGAN": "vermilion",
    "A3C": "olive",
}
RUNS = ("blue", "vermilion", "green", "orange", "pink", "sky", "olive", "wine", "yellow", "grey")
CYCLE = ("blue", "orange", "green", "pink", "sky", "vermilion", "olive", "wine", "yellow", "grey")
REST = "grey"  # of what has no colour of its own


def phase_colour(name: str) -> str:
    """Return the colour name of a phase; a phase of a plug-in gets one by its name's letters, always the same."""
    return _PHASES.get(name) or CYCLE[sum(name.encode()) % len(CYCLE)]


def job_type_colours(names: Sequence[str]) -> list[str]:
    """Return the colour name of each job type, no two the same while there are colours; `REST` is kept for the rest.

    The families of the throughput table have theirs on every page. Another type gets one by its name's letters. Where a
    type before it has that one, it gets the next that is free; families come first, then the alphabet.
    """
    colours = [colour for colour in CYCLE if colour != REST]
    family = {name: _JOB_TYPES.get(name.partition(" (")[0]) for name in names}
    found: dict[str, str] = {}
    for name in sorted(family, key=lambda name: (family[name] is None, name)):
        wanted = family[name]
        first = sum(name.encode()) if wanted is None else colours.index(wanted)
        turn = [colours[(first + step) % len(colours)] for step in range(len(colours))]
        found[name] = next((colour for colour in turn if colour not in found.values()), turn[0])
    return [found[name] for name in names]


def run_colour(index: int) -> str:
    """Return the colour name of the run at ``index`` on a page of several."""
    return RUNS[index % len(RUNS)]


def cycle_colour(index: int) -> str:
    """Return the colour name of the series at ``index``."""
    return CYCLE[index % len(CYCLE)]


def light_values() -> dict[str, str]:
    """Return the value of every colour on white paper, as the pages' style sheet has it in its light theme."""
    sheet = files("phasewise.reports").joinpath("templates", "report.css").read_text("utf-8")
    light = sheet.partition("@media")[0]
    return dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})\b", light))
