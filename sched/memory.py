"""How much memory a run needs, estimated before it begins: what does not fit is refused, not killed half-way.

The figures are measured: bytes a GPU, a node, an active job, and a pair of a job and a worker type in a solver's model.
They are upper ends; what grows with the length of a run is written down as it goes and not held.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from phasewise.sched.errors import ScenarioError

if TYPE_CHECKING:
    from phasewise.sched.scenario.config import Scenario

MIB: Final = 1 << 20
VARIABLE: Final = "PHASEWISE_MEMORY_MIB"  # a limit of one's own
BASE: Final = 240 * MIB  # Python, NumPy, Arrow, compiled code
PER_GPU: Final = 48
PER_NODE: Final = 300  # a name, a few figures, and its place in several arrays
PER_JOB: Final = 1_000  # waiting or active: its record, its row, its id
PER_PAIR: Final = 100  # of a job and a worker type, in the state
PER_TEAM: Final = 40  # two jobs that may share their GPUs, where the policy packs
PER_TEAM_PAIR: Final = 110  # of a team and a worker type: rates, X and accounts, twice while teams are chosen
TEAMS_A_JOB: Final = 4  # at the most, where only pairs with time are kept
PER_ARRIVAL: Final = 600  # of an inflation experiment, which holds what became of each
PER_ROUND: Final = 900  # of a chunk
# Bytes a pair in the model of a solver, by how its name begins; others are taken for the dearest.
PER_MODEL_PAIR: Final = {"structured": 300, "water": 300, "auto": 600, "highs": 1_600, "cvxpy": 4_000}
SHARE: Final = 0.9  # of what the machine has left, that a run may take


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run needs, bytes by what needs it."""

    parts: dict[str, float]

    @property
    def bytes(self) -> float:
        """The sum, with what every run needs."""
        return BASE + sum(self.parts.values())

    def __str__(self) -> str:
        parts = sorted(self.parts.items(), key=lambda part: -part[1])
        return ", ".join(f"{_mib(need)} for {what}" for what, need in parts if need >= MIB) or "what every run needs"


def estimate(
    scenario: Scenario, nodes: int, *, solves: bool = True, packs: bool = False, jobs: int | None = None
) -> Estimate:
    """Return what a resolved scenario needs at the most that is certain before it runs.

    Parameters
    ----------
    nodes
        Number of nodes.
    solves
        Whether the policy states problems for the solver.
    packs
        Whether it lets jobs share their GPUs. The original's rules keep an account of every two jobs of equal scale
        factor: of all jobs, for all that is known here.
    jobs
        Jobs that may be there at once, where more is known than the scenario says: a trace's. With a rate it is not
        known how many will wait; then it is those at the start and those that come within a round.
    """
    gpus, types = sum(scenario.cluster.gpus.values()), len(scenario.cluster.gpus)
    workload = scenario.workload
    if jobs is None:
        in_a_round = int(workload.rate_per_hour * scenario.timing.round_s / 3600.0)
        coming = workload.jobs if not workload.rate_per_hour else min(in_a_round, workload.jobs or in_a_round)
        jobs = (gpus if workload.filled else workload.initial_jobs) + coming
    pair = max(_model_pair(name.strip()) for name in scenario.solver.name.split(",")) if solves else 0
    teams = _teams(jobs, every_pair=scenario.timing.preset == "gavel") if packs else 0
    return Estimate(
        {
            f"{gpus:,} GPUs on {nodes:,} nodes": PER_GPU * gpus + PER_NODE * nodes,
            f"{jobs:,} jobs at once on {types} worker types": jobs * (PER_JOB + types * (PER_PAIR + pair)),
            f"{teams:,} pairs of jobs that may share": teams * (PER_TEAM + types * PER_TEAM_PAIR),
            f"chunks of {scenario.output.chunk_rounds:,} rounds": PER_ROUND * scenario.output.chunk_rounds,
        }
    )


def _teams(jobs: int, *, every_pair: bool) -> int:
    return jobs * (jobs - 1) // 2 if every_pair else min(TEAMS_A_JOB * jobs, jobs * (jobs - 1) // 2)


def require_memory(needed: Estimate) -> None:
    """Raise `ScenarioError` where a run needs more memory than it may take."""
    limit, whose = limit_bytes()
    if needed.bytes > limit:
        raise ScenarioError(
            f"the run needs about {_mib(needed.bytes)} of memory ({needed}), and {whose} {_mib(limit)}; "
            f"ask for less, or set {VARIABLE} to the MiB it may take"
        )


def limit_bytes() -> tuple[float, str]:
    """Return how much memory a run may take, bytes, and whose word that is.

    Raises
    ------
    ScenarioError
        Where the environment variable is no number.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given:
        if not (given.isascii() and given.isdigit() and len(given) < 12 and int(given)):
            raise ScenarioError(f"the environment's {VARIABLE} is {given[:40]!r}; allowed: a number of MiB above 0")
        return float(int(given) * MIB), f"{VARIABLE} allows"
    return SHARE * min(_machine(), _group()), "the machine has"


def estimate_arrivals(arrivals: int, nodes: int) -> Estimate:
    """Return what an inflation experiment with so many arrivals and nodes needs."""
    return Estimate({f"{arrivals:,} arrivals": PER_ARRIVAL * arrivals, f"{nodes:,} nodes": PER_NODE * nodes})


def _model_pair(solver: str) -> int:
    named = {"ecos": "cvxpy", "scs": "cvxpy", "clarabel": "cvxpy"}.get(solver, solver)
    return next((need for start, need in PER_MODEL_PAIR.items() if named.startswith(start)), PER_MODEL_PAIR["cvxpy"])


def _machine() -> float:
    """Return the bytes that the machine can still give; infinite where it does not tell."""
    for line in _lines(Path("/proc/meminfo")):
        if line.startswith("MemAvailable:"):
            return float(line.split()[1]) * 1024
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return float("inf")


def _group() -> float:
    """Return the bytes that the control group leaves (a container, a batch job); infinite where it sets no limit."""
    folder = Path("/sys/fs/cgroup")
    own = next(
        (line.split(":", 2)[2].strip() for line in _lines(Path("/proc/self/cgroup")) if line.startswith("0::")), "/"
    )
    left = float("inf")
    for place in (folder / own.lstrip("/"), folder):
        most, used = _lines(place / "memory.max"), _lines(place / "memory.current")
        if most and used and most[0].isdigit():
            left = min(left, float(most[0]) - float(used[0]))
    return left


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []


def _mib(size: float) -> str:
    return f"{size / MIB:,.0f} MiB"
