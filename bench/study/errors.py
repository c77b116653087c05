"""What can be wrong with a study before a point of it runs."""

from __future__ import annotations


class StudyError(Exception):
    """A study file, a folder or an option is wrong: names it, what was got and what is allowed."""
