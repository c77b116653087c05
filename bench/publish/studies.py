"""``python -P -m phasewise.bench.publish.studies STUDY...``: what a page says of a study, made of the study's folder.

In the page, what stands between ``<!-- study NAME -->`` and ``<!-- end of study -->`` is written anew: its points by
status, what they cost, its figure, and how far it is from the published curves. The text around it is written by hand.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click
import msgspec
import numpy as np

from phasewise.bench.cli.boundary import guarded
from phasewise.bench.series.runs import table
from phasewise.bench.study.folder import State, StudyFolder
from phasewise.bench.study.table import write_table
from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files import making
from phasewise.reports.figure_files.deviations import Deviation, Summary, deviations, summaries
from phasewise.reports.figure_files.model import COMPLETE, Figure
from phasewise.reports.figure_files.studies import load_study

PAGE: Final = Path("docs") / "explanation" / "studies-repeated.md"
IMAGES: Final = Path("docs") / "images"
_END: Final = "<!-- end of study -->"
MOST_ROWS: Final = 60  # of points one by one; more are summed up


def block(folder: StudyFolder, images: Path, home: Path) -> str:
    """Return what a page in the folder ``home`` says of a study, as Markdown; its figures are put into ``images``.

    Raises
    ------
    StudyError, FigureError, OutputError
        Where the folder holds no study, no point is done yet, or a figure cannot be made.
    """
    plan, states = folder.read_plan(), folder.states(folder.points())
    write_table(folder, states)
    names = _figures(folder)
    parts = [_standing(states, _origin(folder, states))]
    for name in names:
        figure = making.prepare(name, [folder.path])
        parts += [_picture(name, plan.name, folder, images, home), _notes(figure), *_compared(figure)]
    return "\n\n".join(part for part in parts if part)


def _figures(folder: StudyFolder) -> list[str]:
    section = load_study(folder.path).settings.get("figures", {})
    return [str(name) for name in section.get("names", ())]


def _origin(folder: StudyFolder, states: Sequence[State]) -> str:
    """Return the processors and commits that the points were run on, as their own records say."""
    runs = [folder.run_path(state.point.name) / "run.json" for state in states if state.summary]
    made_on = [msgspec.json.decode(run.read_bytes()).get("environment", {}) for run in runs]
    processors = sorted({str(each.get("cpu")) for each in made_on})
    commits = sorted({str(each.get("commit"))[:7] for each in made_on})
    return f"{', '.join(processors)}; commit {', '.join(commits)}"


def _standing(states: Sequence[State], origin: str) -> str:
    """Return how many points are how far, and what they cost."""
    counts = Counter(state.status for state in states)
    said = ", ".join(f"{count} {status}" for status, count in counts.most_common())
    cpu_s = sum(state.cpu_s or 0.0 for state in states)
    return f"{len(states)} points: {said}. {_minutes(cpu_s)} of CPU time in all, on one core at a time ({origin})."


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120.0 else f"{seconds / 60.0:.1f} min"


def _picture(name: str, study: str, folder: StudyFolder, images: Path, home: Path) -> str:
    drawn = next(path for path in making.make(name, [folder.path], folder.figures) if path.suffix == ".png")
    images.mkdir(parents=True, exist_ok=True)
    place = images / f"study-{study}.png"
    write_atomically(place, drawn.read_bytes())
    where = Path(*[".."] * len(home.relative_to(images.parent).parts)) / place.relative_to(images.parent)
    return f'<img alt="{name} of the study {study}" src="{where.as_posix()}" width="420">'


def _notes(figure: Figure) -> str:
    return "\n".join(f"- {note}" for note in figure.notes)


def _compared(figure: Figure) -> Iterator[str]:
    """Yield the tables of deviations: a summary, and the points one by one where there are few."""
    found = deviations(figure)
    if not found:
        return
    several = len(figure.panels) > 1
    units = {panel.key: panel.y_axis.title for panel in figure.panels}
    yield table(_SUMMED, [_summed(each, units[each.panel], several=several) for each in summaries(found)])
    if len(found) <= MOST_ROWS * 2 and not several:
        yield table(_SINGLE, list(_singles(found)))


_SUMMED: Final = ("ours", "published by", "points", "mean difference", "largest", "at")
_SINGLE: Final = ("ours", "x", "value", "of runs", "paper", "", "replication", "n", "")


def _summed(each: Summary, unit: str, *, several: bool) -> list[str]:
    """Return a row: differences in the unit of the axis where there are panels, or else in per cent."""
    name = f"{each.series}: {unit}" if several else each.series
    apart = (each.mean, each.worst) if several else (100 * each.mean_share, 100 * each.worst_share)
    mark = "" if several else " %"
    return [name, each.source, str(each.points), *(f"{value:.2f}{mark}" for value in apart), f"{each.worst_x:g}"]


def _singles(found: Sequence[Deviation]) -> Iterator[list[str]]:
    """Yield a row a series and x, with what each source says there."""
    rows: dict[tuple[str, float], dict[str, Deviation]] = {}
    for each in found:
        rows.setdefault((each.series, each.x), {})[each.source] = each
    for (series, x), by_source in sorted(rows.items()):
        ours = next(iter(by_source.values()))
        value = f"{ours.ours:.2f}" + (" (between)" if ours.between else "")
        state = "" if ours.state == COMPLETE else f" {ours.state}"
        paper, other = by_source.get("paper"), by_source.get("replication")
        n = "" if other is None or other.n is None else str(other.n)
        runs = "" if ours.of is None else f"{ours.done} of {ours.of}"
        yield [series, f"{x:g}", value + state, runs, *_cells(paper), *_cells(other)[:1], n, *_cells(other)[1:]]


def _cells(each: Deviation | None) -> list[str]:
    if each is None:
        return ["", ""]
    return [f"{each.published:g}", f"{100 * each.share:+.1f} %" if np.isfinite(each.share) else ""]


def replaced(page: str, name: str, content: str) -> str:
    """Return a page with what it says of a study written anew.

    Raises
    ------
    FigureError
        Where the page has no place for that study.
    """
    pattern = re.compile(rf"(<!-- study {re.escape(name)} -->\n).*?({re.escape(_END)})", re.DOTALL)
    if not pattern.search(page):
        raise FigureError(f"the page has no place for study {name}: <!-- study {name} --> ... {_END}")
    return pattern.sub(lambda found: f"{found[1]}\n{content}\n\n{found[2]}", page, count=1)


@click.command()
@click.argument("studies", nargs=-1, required=True, metavar="STUDY...")
@click.option("--page", type=click.Path(path_type=Path, dir_okay=False), default=PAGE, show_default=True)
@click.option("--images", type=click.Path(path_type=Path, file_okay=False), default=IMAGES, show_default=True)
def command(studies: Sequence[str], page: Path, images: Path) -> None:
    """Write anew what a page says of studies, each by its folder."""
    for path in studies:
        folder = StudyFolder(Path(path))
        name = folder.read_plan().name
        content = block(folder, images, page.parent)
        write_atomically(page, replaced(page.read_text("utf-8"), name, content).encode())
        click.echo(f"{page}: {name}")


def main() -> None:
    """Run the command and end the process with its exit code."""
    raise SystemExit(guarded(lambda: command(standalone_mode=False)))


if __name__ == "__main__":
    main()
