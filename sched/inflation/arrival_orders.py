"""In which order pods arrive in the inflation experiment, and which node wins a tie: drawn, or read from a file.

Source: FGD (ATC'23) and its simulator. The pods of a list are shuffled; then the list is tuned to a load: pods are
removed at random, or clones of random pods appended, until they ask for so much of the cluster's GPUs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import numpy as np
import numpy.typing as npt

from phasewise.profiling.inputs import read_input
from phasewise.sched.errors import ScenarioError, TraceError

if TYPE_CHECKING:
    from phasewise.sched.cluster.requests import Request

Ints = npt.NDArray[np.int64]

MOST_ARRIVALS: Final = 5_000_000  # a list so light that it takes more of them to reach the load is a mistake


@dataclass(frozen=True, slots=True)
class ArrivalOrder:
    """Who arrives when, and who wins ties. P pods and N nodes, each sorted by name; E arrivals.

    Attributes
    ----------
    pod
        (E,) which of the pods arrives; one that is there again is a clone.
    rank
        (N,) tie rank of each node; the lower one wins.
    """

    pod: Ints
    rank: Ints


Index = Annotated[int, msgspec.Meta(ge=-(1 << 62), le=1 << 62)]  # what an array can hold


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    order: list[Index]
    node_rank: list[Index]


class _OrderFile(msgspec.Struct, forbid_unknown_fields=True):
    seeds: dict[str, _Entry]
    doc: str = ""


def draw_order(requests: Sequence[Request], nodes: int, target_milli: float, seed: int) -> ArrivalOrder:
    """Return a random order of pods that together ask for about ``target_milli`` of GPU, and random tie ranks.

    Shuffling, tuning and ranks have a stream of random numbers each.

    Parameters
    ----------
    requests
        What each of the P pods asks for; pods sorted by name.
    nodes
        How many nodes there are.
    target_milli
        The load, thousandths of a GPU.
    seed
        Seed of the draws.

    Raises
    ------
    ScenarioError
        Where the pods ask for no GPU, or for so little that the load takes more than `MOST_ARRIVALS` of them.
    """
    shuffling, tuning, ranks = (np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(3))
    demand = np.array([request.demand_milli for request in requests], np.int64)
    per_gpu = np.array([request.gpu_milli for request in requests], np.int64)
    pod = shuffling.permutation(len(requests))
    total = int(demand.sum())
    if total > target_milli:
        pod = _without_some(pod, demand, target_milli, tuning)
    else:
        pod = np.concatenate((pod, _clones(demand, per_gpu, (total, target_milli), tuning)))
    return ArrivalOrder(pod, ranks.permutation(nodes))


def _without_some(pod: Ints, demand: Ints, target_milli: float, rng: np.random.Generator) -> Ints:
    """Return the order without the first few of its pods in a random order, so many that the rest fits the target."""
    leaving = rng.permutation(len(pod))
    left = demand.sum() - np.cumsum(demand[pod[leaving]])
    gone = int(np.argmax(left <= target_milli)) + 1
    return np.delete(pod, leaving[:gone])


def _clones(demand: Ints, per_gpu: Ints, load: tuple[int, float], rng: np.random.Generator) -> Ints:
    """Return random pods to append, until the next one would exceed the target.

    As in the original, whether it would is judged by its share of one GPU: a clone that asks for several may exceed it.
    """
    total, target = load
    mean = demand.mean() if len(demand) else 0.0
    if mean == 0.0 or (target - total) / mean + len(demand) > MOST_ARRIVALS:
        raise ScenarioError(
            f"the {len(demand)} pods ask for {total / 1000:g} GPUs together, and the load is {target / 1000:g} GPUs; "
            f"allowed: a list that reaches it with at most {MOST_ARRIVALS:,} arrivals"
        )
    drawn: list[Ints] = []
    while True:
        block = rng.integers(len(demand), size=4096)
        before = total + np.cumsum(demand[block]) - demand[block]
        exceeds = before + per_gpu[block] > target
        if exceeds.any():
            drawn.append(block[: int(np.argmax(exceeds))])
            return np.concatenate(drawn)
        drawn.append(block)
        total += int(demand[block].sum())


def read_order(path: Path, seed: int, pods: int, nodes: int) -> ArrivalOrder:
    """Return the order and the tie ranks that a file gives for a seed.

    The file is JSON, plain or gzip-compressed: ``{"seeds": {"42": {"order": [...], "node_rank": [...]}}}``.

    Parameters
    ----------
    path
        The file.
    seed
        Which entry.
    pods, nodes
        How many there are; the entry must be for them.

    Raises
    ------
    TraceError
        Where the file cannot be read, has no such entry, or the entry does not fit the pods or nodes.
    """
    entry = _entry(path, _decoded(path).seeds, seed)
    order, rank = np.array(entry.order, np.int64), np.array(entry.node_rank, np.int64)
    where = f"{path}: seed {seed}"
    if not len(order):
        raise TraceError(f"{where}: order is empty; allowed: at least one index of a pod")
    wrong = np.flatnonzero((order < 0) | (order >= pods))
    if len(wrong):
        raise TraceError(
            f"{where}: order[{wrong[0]}] is {order[wrong[0]]}; allowed: 0 to {pods - 1}, an index into the {pods} pods"
            " sorted by name"
        )
    if len(rank) != nodes or not np.array_equal(np.sort(rank), np.arange(nodes)):
        raise TraceError(
            f"{where}: node_rank has {len(rank)} entries; allowed: each of 0 to {nodes - 1} once, the rank of each of"
            f" the {nodes} nodes sorted by name"
        )
    return ArrivalOrder(order, rank)


def cut_order(order: ArrivalOrder, requests: Sequence[Request], target_milli: float) -> ArrivalOrder:
    """Return the arrivals up to a load: up to the one that would exceed it, judged as where clones are appended.

    Raises
    ------
    ScenarioError
        Where all arrivals together stay more than a hundredth below it.
    """
    demand = np.array([request.demand_milli for request in requests], np.int64)[order.pod]
    per_gpu = np.array([request.gpu_milli for request in requests], np.int64)[order.pod]
    arrived = np.cumsum(demand)
    exceeds = arrived - demand + per_gpu > target_milli
    if exceeds.any():
        return ArrivalOrder(order.pod[: int(np.argmax(exceeds))], order.rank)
    if arrived[-1] < target_milli * 0.99:
        raise ScenarioError(
            f"the arrivals of the order file ask for {arrived[-1] / 1000:g} GPUs, and the load is "
            f"{target_milli / 1000:g} GPUs; allowed: at most what the file holds"
        )
    return order


def _decoded(path: Path) -> _OrderFile:
    try:
        content = read_input(path)
    except OSError as error:
        raise TraceError(f"{path}: cannot read the arrival orders: {error.strerror}") from error
    try:
        return msgspec.json.decode(content, type=_OrderFile)
    except RecursionError as error:
        raise TraceError(f"{path}: is not a file of arrival orders: nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise TraceError(
            f'{path}: is not a file of arrival orders, {{"seeds": {{"42": {{"order": [...], "node_rank": [...]}}}}}}: '
            f"{error}"
        ) from error


def _entry(path: Path, seeds: Mapping[str, _Entry], seed: int) -> _Entry:
    try:
        return seeds[str(seed)]
    except KeyError:
        raise TraceError(f"{path}: no arrivals for seed {seed}; allowed: {', '.join(seeds) or 'none'}") from None
