"""Two jobs that share their GPUs: who is chosen, where they run, what they come to, and what is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from small_runs import RATES, Job, Run, perform, plain_rates, trace_scenario

from phasewise.reports.figures import bins_of
from phasewise.reports.html import render_page
from phasewise.reports.run_directory import load_run
from phasewise.reports.sharing_charts import sharing_charts
from phasewise.sched import registry
from phasewise.sched.api import Allocation, ClusterView, Ints, Solve, TypeOrder
from phasewise.sched.errors import RunFailedError
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.workload.co_throughputs import COLUMNS

KEPT = (0.75, 0.5)  # of its rate alone, of the jobs "plain" and "other" that share
ROUND_S = 360.0


class Given:
    """A policy that gives teams the time that a test says."""

    name: ClassVar[str] = "given"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    packs: ClassVar[bool] = True
    needs_positive_priority: ClassVar[bool] = False
    families: ClassVar[frozenset[str]] = frozenset()
    options: ClassVar[type[PolicyOptions]] = PolicyOptions
    teams: ClassVar[list[dict[tuple[int, ...], float]]] = []

    def __init__(self, options: PolicyOptions) -> None:
        del options

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return the next of ``teams``, the last again and again, without those whose members are gone."""
        del solve
        call = memory if isinstance(memory, int) else 0
        there = set(view.job_id.tolist())
        chosen = {team: x for team, x in self.teams[min(call, len(self.teams) - 1)].items() if there >= set(team)}
        x = np.zeros((len(chosen), view.capacity.size))
        x[:, -1] = list(chosen.values())
        return Allocation(x, call + 1, members=members_of(chosen))


def members_of(teams: Mapping[tuple[int, ...], float]) -> Ints:
    return np.array([(*team, -1)[:2] for team in teams], np.int64).reshape(-1, 2)


def pairs_file(folder: Path) -> str:
    """Write how "plain" and "other" share: each keeps a part of its rate; two of a type cannot share."""
    rows = [
        f"plain,{factor},other,{factor},{name},{KEPT[0] * rate * factor!r},{KEPT[1] * rate * factor!r}"
        for name, rate in RATES.items()
        for factor in (1, 2)
    ]
    path = folder / "pairs.csv"
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    return str(path)


def run_of(
    folder: Path, jobs: list[Job], teams: list[dict[tuple[int, ...], float]], gpus: Mapping[str, int], **chosen: object
) -> Run:
    """Run jobs whose teams have the time in ``teams``, call by call."""
    rates = plain_rates() | {("other", factor): rate for (_, factor), rate in plain_rates().items()}
    overrides = {
        "workload.co_throughputs": pairs_file(folder),
        "policy.name": "given",
        "timing.preset": "corrected",
        **{key.replace("__", "."): value for key, value in chosen.items()},
    }
    Given.teams = teams
    with registry.registered_policy(Given):
        return perform(trace_scenario(folder, jobs, gpus, overrides, rates), folder / "out")


def stays(run: Run) -> list[tuple[int, ...]]:
    """Return (job, node, GPU, share, first round, end) of every stay, sorted by job."""
    held = run.table("placements")
    columns = ("job_id", "node", "gpu", "share_milli", "start_round", "end_round")
    return sorted(zip(*(held[name] for name in columns), strict=True))


def test_members_make_their_own_steps_and_each_is_done_when_it_is(tmp_path: Path) -> None:
    jobs = [Job(1500.0), Job(3000.0, job_type="other")]  # 15 and 10 steps/s together, 20 alone
    run = run_of(tmp_path, jobs, [{(0, 1): 1.0}, {(1,): 1.0}], {"v100": 1})
    assert run.jobs[0]["completion_s"] == 100.0
    assert run.jobs[1]["completion_s"] == 300.0
    assert run.table("rounds")["sim_time_s"] == [0.0]
    assert stays(run) == [(0, 0, 0, 500, 0, 1), (1, 0, 0, 500, 0, 1)]


def test_as_the_original_both_members_end_with_the_slower(tmp_path: Path) -> None:
    jobs = [Job(1500.0), Job(3000.0, job_type="other")]
    run = run_of(tmp_path, jobs, [{(0,): 0.0, (1,): 0.0, (0, 1): 1.0}], {"v100": 1}, timing__preset="gavel")
    assert [run.jobs[job]["completion_s"] for job in (0, 1)] == [300.0, 300.0]


