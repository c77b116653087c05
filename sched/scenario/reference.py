"""The scenario file's reference page, made from the schema: `python -m phasewise.sched.scenario.reference FILE`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from phasewise.sched.scenario.loading import builtin_names, load_scenario
from phasewise.sched.scenario.schema import scenario_keys, written

HEAD = """# The scenario file

A scenario is a TOML file that fully determines a run. `phasewise run NAME` takes a built-in scenario, `phasewise run
FILE.toml` your own, and `--set section.key=value` overrides any key. An unknown key, a value of the wrong type or a
value out of bounds is refused with its line number; `phasewise validate FILE.toml` lists every fault. Paths are
relative to the scenario file; on the command line, to the current folder.

The window and the number of jobs of a scenario belong to its workload. So a new trace (`--trace`), or a new number of
generated jobs (`--jobs`), without a window of its own is run completely. If jobs arrive at a rate and you give a new
window without `--jobs`, jobs arrive until the window is complete. With `--jobs` (or `workload.jobs`), only that number
arrives.

Every built-in scenario has a limit of simulated time, `stop.sim_time_s`, so that an overloaded run ends. It is at least
100 times the time in which its jobs arrive. Another window, rate or number of jobs moves the limit; another trace,
which ends by itself, removes it; `--set stop.sim_time_s=...` replaces it.

This page is generated from the schema: `python -m phasewise.sched.scenario.reference docs/reference/scenario.md`.
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
