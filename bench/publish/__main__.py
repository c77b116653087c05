"""``make reports``: measure every scale, keep the figures as JSON, and make the pages of them.

``python -P -m phasewise.bench.publish`` measures everything; ``--part`` and ``--scale`` measure some of it anew and
keep the rest; ``--pages`` measures nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from phasewise.bench.cli.boundary import guarded
from phasewise.bench.publish import auto_points, checks, measured
from phasewise.bench.publish.measured import Workplace
from phasewise.bench.publish.profiles import profiles
from phasewise.bench.publish.scales import PLANS, WORK
from phasewise.reports.errors import RunDirectoryError
from phasewise.reports.publication import Publication, load_publication, save_publication

OUT: Final = Path("docs") / "reports"
PARTS: Final = ("runs", "growth", "check", "replay", "auto", "profiles")


def measure(scale: str, parts: tuple[str, ...], pages: Path) -> None:
    """Measure some parts of a scale and put them into its file of figures, which keeps the others."""
    plan, place = PLANS[scale], Workplace(WORK, lambda text: click.echo(text, err=True))
    file = pages / "data" / f"{scale}.json"
    by_name: dict[str, Callable[[], Any]] = {
        "runs": lambda: measured.runs(scale, plan, place),
        "growth": lambda: measured.growth(scale, plan, place),
        "check": lambda: checks.check(scale, plan, place),
        "replay": lambda: measured.replay(scale, plan, place),
        "auto": lambda: auto_points.auto(scale, place),
        "profiles": lambda: profiles(scale, plan, place, pages),
    }
    for part in parts:
        found = None if part in plan.absent else by_name[part]()
        before = load_publication(file) if file.is_file() else Publication(scale, plan.title)
        save_publication(
            msgspec.structs.replace(before, title=plan.title, absent=dict(plan.absent), **{part: found}), file
        )


@click.command(help="Measure every scale and make the pages of docs/reports.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=OUT, show_default=True, metavar="DIR")
@click.option(
    "--scale",
    "scales",
    type=click.Choice(list(PLANS)),
    multiple=True,
    help="Only this one; repeatable.",
)
@click.option("--part", "parts", type=click.Choice(PARTS), multiple=True, help="Measure only this anew; repeatable.")
@click.option("--pages", is_flag=True, help="Measure nothing, make the pages of the figures that are there.")
def command(out: Path, scales: tuple[str, ...], parts: tuple[str, ...], pages: bool) -> None:
    """Measure, and make the pages."""
    from phasewise.reports.published import write_pages

    if not pages:
        for scale in scales or PLANS:
            measure(scale, parts or PARTS, out)
    files = [file for scale in PLANS if (file := out / "data" / f"{scale}.json").is_file()]
    if not files:
        raise RunDirectoryError(f"{out / 'data'}: no figures are there yet; make reports measures them")
    for page in write_pages([load_publication(file) for file in files], out):
        click.echo(f"page: {page}")


def main() -> None:
    """Run the command and end the process with its exit code."""
    raise SystemExit(guarded(lambda: command(standalone_mode=False)))


if __name__ == "__main__":
    main()
