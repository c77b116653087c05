"""Compile every kernel ahead of time: ``python -P -m phasewise.bench.precompile``, or ``make kernels``.

A run compiles what it needs before it begins. Where many begin at once, as in the tests or in a batch, or where others
cannot compile, as in a read-only image, this does it once and for all, on all cores.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted

PLACEMENTS: Final = ("fgd", "best_fit", "dot_product", "gpu_packing", "gpu_clustering", "random", "strided")


def of_simulation() -> list[Wanted]:
    """Return the kernels of the loop."""
    from phasewise.profiling.jit.kernel import wanted
    from phasewise.sched.round import kernels, lease_kernels, round_kernels, selection_kernels

    of_rounds = (kernels, selection_kernels, round_kernels, lease_kernels)
    return [each for module in of_rounds for kernel in module.KERNELS for each in wanted(kernel)]


def of_placements() -> list[Wanted]:
    """Return the kernels of every built-in placement, in simulations and in filling a cluster."""
    from phasewise.sched import registry
    from phasewise.sched.cluster.layout import ClusterLayout, Node
    from phasewise.sched.nodes.compiled_form import kernels_of_filling, kernels_of_rounds

    options = registry.PlacementOptions(ClusterLayout.of([Node("one", "v100", 2, 8000, 8000)]), whole_gpus=False)
    original = registry.placement("fgd", dataclasses.replace(options, bit_compatible=True)).rule  # type: ignore[attr-defined]
    rules = [registry.placement(name, options).rule for name in PLACEMENTS]  # type: ignore[attr-defined]
    in_runs = [each for rule in rules for teams in (False, True) for each in kernels_of_rounds(rule, teams=teams)]
    return in_runs + [each for rule in (*rules, original) for each in kernels_of_filling(rule)]


def of_solvers() -> list[Wanted]:
    """Return the kernels of every backend, and of the choice among equal optima."""
    from phasewise.solvers import registry
    from phasewise.solvers.structured import nearest

    backends = [registry.get(name) for name in registry.names()]
    of_backends = [each for backend in backends for each in registry.kernels(backend, backend.families)]
    return [*of_backends, *nearest.kernels()]


def every() -> list[Wanted]:
    """Return every built-in kernel, each once."""
    return list(dict.fromkeys([*of_simulation(), *of_placements(), *of_solvers()]))


def measured(kernels: Iterable[Wanted]) -> dict[str, float]:
    """Return the CPU seconds that compiling each kernel takes in a process that compiles all in this order."""
    from phasewise.profiling.jit.account import ACCOUNT
    from phasewise.profiling.jit.store import Store, used

    cpu_s: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder, used(Store(Path(folder))):
        for each in kernels:
            known = len(ACCOUNT.compilations)
            each.kernel.result_for(each.signature)
            cpu_s[each.title] = sum(compiled.cpu_s for compiled in ACCOUNT.compilations[known:])
    return cpu_s


def table(cpu_s: Mapping[str, float]) -> str:
    """Return what `phasewise.profiling.jit.prepare` estimates by, as a file."""
    lines = [f'"{title}" = {seconds:.2f}' for title, seconds in sorted(cpu_s.items())]
    head = "# CPU seconds of compiling each kernel: python -P -m phasewise.bench.precompile --measure makes this file."
    return "\n".join([head, "[cpu_s]", *lines, ""])


@click.command()
@click.option("--measure", is_flag=True, help="Compile everything anew, and note what each kernel took.")
@click.option("--install", is_flag=True, help="Also put them where every user of this installation finds them.")
def main(install: bool, measure: bool) -> None:
    """Compile what is not compiled yet."""
    from phasewise.profiling.jit import store
    from phasewise.profiling.jit.prepare import EXPECTED, prepare

    began_s, kernels = time.perf_counter(), every()
    if measure:
        cpu_s = measured(kernels)
        EXPECTED.write_text(table(cpu_s), encoding="utf-8")
        click.echo(f"{sum(cpu_s.values()):.0f} s of CPU time in all; noted in {EXPECTED}")
        return
    prepare(kernels, lambda text: click.echo(text, err=True))
    click.echo(f"all {len(kernels)} kernels are compiled ({time.perf_counter() - began_s:.0f} s)")
    if install:
        names = [name for each in kernels if (name := each.kernel.file_of(each.signature)) is not None]
        try:
            store.install(names)
        except OSError as error:
            sys.exit(f"cannot write {store.installed_folder()}: {error.strerror}")
        click.echo(f"and installed in {store.installed_folder()}")


if __name__ == "__main__":
    main()
