"""What the verdict makes of recorded samples: how often it sees a slowdown, and how often one that is not there.

``python -P -m phasewise.bench.gate.power SAMPLES.csv`` reads what the self-test recorded of equal copies. A run of the
gate is drawn from the recorded worker pairs, none twice, and a slowdown is added to all of its head's samples.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import numpy as np

from phasewise.bench.cli.boundary import guarded
from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.limits import Limits, load_limits
from phasewise.bench.gate.verdict import Floats, Verdict, interval_of, judge_time, judge_time_at_last
from phasewise.profiling.errors import cannot_read

SLOWDOWNS: Final = (0.0, 0.03, 0.05, 0.06, 0.07, 0.10)


def recorded_logs(path: Path) -> dict[str, Floats]:
    """Return for each case the (P, S) logarithms of head over base of equal copies: P worker pairs, S samples of each.

    Raises
    ------
    GateError
        Where the table is not one of the self-test's.
    phasewise.profiling.errors.RecordError
        Where it cannot be read.
    """
    pairs: dict[str, dict[tuple[str, str], list[float]]] = {}
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["planted"] == "nothing":
                    samples = pairs.setdefault(row["case"], {}).setdefault((row["run"], row["pair"]), [])
                    samples.append(float(np.log(float(row["head_s"]) / float(row["base_s"]))))
    except OSError as error:
        raise cannot_read(path, error) from error
    except (KeyError, ValueError) as error:
        raise GateError(f"{path}: not a table of samples of the self-test: {error!r}") from error
    return {case: np.array(list(rows.values())) for case, rows in pairs.items()}


def verdicts(logs: Floats, limits: Limits, slowdown: float, runs: int) -> Counter[Verdict]:
    """Return how often each verdict comes of ``runs`` runs drawn from recorded pairs (P, S), slower by a fraction."""
    rng = np.random.default_rng(0)
    sampling, band = limits.sampling, limits.band
    most = min(len(logs), sampling.pairs * (1 + sampling.again))
    found: Counter[Verdict] = Counter()
    for _ in range(runs):
        drawn = logs[rng.permutation(len(logs))] + np.log1p(slowdown)
        verdict = judge_time(interval_of(drawn[: sampling.pairs], band.level), band)
        if verdict is Verdict.UNDECIDED:
            verdict = judge_time_at_last(interval_of(drawn[:most], band.level), band)
        found[verdict] += 1
    return found


def table(path: Path, runs: int) -> Iterator[str]:
    """Yield the lines of a Markdown table: for each case and slowdown, the share of runs that are slower."""
    limits = load_limits()
    yield f"| case | pairs | spread of pairs | {' | '.join(f'{each:+.0%}' for each in SLOWDOWNS)} |"
    yield f"|---|---|---|{'---|' * len(SLOWDOWNS)}"
    for case, logs in recorded_logs(path).items():
        if len(logs) < limits.sampling.pairs:
            raise GateError(f"{path}: {case} has {len(logs)} worker pairs; needed: {limits.sampling.pairs}")
        counts = (verdicts(logs, limits, slowdown, runs) for slowdown in SLOWDOWNS)
        cells = [f"{100.0 * each[Verdict.SLOWER] / runs:.0f} %{_undecided(each, runs)}" for each in counts]
        spread = 100.0 * float(np.median(logs, axis=1).std(ddof=1))
        yield f"| `{case}` | {len(logs)} | {spread:.1f} % | {' | '.join(cells)} |"


def _undecided(found: Counter[Verdict], runs: int) -> str:
    share = 100.0 * found[Verdict.UNDECIDED] / runs
    return f" ({share:.0f} % undecided)" if share else ""


@click.command(help="Say how often the gate's verdict on recorded samples would be slower, by added slowdown.")
@click.argument("samples", type=click.Path(path_type=Path))
@click.option("--runs", type=click.IntRange(min=1), default=30, show_default=True, help="Runs to draw of every kind.")
def command(samples: Path, runs: int) -> None:
    """Print the table."""
    for line in table(samples, runs):
        click.echo(line)


def main() -> None:
    """Run the command and end the process with its exit code."""
    raise SystemExit(guarded(lambda: command(standalone_mode=False)))


if __name__ == "__main__":
    main()