def test_a_partner_that_stays_keeps_its_gpus_and_a_stay_says_which_part_of_them_it_has(tmp_path: Path) -> None:
    jobs = [Job(1500.0), Job(20_000.0, job_type="other"), Job(1e5, scale_factor=2)]
    run = run_of(tmp_path, jobs, [{(0, 1): 1.0, (2,): 0.5}, {(1,): 1.0, (2,): 1.0}], {"v100": 3})
    ours = [stay for stay in stays(run) if stay[0] == 1]
    assert [stay[3] for stay in ours] == [500, 1000]
    assert {stay[1:3] for stay in ours} == {ours[0][1:3]}
    assert ours[0][5] == ours[1][4]
    assert run.jobs[1]["moves"] == 0


@pytest.mark.parametrize("placement", ["strided", "best_fit"])
def test_changing_the_partner_is_a_start_for_the_one_that_moves_alone(tmp_path: Path, placement: str) -> None:
    jobs = [Job(1e5), Job(1e5, job_type="other"), Job(1e5), Job(1500.0)]  # the last one's end asks the policy again
    teams = [{(0, 1): 1.0, (2,): 1.0, (3,): 1.0}, {(0,): 1.0, (1, 2): 1.0}]
    moving = {"migration__enabled": True, "migration__checkpoint_mb": {"plain": 1.0, "other": 1.0}}
    run = run_of(tmp_path, jobs, teams, {"v100": 3}, placement__name=placement, stop__rounds=2, **moving)
    grid = [{stay[0]: stay[1:3] for stay in stays(run) if stay[4] <= at < stay[5]} for at in (0, 1)]
    assert grid[0][0] == grid[0][1]
    assert grid[1][1] == grid[1][2] != grid[1][0]
    moved = [job for job in (0, 1, 2) if grid[0][job] != grid[1][job]]
    assert len(moved) == 1
    assert [job for job in (0, 1, 2) if run.jobs[job]["moves"]] == moved
    assert run.summary["migrations"] == 1


def test_the_gpu_time_of_a_team_counts_once(tmp_path: Path) -> None:
    jobs = [Job(14_400.0, scale_factor=2), Job(14_400.0, scale_factor=2, job_type="other")]
    run = run_of(tmp_path, jobs, [{(0, 1): 1.0}, {(1,): 1.0}], {"v100": 2}, cluster__gpus_per_node={"v100": 2})
    rounds = run.table("rounds")
    assert rounds["unallocated_gpus"][0] == rounds["pending_gpus"][0] == 0.0
    assert rounds["utilization"][0] == pytest.approx(1.0)
    assert rounds["running"][0] == 2
    held = sum(job["gpu_s"] for job in run.jobs.values())
    assert held == pytest.approx(2.0 * run.summary["makespan_s"])
    assert run.summary["utilization"] == pytest.approx(1.0)


def test_rounds_lines_and_summary_tell_of_teams(tmp_path: Path) -> None:
    jobs = [Job(5400.0), Job(20_000.0, job_type="other")]
    run = run_of(tmp_path, jobs, [{(0, 1): 1.0}, {(1,): 1.0}], {"v100": 1})
    rounds = run.table("rounds")
    assert rounds["teams"][:2] == [1.0, 0.0]
    assert rounds["sharing_gain"][0] == pytest.approx(sum(KEPT))
    assert rounds["sharing_gain"][1] is None
    telemetry = run.lines("TELEMETRY")
    assert (telemetry[0]["teams"], telemetry[1]["teams"]) == (1, 0)
    assert "sharing_gain" not in telemetry[1]
    assert run.summary["teams_mean"] == pytest.approx(1.0 / run.summary["rounds"])
    assert run.summary["sharing_gain"] == pytest.approx(sum(KEPT))


def test_a_run_that_does_not_pack_tells_nothing_of_teams(tmp_path: Path) -> None:
    run = perform(trace_scenario(tmp_path, [Job(100.0)], {"v100": 1}), tmp_path / "out")
    assert run.table("rounds")["teams"] == run.table("rounds")["sharing_gain"] == [None]
    assert run.summary["teams_mean"] is run.summary["sharing_gain"] is None
    assert all("teams" not in line for line in run.lines("TELEMETRY"))


def test_a_pair_that_is_given_no_time_does_not_run_but_in_the_original(tmp_path: Path) -> None:
    jobs = [Job(1e5), Job(1e5, job_type="other")]
    nothing = {(0,): 0.0, (1,): 0.0, (0, 1): 0.0}
    for preset, teams in (("corrected", 0.0), ("gavel", 1.0)):
        folder = tmp_path / preset
        folder.mkdir()
        run = run_of(folder, jobs, [nothing], {"v100": 1}, timing__preset=preset, stop__rounds=8)
        assert max(run.table("rounds")["teams"]) == teams


