"""The test set: its instances are what the manifest says, and its results come to what they have to."""

from __future__ import annotations

import json
import math
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from phasewise.bench.cli.commands.testset import command
from phasewise.bench.testset import manifest, tapes
from phasewise.bench.testset.canonical import canonical, digest
from phasewise.bench.testset.errors import TestsetError
from phasewise.bench.testset.generating import GENERATORS, VERSION, Size, generated
from phasewise.bench.testset.judging import Reached, judged
from phasewise.bench.testset.manifest import Instance, Scale, load
from phasewise.bench.testset.rows import COLUMNS, Row, csv_text, line, read
from phasewise.bench.testset.scoring import figures, shifted_mean
from phasewise.profiling.errors import RecordError
from phasewise.profiling.phases import PhaseTimer
from phasewise.reports.testset_page import write_page
from phasewise.solvers import registry
from phasewise.solvers.proofs import relative_gap
from phasewise.solvers.tapes import Tape, TapeWriter

SET = load()
SMALL = [each for each in SET.instances if each.scale is Scale.SMALL]


def row(instance: str, backend: str, mode: str = "cold", **changed: object) -> Row:
    found = {
        "testset": SET.testset, "instance": instance, "sha256": SET.named(instance).sha256, "backend": backend,
        "mode": mode, "problems": 8, "cpu_ms": 1.0, "cpu_ms_max": 2.0, "objective": 0.5, "gap": 1e-12, "violation": 0.0,
        "tolerance": "1e-9", "failures": 0, "limit_s": 10.0, "judged": True, "machine": "a", **changed,
    }  # fmt: skip
    return msgspec.convert(found, Row)


# -- instances ---------------------------------------------------------------------------------------------------


def test_every_family_has_an_instance_of_every_size() -> None:
    for scale in {each.scale for each in SET.instances}:
        families = {each.family for each in SET.instances if each.scale is scale}
        assert families == set(registry.families())


def test_small_tapes_come_with_the_package_and_are_small() -> None:
    assert sum(each.tape.stat().st_size for each in SMALL) < 300_000
    assert {each.tape for each in SMALL} == set(manifest.TAPES.glob("*.tape"))
    assert not any(each.tape.exists() for each in SET.instances if each.scale is not Scale.SMALL)


@pytest.mark.parametrize("instance", SMALL, ids=lambda each: each.name)
def test_a_tape_holds_the_problems_that_the_manifest_says(instance: Instance) -> None:
    problems = list(Tape(instance.tape))
    assert digest(problems) == instance.sha256
    assert len(problems) == instance.problems == len(instance.objective) == len(instance.bound)
    assert {each.family for each in problems} == {instance.family}
    assert max(each.jobs for each in problems) == instance.jobs
    assert {each.types for each in problems} == {instance.types}


@pytest.mark.parametrize("instance", SET.instances, ids=lambda each: each.name)
def test_every_reference_is_proven_nearly_to_the_last_digit(instance: Instance) -> None:
    for objective, bound in zip(instance.objective, instance.bound, strict=True):
        assert relative_gap(bound, objective) <= 1e-7  # of switching, gaps are relative to terms before they cancel
    assert bool(instance.stages) == ("lexicographic" in instance.family)


def test_a_seed_gives_the_same_problems_again_and_another_seed_others(tmp_path: Path) -> None:
    instance = SET.named("small/max_min_switching")
    assert digest(generated(instance.generator, tapes.size_of(instance))) == instance.sha256
    assert digest(generated(instance.generator, Size(instance.seed + 1, 24, 8, 3))) != instance.sha256


def test_generated_numbers_have_sixteen_significant_bits() -> None:
    for problem in generated("finish_time", Size(3, 20, 2, 3)):
        for value in (problem.throughput, problem.isolated, problem.steps_remaining):  # type: ignore[attr-defined]
            scaled = [math.frexp(each)[0] * 2**16 for each in value.ravel()]
            assert all(each == round(each) for each in scaled)


@pytest.mark.thorough
@pytest.mark.parametrize("generator", GENERATORS)
def test_every_generator_gives_valid_problems_of_its_family(generator: str) -> None:
    for problem in generated(generator, Size(5, 30, 3, 3)):
        problem.validate()
        assert problem.family == generator.removesuffix("_canonical").removesuffix("_confined")


def test_the_digest_is_of_the_problems_and_not_of_how_a_tape_packs_them(tmp_path: Path) -> None:
    problems = list(Tape(SET.named("small/transport").tape))
    with TapeWriter(tmp_path / "b.tape", {"another": "origin"}) as tape:
        for problem in problems:
            tape.write(problem)
    assert digest(Tape(tmp_path / "b.tape")) == digest(problems)
    assert len({canonical(each) for each in problems}) == len(problems)
    assert digest(reversed(problems)) != digest(problems)


