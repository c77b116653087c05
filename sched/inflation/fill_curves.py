"""What the inflation experiment shows: allocation and fragmentation over the load that has arrived.

Source: FGD (ATC'23), Figures 7 and 9, and the scripts of its simulator that draw them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from phasewise.profiling.artefacts.fill_files import CURVES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# The original rounds the first and the last of the three percentages after each arrival, and writes the means with 2, 2
# and 4 decimals. Doing the same gives its very figures.
EVENT_DECIMALS: Final = 2


@dataclass(frozen=True, slots=True)
class FillCurves:
    """Means over the arrivals that brought the load to each integer percentage. L loads.

    Attributes
    ----------
    load_pct
        (L,) 0, 1, 2 and so on: GPU demand that has arrived, placed or not, percent of the cluster's GPUs.
    alloc_pct
        (L,) GPUs in use, percent of all.
    frag_pct_of_total
        (L,) fragmented GPUs, percent of all.
    frag_pct_of_idle
        (L,) fragmented GPUs, percent of those idle.
    occupied_nodes
        (L,) nodes with a GPU in use.
    """

    load_pct: Ints
    alloc_pct: Floats
    frag_pct_of_total: Floats
    frag_pct_of_idle: Floats
    occupied_nodes: Floats

    def csv(self) -> str:
        """Return the curves as CSV, a row for each load."""
        columns = {
            "arrived_load_pct": self.load_pct.tolist(),
            "alloc_pct": _written(self.alloc_pct, 2),
            "frag_pct_of_total": _written(self.frag_pct_of_total, 2),
            "frag_pct_of_idle": _written(self.frag_pct_of_idle, 4),
            "occupied_nodes": _written(self.occupied_nodes, 2),
        }
        names = [field.name for field in CURVES.fields]
        lines = [",".join(names)]
        lines += [",".join(map(str, row)) for row in zip(*(columns[name] for name in names), strict=True)]
        return "\n".join(lines) + "\n"


def _written(values: Floats, decimals: int) -> list[str]:
    return [f"{value:.{decimals}f}" for value in values]


def fill_curves(
    demand_milli: Ints,
    used_milli: Ints,
    fragmented_milli: Floats,
    occupied_nodes: Ints,
    capacity_milli: int,
    last_pct: int,
) -> FillCurves:
    """Return the curves of E arrivals.

    Parameters
    ----------
    demand_milli
        (E,) GPU milli that each arrival asked for.
    used_milli, fragmented_milli, occupied_nodes
        (E + 1,) state of the cluster before the first arrival, and after each.
    capacity_milli
        GPU milli of the cluster.
    last_pct
        The last load to give, at least.

    Notes
    -----
    The load of an arrival includes it and is rounded half to even. A load at which nothing arrived has the mean over
    the arrivals of both neighbours; where these have none either, the state in which the last arrival left the cluster.
    """
    used = used_milli.astype(np.float64)
    idle = capacity_milli - used
    values = np.stack(
        [
            np.round(100.0 * used / capacity_milli, EVENT_DECIMALS),
            100.0 * fragmented_milli / capacity_milli,
            np.round(
                100.0 * np.divide(fragmented_milli, idle, out=np.zeros_like(idle), where=idle > 0.0), EVENT_DECIMALS
            ),
            occupied_nodes.astype(np.float64),
        ]
    )
    load = np.rint(100.0 * np.cumsum(demand_milli) / capacity_milli).astype(np.int64)
    loads = max(last_pct, int(load[-1]) if len(load) else 0) + 1
    return FillCurves(np.arange(loads), *_means(values, load, loads))


def _means(values: Floats, load: Ints, loads: int) -> Floats:
    """Return the (4, L) means of the (4, E + 1) values by the (E,) loads of all but the first; holes filled."""
    # Arrivals are in order of load: those of load x are first[x]:first[x + 1]. A mean of a slice is what the original
    # takes; added up in another order, the last of the written digits differs now and then.
    first = np.searchsorted(load, np.arange(loads + 1))
    arrived = values[:, 1:]
    means = np.empty((len(values), loads))
    for x in range(loads):
        low, high = first[x], first[x + 1]
        if low == high:
            low, high = first[max(x - 1, 0)], first[min(x + 2, loads)]
        means[:, x] = values[:, low] if low == high else [row[low:high].mean() for row in arrived]
    return means
