"""What is too large, too deep, too small or without end is refused, or has a limit, before a run begins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from phasewise.sched.memory import VARIABLE, estimate, limit_bytes
from phasewise.sched.scenario.loading import builtin_names, load_scenario
from phasewise.sched.scenario.workloads import build_workload

pytestmark = pytest.mark.thorough

COMMAND = Path(sys.executable).with_name("phasewise")
BAD_INPUT = 2
HOUR_S = 3600.0
MIB = 1 << 20


def assert_one_line(said: object, *words: str) -> None:
    assert said.code == BAD_INPUT, said.err
    assert said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err
    assert [word for word in words if word not in said.err] == [], said.err


# what is wrong -> scenario and options, and words that the message must have
WRONG: dict[str, tuple[list[str], list[str]]] = {
    "a window of a trillion ids": (["toy", "--window", "0:999999999999"], ["stop.window", "999999999999", "10000000"]),
    "copies without bound": (["alibaba", "--set", "cluster.copies=999999999"], ["cluster.copies", "999999999"]),
    "copies beyond all clusters": (["alibaba", "--set", "cluster.copies=9999"], ["cluster.copies", "1 to 1609"]),
    "two times ten million GPUs": (["toy", "--cluster", "v100=10000000,p100=10000000"], ["20,000,000", "10,000,000"]),
    "an integer beyond all bounds": (["toy", "--set", f"seed={2**64}"], ["seed", str(2**64), "at most"]),
    "a round longer than lives": (["toy", "--round-s", "1e308"], ["timing.round_s", "1e+308", "1e+09"]),
    "a round of no time": (["toy", "--round-s", "1e-320"], ["timing.round_s", "1e-320", "0.001"]),
    "a rate of next to nothing": (["philly", "--rate", "1e-320"], ["workload.rate_per_hour", "1e-06"]),
    "checkpoints that never come": (
        ["toy", "--set", "migration.enabled=true", "--set", "migration.bandwidth_mb_per_s=1e-320"],
        ["migration.bandwidth_mb_per_s", "1e-06"],
    ),
    "a window without end of jobs that come": (
        ["philly", "--jobs", "8", "--rate", "4", "--window", "5:10"],
        ["workload.jobs", "only 8 jobs come", "5:10"],
    ),
    "digits of another script": (["toy", "--seed", "٣"], ["--seed", "٣"]),
    "a rate in other digits": (["toy", "--rate", "３"], ["--rate", "３"]),
    "a window in other digits": (["toy", "--window", "١:٣"], ["stop.window", "١:٣"]),
    "a cluster in other digits": (["toy", "--cluster", "v100=٣"], ["cluster.gpus", "٣"]),
    "a setting in other digits": (["toy", "--set", "stop.rounds=٣"], ["stop.rounds", "٣"]),
    "options nested without end": (["toy", "--set", "solver.kwargs=" + "[" * 50_000 + "]" * 50_000], ["too deeply"]),
    "a command that is near": (["toy", "--policy", "max_min_fairnes"], ["did you mean 'max_min_fairness'?"]),
    "a policy in capitals": (["toy", "--policy", "FIFO"], ["did you mean 'fifo'?"]),
    "a solver that is near": (["toy", "--solver", "highs-dirct"], ["did you mean 'highs-direct'?"]),
    "an alias in a chain that is near": (["toy", "--solver", "highs-direct,ecoss"], ["did you mean 'ecos'?"]),
    "a placement that is near": (["toy", "--placement", "stridd"], ["did you mean 'strided'?"]),
    "a timing that is near": (["toy", "--timing", "gavle"], ["did you mean 'gavel'?"]),
    "a scenario that is near": (["phily"], ["did you mean 'philly'?"]),
    "a scenario in capitals": (["TOY"], ["did you mean 'toy'?"]),
    "a key that is near": (["toy", "--set", "policy.nmae=x"], ["did you mean 'name'?"]),
    "a setting of ten thousand digits": (["toy", "--set", "seed=" + "9" * 10_000], ["seed"]),
    "options of ten thousand digits": (["toy", "--solver-kwargs", '{"a": ' + "9" * 10_000 + "}"], ["solver.kwargs"]),
    "a policy of five thousand letters": (["toy", "--policy", "x" * 5000], ["(5,000 characters)"]),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_run_says_what_is_wrong_in_one_short_line(wrong: str, tmp_path: Path, phasewise: Callable) -> None:
    arguments, words = WRONG[wrong]
    said = phasewise("run", *arguments, "-q", "--out", tmp_path / "out")
    assert_one_line(said, *words)
    assert len(said.err) < 1500
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("word", "meant"), [("rnu", "run"), ("RUN", "run"), ("valdate", "validate"), ("lst", "list")])
def test_a_command_that_is_near_is_named(word: str, meant: str, phasewise: Callable) -> None:
    assert_one_line(phasewise(word), word, f"did you mean {meant!r}?", "phasewise --help")


def test_a_subject_to_list_that_is_near_is_named(phasewise: Callable) -> None:
    assert_one_line(phasewise("list", "polices"), "did you mean 'policies'?")


# a file's content, and words that the message must have
DEEP = {
    "lists": ('name = "x"\na = ' + "[" * 100_000 + "]" * 100_000, ["too deeply"]),
    "lists that Python's reader still takes": ('name = "x"\na = ' + "[" * 300 + "]" * 300, ["'a'", "levels"]),
    "a key of a hundred thousand names": (".".join(["a"] * 100_000) + " = 1", ["64 names"]),
    "a section of five thousand names": ("[" + ".".join(["a"] * 5000) + "]\nb = 1", ["64 names"]),
    "a hundred thousand worker types": (
        'name = "x"\n[workload]\njobs = 2\n[cluster.gpus]\n' + "\n".join(f"t{index} = 1" for index in range(100_000)),
        ["100,000 names", "256"],
    ),
    "a number of ten thousand digits": ('name = "x"\nseed = ' + "9" * 10_000, ["not TOML"]),
    "a NUL in a name of a file": ('name = "x"\n[cluster]\nnodes = "a\\u0000b"\n[workload]\njobs = 2', ["NUL"]),
    "a NUL in the name of a trace": (
        'name = "x"\n[cluster]\ngpus = { v100 = 1 }\n[workload]\ntrace = "a\\u0000b"',
        ["workload.trace", "NUL"],
    ),
}


@pytest.mark.parametrize("what", DEEP)
def test_a_scenario_that_is_too_deep_or_too_wide_is_one_message_at_once(
    what: str, tmp_path: Path, phasewise: Callable
) -> None:
    content, words = DEEP[what]
    (tmp_path / "mine.toml").write_text(content + "\n")
    for arguments in (("validate",), ("run", "-q", "--out", tmp_path / "out")):
        began_s = time.process_time()
        said = phasewise(*arguments, tmp_path / "mine.toml")
        assert_one_line(said, *words)
        assert time.process_time() - began_s < 20.0  # minutes, were it by the square of their number


def test_two_hundred_thousand_unknown_keys_are_a_few_lines_in_little_time(tmp_path: Path, phasewise: Callable) -> None:
    (tmp_path / "mine.toml").write_text(
        'name = "x"\n[cluster]\ngpus = { v100 = 2 }\n[workload]\njobs = 2\n'
        + "\n".join(f"key{index} = 1" for index in range(200_000))
    )
    for arguments in (("validate",), ("run", "-q")):
        began_s = time.process_time()
        said = phasewise(*arguments, tmp_path / "mine.toml")
        assert time.process_time() - began_s < 20.0
        assert said.code == BAD_INPUT
        assert said.err.count("\n") <= 22
        assert "mine.toml:6: workload.key0" in said.err


# -- an end to everything --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", builtin_names())
def test_every_built_in_scenario_has_a_ceiling_of_at_least_twenty_times_its_window(name: str) -> None:
    scenario = load_scenario(name)
    rate, window = scenario.workload.rate_per_hour, scenario.stop.window
    coming = window[1] if window is not None else scenario.workload.jobs
    assert scenario.stop.sim_time_s >= 20.0 * coming / rate * HOUR_S


@pytest.mark.parametrize(
    "overrides",
    [
        {"stop.window": "400:500"},
        {"stop.window": "4000:5000", "workload.rate_per_hour": 0.5},
        {"workload.rate_per_hour": 0.1},
        {"workload.jobs": 3000},
        {"workload.jobs": 3000, "stop.window": "1000:2000"},
    ],
)
def test_the_ceiling_grows_with_what_is_asked_for(overrides: dict[str, object]) -> None:
    scenario = load_scenario("philly", overrides)
    window = scenario.stop.window
    coming = window[1] if window is not None else scenario.workload.jobs
    ceiling_s = scenario.stop.sim_time_s
    assert ceiling_s >= 20.0 * coming / scenario.workload.rate_per_hour * HOUR_S
    assert ceiling_s >= load_scenario("philly").stop.sim_time_s


def test_a_limit_of_ones_own_stands_and_another_trace_has_none(tmp_path: Path) -> None:
    (tmp_path / "jobs.trace").write_text("A3C\tc\td\t-s\t0\t10\t1\t1\t-1\t0\n")
    (tmp_path / "mine.toml").write_text(
        "[cluster]\ngpus = { v100 = 1 }\n[workload]\njobs = 2\nrate_per_hour = 1\n[stop]\nsim_time_s = 60\n"
    )
    own = load_scenario("philly", {"stop.window": "400:500", "stop.sim_time_s": 7200})
    assert own.stop.sim_time_s == 7200
    assert load_scenario(tmp_path / "mine.toml", {"workload.jobs": 500}).stop.sim_time_s == 60
    assert load_scenario("philly", {"workload.trace": str(tmp_path / "jobs.trace")}).stop.sim_time_s is None


def test_an_overload_ends_at_its_ceiling_and_says_so(tmp_path: Path, phasewise: Callable) -> None:
    said = phasewise(
        "run", "toy", "--rate", "50", "--window", "0:400", "--set", "stop.sim_time_s=36000", "--out", tmp_path / "out"
    )
    assert said.code == 0
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "stopped"
    assert "stopped at the limit of simulated time, stop.sim_time_s = 36,000 s" in said.err


@pytest.mark.parametrize(
    ("scenario", "overrides", "total"),
    [
        ("philly", {"workload.jobs": 500, "stop.window": "50:150"}, 500),
        ("toy", {"workload.jobs": 20, "stop.window": "5:10"}, 20),
        ("toy", {"stop.window": "5:10"}, None),  # the file's number of jobs belongs to the file's window
        ("toy", {"stop.window": "5:10", "workload.rate_per_hour": 0}, 12),
        ("toy", {"stop.window": "none"}, 12),
        ("philly", {}, None),
    ],
)
def test_a_number_of_jobs_counts_beside_a_rate_and_a_window(
    scenario: str, overrides: dict[str, object], total: int | None
) -> None:
    assert build_workload(load_scenario(scenario, overrides), ("k80", "p100", "v100")).total == total


# -- memory ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "300")


@pytest.mark.parametrize(
    ("options", "needs"),
    [
        (["philly", "--rate", "0", "--jobs", "200000"], "200,000 jobs at once"),
        (["philly", "--initial-jobs", "200000"], "200,000 jobs at once"),
        (["philly", "--rate", "1e9"], "jobs at once"),
        (["toy", "--cluster", "v100=5000000"], "5,000,000 GPUs"),
        (["alibaba", "--set", "cluster.copies=1000"], "6,212,000 GPUs on 1,213,000 nodes"),
        (["toy", "--set", "output.chunk_rounds=1000000"], "chunks of 1,000,000 rounds"),
    ],
)
def test_what_needs_more_memory_than_there_is_is_refused_with_estimate_and_limit(
    options: list[str], needs: str, tmp_path: Path, phasewise: Callable, roomy: None
) -> None:
    said = phasewise("run", *options, "-q", "--out", tmp_path / "out")
    assert_one_line(said, needs, "the run needs about", f"{VARIABLE} allows 300 MiB")
    assert not (tmp_path / "out").exists()


def test_an_experiment_is_refused_likewise(
    tmp_path: Path, phasewise: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "250")
    (tmp_path / "pods.csv").write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli\np,1000,1024,1,20\n")
    said = phasewise(
        "inflate", "--nodes", "openb", "--pods", tmp_path / "pods.csv", "--placement", "fgd", "--out", tmp_path / "out"
    )
    assert_one_line(said, "arrivals", VARIABLE)


def test_a_limit_that_is_no_number_is_one_message(
    tmp_path: Path, phasewise: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "plenty")
    assert_one_line(phasewise("run", "toy", "-q", "--out", tmp_path / "out"), VARIABLE, "'plenty'")


def test_without_a_limit_of_ones_own_what_the_machine_has_left_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    limit, whose = limit_bytes()
    assert 64 * MIB < limit < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert whose == "the machine has"


@pytest.mark.parametrize(
    ("options", "nodes"),
    [
        (["toy", "--cluster", "v100=2000000", "--gpus-per-node", "v100=8"], 250_000),
        (["philly", "--rate", "0", "--jobs", "20000", "--solver", "highs-direct"], 27),
        (["philly", "--rate", "0", "--jobs", "60000", "--policy", "fifo"], 27),
        (["philly", "--rate", "0", "--jobs", "1600", "--policy", "fifo_packed"], 27),
    ],
)
def test_the_estimate_is_an_upper_end_and_not_far_above(options: list[str], nodes: int, tmp_path: Path) -> None:
    overrides = {
        "--cluster": "cluster.gpus", "--gpus-per-node": "cluster.gpus_per_node", "--rate": "workload.rate_per_hour",
        "--jobs": "workload.jobs", "--solver": "solver.name", "--policy": "policy.name",
    }  # fmt: skip
    scenario = load_scenario(
        options[0], {overrides[flag]: value for flag, value in zip(options[1::2], options[2::2], strict=True)}
    )
    subprocess.run(
        [COMMAND, "run", *options, "-q", "--rounds", "2", "--set", "output.trace=false", "--out", tmp_path / "out"],
        check=True,
        capture_output=True,
    )
    needed = json.loads((tmp_path / "out" / "run.json").read_text())["summary"]["peak_rss_mib"]
    solves, packs = "fifo" not in str(options), "fifo_packed" in options
    estimated = estimate(scenario, nodes, solves=solves, packs=packs).bytes / MIB
    assert needed < estimated < 2.0 * needed + 50.0


# -- a stripped Python -----------------------------------------------------------------------------------------------


STRIPPED = """
import importlib.machinery as machinery
import sys
from importlib import _bootstrap_external as external

