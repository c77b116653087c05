"""What keeps two trees from being compared."""

from __future__ import annotations

import click


class GateError(click.ClickException):
    """The trees cannot be compared, or a case is broken: never a pass. The message says what to do about it."""
