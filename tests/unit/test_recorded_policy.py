"""Replaying recorded allocations: alignment, the rules of the recorded policy, and every fault's message."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import read, replay, replays

from phasewise.sched import registry
from phasewise.sched.api import ClusterView, TypeOrder
from phasewise.sched.errors import ScenarioError, TraceError
from phasewise.sched.policies.recorded import RecordedPolicy
from phasewise.sched.policy_options import PolicyOptions
from phasewise.solvers.api import Solution
from phasewise.solvers.problems import AllocationProblem

TYPES = ("k80", "p100", "v100")
CASE = "tr--6_6_6--g111--max_min_fairness_perf"


def no_solve(problem: AllocationProblem) -> Solution:
    pytest.fail(f"a replay stated {problem}")


def view_of(ids: list[int], types: tuple[str, ...] = TYPES, now_s: float = 0.0) -> ClusterView:
    jobs = len(ids)
    return ClusterView(
        now_s=now_s,
        worker_types=types,
        capacity=np.full(len(types), 6.0),
        job_id=np.array(ids, dtype=np.int64),
        scale_factor=np.ones(jobs),
        priority_weight=np.ones(jobs),
        throughput=np.ones((jobs, len(types))),
        steps_remaining=np.ones(jobs),
        since_arrival_s=np.zeros(jobs),
    )


def contents_of(**changes: Any) -> dict[str, Any]:
    contents: dict[str, Any] = {
        "case": CASE,
        "worker_types": list(TYPES),
        "allocations": [
            {"t": 0.0, "round": 0, "jobs": [[0]], "x": [[0.0, 0.25, 0.75]]},
            {"t": 2000.0, "round": 6, "jobs": [[0], [1]], "x": [[0.5, 0, 0], [0.0, 0.0, 1.0]]},
            {"t": 4000.0, "round": 12, "jobs": [], "x": []},
        ],
    }
    contents.update(changes)
    return {key: value for key, value in contents.items() if value is not None}


def written(folder: Path, contents: object, name: str = "recorded.json") -> Path:
    path = folder / name
    text = json.dumps(contents).encode()
    path.write_bytes(gzip.compress(text, mtime=0) if name.endswith(".gz") else text)
    return path


def entry(jobs: object, x: object) -> dict[str, Any]:
    return contents_of(allocations=[{"t": 1.0, "jobs": jobs, "x": x}])


@pytest.mark.parametrize("name", ["recorded.json", "recorded.json.gz"])
def test_each_call_returns_the_next_recorded_allocation(tmp_path: Path, name: str) -> None:
    policy = RecordedPolicy.from_file(written(tmp_path, contents_of(), name))
    first = policy.allocate(view_of([0]), no_solve, None)
    assert first.x.tolist() == [[0.0, 0.25, 0.75]]
    second = policy.allocate(view_of([0, 1]), no_solve, first.memory)
    assert second.x.tolist() == [[0.5, 0.0, 0.0], [0.0, 0.0, 1.0]]
    last = policy.allocate(view_of([]), no_solve, second.memory)
    assert last.x.shape == (0, 3)
    assert policy.calls == 3


def test_rows_and_columns_follow_the_view(tmp_path: Path) -> None:
    contents = contents_of(allocations=[{"t": 0, "jobs": [[4], [9]], "x": [[0.1, 0.2, 0.3], [0.4, 0.5, 0.1]]}])
    contents["worker_types"] = ["v100", "k80", "p100"]
    policy = RecordedPolicy.from_file(written(tmp_path, contents))
    assert policy.allocate(view_of([9, 4]), no_solve, None).x.tolist() == [[0.5, 0.1, 0.4], [0.2, 0.3, 0.1]]


def test_a_call_is_repeatable_because_the_memory_is_outside(tmp_path: Path) -> None:
    policy = RecordedPolicy.from_file(written(tmp_path, contents_of()))
    assert [policy.allocate(view_of([0]), no_solve, None).x.tolist() for _ in range(2)] == [[[0.0, 0.25, 0.75]]] * 2


def test_the_registry_builds_it_from_options(tmp_path: Path) -> None:
    chosen = {"allocations": str(written(tmp_path, contents_of()))}
    assert registry.policy("recorded", PolicyOptions(worker_types=TYPES), chosen).allocate(
        view_of([0]), no_solve, None
    ).x.shape == (1, 3)


def test_without_a_file_it_says_how_to_name_one() -> None:
    with pytest.raises(ScenarioError, match="--allocations FILE"):
        registry.policy("recorded")


@pytest.mark.parametrize(
    ("name", "order", "positive"),
    [
        ("fifo", TypeOrder.SHUFFLED, True),
        ("fifo_perf", TypeOrder.FIXED, True),
        ("fifo_packed", TypeOrder.FIXED, True),
        ("allox", TypeOrder.FIXED, False),
        ("gandiva", TypeOrder.FIXED, False),
        ("isolated", TypeOrder.SHUFFLED, False),
        ("finish_time_fairness", TypeOrder.SHUFFLED, False),
        ("finish_time_fairness_perf", TypeOrder.FIXED, False),
        ("max_min_fairness_water_filling", TypeOrder.SHUFFLED, False),
        ("max_sum_throughput_normalized_by_cost_perf_SLOs", TypeOrder.FIXED, False),
    ],
)
def test_the_rules_are_those_of_the_recorded_policy(
    tmp_path: Path, name: str, order: TypeOrder, positive: bool
) -> None:
    by_case = RecordedPolicy.from_file(written(tmp_path, contents_of(case=f"tr--6_6_6--g111--{name}--gcp_slo")))
    by_name = RecordedPolicy.from_file(written(tmp_path, contents_of(case=None)), name)
    for policy in (by_case, by_name):
        assert policy.policy_name == name
        assert policy.type_order is order
        assert policy.needs_positive_priority is positive


def test_a_name_given_wins_over_the_case(tmp_path: Path) -> None:
    assert RecordedPolicy.from_file(written(tmp_path, contents_of()), "fifo").policy_name == "fifo"


def test_a_trace_named_like_a_policy_is_not_taken_for_one(tmp_path: Path) -> None:
    path = written(tmp_path, contents_of(case="fifo--6_6_6--g111--isolated"))
    assert RecordedPolicy.from_file(path).policy_name == "isolated"


def test_an_unknown_policy_name_is_refused_with_those_allowed(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"recorded\.policy is 'fifoo'; allowed is allox, fifo, "):
        RecordedPolicy.from_file(written(tmp_path, contents_of()), "fifoo")


@pytest.mark.parametrize("case", [None, "a--b--c"])
def test_a_file_that_names_no_policy_says_how_to_name_it(tmp_path: Path, case: str | None) -> None:
    with pytest.raises(TraceError, match=r"--set recorded\.policy=NAME"):
        RecordedPolicy.from_file(written(tmp_path, contents_of(case=case)))


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ([], "needs an object with the list `allocations`"),
        ({"case": CASE}, "needs an object with the list `allocations`"),
        (contents_of(worker_types=None), "`worker_types` must be a list of names, got None"),
        (contents_of(worker_types=["v100", "v100"]), "names a type twice"),
        (contents_of(allocations=[{"t": 0.0, "jobs": []}]), r"allocations\[0\]: needs an object with `jobs` and `x`"),
        (contents_of(allocations=[{"t": "x", "jobs": [], "x": []}]), r"allocations\[0\]: `t` must be .* got 'x'"),
        (entry([[0], [1]], [[0, 0, 0]]), r"allocations\[0\]: `x` needs a row for each of the 2 jobs, got 1 rows"),
        (entry([[0]], [[0, 0]]), r"allocations\[0\]: job 0: a row needs 3 fractions"),
        (entry([[0]], [[0, float("nan"), 0]]), r"allocations\[0\]: job 0: .* between 0 and 1, got nan"),
        (entry([[0]], [[0, -0.25, 0]]), r"allocations\[0\]: job 0: .* between 0 and 1, got -0\.25"),
        (entry([[0]], [[0, 1.5, 0]]), r"allocations\[0\]: job 0: .* between 0 and 1, got 1\.5"),
        (entry([[0]], [[0, None, 0]]), r"allocations\[0\]: job 0: .* between 0 and 1, got None"),
        (entry([[0]], [[0, True, 0]]), r"allocations\[0\]: job 0: .* between 0 and 1, got True"),
        (entry([[-1]], [[0, 0, 0]]), r"allocations\[0\]: a job must be \[id\] .* got \[-1\]"),
        (entry([["a"]], [[0, 0, 0]]), r"allocations\[0\]: a job must be \[id\] .* got \['a'\]"),
        (entry([[0], [0]], [[0, 0, 0]] * 2), r"allocations\[0\]: a job is listed twice"),
        (entry([[0], [0, 2]], [[0, 0, 0]] * 2), r"allocations\[0\]: of the pair \[0, 2\] a job has no row of its own"),
        (entry([[0, 0]], [[0, 0, 0]]), r"allocations\[0\]: job \[0, 0\] is neither one job nor two that share"),
        (entry([[0, 1, 2]], [[0, 0, 0]]), r"allocations\[0\]: job \[0, 1, 2\] is neither one job nor two that share"),
        (entry([[0], [1], [0, 1], [1, 0]], [[0, 0, 0]] * 4), r"allocations\[0\]: a job is listed twice"),
        (entry("all", []), r"allocations\[0\]: `jobs` must be a list"),
    ],
)
def test_a_faulty_file_is_named_with_the_entry_and_what_is_allowed(
    tmp_path: Path, contents: object, message: str
) -> None:
    path = written(tmp_path, contents)
    with pytest.raises(TraceError, match=message) as caught:
        RecordedPolicy.from_file(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("r.json", b"{", "not JSON"),
        ("r.json", b"\xff\xfe{", "not JSON"),
        ("r.json.gz", b"{}", "not a complete gzip file"),
        ("r.json.gz", gzip.compress(b"{}" * 500, mtime=0)[:-9], "not a complete gzip file"),
        ("r.json.gz", gzip.compress(b"{}" * 500, mtime=0)[:12] + b"\xff" * 30, "not a complete gzip file"),
    ],
)
def test_a_file_that_cannot_be_decoded_is_named(tmp_path: Path, name: str, raw: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(TraceError, match=message) as caught:
        RecordedPolicy.from_file(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"absent\.json: cannot read recorded allocations: No such file"):
        RecordedPolicy.from_file(tmp_path / "absent.json")


def test_the_worker_types_must_be_the_clusters(tmp_path: Path) -> None:
    path = written(tmp_path, contents_of())
    message = "recorded on worker types k80, p100, v100, but the cluster has a100, v100"
    with pytest.raises(TraceError, match=message):
        RecordedPolicy.from_file(path, worker_types=("a100", "v100"))
    with pytest.raises(TraceError, match=message):
        RecordedPolicy.from_file(path).allocate(view_of([0], ("a100", "v100")), no_solve, None)


@pytest.mark.parametrize(
    ("active", "message"),
    [
        ([0, 1], r"expected \[0\], got \[0, 1\] \(not active: \[\]; not recorded: \[1\]\)"),
        ([1], r"expected \[0\], got \[1\] \(not active: \[0\]; not recorded: \[1\]\)"),
        ([], r"expected \[0\], got \[\] \(not active: \[0\]; not recorded: \[\]\)"),
    ],
)
def test_other_jobs_than_recorded_are_an_error(tmp_path: Path, active: list[int], message: str) -> None:
    policy = RecordedPolicy.from_file(written(tmp_path, contents_of()))
    with pytest.raises(TraceError, match=message) as caught:
        policy.allocate(view_of(active, now_s=7.0), no_solve, None)
    assert "allocation 0, recorded at 0.0 s and asked for at 7.0 s" in str(caught.value)


def test_more_calls_than_recorded_are_an_error_unless_nothing_is_left_to_allocate(tmp_path: Path) -> None:
    policy = RecordedPolicy.from_file(written(tmp_path, contents_of(allocations=[])))
    with pytest.raises(
        TraceError, match=r"allocation 0 is asked for at 7\.0 s \(jobs \[3\]\), but the recording has 0"
    ):
        policy.allocate(view_of([3], now_s=7.0), no_solve, None)
    assert policy.allocate(view_of([]), no_solve, None).x.shape == (0, 3)


@pytest.mark.oracle
@pytest.mark.thorough
@pytest.mark.parametrize("name", replays())
def test_a_recording_of_the_original_is_replayed_whole(name: str) -> None:
    contents = read(replay(name))
    policy = RecordedPolicy.from_file(replay(name), worker_types=contents["worker_types"])
    assert policy.policy_name == contents["case"].split("--")[3]
    assert policy.packs == ("_packed" in name or "gandiva" in name)
    memory: object = None
    for allocation in contents["allocations"]:
        view = view_of([job[0] for job in allocation["jobs"] if len(job) == 1], now_s=allocation["t"])
        answer = policy.allocate(view, no_solve, memory)
        assert answer.x.tolist() == allocation["x"]
        if policy.packs:
            assert answer.members.tolist() == [[*job, -1][:2] for job in allocation["jobs"]]
        memory = answer.memory
