"""What measuring costs: CPU microseconds of a round in which each of the nine phases is entered once.

``python -m phasewise.bench.timer_overhead`` prints the figure and, beside it, what reading the clocks alone costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from phasewise.profiling.phases import Phase, PhaseTimer

ROUNDS = 5000  # a sample; short enough to fall between two disturbances on a shared machine
SAMPLES = 30


def measure_us(round_: Callable[[], object], rounds: int = ROUNDS, samples: int = SAMPLES) -> float:
    """Return the least CPU time of a call over several samples, microseconds: disturbances only ever add."""
    costs = []
    for _ in range(samples):
        start = time.process_time()
        for _ in range(rounds):
            round_()
        costs.append(time.process_time() - start)
    return min(costs) / rounds * 1e6


def timed_round(timer: PhaseTimer) -> None:
    """Enter each phase once, written out as an engine would, and take the profile."""
    with timer.phase(Phase.ARRIVALS):
        pass
    with timer.phase(Phase.POLICY):
        with timer.phase(Phase.LP_BUILD):
            pass
        with timer.phase(Phase.LP_SOLVE):
            pass
    with timer.phase(Phase.PRIORITIES):
        pass
    with timer.phase(Phase.WORKER_ASSIGNMENT):
        pass
    with timer.phase(Phase.EVENT_COMPLETION):
        pass
    with timer.phase(Phase.TELEMETRY):
        pass
    with timer.phase(Phase.EXIT_CHECKS):
        pass
    timer.take()


def read_clocks() -> None:
    """Read both clocks as often as a round does: at each entry and exit, and once in take."""
    for _ in range(2 * len(Phase) + 1):
        time.perf_counter_ns()
        time.process_time_ns()


def main() -> None:
    """Print both figures."""
    timer = PhaseTimer()
    print(f"round of {len(Phase)} phases: {measure_us(lambda: timed_round(timer)):.2f} us of CPU")
    print(f"the clocks alone:  {measure_us(read_clocks):.2f} us of CPU")


if __name__ == "__main__":
    main()
