"""Colours that colour-blind readers tell apart.

They started from Okabe and Ito's set and two of Paul Tol's, and were moved until any two of the ten differ by 20 (CIE
1976) and more for protanopes, deuteranopes and tritanopes as well as for everybody else, in both themes.

Each colour is a CSS variable name; the light and the dark value stand in the page's style sheet, so that one page
serves both. Colour is never the only sign: every use has a label or a legend beside it.
"""

from __future__ import annotations

import re
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
RUNS = ("blue", "vermilion", "green", "orange", "pink", "sky", "olive", "wine", "yellow", "grey")
CYCLE = ("blue", "orange", "green", "pink", "sky", "vermilion", "olive", "wine", "yellow", "grey")


def phase_colour(name: str) -> str:
    """Return the colour name of a phase; a phase of a plug-in gets one by its name's letters, always the same."""
    return _PHASES.get(name) or CYCLE[sum(name.encode()) % len(CYCLE)]


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
