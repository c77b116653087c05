"""What is held can be told from what is idle on the viewer's map, in both themes, also by those who see fewer colours.

Colours are seen through the matrices of Machado, Oliveira and Fernandes (2009) for a whole loss of one kind of cone,
and compared by their distance in OKLab (Ottosson 2020), where about 0.02 is just noticed side by side. That the
colours of job types differ from one another is tested with the palette.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from phasewise.reports import palette

TEMPLATES = Path(__file__).resolve().parents[2] / "reports" / "templates"
SEEN_BY = {
    "all cones": np.eye(3),
    "no red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no blue cones": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
# Four times what is just noticed, for a square may be six pixels wide, and a share of it one pixel high. Yellow is the
# nearest to the light grey of idle where there are no blue cones.
FROM_IDLE = 0.08


def linear(colour: str) -> np.ndarray:
    """Return linear red, green and blue of ``#rrggbb``, 0 to 1."""
    value = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def oklab(colour: str, seen_by: str) -> np.ndarray:
    return TO_OKLAB @ np.cbrt(TO_CONES @ np.clip(SEEN_BY[seen_by] @ linear(colour), 0, 1))


def themes() -> dict[str, dict[str, str]]:
    """Return the colours of the style sheets by theme and name; dark is light with some replaced."""
    light: dict[str, str] = {}
    dark: dict[str, str] = {}
    for sheet in ("report.css", "viewer.css"):
        blocks = re.findall(r":root \{(.*?)\}", (TEMPLATES / sheet).read_text(), re.DOTALL)
        for block, theme in zip(blocks, (light, dark), strict=True):
            theme.update(re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", block))
    return {"light": light, "dark": light | dark}


@pytest.mark.parametrize("seen_by", SEEN_BY)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_held_can_be_told_from_what_is_idle(theme: str, seen_by: str) -> None:
    colours = themes()[theme]
    idle = oklab(colours["idle"], seen_by)
    apart = {name: float(np.linalg.norm(oklab(colours[name], seen_by) - idle)) for name in palette.CYCLE}
    assert {name: distance for name, distance in apart.items() if distance < FROM_IDLE} == {}
