"""From kinds back to jobs: who shares with whom, so that everybody has exactly the part that its kind has.

A slice is the total time of pairs of two kinds on one type; each of their jobs has a supply of it. Between two kinds
any filling of a table with these margins will do. Partners of the last round come first, then jobs in order; what is
left goes by the north-west corner: in all, fewer pairs than there are jobs. Within a kind it is the same after a ring
of what is left has been folded in two: as no supply is more than half of the ring, nobody meets himself. Of three equal
jobs each has half of its time with each of the others, which is what an odd number comes to.

All slices are filled at once. A *node* is a job in a slice.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from phasewise.solvers.packing.crowd import Bools, Crowd, Floats, Ints, Keys
from phasewise.solvers.packing.program import Program, Triples
from phasewise.solvers.rows import NOBODY

_DUST: Final = 1e-13  # of a slice: what rounding leaves between cells that should meet


class Teamed(NamedTuple):
    """Teams and what each has.

    Attributes
    ----------
    members
        (R, 2) int64 jobs by their place, the second one -1 in a team of one; every job is in some team.
    x
        (R, W) time fractions.
    """

    members: Keys
    x: Floats


class _Nodes(NamedTuple):
    """The jobs in slices that are used: N nodes, those of a slice together, of its first kind before its second.

    Attributes
    ----------
    job, slice
        (N,) who, and in which of the slices.
    second
        (N,) whether it is of the slice's second kind; nobody is within a kind.
    supply
        (N,) time of the slice that it has.
    """

    job: Ints
    slice: Ints
    second: Bools
    supply: Floats


class _Slices(NamedTuple):
    """The slices that are used: S of them.

    Attributes
    ----------
    first, second, kind
        (S,) their kinds and type.
    begin, middle
        (S,) the first node of each, and the first of its second kind (within a kind: the first node).
    """

    first: Ints
    second: Ints
    kind: Ints
    begin: Ints
    middle: Ints


class Spread(NamedTuple):
    """What every class has.

    Attributes
    ----------
    alone
        (C, W) time of a job alone.
    slices, total
        (kind, kind, type) of the slices, and (S,) the time of each.
    beside
        (C, K, W) time of a job beside jobs of a kind; where all jobs of a kind are equal it is not looked at.
    """

    alone: Floats
    slices: Triples
    total: Floats
    beside: Floats


def spread_of(crowd: Crowd, solved: Program, values: Floats) -> Spread:
    """Return what every class has where the program's columns have the ``values`` (n,)."""
    time = np.maximum(values, 0.0) * solved.unit
    alone, beside = np.zeros(crowd.gain.shape), np.zeros((crowd.classes, crowd.kinds, crowd.gain.shape[1]))
    alone[solved.alone.first, solved.alone.kind] = time[solved.lp.columns["alone"]] / crowd.size[solved.alone.first]
    shares = solved.shares
    beside[shares.first, shares.second, shares.kind] = time[solved.lp.columns["shares"]] / crowd.size[shares.first]
    return Spread(alone, solved.slices, time[solved.lp.columns["slices"]], beside)


def teams(crowd: Crowd, spread: Spread, last: Keys) -> Teamed:
    """Return teams of jobs in which every class has what ``spread`` gives it.

    Parameters
    ----------
    last
        (P, 2) pairs of jobs, by their place, that are rather kept than others, the most welcome first.
    """
    jobs = crowd.of_job.size
    by_kind = np.argsort(crowd.of_job, kind="stable")
    slices, nodes = _nodes(crowd, spread, by_kind)
    rank = np.empty(jobs, dtype=np.intp)
    rank[by_kind] = np.arange(jobs) - np.repeat(_starts(crowd.jobs_of_kind), crowd.jobs_of_kind.astype(np.intp))
    old = _old_pairs(crowd, slices, rank, last)
    within = slices.first == slices.second
    pairs, shared = _filled(nodes, slices, within, matching(old, nodes.job.size), old)
    of_slice = nodes.slice[pairs[:, 0]]
    there = shared > _DUST * np.bincount(nodes.slice, nodes.supply, slices.kind.size)[of_slice]
    return _joined(spread.alone[crowd.of_job], nodes.job[pairs[there]], slices.kind[of_slice[there]], shared[there])


def _starts(counts: Floats) -> Ints:
    """Return where each of consecutive groups of these sizes begins."""
    starts: Ints = (np.cumsum(counts) - counts).astype(np.intp)
    return starts


