"""What a run may take: simulated time, CPU time, memory. Limits end a run; they decide nothing within it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from phasewise.profiling.environment import rss_mib
from phasewise.profiling.phases import NANOSECONDS, SystemClock
from phasewise.sched.errors import LimitError
from phasewise.sched.round.stopping import StopReason

if TYPE_CHECKING:
    from phasewise.sched.scenario.config import Scenario, Stop

RSS_EVERY: Final = 16  # rounds between two readings of the memory in use: a reading costs as much as a phase


def effective_stop(scenario: Scenario) -> Stop:
    """Return when a run ends, with its limit of simulated time where that comes first."""
    stop, limit_s = scenario.stop, scenario.limits.sim_time_s
    if limit_s is None or (stop.sim_time_s is not None and stop.sim_time_s <= limit_s):
        return stop
    return msgspec.structs.replace(stop, sim_time_s=limit_s)


def resource_limit(scenario: Scenario) -> Callable[[], StopReason | None]:
    """Return what to ask after every round, from now on: whether the run has taken all the CPU time that it may.

    What it returns raises `LimitError` where the process holds more memory than the run may.
    """
    limits = scenario.limits
    if limits.cpu_s is None and limits.memory_mib is None:
        return lambda: None
    began_ns, rounds = SystemClock.cpu_ns(), 0

    def spent() -> StopReason | None:
        nonlocal rounds
        rounds += 1
        if limits.memory_mib is not None and rounds % RSS_EVERY == 0:
            _require_within(limits.memory_mib)
        over = limits.cpu_s is not None and (SystemClock.cpu_ns() - began_ns) / NANOSECONDS >= limits.cpu_s
        return StopReason.CPU_TIME if over else None

    return spent


def _require_within(memory_mib: int) -> None:
    held = rss_mib()
    if held > memory_mib:
        raise LimitError(f"the process holds {held:,.0f} MiB, and limits.memory_mib = {memory_mib:,}")
