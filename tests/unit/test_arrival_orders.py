"""Arrival orders of the inflation experiment: drawn ones, and those of a file."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phasewise.sched.cluster.requests import Request
from phasewise.sched.errors import ScenarioError, TraceError
from phasewise.sched.inflation.arrival_orders import cut_order, draw_order, read_order

SHARE, WHOLE, EIGHT, NONE = Request(1, 500, 1), Request(1, 1000, 1), Request(1, 1000, 8), Request(1, 0, 0)
MIXED = [SHARE, WHOLE, WHOLE, NONE, EIGHT] * 20  # 210 GPUs


def demand(order: np.ndarray, requests: list[Request]) -> int:
    return sum(requests[pod].demand_milli for pod in order)


def orders_file(path: Path, seeds: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"doc": "made for a test", "seeds": seeds}))
    return path


# -- drawn -----------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    first, again, other = (draw_order(MIXED, 50, 300_000, seed) for seed in (3, 3, 4))
    assert first.pod.tolist() == again.pod.tolist() != other.pod.tolist()
    assert first.rank.tolist() == again.rank.tolist() != other.rank.tolist()


def test_every_pod_arrives_before_the_first_clone() -> None:
    order = draw_order(MIXED, 50, 300_000, 1)
    assert sorted(order.pod[: len(MIXED)]) == list(range(len(MIXED)))
    assert len(order.pod) > len(MIXED)


@pytest.mark.parametrize("seed", range(8))
def test_clones_are_appended_until_the_next_one_would_exceed_the_load(seed: int) -> None:
    order = draw_order(MIXED, 50, 300_000, seed)
    last = MIXED[order.pod[-1]]
    assert demand(order.pod[:-1], MIXED) + last.gpu_milli <= 300_000
    assert demand(order.pod, MIXED) > 300_000 - 1000


@pytest.mark.parametrize("seed", range(8))
def test_no_more_pods_are_removed_than_the_load_asks_for(seed: int) -> None:
    order = draw_order(MIXED, 50, 100_000, seed)
    assert len(set(order.pod)) == len(order.pod) < len(MIXED)
    assert 100_000 - 8000 < demand(order.pod, MIXED) <= 100_000


def test_removing_pods_keeps_the_order_of_the_others() -> None:
    everyone = draw_order(MIXED, 50, 210_000, 5).pod[: len(MIXED)].tolist()
    fewer = draw_order(MIXED, 50, 100_000, 5).pod.tolist()
    assert [pod for pod in everyone if pod in fewer] == fewer


def test_pods_that_ask_for_exactly_the_load_stay_as_they_are() -> None:
    assert len(draw_order([WHOLE] * 10, 3, 10_000, 0).pod) == 10


def test_tie_ranks_are_a_permutation_of_the_nodes() -> None:
    assert sorted(draw_order(MIXED, 50, 300_000, 9).rank) == list(range(50))


@pytest.mark.parametrize("requests", [[NONE], [Request(1, 1, 1)]])
def test_pods_that_never_reach_the_load_are_refused(requests: list[Request]) -> None:
    with pytest.raises(ScenarioError, match=r"the 1 pods ask for .* and the load is 9000 GPUs; allowed: a list that"):
        draw_order(requests, 5, 9_000_000, 0)


# -- of a file -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_gives_the_entry_of_its_seed(tmp_path: Path, compressed: bool) -> None:
    path = orders_file(tmp_path / "orders", {"1": {"order": [0, 2, 1, 2], "node_rank": [1, 0]}})
    if compressed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    order = read_order(path, 1, 3, 2)
    assert order.pod.tolist() == [0, 2, 1, 2]
    assert order.rank.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"order": [0, 3], "node_rank": [0, 1]}, r"order\[1\] is 3; allowed: 0 to 2"),
        ({"order": [-1], "node_rank": [0, 1]}, r"order\[0\] is -1; allowed: 0 to 2"),
        ({"order": [], "node_rank": [0, 1]}, "order is empty"),
        ({"order": [0], "node_rank": [0]}, "node_rank has 1 entries; allowed: each of 0 to 1 once"),
        ({"order": [0], "node_rank": [0, 0]}, "node_rank has 2 entries; allowed: each of 0 to 1 once"),
        ({"order": [0.5], "node_rank": [0, 1]}, "Expected `int`, got `float`"),
        ({"order": [1 << 70], "node_rank": [0, 1]}, "is not a file of arrival orders"),
        ({"order": [0]}, "missing required field `node_rank`"),
    ],
)
def test_an_entry_that_does_not_fit_is_one_message(tmp_path: Path, entry: dict[str, Any], message: str) -> None:
    path = orders_file(tmp_path / "orders.json", {"1": entry})
    with pytest.raises(TraceError, match=message) as caught:
        read_order(path, 1, 3, 2)
    assert str(caught.value).startswith(str(path))


def test_a_seed_without_an_entry_names_those_there_are(tmp_path: Path) -> None:
    entry = {"order": [0], "node_rank": [0]}
    path = orders_file(tmp_path / "orders.json", {"42": entry, "43": entry})
    with pytest.raises(TraceError, match="no arrivals for seed 1; allowed: 42, 43"):
        read_order(path, 1, 1, 1)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1]", b"\x1f\x8bnot gzip", gzip.compress(b"{}", mtime=0)[:-5], b"\xff"]
)
def test_a_file_of_something_else_is_one_message(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "orders.json.gz"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=r"is not a (file of arrival orders|complete gzip file)"):
        read_order(path, 1, 1, 1)


def test_a_file_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot read the arrival orders: No such file"):
        read_order(tmp_path / "none", 1, 1, 1)


def test_a_given_order_is_cut_at_a_load(tmp_path: Path) -> None:
    path = orders_file(tmp_path / "orders.json", {"1": {"order": [0, 1, 1, 0, 1], "node_rank": [0]}})
    requests = [SHARE, WHOLE]
    order = read_order(path, 1, 2, 1)
    assert cut_order(order, requests, 2600).pod.tolist() == [0, 1, 1]
    assert cut_order(order, requests, 4000).pod.tolist() == [0, 1, 1, 0, 1]
    with pytest.raises(ScenarioError, match="ask for 4 GPUs, and the load is 5 GPUs"):
        cut_order(order, requests, 5000)
