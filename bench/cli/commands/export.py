"""`phasewise export`: what was measured, in the formats of other tools."""

from __future__ import annotations

from pathlib import Path

import click

from phasewise.bench.exports.registry import FORMATS


@click.command(short_help="Write a run, a gate record or suite results for other tools.")
@click.argument("source", type=click.Path(path_type=Path), metavar="RUN|GATE.json|RESULTS.json")
@click.option(
    "--format",
    "name",
    type=click.Choice(FORMATS),
    required=True,
    help="pyperf and bencher: CPU times; folded and speedscope: sampled call stacks.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Where to write.")
@click.option(
    "--side",
    type=click.Choice(("head", "base")),
    default="head",
    show_default=True,
    help="Of a record of the gate: which of the two trees.",
)
def command(source: Path, name: str, out: Path, side: str) -> None:
    """Write what was measured in the format of another tool.

    Takes a run directory, what `phasewise gate --json` wrote, or the results of `make bench` (.bench/results.json).
    """
    from phasewise.bench.exports.registry import written
    from phasewise.bench.exports.sources import Side, content_of
    from phasewise.profiling.artefacts.sinks import write_atomically

    write_atomically(out, written(content_of(source, Side(side)), name))
    click.echo(f"{name}: {out}")
