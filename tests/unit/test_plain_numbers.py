"""What a run says of itself is in Python's own numbers, whatever its kernels hand out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from phasewise.profiling.artefacts.sinks import NullSink
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.recording.recorder import Recorder
from phasewise.sched.scenario.loading import load_scenario


def numbers(summary: dict[str, Any]) -> list[object]:
    inner = [value for value in summary.values() if isinstance(value, dict)]
    return [value for value in summary.values() if not isinstance(value, dict)] + [
        each for value in inner for each in numbers(value)
    ]


def test_a_summary_has_no_number_of_numpys(tmp_path: Path) -> None:
    scenario = load_scenario("toy")
    recorder = Recorder(scenario, ClusterLayout.build(scenario.cluster), tmp_path, NullSink())
    recorder.totals.now_s = np.float64(7.5)
    recorder.totals.last_arrival_s = np.float64(2.5)
    recorder.totals.rounds = np.int64(3)
    recorder.finish("complete", "test")
    assert not [value for value in numbers(recorder.summary()) if isinstance(value, np.generic)]
