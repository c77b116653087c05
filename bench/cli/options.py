"""The options that override a scenario: one table, used by every command that runs one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from phasewise.bench.cli.values import Choice, Integer, Number

Overrides = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScenarioOption:
    """A command-line option and the key of the scenario that it sets.

    A text goes on as it stands: the scenario reads it as the key asks, so that an option, `--set` and the scenario
    file meet the same rules and the same messages.
    """

    flag: str
    key: str
    metavar: str | None
    help: str
    type: click.ParamType[Any] | type = str

    @property
    def parameter(self) -> str:
        """The name under which click hands the value over."""
        return self.flag.partition("/")[0].lstrip("-").replace("-", "_")

    def decorate(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` with this option."""
        return click.option(self.flag, type=self.type, default=None, metavar=self.metavar, help=self.help)(function)


_TIMINGS = Choice(["gavel", "corrected"])
_RULES = Choice(["linear", "single", "refuse"])
_DRAWS = Choice(["single", "gavel"])
_ARRIVALS = Choice(["recorded", "poisson"])

OPTIONS = tuple(
    ScenarioOption(*row)
    for row in (
        (
            "--trace",
            "workload.trace",
            "FILE",
            "Trace of any format of `phasewise trace formats`; replaces the generator.",
        ),
        ("--trace-format", "workload.trace_format", "NAME", "What the trace is; by its content without it."),
        ("--map", "workload.map", "KEY=COLUMN,...", "Of a csv or swf trace: which column is what."),
        ("--states", "workload.states", "STATE,...", "Take only jobs of a trace that ended so."),
        ("--reference-type", "workload.reference_type", "TYPE", "Worker type of durations whose type is not recorded."),
        ("--speed", "workload.speed", "table|TYPE=RATIO,...", "Speeds of an imported trace's jobs: one ratio a type."),
        (
            "--scale-factor-rule",
            "workload.scale_factor_rule",
            None,
            "Speed on more GPUs than the table has rows for.",
            _RULES,
        ),
        (
            "--arrivals",
            "workload.arrivals",
            None,
            "When a trace's jobs come: poisson is a control of equal rate.",
            _ARRIVALS,
        ),
        ("--cluster", "cluster.gpus", "TYPE=N,...", "GPUs of each worker type, as v100=36,p100=36,k80=36."),
        ("--gpus-per-node", "cluster.gpus_per_node", "TYPE=N,...", "GPUs of one node of each type."),
        ("--nodes", "cluster.nodes", "NAME|FILE.csv", "Nodes with CPU and memory: built in, or an openb node list."),
        ("--pods", "workload.pods", "NAME|FILE.csv", "What generated jobs ask for: built in, or an openb pod list."),
        (
            "--throughputs",
            "workload.throughputs",
            "FILE.csv",
            "Columns job_type,scale_factor,gpu_type,steps_per_second.",
        ),
        ("--policy", "policy.name", "NAME", "Policy; see `phasewise list policies`."),
        ("--solver", "solver.name", "NAME", "Solver backend, or a chain A,B; see `phasewise list solvers`."),
        ("--solver-kwargs", "solver.kwargs", "JSON", "Native options of the solver, verbatim."),
        ("--placement", "placement.name", "NAME", "Placement; see `phasewise list placements`."),
        ("--round-s", "timing.round_s", "S", "Length of a round, simulated seconds.", Number()),
        ("--rounds", "stop.rounds", "N", "Stop after N rounds.", Integer()),
        ("--jobs", "workload.jobs", "N", "Generate N jobs; of a trace, keep the first N.", Integer()),
        ("--rate", "workload.rate_per_hour", "JOBS_PER_HOUR", "Mean arrival rate; 0 puts all at the start.", Number()),
        ("--initial-jobs", "workload.initial_jobs", "N", "Jobs active at time 0.", Integer()),
        ("--window", "stop.window", "A:B|none", "Run until the jobs with ids A <= id < B are done; none: all."),
        ("--timing", "timing.preset", None, "The original's rules, or the mended ones.", _TIMINGS),
        ("--seed", "seed", "N", "Seed of every random stream.", Integer()),
        ("--scale-factors", "workload.scale_factors", None, "GPUs of generated jobs: one, or as in Gavel.", _DRAWS),
        (
            "--scale-factor-cap",
            "workload.scale_factor_cap",
            "N",
            "Most GPUs of a generated job; 0: any.",
            Integer(),
        ),
        ("--priorities/--no-priorities", "workload.priorities", None, "One generated job in five has weight 5.", bool),
        ("--allocations", "recorded.allocations", "FILE", "Allocations to replay; implies --policy recorded."),
    )
)


def scenario_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument SCENARIO, every option of `OPTIONS`, and `--set`.

    The command receives ``scenario`` and ``overrides``: dotted scenario keys with their values, those of `--set` last,
    so that they win.
    """

    @functools.wraps(function)  # which hands on the options declared below this decorator, too
    def gathered(**values: Any) -> Any:
        settings = values.pop("settings")
        given = {option.key: values.pop(option.parameter) for option in OPTIONS}
        return function(overrides=_overrides(given) | settings, **values)

    decorated: Callable[..., Any] = setting_option("Any key of the scenario file; repeatable.")(gathered)
    for option in reversed(OPTIONS):
        decorated = option.decorate(decorated)
    return click.argument("scenario")(decorated)


def setting_option(text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what gives a command `--set`, with a help text; it receives ``settings`` by dotted key."""
    return click.option("--set", "settings", multiple=True, metavar="SECTION.KEY=VALUE", callback=_settings, help=text)


def _settings(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> Overrides:
    """Return what `--set` sets by dotted key; a later one of the same key wins."""
    settings: Overrides = {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not key:
            raise click.BadParameter(f"{text!r}; allowed: SECTION.KEY=VALUE, for example stop.rounds=10", ctx, param)
        settings[key] = value
    return settings


def _overrides(given: Mapping[str, Any]) -> Overrides:
    """Return the keys that options set."""
    overrides = {key: value for key, value in given.items() if value is not None}
    if "recorded.allocations" in overrides:
        overrides.setdefault("policy.name", "recorded")
    return overrides


READING = ("--map", "--states")
IMPORTS = (*READING, "--reference-type", "--speed", "--scale-factor-rule")
"""The options of `OPTIONS` that say how a trace is read and what is assumed of it; those of `READING` say the first."""


def trace_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `IMPORTS` and the format, as dotted scenario keys in ``overrides``."""
    return _of_traces(function, IMPORTS)


def reading_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `READING` and the format, as dotted scenario keys in ``overrides``."""
    return _of_traces(function, READING)


def _of_traces(function: Callable[..., Any], flags: Sequence[str]) -> Callable[..., Any]:
    options = [option for option in OPTIONS if option.flag in flags]

    @functools.wraps(function)
    def gathered(**values: Any) -> Any:
        given = {option.key: values.pop(option.parameter) for option in options}
        given["workload.trace_format"] = values.pop("trace_format")
        return function(overrides=_overrides(given), **values)

    decorated: Callable[..., Any] = gathered
    for option in reversed(options):
        decorated = option.decorate(decorated)
    named = click.option(
        "--format", "--trace-format", "trace_format", metavar="NAME", help="Trace format; by the content without it."
    )
    return named(decorated)


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--out`, `--overwrite` and `--quiet`: where a run writes, and what it says meanwhile."""
    options = (
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Run directory to write, new or empty; without it the next free runs/SCENARIO-N.",
        ),
        click.option("--overwrite", is_flag=True, help="Replace the run directory that --out names."),
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            help="No progress on standard error, only warnings; every file is written in full.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function
