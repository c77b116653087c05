"""The colours of the pages, computed: told apart by colour-blind readers, seen against the paper, in both themes."""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from phasewise.reports import palette

Floats = npt.NDArray[np.float64]

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISIONS = {
    "trichromat": np.eye(3),
    "protanope": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranope": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanope": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
THEMES = ("light", "dark")
LEAST_DISTANCE = 20.0  # CIE 1976; about 2 is the least that an eye sees side by side
LEAST_FROM_IDLE = 12.0  # the same measure; grey is the nearest to idle, and nothing but idle is paler
LEAST_TEXT, LEAST_MARK = 4.5, 1.6  # contrast ratios; a mark has a label or a legend beside it


@pytest.fixture(scope="module")
def themes() -> dict[str, dict[str, str]]:
    """Return the colours of each theme by name; dark is light with some replaced."""
    light: dict[str, str] = {}
    dark: dict[str, str] = {}
    for sheet in ("report.css", "viewer.css"):
        css = files("phasewise.reports").joinpath("templates", sheet).read_text("utf-8")
        for block, theme in zip(re.findall(r":root[^{]*\{(.*?)\}", css, re.DOTALL), (light, dark), strict=True):
            theme.update(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})\b", block))
    return {"light": light, "dark": light | dark}


def linear(colour: str) -> Floats:
    part = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def lab(rgb: Floats) -> Floats:
    part = TO_XYZ @ rgb / WHITE
    root = np.where(part > 216 / 24389, np.cbrt(part), (24389 / 27 * part + 16) / 116)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def seen(colour: str, vision: str) -> Floats:
    return lab(np.clip(VISIONS[vision] @ linear(colour), 0.0, 1.0))


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_colours_are_told_apart(theme: str, vision: str, themes: dict[str, dict[str, str]]) -> None:
    colours = {name: seen(themes[theme][name], vision) for name in palette.CYCLE}
    apart = {(a, b): float(np.linalg.norm(colours[a] - colours[b])) for a, b in combinations(palette.CYCLE, 2)}
    nearest = min(apart, key=lambda pair: apart[pair])
    assert apart[nearest] >= LEAST_DISTANCE, f"{nearest}: {apart[nearest]:.1f}"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("vision", VISIONS)
def test_what_is_held_is_told_from_what_is_idle(theme: str, vision: str, themes: dict[str, dict[str, str]]) -> None:
    idle = seen(themes[theme]["idle"], vision)
    apart = {name: float(np.linalg.norm(seen(themes[theme][name], vision) - idle)) for name in palette.CYCLE}
    nearest = min(apart, key=lambda name: apart[name])
    assert apart[nearest] >= LEAST_FROM_IDLE, f"{nearest}: {apart[nearest]:.1f}"


@pytest.mark.parametrize("theme", THEMES)
def test_text_is_read_and_marks_are_seen_against_the_paper(theme: str, themes: dict[str, dict[str, str]]) -> None:
    colours = themes[theme]
    for name in ("ink", "soft", "faint", "link"):
        assert contrast(colours[name], colours["paper"]) >= LEAST_TEXT, name
    for name in palette.CYCLE:
        assert contrast(colours[name], colours["paper"]) >= LEAST_MARK, name


def test_every_phase_has_a_colour_of_its_own() -> None:
    phases = ("arrivals", "policy", "lp_build", "lp_solve", "priorities", "worker_assignment", "event_completion")
    named = [palette.phase_colour(name) for name in (*phases, "telemetry", "exit_checks", "other")]
    assert len(set(named)) == len(named)
    assert set(named) == set(palette.CYCLE)
