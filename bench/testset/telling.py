"""The figures of a test set in words: a table for each way of starting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the tables, and what to know to read them."""
    machines = ", ".join(each or "unknown machine" for each in figures["machines"])
    yield f"test set {figures['testset']}, {len(figures['instances'])} instances; {machines}"
    yield (
        f"CPU ms a problem: geometric mean, shifted by {figures['shift_ms']:g} ms, over the instances that a backend "
        f"takes; an answer that is not within {figures['tolerance']} counts at the limit"
    )
    for mode in figures["modes"]:
        yield ""
        yield from _table(mode)
    if figures["unjudged"]:
        yield f"reported by others, not judged here: {', '.join(figures['unjudged'])}"


def _table(mode: Mapping[str, Any]) -> Iterator[str]:
    width = max([len(each["backend"]) for each in mode["backends"]] + [len(mode["mode"])])
    yield (f"{mode['mode']:<{width}}  {'taken':>5}  {'solved':>6}  {'mean ms':>9}  {'worst gap':>9}  not solved")
    for each in mode["backends"]:
        mean = "-" if each["mean_ms"] is None else f"{each['mean_ms']:.2f}"
        gap = "-" if each["worst_gap"] is None else f"{each['worst_gap']:.1e}"
        rest = {name: count for name, count in each["classes"].items() if count and name not in {"1e-9", "1e-6"}}
        why = ", ".join(f"{name} {count}" for name, count in rest.items())
        yield (
            f"{each['backend']:<{width}}  {each['instances']:>5}  {each['solved']:>6}  {mean:>9}  {gap:>9}  {why}"
        ).rstrip()
