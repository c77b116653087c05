"""What stands on the command line: numbers in the digits 0 to 9, and words of which the nearest is named."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from phasewise.profiling.names import nearest, quoted

_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)
LONGEST: Final = 40  # characters


class Integer(click.IntRange):
    """An integer; click's own also takes the digits of other scripts, white space and underscores."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the integer; fail for anything else."""
        if isinstance(value, str) and not (len(value) <= LONGEST and _INTEGER.fullmatch(value)):
            self.fail(f"{value[:LONGEST]!r} is not a valid integer.", param, ctx)
        return super().convert(value, param, ctx)

    def _describe_range(self) -> str:
        """Return what the help says of the range; click's own says ``x<=None`` where there is no bound."""
        return "" if self.min is None and self.max is None else super()._describe_range()


class Number(click.types.FloatParamType):
    """A number; likewise."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number; fail for anything else."""
        if isinstance(value, str) and not (value.isascii() and len(value) <= LONGEST and "_" not in value):
            self.fail(f"{value[:LONGEST]!r} is not a valid number.", param, ctx)
        return super().convert(value, param, ctx)


class Choice(click.Choice[str]):
    """One of some words; where it is none of them, the nearest is named."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word; fail for any other."""
        if isinstance(value, str) and value not in self.choices:
            self.fail(
                f"{quoted(value)} is not one of {', '.join(self.choices)}{nearest(value, self.choices)}", param, ctx
            )
        return super().convert(value, param, ctx)
