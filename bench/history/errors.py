"""What keeps a history from being read, written or searched."""

from __future__ import annotations

import click


class HistoryError(click.ClickException):
    """The history, or what is to be added to it, is not as it has to be. The message says where and what is allowed."""

    exit_code = 2
