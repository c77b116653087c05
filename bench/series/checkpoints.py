"""`python -P -m phasewise.bench.series.checkpoints`: what checkpoints cost, as a share of the rounds between two.

A run with them differs from one without in two things: at each barrier a checkpoint is written (what is written with a
chunk of rounds is written anyway), and the next solve is cold. Both are measured by themselves, in CPU time, after the
cluster has filled; a whole run varies by more than they take.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from phasewise.profiling.artefacts.sinks import NullSink
from phasewise.profiling.phases import PhaseTimer
from phasewise.sched.building import build_parts
from phasewise.sched.engine import Simulation
from phasewise.sched.recording.recorder import Recorder
from phasewise.sched.round.state import begin
from phasewise.sched.round.tree import written
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import prepare_kernels

SPACING: Final = 512  # rounds
BEFORE: Final = {"philly": 2000, "alibaba": 60}  # rounds, until the cluster is full
MEASURED: Final = 48  # rounds
REPEATED: Final = 9


@click.command()
def command() -> None:
    """Print a row for each scale."""
    click.echo("| scale | jobs | a round, ms | a checkpoint, ms | colder solve, ms | size, KB | share of 512 rounds |")
    click.echo("|---|---|---|---|---|---|---|")
    for name, before in BEFORE.items():
        with tempfile.TemporaryDirectory(prefix="phasewise-study-") as folder:
            click.echo(row(name, before, Path(folder)))


def row(name: str, before: int, out: Path) -> str:
    """Return what a checkpoint costs after so many rounds of a scenario, as a row of the table."""
    scenario, timer = load_scenario(name), PhaseTimer()
    parts = build_parts(scenario, timer)
    prepare_kernels(parts)
    recorder = Recorder(scenario, parts.layout, out, NullSink())
    simulation = Simulation(begin(parts), parts, recorder, timer)

    def step() -> None:
        simulation.step(lambda: 0.0)

    def save() -> None:
        recorder.barrier(simulation.state.round_index, written(simulation.state))

    for _ in range(before):
        step()
    warm = [_cpu_ms(step) for _ in range(MEASURED)]
    cold, saving = [], []
    for _ in range(REPEATED):
        simulation.state.warm = None
        save()  # the rounds so far
        saving.append(_cpu_ms(save))
        cold.append(_cpu_ms(step))
    round_ms, saving_ms = statistics.fmean(warm), statistics.median(saving)
    colder_ms = max(0.0, statistics.median(cold) - statistics.median(warm))
    size_kb = (out / "checkpoint" / "last.npz").stat().st_size / 1000
    share = (saving_ms + colder_ms) / (SPACING * round_ms)
    jobs = len(simulation.state.jobs)
    return f"| {name} | {jobs} | {round_ms:.2f} | {saving_ms:.1f} | {colder_ms:.1f} | {size_kb:,.0f} | {share:.2%} |"


def _cpu_ms(call: Callable[[], None]) -> float:
    began_s = time.process_time()
    call()
    return (time.process_time() - began_s) * 1e3


if __name__ == "__main__":
    command()
