"""The page of a trace: what stands at its axes and in its tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from phasewise.reports.trace_page import over_days, short


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.05, "0.05"), (12.3456, "12.35"), (999.96, "1,000"), (16_960.4, "16,960")]
)
def test_heights_are_told_without_exponents(value: float, text: str) -> None:
    assert short(value) == text


def test_labels_of_many_jobs_are_whole_numbers() -> None:
    picture = over_days("Arrivals", "jobs a day", [16_960.0, 50_000.0], 1e6)
    assert [label for _, label in picture.ticks] == ["0", "500,000", "1,000,000"]
    assert [bar.title for bar in picture.bars] == ["day 0: 16,960", "day 1: 50,000"]


def test_shares_are_bars_in_the_colour_of_the_page(tmp_path: Path, phasewise: Callable) -> None:
    trace, page = tmp_path / "jobs.csv", tmp_path / "page.html"
    trace.write_text("at,gpus,seconds,who\n0,1,3600,ann\n60,3,3600,bob\n")
    columns = "submit=at,gpus=gpus,duration=seconds,user=who"
    assert phasewise("trace", "describe", trace, "--format", "csv", "--map", columns, "--html", page, "-q").code == 0
    text = page.read_text()
    assert re.findall(r">(ann|bob)</td>.*?width: ([\d.]+)%", text) == [("bob", "75.00"), ("ann", "25.00")]
    assert "75.0 %" in text
    assert "<meter" not in text
