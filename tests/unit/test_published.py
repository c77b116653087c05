"""The published pages: what they say, and that they stand alone."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from sample_publication import publication

from phasewise.reports.errors import ReportWriteError, RunDirectoryError
from phasewise.reports.glossary import PHASES
from phasewise.reports.publication import AutoPoint, Figure, Publication, load_publication, save_publication
from phasewise.reports.published import (
    Strip,
    dash,
    figure,
    gain,
    percent_figure,
    render_html,
    render_markdown,
    write_pages,
)
from phasewise.reports.published_views import added_rows, crossing, size_shares, view_of

BOTH = [publication(), publication("alibaba", "Alibaba scale", heavier=4.0)]


@pytest.fixture(scope="module")
def page() -> str:
    return render_html([view_of(each) for each in BOTH])


@pytest.fixture(scope="module")
def text() -> str:
    return render_markdown(view_of(BOTH[0]))


def test_a_publication_is_read_as_it_was_written(tmp_path: Path) -> None:
    save_publication(BOTH[0], tmp_path / "data" / "philly.json")
    again = load_publication(tmp_path / "data" / "philly.json")
    assert again.runs.phases[0].share.estimate == pytest.approx(BOTH[0].runs.phases[0].share.estimate, rel=1e-4)
    assert again.growth.sizes[-1].cost_ms.keys() == BOTH[0].growth.sizes[-1].cost_ms.keys()
    assert again.replay.rows[0].slower is None
    assert again.auto.points[0] == BOTH[0].auto.points[0]
    assert again.auto.points[1].slower["highs-direct"].high == pytest.approx(2.04, rel=1e-4)


@pytest.mark.parametrize(
    ("content", "said"), [("{", "no publication"), ('{"schema": 99}', "schema 99"), ('{"schema": 1}', "no publication")]
)
def test_a_file_that_is_no_publication_is_refused_with_its_name(content: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "philly.json"
    file.write_text(content)
    with pytest.raises(RunDirectoryError, match=said) as error:
        load_publication(file)
    assert str(file) in str(error.value)


def test_a_missing_file_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="make reports"):
        load_publication(tmp_path / "philly.json")


def test_pages_are_written_for_each_scale_and_for_all(tmp_path: Path) -> None:
    written = write_pages(BOTH, tmp_path / "reports")
    assert [path.name for path in written] == ["philly.md", "alibaba.md", "index.html"]
    assert all(path.stat().st_size > 1000 for path in written)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file")
    with pytest.raises(ReportWriteError, match="reports"):
        write_pages(BOTH, tmp_path / "reports")


def test_the_page_asks_for_nothing_outside_itself(page: str) -> None:
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page)
    assert not re.findall(r"@import|url\((?!['\"]?(?:data:|#))", page)
    assert '<link rel="stylesheet' not in page


def test_every_section_says_what_made_its_figures(page: str) -> None:
    origins = page.count('class="origin"')
    assert origins >= 2 * 6
    assert page.count("commit 4f2a91c0de") == origins
    assert page.count("n: 3 runs of 100 rounds") == origins
    assert page.count("interval: 95 % bootstrap") == origins


def test_the_page_names_the_largest_phase_of_each_scale(page: str) -> None:
    heading = re.search(r"<h1>(.*?)</h1>", page, re.DOTALL).group(1)
    assert heading.count("worker_assignment") == 2
    assert "50.0" in heading
    assert "80.0" in heading


def test_the_text_has_a_row_for_every_phase_size_and_backend(text: str) -> None:
    assert "| `worker_assignment` | 50.0" in text
    assert "1.25 (1.25 to 1.25) |" in text
    assert "1.333 (1.325 to 1.342)" in text  # half the share, twice as fast
    assert "2.00 (1.96 to 2.04)" in text  # half the share, free
    assert "| `cvxpy-fresh:ECOS` | 20.0 (19.6 to 20.4) | 5.00 (4.90 to 5.10) |" in text
    assert "`single-type` (heuristic)" in text
    assert (
        "at about 200 jobs from highs-direct to structured, which takes 0.50 of its time at 400 jobs by the table"
        in text
    )
    assert "0.50 (0.49 to 0.51) measured again<br>" not in text  # one switch, and it is clear
    assert "0.50 (0.49 to 0.51) measured again |" in text


def test_a_backend_without_a_row_has_a_reason_on_both_pages(text: str, page: str) -> None:
    assert "No row for `water-filling`: another family." in text
    assert page.count("No row for water-filling: another family.") == 2


def test_every_section_of_the_text_says_what_made_its_figures(text: str) -> None:
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert len(sections) == 8
    for section in sections:
        assert "```console" in section, section[:40]
        assert section.rstrip().endswith("interval: 95 % bootstrap."), section[:40]


def test_an_interval_has_the_decimals_of_its_estimate() -> None:
    assert figure(Figure(0.00966, 0.0101, 0.0107)) == "0.0101 (0.0097 to 0.0107)"
    assert figure(Figure(-0.4, 1.5, 1234.5)) == "1.50 (−0.40 to 1\u202f234.50)"
    assert figure(None) == "–"
    assert gain(Figure(1.98, 2.09, 2.2)) == "2.09 (1.98 to 2.20)"
    assert percent_figure(Figure(0.0009, 0.00091, 0.001)) == "0.09\u202f% (0.09 to 0.10)"
    assert dash("−0.18 to 0.50") == "−0.18 to 0.50"
    assert dash("0.18 to 0.50") == "0.18–0.50"


def test_peaks_of_memory_are_told_of_all_runs(text: str) -> None:
    assert "peak 191 MiB, the median of 3 runs (least to most: 190 to 193)" in text


def test_the_page_says_what_every_phase_is(text: str, page: str) -> None:
    for meaning in (PHASES["worker_assignment"], PHASES["telemetry"]):
        assert meaning in text
        assert meaning in page


def test_every_table_of_the_text_has_rows_of_one_width(text: str) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}
        assert len(widths) == 1, table


def test_source_with_the_signs_of_a_table_stays_in_its_cell(text: str) -> None:
    assert "`a \\| b = 'c'`" in text


def test_parts_that_were_not_measured_are_said_to_be_missing() -> None:
    bare = Publication("philly", "Philly scale")
    assert render_markdown(view_of(bare)).count("Not measured.") == 8
    assert "Not measured." in render_html([view_of(bare)])
    beside = render_html([view_of(BOTH[0]), view_of(Publication("bare", "Bare"))])
    assert '<tr data-phase="worker_assignment">' in beside
    half = msgspec.structs.replace(BOTH[1], growth=None, replay=None)
    assert "Not measured." in render_html([view_of(BOTH[0]), view_of(half)])


def test_a_part_that_a_scale_lacks_is_said_to_be_missing_with_the_reason() -> None:
    without = msgspec.structs.replace(BOTH[1], replay=None, check=None, absent={"replay": "no tape"})
    assert "Not measured: no tape." in render_markdown(view_of(without))
    page = render_html([view_of(BOTH[0]), view_of(without)])
    assert "Alibaba scale: Not measured: no tape." in page
    assert "Alibaba scale: Not measured." in page
    assert page.count("it holds") == 1


def test_a_what_if_that_was_checked_stands_beside_what_was_measured(text: str, page: str) -> None:
    assert (
        "| 40.0\u202f% (39.2 to 40.8) | 1.250 (1.225 to 1.275) | 1.260 (1.235 to 1.285) | the what-if holds |" in text
    )
    assert page.count("it holds") == 2
    failed = msgspec.structs.replace(BOTH[0], check=msgspec.structs.replace(BOTH[0].check, holds=False))
    assert "the what-if does not hold" in render_markdown(view_of(failed))
    assert "it does not hold" in render_html([view_of(failed)])


def test_memory_is_told_by_the_phase_it_grew_in(text: str, page: str) -> None:
    assert "| `policy` | +3.2 |\n| `telemetry` | −0.5 |\n| all phases | +2.8 |" in text
    assert page.count("−0.5</td>") == 2
    rows = added_rows([view_of(BOTH[0]), view_of(Publication("bare", "Bare"))])
    assert rows == [("policy", (3.25, None)), ("telemetry", (-0.5, None)), ("all", (2.75, None))]


def test_shares_at_a_size_lie_within_their_ends() -> None:
    found = size_shares(BOTH[0].growth.sizes[0])
    assert sum(share.estimate for share in found.values()) == pytest.approx(1.0)
    assert all(share.low < share.estimate < share.high for share in found.values())


def test_backends_cross_where_their_power_laws_meet() -> None:
    def point(jobs: int, one: float, other: float) -> AutoPoint:
        return AutoPoint("max_min", False, True, jobs, 3, {"one": one, "other": other})

    assert crossing(point(100, 1.0, 2.0), point(400, 8.0, 4.0), "one", "other") == pytest.approx(200.0)
    assert crossing(point(100, 1.0, 2.0), point(400, 4.0, 8.0), "one", "other") is None
    assert crossing(point(100, 1.0, 2.0), point(400, 8.0, 4.0), "one", "third") is None


def test_a_strip_holds_every_value_between_its_decades() -> None:
    axis = Strip([0.03, 5.0])
    assert axis.ticks == [0.01, 0.1, 1.0, 10.0]
    assert axis.at(0.01) == 0.0
    assert axis.at(10.0) == pytest.approx(100.0)
    assert axis.at(0.1) == pytest.approx(100 / 3)
    assert axis.at(0.0) == 0.0
    assert len(Strip([1.0]).ticks) == 2
    assert Strip([]).ticks
