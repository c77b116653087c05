"""The JSON of pyperf (version 1.0): a benchmark a case, a run a process, a value a sample, in seconds of CPU time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from phasewise.bench.exports.content import Benchmark, Content
from phasewise.bench.exports.errors import ExportError

DESCRIPTION: Final = "for `pyperf compare_to`, `stats` and `hist`"
_FORMAT: Final = "1.0"
# What pyperf knows by a name of its own; all else of the environment goes by our names.
_NAMES: Final = {"cpu": "cpu_model_name", "cores": "cpu_count", "platform": "platform", "python": "python_version"}


def written(content: Content) -> bytes:
    """Return the file; raises `ExportError` where nothing was measured."""
    benchmarks = list(_benchmarks(content))
    if not benchmarks:
        raise ExportError(f"{content.source}: it has no CPU times, so there is nothing to export")
    whole = {"version": _FORMAT, "metadata": _metadata(content.environment), "benchmarks": benchmarks}
    return json.dumps(whole, indent=1, allow_nan=False).encode()


def _benchmarks(content: Content) -> Iterator[dict[str, Any]]:
    for benchmark in content.benchmarks:
        if runs := _runs(benchmark):
            yield {"metadata": {"name": benchmark.name, "unit": "second", "timer": "CPU time"}, "runs": runs}


def _runs(benchmark: Benchmark) -> list[dict[str, Any]]:
    """Return a run a process; pyperf takes no time that is not above 0."""
    rows = ([float(value) for value in row if value > 0.0] for row in benchmark.samples_s)
    return [{"values": values} for values in rows if values]


def _metadata(environment: Mapping[str, Any]) -> dict[str, Any]:
    found = {_NAMES.get(name, name): value for name, value in environment.items()}
    return {
        name: value for name, value in found.items() if isinstance(value, str | int) and not isinstance(value, bool)
    }
