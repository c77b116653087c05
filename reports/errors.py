"""What can go wrong in reading and reporting runs, by what the caller can do about it."""

from __future__ import annotations


class ReportError(Exception):
    """Base of every error of this package."""


class RunDirectoryError(ReportError):
    """A run directory is missing, broken or of another schema; names the path and what is expected there."""


class ComparisonError(ReportError):
    """The runs given cannot be put side by side, for example because there are fewer than two."""


class ReportWriteError(ReportError):
    """The report could not be written; names the path."""


class FigureError(ReportError):
    """A figure cannot be made of what was given: names the path or the column, and what is needed."""
