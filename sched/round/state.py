"""SimulationState: all that a round reads and changes, as one tree of arrays, numbers and random streams.

A round is a function of this and of `phasewise.sched.round.parts.Parts`, and of nothing else.
`phasewise.sched.round.tree` writes it down and reads it back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasewise.sched.api import Holding, NodeAccount
from phasewise.sched.round.clocks import Clocks, Service
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.round.packing.teams import TeamTable
from phasewise.sched.round.parts import Parts
from phasewise.sched.round.stopping import Departures
from phasewise.sched.streams import Streams
from phasewise.sched.workload.arrivals import Position
from phasewise.solvers.api import State


@dataclass(slots=True)
class SimulationState:
    """Where a simulation stands; the phases of a round change it in place.

    Attributes
    ----------
    jobs
        The active jobs.
    clocks, service
        Simulated time, and the service given in it.
    holding
        Who holds which GPUs, by row of ``jobs``.
    position
        How far the workload was read.
    streams
        Every random stream.
    departures
        Who is gone, as far as the end of the run depends on it.
    nodes
        What is left on every node; None where a job may span nodes.
    teams
        Pairs of jobs and who shared GPUs in the last round; None where the policy does not pack.
    round_index
        Rounds run so far: the index of the next one.
    due
        Whether something happened since the policy last ran.
    at_once
        Whether it need not wait, because nothing runs and nobody else will come.
    memory
        What the policy remembers: None, numbers, texts, arrays, and tuples of these.
    warm
        What the solver's next solve may start from, None where it starts cold. It cannot be written down; a barrier
        (`Parts.checkpoint_rounds`) drops it.
    """

    jobs: JobTable
    clocks: Clocks
    service: Service
    holding: Holding
    position: Position
    streams: Streams
    departures: Departures
    nodes: NodeAccount | None
    teams: TeamTable | None = None
    round_index: int = 0
    due: bool = False
    at_once: bool = False
    memory: object = None
    warm: State = None


def begin(parts: Parts) -> SimulationState:
    """Return the state before the first round, at the first arrival."""
    layout, streams = parts.layout, Streams.of(parts.seed)
    state = SimulationState(
        jobs=JobTable(layout),
        clocks=Clocks(),
        service=Service(np.zeros(len(layout.worker_types)), np.zeros(layout.gpus)),
        holding=Holding.nothing(0),
        position=Position(),
        streams=streams,
        departures=parts.stopper.begin(),
        nodes=None if parts.idle_nodes is None else parts.idle_nodes(streams.placement),
        teams=_teams(parts),
    )
    state.clocks.skip_to(parts.workload.next_arrival_s(state.position) or 0.0, parts.timing)
    return state


def _teams(parts: Parts) -> TeamTable | None:
    if parts.co_rates is None:
        return None
    return TeamTable(parts.co_rates, len(parts.layout.worker_types), every_pair=parts.timing.every_pair)
