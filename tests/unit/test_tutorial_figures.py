"""What the tutorial says of two policies under overload is what the runs on the page come to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from phasewise.profiling.artefacts.tables import read_table
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate

pytestmark = pytest.mark.thorough

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "first-run.md"
HOUR_S = 3600.0
WINDOW = slice(50, 150)


@dataclass(frozen=True)
class Seen:
    """A run: (J,) arrival, completion (NaN where none) and JCT by job id, and jobs without a GPU by round; hours."""

    arrival: np.ndarray
    completion: np.ndarray
    jct: np.ndarray
    round_start: np.ndarray
    queued: np.ndarray

    def done_by(self, hour: float) -> int:
        return int((self.completion <= hour).sum())

    def waiting_at(self, hour: float) -> int:
        return int(self.queued[np.searchsorted(self.round_start, hour) - 1])


def seen(folder: Path, policy: str, rate: float) -> Seen:
    simulate(load_scenario("philly", {"policy.name": policy, "workload.rate_per_hour": rate}), folder)
    jobs, rounds = read_table(folder / "jobs.parquet"), read_table(folder / "rounds.parquet")
    order = np.argsort(jobs["job_id"].to_numpy())
    arrival, completion, jct = (
        jobs[name].to_numpy(zero_copy_only=False).astype(float)[order] / HOUR_S
        for name in ("arrival_s", "completion_s", "jct_s")
    )
    return Seen(arrival, completion, jct, rounds["sim_time_s"].to_numpy() / HOUR_S, rounds["queued"].to_numpy())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("overload")
    return {
        "max-min": seen(folder / "max-min", "max_min_fairness_perf", 9.0),
        "fifo": seen(folder / "fifo", "fifo_perf", 9.0),
        "fifo at four": seen(folder / "four", "fifo_perf", 4.0),
    }


@pytest.fixture(scope="module")
def text() -> str:
    """Return the step on overload, in one line."""
    section = PAGE.read_text("utf-8").partition("Know when a mean means nothing\n")[2].partition("\n## ")[0]
    assert section
    return " ".join(section.split())


def test_more_jobs_come_than_either_policy_completes(runs: dict[str, Seen], text: str) -> None:
    fair, first = runs["max-min"], runs["fifo"]
    end = first.round_start[-1] + 0.1  # rounds are of 360 s
    rates = [(run.done_by(end) - run.done_by(50.0)) / (end - 50.0) for run in (fair, first)]
    assert max(rates) < 9.0
    assert "max-min completes {:.1f} jobs per hour, first come, first served {:.1f}".format(*rates) in text
    come = [int((run.arrival <= end).sum()) for run in (fair, first)]
    assert come[0] == come[1]
    assert f"By hour 110, {come[0]:,} jobs have arrived" in text
    assert f"{fair.done_by(end)} are done with max-min and {first.done_by(end)} with" in text
    assert f"{fair.waiting_at(end)} and {first.waiting_at(end)} wait for a GPU" in text


def test_first_come_first_served_shelters_early_jobs_from_the_load(runs: dict[str, Seen], text: str) -> None:
    means = [runs[name].jct[WINDOW].mean() for name in ("fifo", "fifo at four")]
    assert "{:.1f} h at nine jobs per hour and {:.1f} h at four".format(*means) in text
    first, last = runs["fifo"].arrival[WINDOW][[0, -1]]
    assert f"in hours {first:.0f} to {last:.0f}" in text


def test_the_difference_is_made_by_a_few_long_jobs(runs: dict[str, Seen], text: str) -> None:
    longer = runs["max-min"].jct[WINDOW] - runs["fifo"].jct[WINDOW]
    assert f"{(np.abs(longer) <= 0.5).sum()} of the 100 jobs take as long as before within half an hour" in text
    assert np.sort(longer)[-20:].sum() == pytest.approx(0.99 * longer.sum(), rel=0.005)
    assert f"Job 73 takes {runs['max-min'].jct[73]:.0f} h where it took {runs['fifo'].jct[73]:.0f} h" in text


def test_the_runs_end_with_the_last_job_of_the_window(runs: dict[str, Seen], text: str) -> None:
    ends = [runs[name].completion[WINDOW].max() for name in ("max-min", "fifo")]
    assert "The runs end at different times**, {:.0f} h and {:.0f} h".format(*ends) in text
