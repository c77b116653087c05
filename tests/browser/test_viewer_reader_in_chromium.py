"""What a reader of the viewer does in a real Chromium: keys, links, search, pages of jobs and nodes, themes, paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from chromium import run_in_chromium
from synthetic_run import TEAM_LAG, TEAM_ROUNDS, TEAM_STEP, RunShape, write_run

from phasewise.reports.run_directory import load_run
from phasewise.reports.viewer.page import write_viewer

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

SHAPE = RunShape(rounds=200, jobs=60, teams=3, users=("ada", "grace", "linus"))
OTHER = RunShape(rounds=180, jobs=60, seed=9, teams=3)
LAST = SHAPE.rounds - 1
LIGHT, DARK = "rgb(252, 251, 249)", "rgb(20, 23, 26)"


@dataclass(frozen=True)
class Read:
    """What was met, and the tables of the run that it was met on."""

    seen: dict[str, Any]
    jobs: list[dict[str, Any]]
    placements: list[dict[str, Any]]
    rounds: dict[str, list[Any]]

    def job(self, job_id: int) -> dict[str, Any]:
        """Return the row of a job."""
        return next(row for row in self.jobs if row["job_id"] == job_id)

    def stays(self, job_id: int) -> list[dict[str, Any]]:
        """Return the rows of what a job held."""
        return [row for row in self.placements if row["job_id"] == job_id]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Read:
    folder = tmp_path_factory.mktemp("reader")
    run, other = write_run(folder / "run", SHAPE), write_run(folder / "other", OTHER)
    one = write_viewer([load_run(run)], folder / "one.html")
    two = write_viewer([load_run(run), load_run(other)], folder / "two.html")
    seen = run_in_chromium("inspect_viewer_reader.mjs", one, two)
    tables = {name: pq.read_table(run / f"{name}.parquet") for name in ("jobs", "placements", "rounds")}
    return Read(seen, tables["jobs"].to_pylist(), tables["placements"].to_pylist(), tables["rounds"].to_pydict())


def hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f}\u202fh"


def test_nothing_goes_wrong(read: Read) -> None:
    assert read.seen["problems"] == []


def test_arrow_keys_move_rounds_whatever_was_used_before(read: Read) -> None:
    moved = read.seen["keys"]["moved"]
    assert len(moved) == 7
    for name, found in moved.items():
        assert found == [1, 0, 10, LAST, 0, True], name  # on, back, on by ten, the last, the first; the speed stays


def test_keys_that_follow_each_other_at_once_add_up(read: Read) -> None:
    assert read.seen["keys"]["quick"] == 5  # from round 0, where the last of the controls left it


def test_keys_are_letters_while_a_reader_types(read: Read) -> None:
    assert read.seen["keys"]["typed"] == [0, 0, "12"]


def test_the_help_lists_the_keys_and_closes(read: Read) -> None:
    keys = read.seen["keys"]
    for word in ("← →", "Home, End", "Page Up, Page Down", "Space", "W A S D", "Escape"):
        assert word in keys["help"]
    assert keys["closed"] is True


def test_without_a_link_the_page_opens_where_it_says(read: Read) -> None:
    opened = read.seen["links"]["opened"]
    queued, used = np.array(read.rounds["queued"]), np.array(read.rounds["utilization"])
    busiest = int(np.where(queued == queued.max(), used, -1).argmax())
    assert opened["round"] == busiest > 0
    assert f"The page opens at round {busiest}, where most" in opened["lede"]
    assert opened["address"] == f"#round={busiest}"


def test_the_address_keeps_what_is_shown_and_a_reload_shows_it(read: Read) -> None:
    links = read.seen["links"]
    assert links["kept"] == "#round=10&job=7&view=time&colour=job&theme=dark"
    expected = {"round": 10, "pinned": {"job": 7}, "part": "time", "scheme": "job", "theme": "dark", "background": DARK}
    assert links["before"] == links["after"] == expected
    assert links["scrolled"] is True


def test_a_changed_address_changes_what_is_shown(read: Read) -> None:
    changed = read.seen["links"]["changed"]
    assert (changed["round"], changed["pinned"], changed["theme"]) == (33, {"node": 2}, "auto")
    assert changed["background"] == LIGHT


def test_the_address_keeps_whether_times_are_cpu_or_wall(read: Read) -> None:
    said = read.seen["links"]["wall"].removeprefix("#").split("&")
    assert {"round=21", "time=wall"} < {*said, ""}


def test_an_address_that_asks_for_what_is_not_there_is_told(read: Read) -> None:
    wrong = read.seen["links"]["wrong"]
    assert (wrong["round"], wrong["pinned"]) == (LAST, None)
    for words in ("there is no job 4711", f"the last is {LAST}", "view is “nowhere”", "theme is “x”"):
        assert words in wrong["told"]


@pytest.mark.parametrize(("way", "job"), [("id", 5), ("name", 11)])
def test_a_job_is_found_by_its_id_and_by_its_name(read: Read, way: str, job: int) -> None:
    found = read.seen["found"][way]
    assert found["suggestions"][0].startswith(f"job {job} ")
    assert (found["title"], found["focused"]) == (f"Job {job}", "job-title")


def test_jobs_of_a_user_are_suggested_and_chosen_with_the_arrow_keys(read: Read) -> None:
    found = read.seen["found"]["user"]
    of_grace = [row["job_id"] for row in read.jobs if row["user"] == "grace"][:8]
    assert [int(text.split()[1]) for text in found["suggestions"]] == of_grace
    assert found["title"] == f"Job {of_grace[0]}"
    assert read.seen["found"]["none"] == "No job or node like that."


def test_the_page_of_a_job_says_what_its_tables_say(read: Read) -> None:
    for way, job in (("id", 5), ("name", 11)):
        facts, row = read.seen["found"][way]["facts"], read.job(job)
        assert facts["Type"] == row["job_type"]
        assert (facts["Name"], facts["User"]) == (row["name"], row["user"])
        assert facts["Status"] == "completed"
        assert facts["Arrived"].startswith(hours(row["arrival_s"]))
        assert facts["Left"].startswith(hours(row["end_s"]))
        assert float(facts["JCT"].split("\u202f")[0]) == pytest.approx(row["jct_s"] / 3600, rel=5e-3)
        assert float(facts["Fairness ρ"]) == pytest.approx(row["rho"], rel=5e-3)
        assert facts["Moves"] == str(row["moves"])


def test_the_page_of_a_job_lists_its_stays(read: Read) -> None:
    (row,), (stay,) = read.seen["found"]["name"]["rows"], read.stays(11)
    first, end = stay["start_round"], min(stay["end_round"], SHAPE.rounds)
    assert row[0] == (f"{first}–{end - 1}" if end - first > 1 else str(first))
    assert row[1] == hours(first * 360.0)
    assert row[4:] == [f"node {stay['node']} GPU {stay['gpu']}", ""]


def test_two_jobs_of_half_a_gpu_each_are_drawn_sharing_it(read: Read) -> None:
    halves = read.seen["halves"]
    assert halves["held"] == 2
    *_, lower, upper = sorted(halves["heights"])
    assert abs(lower - upper) <= 1
    assert lower + upper >= halves["cell"] - 3  # what is left over is the seams


def test_the_page_of_a_job_says_with_whom_it_shared(read: Read) -> None:
    ((rounds, _, _, _, place, company),) = read.seen["team"]["rows"]
    start = TEAM_STEP
    both = range(start + TEAM_LAG, start + TEAM_ROUNDS)
    assert rounds == f"{start}–{start + TEAM_ROUNDS - 1}"
    assert place == "node 1 GPU 0 (50\u202f%)"
    assert company == f"job 3 50\u202f% in rounds {both[0]}–{both[-1]}"


def test_a_link_on_the_page_of_a_job_goes_to_its_round(read: Read) -> None:
    assert read.seen["team"]["round"] == read.stays(2)[0]["start_round"]


def test_the_page_of_a_node_lists_who_is_on_it_now(read: Read) -> None:
    kind = read.job(2)["job_type"]
    assert read.seen["node"]["title"] == "Node 1"
    assert read.seen["node"]["rows"] == [
        ["0", "2", kind, "50\u202f%", str(TEAM_STEP)],
        ["0", "3", kind, "50\u202f%", str(TEAM_STEP + TEAM_LAG)],
    ]


def test_clicks_on_a_shared_gpu_mark_its_jobs_in_turn_and_with_shift_its_node(read: Read) -> None:
    assert read.seen["clicks"] == [{"job": 2}, {"job": 3}, None, {"node": 1}, None]


@pytest.mark.parametrize("table", ["waits", "runs"])
def test_a_line_of_a_table_opens_the_page_of_its_job(read: Read, table: str) -> None:
    job, title = read.seen["lines"][table]
    assert title == f"Job {job}"


def test_every_control_has_a_name_and_the_focus_is_seen(read: Read) -> None:
    assert read.seen["access"] == {"nameless": [], "unseen": []}


def test_nothing_scrolls_sideways_on_a_phone(read: Read) -> None:
    assert len(read.seen["narrow"]) == 6
    assert set(read.seen["narrow"].values()) == {0}
    assert read.seen["keys"]["phone"] == 0


def test_paper_is_light_and_has_its_bars_and_no_controls(read: Read) -> None:
    paper = read.seen["print"]
    assert (paper["background"], paper["edges"]) == (LIGHT, "light")
    assert paper["repainted"] is True  # canvases hold pixels: they are drawn anew
    assert set(paper["bars"]) == {"exact"}
    assert paper["hidden"] == ["none", "none"]
    assert paper["facts"] != "none"
    assert (paper["again"]["background"], paper["again"]["theme"]) == (DARK, "dark")
    assert paper["pages"] > 0


def test_two_runs_begin_with_their_completion_times(read: Read) -> None:
    beside = read.seen["beside"]
    assert beside["order"] == ["jct", "map", "job", "queue", "time"]
    assert beside["heads"][:3] == ["average JCT h", "JCT p50 h", "JCT p95 h"]
    assert beside["pages"] == [1, 1]
