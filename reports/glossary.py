"""What the pages say of words that a reader may be new to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PHASES: Final[Mapping[str, str]] = {
    "arrivals": "jobs come in",
    "policy": "what each job should get: stating the allocation problem and checking its answer",
    "lp_build": "from the problem to the model of the solver",
    "lp_solve": "the solver itself",
    "priorities": "who is furthest behind what it should get",
    "worker_assignment": "choosing the jobs of the round and placing them on GPUs",
    "event_completion": "steps done, times, and jobs that are complete",
    "telemetry": "writing what happened: lines, tables, checkpoints",
    "exit_checks": "whether there is another round",
    "other": "what no phase claims: records, the loop itself",
}
"""What the phases of a round are, for a reader who is new to them."""
