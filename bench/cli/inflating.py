"""The inflation experiment from the command line: the folder, the display, the signals, and what is printed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasewise.bench.cli.boundary import InterruptedRunError, Interruption
from phasewise.bench.cli.directories import claimed
from phasewise.bench.cli.progress import LINE_INTERVAL_S, Throttle
from phasewise.bench.cli.runs import Voice

if TYPE_CHECKING:
    from rich.table import Table

    from phasewise.profiling.artefacts.fill_files import Status
    from phasewise.sched.errors import InflationFailedError
    from phasewise.sched.inflation.experiment import Experiment, Filling, FillProgress, Setting


def perform(setting: Setting, out: Path, *, quiet: bool, overwrite: bool) -> dict[str, Any]:
    """Do the experiment, write its folder, and return its summary.

    Raises
    ------
    InterruptedRunError
        On Ctrl-C or SIGTERM, after what happened until then has been saved.
    phasewise.sched.errors.InflationFailedError
        Where a file could not be written, or a placement failed.
    phasewise.sched.errors.SchedulingError
        Where the input is wrong; nothing was written.
    """
    from phasewise.sched.inflation.experiment import Filling, fill, prepare, prepare_kernels

    voice, interruption = Voice(quiet), Interruption()
    experiment, filling = prepare(setting), Filling()
    _warn_of_unplaceable(experiment, voice)
    with claimed(out, "inflate", overwrite=overwrite) as path, interruption.watched():
        prepare_kernels(experiment, voice.say, interruption.asked)
        try:
            fill(experiment, filling, progress=_told(voice), interrupted=interruption.asked)
        except KeyboardInterrupt as interrupt:
            _save(path, experiment, filling, "interrupted")
            raise InterruptedRunError(f"the results so far are saved in {path}", left=path) from interrupt
        except BaseException as error:  # a defect, of ours or of a plug-in, even where that asks for the end
            raise _blamed(error, path, experiment, filling) from error
        return _save(path, experiment, filling, "complete")


def _warn_of_unplaceable(experiment: Experiment, voice: Voice) -> None:
    """Warn of pods that no node can ever take: they count as arrived, and no placement can do anything for them."""
    from phasewise.sched.inflation.unplaceable import arrivals_of, unplaceable

    pods = unplaceable(experiment)
    if pods:
        voice.warn(
            f"{arrivals_of(experiment, pods):,} of {experiment.arrivals:,} arrivals are of pods that no node can ever "
            f"take, and count as failed; for example, {next(iter(pods.values()))}"
        )


def _save(path: Path, experiment: Experiment, filling: Filling, status: Status) -> dict[str, Any]:
    from phasewise.profiling.errors import OutputError
    from phasewise.sched.errors import InflationFailedError
    from phasewise.sched.inflation.records import write_experiment

    try:
        return write_experiment(path, experiment, filling, status=status, command=["phasewise", *sys.argv[1:]])
    except OutputError as error:
        raise InflationFailedError(f"the experiment failed after {len(filling)} arrivals: {error}") from error


def _blamed(error: BaseException, path: Path, experiment: Experiment, filling: Filling) -> InflationFailedError:
    """Return the error that ends the experiment: whose defect it is, and where what happened until then is saved."""
    from phasewise.profiling.defects import keep_traceback, said, where_kept
    from phasewise.sched.defects import placement_part, reason
    from phasewise.sched.errors import InflationFailedError

    told = f"after {len(filling)} arrivals: {reason(error, placement_part(experiment.setting.placement))}"
    kept = where_kept(keep_traceback(error, path), error)
    try:
        _save(path, experiment, filling, "failed")
    except Exception as further:
        return InflationFailedError(f"the experiment failed {told}; {kept}; nothing else was saved: {said(further)}")
    return InflationFailedError(f"the experiment failed {told}; {kept}; the results so far are saved in {path}")


def _told(voice: Voice) -> Callable[[FillProgress], None]:
    throttle = Throttle(LINE_INTERVAL_S)

    def tell(filled: FillProgress) -> None:
        rate = throttle.due(filled.arrived)
        if rate is not None:
            voice.say(
                f"inflate: {filled.arrived:,}/{filled.arrivals:,} arrived  {filled.alloc_pct:.1f} % allocated  "
                f"{rate:,.0f} pods/s"
            )

    return tell


def summary_table(setting: Setting, summary: Mapping[str, Any]) -> Table:
    """Return the figures at the last load, as a table."""
    from rich.table import Table

    title = f"{setting.placement}, seed {setting.seed}: {summary['nodes']:,} nodes, {summary['gpus']:,} GPUs"
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    failed = ", ".join(f"{name} {count}" for name, count in summary["failed_by_class"].items())
    cost, impossible = summary["cpu_us_per_pod"], summary["unplaceable_pods"]
    for name, value in (
        ("arrived load", f"{summary['arrived_load_pct']} %"),
        ("GPUs in use", f"{summary['alloc_pct']:.2f} %"),
        ("fragmented, of all GPUs", f"{summary['frag_pct_of_total']:.2f} %"),
        ("fragmented, of idle GPUs", f"{summary['frag_pct_of_idle']:.2f} %"),
        ("pods arrived", f"{summary['arrived_pods']:,} ({summary['clones']:,} clones)"),
        ("pods without a node", f"{summary['failed_pods']:,}" + (f" ({failed})" if failed else "")),
        *([("of these, no node can ever take", f"{impossible:,}")] if impossible else []),
        ("CPU time per pod", "-" if cost is None else f"{cost:.1f} us"),
    ):
        table.add_row(name, value)
    return table
