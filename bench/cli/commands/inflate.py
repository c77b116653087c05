"""`phasewise inflate`: fill a cluster with pods, and see how much of it a placement leaves unusable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from phasewise.bench.cli import completion
from phasewise.bench.cli.values import Integer, Number


@click.command(short_help="Fill a cluster with pods and measure what is left unusable.")
@click.option(
    "--nodes",
    required=True,
    metavar="CSV",
    help="Node list with columns sn,cpu_milli,memory_mib,gpu,model, or the name of a built-in list.",
)
@click.option(
    "--pods",
    required=True,
    type=click.Path(path_type=Path),
    metavar="CSV",
    help="Pod list with columns name,cpu_milli,memory_mib,num_gpu,gpu_milli[,gpu_spec,...], or the name of a built-in "
    "list.",
)
@click.option(
    "--placement",
    required=True,
    metavar="NAME|FILE.py:CLASS",
    help="Placement rule; see `phasewise list placements`.",
    shell_complete=completion.placements,
)
@click.option(
    "--seed",
    type=Integer(min=0),
    default=42,
    show_default=True,
    metavar="N",
    help="Seed of arrival order, clones, ties and random choices; with --order, the entry to use.",
)
@click.option(
    "--order",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Arrival orders and tie ranks by seed (JSON, optionally gzipped), instead of random ones.",
)
@click.option(
    "--load",
    type=Number(),
    metavar="RATIO",
    help="Total GPU demand that arrives, over the GPUs of the cluster. Default: 1.3; with --order, all of it.",
)
@click.option(
    "--bit-compatible",
    is_flag=True,
    help="Round the scores of fgd as the original does, to break ties as it does.",
)
@click.option(
    "--numpy",
    "numpy_form",
    is_flag=True,
    help="Compute scores in NumPy instead of compiled code: same choices, slower.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder to write, new or empty."
)
@click.option("--overwrite", is_flag=True, help="Replace the folder given by --out.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress, only warnings. Files are not affected.")
@click.option("--json", "as_json", is_flag=True, help="Print run.json instead of the summary.")
def command(out: Path, *, overwrite: bool, quiet: bool, as_json: bool, **given: Any) -> None:
    """Fill a cluster with pods, one after another, and record how much of it the placement leaves unusable.

    No pod departs. Writes curves.csv, placements.parquet and run.json, and prints a summary of the final state.
    """
    from phasewise.bench.cli.inflating import perform, summary_table
    from phasewise.bench.cli.output import console, shown_if_possible
    from phasewise.bench.cli.so_far import shown_so_far
    from phasewise.profiling.own_files import pinned
    from phasewise.sched.inflation.experiment import Setting
    from phasewise.sched.scenario.own_code import each_part

    given["placement"] = each_part(given["placement"], pinned)
    setting = Setting(compiled=not given.pop("numpy_form"), **given)

    def show(path: Path) -> None:
        written = (path / "run.json").read_bytes()
        if as_json:
            click.echo(written, nl=False)
            return
        console().print(summary_table(setting, json.loads(written)["summary"]))
        click.echo(f"inflation: {path}")

    with shown_so_far(show):
        perform(setting, out, quiet=quiet, overwrite=overwrite)
    with shown_if_possible(out):
        show(out)
