"""The what-if of a scale, checked: one phase is made dear on purpose, and the run without that is the answer."""

from __future__ import annotations

from phasewise.bench.publish.measured import Workplace
from phasewise.bench.publish.origins import Stopwatch, origin, settings
from phasewise.bench.publish.scales import SWEEP_COMMON, Plan
from phasewise.bench.series import what_if
from phasewise.reports import publication as published
from phasewise.reports.phase_costs import figure


def check(scale: str, plan: Plan, place: Workplace) -> published.Checked:
    """Return what `phasewise.bench.series.what_if` finds at the scale, busy from the first round on."""
    asked = plan.check
    overrides = {**SWEEP_COMMON, **plan.sweep.at(1), "stop.rounds": asked.rounds}
    plan.sweep.prepare(1)
    watch = Stopwatch()
    found = what_if.checked(plan.scenario, overrides, asked.phase, asked.pairs)
    for line in what_if.lines(asked.phase, found):
        place.say(f"{scale}: {line}")
    return published.Checked(
        origin(
            f"make reports ARGS='--scale {scale} --part check'",
            f"{asked.pairs} pairs of runs of {asked.rounds} rounds, dear for {what_if.STRETCH} rounds and then not",
            "share: 95 % bootstrap over stretches of rounds; measured: the same over ratios of stretches in pairs",
            watch.cpu_s(),
        ),
        phase=str(asked.phase),
        times=what_if.TIMES,
        scenario=settings(plan.scenario, overrides),
        share=found.share,
        predicted=found.predicted,
        measured=figure(found.measured),
        holds=found.holds,
    )
