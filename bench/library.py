"""The package from Python: runs and figures, as the commands make them; studies are in `phasewise.bench.study.face`.

Flows in: names, paths and overrides, as on the command line. Flows out: files, and a `Run` to look into.
The public face (`import phasewise`) imports this; nothing else does. Errors are those of the parts: see
`docs/howto/use-from-python.md`.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasewise.reports.columns import ColumnTable
from phasewise.reports.figures import PhaseRow, phase_rows
from phasewise.reports.run_directory import Run as RunDirectory
from phasewise.reports.run_directory import Summary, load_run

if TYPE_CHECKING:
    from phasewise.bench.study.face import Study
    from phasewise.sched.scenario.config import Scenario


class Run:
    """A run that is on disk.

    Parameters
    ----------
    directory
        What was read.
    is_kept
        Whether it stays on disk; otherwise its folder goes with the last reference to the run.
    """

    def __init__(self, directory: RunDirectory, *, is_kept: bool = True) -> None:
        self._directory = directory
        if not is_kept:
            weakref.finalize(self, shutil.rmtree, directory.path, ignore_errors=True)

    @property
    def path(self) -> Path:
        """The run directory."""
        return self._directory.path

    @property
    def status(self) -> str:
        """``complete``, ``overloaded``, ``stopped``, ``failed`` or ``interrupted``."""
        return self._directory.status

    @property
    def scenario(self) -> Mapping[str, Any]:
        """The resolved scenario, by section."""
        return self._directory.scenario

    @property
    def summary(self) -> Summary:
        """The figures, as attributes and by name: ``run.summary.avg_jct_s``, ``run.summary["avg_jct_s"]``."""
        return self._directory.summary

    @property
    def jobs(self) -> ColumnTable:
        """A row a job; ``run.jobs["jct_s"]`` is a NumPy column, ``run.jobs.to_pandas()`` a data frame."""
        return self._directory.jobs

    @property
    def rounds(self) -> ColumnTable:
        """A row a round, as `jobs`."""
        return self._directory.rounds

    @property
    def placements(self) -> ColumnTable:
        """A row an interval in which a job held a GPU, as `jobs`."""
        return self._directory.placements

    @property
    def profile(self) -> Mapping[str, PhaseRow]:
        """Where the time of the loop went, by phase, the most CPU time first: ``run.profile["lp_solve"].cpu_s``.

        Times are exclusive seconds; ``other`` is what is in no phase, and the shares of CPU time add up to 1. Empty for
        a run that ended before its first round.
        """
        return {row.name: row for row in phase_rows(self.summary)}

    def report(self, path: Path | str | None = None) -> Path:
        """Write the HTML report, ``report.html`` in the run directory unless a path is given; return where it is.

        Raises
        ------
        phasewise.reports.errors.ReportError
            Where the run's tables are missing or broken.
        phasewise.profiling.errors.OutputError
            Where it cannot be written.
        """
        from phasewise.reports.html import write_report

        return write_report([self._directory], Path(path) if path is not None else self.path / "report.html")

    def __repr__(self) -> str:
        return f"<Run {self._directory.scenario_name!r}: {self.status}, {self.path}>"


def run(
    scenario: str | Path | Scenario,
    out: Path | str | None = None,
    overrides: Mapping[str, object] | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
) -> Run:
    """Simulate a scenario and return the run.

    Parameters
    ----------
    scenario
        A built-in name, the path of a TOML file, or a resolved scenario.
    out
        The run directory; None for a temporary one that lives as long as the `Run`.
    overrides
        Values by dotted key, ``{"policy.name": "fifo", "workload.jobs": 50}``; they win over the scenario. In the place
        of a name of policy, placement or solver may stand a class of yours, or an object of it (a solver also as a list
        of such, a chain); it is known to this call alone.
    overwrite
        Whether a run that is in ``out`` already may be replaced.
    resume
        Whether a run in ``out`` is to go on from its last checkpoint.

    Raises
    ------
    phasewise.sched.errors.SchedulingError, phasewise.solvers.errors.SolverError
        Where the input is wrong, an object of yours lacks something, or the run failed; `RunFailedError` says what was
        saved.
    phasewise.profiling.errors.OutputError
        Where the folder is taken, or cannot be written.

    Warns
    -----
    RuntimeWarning
        Of what changes the meaning of the figures, as jobs that were refused.
    """
    from phasewise.reports.losses import losses

    with _named(overrides or {}) as names:
        found = _simulated(_resolved(scenario, names), out, overwrite=overwrite, resume=resume)
    for loss in losses(found.summary):
        _warn(loss.sentence)
    return found


def _simulated(resolved: Scenario, out: Path | str | None, *, overwrite: bool, resume: bool) -> Run:
    """Return the run of a resolved scenario."""
    from phasewise.bench.cli.directories import claimed
    from phasewise.sched.simulate import Callbacks, simulate

    place = Path(tempfile.mkdtemp(prefix="phasewise-") if out is None else out)
    try:
        with claimed(place, resolved.name, overwrite=overwrite, resume=resume) as path:
            simulate(resolved, path, callbacks=Callbacks(warn=_warn), resume=resume)
        return Run(load_run(place), is_kept=out is not None)
    except BaseException:
        if out is None:  # nobody can reach it
            shutil.rmtree(place, ignore_errors=True)
        raise


@contextmanager
def _named(overrides: Mapping[str, object]) -> Iterator[dict[str, object]]:
    """Yield overrides with a name in the place of each class and object, by which it can be found within."""
    from phasewise.sched import registry
    from phasewise.solvers.registry import given

    names = dict(overrides)
    registers: dict[str, Callable[[Any], AbstractContextManager[str]]] = {
        "policy.name": registry.given_policy,
        "placement.name": registry.given_placement,
        "solver.name": given,
    }
    with ExitStack() as stack:
        for key in registers.keys() & names.keys():
            if not isinstance(names[key], str):
                names[key] = stack.enter_context(registers[key](names[key]))
        yield names


def load(path: Path | str) -> Run:
    """Return the run in the directory ``path``; its tables are read when they are first asked for.

    Raises
    ------
    phasewise.reports.errors.RunDirectoryError
        Where there is none, or it is broken.
    """
    return Run(load_run(path))


def figure(name: str, *paths: Path | str | Run | Study, out: Path | str = ".") -> list[Path]:
    """Draw a figure of runs, studies, fills or a replay; return its files: SVG, PNG, CSV and JSON.

    Parameters
    ----------
    name
        One of ``phasewise figure list``.
    paths
        Folders, runs or studies.
    out
        The folder that the files go to.

    Raises
    ------
    phasewise.reports.errors.ReportError
        Where there is no such figure, or it cannot be made of these.
    """
    from phasewise.reports import figure_files

    places = [Path(each) if isinstance(each, (str, Path)) else each.path for each in paths]
    return figure_files.make(name, places, Path(out))


def _resolved(scenario: str | Path | Scenario, overrides: Mapping[str, object] | None) -> Scenario:
    """Return the scenario with its overrides."""
    from phasewise.sched.scenario.config import Scenario
    from phasewise.sched.scenario.loading import load_scenario, resolve

    if not isinstance(scenario, Scenario):
        return load_scenario(scenario, overrides)
    if overrides:
        raise TypeError("overrides are for a scenario by its name or file; a resolved one has its values")
    return resolve(scenario)


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=3)
