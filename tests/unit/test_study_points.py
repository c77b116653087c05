"""The points of a study: what its file says, which combinations that makes, and how they are named."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_studies import HEAD, study

from phasewise.bench.study.costs import Costs
from phasewise.bench.study.definition import builtin_names, load_definition, overridden, quickened
from phasewise.bench.study.errors import StudyError
from phasewise.bench.study.folder import study_text
from phasewise.bench.study.grid import combinations
from phasewise.bench.study.points import Point, point_hash, points_of, require_names
from phasewise.bench.study.toml_text import document

SEEDS = "[grid]\nseed = [0, 1]\n"


def overrides(folder: Path, text: str) -> list[dict[str, object]]:
    return [point.overrides for point in points_of(study(folder, text))]


# -- the grid --------------------------------------------------------------------------------------------------------


def test_there_is_a_point_for_every_combination_and_the_last_axis_runs_fastest(tmp_path: Path) -> None:
    text = '[grid]\npolicy.name = ["fifo_perf", "isolated"]\nseed = "0:2"\n'
    assert overrides(tmp_path, text) == [
        {"policy.name": policy, "seed": seed} for policy in ("fifo_perf", "isolated") for seed in (0, 1)
    ]


@pytest.mark.parametrize("text", ['[grid]\n"policy.name" = ["isolated"]', '[grid.policy]\nname = ["isolated"]'])
def test_a_dotted_key_may_be_written_in_every_way_that_toml_has(tmp_path: Path, text: str) -> None:
    assert overrides(tmp_path, text) == [{"policy.name": "isolated"}]


def test_a_range_is_one_only_of_a_key_that_takes_integers() -> None:
    points = combinations({"seed": ["1:3", 7], "stop.window": ["0:3"]}, [])
    assert points == [{"seed": seed, "stop.window": "0:3"} for seed in (1, 2, 7)]


def test_a_value_that_stands_twice_on_an_axis_makes_one_point(tmp_path: Path) -> None:
    assert overrides(tmp_path, '[grid]\nseed = ["0:2", 1]\n') == [{"seed": 0}, {"seed": 1}]


def test_a_combination_that_agrees_with_all_keys_of_an_exclusion_goes() -> None:
    grid = {"policy.name": ["fifo", "isolated"], "workload.rate_per_hour": [1.0, 2.0, 3.0]}
    left = combinations(grid, [{"policy.name": "fifo", "workload.rate_per_hour": [2, 3]}])
    assert [(each["policy.name"], each["workload.rate_per_hour"]) for each in left] == [
        ("fifo", 1.0),
        ("isolated", 1.0),
        ("isolated", 2.0),
        ("isolated", 3.0),
    ]


def test_points_that_come_to_the_same_scenario_are_one(tmp_path: Path) -> None:
    assert len(overrides(tmp_path, "[grid]\nstop.stragglers = [0]\nworkload.rate_per_hour = [2, 2.0]\n")) == 1


# -- what is wrong ---------------------------------------------------------------------------------------------------

WRONG = {
    "no TOML": ("[grid\n", "not TOML"),
    "an unknown section": ("[gird]\nseed = [0]\n", "gird: is not a section, did you mean 'grid'?"),
    "an unknown key": ("[limits]\nmemory = 3\n", "limits.memory: is not a key of [limits]"),
    "a limit of nothing": ("[limits]\ncpu_s = 0\n", "allowed: a finite number above 0"),
    "a text for a number": ('[limits]\nmemory_mib = "much"\n', "limits.memory_mib"),
    "an axis without values": ("[grid]\nseed = []\n", "grid.seed: has no value"),
    "an empty range": ('[grid]\nseed = "3:3"\n', "allowed: A:B with A < B"),
    "an unknown key of the scenario": ('[grid]\npolicy.nam = ["fifo"]\n', "did you mean 'name'?"),
    "a policy that is not there": ('[grid]\npolicy.name = ["fifo", "fofi"]\n', "policy.name: "),
    "a placement that is not there": ('[set]\nplacement.name = "fdg"\n' + SEEDS, "did you mean 'fgd'"),
    "a solver that is not there": ('[set]\nsolver.name = "highs-direct,hgihs"\n' + SEEDS, "solver.name: "),
    "a value that the scenario refuses": ("[grid]\ntiming.round_s = [60, -1]\n", '{"timing.round_s": -1}'),
    "an exclusion of no axis": (f"{SEEDS}[[exclude]]\nsede = 0\n", "exclude.sede: is not an axis of [grid]"),
    "an exclusion of no value": (f"{SEEDS}[[exclude]]\nseed = 5\n", "'5' is not on that axis; allowed: [0, 1]"),
    "nothing left": (f"{SEEDS}[[exclude]]\nseed = [0, 1]\n", "leaves no point"),
    "far too many": ('[grid]\nseed = "0:100000"\nstop.rounds = "1:9"\n', "800,000 combinations"),
    "a key twice": ("[set]\nseed = 1\n" + SEEDS, "set.seed: is also in [grid]"),
    "exclusions that are no tables": ("exclude = 3\n", "allowed: tables, [[exclude]]"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named_with_what_is_allowed(tmp_path: Path, case: str) -> None:
    text, words = WRONG[case]
    if not text.startswith("["):
        (tmp_path / "small.toml").write_text(text + HEAD)
        with pytest.raises(StudyError) as caught:
            load_definition(tmp_path / "small.toml")
    else:
        with pytest.raises(StudyError) as caught:
            require_names(points_of(study(tmp_path, text)))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "study: is missing"),
        ("[study]\nname = 'x'\n", "scenario"),
        ("[study]\nscenario = 'toy'\nname = 'a/b'\n", "study.name: got 'a/b'"),
        ("[study]\nscenario = 'toy'\nkind = 'walk'\n", "study.kind"),
        ("[study]\nscenario = 'tyo'\n", "no scenario"),
        ("[cluster]\ngpus = { v100 = 1 }\n", "seems a scenario"),
    ],
)
def test_a_file_that_is_no_study_is_told_why(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "it.toml"
    path.write_text(text)
    with pytest.raises(StudyError) as caught:
        points_of(load_definition(path))
    assert words in str(caught.value)


def test_the_nearest_study_is_named() -> None:
    with pytest.raises(StudyError, match="did you mean 'gavel-fig9'"):
        load_definition("gavel-fgi9")


# -- names -----------------------------------------------------------------------------------------------------------


def test_the_name_is_the_hash_of_the_canonical_json() -> None:
    what = {"b": [1, None], "a": {"y": 1.5, "x": "é"}}
    text = '{"a":{"x":"\\u00e9","y":1.5},"b":[1,null]}'
    assert point_hash(what) == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_the_name_is_that_of_the_resolved_scenario_without_what_changes_no_result(tmp_path: Path) -> None:
    (point,) = points_of(study(tmp_path, "[grid]\nseed = [3]\n"))
    assert point.resolved["seed"] == 3
    kept = {
        key: value for key, value in point.resolved.items() if key not in ("name", "description", "output", "limits")
    }
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    assert point.name == hashlib.sha256(text.encode()).hexdigest()[:16]


SAME = {
    "output": "[set]\noutput.lines = 'all'\noutput.rounds_every = 7\n",
    "limits": "[limits]\ncpu_s = 5\nmemory_mib = 500\nsim_time_s = 1e6\n",
    "a default, written out": "[set]\nstop.stragglers = 0\n",
}


@pytest.mark.parametrize("case", SAME)
def test_what_changes_no_result_changes_no_name(tmp_path: Path, case: str) -> None:
    plain, other = (points_of(study(tmp_path, text + SEEDS)) for text in ("", SAME[case]))
    assert [point.name for point in plain] == [point.name for point in other]


def test_every_other_key_changes_the_name(tmp_path: Path) -> None:
    texts = ["", "[set]\nstop.rounds = 5\n", "[set]\ntiming.round_s = 100\n", "[set]\nsolver.name = 'structured'\n"]
    names = [point.name for text in texts for point in points_of(study(tmp_path, text + SEEDS))]
    assert len(set(names)) == len(names) == 8


def test_a_fill_is_named_by_its_setting_and_takes_nodes_and_pods_of_the_scenario() -> None:
    points = points_of(load_definition("fgd-fig7"))
    assert len({point.name for point in points}) == 18
    assert points[0].resolved["setting"] == {
        "nodes": "openb",
        "pods": "openb",
        "placement": "fgd",
        "seed": 42,
        "order": None,
        "load": 1.3,
        "bit_compatible": False,
        "compiled": True,
    }
    assert points[0].overrides == {"placement.name": "fgd", "seed": 42}


def test_a_fill_needs_nodes_and_pods(tmp_path: Path) -> None:
    path = tmp_path / "it.toml"
    path.write_text("[study]\nscenario = 'toy'\nkind = 'inflate'\n")
    with pytest.raises(StudyError, match=r"cluster\.nodes: is empty"):
        points_of(load_definition(path))


# -- other forms of a study ------------------------------------------------------------------------------------------


def test_a_key_that_is_set_from_outside_takes_the_place_of_its_axis(tmp_path: Path) -> None:
    definition = overridden(study(tmp_path, SEEDS), {"seed": "4:6", "stop.rounds": "3"})
    points = points_of(definition)
    assert [point.overrides for point in points] == [{"seed": 4}, {"seed": 5}]
    assert {point.resolved["stop"]["rounds"] for point in points} == {3}


def test_the_quick_form_replaces_axes(tmp_path: Path) -> None:
    text = "[grid]\nseed = '0:5'\nstop.rounds = [9, 10]\n[quick.grid]\nseed = [0]\n[quick.set]\ntiming.round_s = 60.0\n"
    points = points_of(quickened(study(tmp_path, text)))
    assert [point.overrides for point in points] == [{"seed": 0, "stop.rounds": rounds} for rounds in (9, 10)]
    assert {point.resolved["timing"]["round_s"] for point in points} == {60.0}
    with pytest.raises(StudyError, match=r"has no \[quick\] section"):
        quickened(study(tmp_path, SEEDS))


@pytest.mark.thorough
@pytest.mark.parametrize("name", builtin_names())
def test_a_built_in_study_is_right_in_both_forms_and_says_what_it_is(name: str) -> None:
    definition = load_definition(name)
    assert definition.study.name == name
    assert definition.study.description
    assert definition.figures.names
    assert 1 < len(points_of(quickened(definition))) <= 12
    few = overridden(definition, {"seed": "0"} if definition.study.kind == "run" else {"seed": "42"})
    assert len(points_of(few)) > 1


def test_a_study_written_down_is_the_same_study(tmp_path: Path) -> None:
    text = (
        "[set]\nstop.window = [2, 9]\ncluster.gpus = { v100 = 2, k80 = 1 }\n"
        '[grid]\npolicy.name = ["fifo", "isolated"]\nseed = "0:3"\n'
        '[[exclude]]\npolicy.name = "fifo"\nseed = 2\n'
        '[limits]\ncpu_s = 5\n[slurm]\nmem_gb = 2\n[figures]\nnames = ["usage"]\n'
    )
    first = study(tmp_path, text)
    path = tmp_path / "again.toml"
    path.write_text(study_text(first))
    again = load_definition(path)
    assert [point.name for point in points_of(again)] == [point.name for point in points_of(first)]
    assert (again.limits, again.slurm, again.figures) == (first.limits, first.slurm, first.figures)
    assert again.grid["seed"] == [0, 1, 2]


PLAIN = st.one_of(
    st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(st.text(min_size=1), VALUES, min_size=1, max_size=5))
def test_what_is_written_as_toml_is_read_back(table: dict[str, object]) -> None:
    assert tomllib.loads(document({"section": table})) == {"section": table}


# -- costs -----------------------------------------------------------------------------------------------------------


def point(**given: object) -> Point:
    return Point(json.dumps(given), "run", dict(given), {})


def test_a_point_is_expected_to_take_what_the_points_next_to_it_took() -> None:
    costs = Costs()
    assert costs.expected_s(point(rate=1.0, seed=0)) is None
    costs.note(point(rate=1.0, seed=0), 10.0)
    costs.note(point(rate=1.0, seed=1), 20.0)
    costs.note(point(rate=4.0, seed=0), 100.0)
    assert costs.expected_s(point(rate=1.0, seed=2)) == 15.0
    assert costs.expected_s(point(rate=3.0, seed=0)) == 100.0
    assert costs.left_s([point(rate=1.0, seed=2), point(rate=4.0, seed=7)]) == 115.0


def test_the_longest_goes_first_and_nothing_moves_where_nothing_is_known() -> None:
    points = [point(rate=rate, seed=5) for rate in (1.0, 4.0, 2.0)]
    costs = Costs()
    assert costs.longest_first(points) == points
    for rate in (1.0, 2.0, 4.0):
        costs.note(point(rate=rate, seed=0), rate)
    assert [each.overrides["rate"] for each in costs.longest_first(points)] == [4.0, 2.0, 1.0]
