"""Every trace format is read as it means it: times, GPUs and thousandths, states, and what is dropped and why."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from oracle import BESIDE
from trace_samples import HELIOS, KALOS, PHILLY, SAMPLES, SEREN, SPOT, Sample

from phasewise.sched.errors import TraceError
from phasewise.sched.workload.importing import registry
from phasewise.sched.workload.importing.choice import Choice
from phasewise.sched.workload.importing.importer import import_trace, sniffed
from phasewise.sched.workload.importing.record import COLUMNS, FIELDS
from phasewise.sched.workload.importing.source import Source

BAD_INPUT = 2


def written(name: str, folder: Path) -> Path:
    path = folder / f"{name}.txt"
    path.write_text(SAMPLES[name].text)
    return path


def columns(sample: Sample) -> dict[str, str]:
    return dict(pair.split("=") for pair in sample.options[1].split(",")) if sample.options else {}


def rows(store: object) -> list[dict]:
    return [row for block in store for row in block.to_pylist()]


def test_every_format_that_there_is_has_a_sample() -> None:
    assert list(registry.format_names()) == sorted(SAMPLES)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_record_has_the_values_that_the_row_means(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]
    store = import_trace(written(name, tmp_path), Choice(name, columns(sample)))
    found = rows(store)
    assert [{key: row[key] for key in wanted} for row, wanted in zip(found, sample.jobs, strict=True)] == sample.jobs


@pytest.mark.parametrize("name", SAMPLES)
def test_every_row_is_kept_or_dropped_for_a_reason_that_is_counted(name: str, tmp_path: Path) -> None:
    sample = SAMPLES[name]
    account = import_trace(written(name, tmp_path), Choice(name, columns(sample))).account
    assert (account["rows_read"], account["rows_kept"]) == (sample.rows, len(sample.jobs))
    dropped = {
        words: sum(n for reason, n in account["dropped"].items() if reason.startswith(words))
        for words in sample.dropped
    }
    assert dropped == sample.dropped
    assert sum(account["dropped"].values()) == sum(sample.dropped.values())


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "csv"])
def test_a_format_is_known_by_its_content_and_no_other_takes_it(name: str, tmp_path: Path) -> None:
    with Source(written(name, tmp_path)) as source:
        assert sniffed(source.head, name) == name


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "csv"])
def test_gzip_a_mark_and_other_line_ends_change_nothing(name: str, tmp_path: Path) -> None:
    plain = rows(import_trace(written(name, tmp_path)))
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + SAMPLES[name].text.replace("\n", "\r\n").encode()))
    assert rows(import_trace(packed)) == plain


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in {"csv", "swf"}])
def test_a_file_that_is_cut_off_within_a_row_is_told_as_such(name: str, tmp_path: Path) -> None:
    path = written(name, tmp_path)
    text = SAMPLES[name].text.rstrip("\n]")
    path.write_text(text[: text.rindex("\n") + max(2, (len(text) - text.rindex("\n")) // 3)])
    with pytest.raises(TraceError, match="cut off"):
        import_trace(path, Choice(name))


@pytest.mark.parametrize("name", [name for name in SAMPLES if name not in {"csv", "swf"}])
def test_a_format_with_fixed_columns_takes_no_map(name: str, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="map is for csv and swf"):
        import_trace(written(name, tmp_path), Choice(name, {"submit": "x"}))


def test_another_format_than_the_named_one_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="not a trace of format philly; it seems to be helios"):
        import_trace(written("helios", tmp_path), Choice("philly"))


def test_a_pointer_of_git_lfs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cluster_job_log"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n")
    for choice in (Choice(), Choice("philly"), Choice("csv", {"submit": "a"})):
        with pytest.raises(TraceError, match=r"pointer of Git LFS.*git lfs pull"):
            import_trace(path, choice)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("acme-seren", SEREN.replace("2023-03-01 00:02:10+08:00,100,30,0.0", "2023-03-01 00:02:10+00:00,100,30,0.0")),
        ("acme-kalos", KALOS.replace("12:00:00+00:00", "12:00:00")),
        ("helios", HELIOS.replace("2020-06-10 00:00:00", "2020-06-10 00:00:00Z", 1)),
    ],
)
def test_times_of_several_zones_are_one_message_that_names_both(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(TraceError, match="several zones") as told:
        import_trace(path)
    assert str(told.value).count("\n") == 0
    with Source(path) as source:
        assert sniffed(source.head, path) == name


def test_a_row_that_cannot_be_read_is_a_fault_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(HELIOS.replace("vcA,8,", "vcA,many,").replace("2020-06-09 18:41:02,2020", "yesterday,2020"))
    with pytest.raises(TraceError) as told:
        import_trace(path)
    first, second = str(told.value).splitlines()
    assert ":2: gpu_num is 'many'; allowed: " in first
    assert ":3: submit_time is 'yesterday'; allowed: a time" in second


def test_only_jobs_with_the_states_that_were_asked_for_are_kept(tmp_path: Path) -> None:
    store = import_trace(written("helios", tmp_path), Choice(states=("failed",)))
    assert [row["state"] for row in rows(store)] == ["FAILED"]
    assert store.account["dropped"]["another final state than asked for"] == 3  # a CPU job has a reason of its own


def test_a_state_that_no_job_has_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        TraceError, match=r"no job ended as COMPLETE, did you mean 'COMPLETED'.*CANCELLED, COMPLETED, FAILED"
    ):
        import_trace(written("helios", tmp_path), Choice(states=("COMPLETE",)))


def test_a_column_map_that_names_what_is_not_there_is_one_message(tmp_path: Path) -> None:
    path = written("csv", tmp_path)
    for chosen, words in (
        ({"submit": "wen", "gpus": "cards", "duration": "how long"}, "no such column, did you mean 'when'"),
        ({"submit": "when", "gpu": "cards"}, "did you mean 'gpus'"),
        ({"submit": "when", "duration": "how long"}, "lacks gpus"),
        ({"submit": "when", "gpus": "cards"}, "no duration"),
    ):
        with pytest.raises(TraceError, match=words):
            import_trace(path, Choice("csv", chosen))


def test_processors_of_a_standard_workload_are_gpus_only_by_a_map(tmp_path: Path) -> None:
    path = written("swf", tmp_path)
    assert "each processor counts as a GPU" in " ".join(import_trace(path).account["assumptions"])
    by_eight = import_trace(path, Choice("swf", {"gpus": "procs/8"}))
    assert [row["gpus"] for row in rows(by_eight)] == [1, 1]
    assert rows(by_eight)[1]["gpu_milli"] == 125
    assert "each processor counts" not in " ".join(by_eight.account["assumptions"])


def test_rows_come_in_order_of_arrival_and_equal_ones_in_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "spot.csv"
    header = SPOT.splitlines()[0]
    times = [(index * 7919) % 1000 for index in range(50_000)]
    path.write_text("\n".join([header, *(f"{i},1,A10,1,1,1,{t + 5},10,HP" for i, t in enumerate(times))]) + "\n")
    store = import_trace(path)
    assert store.blocks == 4
    found = [(row["arrival_s"], int(row["source_id"])) for row in rows(store)]
    assert found == sorted((float(t), i) for i, t in enumerate(times))
    assert store.account["first_arrival_s"] == 5.0


@pytest.mark.thorough
def test_what_does_not_fit_in_memory_goes_through_a_file_and_comes_out_the_same(tmp_path: Path) -> None:
    path = tmp_path / "spot.csv"
    header = SPOT.splitlines()[0]
    times = [(index * 7919) % 100_000 for index in range(100_000)]
    path.write_text("\n".join([header, *(f"{i},1,A10,1,1,1,{t},10,HP" for i, t in enumerate(times))]) + "\n")
    store = import_trace(path, target=tmp_path / "spot.parquet")
    found = [(row["arrival_s"], int(row["source_id"])) for row in rows(store)]
    assert found == sorted((float(t), i) for i, t in enumerate(times))
    assert rows(import_trace(tmp_path / "spot.parquet")) == rows(store)


def test_a_converted_file_has_the_described_columns_and_the_account_of_its_rows(tmp_path: Path) -> None:
    target = tmp_path / "jobs.parquet"
    account = import_trace(written("sacct", tmp_path), target=target).account
    schema = pq.read_schema(target)
    assert tuple(schema.names) == COLUMNS
    assert [str(kind).replace("double", "float64") for kind in schema.types] == [each.type for each in FIELDS]
    again = import_trace(target)
    assert again.account == account
    assert import_trace(target, Choice(states=("CANCELLED",))).rows == 1


def test_another_parquet_file_is_no_trace(tmp_path: Path, phasewise: Callable) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "other.parquet").read_bytes()[:-20])
    for name, words in (("other", "this is not a trace: the Parquet file lacks"), ("cut", "damaged or cut off")):
        said = phasewise("run", "toy", "-q", "--trace", tmp_path / f"{name}.parquet", "--out", tmp_path / "out")
        assert said.code == BAD_INPUT
        assert words in said.err


@pytest.mark.thorough
def test_json_is_read_value_by_value_over_any_boundary(tmp_path: Path) -> None:
    jobs = json.loads(PHILLY)
    many = [jobs[index % 3] | {"jobid": f"é{index}", "note": "]" * (index % 97)} for index in range(20_000)]
    path = tmp_path / "log"
    path.write_text(json.dumps(many, indent=1))
    account = import_trace(path).account
    assert account["rows_read"] == 20_000
    assert account["rows_kept"] == sum(index % 3 != 1 for index in range(20_000))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"jobid": 1, "attempts": []}, {"jobid": tru}]', ":1: not JSON"),
        ('[\n{"jobid": "1", "attempts": []}\n{"a": 1}]', ":3: '{' after a value"),
        ('{"jobid": 1, "attempts": []}', "is not a list"),
        ('[{"jobid": "1", "attempts": []},', "cut off"),
        ('[{"jobid": "1", "attempts": [', "cut off"),
        ("[1, 2]", ":1: the job is not an object"),
    ],
)
def test_json_that_is_none_or_ends_early_is_one_message(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(TraceError) as told:
        import_trace(path, Choice("philly"))
    assert words in str(told.value)


KEPT_BESIDE = {
    "acme_kalos/trace_kalos.csv": ("acme-kalos", 2, 2),
    "acme_seren/trace_seren.csv": ("acme-seren", 2, 2),
    "alibaba2026_spot/handmade_job_info_df.csv": ("spot2026", 5, 5),
    "gavel10/artifact_evaluation_head.trace": ("gavel", 6, 6),
    "gavel7/legacy_head.trace": ("gavel7", 8, 8),
    "helios/cluster_log.csv": ("helios", 3, 3),
    "pai2020/pai_task_table.csv": ("pai", 1, 1),
    "philly/handmade_edge_cases.json": ("philly", 4, 0),
    "shockwave12/120_jobs_head.trace": ("shockwave", 10, 10),
    "slurm_sacct/handmade_sacct.txt": ("sacct", 5, 3),
    "swf/handmade.swf": ("swf", 5, 4),
}


def test_the_samples_beside_the_checkout_are_recognised_and_read(shared_dir: Path) -> None:
    assert shared_dir == BESIDE
    found = {}
    for name in KEPT_BESIDE:
        account = import_trace(shared_dir / "data" / "traces" / name).account
        found[name] = (account["format"], account["rows_read"], account["rows_kept"])
    assert found == KEPT_BESIDE
