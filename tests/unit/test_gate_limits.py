"""`bench/gate.toml`, and what is refused in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.gate import only, require_new_reason
from phasewise.bench.gate.limits import LIMITS_FILE, Base, load_base, load_limits
from phasewise.bench.gate.plants import PLANTS
from phasewise.bench.subjects.catalogue import catalogue
from phasewise.profiling.errors import RecordError

ROOT = Path(__file__).resolve().parents[2]


def test_every_case_of_the_gate_is_in_the_catalogue_and_can_have_the_steps_it_is_given() -> None:
    known = catalogue()
    for case in load_limits().cases:
        assert case.name in known
        assert case.steps is None or known[case.name].shorter is not None
        assert case.steps is None or case.steps <= known[case.name].steps


def test_engine_solvers_placement_and_phases_are_all_watched() -> None:
    assert {case.name.split("/")[0] for case in load_limits().cases} == {"engine", "solvers", "placement", "phases"}


def test_every_planted_defect_belongs_to_a_case_of_the_gate_and_to_a_file_that_exists() -> None:
    names = {case.name for case in load_limits().cases}
    assert {plant.case for plant in PLANTS.values()} <= names
    assert [plant.file for plant in PLANTS.values() if not (ROOT / plant.file).is_file()] == []


def test_a_defect_that_has_lost_its_place_is_refused(tmp_path: Path) -> None:
    plant = PLANTS["engine"]
    (tmp_path / plant.file).parent.mkdir()
    (tmp_path / plant.file).write_text("class Simulation:\n    def other(self): ...\n")
    with pytest.raises(GateError, match=r"sched/engine\.py has no Simulation\.step"):
        plant.put_into(tmp_path, 0.1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("pairs = 4", "pairs = 3", "sampling.pairs is 3; allowed: at least 4"),
        ("samples = 12", "samples = 11", "sampling.samples is 11; allowed: at least 12"),
        ("again = 2", "again = -1", "sampling.again is -1"),
        ("level = 0.95", "level = 95", "band.level is 95"),
        ("undecided_above = 0.02", "undecided_above = 0.2", "not in order"),
        ('commit = "', 'commit = "main', "base.commit is 'main"),
        ("walks = 2", "walks = 0", "below 1"),
        ('kind = "work"', 'kind = "wrok"', "wrok"),
        ("pairs = 4", "pears = 4", "pears"),
        ("[sampling]", "[sampling", "gate.toml"),
    ],
)
def test_a_file_that_is_not_as_it_has_to_be_is_refused_with_what_is_wrong(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    text = LIMITS_FILE.read_text()
    assert old in text
    path = tmp_path / "gate.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(GateError) as error:
        load_limits(path)
    assert message in error.value.message
    assert str(path) in error.value.message


def test_a_limit_without_a_reason_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gate.toml"
    path.write_text(LIMITS_FILE.read_text().replace('reason = "As lp_rebuilds."', 'reason = " "'))
    with pytest.raises(GateError, match=r"counters\.rebuilds: the reason is empty"):
        load_limits(path)


def test_a_case_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    text = LIMITS_FILE.read_text()
    path = tmp_path / "gate.toml"
    path.write_text(text + '\n[[cases]]\nname = "placement/alibaba/fgd"\nreason = "again"\n')
    with pytest.raises(GateError, match="a case is named twice"):
        load_limits(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"cannot read .*none\.toml"):
        load_limits(tmp_path / "none.toml")


def test_only_cases_of_the_gate_can_be_chosen() -> None:
    limits = load_limits()
    assert [case.name for case in only(limits, ["placement/alibaba/fgd"]).cases] == ["placement/alibaba/fgd"]
    with pytest.raises(GateError, match="'placement/alibaba/fdg' is not a case of the gate; allowed: engine"):
        only(limits, ["placement/alibaba/fdg"])


def test_a_base_that_is_moved_needs_a_reason_of_its_own() -> None:
    before = Base("a" * 40, "The first one that can be measured.")
    require_new_reason(Base("b" * 40, "Switching is exact now, and takes a tenth longer."), before)
    with pytest.raises(GateError, match=r"moved from a{12} to b{12}, but base\.reason is the same; say why"):
        require_new_reason(Base("b" * 40, f" {before.reason}\n"), before)


def test_the_base_of_another_versions_file_is_read_whatever_else_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "gate.toml"
    path.write_text('[base]\ncommit = "c"\nreason = "r"\n[unheard_of]\nkey = 1\n')
    assert load_base(path) == Base("c", "r")
    path.write_text("[sampling]\npairs = 4\n")
    with pytest.raises(GateError, match="missing required field `base`"):
        load_base(path)
