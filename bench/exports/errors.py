"""What can keep measurements from being exported."""

from __future__ import annotations

import click


class ExportError(click.ClickException):
    """There is nothing to export in that form, or what was named is neither a run, a record nor results: says which."""

    exit_code = 2
