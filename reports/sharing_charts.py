"""What sharing GPUs in pairs came to: teams and their gain over simulated time, of runs whose policy packs."""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.reports.charts import Axis, Chart, Series, binned
from phasewise.reports.columns import ColumnTable
from phasewise.reports.figures import Bins

_HOUR_S: Final = 3600.0


def sharing_charts(rounds: ColumnTable, bins: Bins, prefix: str) -> list[Chart]:
    """Return how many teams ran in a round and what they made of their GPUs; nothing of a run that does not pack."""
    if "teams" not in rounds or "sharing_gain" not in rounds or not np.isfinite(rounds.numbers("teams")).any():
        return []
    teams, gain = rounds.numbers("teams"), rounds.numbers("sharing_gain")
    hours = bins.first(rounds.numbers("sim_time_s")) / _HOUR_S
    x_axis, sync, note = Axis("Simulated time (h)"), f"{prefix}cluster", binned(bins)
    shown = [
        Chart(
            f"{prefix}teams",
            "Teams of two jobs",
            note,
            x_axis,
            Axis("Teams", low=0.0),
            hours,
            [Series("teams", "blue", bins.mean(teams), "", "area")],
            sync=sync,
        )
    ]
    if np.isfinite(gain).any():
        kept = [Series("gain", "green", bins.mean(gain), ""), Series("taking turns", "ink", np.ones_like(hours), "")]
        y_axis = Axis("Rates over those alone, both added up", low=0.0, high=2.0)
        shown.append(Chart(f"{prefix}gain", "Gain of sharing", note, x_axis, y_axis, hours, kept, sync=sync))
    return shown
