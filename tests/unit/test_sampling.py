"""Running under pyinstrument and line_profiler."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

import pytest

from phasewise.profiling import stats
from phasewise.profiling.errors import OutputError, SamplingError
from phasewise.profiling.sampling import profile_lines, sample_stacks


def work() -> float:
    total = 0.0
    for index in range(20_000):
        total += math.sqrt(index)
    return total


class Worker:
    def work(self) -> float:
        return work()


def test_sampling_returns_the_result_and_writes_one_page_that_names_the_function(tmp_path: Path) -> None:
    def call() -> float:
        return sum(work() for _ in range(20))

    assert sample_stacks(call, tmp_path / "stacks.html") == pytest.approx(20 * work())
    page = (tmp_path / "stacks.html").read_text(encoding="utf-8")
    assert "<html" in page.lower()
    assert "work" in page
    assert [path.name for path in tmp_path.iterdir()] == ["stacks.html"]


def test_the_page_of_stacks_asks_for_no_fonts_and_keeps_no_more_samples_than_wanted(tmp_path: Path) -> None:
    def long_work() -> None:
        for _ in range(2):
            work()

    sample_stacks(long_work, tmp_path / "all.html", interval_s=1e-4)
    sample_stacks(long_work, tmp_path / "few.html", interval_s=1e-4, most=5)
    sizes = [(tmp_path / name).stat().st_size for name in ("few.html", "all.html")]
    assert sizes[0] < sizes[1]
    assert "fonts.googleapis" not in (tmp_path / "all.html").read_text(encoding="utf-8")


def test_line_times_are_written_to_the_one_file_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "cwd"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert profile_lines(work, [work], tmp_path / "lines.txt") == work()
    text = (tmp_path / "lines.txt").read_text(encoding="utf-8")
    assert "total += math.sqrt(index)" in text
    assert os.listdir(elsewhere) == []  # noqa: PTH208


def cold() -> float:
    return math.sqrt(2.0)


def test_the_hottest_function_is_first_in_the_list_and_in_the_lines(tmp_path: Path) -> None:
    def call() -> None:
        cold()
        work()

    profile_lines(call, [cold, work], tmp_path / "lines.txt")
    text = (tmp_path / "lines.txt").read_text(encoding="utf-8")
    assert text.count("Timer unit: 1e-06 s") == 1
    assert re.findall(r"seconds - .*:\d+ - (\w+)$", text, re.MULTILINE) == ["work", "cold"]
    assert re.findall(r"^Function: (\w+) at", text, re.MULTILINE) == ["work", "cold"]
    assert text.index("seconds - ") < text.index("Function: work")


def test_a_module_stands_for_the_functions_written_in_it(tmp_path: Path) -> None:
    profile_lines(lambda: stats.median([1.0, 2.0, 4.0]), ["phasewise.profiling.stats"], tmp_path / "lines.txt")
    text = (tmp_path / "lines.txt").read_text(encoding="utf-8")
    assert "return float(np.median(" in text
    assert "errors.py" not in text


def test_functions_and_methods_may_be_named_or_bound(tmp_path: Path) -> None:
    worker = Worker()
    profile_lines(worker.work, [worker.work, "phasewise.profiling.stats:PowerLaw.at"], tmp_path / "lines.txt")
    assert "return work()" in (tmp_path / "lines.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("target", "named"),
    [
        ("phasewise.profiling.nowhere", "nowhere"),
        ("phasewise.profiling.stats:mode", "stats has no mode"),
        (math.sqrt, "sqrt"),
    ],
)
def test_a_target_that_cannot_be_profiled_is_named(target: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(SamplingError, match=named):
        profile_lines(work, [target], tmp_path / "lines.txt")
    assert not (tmp_path / "lines.txt").exists()


def test_the_error_of_the_callable_passes_through_and_nothing_is_written(tmp_path: Path) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        profile_lines(fail, [work], tmp_path / "lines.txt")
    with pytest.raises(ZeroDivisionError):
        sample_stacks(fail, tmp_path / "stacks.html")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*lines\.txt: No such file or directory"):
        profile_lines(work, [work], tmp_path / "missing" / "lines.txt")
