"""`phasewise inflate`: fill a cluster with pods, and see how much of it a placement leaves unusable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from phasewise.bench.cli.values import Integer, Number


@click.command()
@click.option(
    "--nodes",
    required=True,
    metavar="CSV",
    help="Node list: sn,cpu_milli,memory_mib,gpu,model; or the name of a built-in inventory.",
)
@click.option(
    "--pods",
    required=True,
    type=click.Path(path_type=Path),
    metavar="CSV",
    help="Pod list: name,cpu_milli,memory_mib,num_gpu,gpu_milli[,gpu_spec,...]; or the name of a built-in table.",
)
@click.option(
    "--placement", required=True, metavar="NAME|FILE.py:CLASS", help="Placement; see `phasewise list placements`."
)
@click.option(
    "--seed",
    type=Integer(min=0),
    default=42,
    show_default=True,
    metavar="N",
    help="Seed of order, clones, ties and random choices; the entry of --order.",
)
@click.option(
    "--order",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Arrival orders and tie ranks by seed (JSON, also gzip), instead of drawn ones.",
)
@click.option(
    "--load",
    type=Number(),
    metavar="RATIO",
    help="GPU demand that arrives, over the cluster's GPUs: 1.3 where drawn, all of --order otherwise.",
)
@click.option(
    "--bit-compatible",
    is_flag=True,
    help="Scores of fgd with the rounding of the original's sums, to choose as it does at ties.",
)
@click.option(
    "--numpy",
    "numpy_form",
    is_flag=True,
    help="Scores in NumPy instead of compiled code: the same choices, slower.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder to write, new or empty."
)
@click.option("--overwrite", is_flag=True, help="Replace the run directory that --out names.")
@click.option(
    "-q", "--quiet", is_flag=True, help="No progress on standard error, only warnings; every file is written in full."
)
@click.option("--json", "as_json", is_flag=True, help="Print run.json instead of the last figures, for machines.")
def command(out: Path, *, overwrite: bool, quiet: bool, as_json: bool, **given: Any) -> None:
    """Fill a cluster with the pods of a list, one after another, and record what a placement leaves unusable.

    Nothing departs. Writes curves.csv, placements.parquet and run.json, and prints the last figures.
    """
    from phasewise.bench.cli.inflating import perform, summary_table
    from phasewise.bench.cli.output import console, shown_if_possible
    from phasewise.profiling.own_files import pinned
    from phasewise.sched.inflation.experiment import Setting
    from phasewise.sched.scenario.own_code import each_part

    given["placement"] = each_part(given["placement"], pinned)
    setting = Setting(compiled=not given.pop("numpy_form"), **given)
    summary = perform(setting, out, quiet=quiet, overwrite=overwrite)
    with shown_if_possible(out):
        if as_json:
            click.echo((out / "run.json").read_bytes(), nl=False)
            return
        console().print(summary_table(setting, summary))
        click.echo(f"inflation: {out}")
