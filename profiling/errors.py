"""What can go wrong while measuring, by what the caller can do about it."""

from __future__ import annotations

import os
from os import PathLike


class ProfilingError(Exception):
    """Base of every error raised by `phasewise.profiling`."""


class OutputError(ProfilingError):
    """A file cannot be written: make room, or choose another place."""


class RecordError(ProfilingError):
    """A record, a line or a table cannot be written or read as it stands: the content is at fault."""


class SampleError(ProfilingError):
    """Samples do not allow the figure that is asked for: too few, not finite, not positive."""


class SamplingError(ProfilingError):
    """A profiler cannot look into what it was asked to: there is no such function, or it has no Python lines."""


class OwnFileError(ProfilingError):
    """A Python file that was named as ``FILE.py:CLASS`` is not there, cannot be loaded, or has no such class."""


def cannot_write(path: str | PathLike[str], error: OSError) -> OutputError:
    """Return the error for a file that cannot be written: its path and the system's reason."""
    return OutputError(f"cannot write {path}: {_reason(error)}")


def cannot_read(path: str | PathLike[str], error: OSError) -> RecordError:
    """Return the error for a file that cannot be read: its path and the system's reason."""
    return RecordError(f"cannot read {path}: {_reason(error)}")


def _reason(error: OSError) -> str:
    """Return the system's own words; libraries that wrap an error put paths and details of theirs around them."""
    return os.strerror(error.errno) if error.errno else str(error)
