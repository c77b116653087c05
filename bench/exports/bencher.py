"""The Bencher Metric Format: of each benchmark its latency in nanoseconds of CPU time, and its counters of work."""

from __future__ import annotations

import json
from typing import Any, Final

from phasewise.bench.exports.content import Benchmark, Content
from phasewise.bench.exports.errors import ExportError

DESCRIPTION: Final = "for `bencher run --adapter json`"
LATENCY: Final = "latency"  # the measure that Bencher has for times, in nanoseconds
_NANO: Final = 1e9


def written(content: Content) -> bytes:
    """Return the file; raises `ExportError` where nothing was measured."""
    if not content.benchmarks:
        raise ExportError(f"{content.source}: it has no CPU times, so there is nothing to export")
    metrics = {benchmark.name: _measures(benchmark) for benchmark in content.benchmarks}
    return json.dumps(metrics, indent=1, allow_nan=False).encode()


def _measures(benchmark: Benchmark) -> dict[str, Any]:
    low, estimate, high = (_NANO * value for value in benchmark.estimate_s)
    time = {"value": estimate, "lower_value": low, "upper_value": high}
    return {LATENCY: time, **{name.replace("_", "-"): {"value": float(each)} for name, each in benchmark.work.items()}}
