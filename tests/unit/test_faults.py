"""How a list of faults is told: those alike together, never more than a screen."""

from __future__ import annotations

from phasewise.sched.reading.faults import Fault, render


def told(*faults: Fault, shown: int = 20) -> list[str]:
    return render("file", faults, shown).splitlines()


def test_a_few_faults_are_told_one_by_one() -> None:
    assert told(Fault(1, "a is 'x'"), Fault(2, "b is 'y'"), Fault(None, "no end")) == [
        "file:1: a is 'x'",
        "file:2: b is 'y'",
        "file: no end",
    ]


def test_faults_that_differ_by_a_name_or_a_number_are_told_together() -> None:
    lines = told(*[Fault(line, f"unknown job type 'job-{line}' of {line} steps") for line in range(1, 301)])
    assert lines[:3] == [f"file:{line}: unknown job type 'job-{line}' of {line} steps" for line in (1, 2, 3)]
    assert lines[3:] == ["file: and 297 more like this, in lines 4-300"]


def test_four_alike_are_all_told() -> None:
    assert len(told(*[Fault(line, f"got {line}") for line in range(4)])) == 4


def test_the_lines_of_the_others_are_ranges_and_cut_where_they_are_many() -> None:
    (*_, last) = told(*[Fault(line, f"got {line}") for line in (1, 2, 3, 7, 8, 9, 12)])
    assert last == "file: and 4 more like this, in lines 7-9, 12"
    (*_, last) = told(*[Fault(line, f"got {line}") for line in range(1, 200, 2)])
    assert last == "file: and 97 more like this, in lines 7, 9, 11, 13, 15, 17, 19, 21 ... 199"


def test_of_faults_that_are_all_different_only_the_first_are_told_and_the_others_counted() -> None:
    lines = told(*[Fault(line, "x" * line) for line in range(1, 51)])
    assert len(lines) == 21
    assert lines[-1] == "file: and 30 more faults"


def test_every_fault_is_told_or_counted() -> None:
    faults = [Fault(line, "y" * (line % 30)) for line in range(300)]
    lines = told(*faults)
    counted = sum(int(line.split(" and ")[1].split()[0]) for line in lines if " and " in line)
    assert counted + sum(" and " not in line for line in lines) == len(faults)
