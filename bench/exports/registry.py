"""The formats by name: a module each, with ``DESCRIPTION`` and ``written(content) -> bytes``."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from phasewise.bench.exports.content import Content

FORMATS: Final = ("pyperf", "bencher", "folded", "speedscope")


def written(content: Content, name: str) -> bytes:
    """Return what was measured as a file of the format ``name``.

    Raises
    ------
    ExportError
        Where the format has no place for what there is.
    """
    module = importlib.import_module(f"{__package__}.{name}")
    found: bytes = module.written(content)
    return found
