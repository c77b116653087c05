"""`phasewise figure`: the files it writes, for print and for checking, and what it says of wrong input."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from figure_sources import sources_of
from sample_study import write_table
from synthetic_run import RunShape, write_run

from phasewise.reports.charts import Axis
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files import make, names
from phasewise.reports.figure_files.making import prepare, table
from phasewise.reports.figure_files.model import COLUMNS, STATES, Figure, Panel, Series
from phasewise.reports.figure_files.published import overlay_names

OLD_RUN = Path(__file__).resolve().parents[1] / "fixtures" / "run-of-schema-1"
SUFFIXES = (".svg", ".png", ".csv", ".json")
NAMES = {
    *("jct-vs-rate", "jct-cdf", "wait-cdf", "rho-cdf", "makespan", "usage", "lost-time"),
    *("fragmentation", "solve-time", "round-cost", "quality-over-time"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("figures") / "run", RunShape(rounds=120, jobs=40))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a study with a point of every state, whose name asks for published curves."""
    rows = [
        {
            "point": f"{rate}{seed}",
            "workload.rate_per_hour": float(rate),
            "seed": seed,
            "status": status,
            "avg_jct_s": 7200.0 * rate,
            "censored": status == "stopped",
        }
        for rate, status in ((1, "complete"), (2, "stopped"), (3, "overloaded"))
        for seed in (0, 1)
    ]
    settings = '[study]\nname = "gavel-fig9"\nscenario = "philly"\nkind = "run"\n'
    return write_table(tmp_path_factory.mktemp("study") / "gavel-fig9", rows, settings)


def test_the_names_are_those_that_are_promised() -> None:
    assert set(names()) == NAMES


