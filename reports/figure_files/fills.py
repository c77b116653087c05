"""Fragmentation, unallocated GPUs and occupied nodes over demand, from inflation experiments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from phasewise.reports.charts import Axis
from phasewise.reports.figure_files.model import Figure, Floats, Panel, Series
from phasewise.reports.figure_files.seeds import mean_of_seeds
from phasewise.reports.figure_files.sources import FillGroup, Sources, few_enough
from phasewise.reports.palette import cycle_colour

Curves = Mapping[str, Floats]

_IDLE: Final = Axis("Fragmented (% of idle)", low=0.0, high=100.0)
_TOTAL: Final = Axis("Fragmented (% of all)", low=0.0)
_UNALLOCATED: Final = Axis("Unallocated GPUs (%)", low=0.0, high=100.0)
_OCCUPIED: Final = Axis("Occupied nodes", low=0.0)
_SHOWN: Final[tuple[tuple[str, str, Axis, Callable[[Curves], Floats]], ...]] = (
    ("frag_idle", "frag_pct_of_idle", _IDLE, lambda curves: curves["frag_pct_of_idle"]),
    ("frag_total", "frag_pct_of_total", _TOTAL, lambda curves: curves["frag_pct_of_total"]),
    ("unallocated", "alloc_pct", _UNALLOCATED, lambda curves: 100.0 - curves["alloc_pct"]),
    ("occupied", "occupied_nodes", _OCCUPIED, lambda curves: curves["occupied_nodes"]),
)


def fragmentation(sources: Sources) -> Figure:
    """Return what each placement leaves unusable, over the demand that has arrived; means over seeds with intervals."""
    groups = sources.fill_groups()
    few_enough(groups, "fragmentation")
    panels, missing = [], []
    for key, column, axis, shown in _SHOWN:
        if all(column in curves for group in groups for curves in group.curves):
            series = [_mean(group, shown, cycle_colour(index)) for index, group in enumerate(groups)]
            panels.append(Panel(key, "", Axis("Demand (% of all GPUs)", low=0.0), axis, series))
        else:
            missing.append(f"{axis.title.partition(' (')[0].lower()} (curves.csv without {column}, of schema 1)")
    notes = ["Bands: 95 % Student intervals of the mean over seeds."] if _several(groups) else []
    notes += [f"Not shown: {each}." for each in missing]
    return Figure("fragmentation", "What a placement leaves unusable", panels, notes)


def _several(groups: list[FillGroup]) -> bool:
    return any(len(group.curves) > 1 for group in groups)


def _mean(group: FillGroup, shown: Callable[[Curves], Floats], colour: str) -> Series:
    """Return the mean of a curve over seeds, at the loads that all of them reached."""
    loads = [curves["arrived_load_pct"] for curves in group.curves]
    common = loads[0][np.logical_and.reduce([np.isin(loads[0], each) for each in loads])]
    values = np.array([shown(curves)[np.isin(load, common)] for load, curves in zip(loads, group.curves, strict=True)])
    ends = [mean_of_seeds(column) for column in values.T]
    return Series(
        group.label,
        common,
        np.array([end.estimate for end in ends]),
        colour,
        low=np.array([end.low for end in ends]),
        high=np.array([end.high for end in ends]),
        n=np.full(len(common), float(len(values))),
        keys=group.keys,
    )
