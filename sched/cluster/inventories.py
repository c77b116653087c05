"""The built-in node and pod lists by name; nothing here imports NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from phasewise.profiling.inputs import MISSING, input_fault
from phasewise.profiling.names import nearest

TABLES = Path(__file__).resolve().parent.parent / "data"
INVENTORIES = TABLES / "nodes"
POD_TABLES = TABLES / "pods"


def inventory_names() -> list[str]:
    """Return the names of the built-in inventories of nodes, sorted."""
    return sorted(path.stem for path in INVENTORIES.glob("*.csv"))


def pod_table_names() -> list[str]:
    """Return the names of the built-in tables of pod specifications, sorted."""
    return sorted(path.stem for path in POD_TABLES.glob("*.csv"))


def refusal(name_or_path: str, built_in: Sequence[str], what: str) -> str:
    """Return why a name is neither built in nor a file, empty where it is."""
    path = Path(name_or_path)
    found = "" if name_or_path in built_in else input_fault(path)
    if not found:
        return ""
    if found == MISSING:
        found = f"is no {what}{nearest(path.name, built_in)}"
    return f"{name_or_path!r} {found}; allowed: {', '.join(built_in)}, or the path of a {what} in openb CSV form"
