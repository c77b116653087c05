"""A log of a million jobs, drawn by seed: 60 days on 50,000 GPUs, or a part of them in proportion.

The whole log is the one that `docs/howto/bring-your-own-trace.md` writes. A log is kept where it was put: a seed makes
the same one again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv

from phasewise.bench.series.runs import phasewise
from phasewise.profiling.artefacts.sinks import write_atomically

JOBS: Final = 1_000_000
DAYS: Final = 60.0
SEED: Final = 0
_DAY_S: Final = 86_400
_LONGEST_S: Final = 7 * _DAY_S


def log(times: float = 1.0, days: float = DAYS) -> pa.Table:
    """Return the first days of a log with so many times the jobs an hour, in the columns of Helios, a row a job."""
    jobs, rng = round(JOBS * times * days / DAYS), np.random.default_rng(SEED)
    submits = np.cumsum(rng.exponential(days * _DAY_S / jobs, jobs)).astype(np.int64)
    lasts = np.clip(rng.lognormal(np.log(36_000) - 2, 2.0, jobs), 30, _LONGEST_S).astype(np.int64)
    gpus = rng.choice([1, 2, 4, 8], jobs, p=[0.5, 0.1, 0.1, 0.3])
    numbers = np.arange(jobs)
    begun = np.datetime64("2020-03-01", "s") + submits
    return pa.table(
        {
            "job_id": numbers,
            "user": [f"u{number}" for number in (numbers % 997).tolist()],
            "vc": [f"vc{number}" for number in (numbers % 23).tolist()],
            "gpu_num": gpus,
            "cpu_num": gpus,
            "node_num": np.ones(jobs, np.int64),
            "state": ["COMPLETED"] * jobs,
            "submit_time": begun,
            "start_time": begun,
            "end_time": begun + lasts,
            "duration": lasts,
            "queue": np.zeros(jobs, np.int64),
        }
    )


def trace(path: Path, times: float = 1.0, days: float = DAYS) -> None:
    """Write `log`, converted, to the file ``path``, unless there is one.

    Raises
    ------
    phasewise.profiling.errors.OutputError
        Where it cannot be written.
    click.ClickException
        Where it cannot be converted.
    """
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    raw, sink = path.with_suffix(".csv"), pa.BufferOutputStream()
    pyarrow.csv.write_csv(log(times, days), sink, pyarrow.csv.WriteOptions(quoting_style="none"))
    write_atomically(raw, sink.getvalue().to_pybytes())
    phasewise("trace", "convert", str(raw), "--out", str(path))
    raw.unlink()
