"""`phasewise figure`: a figure for print, with its data and how it was made."""

from __future__ import annotations

from pathlib import Path

import click

from phasewise.bench.cli import completion

LIST = "list"
FOLDER = "figures"


@click.command(short_help="Draw a figure of studies, runs, inflations or replays.")
@click.argument("name", metavar="NAME", shell_complete=completion.figures)
@click.argument(
    "paths", nargs=-1, type=click.Path(path_type=Path), metavar="PATH...", shell_complete=completion.sources
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help=f"Where to write. Default: `{FOLDER}` in the folder of a study, otherwise the current folder.",
)
@click.option(
    "--overlay",
    "overlays",
    multiple=True,
    metavar="NAME",
    help="Published curves to draw on top, or a CSV file with the columns of the figure's own; repeatable. "
    "Default: the curves that the study reproduces; `none`: no curves.",
)
@click.option("--data-only", is_flag=True, help="Write only the CSV and the JSON; needs no matplotlib.")
def command(name: str, paths: tuple[Path, ...], out: Path | None, overlays: tuple[str, ...], data_only: bool) -> None:
    """Draw the figure NAME from studies, runs, inflations or replays: SVG, PNG, data as CSV, provenance as JSON.

    `phasewise figure list` prints the figures and what each is drawn from.
    """
    if name == LIST and not paths:
        _list()
        return
    from phasewise.reports.figure_files import make

    if out is None:
        out = paths[0] / FOLDER if len(paths) == 1 and (paths[0] / "study.toml").is_file() else Path()
    for path in make(name, paths, out, overlays=overlays or None, drawn=not data_only):
        click.echo(f"figure: {path}")


def _list() -> None:
    from phasewise.reports.figure_files.catalogue import FIGURES
    from phasewise.reports.figure_files.published import overlay_names

    width = max(map(len, FIGURES))
    for each in FIGURES.values():
        laid = overlay_names(each.name)
        over = f"; overlays: {', '.join(laid)}" if laid else ""
        click.echo(f"{each.name:<{width}}  {each.shows}; of {', '.join(sorted(each.made_of))}{over}")
