"""What all jobs together can gain at most at given prices: the certificate of packing, over all pairs, by kinds.

For weights l of gains, prices u of time and p of GPUs, none below 0, every feasible allocation has

    sum_i l_i g_i <= sum_i u_i + sum_j p_j N_j

if no row makes more of a unit of time than its members' time costs: l_i a_ij <= u_i + s_i p_j for a job alone, and
l_i f_i r_ab + l_k f_k r_ba <= u_i + u_k + s_i p_j for jobs i, k of the kinds a, b that share. Where u is too little it
is raised, so that the bound holds for any prices. Of all J^2 pairs only the best partner of each kind has to be looked
at: what job k brings to a pair depends on the kind of its partner alone.

Where moving costs c_ij |X_ij - P_ij|, any m_ij between -c_ij and c_ij can be added to what each unit of time of job i
on type j makes, alone or beside whomever, if sum_ij m_ij P_ij is taken from the right side: -c |X - P| is at most
m (X - P).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phasewise.solvers.packing.crowd import Bools, Crowd, Floats, Ints
from phasewise.solvers.short_rows import row_max


class Prices(NamedTuple):
    """What things are worth, by class; C classes, W worker types, none below 0.

    Attributes
    ----------
    weight
        (C,) a unit of a job's gain.
    time
        (C,) all of a job's time.
    capacity
        (W,) a GPU.
    kept
        (C, W) a unit of a job's time that stays where it was, at most twice what moving it costs, and exactly that
        where nothing can stay; None where moving is free.
    """

    weight: Floats
    time: Floats
    capacity: Floats
    kept: Floats | None = None

    def of_staying(self, crowd: Crowd) -> Floats | None:
        """Return (C, W) what a unit of time on each type is worth for the movement cost alone: -c_ij to c_ij."""
        return None if self.kept is None or crowd.moving is None else self.kept - crowd.moving.cost


class Offers(NamedTuple):
    """How much more the members of pairs make than their time and GPUs cost.

    Attributes
    ----------
    own
        (C, K, W) what a job brings to a pair with one of a kind, less what its time costs; -inf where they cannot.
    partner
        (C, K, W) what its best partner of the kind brings.
    short
        (C, K, W) what the pair with the best partner of the kind makes more than it costs; -inf where there is none.
    """

    own: Floats
    partner: Floats
    short: Floats


def offers(crowd: Crowd, prices: Prices) -> Offers:
    """Return what every class makes of pairs with every kind, at best."""
    worth = (prices.weight * crowd.factor)[:, None, None] * crowd.rate[crowd.kind]
    if (staying := prices.of_staying(crowd)) is not None:
        worth += staying[:, None, :]
    own = np.where(crowd.usable, worth - prices.time[:, None, None], -np.inf)
    best = np.maximum.reduceat(own, crowd.first, axis=0)  # (K, K, W): of the first kind, for the second
    partner = best.transpose(1, 0, 2)[crowd.kind]
    rows = np.arange(crowd.classes)
    partner[rows, crowd.kind] = _best_but_itself(crowd, own[rows, crowd.kind])
    short = own + partner
    short -= (crowd.use[:, None] * prices.capacity)[:, None, :]
    return Offers(own, partner, short)


def _best_but_itself(crowd: Crowd, own: Floats) -> Floats:
    """Return (C, W) the largest ``own`` (C, W) of another job of the kind: for the best job of all the second best."""
    best, holder = best_of_kind(crowd, own)
    alone = crowd.size[holder] == 1.0
    rest = own.copy()
    types = np.arange(own.shape[1])
    rest[holder[alone], np.broadcast_to(types, holder.shape)[alone]] = -np.inf
    second = np.maximum.reduceat(rest, crowd.first, axis=0)
    is_holder = holder[crowd.kind] == np.arange(crowd.classes)[:, None]
    others: Floats = np.where(is_holder, second[crowd.kind], best[crowd.kind])
    return others


def best_partners(crowd: Crowd, found: Offers, asked: Bools) -> Bools:
    """Return (C, K, W) whose own part in pairs with a kind is the best for some class that asks for partners.

    Parameters
    ----------
    asked
        (C, K, W) pairs, of a class with a kind on a type, for which the best partner is wanted.
    """
    wanted = np.full((crowd.kinds, crowd.kinds, asked.shape[2]), np.inf)
    np.minimum.at(wanted, crowd.kind, np.where(asked, found.partner, np.inf))
    least = wanted.transpose(1, 0, 2)[crowd.kind]  # (C, K, W): what a class must bring to be somebody's best
    return np.isfinite(found.own) & (found.own >= least)


def best_of_kind(crowd: Crowd, values: Floats) -> tuple[Floats, Ints]:
    """Return (K, ...) the largest of ``values`` (C, ...) of each kind, and (K, ...) the first class that has it."""
    best = np.maximum.reduceat(values, crowd.first, axis=0)
    place = np.arange(crowd.classes).reshape(-1, *(1,) * (values.ndim - 1))
    has_it: Bools = values == best[crowd.kind]
    holder: Ints = np.minimum.reduceat(np.where(has_it, place, crowd.classes - 1), crowd.first, axis=0)
    return best, holder


def raised(crowd: Crowd, prices: Prices, found: Offers) -> Floats:
    """Return (C,) the prices of time, raised to where nothing makes more than it costs."""
    alone = crowd.gain * prices.weight[:, None] - crowd.use[:, None] * prices.capacity
    if (staying := prices.of_staying(crowd)) is not None:
        alone += np.where(crowd.open, staying, 0.0)
    short = np.maximum(row_max(alone) - prices.time, 0.0)
    beside = 0.5 * found.short.max(axis=(1, 2), initial=0.0)  # both members of a pair are raised by half of it
    time: Floats = prices.time + np.maximum(short, beside)
    return time


def worth(crowd: Crowd, prices: Prices, capacity: Floats) -> float:
    """Return the most that sum_i l_i g_i can be, ``capacity`` (W,) GPUs: whatever the prices are, nothing is more.

    Where moving costs, that is taken from it.
    """
    time = raised(crowd, prices, offers(crowd, prices))
    most = float(crowd.size @ time) + float(prices.capacity @ capacity)
    staying = prices.of_staying(crowd)
    if staying is None or crowd.moving is None:
        return most
    return most - float(np.einsum("i,ij,ij->", crowd.size, staying, crowd.moving.previous))
