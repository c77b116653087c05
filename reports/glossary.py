"""What the phases of a round do, in words for a new reader; `docs/reference/glossary.md` has the same table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PHASES: Final[Mapping[str, str]] = {
    "arrivals": "admits the jobs that have arrived",
    "policy": "decides each job's share of GPU time: poses the allocation problem and checks the answer",
    "lp_build": "builds the solver's model of the problem",
    "lp_solve": "solves the model",
    "priorities": "ranks jobs by how far they are behind their allocation",
    "worker_assignment": "selects the jobs of the round and places them on GPUs",
    "event_completion": "advances jobs by the steps they made and completes those that are done",
    "telemetry": "writes lines, tables and checkpoints",
    "exit_checks": "decides whether there is another round",
    "other": "time outside all phases: records and the loop itself",
}
"""What each phase does, by its name."""
