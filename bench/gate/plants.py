"""Known defects to put into a copy of the code, to see that the gate finds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from phasewise.bench.gate.errors import GateError

_SLOWER: Final = '''

def _planted(call):
    """Return `call`, made slower by {by} of the CPU time that it takes."""
    from time import process_time

    def slowed(*given, **named):
        began_s = process_time()
        answer = call(*given, **named)
        took_s = process_time() - began_s
        while process_time() - began_s < {factor} * took_s:
            pass
        return answer

    return slowed

'''
_LOOPS: Final = '''

def _planted(call):
    """Return `call`, which loops {loops} times before it does anything: so many more instructions in every run."""

    def looped(*given, **named):
        for _ in range({loops}):
            pass
        return call(*given, **named)

    return looped

'''
_FORGETS: Final = '''

def _planted(call):
    """Return `call`, which forgets what the last solve left once, at the tenth."""

    def forgetful(self, problem, state=None):
        self.planted_calls = getattr(self, "planted_calls", 0) + 1
        return call(self, problem, None if self.planted_calls == 10 else state)

    return forgetful


HighsWarmSession.solve = _planted(HighsWarmSession.solve)
'''


@dataclass(frozen=True, slots=True)
class Plant:
    """A defect.

    Attributes
    ----------
    file
        What it is appended to, relative to the tree.
    calls
        Methods, as ``Class.method`` in that file, that become slower; empty for the added rebuild.
    case
        The case that has to find it.
    """

    file: str
    calls: tuple[str, ...]
    case: str

    def put_into(self, root: Path, by: float) -> None:
        """Append the defect, slower by the fraction ``by``, to a copy; raise `GateError` without a place."""
        self._append(root, _SLOWER.format(by=f"{by:.0%}", factor=1.0 + by) if self.calls else _FORGETS)

    def put_loops_into(self, root: Path, loops: int) -> None:
        """Append to a copy that each call loops so often first; raise `GateError` without a place."""
        self._append(root, _LOOPS.format(loops=loops))

    def _append(self, root: Path, added: str) -> None:
        path = root / self.file
        source = path.read_text(encoding="utf-8")
        for call in self.calls or ("HighsWarmSession.solve",):
            kind, _, method = call.partition(".")
            if f"class {kind}" not in source or f"def {method}(" not in source:
                raise GateError(f"{self.file} has no {call} to make slower: mend bench/gate/plants.py")
        added += "".join(f"{call} = _planted({call})\n" for call in self.calls)
        path.write_text(source + added, encoding="utf-8")


PLANTS: Final = {
    "engine": Plant("sched/engine.py", ("Simulation.step",), "engine/philly/loop"),
    "solver": Plant("solvers/session.py", ("Solver.solve",), "solvers/philly/structured"),
    "placement": Plant("sched/nodes/state.py", ("NodeState.place_all",), "placement/alibaba/fgd"),
    "rebuild": Plant("solvers/backends/highs_warm.py", (), "solvers/philly/highs-warm"),
}
