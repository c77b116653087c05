"""Every trace format from its file to a figure: checked, described, converted, run for some rounds, drawn."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from trace_samples import SAMPLES

from phasewise.sched.cluster.node_lists import read_node_list
from phasewise.sched.workload.importing.importer import import_trace

pytestmark = pytest.mark.thorough

BESIDE = {
    "acme_kalos/trace_kalos.csv": (),
    "acme_seren/trace_seren.csv": (),
    "alibaba2026_spot/handmade_job_info_df.csv": ("alibaba2026_spot/handmade_node_info_df.csv",),
    "gavel10/artifact_evaluation_head.trace": (),
    "gavel7/legacy_head.trace": (),
    "helios/cluster_log.csv": ("helios/cluster_gpu_number.csv",),
    "pai2020/pai_task_table.csv": ("pai2020/pai_machine_spec.csv",),
    "shockwave12/120_jobs_head.trace": (),
    "slurm_sacct/handmade_sacct.txt": (),
    "swf/handmade.swf": (),
}
"""By a trace beside the checkout, its list of nodes, where it has one."""


def types_of(trace: Path, nodes: Path | None) -> list[str]:
    """Return the GPU types of the nodes, or those on which the durations of a converted trace were taken."""
    if nodes is not None:
        return sorted({node.worker_type for node in read_node_list(str(nodes))})
    named = {kind for block in import_trace(trace) for kind in block.column("gpu_type").to_pylist()}
    return sorted(named - {None}) or ["v100"]


def from_file_to_figure(
    trace: Path, nodes: Path | None, reading: tuple[str, ...], folder: Path, phasewise: Callable
) -> int:
    """Take a trace all the way; return how many jobs were run, or refused."""

    def done(*words: object) -> str:
        said = phasewise(*words)
        assert said.code == 0, said.err
        assert "Traceback" not in said.err
        return said.out

    assert "no fault found" in done("validate", trace, *reading)
    figures = json.loads(done("trace", "describe", trace, *reading, "--json", "-q", "--html", folder / "page.html"))
    assert figures["jobs"] == figures["rows_kept"] > 0
    done("trace", "convert", trace, *reading, "--out", folder / "jobs.parquet", "-q")
    types = types_of(folder / "jobs.parquet", nodes)
    machines = ["--cluster", ",".join(f"{name}=128" for name in types)]
    machines += ["--gpus-per-node", ",".join(f"{name}=8" for name in types)]
    done(
        "run", "toy", "-q", "--trace", folder / "jobs.parquet", *(["--nodes", nodes] if nodes else machines),
        "--policy", "fifo", "--speed", ",".join(f"{name}=1" for name in types), "--reference-type", types[0],
        "--rounds", "60", "--out", folder / "run",
    )  # fmt: skip
    done("figure", "usage", folder / "run", "--out", folder / "figures", "--data-only")
    with (folder / "figures" / "usage.csv").open() as file:
        assert len(list(csv.DictReader(file))) > 1
    summary = json.loads((folder / "run" / "run.json").read_text())["summary"]
    names = pq.read_table(folder / "run" / "jobs.parquet")["name"].to_pylist()
    assert len(names) == summary["jobs_arrived"]
    return summary["jobs_arrived"]


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_of_every_format_gets_to_a_figure(name: str, tmp_path: Path, phasewise: Callable) -> None:
    sample = SAMPLES[name]
    (tmp_path / "log").write_text(sample.text)
    reading = ("--trace-format", name, *sample.options)
    arrived = from_file_to_figure(tmp_path / "log", None, reading, tmp_path, phasewise)
    assert arrived == sum(job.get("arrival_s", 0.0) < 60 * 360.0 for job in sample.jobs)


@pytest.mark.parametrize("trace", BESIDE)
def test_a_trace_beside_the_checkout_gets_to_a_figure(
    trace: str, shared_dir: Path, tmp_path: Path, phasewise: Callable
) -> None:
    folder = shared_dir / "data" / "traces"
    nodes = next((folder / name for name in BESIDE[trace]), None)
    assert from_file_to_figure(folder / trace, nodes, (), tmp_path, phasewise) > 0
