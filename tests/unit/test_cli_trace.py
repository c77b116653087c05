"""`phasewise trace`, and traces of other formats in a run: figures, files, messages, and whose each job is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from trace_samples import DAY_S, SAMPLES

from phasewise import load
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.workload.importing import registry
from phasewise.sched.workload.importing.reference import page

ROOT = Path(__file__).resolve().parents[2]
BAD_INPUT = 2
SPEEDS = ("--speed", "A10=1,A100-SXM4-80GB=3,H800=6,v100=1", "--reference-type", "v100")


def written(name: str, folder: Path) -> Path:
    path = folder / f"{name}.log"
    path.write_text(SAMPLES[name].text)
    return path


def test_the_formats_are_listed_with_what_each_takes_for_granted(phasewise: Callable) -> None:
    plain = phasewise("trace", "formats")
    assert [line.split()[0] for line in plain.out.splitlines()] == list(registry.format_names())
    listed = json.loads(phasewise("trace", "formats", "--json").out)
    assert [each["name"] for each in listed] == list(registry.format_names())
    assert all(each["assumes"] and each["description"] for each in listed)


def test_the_page_on_formats_is_the_one_that_the_registry_makes() -> None:
    assert (ROOT / "docs" / "reference" / "trace-formats.md").read_text() == page()


def test_a_description_has_the_figures_that_were_worked_out(tmp_path: Path, phasewise: Callable) -> None:
    path = tmp_path / "jobs.csv"
    rows = ["0,43200,2,ann,A", f"{DAY_S / 2:.0f},{DAY_S:.0f},4,bob,A", f"{4 * DAY_S:.0f},100,1,ann,B", "9,,1,bob,B"]
    path.write_text("\n".join(["t,d,g,u,kind", *rows]) + "\n")
    options = ("--format", "csv", "--map", "submit=t,duration=d,gpus=g,user=u,gpu_type=kind")
    said = phasewise("trace", "describe", path, *options, "--cluster", "A=4,B=1", "--json", "-q")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert (told["rows_read"], told["rows_kept"]) == (4, 3)
    assert told["dropped"] == {"no duration: it never started, or did not end": 1}
    gaps = [DAY_S / 2, 3.5 * DAY_S]
    mean_s = sum(gaps) / 2
    assert told["arrivals"]["span_s"] == 4 * DAY_S
    assert told["arrivals"]["rate_per_hour"] == pytest.approx(3600.0 / mean_s)
    assert told["arrivals"]["cv"] == pytest.approx((gaps[1] - gaps[0]) / 2 / mean_s)
    assert told["arrivals"]["gaps"] == [{"start_s": DAY_S / 2, "length_s": 3.5 * DAY_S}]
    assert told["arrivals"]["by_day"] == [2, 0, 0, 0, 1]
    gpu_s = {"ann": 2 * 43200.0 + 100.0, "bob": 4 * DAY_S}
    assert told["gpu_s"] == sum(gpu_s.values())
    assert {row["key"]: row["gpu_s"] for row in told["gpu_time_by"]["user"]} == gpu_s
    assert [(row["key"], row["jobs"]) for row in told["gpu_time_by"]["size"]] == [("1", 1), ("2", 1), ("4", 1)]
    demand = told["demand"]["A"]  # two GPUs for half of day 0, four from noon to noon
    assert demand["gpus_by_day"] == pytest.approx([1.0 + 2.0, 2.0])
    assert (demand["capacity_gpus"], demand["peak_over_capacity"], demand["days_over_capacity"]) == (4, 0.75, 0)
    assert told["demand"]["B"]["gpus_by_day"] == pytest.approx([0.0, 0.0, 0.0, 0.0, 100.0 / DAY_S])
    assert told["demand"]["all"]["capacity_gpus"] == 5


def test_demand_over_capacity_is_told_before_a_run(tmp_path: Path, phasewise: Callable) -> None:
    nodes = tmp_path / "nodes.csv"
    nodes.write_text(
        "gpu_model,gpu_capacity_num,cpu_num,node_name\nA10,1,128,0\nH800,8,192,1\nA100-SXM4-80GB,8,128,2\n"
    )
    said = phasewise("trace", "describe", written("spot2026", tmp_path), "--nodes", nodes, "-q")
    row = [line for line in said.out.splitlines() if line.strip().startswith("H800")][-1]
    assert "of 8 GPUs, peak 332%, 1 days over capacity" in row


def test_the_page_has_a_picture_for_each_type_and_a_table_for_each_grouping(
    tmp_path: Path, phasewise: Callable
) -> None:
    target = tmp_path / "page.html"
    said = phasewise("trace", "describe", written("spot2026", tmp_path), "--html", target, "-q")
    assert said.code == 0, said.err
    text = target.read_text()
    assert text.count("<svg viewBox") == 2 + 3  # arrivals, all, and three types
    assert text.count("<table") == 6
    assert "A100-SXM4-80GB" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "csv"])
def test_a_trace_runs_and_its_jobs_say_whose_they_are(name: str, tmp_path: Path, phasewise: Callable) -> None:
    sample, out = SAMPLES[name], tmp_path / "out"
    speeds = () if name in {"gavel", "gavel7", "shockwave"} else SPEEDS
    said = phasewise(
        "run", "toy", "-q", "--trace", written(name, tmp_path), *speeds, "--policy", "fifo", "--round-s", "3600",
        "--cluster", "v100=64", "--gpus-per-node", "v100=64", "--rounds", "3", "--out", out,
    )  # fmt: skip
    assert said.code == 0, said.err
    jobs = {row["job_id"]: row for row in pq.read_table(out / "jobs.parquet").to_pylist()}
    account = json.loads((out / "run.json").read_text())["workload"]
    if name == "gavel":
        assert account is None
        return
    assert account["rows_read"] == sample.rows
    assert (
        account["dropped"] == {}
        if not sample.dropped
        else sum(account["dropped"].values()) == sum(sample.dropped.values())
    )
    assert any(told.startswith("steps = duration x speed") for told in account["assumptions"])
    for job_id, row in jobs.items():
        wanted = sample.jobs[job_id]
        for column, value in (("name", "source_id"), ("user", "user"), ("vc", "vc"), ("class", "class")):
            assert value not in wanted or row[column] == wanted[value]
        assert row["scale_factor"] == wanted["gpus"] * wanted.get("gpu_milli", 1000) / 1000


def test_what_was_assumed_is_printed(tmp_path: Path, phasewise: Callable) -> None:
    said = phasewise("run", "toy", "--trace", written("tiresias", tmp_path), "--out", tmp_path / "out")
    assert said.code == 0, said.err
    assert "assumed: the arrival is submit_time, seconds" in said.err
    assert "drawn" in said.err


def test_a_converted_trace_runs_as_the_trace_itself_does(tmp_path: Path, phasewise: Callable) -> None:
    path, parquet = written("helios", tmp_path), tmp_path / "helios.parquet"
    assert phasewise("trace", "convert", path, "--out", parquet, "-q").code == 0
    for source, out in ((path, "a"), (parquet, "b")):
        assert (
            phasewise("run", "toy", "-q", "--trace", source, "--cluster", "v100=8", "--out", tmp_path / out).code == 0
        )
    assert (tmp_path / "a" / "jobs.parquet").read_bytes() == (tmp_path / "b" / "jobs.parquet").read_bytes()


@pytest.mark.parametrize("options", [(), ("--speed", "v100=1,k80=0.25")])
def test_a_gavel_trace_that_was_converted_runs_as_the_trace_itself_does(
    options: tuple[str, ...], tmp_path: Path, phasewise: Callable
) -> None:
    path, gavel = written("helios", tmp_path), tmp_path / "helios.trace"
    said = phasewise("trace", "convert", path, "--out", gavel, "--seed", 5, *options, "-q")
    assert said.code == 0, said.err
    machines = ("--cluster", "v100=8", "--gpus-per-node", "v100=8", "--seed", 5)
    speeds = ("--throughputs", tmp_path / "helios.speeds.csv") if options else ()
    assert (tmp_path / "helios.speeds.csv").exists() == bool(options)
    for source, out, more in ((path, "a", options), (gavel, "b", speeds)):
        said = phasewise("run", "toy", "-q", "--trace", source, *machines, *more, "--out", tmp_path / out)
        assert said.code == 0, said.err
    columns = ["job_id", "job_type", "total_steps", "scale_factor", "jct_s"]
    one, other = (pq.read_table(tmp_path / out / "jobs.parquet", columns=columns) for out in ("a", "b"))
    assert one.equals(other)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--format", "phily"), "no trace format 'phily'; choose one of"),
        (("--speed", "v100"), "allowed: TYPE=RATIO,..., or table"),
        (("--speed", "v100=-1"), "allowed: a finite number above 0"),
        (("--map", "a=b,a=c"), "names 'a' again"),
        (("--states", "DONE"), "no job ended as DONE"),
    ],
)
def test_a_wrong_option_is_one_message(
    arguments: tuple[str, ...], words: str, tmp_path: Path, phasewise: Callable
) -> None:
    said = phasewise("trace", "describe", written("helios", tmp_path), *arguments)
    assert said.code == BAD_INPUT
    assert said.err.count("\n") == 1, said.err
    assert words in said.err


def test_options_for_a_trace_without_one_are_refused(tmp_path: Path, phasewise: Callable) -> None:
    said = phasewise("run", "toy", "--states", "FAILED", "--out", tmp_path / "out")
    assert said.code == BAD_INPUT
    assert "workload.states" in said.err
    assert "without a trace" in said.err


def test_a_trace_without_a_job_to_run_says_what_became_of_its_rows(tmp_path: Path, phasewise: Callable) -> None:
    path = tmp_path / "log"
    path.write_text('[{"jobid": "a", "attempts": [], "submitted_time": "2017-10-07 00:00:00"}]')
    said = phasewise("run", "toy", "-q", "--trace", path, "--out", tmp_path / "out")
    assert said.code == BAD_INPUT
    assert "of 1 rows no job is left to run (1: no attempt: it never ran)" in said.err
    assert phasewise("trace", "describe", path).code == 0
    assert phasewise("trace", "convert", path, "--out", tmp_path / "x.parquet").code == BAD_INPUT


@pytest.mark.parametrize(
    ("listed", "gpus"),
    [
        ("gpu_model,gpu_capacity_num,cpu_num,node_name\nA10,1,128,0\nH800,8,192,1\n", {"A10": 1, "H800": 8}),
        ("machineId, number of GPUs, single GPU mem\nm1, 8, 24 GB\nm2, 2, 12 GB\n", {"gpu-12GB": 2, "gpu-24GB": 8}),
        ("abc,T4,96,512,2\ndef,V100,96,512,8\n", {"T4": 2, "V100": 8}),
        ("machine,gpu_type,cap_cpu,cap_mem,cap_gpu\nabc,T4,96,512,2\ndef,CPU,96,512,0\n", {"T4": 2}),
        ("num_switch,num_node_p_switch,num_gpu_p_node,num_cpu_p_node,mem_p_node\n2,3,4,32,256\n", {"gpu": 24}),
        ("date,vcA,vcB,total\n2020-09-01,64,96,160\n2020-09-02,64,0,64\n", {"gpu": 160}),
    ],
    ids=["spot", "philly", "pai without a header", "pai", "tiresias", "helios"],
)
def test_node_lists_of_public_traces_are_clusters(listed: str, gpus: dict[str, int], tmp_path: Path) -> None:
    path = tmp_path / "nodes.csv"
    path.write_text(listed)
    assert load_scenario("toy", {"cluster.nodes": str(path)}).cluster.gpus == gpus


def test_a_swf_log_runs_whole_with_the_options_of_the_how_to(tmp_path: Path, phasewise: Callable) -> None:
    log = tmp_path / "log.swf"
    log.write_text("".join(f"{job} {job * 60} 0 600 {procs} -1 -1 {procs} 600 -1 1 1 1 -1 1 1 -1 -1\n"
                           for job, procs in enumerate((8, 1, 9, 64))))  # fmt: skip
    machines = ("--speed", "v100=1", "--cluster", "v100=16", "--gpus-per-node", "v100=8")
    said = phasewise(
        "run", "toy", "--trace", log, "--map", "gpus=procs/8", *machines, "--json", "--out", tmp_path / "r"
    )
    summary = json.loads(said.out)["summary"]
    assert (said.code, summary["jobs_completed"], summary["jobs_refused"]) == (0, 4, 0)
    jobs = load(tmp_path / "r").jobs
    assert sorted(zip(jobs["job_id"].tolist(), jobs["gpu_milli"].tolist(), strict=True)) == [
        (0, 1000), (1, 125), (2, 2000), (3, 8000)
    ]  # fmt: skip
