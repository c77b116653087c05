"""A process that gives the problems of an instance to a backend: what hangs, dies or eats memory is alone in it.

``python -P -m phasewise.bench.testset.worker``. A request is a line of JSON on standard input: ``{"backend",
"instance", "tape", "mode", "limit_s"}``. Before each problem it says ``{"problem": N}``, and at last ``{"row":
{...}}``. The system ends the process where a problem takes more CPU time than its limit.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from phasewise.bench.testset.judging import RANKS, Judgement, Reached, judged
from phasewise.bench.testset.manifest import Instance, load
from phasewise.profiling.defects import told
from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import SolverBackend, SolverSession, State, parted
from phasewise.solvers.errors import SolverError, UnsupportedProblemError
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.tapes import Tape

STARTING_S: Final = 120.0
"""CPU seconds for what is loaded and compiled before anything is measured."""


class Walked:
    """What a backend made of the problems so far."""

    def __init__(self) -> None:
        self.judgements: list[Judgement] = []
        self.cpu_ms: list[float] = []

    def figures(self, mode: str) -> dict[str, Any]:
        """Return the columns of a row that are measured."""
        answered = [each for each in self.judgements if each.objective is not None]
        bad = [each for each in self.judgements if RANKS[each.reached] > RANKS[Reached.HEURISTIC]]
        counted = self.cpu_ms[1:] if mode == "warm" and len(self.cpu_ms) > 1 else self.cpu_ms
        return {
            "problems": len(answered),
            "cpu_ms": sum(counted) / len(counted) if counted else None,
            "cpu_ms_max": max(counted, default=None),
            "objective": answered[-1].objective if answered else None,
            "gap": _finite(max((each.gap or 0.0 for each in answered), default=None)),
            "violation": _finite(max((each.violation or 0.0 for each in answered), default=None)),
            "tolerance": str(max((each.reached for each in self.judgements), key=RANKS.__getitem__)),
            "failures": len(bad),
            "message": bad[0].message if bad else "",
        }


def walk(instance: Instance, tape: Path, backend: SolverBackend, mode: str, limit_s: float, answers: TextIO) -> Walked:
    """Return what ``backend`` makes of an instance; every answer is judged outside of what is measured."""
    exact, problems = registry.is_exact(backend), list(Tape(tape))
    _say(answers, problem=-1)
    allow(limit_s + STARTING_S)
    _answer(backend.open({}, PhaseTimer()), problems[0].anew(), None)
    walked, session, state = Walked(), backend.open({}, PhaseTimer()), None
    for index, problem in enumerate(problems):
        if mode == "cold":
            session, state = backend.open({}, PhaseTimer()), None
        own = problem.anew()
        _say(answers, problem=index)
        allow(limit_s)
        began_s = used_s()
        answer, state = _answer(session, own, state)
        spent_s = used_s() - began_s
        allow(math.inf)
        walked.cpu_ms.append(1e3 * spent_s)
        verdict = answer if isinstance(answer, Judgement) else judged(instance, index, problem, answer, exact=exact)
        late = Judgement(Reached.LIMIT, message=f"problem {index} took {spent_s:.1f} s of CPU; allowed {limit_s:g}")
        walked.judgements.append(late if spent_s > limit_s else verdict)
    return walked


def _answer(session: SolverSession, problem: AllocationProblem, state: State) -> tuple[Any, State]:
    """Return what the session says and leaves; where it raises, that it failed."""
    try:
        return parted(session.solve(problem, state))
    except UnsupportedProblemError as error:
        return Judgement(Reached.REFUSED, message=str(error)), None
    except SolverError as error:
        return Judgement(Reached.FAILED, message=str(error)), None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a plug-in raises is its failure on this problem
        return Judgement(Reached.FAILED, message=f"raised {told(error)}"), None


def used_s() -> float:
    """Return the CPU seconds that this process has used, all threads together, to the microsecond.

    Not `time.process_time`: where a process has a limit of CPU time, Linux answers that from a sum which is brought up
    to date with the clock's tick only, and a problem of a millisecond often takes none.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def allow(more_s: float) -> None:
    """Have the system end this process once it has used ``more_s`` CPU seconds from now; infinite for never."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if math.isinf(more_s):
        soft = hard
    else:
        soft = math.ceil(used_s() + more_s) + 1
        soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _finite(value: float | None) -> float | None:
    return value if value is None or math.isfinite(value) else None


def _say(answers: TextIO, **content: Any) -> None:
    print(json.dumps(content), file=answers, flush=True)


def meet(request: Mapping[str, Any], answers: TextIO) -> None:
    """Answer one request."""
    instance, mode = load().named(request["instance"]), request["mode"]
    backend = registry.get(request["backend"])
    walked = walk(instance, Path(request["tape"]), backend, mode, request["limit_s"], answers)
    _say(answers, row=walked.figures(mode))


def main() -> None:
    """Serve standard input; what solvers print goes to standard error, out of the way of the answers."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for each in sys.stdin:
        meet(json.loads(each), answers)


if __name__ == "__main__":
    main()
