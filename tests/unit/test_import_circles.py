"""Who imports whom: modules nowhere in circles, not even for type checkers, and rooms of the simulation neither.

A room is a folder below `sched`, or a module that lies in none. Imports within functions do not count: they say that
something heavy is loaded late, and not where a name belongs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("profiling", "solvers", "sched", "reports", "bench")

Graph = Mapping[str, set[str]]


def modules() -> dict[str, Path]:
    """Return every module of ours by name."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    return {".".join(("phasewise", *_parts(file.relative_to(ROOT)))): file for file in files}


def _parts(path: Path) -> tuple[str, ...]:
    parts = path.with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def imports(body: list[ast.stmt]) -> Iterator[ast.ImportFrom]:
    """Yield the imports that are made when a module is loaded, and those under TYPE_CHECKING."""
    for node in body:
        if isinstance(node, ast.ImportFrom):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            for block in ("body", "orelse", "finalbody"):
                yield from imports(getattr(node, block, []))


def graph(files: Mapping[str, Path]) -> dict[str, set[str]]:
    """Return what each module imports of the others."""
    found: dict[str, set[str]] = {}
    for name, file in files.items():
        named = [
            (node.module, alias.name)
            for node in imports(ast.parse(file.read_text(encoding="utf-8")).body)
            if node.module is not None
            for alias in node.names
        ]
        targets = {f"{module}.{each}" if f"{module}.{each}" in files else module for module, each in named}
        found[name] = (targets & files.keys()) - {name}
    return found


def circles(of: Graph) -> set[frozenset[str]]:
    """Return the sets of nodes of which each can be reached from each other."""
    reached: dict[str, set[str]] = {}
    for start in of:
        seen: set[str] = set()
        ahead = [start]
        while ahead:
            new = of.get(ahead.pop(), set()) - seen
            seen |= new
            ahead.extend(new)
        reached[start] = seen
    return {
        frozenset(other for other in seen if start in reached.get(other, set()))
        for start, seen in reached.items()
        if start in seen
    }


def rooms(of: Graph) -> dict[str, set[str]]:
    """Return what each room of `sched` imports of the others."""
    found: dict[str, set[str]] = {}
    for module, targets in of.items():
        if module.startswith("phasewise.sched."):
            inside = {_room(target) for target in targets if target.startswith("phasewise.sched.")}
            found.setdefault(_room(module), set()).update(inside - {_room(module)})
    return found


def _room(module: str) -> str:
    return ".".join(module.split(".")[:3])


def test_no_modules_import_one_another_in_a_circle() -> None:
    assert circles(graph(modules())) == set()


def test_no_rooms_of_the_simulation_import_one_another_in_a_circle() -> None:
    assert circles(rooms(graph(modules()))) == set()


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == {frozenset({"b", "c"})}


def test_imports_for_type_checkers_count_and_those_in_functions_do_not() -> None:
    source = "if TYPE_CHECKING:\n    from phasewise.a import b\ndef late():\n    from phasewise.c import d\n"
    assert [node.module for node in imports(ast.parse(source).body)] == ["phasewise.a"]
