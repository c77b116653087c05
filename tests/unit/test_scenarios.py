"""Scenarios: the built-in ones, files, overrides, and what is refused before a run starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from phasewise.sched.errors import ScenarioError
from phasewise.sched.scenario.config import Cluster, Scenario, Stop, Workload
from phasewise.sched.scenario.loading import builtin_names, describe, load_scenario, parse_counts, resolve
from phasewise.sched.scenario.reference import scenario_page
from phasewise.sched.scenario.schema import scenario_keys

ROOT = Path(__file__).resolve().parents[2]


def refusal(overrides: dict[str, object], name: str | Path = "philly") -> str:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(name, overrides)
    return str(caught.value)


def small(**sections: object) -> Scenario:
    return Scenario(name="small", **{"cluster": Cluster(gpus={"v100": 2}), "workload": Workload(jobs=3), **sections})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


def test_the_built_in_scenarios_are_described_and_resolve() -> None:
    assert builtin_names() == [row["name"] for row in describe()]
    assert {"philly", "toy"} <= set(builtin_names())
    for row in describe():
        scenario = load_scenario(row["name"])
        assert (scenario.name, scenario.description) == (row["name"], row["description"])
        assert resolve(scenario) == scenario


def test_philly_is_108_gpus_in_nodes_of_4_under_the_originals_rules() -> None:
    scenario = load_scenario("philly")
    assert scenario.cluster.gpus == {"v100": 36, "p100": 36, "k80": 36}
    assert set(scenario.cluster.gpus_per_node.values()) == {4}
    assert (scenario.timing.preset, scenario.timing.round_s, scenario.workload.rate_per_hour) == ("gavel", 360.0, 4.0)


def test_a_resolved_scenario_survives_its_own_writing() -> None:
    scenario = load_scenario("philly")
    assert resolve(msgspec.json.decode(msgspec.json.encode(scenario), type=Scenario)) == scenario


def test_listing_scenarios_imports_no_numpy() -> None:
    code = "import sys; from phasewise.sched.scenario import loading; loading.describe(); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_texts_of_overrides_are_read_as_their_keys_ask() -> None:
    scenario = load_scenario(
        "philly",
        {
            "cluster.gpus": "v100=4,k80=2",
            "cluster.gpus_per_node": {"v100": 4},
            "workload.priorities": "true",
            "workload.rate_per_hour": "6",
            "policy.name": "isolated",
            "solver.kwargs": '{"time_limit": 10}',
            "solver.kwargs.presolve": '"off"',
            "stop.window": "5:9",
            "output.profile_every": "7",
            "seed": 3,
        },
    )
    assert scenario.cluster == Cluster(gpus={"v100": 4, "k80": 2}, gpus_per_node={"v100": 4, "k80": 1})
    assert (scenario.workload.priorities, scenario.workload.rate_per_hour, scenario.seed) == (True, 6.0, 3)
    assert (scenario.policy.name, scenario.stop.window, scenario.output.profile_every) == ("isolated", (5, 9), 7)
    assert scenario.solver.kwargs == {"time_limit": 10, "presolve": "off"}


def test_a_text_key_keeps_a_value_that_looks_like_a_number() -> None:
    assert load_scenario("philly", {"policy.name": "7"}).policy.name == "7"


def test_none_takes_a_limit_away() -> None:
    assert load_scenario("philly", {"stop.window": "none", "stop.rounds": 5}).stop.window is None
    assert load_scenario("philly", {"stop.window": None, "stop.rounds": 5}).stop.window is None


def test_another_cluster_drops_node_sizes_of_types_it_lacks() -> None:
    scenario = load_scenario("philly", {"cluster.gpus": "v100=8"})
    assert scenario.cluster.gpus_per_node == {"v100": 4}


def test_a_worker_type_with_no_gpus_is_left_out() -> None:
    assert resolve(small(cluster=Cluster(gpus={"v100": 2, "k80": 0}))).cluster == Cluster(
        gpus={"v100": 2}, gpus_per_node={"v100": 1}
    )


def test_new_jobs_without_a_window_are_run_whole_and_with_one_keep_it(tmp_path: Path) -> None:
    trace = tmp_path / "a.trace"
    trace.touch()
    assert load_scenario("philly", {"workload.jobs": 50}).stop.window is None
    assert load_scenario("philly", {"workload.trace": str(trace)}).stop.window is None
    assert load_scenario("philly", {"workload.jobs": 50, "stop.window": "1:2"}).stop.window == (1, 2)
    assert load_scenario("philly", {"workload.rate_per_hour": 2}).stop.window == (50, 150)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        (
            "workload.jbos",
            "3",
            "is not a key of [workload], did you mean 'jobs'?; allowed: trace, throughputs, co_throughputs, jobs",
        ),
        ("wrkload.jobs", "3", "wrkload: is not a section or key, did you mean 'workload'?"),
        ("workload.jobs", "-3", "workload.jobs: got -3; allowed: an integer of at least 0"),
        ("workload.jobs", "3.5", "workload.jobs: got 3.5; allowed: an integer"),
        ("workload.jobs", "many", 'workload.jobs: got "many"; allowed: an integer'),
        ("workload.rate_per_hour", "-1", "workload.rate_per_hour: got -1; allowed: a finite number of at least 0"),
        ("workload.rate_per_hour", "nan", "got NaN; allowed: a finite number of at least 0"),
        ("workload.rate_per_hour", 0, "window 50:150 needs at least 150: give workload.jobs (--jobs N)"),
        ("workload.scale_factors", "double", 'got "double"; allowed: one of single, gavel'),
        ("workload.trace", "/none.trace", "the file '/none.trace' does not exist"),
        ("workload.trace", "/", "the file '/' is a folder"),
        ("workload.throughputs", "/none.csv", "the file '/none.csv' does not exist"),
        ("cluster.gpus", "v100=0,k80=0", 'cluster.gpus: {"v100": 0, "k80": 0} gives 0 GPUs in all; allowed: at least'),
        ("cluster.gpus", "v100=-1", "cluster.gpus.v100: got -1; allowed: an integer of at least 0"),
        ("cluster.gpus", "v100", "got 'v100' in 'v100'; allowed: TYPE=COUNT,..."),
        ("cluster.gpus", "v100=1,v100=2", "names 'v100' again"),
        (
            "cluster.gpus",
            "a100=4",
            "names a100, but timing preset 'gavel' schedules v100, p100, k80 only; use --timing",
        ),
        ("cluster.gpus_per_node", "v100=0", "cluster.gpus_per_node.v100: got 0; allowed: an integer of at least 1"),
        ("cluster.gpus_per_node", "h100=2", "names h100, which the cluster does not have; allowed: v100, p100, k80"),
        ("timing.preset", "fast", 'timing.preset: got "fast"; allowed: one of gavel, corrected'),
        ("timing.round_s", "0", "timing.round_s: got 0; allowed: a finite number of at least 0.001"),
        ("timing.round_s", "inf", "timing.round_s: got Infinity; allowed: a finite number of at least 0.001"),
        ("stop.window", "9:3", "stop.window: got 9:3; allowed: A:B with A < B, or none"),
        ("stop.window", "x", 'stop.window: got "x"; allowed: [A, B]'),
        ("stop.window", "none", "the run would not end; give workload.jobs (--jobs N), stop.window"),
        ("stop.rounds", "0", "stop.rounds: got 0; allowed: an integer of at least 1, or none"),
        ("output.profile_every", "0", "output.profile_every: got 0; allowed: an integer of at least 1"),
        ("solver.kwargs", "{a", "neither a TOML table nor JSON"),
        ("solver.kwargs", "3", "solver.kwargs: got 3; allowed: a table"),
        ("policy.name", "recorded", "policy 'recorded' needs the allocations to replay"),
        ("workload", 5, "workload: got 5; allowed: a section, [workload]"),
        ("a.b.c.d", 1, "allowed: section.key, or section.key.name within a table"),
        ("seed", "none", 'seed: got "none"; allowed: an integer of at least 0'),
    ],
)
def test_a_wrong_override_is_one_message_naming_key_value_and_what_is_allowed(
    key: str, value: object, told: str
) -> None:
    message = refusal({key: value})
    assert told in message
    assert "\n" not in message


def test_an_unknown_scenario_names_the_nearest_and_the_built_in_ones() -> None:
    message = refusal({}, "phily")
    assert message.startswith("no scenario 'phily', did you mean 'philly'?; built in: ")
    assert "alibaba, alibaba-busy, alibaba-uniform, cluster-h, philly, philly-busy, spot2026, toy" in message


def test_a_file_is_named_with_the_line_of_every_fault(file: Path) -> None:
    file.write_text('[cluster]\ngpus = { v100 = -1 }\n\n[workload]\njobs = "3"\nrte = 1\n\n[polcy]\nname = "fifo"\n')
    told = refusal({}, file).splitlines()
    assert [text.split(" ")[0] for text in told] == [f"{file}:{line}:" for line in (2, 5, 6, 8)]


def test_a_fault_of_an_override_is_not_blamed_on_the_file(file: Path) -> None:
    file.write_text("[cluster]\ngpus = { v100 = 1 }\n[workload]\njobs = 3\n")
    assert refusal({"workload.jobs": -1}, file).startswith("workload.jobs: got -1")


def test_a_file_without_a_cluster_says_so(file: Path) -> None:
    file.write_text("[workload]\njobs = 3\n")
    assert refusal({}, file) == f"{file}: cluster: is missing"


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"a = \n", ":1: not TOML: "), (b"seed = 1\n\xff", ":2: byte 0xff; allowed: UTF-8 text")],
)
def test_a_file_that_is_no_toml_names_the_line(file: Path, content: bytes, told: str) -> None:
    file.write_bytes(content)
    assert refusal({}, file).startswith(f"{file}{told}")


def test_a_file_that_is_not_there_is_one_message(file: Path) -> None:
    assert refusal({}, file) == f"{file}: cannot read the scenario: No such file or directory"


def test_sections_that_are_no_tables_are_refused_with_and_without_overrides(file: Path) -> None:
    file.write_text("stop = 3\ncluster = 3\nworkload = []\n")
    assert len(refusal({}, file).splitlines()) == 3
    overrides: dict[str, object] = {"workload.jobs": 3, "cluster.gpus": "v100=3"}
    assert "'workload' is not a table of the scenario file" in refusal(overrides, file)


def test_paths_of_a_file_are_relative_to_it_and_its_name_names_the_run(file: Path) -> None:
    (file.parent / "jobs.trace").touch()
    file.write_text('[cluster]\ngpus = { v100 = 1 }\n[workload]\ntrace = "jobs.trace"\n')
    scenario = load_scenario(file)
    assert (scenario.name, scenario.workload.trace) == ("mine", str(file.parent / "jobs.trace"))


def test_a_scenario_made_in_code_is_judged_like_a_file() -> None:
    assert resolve(small()).cluster.gpus_per_node == {"v100": 1}
    with pytest.raises(ScenarioError, match=r"stop\.rounds: got 0; allowed: an integer of at least 1"):
        resolve(small(stop=Stop(rounds=0)))
    with pytest.raises(ScenarioError, match="got 0 at rate 0, where no others come; a run needs at least 1"):
        resolve(small(workload=Workload()))


def test_counts_are_parsed_with_spaces() -> None:
    assert parse_counts("v100=36, p100 = 2") == {"v100": 36, "p100": 2}


def test_every_key_of_the_scenario_file_says_what_it_means() -> None:
    keys = scenario_keys()
    assert len(keys) == len({key.path for key in keys})
    assert [key.path for key in keys if not key.doc] == []
    assert next(key for key in keys if key.path == "output.profile_every").default == "100"


def test_the_reference_page_is_in_step_with_the_schema() -> None:
    page = (ROOT / "docs" / "reference" / "scenario.md").read_text(encoding="utf-8")
    assert page == scenario_page(), "run: python -m phasewise.sched.scenario.reference docs/reference/scenario.md"
