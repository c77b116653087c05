"""How often the rule of overload errs, on queues whose load is known.

``python -P -m phasewise.bench.series.overload`` simulates M/G/k queues, many of each load, lets `Backlog` watch them,
and prints how often a run was judged overloaded by each of its judgements, and how often the interval of the drift
covers the true one, 0 or 1 - 1/load. ``--simulator`` does the same with this simulator: FIFO on GPUs of one type.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import click
import numpy as np
import numpy.typing as npt

from phasewise.bench.series.runs import table
from phasewise.sched.round.backlog import FIRST_CHECK, Backlog, Census, Estimate
from phasewise.sched.workload.job_mixes import MINUTE_S, ORIGINAL

SHORT, LONG = ORIGINAL.pieces

Floats = npt.NDArray[np.float64]

RUNS: Final = 200
LOADS: Final = (0.8, 0.9, 0.95, 0.98, 1.0, 1.05, 1.1, 1.2, 1.4)
SIMULATOR_LOADS: Final = (0.9, 1.0, 1.1, 1.25)
SERVERS: Final = (16, 108, 1000)
KINDS: Final = ("generator", "exponential")
JUDGEMENTS: Final = 3
ROUND_S: Final = 7200.0  # of the simulator: the longer, the fewer rounds


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one judgement of a run came to: the drift, and whether this one or an earlier one called it overloaded."""

    drift: Estimate | None
    overloaded: bool


@dataclass(frozen=True, slots=True)
class Rates:
    """What many runs of one load came to, at one of their judgements.

    Attributes
    ----------
    arrivals
        When it was.
    share
        Mean drift.
    covered
        Share of the runs whose interval covers the true drift.
    overloaded
        Share of the runs that this judgement or an earlier one called overloaded.
    """

    arrivals: int
    share: float
    covered: float
    overloaded: float


def mean_duration_s() -> float:
    """Return the mean duration of the generator's jobs, seconds: log-uniform pieces, each with its probability."""
    mean_s = 0.0
    for share, least, most in (SHORT, LONG):
        mean_s += share * MINUTE_S * (10.0**most - 10.0**least) / ((most - least) * float(np.log(10.0)))
    return mean_s


def mean_held_s(round_s: float) -> float:
    """Return how long a job holds a GPU on average, seconds: to the end of a round, so a whole number of them."""
    starts_s = np.arange(0.0, MINUTE_S * 10.0**LONG.largest, round_s)
    lasts = np.zeros_like(starts_s)  # the share of the jobs that goes on at the start of their n-th round
    for share, least, most in (SHORT, LONG):
        exponent = np.log10(np.maximum(starts_s, 1.0) / MINUTE_S)
        lasts += share * np.clip((most - exponent) / (most - least), 0.0, 1.0)
    return round_s * float(lasts.sum())


def durations_s(kind: str, rng: np.random.Generator, jobs: int) -> Floats:
    """Return (jobs,) service times with the mean of `mean_duration_s`: exponential ones, or those of the generator."""
    if kind == "exponential":
        return rng.exponential(mean_duration_s(), jobs)
    long = rng.random(jobs) < LONG.share
    exponent = np.where(
        long, rng.uniform(LONG.least, LONG.largest, jobs), rng.uniform(SHORT.least, SHORT.largest, jobs)
    )
    return np.asarray(MINUTE_S * 10.0**exponent)


def queue(kind: str, servers: int, load: float, jobs: int, seed: int) -> tuple[Floats, Floats, float]:
    """Return arrivals (jobs,) and departures (jobs,) of an M/G/k queue, seconds, both ascending, and its rate."""
    rng = np.random.default_rng([seed, servers, round(1000 * load)])
    rate = load * servers / mean_duration_s()
    arrival_s = np.cumsum(rng.exponential(1.0 / rate, jobs))
    free_s, left_s = [0.0] * servers, []
    for arrives, lasts in zip(arrival_s.tolist(), durations_s(kind, rng, jobs).tolist(), strict=True):
        end = max(arrives, free_s[0]) + lasts
        heapq.heapreplace(free_s, end)
        left_s.append(end)
    return arrival_s, np.sort(left_s), rate


def judged_queue(kind: str, servers: int, load: float, judgements: int, seed: int) -> list[Judgement]:
    """Return what the judgements of one M/G/k queue come to."""
    jobs = FIRST_CHECK * 2 ** (judgements - 1) * 17 // 16  # a judgement comes with the first sample that is due
    arrival_s, left_s, rate = queue(kind, servers, load, jobs, seed)
    active = np.arange(1, jobs + 1) - np.searchsorted(left_s, arrival_s)
    backlog = Backlog()

    def moments() -> Iterator[None]:
        index = 0
        while index < jobs:
            count = int(active[index])
            backlog.observe(Census(float(arrival_s[index]), index + 1, count, max(0, count - servers)), rate)
            yield
            index = max(index + 1, backlog.next_sample + (backlog.initial or 0) - 1)  # nothing is noted before

    return _judgements(backlog, moments(), judgements)


