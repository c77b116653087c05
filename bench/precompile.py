"""Compile every kernel ahead of time: ``python -P -m phasewise.bench.precompile``, or ``make kernels``.

Kernels are compiled when they are first needed and kept beside their files. Where many processes start at once, as in
the tests or in a batch of runs, each would compile the same: this does it once, on all cores.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Final

import click

PLACEMENTS: Final = ("fgd", "best_fit", "dot_product", "gpu_packing", "gpu_clustering", "random", "strided")
JOBS: Final = 200  # enough for sifting


def place(name: str) -> None:
    """Compile all that a placement calls."""
    from phasewise.sched import compiled, registry
    from phasewise.sched.cluster import ClusterLayout, Node
    from phasewise.sched.nodes.state import NodeState
    from phasewise.sched.tasks import Request, typical

    compiled.prepare(_silent)
    layout = ClusterLayout.of([Node("one", "v100", 2, 8000, 8000)])
    request = Request(1000, 500, 1)
    state = NodeState(layout, typical([(request, 1)]))
    rule = registry.placement(name, registry.PlacementOptions(layout, whole_gpus=False)).rule  # type: ignore[attr-defined]
    state.prepare(rule, _silent)
    index = state.register(request)
    spot = state.place(rule, index)
    if spot is not None:
        state.release_task(index, spot.node, spot.gpus)
    state.place_all(rule, [index])


def solve(name: str) -> None:
    """Compile all that a solver calls."""
    from dataclasses import replace

    from phasewise.profiling.phases import PhaseTimer
    from phasewise.solvers.instances import Load, churned_rounds, with_switching
    from phasewise.solvers.lexicographic import LexicographicProblem
    from phasewise.solvers.session import open_solver

    session, before = open_solver(name, {}, PhaseTimer()), None
    for churned in churned_rounds(3, JOBS, 3, load=Load.CONTENDED):
        problem = churned.problem
        if name == "structured":
            x = session.solve(problem).x
            session.solve(replace(problem, linear_weight=1e-3))
            session.solve(with_switching(churned, before))
            before = x
        else:
            session.solve(LexicographicProblem(problem.gain, problem.scale_factor, problem.capacity))


def _silent(_: str) -> None:
    """Say nothing."""


@click.command()
def main() -> None:
    """Compile what is not compiled yet."""
    began_s = time.perf_counter()
    tasks = [
        partial(solve, "structured"),
        *(partial(place, name) for name in PLACEMENTS),
        partial(solve, "water-filling"),
    ]
    place(PLACEMENTS[-1])  # the quickest: what all of them share, before the others start side by side
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for done in [pool.submit(task) for task in tasks]:
            done.result()
    click.echo(f"all kernels are compiled ({time.perf_counter() - began_s:.0f} s)")


if __name__ == "__main__":
    main()
