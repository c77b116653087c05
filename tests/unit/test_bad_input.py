"""Bad input: one message that names what, where and what is allowed, the right exit code, nothing left behind."""

from __future__ import annotations

import gzip
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

BAD_INPUT, FAILED = 2, 3
HEADER = "job_type,scale_factor,gpu_type,steps_per_second"
COMMAND = Path(sys.executable).with_name("phasewise")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a folder of input files with a fault each."""
    (tmp_path / "torn.trace").write_text("ResNet-18 (batch size 16)\tpython3 main.py\n")
    (tmp_path / "noise.trace").write_bytes(bytes(range(128, 256)))
    (tmp_path / "empty.trace").write_text("")
    (tmp_path / "folder").mkdir()
    job = "ResNet-18 (batch size 16)"
    for name, value in {"nan": "nan", "negative": "-1.5", "infinite": "inf", "word": "fast"}.items():
        (tmp_path / f"{name}.csv").write_text(f"{HEADER}\n{job},1,v100,10.0\n{job},1,p100,{value}\n")
    (tmp_path / "broken.toml").write_text('name = "broken"\n[cluster\ngpus = 3\n')
    (tmp_path / "stranger.toml").write_text(
        'name = "stranger"\n[cluster]\ngpus = { v100 = 4 }\n[policy]\nnmae = "fifo"\n'
    )
    (tmp_path / "noise.json").write_text("{not json")
    with gzip.open(tmp_path / "recorded.json.gz", "wt") as file:
        json.dump({"allocations": "none"}, file)
    return tmp_path


# what is wrong -> arguments after `phasewise run toy`, and words that the message must have
RUNS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "a missing trace": (["--trace", "{files}/missing.trace"], ["missing.trace"]),
    "a folder as trace": (["--trace", "{files}/folder"], ["folder"]),
    "a trace that is not text": (["--trace", "{files}/noise.trace"], ["noise.trace"]),
    "a trace with a torn line": (["--trace", "{files}/torn.trace"], ["torn.trace:1", "10"]),
    "an empty trace": (["--trace", "{files}/empty.trace"], ["empty.trace"]),
    "a missing throughput table": (["--throughputs", "{files}/missing.csv"], ["missing.csv"]),
    "a NaN throughput": (["--throughputs", "{files}/nan.csv"], ["nan.csv:3", "nan"]),
    "a negative throughput": (["--throughputs", "{files}/negative.csv"], ["negative.csv:3", "-1.5"]),
    "an infinite throughput": (["--throughputs", "{files}/infinite.csv"], ["infinite.csv:3", "inf"]),
    "a throughput in words": (["--throughputs", "{files}/word.csv"], ["word.csv:3", "fast"]),
    "a cluster without GPUs": (["--cluster", "v100=0,p100=0,k80=0"], ["0", "GPU"]),
    "a negative number of GPUs": (["--cluster", "v100=-4"], ["-4"]),
    "a cluster that is not a list of counts": (["--cluster", "v100:4"], ["cluster.gpus", "v100:4", "v100=36"]),
    "a worker type named twice": (["--cluster", "v100=4,v100=5"], ["'v100' again"]),
    "a worker type without throughputs": (["--cluster", "tpu=4"], ["tpu", "v100"]),
    "nodes of no GPUs": (["--gpus-per-node", "v100=0"], ["v100", "0"]),
    "an unknown policy": (["--policy", "fair"], ["'fair'", "max_min_fairness_perf", "fifo"]),
    "an unknown solver": (["--solver", "gurobi"], ["'gurobi'", "highs-direct"]),
    "an unknown solver in a chain": (["--solver", "highs-direct,gurobi"], ["'gurobi'", "highs-direct"]),
    "an unknown placement": (["--placement", "tetris"], ["'tetris'", "strided"]),
    "an unknown solver option": (
        ["--solver", "highs-direct", "--solver-kwargs", '{"no_such_option": 1}'],
        ["no_such_option"],
    ),
    "a solver option of the wrong type": (
        ["--solver", "highs-direct", "--solver-kwargs", '{"simplex_iteration_limit": "many"}'],
        ["simplex_iteration_limit", "many"],
    ),
    "solver options that are not JSON": (
        ["--solver-kwargs", "{time_limit: 1}"],
        ["solver.kwargs", "JSON", "{time_limit: 1}"],
    ),
    "solver options that are no object": (["--solver-kwargs", "[1]"], ["solver.kwargs", "[1]", "table"]),
    "an unknown option": (["--frobnicate"], ["--frobnicate"]),
    "an unknown section": (["--set", "polizy.name=fifo"], ["polizy", "policy"]),
    "an unknown key": (["--set", "policy.nmae=fifo"], ["nmae", "name"]),
    "a setting without a value": (["--set", "policy.name"], ["policy.name", "SECTION.KEY=VALUE"]),
    "a setting of the wrong type": (["--set", "stop.rounds=many"], ["stop.rounds", "many"]),
    "a negative number of rounds": (["--rounds", "-1"], ["rounds", "-1"]),
    "a number of rounds in words": (["--rounds", "many"], ["--rounds", "many"]),
    "a round of no length": (["--round-s", "0"], ["round_s", "0"]),
    "a round of NaN seconds": (["--round-s", "nan"], ["round_s", "NaN", "finite"]),
    "a negative rate": (["--rate", "-1"], ["rate", "-1"]),
    "an infinite rate": (["--rate", "inf"], ["rate", "Infinity", "finite"]),
    "a negative number of jobs": (["--jobs", "-1"], ["jobs", "-1"]),
    "a window that ends before it begins": (["--window", "150:50"], ["stop.window", "150:50", "A < B"]),
    "an unknown timing": (["--timing", "fast"], ["--timing", "gavel", "corrected"]),
    "an unknown way to draw scale factors": (["--scale-factors", "double"], ["--scale-factors", "single", "gavel"]),
    "missing recorded allocations": (["--allocations", "{files}/missing.json"], ["missing.json"]),
    "recorded allocations that are not JSON": (["--allocations", "{files}/noise.json"], ["noise.json"]),
    "recorded allocations of another shape": (["--allocations", "{files}/recorded.json.gz"], ["recorded.json.gz"]),
    "the policy recorded without allocations": (["--policy", "recorded"], ["recorded", "allocations"]),
}


def assert_one_message(code: int, err: str, words: Sequence[str], expected: int = BAD_INPUT) -> None:
    assert code == expected, err
    assert err.startswith("phasewise: error: "), err
    assert err.count("phasewise: error:") == 1
    assert "Traceback" not in err
    missing = [word for word in words if word not in err]
    assert not missing, f"{missing} not in: {err}"


@pytest.mark.parametrize("wrong", RUNS)
def test_a_run_says_what_is_wrong_with_it_and_leaves_nothing_behind(
    wrong: str, files: Path, phasewise: Callable
) -> None:
    options, words = RUNS[wrong]
    out = files / "out"
    said = phasewise("run", "toy", "-q", "--out", out, *[option.replace("{files}", str(files)) for option in options])
    assert_one_message(said.code, said.err, words)
    assert said.out == ""
    assert not out.exists()


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("nowhere", ["'nowhere'", "philly", "toy"]),
        ("{files}/missing.toml", ["missing.toml"]),
        ("{files}/folder", ["folder"]),
        ("{files}/broken.toml", ["broken.toml:2"]),
        ("{files}/stranger.toml", ["stranger.toml", "nmae", "name"]),
    ],
)
def test_a_scenario_that_cannot_be_read_is_named(
    scenario: str, words: list[str], files: Path, phasewise: Callable
) -> None:
    said = phasewise("run", scenario.replace("{files}", str(files)), "-q", "--out", files / "out")
    assert_one_message(said.code, said.err, words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], []),
        (["fly"], ["fly", "phasewise --help"]),
        (["compare", "a" * 300, "b"], ["File name too long"]),
        (["report", "a" * 300], ["File name too long"]),
        (["run"], ["SCENARIO", "phasewise run --help"]),
        (["list"], ["scenarios", "policies", "solvers", "placements"]),
        (["list", "gpus"], ["gpus", "scenarios"]),
        (["compare", "{files}/missing", "{files}/folder"], ["missing"]),
        (["report", "{files}/folder"], ["folder", "run.json"]),
        (["validate", "{files}/missing.trace"], ["missing.trace"]),
    ],
)
def test_wrong_usage_is_told_with_what_is_allowed(
    arguments: list[str], words: list[str], files: Path, phasewise: Callable
) -> None:
    said = phasewise(*[word.replace("{files}", str(files)) for word in arguments])
    assert said.code == BAD_INPUT
    assert "Traceback" not in said.err
    assert [word for word in words if word not in said.err] == [], said.err


@pytest.mark.parametrize(
    ("file", "places"),
    [
        ("torn.trace", ["torn.trace:1"]),
        ("stranger.toml", ["stranger.toml:5", "nmae"]),
        ("broken.toml", ["broken.toml:2"]),
        ("nan.csv", ["nan.csv:3"]),
    ],
)
def test_validate_names_file_and_line_and_exits_with_two(
    file: str, places: list[str], files: Path, phasewise: Callable
) -> None:
    said = phasewise("validate", files / file)
    assert said.code == BAD_INPUT
    assert [place for place in places if place not in said.err] == [], said.err


def test_a_failing_solver_ends_the_run_with_three_and_names_the_round(tmp_path: Path, phasewise: Callable) -> None:
    starved = '{"simplex_iteration_limit": 0, "presolve": "off"}'
    said = phasewise(
        "run", "toy", "-q", "--solver", "highs-direct", "--solver-kwargs", starved, "--out", tmp_path / "out"
    )
    assert_one_message(said.code, said.err, ["round 0", "highs-direct", str(tmp_path / "out")], FAILED)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "failed"


@pytest.fixture(scope="module")
def compiled_kernels(tmp_path_factory: pytest.TempPathFactory) -> None:
    """See to it that the kernels are compiled, so that a full disk is met by the run."""
    out = tmp_path_factory.mktemp("compiled")
    subprocess.run([COMMAND, "run", "toy", "-q", "--rounds", "1", "--out", out], check=True, capture_output=True)


def run_with_file_limit(
    limit_bytes: int, out: Path, *options: str, **environment: object
) -> subprocess.CompletedProcess[str]:
    """Run where no file can grow beyond the limit, which is what a full disk looks like to the writer."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return subprocess.run(
        [COMMAND, "run", "toy", "-q", "--out", out, *options],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit,
        cwd=out.parent,
        env={**os.environ, **{name: str(value) for name, value in environment.items()}},
    )


