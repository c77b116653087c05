"""`phasewise list`: what there is, one a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from phasewise.bench.cli.values import Choice

Record = dict[str, Any]


def _scenarios() -> list[Record]:
    from phasewise.sched.scenario.loading import describe

    return [dict(scenario) for scenario in describe()]


def _policies() -> list[Record]:
    from phasewise.sched.registry import broken_policies, describe_policies, policy_options

    described = _described(describe_policies(), broken_policies())
    return [
        record | {"options": policy_options(record["name"]) if not record["broken"] else []} for record in described
    ]


def _placements() -> list[Record]:
    from phasewise.sched.registry import broken_placements, describe_placements

    return _described(describe_placements(), broken_placements())


def _solvers() -> list[Record]:
    from phasewise.solvers.registry import broken, describe

    sound = [
        {
            "name": backend.name,
            "aliases": list(backend.aliases),
            "installed": backend.installed,
            "missing": list(backend.missing),
            "advice": backend.advice,
            "families": list(backend.families),
            "limits": backend.limits,
            "broken": None,
        }
        for backend in describe()
    ]
    nothing = {"aliases": [], "installed": False, "missing": [], "families": [], "limits": ""}
    return sound + [{"name": name, **nothing, "broken": why} for name, why in broken().items()]


def _described(lines: Mapping[str, str], broken: Mapping[str, str]) -> list[Record]:
    sound = [{"name": name, "description": line, "broken": None} for name, line in lines.items()]
    return sound + [{"name": name, "description": "", "broken": why} for name, why in broken.items()]


SUBJECTS: Mapping[str, Callable[[], list[Record]]] = {
    "scenarios": _scenarios,
    "policies": _policies,
    "solvers": _solvers,
    "placements": _placements,
}


@click.command(short_help="List scenarios, policies, solvers or placements.")
@click.argument("subject", type=Choice(list(SUBJECTS)))
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def command(subject: str, as_json: bool) -> None:
    """List the available scenarios, policies, solvers or placements, one per line.

    For a solver, says whether it is installed, which problem families it solves, and its limits. Plug-ins that fail to
    load come last, with the reason.
    """
    records = SUBJECTS[subject]()
    if as_json:
        click.echo(json.dumps(records, indent=2, ensure_ascii=False))
        return
    width = max((len(record["name"]) for record in records), default=0)
    for record in records:
        click.echo(f"{record['name']:<{width}}  {_line(record)}")


def _line(record: Record) -> str:
    """Return what stands after the name."""
    if record.get("broken"):
        return f"broken: {record['broken']}"
    if "description" in record:
        return str(record["description"])
    state = "installed" if record["installed"] else f"missing ({record['advice']})"
    also = f"; also {_words(record['aliases'])}" if record["aliases"] else ""
    return f"{state}{also}; {_words(record['families'])}; {record['limits']}"


def _words(words: Iterable[str], between: str = ", ") -> str:
    return between.join(words)
