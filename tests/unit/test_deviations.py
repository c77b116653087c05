"""How far a figure is from what was published: point by point, and summed up; and the page that says so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sample_study import write_table

from phasewise.bench.publish.studies import replaced
from phasewise.reports.charts import Axis
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files import making
from phasewise.reports.figure_files.deviations import Deviation, deviations, summaries
from phasewise.reports.figure_files.model import Figure, Panel, Series


def line(label: str, x: Sequence[float], y: Sequence[float], source: str = "ours", state: Sequence[str] = ()) -> Series:
    return Series(label, np.array(x, float), np.array(y, float), "blue", source=source, state=state)


def found(*series: Series) -> list[Deviation]:
    return deviations(Figure("f", "", [Panel("p", "", Axis("x"), Axis("y"), series)]))


def test_a_published_point_is_beside_ours_of_that_name() -> None:
    ours = line("a", [1, 2], [10, 20])
    (only,) = found(ours, line("a, paper", [2], [16], "paper"), line("b, paper", [2], [16], "paper"))
    assert (only.series, only.x, only.ours, only.published, only.between) == ("a", 2.0, 20.0, 16.0, False)
    assert (only.difference, only.share) == (4.0, 0.25)


def test_between_two_of_our_points_their_line_counts_and_beyond_them_nothing() -> None:
    made = found(line("a", [1, 3], [10, 20]), line("a, paper", [0.5, 2.5, 3.5], [1, 14, 1], "paper"))
    assert [(each.x, each.ours, each.between, each.done) for each in made] == [(2.5, 17.5, True, None)]


def test_what_is_no_value_to_go_by_is_in_no_summary() -> None:
    ours = line("a", [1, 2, 3, 4], [10, 20, 30, 40], state=["complete", "complete", "complete", "overloaded"])
    paper = line(
        "a, paper",
        [1, 2, 3, 3.5, 4],
        [8, 20, 99, 30, 30],
        "paper",
        ["complete"] * 2 + ["axis limit"] + ["complete"] * 2,
    )
    made = found(ours, paper)
    assert [each.state for each in made] == ["complete", "complete", "axis limit", "overloaded", "overloaded"]
    (told,) = summaries(made)
    assert (told.points, told.mean, told.worst, told.worst_x) == (2, 1.0, 2.0, 1.0)
    assert told.worst_share == pytest.approx(0.25)


def test_a_study_is_compared_with_the_figure_that_it_repeats(tmp_path: Path) -> None:
    cases = [("max_min_fairness", 0.4, 22.0), ("max_min_fairness", 4.0, 24.0), ("max_min_fairness_perf", 4.0, 17.0)]
    rows = [
        {"point": f"{index:016x}", "policy.name": policy, "workload.rate_per_hour": rate, "seed": 0}
        | {"status": "complete", "censored": False, "avg_jct_s": hours * 3600.0}
        for index, (policy, rate, hours) in enumerate(cases)
    ]
    study = write_table(tmp_path / "study", rows, '[study]\nname = "gavel-fig9"\nkind = "run"\n')
    of = [each for each in deviations(making.prepare("jct-vs-rate", [study])) if each.series == "max_min_fairness"]
    made = {(each.source, each.x): each for each in of}
    assert made["replication", 4.0].share == pytest.approx(24.0 / 23.0274 - 1.0)
    assert (made["replication", 4.0].n, made["replication", 4.0].done, made["replication", 4.0].of) == (3, 1, 1)
    assert made["paper", 4.0].difference == pytest.approx(2.0)


def test_a_page_keeps_all_but_what_it_says_of_the_study() -> None:
    page = "# a\n<!-- study x -->\nold\n<!-- end of study -->\nb\n<!-- study y -->\nkept\n<!-- end of study -->\n"
    made = replaced(page, "x", r"new \1")
    assert made == page.replace("old\n", "\nnew \\1\n\n")
    assert replaced(made, "x", r"new \1") == made
    with pytest.raises(FigureError, match="no place for study z"):
        replaced(page, "z", "")
