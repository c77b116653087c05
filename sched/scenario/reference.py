"""The scenario file's reference page, made from the schema: `python -m phasewise.sched.scenario.reference FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from phasewise.sched.scenario.loading import builtin_names, load_scenario
from phasewise.sched.scenario.schema import scenario_keys, written

HEAD = """# The scenario file

A scenario is a TOML file; a run is determined by it and by nothing else. `phasewise run NAME` takes a built-in one,
`phasewise run FILE.toml` yours, and any key can be overridden with `--set section.key=value`. An unknown key, a value
of the wrong type or one out of its bounds is refused with the line it stands on; `phasewise validate FILE.toml` lists
every fault. Paths are relative to the scenario file; on the command line, to where you are.

A new trace (`--trace`) or a new number of generated jobs (`--jobs`) that comes without a window of its own is run
whole: the window of the scenario belongs to the scenario's workload. So does its number of jobs: where jobs come at a
rate and a new window comes without `--jobs`, they come until it is complete. With `--jobs` (or `workload.jobs`) beside
a rate and a window, only so many come.

Every built-in scenario has a limit of simulated time, `stop.sim_time_s`, so that an overload ends: at least 100 times
the time in which its jobs come. Another window, rate or number of jobs moves it; another trace, which ends by itself,
lifts it; `--set stop.sim_time_s=...` replaces it.

This page is made from the schema: `python -m phasewise.sched.scenario.reference docs/reference/scenario.md`.
"""


def scenario_page() -> str:
    """Return the page: every key with its type, default and meaning, then the resolved built-in scenarios."""
    lines = [HEAD, "## Keys", "", "| key | allowed | default | meaning |", "|---|---|---|---|"]
    keys = scenario_keys()
    lines += [f"| `{key.path}` | {key.type} | `{key.default}` | {key.doc} |" for key in keys]
    names = builtin_names()
    loaded = [msgspec.to_builtins(load_scenario(name)) for name in names]
    lines += [
        "",
        "## The built-in scenarios, resolved",
        "",
        f"| key | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for key in keys:
        if key.path in ("name", "description"):
            continue
        values = [_at(scenario, key.path) for scenario in loaded]
        lines.append(f"| `{key.path}` | " + " | ".join(f"`{written(value)}`" for value in values) + " |")
    return "\n".join(lines) + "\n"


def _at(scenario: object, path: str) -> object:
    for name in path.split("."):
        scenario = scenario[name] if isinstance(scenario, dict) else None
    return scenario


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(scenario_page(), encoding="utf-8")
