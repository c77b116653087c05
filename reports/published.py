"""The published pages: one Markdown page a scale, and one self-contained HTML page of all."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from phasewise.profiling.stats import PowerLaw
from phasewise.reports import palette, phase_costs, published_charts, quantities
from phasewise.reports.glossary import PHASES
from phasewise.reports.phase_costs import ALL, SPEED_UPS
from phasewise.reports.publication import Figure, Origin, Publication, SolverCost, write_page
from phasewise.reports.published_views import ScaleView, added_rows, peaks_of, view_of

_MOST_TICKS = 5
_FINE, _COARSE = 2.0, 10.0  # speed-ups below which there are three decimals, and two
_ONE_PERCENT = 0.01
_STYLES = ("vendor/uPlot.min.css", "templates/report.css", "templates/export.css", "templates/published.css")
_SCRIPTS = (  # whiskers are drawn on charts, so who draws them listens before there is one
    "vendor/uPlot.iife.min.js",
    "templates/export.js",
    "templates/published.js",
    "templates/report.js",
)
_DECADES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4, 1e5)


def write_pages(publications: Sequence[Publication], out: Path) -> list[Path]:
    """Write ``SCALE.md`` for each publication and ``index.html`` for all into the folder ``out``; return their paths.

    Raises
    ------
    ReportWriteError
        Where a page cannot be written.
    """
    views = [view_of(publication) for publication in publications]
    pages = {out / f"{view.key}.md": render_markdown(view) for view in views}
    pages[out / "index.html"] = render_html(views)
    for path, text in pages.items():
        write_page(path, text.encode())
    return list(pages)


def render_markdown(view: ScaleView) -> str:
    """Return the Markdown page of a scale."""
    text = _environment(html=False).get_template("published.md").render(view=view, **_names())
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def render_html(views: Sequence[ScaleView]) -> str:
    """Return the page of all scales."""
    drawn = {view.key: published_charts.charts(view) for view in views}
    whiskers: dict[str, Any] = {}
    for view in views:
        whiskers |= published_charts.whiskers(view)

    remembered = [view for view in views if view.added]
    return (
        _environment(html=True)
        .get_template("published.html")
        .render(
            views=views,
            charts=drawn,
            shifts=_shifts(views),
            remembered=remembered,
            added=added_rows(remembered),
            payload=[chart.payload() for charts in drawn.values() for chart in charts.values()],
            whiskers=whiskers,
            share_cells=published_charts.share_cells(views),
            solver_cells={
                view.key: published_charts.solver_cells(view.publication.replay)
                for view in views
                if view.publication.replay
            },
            styles=_texts(_STYLES),
            scripts=_texts(_SCRIPTS),
            **_names(),
        )
    )


def _shifts(views: Sequence[ScaleView]) -> dict[str, Any]:
    """Return how the phases' shares differ between the first scale and the last; nothing where there is one alone."""
    if len(views) > 1 and views[0].phases and views[-1].phases:
        return dict(phase_costs.shifts(views[0].phases, views[-1].phases))
    return {}


def _texts(names: Sequence[str]) -> list[str]:
    """Return the content of files of this package."""
    return [files("phasewise.reports").joinpath(name).read_text("utf-8") for name in names]


def _environment(*, html: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("phasewise.reports", "templates"),
        autoescape=html,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": quantities.number,
        "count": quantities.count,
        "percent": quantities.percent,
        "duration": quantities.duration,
        "colour": palette.phase_colour,
        "figure": figure,
        "ends": ends,
        "gain": gain,
        "factor": factor,
        "factor_ends": factor_ends,
        "exponent_ends": exponent_ends,
        "percent_share": percent_share,
        "dash": dash,
        "percent_figure": percent_figure,
        "percent_ends": percent_ends,
        "points": points,
        "made_by": made_by,
        "reasons": reasons,
        "code": code,
        "peaks": peaks_of,
    }
    return environment


def _names() -> dict[str, Any]:
    """Return what both templates need besides the views."""
    return {"all_phases": ALL, "speed_ups": SPEED_UPS, "strip": strip, "terms": PHASES}


def figure(value: Figure | None) -> str:
    """Return an estimate with its interval: ``1.23 (1.20 to 1.27)``; the dash for none."""
    return quantities.ABSENT if value is None else f"{quantities.number(value.estimate)} ({ends(value)})"


def ends(value: Figure) -> str:
    """Return the ends of an interval alone, with the decimals of the estimate."""
    _, point, decimals = quantities.number(value.estimate).partition(".")
    if "e" in decimals:
        return f"{quantities.number(value.low)} to {quantities.number(value.high)}"
    low, high = (_fixed(end, len(decimals) if point else 0) for end in (value.low, value.high))
    return f"{low} to {high}"


