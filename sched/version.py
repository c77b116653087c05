"""The version of the rules by which a scenario comes to its results."""

from __future__ import annotations

from typing import Final

RULES: Final = 1
"""Raised with every change by which a resolved scenario comes to other results: what was made before is made anew."""