def test_what_is_generated_is_kept_and_held_to_its_digest(tmp_path: Path) -> None:
    size = Size(2, 10, 2, 3)
    found = digest(generated("max_min", size))
    instance = msgspec.structs.replace(
        SET.named("small/max_min_switching"), name="tiny/max_min", generator="max_min", seed=2, jobs=10, problems=2,
        sha256=found,
    )  # fmt: skip
    path = tapes.tape_of(instance, tmp_path / "cache")
    assert digest(Tape(path)) == found
    assert tapes.tape_of(instance, tmp_path / "cache") == path
    tapes.write(path, "max_min", Size(3, 10, 2, 3))
    with pytest.raises(TestsetError, match="holds other problems than tiny/max_min"):
        tapes.tape_of(instance, tmp_path / "cache")
    other = msgspec.structs.replace(instance, sha256="0" * 64)
    with pytest.raises(TestsetError, match="seed 2 gives other problems on this machine"):
        tapes.tape_of(other, tmp_path / "empty")
    assert list((tmp_path / "empty").iterdir()) == []
    old = msgspec.structs.replace(instance, version=VERSION + 1)
    with pytest.raises(TestsetError, match=f"generator version {VERSION + 1}; this is version {VERSION}"):
        tapes.tape_of(old, tmp_path / "empty")


@pytest.mark.thorough
@pytest.mark.parametrize("instance", SMALL, ids=lambda each: each.name)
def test_our_own_choice_reaches_the_tightest_class_everywhere(instance: Instance) -> None:
    session, state = registry.get("auto").open({}, PhaseTimer()), None
    for index, problem in enumerate(Tape(instance.tape)):
        answer, state = session.solve(problem, state)
        found = judged(instance, index, problem, answer, exact=True)
        assert found.reached is Reached.NINTH, found


# -- rows --------------------------------------------------------------------------------------------------------

ROWS = [
    row("small/max_min", "a"),
    row("small/max_min", "a", "warm", cpu_ms=0.1, message='a "quoted", long one'),
    row("small/max_sum", "b", cpu_ms=None, gap=None, violation=None, objective=None, tolerance="failed", failures=8),
]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json"])
def test_rows_are_read_as_they_were_written(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    texts = {
        "csv": csv_text(ROWS),
        "jsonl": b"".join(map(line, ROWS)).decode(),
        "json": msgspec.json.encode(ROWS).decode(),
    }
    path.write_text(texts[kind])
    assert read(path, SET) == ROWS


def test_a_row_that_a_kill_cut_off_is_none(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(map(line, ROWS))[:-20])
    assert read(path, SET) == ROWS[:-1]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"instance": "small/none"}, "no instance 'small/none'"),
        ({"sha256": "1" * 64}, "sha256 of small/max_min is 1111"),
        ({"testset": 99}, "is of test set 99"),
        ({"tolerance": "great"}, "row 1: Invalid enum value 'great'"),
        ({"mode": "hot"}, "row 1: Invalid enum value 'hot'"),
        ({"cpu_ms": -1.0}, "cpu_ms is -1.0; allowed: finite numbers of at least 0"),
        ({"cpu_ms": None}, "tolerance is 1e-9 but cpu_ms is missing"),
        ({"colour": "red"}, "unknown field `colour`"),
    ],
)
def test_a_row_that_is_none_is_one_message(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([{**msgspec.to_builtins(ROWS[0]), **changed}]))
    with pytest.raises(TestsetError, match=message):
        read(path, SET)


def test_a_table_that_is_none_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"none\.csv"):
        read(tmp_path / "none.csv", SET)
    (tmp_path / "a.csv").write_text("instance,backend\nx,y\n")
    with pytest.raises(TestsetError, match="lacks the columns testset, sha256"):
        read(tmp_path / "a.csv", SET)
    (tmp_path / "b.jsonl").write_text("nothing\n")
    with pytest.raises(TestsetError, match="no table of results, neither CSV nor JSON"):
        read(tmp_path / "b.jsonl", SET)


# -- figures -----------------------------------------------------------------------------------------------------


def test_the_shifted_mean_is_that_of_its_definition() -> None:
    assert shifted_mean([3.0, 3.0]) == pytest.approx(3.0)
    assert shifted_mean([1.0, 7.0]) == pytest.approx(3.0)  # (2 * 8) ** 0.5 - 1
    assert shifted_mean([0.0, 0.001]) < 0.001