@pytest.mark.parametrize(
    ("teams", "message"),
    [
        ({(0, 2): 1.0}, "different scale factors"),
        ({(0, 0): 1.0}, "a job beside itself"),
        ({(0, 1): 0.5, (1, 0): 0.5}, "returned a row twice"),
    ],
)
def test_an_answer_that_is_no_allocation_of_teams_ends_the_run(
    tmp_path: Path, teams: dict[tuple[int, ...], float], message: str
) -> None:
    jobs = [Job(100.0), Job(100.0, job_type="other"), Job(100.0, scale_factor=2)]
    with pytest.raises(RunFailedError, match=message):
        run_of(tmp_path, jobs, [teams], {"v100": 3})


def test_a_policy_that_does_not_say_that_it_packs_may_name_no_members(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Given, "packs", False)
    with pytest.raises(RunFailedError, match="its class does not say that it packs"):
        run_of(tmp_path, [Job(100.0)], [{(0,): 1.0}], {"v100": 1})


def test_on_nodes_a_team_needs_the_cpu_and_the_memory_of_both(tmp_path: Path) -> None:
    nodes = tmp_path / "nodes.csv"
    nodes.write_text("sn,cpu_milli,memory_mib,gpu,model\na,10000,100000,2,v100\nb,10000,100000,2,v100\n")
    pods = tmp_path / "pods.csv"
    pods.write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\nwide,6000,50000,1,1000,\n")
    chosen = {
        "cluster.nodes": str(nodes), "workload.pods": str(pods), "workload.jobs": 12, "workload.rate_per_hour": 60.0,
        "workload.scale_factors": "single", "workload.scale_factor_cap": 0, "placement.name": "best_fit",
        "policy.name": "gandiva", "output.check_invariants": True, "output.trace": False, "stop.rounds": 40,
    }  # fmt: skip
    run = perform(load_scenario("toy", chosen), tmp_path / "out")
    rounds = run.table("rounds")
    assert max(rounds["teams"]) == 0.0, "two of 6 cores each do not fit a node of 10"
    assert max(rounds["unplaced"]) > 0.0
    assert max(rounds["running"]) == 2, "members of teams without room run alone"


def test_a_report_without_placements_says_why_it_does_not_tell_who_shared(tmp_path: Path) -> None:
    jobs = [Job(5400.0), Job(20_000.0, job_type="other")]
    for kept in (True, False):
        folder = tmp_path / str(kept)
        folder.mkdir()
        run = run_of(folder, jobs, [{(0, 1): 1.0}], {"v100": 1}, output__placements=kept)
        page = render_page([load_run(run.out)], folder)
        assert ("the run kept no placements" in page) != kept
        assert ("Heat map of shared GPU time" in page) == kept


def test_the_report_of_a_run_that_packs_draws_teams_and_their_gain(tmp_path: Path) -> None:
    run = run_of(tmp_path, [Job(5400.0), Job(20_000.0, job_type="other")], [{(0, 1): 1.0}, {(1,): 1.0}], {"v100": 1})
    rounds = load_run(run.out).rounds
    teams, gain = sharing_charts(rounds, bins_of(len(rounds), 100), "")
    assert teams.series[0].values.tolist()[:2] == [1.0, 0.0]
    assert gain.series[0].values[0] == pytest.approx(sum(KEPT))
    alone = tmp_path / "alone"
    alone.mkdir()
    without = perform(trace_scenario(alone, [Job(100.0)], {"v100": 1}), alone / "out")
    assert sharing_charts(load_run(without.out).rounds, bins_of(1, 100), "") == []


@pytest.mark.parametrize("slow", [0, 1], ids=["the first member", "the second member"])
def test_a_micro_task_of_a_team_that_fails_is_a_failure_of_neither_member(tmp_path: Path, slow: int) -> None:
    # 1e-9 of its rate is no step in a round: under the original's rules the micro-task fails, and with it the team's
    kept = [1e-9 if member == slow else 1.0 for member in (0, 1)]
    jobs = [Job(1500.0), Job(3000.0, job_type="other")]
    rates = [f"{kept[side] * RATES['v100']!r}" for side in (0, 1)]
    path = tmp_path / "own.csv"
    path.write_text("\n".join([",".join(COLUMNS), f"plain,1,other,1,v100,{','.join(rates)}"]) + "\n")
    together = [{(0,): 0.0, (1,): 0.0, (0, 1): 1.0}]
    chosen = {"timing__preset": "gavel", "workload__co_throughputs": str(path), "stop__rounds": 12}
    run = run_of(tmp_path, jobs, together, {"v100": 1}, **chosen)
    assert run.table("rounds")["teams"] == [1] * 12
    # nor does the quicker one make a step: it would be done in the first round
    assert [run.jobs[job]["status"] for job in (0, 1)] == ["active", "active"], "five failures alone are the end of it"