def _nodes(crowd: Crowd, spread: Spread, by_kind: Ints) -> tuple[_Slices, _Nodes]:
    """Return the slices that have time, and their nodes, the jobs of a kind in the order of ``by_kind`` (J,)."""
    used = np.flatnonzero(spread.total > 0.0)
    first, second, kind = (part[used] for part in spread.slices)
    within = first == second
    count = crowd.jobs_of_kind.astype(np.intp)
    sizes = np.column_stack((count[first], np.where(within, 0, count[second]))).ravel()
    begin = _starts(sizes)
    side = np.repeat(np.arange(sizes.size), sizes)
    of_slice, is_second = side // 2, side % 2 == 1
    own = np.column_stack((first, second)).ravel()
    job = by_kind[_starts(crowd.jobs_of_kind)[own[side]] + np.arange(side.size) - begin[side]]
    other = np.column_stack((second, first)).ravel()[side]
    plain = spread.total[used][of_slice] * np.where(within[of_slice], 2.0, 1.0) / count[own[side]]
    parted = spread.beside[crowd.of_job[job], other, kind[of_slice]]
    nodes = _Nodes(job, of_slice, is_second, np.where(crowd.single[own[side]], plain, parted))
    middle = np.where(within, begin[::2], begin[1::2])
    return _Slices(first, second, kind, begin[::2], middle), nodes


def _old_pairs(crowd: Crowd, slices: _Slices, rank: Ints, last: Keys) -> Keys:
    """Return (P, 2) the nodes of the pairs ``last`` in every slice of their kinds, in their order."""
    kinds = crowd.kind[crowd.of_job[last]]
    ordered = np.where((kinds[:, 0] <= kinds[:, 1])[:, None], last, last[:, ::-1])
    code = np.sort(kinds, axis=1) @ np.array([crowd.kinds, 1])
    found = [np.empty((0, 2), dtype=np.int64)]
    of_slice = slices.first * crowd.kinds + slices.second
    by_code = np.argsort(code, kind="stable")
    begin, end = (np.searchsorted(code, of_slice, side=side, sorter=by_code) for side in ("left", "right"))
    for place in np.flatnonzero(end > begin):
        own = rank[ordered[by_code[begin[place] : end[place]]]]
        found.append(own + np.array([slices.begin[place], slices.middle[place]]))
    return np.concatenate(found)


def _filled(nodes: _Nodes, slices: _Slices, within: Bools, kept: Keys, old: Keys) -> tuple[Keys, Floats]:
    """Return pairs of nodes and the time that each shares, those ``kept`` (P, 2) before all others."""
    free = nodes.supply > 0.0
    free[kept] = False
    inside = within[nodes.slice]
    pairs = np.concatenate((kept, _met_within(nodes, free & inside), _met_between(nodes, free & ~inside)))
    both = np.minimum(nodes.supply[pairs[:, 0]], nodes.supply[pairs[:, 1]])
    left = nodes.supply.copy()
    left[pairs[:, 0]] -= both
    left[pairs[:, 1]] -= both
    for place in _short(left, slices, within):
        own = np.flatnonzero(nodes.slice[pairs[:, 0]] == place)
        apart = own[_apart(pairs[own], both[own], left, np.flatnonzero(nodes.slice == place), old)]
        np.add.at(left, pairs[apart], both[apart, None])
        both[apart] = 0.0
    rest = [_ring(nodes, np.where(inside, left, 0.0)), _corner(nodes, np.where(inside, 0.0, left))]
    return np.concatenate((pairs, *(each[0] for each in rest))), np.concatenate((both, *(each[1] for each in rest)))


def _met_within(nodes: _Nodes, free: Bools) -> Keys:
    """Return pairs of free nodes of slices within a kind, neighbours by what they have."""
    node = np.flatnonzero(free)
    node = node[np.lexsort((-nodes.supply[node], nodes.slice[node]))]
    rank = _rank(nodes.slice[node])
    odd = np.flatnonzero((rank[1:] % 2 == 1) & (nodes.slice[node[1:]] == nodes.slice[node[:-1]])) if node.size else node
    return np.column_stack((node[odd], node[odd + 1])) if odd.size else np.empty((0, 2), dtype=np.int64)


def _met_between(nodes: _Nodes, free: Bools) -> Keys:
    """Return pairs of free nodes of two kinds: the first of either side, the second, and so on."""
    sides = [np.flatnonzero(free & (nodes.second == second)) for second in (False, True)]
    count = int(nodes.slice[-1]) + 1 if nodes.slice.size else 0
    sizes = [np.bincount(nodes.slice[side], minlength=count) for side in sides]
    met = np.minimum(*sizes)
    chosen = [side[_rank(nodes.slice[side]) < met[nodes.slice[side]]] for side in sides]
    return np.column_stack(chosen)


def _rank(groups: Ints) -> Ints:
    """Return the place of each entry among those of its group, which stand together."""
    starts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1])[: groups.size])
    sizes = np.diff(np.append(starts, groups.size))
    rank: Ints = np.arange(groups.size) - np.repeat(starts, sizes)
    return rank


def _short(left: Floats, slices: _Slices, within: Bools) -> Ints:
    """Return the slices within a kind of which one node has more left than all others together."""
    if not slices.begin.size:
        return slices.begin
    total, most = np.add.reduceat(left, slices.begin), np.maximum.reduceat(left, slices.begin)
    return np.flatnonzero(within & (2.0 * most - total > _DUST * most))