def test_a_failure_counts_at_the_limit_and_a_refusal_does_not_count() -> None:
    rows = [
        row("small/max_min", "good", cpu_ms=3.0),
        row("small/max_sum", "good", cpu_ms=3.0),
        row("small/max_min", "late", cpu_ms=1.0),
        row("small/max_sum", "late", cpu_ms=None, tolerance="limit", limit_s=8.191),
        row("small/max_min", "picky", cpu_ms=3.0, tolerance="1e-3", gap=1e-4, limit_s=1.0),
        row("small/max_sum", "picky", cpu_ms=None, tolerance="refused"),
    ]
    found = {each["backend"]: each for each in figures(rows, SET)["modes"][0]["backends"]}
    assert found["good"]["mean_ms"] == pytest.approx(3.0)
    assert found["late"]["mean_ms"] == pytest.approx((2.0 * 8192.0) ** 0.5 - 1.0)
    assert (found["late"]["instances"], found["late"]["solved"]) == (2, 1)
    assert (found["picky"]["instances"], found["picky"]["solved"]) == (1, 0)
    assert found["picky"]["mean_ms"] == pytest.approx(1000.0)
    at_ease = {e["backend"]: e for e in figures(rows, SET, Reached.THIRD)["modes"][0]["backends"]}
    assert at_ease["picky"]["mean_ms"] == pytest.approx(3.0)


def test_profiles_and_pairs_are_those_of_their_definitions() -> None:
    rows = [
        row("small/max_min", "a", cpu_ms=1.0),
        row("small/max_sum", "a", cpu_ms=9.0),
        row("small/transport", "a", cpu_ms=None, tolerance="failed", limit_s=1.0),
        row("small/max_min", "b", cpu_ms=4.0),
        row("small/max_sum", "b", cpu_ms=3.0),
        row("small/transport", "b", cpu_ms=None, tolerance="refused"),
    ]
    cold = figures(rows, SET)["modes"][0]
    assert cold["profiles"]["a"] == [[1.0, pytest.approx(1 / 3)], [3.0, pytest.approx(2 / 3)]]
    assert cold["profiles"]["b"] == [[1.0, pytest.approx(1 / 3)], [4.0, pytest.approx(2 / 3)]]
    (pair,) = cold["pairs"]
    assert (pair["one"], pair["other"], pair["instances"]) == ("a", "b", 2)
    assert (pair["one_faster"], pair["other_faster"]) == (1, 1)
    assert pair["ratio"] == pytest.approx(((2.0 / 5.0) * (10.0 / 4.0)) ** 0.5)


def test_machines_are_kept_apart() -> None:
    rows = [row("small/max_min", "a"), row("small/max_min", "a", machine="other", judged=False)]
    found = figures(rows, SET)
    assert found["machines"] == ["a", "other"]
    assert found["unjudged"] == ["a"]
    assert [each["backend"] for each in found["modes"][0]["backends"]] == ["a (a)", "a (other)"]


def test_the_page_has_every_result_and_needs_nothing_else(tmp_path: Path) -> None:
    rows = [*ROWS, row("small/max_sum", "a<b", "warm", cpu_ms=12.5)]
    write_page(figures(rows, SET), [msgspec.to_builtins(each) for each in rows], tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text()
    assert "a&lt;b" in text
    assert "a<b" not in text.replace('"a\\u003cb"', "")
    assert "12.5" in text
    assert SET.named("small/max_sum").sha256[:16] in text
    assert 'src="' not in text
    assert "https://" not in text


# -- the command -------------------------------------------------------------------------------------------------


def test_the_list_names_every_instance_for_people_and_for_machines() -> None:
    said = CliRunner().invoke(command, ["list", "--scale", "small"])
    assert [each.split()[0] for each in said.output.splitlines()[1:]] == [each.name for each in SMALL]
    found = json.loads(CliRunner().invoke(command, ["list", "--json"]).output)
    assert [each["name"] for each in found] == [each.name for each in SET.instances]
    none = CliRunner().invoke(command, ["list", "--instance", "x*"])
    assert none.exit_code
    assert "no instance matches 'x*'; there are" in none.output


def test_tables_of_several_people_make_one_page(tmp_path: Path) -> None:
    (tmp_path / "ours.jsonl").write_bytes(b"".join(map(line, ROWS)))
    (tmp_path / "theirs.csv").write_text(csv_text([row("small/max_min", "theirs", judged=False, cpu_ms=0.5)]))
    out = tmp_path / "out"
    files = [str(tmp_path / "ours.jsonl"), str(tmp_path / "theirs.csv")]
    said = CliRunner().invoke(command, ["report", *files, "--out", str(out)])
    assert said.exit_code == 0, said.output
    assert "reported by others, not judged here: theirs" in said.output
    assert {each.name for each in out.iterdir()} == {"index.html", "rows.csv", "scores.json"}
    assert len(read(out / "rows.csv", SET)) == 4
    assert (out / "rows.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    as_json = json.loads(CliRunner().invoke(command, ["report", *files, "--json"]).output)
    assert as_json == json.loads((out / "scores.json").read_text())
