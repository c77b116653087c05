"""What keeps a test set from being used."""

from __future__ import annotations

import click


class TestsetError(click.ClickException):
    """An instance, a table of results or a folder cannot be used; the message says which, and what to do about it."""

    __test__ = False  # pytest takes it for a class of tests otherwise