get_code, cached = machinery.SourceFileLoader.get_code, external.cache_from_source

def stripped(loader, name):  # our own code; compiling all libraries anew takes half a minute
    if name.startswith("phasewise"):
        return compile(loader.get_data(loader.path), loader.path, "exec", dont_inherit=True)
    return get_code(loader, name)

machinery.SourceFileLoader.get_code = stripped
external.cache_from_source = lambda path, *_, **__: cached(path, optimization="")
from phasewise.bench.cli.main import main

for command in (["list", "policies"], ["list", "placements"], ["run", "--help"], sys.argv[1:]):
    try:
        main(command)
    except SystemExit as end:
        if end.code:
            raise
if main.__doc__ is not None:
    sys.exit("it has docstrings")
"""


def test_code_without_docstrings_and_assertions_does_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-B", "-OO", "-c", STRIPPED, "run", "toy", "-q"]  # -B: no cache is spoilt
    command += ["--policy", "fifo", "--rounds", "20", "--out", str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr, "broken" in ended.stdout) == (0, "", False), ended
    assert (tmp_path / "out" / "run.json").exists()


@pytest.mark.nightly
def test_a_python_without_docstrings_and_assertions_runs_all_the_same(tmp_path: Path) -> None:
    stripped = {**os.environ, "PYTHONOPTIMIZE": "2"}
    for arguments in (
        ["run", "toy", "-q", "--policy", "fifo", "--rounds", "20", "--out", str(tmp_path / "out")],
        ["list", "policies"],
        ["list", "placements"],
        ["run", "--help"],
    ):
        ended = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False, env=stripped)
        assert (ended.returncode, "Traceback" in ended.stderr, "broken" in ended.stdout) == (0, False, False), ended