def _apart(pairs: Keys, both: Floats, left: Floats, side: Ints, old: Keys) -> Ints:
    """Return which pairs are taken apart again, so that what is left of one node is no more than that of all others."""
    most = side[int(left[side].argmax())]
    lacks = 2.0 * left[most] - left[side].sum()
    others = np.flatnonzero((pairs != most).all(axis=1))
    partners = np.zeros(left.size, dtype=np.bool_)
    partners[old[(old == most).any(axis=1)]] = True  # who shared with it shall go on
    order = others[np.argsort(~partners[pairs[others]].any(axis=1), kind="stable")]
    enough = int(np.searchsorted(np.cumsum(2.0 * both[order]), lacks * (1.0 - _DUST))) + 1
    return order[:enough]


def _along(nodes: _Nodes, node: Ints, left: Floats) -> Floats:
    """Return where each ``node`` ends on a line on which each slice is as long as 1, and begins at its number."""
    slices = nodes.slice[node]
    starts = np.flatnonzero(np.append(True, slices[1:] != slices[:-1]))
    whole = np.cumsum(left[node])
    before = np.append(0.0, whole)[starts]
    sizes = np.diff(np.append(starts, node.size))
    run = whole - np.repeat(before, sizes)
    ends: Floats = slices + run / np.repeat(np.add.reduceat(left[node], starts), sizes)
    ends[np.append(starts[1:], node.size) - 1] = slices[starts] + 1.0
    return ends


def _corner(nodes: _Nodes, left: Floats) -> tuple[Keys, Floats]:
    """Return pairs and times that use up what is ``left`` (N,) in slices of two kinds by the north-west corner."""
    sides = [np.flatnonzero((left > 0.0) & (nodes.second == second)) for second in (False, True)]
    sides = [side[np.isin(nodes.slice[side], nodes.slice[other])] for side, other in (sides, sides[::-1])]
    if not sides[0].size or not sides[1].size:
        return np.empty((0, 2), dtype=np.int64), np.empty(0)
    ends = [_along(nodes, side, left) for side in sides]
    cuts = np.union1d(*ends)
    of_slice = np.ceil(cuts) - 1.0
    begin = np.maximum(np.append(0.0, cuts[:-1]), of_slice)
    middle = 0.5 * (begin + cuts)
    pair = [side[np.searchsorted(end, middle)] for side, end in zip(sides, ends, strict=True)]
    total = np.bincount(nodes.slice[sides[0]], left[sides[0]])
    return np.column_stack(pair), (cuts - begin) * total[of_slice.astype(np.intp)]


def _ring(nodes: _Nodes, left: Floats) -> tuple[Keys, Floats]:
    """Return pairs and times of rings of what is ``left`` (N,) that are folded: each point meets that half around."""
    node = np.flatnonzero(left > 0.0)
    if node.size < 2:
        return np.empty((0, 2), dtype=np.int64), np.empty(0)
    ends = _along(nodes, node, left)
    slices = nodes.slice[node].astype(np.float64)
    place = ends - slices
    cuts = np.unique(np.concatenate((np.where(place <= 0.5, ends, ends - 0.5), slices + 0.5)))
    of_slice = np.floor(cuts)
    begin = np.maximum(np.append(0.0, cuts[:-1]), of_slice)
    middle = 0.5 * (begin + cuts)
    near, far = (node[np.searchsorted(ends, middle + turn)] for turn in (0.0, 0.5))
    met = near != far  # but for rounding nobody meets himself
    total = np.bincount(nodes.slice[node], left[node])
    return np.column_stack((near, far))[met], ((cuts - begin) * total[of_slice.astype(np.intp)])[met]


def _joined(alone: Floats, pairs: Keys, kind: Ints, time: Floats) -> Teamed:
    """Return the jobs alone (J, W), each a row, and one row for each pair of jobs that shares on any type."""
    jobs, types = alone.shape
    first, second = pairs.min(axis=1), pairs.max(axis=1)
    code, row = np.unique(first * jobs + second, return_inverse=True)
    shared = np.bincount(row * types + kind, time, code.size * types).reshape(-1, types)
    single = np.column_stack((np.arange(jobs), np.full(jobs, NOBODY)))
    members = np.concatenate((single, np.column_stack(np.divmod(code, max(1, jobs)))))
    return Teamed(members, np.concatenate((alone, shared)))


def matching(pairs: Keys, nodes: int) -> Keys:
    """Return those of ``pairs`` (P, 2) that are left if each is taken, in their order, whose nodes are both free."""
    chosen = [np.empty((0, 2), dtype=np.int64)]
    while pairs.size:
        number = np.arange(len(pairs))
        earliest = np.full(nodes, len(pairs))
        np.minimum.at(earliest, pairs[:, 0], number)
        np.minimum.at(earliest, pairs[:, 1], number)
        first = (earliest[pairs] == number[:, None]).all(axis=1)
        chosen.append(pairs[first])
        taken = np.zeros(nodes, dtype=np.bool_)
        taken[pairs[first]] = True
        pairs = pairs[~taken[pairs].any(axis=1)]
    return np.concatenate(chosen)
