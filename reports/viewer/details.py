"""What a job's page says of it beyond what the map needs: how it ended, its times, whose it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from phasewise.reports.run_directory import Run
from phasewise.reports.viewer.jobs import JobTable
from phasewise.reports.viewer.slots import Stays

Ints = npt.NDArray[np.int64]

_MOST = (1 << 32) - 2  # what a block carries, less the 1 by which a known value is more than 0
NUMBERS: Final = {
    "first_start_s": 1.0,
    "end_s": 1.0,
    "jct_s": 1.0,
    "gpu_s": 1.0,
    "moves": 1.0,
    "restarts": 1.0,
    "rounds_run": 1.0,
    "scale_factor": 1000.0,
    "priority_weight": 1000.0,
}
WORDS: Final = ("status", "user", "vc", "class", "name")


@dataclass(frozen=True, slots=True)
class Details:
    """Columns of jobs.parquet, J jobs in ascending order of id.

    Attributes
    ----------
    numbers
        By column (J,) int64: the value times the column's factor, rounded, plus 1; 0 where it is not known. Seconds
        stand as they are, GPUs and weights in thousandths.
    held_from, held_to
        (J,) first round in which it held a GPU, and the one after the last; 0 and 0 where it never did.
    words
        By column the distinct texts, and (J,) which of them; the text of a job that has none is empty.
    """

    numbers: Mapping[str, Ints]
    held_from: Ints
    held_to: Ints
    words: Mapping[str, tuple[Sequence[str], Ints]]

    def arrays(self) -> list[Ints]:
        """Return all of it as arrays of whole numbers, texts as the octets of their lines, as the page reads them."""
        found = [*self.numbers.values(), self.held_from, self.held_to]
        for texts, index in self.words.values():
            found += [_octets(texts), index]
        return found


def read_details(run: Run, job_id: Ints, stays: Stays) -> Details:
    """Return the details of the jobs with the ids ``job_id``, (J,) ascending; those not in the table know nothing.

    Parameters
    ----------
    stays
        What the jobs held; ``job`` is an index into ``job_id``.

    Raises
    ------
    RunDirectoryError
        Where the table of jobs holds something else than numbers in a column of such.
    """
    table = JobTable.read(run.jobs, job_id)
    numbers = {}
    for name, factor in NUMBERS.items():
        value = np.clip(np.rint(factor * table.numbers(name)), 0, _MOST) + 1
        numbers[name] = np.where(np.isnan(value), 0, value).astype(np.int64)
    words = {}
    for name in WORDS:
        texts, index = np.unique(table.words(name, ""), return_inverse=True)
        words[name] = ([" ".join(str(text).split()) for text in texts], index.astype(np.int64))
    held_from, held_to = np.full(len(job_id), _MOST), np.zeros(len(job_id), np.int64)
    np.minimum.at(held_from, stays.job, stays.start)
    np.maximum.at(held_to, stays.job, stays.end)
    return Details(numbers, np.minimum(held_from, held_to), held_to, words)


def _octets(texts: Sequence[str]) -> Ints:
    return np.frombuffer("\n".join(texts).encode(), np.uint8).astype(np.int64)