def judged_run(servers: int, load: float, judgements: int, seed: int) -> list[Judgement]:
    """Return what the judgements of one run of this simulator come to: FIFO on so many GPUs of one type."""
    from phasewise.profiling.phases import PhaseTimer
    from phasewise.sched.building import build_parts
    from phasewise.sched.engine import step
    from phasewise.sched.round.state import begin
    from phasewise.sched.scenario.loading import load_scenario

    chosen = {
        "cluster.gpus": {"v100": servers}, "cluster.gpus_per_node": {}, "policy.name": "fifo",
        "workload.rate_per_hour": load * servers / mean_held_s(ROUND_S) * 3600.0, "workload.jobs": 0,
        "workload.scale_factors": "single", "workload.scale_factor_cap": 0,
        "timing.round_s": ROUND_S, "stop.window": [0, 1], "seed": seed,
    }  # fmt: skip
    timer = PhaseTimer()
    parts = build_parts(load_scenario("toy", chosen), timer)
    state = begin(parts)

    def moments() -> Iterator[None]:
        while True:
            step(state, parts, timer)
            yield

    return _judgements(state.departures.backlog, moments(), judgements)


def _judgements(backlog: Backlog, moments: Iterator[None], wanted: int) -> list[Judgement]:
    found: list[Judgement] = []
    due, overloaded = backlog.next_check, False
    for _ in moments:
        if backlog.next_check != due:
            due, overloaded = backlog.next_check, overloaded or backlog.overloaded
            found.append(Judgement(backlog.drift, overloaded))
            if len(found) == wanted:
                break
    return found


def rates(runs: Sequence[Sequence[Judgement]], load: float) -> list[Rates]:
    """Return, a judgement, how often runs of one load were called overloaded and how often the interval covers."""
    true, found = max(0.0, 1.0 - 1.0 / load), []
    for index, made in enumerate(zip(*runs, strict=True)):
        drifts = [each.drift for each in made if each.drift is not None]
        found.append(
            Rates(
                FIRST_CHECK * 2**index,
                float(np.mean([drift.share for drift in drifts])),
                float(np.mean([drift.low <= true <= drift.high for drift in drifts])),
                float(np.mean([each.overloaded for each in made])),
            )
        )
    return found


def row(name: str, load: float, found: Sequence[Rates]) -> list[str]:
    """Return a row of the table: true drift, then at each judgement mean, coverage and what was called overloaded."""
    cells = [f"{each.share:+.1%}, {each.covered:.0%}, **{each.overloaded:.1%}**" for each in found]
    return [name, f"{load:g}", f"{max(0.0, 1.0 - 1.0 / load):.1%}", *cells]


@click.command()
@click.option("--runs", default=RUNS, show_default=True, help="Runs of each load, with the seeds 0, 1, ...")
@click.option("--servers", default=",".join(map(str, SERVERS)), show_default=True, help="Numbers, comma-separated.")
@click.option("--loads", default="", help="Loads, comma-separated.")
@click.option("--judgements", default=JUDGEMENTS, show_default=True, help="After 3,000 arrivals, 6,000, ...")
@click.option("--service", "kinds", multiple=True, default=KINDS, type=click.Choice(KINDS), show_default=True)
@click.option("--simulator", is_flag=True, help="Of this simulator, instead of M/G/k queues.")
def main(runs: int, servers: str, loads: str, judgements: int, kinds: Sequence[str], *, simulator: bool) -> None:
    """Measure false alarms, misses and coverage."""
    chosen = [float(load) for load in loads.split(",")] if loads else SIMULATOR_LOADS if simulator else LOADS
    judged: dict[str, Callable[[int, float, int, int], list[Judgement]]] = {"simulator, FIFO": judged_run}
    if not simulator:
        judged = {f"M/G/k, {kind}": lambda *of, kind=kind: judged_queue(kind, *of) for kind in kinds}
    rows = []
    for name, judge in judged.items():
        for count in map(int, servers.split(",")):
            for load in chosen:
                found = rates([judge(count, load, judgements, seed) for seed in range(runs)], load)
                rows.append(row(f"{name}, k = {count}", load, found))
                click.echo(" | ".join(rows[-1]), err=True)
    heads = [f"after {FIRST_CHECK * 2**index:,}" for index in range(judgements)]
    click.echo(table(["queue", "load", "true drift", *heads], rows))


if __name__ == "__main__":
    main()