def test_the_reference_has_every_figure_column_state_and_published_curve() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "figures.md").read_text()
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| `")}
    words = {word for row in rows for word in re.findall(r"`([\w -]+)`", row)}
    assert words >= NAMES | set(COLUMNS) | set(STATES)
    for name in NAMES:
        assert re.findall(r"`([\w-]+)`", rows[f"`{name}`"].split("|")[4]) == overlay_names(name)


def test_the_list_names_every_figure_what_it_is_made_of_and_its_overlays(phasewise: Callable) -> None:
    said = phasewise("figure", "list")
    assert said.code == 0
    assert {line.split()[0] for line in said.out.splitlines()} == NAMES
    assert "overlays: gavel-fig9, gavel-fig10, gavel-fig11" in said.out


@pytest.mark.thorough
def test_a_figure_is_four_files_with_the_same_bytes_each_time(run: Path, tmp_path: Path, phasewise: Callable) -> None:
    for folder in ("one", "two"):
        said = phasewise("figure", "jct-cdf", run, run, "--out", tmp_path / folder)
        assert said.code == 0, said.err
        assert said.err == ""
        assert said.out.splitlines() == [f"figure: {tmp_path / folder / 'jct-cdf'}{suffix}" for suffix in SUFFIXES]
    for suffix in SUFFIXES:
        contents = [(tmp_path / folder / f"jct-cdf{suffix}").read_bytes() for folder in ("one", "two")]
        assert contents[0] == contents[1], suffix


@pytest.mark.thorough
def test_a_figure_for_print_is_one_column_wide_and_holds_no_date_and_no_font(study: Path, tmp_path: Path) -> None:
    svg, png, *_ = make("jct-vs-rate", [study], tmp_path)
    text = svg.read_text()
    (width,) = re.findall(r'width="([\d.]+)pt"', text)
    assert float(width) == pytest.approx(3.4 * 72)
    assert "<text" not in text  # outlines
    assert "dc:date" not in text
    assert int.from_bytes(png.read_bytes()[16:20], "big") == pytest.approx(3.4 * 300, abs=1)
    assert b"Software" not in png.read_bytes()


@pytest.mark.thorough
def test_no_letter_is_smaller_than_seven_points(study: Path) -> None:
    from matplotlib.text import Text  # noqa: PLC0415  (takes long to import)

    from phasewise.reports.figure_files.drawing import in_print, sheet_of  # noqa: PLC0415  (likewise)

    with in_print():
        sheet = sheet_of(prepare("jct-vs-rate", [study]))
        sheet.canvas.draw()  # axes have their ticks from then on
        sizes = [each.get_fontsize() for each in sheet.findobj(Text) if each.get_text()]
    assert len(sizes) > 20
    assert min(sizes) >= 7.0


def shapes() -> Figure:
    """Return a figure of every look, state and source."""
    x, y = np.array([0.5, 1.0, 2.0]), np.array([2.0, 3.0, 50.0])
    ends = {"low": y - 1, "high": y + 1}
    over = [
        Series("marks", x, y, "blue", "points", **ends, state=["complete", "censored", "overloaded"]),
        Series("line", x, y * 2, "orange", "line", **ends),
        Series("steps", x, y, "green", "steps", note="said of it"),
        Series("old, paper", x, y, "blue", source="paper", faint=True, state=["complete", "complete", "axis limit"]),
        Series("nothing", np.empty(0), np.empty(0), "pink"),
    ]
    named = [Series("kept", np.arange(2.0), np.array([70.0, 90.0]), "blue", "bars")]
    named += [Series("lost", np.arange(2.0), np.array([30.0, np.nan]), "wine", "bars")]
    dots = Series("one", np.arange(2.0), np.array([1.0, 2.0]), "blue", "points", low=np.zeros(2), high=np.ones(2) * 3)
    return Figure(
        "jct-cdf",
        "every look",
        [
            Panel(
                "log", "over and over again " * 4, Axis("x (h)", log=True), Axis("y", log=True), over, marks=[(1, "1")]
            ),
            Panel("bars", "", Axis(""), Axis("share (%)", low=0, high=100), named, ["a", "b"], stacked=True),
            Panel("dots", "", Axis(""), Axis("h", low=0.0), [dots], ["a" * 40, "b"]),
        ],
    )


@pytest.mark.thorough
@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_figure_is_drawn_of_what_small_runs_left(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.getbasetemp() / "figure_sources"
    svg, png, file, _ = make(name, sources_of(name, root), tmp_path_factory.mktemp(name))
    assert svg.read_text().rstrip().endswith("</svg>")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert len(file.read_text().splitlines()) > 1


@pytest.mark.thorough
def test_every_look_and_state_is_drawn() -> None:
    from phasewise.reports.figure_files.drawing import render  # noqa: PLC0415  (matplotlib takes long to import)

    files = render(shapes())
    assert files["png"].startswith(b"\x89PNG")
    assert files["svg"].count(b"<path") > 40


def test_the_table_has_a_row_a_point_with_names_instead_of_places() -> None:
    rows = list(csv.DictReader(io.StringIO(table(shapes()))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 3 * 4 + 2 * 2 + 2
    assert [row["state"] for row in rows[:3]] == ["complete", "censored", "overloaded"]
    lost = [row for row in rows if row["series"] == "lost"]
    assert [(row["x"], row["y"]) for row in lost] == [("a", "30"), ("b", "")]


def test_how_it_was_made_stands_beside_it(study: Path, tmp_path: Path, phasewise: Callable) -> None:
    said = phasewise("figure", "jct-vs-rate", study, "--overlay", "none", "--data-only", "--out", tmp_path)
    assert said.code == 0, said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["jct-vs-rate.csv", "jct-vs-rate.json"]
    record = json.loads((tmp_path / "jct-vs-rate.json").read_text())
    digest = hashlib.sha256((study / "table.parquet").read_bytes()).hexdigest()
    assert record["inputs"] == [{"path": str(study), "kind": "study", "file": "table.parquet", "sha256": digest}]
    assert record["command"] == f"phasewise figure jct-vs-rate {study} --overlay none"
    assert record["commit"] == record["environment"]["commit"]
    assert record["panels"][0]["y"] == "Mean JCT (h)"
    assert record["panels"][0]["series"][0]["of"] == 2


def test_the_figures_of_a_study_go_into_its_folder(study: Path, tmp_path: Path, phasewise: Callable) -> None:
    copy = tmp_path / "gavel-fig9"
    shutil.copytree(study, copy)
    assert phasewise("figure", "jct-vs-rate", copy, "--data-only").code == 0
    with (copy / "figures" / "jct-vs-rate.csv").open() as lines:
        sources = {row["source"] for row in csv.DictReader(lines)}
    assert sources == {"ours", "paper", "replication"}


# -- what is wrong -------------------------------------------------------------------------------------------------


def test_a_figure_that_there_is_not_is_named_with_the_nearest(run: Path, phasewise: Callable) -> None:
    said = phasewise("figure", "jct-cfd", run)
    assert said.code == 2
    assert "there is no figure 'jct-cfd', did you mean 'jct-cdf'?" in said.err


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("jct-vs-rate", "the folder of a study (phasewise study run)"),
        ("fragmentation", "folders of phasewise inflate"),
        ("solve-time", "files of phasewise solve --json"),
        ("quality-over-time", "files pop.json of"),
    ],
)
def test_a_path_of_another_kind_is_refused_with_the_kinds_that_are_allowed(
    name: str, wanted: str, run: Path, tmp_path: Path, phasewise: Callable
) -> None:
    said = phasewise("figure", name, run, "--out", tmp_path / "out")
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert str(run) in said.err
    assert wanted in said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [None, "", "[]", "[1]", '{"solver": 1}', "\x00"])
def test_a_path_of_no_kind_is_refused(content: str | None, tmp_path: Path, phasewise: Callable) -> None:
    path = tmp_path / "what"
    if content is not None:
        path.write_text(content)
    said = phasewise("figure", "solve-time", path)
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert str(path) in said.err
    assert "phasewise solve --json" in said.err


def test_no_path_at_all_is_refused(phasewise: Callable) -> None:
    said = phasewise("figure", "usage")
    assert said.code == 2
    assert "needs at least one path" in said.err


@pytest.mark.parametrize("name", ["wait-cdf", "rho-cdf", "lost-time"])
def test_what_an_earlier_schema_lacks_is_one_message(name: str, tmp_path: Path, phasewise: Callable) -> None:
    said = phasewise("figure", name, OLD_RUN, "--out", tmp_path)
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "schema 1" in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_an_earlier_schema_has_its_completion_times_all_together(tmp_path: Path) -> None:
    file, record = make("jct-cdf", [OLD_RUN], tmp_path, drawn=False)
    with file.open() as lines:
        assert {row["panel"] for row in csv.DictReader(lines)} == {"all"}
    assert "schema 1" in json.loads(record.read_text())["notes"][0]


@pytest.mark.parametrize("name", ["jct-cdf", "wait-cdf", "rho-cdf", "usage", "lost-time", "round-cost"])
def test_a_study_none_of_whose_points_has_files_is_refused(name: str, study: Path, tmp_path: Path) -> None:
    with pytest.raises(FigureError, match="none of the points of the study has a run directory yet"):
        make(name, [study], tmp_path, drawn=False)


def test_more_lines_than_can_be_told_apart_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(FigureError, match=r"12 lines.*name at most 10"):
        make("jct-cdf", [run] * 12, tmp_path, drawn=False)


def test_a_broken_study_is_one_message(study: Path, tmp_path: Path, phasewise: Callable) -> None:
    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    (copy / "table.parquet").write_bytes(b"PAR1 and no more")
    said = phasewise("figure", "jct-vs-rate", copy)
    assert (said.code, len(said.err.splitlines())) == (2, 1)
    assert "table.parquet" in said.err
    (copy / "study.toml").write_text("[study")
    assert "study.toml: cannot be read" in phasewise("figure", "jct-vs-rate", copy).err


def test_without_matplotlib_the_message_names_the_extra(
    run: Path, tmp_path: Path, phasewise: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("phasewise.reports.figure_files.making.find_spec", lambda _: None)
    said = phasewise("figure", "usage", run, "--out", tmp_path / "out")
    assert said.code == 2
    assert "pip install 'phasewise[plots]'" in said.err
    assert not (tmp_path / "out").exists()
    assert phasewise("figure", "usage", run, "--out", tmp_path / "out", "--data-only").code == 0


def test_a_folder_that_cannot_be_made_is_one_message(run: Path, tmp_path: Path, phasewise: Callable) -> None:
    (tmp_path / "file").write_text("")
    said = phasewise("figure", "usage", run, "--data-only", "--out", tmp_path / "file" / "deeper")
    assert (said.code, len(said.err.splitlines())) == (2, 1)
