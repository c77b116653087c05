"""The rules of a round, as one set of parameters with two presets.

``gavel`` reproduces the original simulator to the last bit, defects included; ``corrected`` mends them. The engine
has one code path: it asks these rules, never which preset is in force. D-numbers are those of
`docs/explanation/timing.md`, which describes each defect.
"""

from __future__ import annotations

from dataclasses import dataclass

from phasewise.sched.errors import ScenarioError
from phasewise.sched.scenario.config import TimingChoice

GAVEL_TYPE_ORDER = ("v100", "p100", "k80")
ACCOUNT_INTERVAL_S = 1920.0
PRIOR_ROUNDS = 0.5
MAX_FAILURES = 5


@dataclass(frozen=True, slots=True)
class Timing:
    """Rules of a round.

    Attributes
    ----------
    round_s
        Longest time a micro-task may take, seconds; a round lasts as long as its slowest micro-task.
    reallocation_interval_s
        Least time between two allocations, seconds; 0 allocates in every round that follows an event (D6).
    account_interval_s
        Least time over which service received is compared with the allocation before the account is closed, seconds.
    prior_s
        Service a job is credited with on every type when an account opens, seconds; it keeps X / f finite.
    idle_gap_counts
        Whether the first micro-task after an idle gap is charged with the gap (D5).
    short_task_fails
        Whether a k-GPU micro-task of fewer than k steps fails; five in a row drop the job (D4).
    departed_time_counts
        Whether the service of departed jobs stays in a type's account until it closes, and the prior of jobs that
        arrived since does not enter it (D14).
    mask_impossible
        Whether an allocation is kept at 0 where a job makes no progress (D3).
    reference_speeds
        Whether policies that do not know how fast types are take each for as fast as the reference type (D2).
    slos_all_or_none
        Whether a policy gives up all SLOs where they cannot all be met, even for one alone (D23).
    every_pair
        Whether every pair of jobs of equal scale factor has an account of its own, and may run where GPUs are left; the
        original's does. Otherwise only pairs that the policy gives time (D24).
    teams_as_one
        Whether a team is as one job: both members end with the slower, and it keeps its GPUs only as the team that it
        was (D25).
    gavel_types_only
        Whether only v100, p100 and k80 exist, in this order of preference (D8).
    final_call
        Whether the policy is asked once more, if due, after the last completion.
    zero_is_never
        Whether an allocation at time 0 counts as none: the next one then need not wait, and closes the account (D21).
    own_types_first
        Whether no job is offered what is left of a type before all types were offered to those whose X names them.
    ideal
        Whether jobs progress by the allocation itself, without rounds (`phasewise.sched.round.ideal`).
    """

    round_s: float
    reallocation_interval_s: float
    account_interval_s: float
    prior_s: float
    idle_gap_counts: bool
    short_task_fails: bool
    departed_time_counts: bool
    mask_impossible: bool
    reference_speeds: bool
    slos_all_or_none: bool
    every_pair: bool
    teams_as_one: bool
    gavel_types_only: bool
    final_call: bool
    zero_is_never: bool
    own_types_first: bool = False
    ideal: bool = False

    def instant(self, now_s: float) -> float | None:
        """Return what is remembered of something that happens at ``now_s``; None is never."""
        return None if self.zero_is_never and now_s == 0.0 else now_s

    @classmethod
    def resolve(cls, choice: TimingChoice) -> Timing:
        """Return the rules a scenario's timing section names."""
        original = choice.preset == "gavel"
        interval_s = choice.reallocation_interval_s
        if interval_s is None:
            interval_s = ACCOUNT_INTERVAL_S if original else 0.0
        return cls(
            round_s=choice.round_s,
            reallocation_interval_s=interval_s,
            account_interval_s=interval_s if original else ACCOUNT_INTERVAL_S,
            prior_s=choice.round_s * PRIOR_ROUNDS,
            idle_gap_counts=original,
            short_task_fails=original,
            departed_time_counts=original,
            mask_impossible=not original,
            reference_speeds=original,
            slos_all_or_none=original,
            every_pair=original,
            teams_as_one=original,
            gavel_types_only=original,
            final_call=original,
            zero_is_never=original,
            own_types_first=choice.own_types_first,
            ideal=choice.mechanism == "ideal",
        )


def preferred_types(timing: Timing, worker_types: tuple[str, ...], mean_throughput: dict[str, float]) -> list[int]:
    """Return the indices of the worker types, the preferred (fastest) first.

    Parameters
    ----------
    worker_types
        (W,) names, alphabetical.
    mean_throughput
        Mean steps/s of the throughput table on each type; ties are broken by name.

    Raises
    ------
    ScenarioError
        Where the original's rules are asked for and the cluster has a type they never schedule.
    """
    if timing.gavel_types_only:
        if unknown := sorted(set(worker_types) - set(GAVEL_TYPE_ORDER)):
            raise ScenarioError(
                f"timing.preset 'gavel' schedules only {', '.join(GAVEL_TYPE_ORDER)}, but the cluster has "
                f"{', '.join(unknown)}: use --timing corrected"
            )
        return [worker_types.index(name) for name in GAVEL_TYPE_ORDER if name in worker_types]
    ranked = sorted(worker_types, key=lambda name: (-mean_throughput[name], name))
    return [worker_types.index(name) for name in ranked]
