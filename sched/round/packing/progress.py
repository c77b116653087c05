"""What teams come to in a round: each member makes its own steps; the team holds its GPUs until the slower is done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasewise.sched.api import Bools, Floats, Ints
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.round.packing.teams import ALONE, TeamTable
from phasewise.sched.round.parts import Parts
from phasewise.sched.round.progress import NOTHING, Flight, Landing, landed
from phasewise.sched.round.round_kernels import BUSY_GPU_S, book
from phasewise.sched.round.rules import Timing
from phasewise.sched.round.state import SimulationState


@dataclass(frozen=True, slots=True)
class Crew:
    """Who shares with whom in a round. J jobs.

    Attributes
    ----------
    teams
        The table of teams, which has noted it.
    mate
        (J,) row of each job's partner, `ALONE` where it has none.
    pair
        (J,) the row of the table of teams of each member of a pair, -1 for jobs alone.
    rate
        (J, W) steps/s of each job as it runs now: those of the pair on the type on which it runs.
    share
        (J,) the part of the GPUs that it holds: 1 alone, a half with another.
    """

    teams: TeamTable
    mate: Ints
    pair: Ints
    rate: Floats
    share: Floats

    @classmethod
    def of(cls, jobs: JobTable, teams: TeamTable) -> Crew:
        """Return who shares with whom, as ``teams`` has it of this round."""
        mate = teams.partner_rows(jobs.job_id)
        rate, pair = jobs.throughput.copy(), np.full(len(jobs), ALONE)
        leads = np.flatnonzero((mate != ALONE) & (np.arange(len(jobs)) < mate))
        others, kind = mate[leads], jobs.worker_type[leads]
        row = teams.find(leads, others, len(jobs))
        rate[leads, kind], rate[others, kind] = teams.rate[row, kind, 0], teams.rate[row, kind, 1]
        pair[leads] = pair[others] = row
        return cls(teams, mate, pair, rate, np.where(mate == ALONE, 1.0, 0.5))

    def gpu_milli(self, jobs: JobTable) -> Ints:
        """Return (J,) thousandths of each of its GPUs that each job has: a team's member has a half."""
        return np.where(self.mate == ALONE, jobs.gpu_milli, jobs.gpu_milli // 2)

    def gains(self, jobs: JobTable) -> Floats:
        """Return (K,) what each running team makes of its GPUs: its members' rates over theirs alone, added up.

        2 where neither slows the other down, 1 where they might as well take turns.
        """
        leads = np.flatnonzero((self.mate != ALONE) & (np.arange(len(self.mate)) < self.mate))
        kept = [
            self.rate[rows, jobs.worker_type[rows]] / jobs.throughput[rows, jobs.worker_type[rows]]
            for rows in (leads, self.mate[leads])
        ]
        gains: Floats = kept[0] + kept[1]
        return gains


def ends_together(flight: Flight, crew: Crew) -> Flight:
    """Return the micro-tasks of which both members of a team finish with the slower one."""
    both = np.flatnonzero(crew.mate != ALONE)
    finish_s = flight.finish_s.copy()
    finish_s[both] = np.maximum(flight.finish_s[both], flight.finish_s[crew.mate[both]])
    return flight._replace(finish_s=finish_s)


def settle(state: SimulationState, parts: Parts, crew: Crew, flight: Flight) -> Landing:
    """Credit the micro-tasks to the jobs, their teams and the service given, in place; return what they came to.

    As `phasewise.sched.round.progress.settle`, a team's time once. Times are added in order of decreasing finish.
    """
    jobs, round_start_s, worker_time_s = state.jobs, state.clocks.round_start_s, state.service.worker_time_s
    runs = jobs.worker_type >= 0
    together = ends_together(flight, crew)
    failed = _failed(jobs, crew, together, round_start_s, parts.timing)
    order = np.flatnonzero(runs & ~failed)
    order = order[np.argsort(-together.finish_s[order], kind="stable")]
    kind, elapsed_s = jobs.worker_type[order], together.finish_s[order] - round_start_s
    executed_s = np.zeros(len(jobs))
    executed_s[order] = elapsed_s
    makes_steps = order[~flight.moving[order]] if flight.moving.size else order
    jobs.failures[makes_steps] = 0
    jobs.steps_done[makes_steps] += flight.steps[makes_steps]
    alone = crew.pair[order] == ALONE
    first = ~alone & (order < crew.mate[order])
    jobs.job_time_s[order[alone], kind[alone]] += elapsed_s[alone]
    crew.teams.job_time_s[crew.pair[order[first]], kind[first]] += elapsed_s[first]
    counted = np.zeros(BUSY_GPU_S + len(worker_time_s))
    once = alone | first
    np.add.at(worker_time_s, kind[once], elapsed_s[once])
    held_s = (together.finish_s[order] - flight.start_s) * jobs.scale_factor[order]
    np.add.at(counted[BUSY_GPU_S:], kind[once], held_s[once])
    jobs.failures[np.flatnonzero(failed & (crew.mate == ALONE))] += 1
    completed = runs & ~failed & (jobs.total_steps - jobs.steps_done <= 0.0)
    _book(state, parts, crew, flight, executed_s, counted)
    return landed(counted, np.flatnonzero(completed), np.flatnonzero(failed))


def _book(
    state: SimulationState, parts: Parts, crew: Crew, flight: Flight, executed_s: Floats, counted: Floats
) -> None:
    """Count the round for every running job: with half of the time and of the GPUs where it shares them."""
    jobs = state.jobs
    book(
        flight.start_s,
        flight.latest_s,
        jobs.floats,
        jobs.ints,
        jobs.scale_factor * crew.share,
        jobs.demand_milli * crew.share,
        crew.gpu_milli(jobs),
        flight.finish_s,
        executed_s,
        NOTHING if parts.gpu_hour_price is None else parts.gpu_hour_price,
        *state.holding,
        state.service.busy_s,
        counted,
    )


def _failed(jobs: JobTable, crew: Crew, flight: Flight, round_start_s: float, timing: Timing) -> Bools:
    """Return (J,) whose micro-task failed: a team's does where one member's part of it does."""
    runs = np.flatnonzero(jobs.worker_type >= 0)
    steps, workers = flight.steps[runs], jobs.scale_factor[runs]
    bad = steps <= 0.0
    if flight.moving.size:
        bad &= ~flight.moving[runs]
    if timing.short_task_fails:
        share = np.floor_divide(steps, workers)
        last = steps - share * (workers - 1.0)
        short = (last <= 0.0) | ((workers > 1.0) & (share <= 0.0))
        bad |= short | (flight.finish_s[runs] - round_start_s <= 0.0)
    failed = np.zeros(len(jobs), np.bool_)
    failed[runs] = bad
    both = np.flatnonzero(crew.mate != ALONE)
    failed[both] |= failed[crew.mate[both]]
    return failed
