"""Simulated time, and the service that was given in it: what is kept besides the table of jobs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phasewise.sched.round.rules import Timing

Floats = npt.NDArray[np.float64]


@dataclass(slots=True)
class Clocks:
    """Simulated time, seconds.

    Attributes
    ----------
    round_start_s
        Where the current micro-tasks' time is counted from.
    round_end_s
        End of the last round in which something ran, None before there was one.
    allocated_s, account_opened_s
        When the policy last ran, and when the current account of service was opened; None, which is never, lets either
        happen at once.
    """

    now_s: float = 0.0
    round_start_s: float = 0.0
    round_end_s: float | None = None
    allocated_s: float | None = None
    account_opened_s: float | None = None

    def skip_to(self, arrival_s: float, timing: Timing) -> None:
        """Go to an arrival before which nothing runs."""
        self.now_s = arrival_s
        if not timing.idle_gap_counts:
            self.round_end_s = arrival_s


@dataclass(slots=True)
class Service:
    """Service given. W worker types, G GPUs.

    Attributes
    ----------
    worker_time_s
        (W,) seconds credited on each type since the account was opened.
    busy_s
        (G,) seconds each GPU was busy since the start.
    """

    worker_time_s: Floats
    busy_s: Floats
