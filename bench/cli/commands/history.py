"""`phasewise history`: what was measured over commits, the steps in it, and the commit that a step began at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

_FOLDER = click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path(".bench/history"),
    show_default=True,
    help="Where the history lies: a file for each machine.",
)


@click.group(invoke_without_command=True, short_help="Show how benchmark cases changed over commits.")
@_FOLDER
@click.option("--machine", metavar="FINGERPRINT", help="Show this machine's file, where there are several.")
@click.option("--case", "pattern", default="*", metavar="GLOB", help="Show only the cases that match.")
@click.option(
    "--false-alarms",
    type=click.FloatRange(0.0, 1.0, min_open=True, max_open=True),
    default=0.05,
    show_default=True,
    help="Probability that anything shown as a step is none, over all series together.",
)
@click.option(
    "--least",
    type=click.FloatRange(min=0.0),
    default=0.02,
    show_default=True,
    help="Smallest change that counts as a step, as a fraction.",
)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE.html", help="Write a page with every series.")
@click.option("--json", "as_json", is_flag=True, help="Print the series and steps as JSON, and nothing else.")
@click.pass_context
def command(
    context: click.Context, /, folder: Path, machine: str | None, out: Path | None, as_json: bool, **rules: Any
) -> None:
    """Show how the cases of the suite and of the gate changed over commits.

    `phasewise gate --history FOLDER` and `phasewise history add RESULTS.json` add measurements.
    """
    if context.invoked_subcommand is not None:
        return
    from phasewise.bench.cli.remembering import Rules, shown

    for line in shown(folder, machine, Rules(**rules), out, as_json=as_json):
        click.echo(line)


@command.command()
@click.argument("results", type=click.Path(path_type=Path))
@_FOLDER
def add(results: Path, folder: Path) -> None:
    """Add the results of `make bench` (.bench/results.json) to the history."""
    from phasewise.bench.gate.trees import checkout
    from phasewise.bench.history.taking import keep_results

    path, count = keep_results(folder, checkout(), results)
    click.echo(f"{count} measurements added to {path}")


@command.command()
@_FOLDER
@click.option("--last", type=click.IntRange(min=2), default=60, show_default=True, help="How many commits.")
@click.option("--upto", default="HEAD", show_default=True, metavar="REV", help="The last of them.")
@click.option("--case", "names", multiple=True, metavar="NAME", help="Measure only this case of the gate; repeatable.")
@click.option(
    "--pairs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Pairs of worker processes for each commit, instead of those of bench/gate.toml.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    metavar="N",
    help="Samples of each worker process, instead of those of bench/gate.toml.",
)
@click.option("--minutes", type=click.FloatRange(min=0.0), metavar="N", help="Begin no commit after so many minutes.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
def past(folder: Path, last: int, upto: str, quiet: bool, **measuring: Any) -> None:
    """Measure the last commits that changed code, as the gate does, against the oldest of them.

    The last commit comes first, then always the one in the middle of the largest gap: so those that are measured are
    spread evenly at any time. After an interruption or --minutes, the history holds what was measured, and the same
    command goes on. Commits that cannot be measured are noted beside the history, and not tried again.
    """
    from phasewise.bench.cli.remembering import measured_past

    for line in measured_past(folder, (last, upto), **measuring, quiet=quiet):
        click.echo(line)


@command.command()
@click.argument("case")
@click.option("--good", required=True, metavar="REV", help="A commit at which the case was as it should be.")
@click.option("--bad", default="HEAD", show_default=True, metavar="REV", help="A later one at which it is not.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
def bisect(case: str, good: str, bad: str, quiet: bool) -> None:
    """Find the commit at which CASE became slower (or quicker), by comparisons as the gate makes them."""
    from phasewise.bench.cli.remembering import searched

    for line in searched(case, good, bad, quiet=quiet):
        click.echo(line)