def _fixed(value: float, decimals: int) -> str:
    """Return a number with so many decimals, grouped, and with a true minus sign."""
    return f"{value:,.{decimals}f}".replace(",", quantities.THIN_SPACE).replace("-", "−")


def gain(value: Figure) -> str:
    """Return a speed-up with its interval."""
    return f"{factor(value)} ({factor_ends(value)})"


def factor(value: Figure) -> str:
    """Return a speed-up, to three decimals below 2: most are close to 1, and their intervals narrow."""
    return _fixed(value.estimate, _factor_decimals(value))


def factor_ends(value: Figure) -> str:
    """Return the ends of the interval of a speed-up, with the decimals of the estimate."""
    return f"{_fixed(value.low, _factor_decimals(value))} to {_fixed(value.high, _factor_decimals(value))}"


def _factor_decimals(value: Figure) -> int:
    return 3 if value.estimate < _FINE else 2 if value.estimate < _COARSE else 1


def dash(text: str) -> str:
    """Return the ends of an interval as narrow as a cell wants them: ``1.20–1.27``; not beside a minus sign."""
    return text if "−" in text or "-" in text else text.replace(" to ", "–")


def percent_figure(value: Figure) -> str:
    """Return a share of 1 with its interval, in per cent."""
    return f"{percent_share(value)} ({percent_ends(value)})"


def percent_share(value: Figure) -> str:
    """Return a share of 1 in per cent: one decimal, and two below 1 %."""
    return f"{_fixed(100 * value.estimate, _percent_decimals(value))}{quantities.THIN_SPACE}%"


def percent_ends(value: Figure) -> str:
    """Return the ends of the interval of a share of 1, in per cent, without the sign."""
    return " to ".join(_fixed(100 * end, _percent_decimals(value)) for end in (value.low, value.high))


def _percent_decimals(value: Figure) -> int:
    return 1 if value.estimate >= _ONE_PERCENT else 2


def exponent_ends(fit: PowerLaw) -> str:
    """Return the ends of the interval of an exponent."""
    return f"{_fixed(fit.exponent_low, 2)} to {_fixed(fit.exponent_high, 2)}"


def points(value: Figure) -> str:
    """Return a difference of shares of 1 in percentage points, with its sign and its interval."""
    low, estimate, high = (f"{100 * part:+.1f}".replace("-", "−") for part in (value.low, value.estimate, value.high))
    return f"{estimate} ({low} to {high})"


def made_by(origin: Origin) -> str:
    """Return commit, machine, n and interval of a figure in one line; the command is shown beside it."""
    changed = " with local changes" if origin.dirty else ""
    commit = f"commit {origin.commit[:10]}{changed}" if origin.commit else "no commit"
    return f"{commit} · {origin.machine} · n: {origin.n} · interval: {origin.interval}"


def reasons(counts: dict[str, int]) -> str:
    """Return how often a model was built for which reason, or a problem solved by whom."""
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def code(text: str) -> str:
    """Return a line of source as a cell of a Markdown table takes it."""
    return "`" + text.replace("|", "\\|").replace("`", "'") + "`"


class Strip:
    """Places on a logarithmic axis from the decade below the least to that above the most, in per cent."""

    def __init__(self, values: Sequence[float]) -> None:
        positive = [value for value in values if value > 0.0]
        low = [decade for decade in _DECADES if decade <= min(positive, default=1.0)]
        high = [decade for decade in _DECADES if decade >= max(positive, default=1.0)]
        self.low, self.high = low[-1] if low else _DECADES[0], high[0] if high else _DECADES[-1]
        if self.low == self.high:
            self.high *= 10.0

    def at(self, value: float) -> float:
        """Return the place of ``value``, held within the axis."""
        span = math.log(self.high / self.low)
        return min(100.0, max(0.0, 100.0 * math.log(max(value, self.low) / self.low) / span))

    @property
    def ticks(self) -> list[float]:
        """Return the decades of the axis that are labelled: every one, or every second or third, as room is scarce."""
        decades = [decade for decade in _DECADES if self.low <= decade <= self.high]
        return decades[:: math.ceil(len(decades) / _MOST_TICKS)]


def strip(rows: Sequence[SolverCost]) -> Strip:
    """Return the axis on which all times of a comparison of solvers lie."""
    parts = (part for row in rows for part in (row.build_ms, row.solve_ms, row.total_ms))
    return Strip([value for part in parts for value in (part.low, part.high) if value > 0.0])
