"""The options that override a scenario: one table, used by every command that runs one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from phasewise.bench.cli import completion
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
        complete = _COMPLETED.get(self.flag)
        return click.option(
            self.flag, type=self.type, default=None, metavar=self.metavar, help=self.help, shell_complete=complete
        )(function)


_COMPLETED: Mapping[str, completion.Completer] = {
    "--policy": completion.policies,
    "--solver": completion.solvers,
    "--placement": completion.placements,
    "--trace-format": completion.trace_formats,
    **dict.fromkeys(("--trace", "--nodes", "--pods", "--throughputs", "--allocations"), completion.files),
}
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
            "Read jobs from a trace (see `phasewise trace formats`) instead of generating them.",
        ),
        ("--trace-format", "workload.trace_format", "NAME", "Format of the trace; without it, recognised by content."),
        ("--map", "workload.map", "KEY=COLUMN,...", "For a csv or swf trace: the column that holds each field."),
        ("--states", "workload.states", "STATE,...", "Keep only jobs of the trace that ended in these states."),
        (
            "--reference-type",
            "workload.reference_type",
            "TYPE",
            "Worker type to assume for durations whose type is not recorded.",
        ),
        ("--speed", "workload.speed", "table|TYPE=RATIO,...", "Speed of an imported trace's jobs on each worker type."),
        (
            "--scale-factor-rule",
            "workload.scale_factor_rule",
            None,
            "How to extrapolate to more GPUs than the throughput table covers.",
            _RULES,
        ),
        (
            "--arrivals",
            "workload.arrivals",
            None,
            "Arrival times of a trace's jobs: as recorded, or a Poisson process of equal rate as a control.",
            _ARRIVALS,
        ),
        (
            "--cluster",
            "cluster.gpus",
            "TYPE=N,...",
            "Number of GPUs of each worker type, for example v100=36,p100=36,k80=36.",
        ),
        ("--gpus-per-node", "cluster.gpus_per_node", "TYPE=N,...", "GPUs per node, for each worker type."),
        (
            "--nodes",
            "cluster.nodes",
            "NAME|FILE.csv",
            "Nodes with CPU and memory: a built-in list or an openb node list.",
        ),
        (
            "--pods",
            "workload.pods",
            "NAME|FILE.csv",
            "Resource requests of generated jobs: a built-in list or an openb pod list.",
        ),
        (
            "--throughputs",
            "workload.throughputs",
            "FILE.csv",
            "Throughput table with columns job_type,scale_factor,gpu_type,steps_per_second.",
        ),
        (
            "--policy",
            "policy.name",
            "NAME|FILE.py:CLASS",
            "Scheduling policy; see `phasewise list policies`; or a class of your own.",
        ),
        (
            "--solver",
            "solver.name",
            "NAME,...",
            "Solver backend, or a chain A,B that falls back to B; see `phasewise list solvers`; or FILE.py:CLASS.",
        ),
        ("--solver-kwargs", "solver.kwargs", "JSON", "Options passed to the solver unchanged."),
        (
            "--placement",
            "placement.name",
            "NAME|FILE.py:CLASS",
            "Placement rule; see `phasewise list placements`; or a class of your own.",
        ),
        ("--round-s", "timing.round_s", "S", "Length of a round in simulated seconds.", Number()),
        ("--rounds", "stop.rounds", "N", "Stop after N rounds.", Integer()),
        ("--jobs", "workload.jobs", "N", "Generate N jobs; with a trace, keep its first N.", Integer()),
        (
            "--rate",
            "workload.rate_per_hour",
            "JOBS_PER_HOUR",
            "Mean arrival rate; 0: all jobs arrive at the start.",
            Number(),
        ),
        ("--initial-jobs", "workload.initial_jobs", "N", "Jobs already in the system at time 0.", Integer()),
        (
            "--window",
            "stop.window",
            "A:B|none",
            "Stop when all jobs with A <= id < B are complete, and average over them; none: all jobs.",
        ),
        (
            "--timing",
            "timing.preset",
            None,
            "Rules of a round: those of Gavel's simulator, or corrected ones.",
            _TIMINGS,
        ),
        ("--seed", "seed", "N", "Seed of all random numbers.", Integer()),
        (
            "--scale-factors",
            "workload.scale_factors",
            None,
            "GPUs per generated job: one, or drawn as in Gavel.",
            _DRAWS,
        ),
        (
            "--scale-factor-cap",
            "workload.scale_factor_cap",
            "N",
            "Largest number of GPUs of a generated job; 0: no limit.",
            Integer(),
        ),
        (
            "--priorities/--no-priorities",
            "workload.priorities",
            None,
            "Give one generated job in five the weight 5.",
            bool,
        ),
        ("--allocations", "recorded.allocations", "FILE", "Replay the allocations in FILE; implies --policy recorded."),
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

    decorated: Callable[..., Any] = setting_option("Set any key of the scenario file; repeatable.")(gathered)
    for option in reversed(OPTIONS):
        decorated = option.decorate(decorated)
    return click.argument("scenario", shell_complete=completion.scenarios)(decorated)


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
        "--format",
        "--trace-format",
        "trace_format",
        metavar="NAME",
        help="Format of the trace; without it, recognised by content.",
        shell_complete=completion.trace_formats,
    )
    return named(decorated)


def run_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--out`, `--overwrite` and `--quiet`: where a run writes, and what it says meanwhile."""
    options = (
        click.option(
            "--out",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Run directory to write, new or empty. Default: the next free runs/SCENARIO-N.",
        ),
        click.option("--overwrite", is_flag=True, help="Replace the run directory given by --out."),
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            help="Show no progress, only warnings. Files are not affected.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function
