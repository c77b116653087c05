"""The page of a study: how far it is, its figures, its points with a link to each run directory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from phasewise.bench.study.folder import State, StudyFolder
from phasewise.bench.study.status import sentence, status_record
from phasewise.profiling.artefacts.sinks import write_atomically

PAGE: Final = "index.html"
FIGURES: Final = ("avg_jct_s", "jct_s_p95", "utilization", "alloc_pct", "frag_pct_of_total", "rounds")

_TEMPLATE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{ name }}</title>
<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
.wide { overflow-x: auto }
table { border-collapse: collapse } th, td { padding: .2rem .8rem; text-align: left; border-bottom: 1px solid #8884 }
td.number { text-align: right; font-variant-numeric: tabular-nums } img { max-width: 100%; background: #fff }
</style>
<h1>{{ name }}</h1>
<p>{{ said }}</p>
<p><a href="study.toml">study.toml</a>, <a href="table.parquet">table.parquet</a></p>
{% for figure in drawn %}<figure><img src="{{ figure }}" alt="{{ figure }}"></figure>
{% endfor %}<div class="wide"><table>
<tr><th>point</th>{% for key in keys %}<th>{{ key }}</th>{% endfor %}<th>status</th>{% for key in figures
%}<th>{{ key }}</th>{% endfor %}<th>CPU s</th><th>message</th></tr>
{% for row in rows %}<tr><td><a href="points/{{ row.point }}/run.json">{{ row.point }}</a></td>{% for value in
row.overrides %}<td>{{ value }}</td>{% endfor %}<td>{{ row.status }}</td>{% for value in row.figures
%}<td class="number">{{ value }}</td>{% endfor %}<td>{{ row.message }}</td></tr>
{% endfor %}</table></div>
</html>
"""


def write_page(folder: StudyFolder, name: str, states: Sequence[State]) -> None:
    """Write ``index.html``, whole or not at all; raises `OutputError`."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    keys = list(dict.fromkeys(key for state in states for key in state.point.overrides))
    there = [key for key in FIGURES if any(state.summary.get(key) is not None for state in states)]
    page = environment.from_string(_TEMPLATE).render(
        name=name,
        said=sentence(status_record(name, states)),
        drawn=[f"figures/{path.name}" for path in sorted(folder.figures.glob("*.svg"))],
        keys=keys,
        figures=there,
        rows=[_row(state, keys, there) for state in states],
    )
    write_atomically(folder.path / PAGE, page.encode())


def _row(state: State, keys: Sequence[str], figures: Sequence[str]) -> dict[str, Any]:
    values = [*(state.summary.get(key) for key in figures), state.cpu_s]
    return {
        "point": state.point.name,
        "overrides": [state.point.overrides.get(key, "") for key in keys],
        "status": state.status,
        "figures": ["" if value is None else f"{value:,.4g}" for value in values],
        "message": state.message,
    }
