"""A process that walks over one case of one tree and says where its CPU time went, by sampled call stacks.

``python -P -S HEAD/bench/gate/stack_worker.py CASE STEPS CPU_SECONDS``, STEPS 0 for all of the case's own, with the
tree's ``.namespace`` first on ``PYTHONPATH``. This file and the sampler are the head's for both trees, as the base may
be older than they are: so nothing is imported from the tree but the case. Answers with a line of JSON, the fields of
`phasewise.profiling.stacks.Folded`.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any, Final

SAMPLER: Final = Path(__file__).resolve().parents[2] / "profiling" / "sampler.py"


def sampled(name: str, steps: int, cpu_s: float) -> dict[str, Any]:
    """Return the stacks of a case, walked over until it took so many CPU seconds, once at least."""
    from phasewise.bench.subjects.catalogue import catalogue

    case = catalogue()[name]
    subject = case.shorter(steps) if steps and case.shorter is not None else case.make()
    subject.check(subject.prepare()())  # everything is loaded and compiled
    sampler, walks, spent_s = _own_sampler().Sampler(), 0, 0.0
    gc.collect()
    gc.freeze()
    while walks == 0 or spent_s < cpu_s:
        walk = subject.prepare()
        gc.collect()
        began_s = time.process_time()
        sampler.run(walk)
        spent_s += time.process_time() - began_s
        walks += 1
    return {**sampler.folded(), "times": walks}


def _own_sampler() -> ModuleType:
    """Return the sampler that lies beside this file, whatever the tree has."""
    spec = importlib.util.spec_from_file_location("head_sampler", SAMPLER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Answer; what solvers print goes to standard error, out of the way of the answer."""
    answer = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    name, steps, cpu_s = sys.argv[1:]
    print(json.dumps(sampled(name, int(steps), float(cpu_s))), file=answer, flush=True)


if __name__ == "__main__":
    main()