@pytest.mark.thorough
def test_a_disk_that_fills_up_during_the_run_ends_it_with_three(tmp_path: Path, compiled_kernels: None) -> None:
    ended = run_with_file_limit(
        30_000, tmp_path / "out", "--set", "output.debug=true", "--set", "output.chunk_rounds=64"
    )
    assert_one_message(ended.returncode, ended.stderr, ["File too large", "round"], FAILED)
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "failed"


@pytest.mark.thorough
def test_a_disk_that_is_full_before_the_run_ends_it_with_one_message(tmp_path: Path, compiled_kernels: None) -> None:
    for limit_bytes in (0, 100, 2000):  # it fills up at one file or another before the run begins
        ended = run_with_file_limit(limit_bytes, tmp_path / "out")
        assert_one_message(ended.returncode, ended.stderr, ["cannot write", "File too large"], BAD_INPUT)
        assert not (tmp_path / "out").exists()


@pytest.mark.thorough
def test_a_disk_without_room_for_the_compiled_kernels_ends_it_with_one_message(tmp_path: Path) -> None:
    ended = run_with_file_limit(0, tmp_path / "out", NUMBA_CACHE_DIR=tmp_path)
    assert_one_message(ended.returncode, ended.stderr, ["compiled kernels", "NUMBA_CACHE_DIR"], BAD_INPUT)


def test_a_place_where_no_folder_can_be_made_is_named(tmp_path: Path, phasewise: Callable) -> None:
    (tmp_path / "file").write_text("")
    said = phasewise("run", "toy", "-q", "--out", tmp_path / "file" / "out")
    assert_one_message(said.code, said.err, ["cannot write", str(tmp_path / "file" / "out")])


def test_a_folder_that_holds_something_else_is_not_written_into(tmp_path: Path, phasewise: Callable) -> None:
    (tmp_path / "thesis.tex").write_text("three years of work")
    for option in ([], ["--overwrite"]):
        said = phasewise("run", "toy", "-q", "--out", tmp_path, *option)
        assert_one_message(said.code, said.err, [str(tmp_path), "not empty"])
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_a_full_standard_output_is_told_on_standard_error() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [COMMAND, "list", "policies"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert_one_message(ended.returncode, ended.stderr, ["standard output", "No space left"], FAILED)
