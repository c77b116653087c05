"""What can go wrong in the simulation, by what the caller can do about it."""

from __future__ import annotations

from pathlib import Path


class SchedulingError(Exception):
    """Base of every error of this package."""


class ScenarioError(SchedulingError):
    """A scenario, a cluster or an option is wrong: name it, say what was got and what is allowed."""


class TraceError(SchedulingError):
    """A trace, a throughput table or a recorded allocation is wrong; names the file and the line."""


class UnknownPolicyError(SchedulingError):
    """No policy of that name is registered."""


class UnknownPlacementError(SchedulingError):
    """No placement of that name is registered."""


class UnknownFormatError(SchedulingError):
    """No trace format of that name is registered."""


class InvariantError(SchedulingError):
    """The state of the simulation broke a rule that must hold after every phase."""


class StateError(SchedulingError):
    """The state of a simulation cannot be written down, or what was written down is not of this simulation."""


class ResumeError(SchedulingError):
    """A run cannot go on from what there is: it was another one, or its files are damaged."""


class StalledError(SchedulingError):
    """Jobs wait, nothing runs, and nothing will ever change that."""


class LimitError(SchedulingError):
    """A run holds more memory than its limit."""


class RunFailedError(SchedulingError):
    """A run that had begun could not go on.

    Attributes
    ----------
    round_index
        The round in which it failed, None where it failed before the first.
    out
        The run directory that holds what was computed, or None where nothing is written.
    """

    def __init__(self, reason: str, round_index: int | None, out: Path | None) -> None:
        when = "before its first round" if round_index is None else f"in round {round_index}"
        saved = f"; the results so far are saved in {out}" if out is not None else ""
        super().__init__(f"the run failed {when}: {reason}{saved}")
        self.round_index = round_index
        self.out = out


class DefectError(RunFailedError):
    """Something was raised that nobody foresaw: a defect of a plug-in, or of this project.

    Attributes
    ----------
    traceback
        The file that keeps the traceback, None where none could be written.
    """

    def __init__(self, reason: str, round_index: int | None, out: Path | None, traceback: Path | None) -> None:
        super().__init__(reason, round_index, out)
        self.traceback = traceback


class InflationFailedError(SchedulingError):
    """An inflation experiment that had begun could not go on."""
