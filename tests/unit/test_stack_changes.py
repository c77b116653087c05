"""Two sets of sampled stacks: what moved is named, and what is chance is not, at the stated rate."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from phasewise.profiling.errors import SamplingError
from phasewise.profiling.stack_changes import (
    LEAST_SAMPLES,
    LEAST_USUAL,
    Movement,
    PlaceChange,
    StackChanges,
    stack_changes,
)
from phasewise.profiling.stack_trees import forest_of
from phasewise.profiling.stacks import Folded

TICK_S = 0.004
FUNCTIONS = 60
NAMES = [f"phasewise.room{index % 5}:function_{index:02d}" for index in range(FUNCTIONS)]
# A few functions take most of the time, many take little, as in every program; each is called from one before it.
SHARES = np.arange(1, FUNCTIONS + 1) ** -1.2
STACKS = [[0], *([0, 1 + (index - 1) // 3, index] if index > 3 else [0, index] for index in range(1, FUNCTIONS))]


def sampled(
    rng: np.random.Generator, ticks: int = 1500, slower: dict[int, float] | None = None, speed: float = 1.0
) -> Folded:
    """Return stacks by chance: each tick falls on a function by its share, a slower one's share being larger."""
    shares = SHARES / SHARES.sum()
    for index, factor in (slower or {}).items():
        shares[index] *= factor
    counts = rng.poisson(ticks * shares * speed)
    return Folded(
        samples=int(counts.sum()),
        frames=NAMES,
        stacks=STACKS,
        cpu_s=[TICK_S * int(count) for count in counts],
        wall_s=[TICK_S * int(count) for count in counts],
        tick_s=TICK_S,
    )


def with_long_calls(rng: np.random.Generator, calls: int = 6, ticks: int = 25) -> Folded:
    """Return stacks by chance, and single calls of many ticks that each fall on any function."""
    folded = sampled(rng)
    longer = np.bincount(rng.integers(FUNCTIONS, size=calls), minlength=FUNCTIONS)
    return msgspec.structs.replace(
        folded,
        samples=folded.samples + calls,
        cpu_s=[spent_s + ticks * TICK_S * int(many) for spent_s, many in zip(folded.cpu_s, longer, strict=True)],
        squares_s2=[
            spent_s * TICK_S + (ticks * TICK_S) ** 2 * int(many)
            for spent_s, many in zip(folded.cpu_s, longer, strict=True)
        ],
    )


def places(place: PlaceChange) -> list[PlaceChange]:
    return [place, *(found for below in place.below for found in places(below))]


def names_anything(rng: np.random.Generator, samplings: int, *, shared_factor: bool, speed: float = 1.0) -> bool:
    before, after = ([sampled(rng, 1500 // samplings, speed=v) for _ in range(samplings)] for v in (1.0, speed))
    return alarm(stack_changes(before, after, paired=samplings > 1, shared_factor=shared_factor))


def alarm(found: StackChanges) -> bool:
    return any(place.whole.movement is not Movement.NOISE for place in places(found.root)) or bool(found.moved)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("samplings", "shared_factor", "speed"), [(1, False, 1.0), (6, False, 1.0), (1, True, 1.3)], ids=str
)
def test_equal_programs_are_told_to_differ_at_most_at_the_stated_rate(
    samplings: int, shared_factor: bool, speed: float
) -> None:
    rng = np.random.default_rng(5)
    alarms = sum(names_anything(rng, samplings, shared_factor=shared_factor, speed=speed) for _ in range(60))
    assert alarms <= 8  # at 5 % of 60, more than 8 come once in three hundred times


@pytest.mark.parametrize("planted", [2, 8, 20])
def test_a_planted_slower_function_is_named_first_and_alone(planted: int) -> None:
    rng = np.random.default_rng(planted)
    before, after = sampled(rng, 4000), sampled(rng, 4000, {planted: 3.0})
    found = stack_changes([before], [after])
    assert [each.name for each in found.moved] == [NAMES[planted]]
    assert found.functions[0] is found.moved[0]
    own = found.moved[0].own
    expected = 2.0 * 4000 * TICK_S * SHARES[planted] / SHARES.sum()
    assert own.movement is Movement.SLOWER
    assert own.change_s is not None
    assert own.change_s.low < expected < own.change_s.high


def test_what_became_faster_is_said_so() -> None:
    rng = np.random.default_rng(4)
    found = stack_changes([sampled(rng, 3000)], [sampled(rng, 3000, {1: 0.2})])
    assert [(each.name, each.own.movement) for each in found.moved] == [(NAMES[1], Movement.FASTER)]


def test_a_function_that_is_new_is_found_under_its_callers() -> None:
    rng = np.random.default_rng(6)
    before, plain = sampled(rng, 3000), sampled(rng, 3000)
    after = Folded(
        samples=plain.samples + 200,
        frames=[*plain.frames, "phasewise.new:spin"],
        stacks=[*plain.stacks, [0, 2, FUNCTIONS]],
        cpu_s=[*plain.cpu_s, 200 * TICK_S],
        wall_s=[*plain.wall_s, 200 * TICK_S],
        tick_s=TICK_S,
    )
    found = stack_changes([before], [after])
    assert found.moved[0].name == "phasewise.new:spin"
    assert found.moved[0].own.before_s == 0.0
    line = [place for place in places(found.root) if place.whole.movement is Movement.SLOWER]
    assert {found.frames[place.frame] for place in line if place.frame >= 0} >= {"phasewise.new:spin", NAMES[2]}


def test_a_machine_that_is_slower_throughout_moves_nothing_and_its_factor_is_told() -> None:
    rng = np.random.default_rng(7)
    before, after = sampled(rng, 4000), sampled(rng, 4000, {5: 3.0}, speed=1.4)
    found = stack_changes([before], [after], shared_factor=True)
    assert [each.name for each in found.moved] == [NAMES[5]]
    assert found.common == pytest.approx(1.4, rel=0.1)


def test_runs_of_a_few_samples_have_what_is_common_taken_out_too() -> None:
    before = sampled(np.random.default_rng(14), 20)
    after = msgspec.structs.replace(before, cpu_s=[2.0 * cpu_s for cpu_s in before.cpu_s])
    found = stack_changes([before], [after], shared_factor=True)
    assert sum(each.own.change_s is not None for each in found.functions) < LEAST_USUAL
    assert found.common == pytest.approx(2.0)
    assert found.moved == []


def test_what_feels_a_busy_machine_a_little_more_than_others_has_not_moved() -> None:
    rng = np.random.default_rng(10)
    before, after = sampled(rng, 40_000), sampled(rng, 40_000, {0: 1.12}, speed=1.4)
    assert stack_changes([before], [after], shared_factor=True).moved == []
    after = sampled(rng, 40_000, {0: 1.12})
    assert [each.name for each in stack_changes([before], [after], shared_factor=True).moved] == [NAMES[0]]


def test_a_place_has_the_time_of_all_that_it_called_and_counts_work_once() -> None:
    folded = sampled(np.random.default_rng(8), 2000)
    half = Folded(**{**{name: getattr(folded, name) for name in folded.__struct_fields__}, "times": 2})
    found = stack_changes([folded], [half])
    assert found.root.whole.before_s == pytest.approx(sum(folded.cpu_s))
    assert found.root.whole.after_s == pytest.approx(sum(folded.cpu_s) / 2)
    own = sum(each.own.before_s for each in found.functions)
    assert own == pytest.approx(found.root.whole.before_s)
    for place in places(found.root):
        assert place.whole.before_s >= sum(below.whole.before_s for below in place.below) - 1e-9
    below_two = next(p for p in places(found.root) if p.frame >= 0 and found.frames[p.frame] == NAMES[2])
    through = sum(cpu_s for stack, cpu_s in zip(folded.stacks, folded.cpu_s, strict=True) if 2 in stack)
    assert below_two.whole.before_s == pytest.approx(through)


def test_the_same_samples_give_the_same_verdicts_and_a_few_samples_none() -> None:
    rng = np.random.default_rng(9)
    pair = [sampled(rng)], [sampled(rng, slower={3: 2.0})]
    assert stack_changes(*pair) == stack_changes(*pair)
    few = [each for each in stack_changes(*pair).functions if each.own.change_s is None]
    assert few
    assert all((each.own.before_s + each.own.after_s) / TICK_S < LEAST_SAMPLES for each in few)


@pytest.mark.thorough
def test_long_compiled_calls_that_fall_anywhere_name_nothing_above_the_stated_rate() -> None:
    rng = np.random.default_rng(11)
    pairs = [(with_long_calls(rng), with_long_calls(rng)) for _ in range(60)]
    assert sum(alarm(stack_changes([before], [after])) for before, after in pairs) <= 8
    as_ticks = [[msgspec.structs.replace(each, squares_s2=[]) for each in pair] for pair in pairs]
    assert sum(alarm(stack_changes([before], [after])) for before, after in as_ticks) > 30


def one_function_of(spent_s: float, each_s: float) -> Folded:
    """Return the same usual samples each time, and one more function with so much time in samples of so much each."""
    usual = sampled(np.random.default_rng(12))
    cpu_s = [*usual.cpu_s, spent_s]
    return Folded(
        samples=usual.samples + round(spent_s / each_s),
        frames=[*usual.frames, "numba:load"],
        stacks=[*usual.stacks, [0, FUNCTIONS]],
        cpu_s=cpu_s,
        wall_s=cpu_s,
        squares_s2=[*(each * TICK_S for each in usual.cpu_s), spent_s * each_s],
        tick_s=TICK_S,
    )


def test_time_of_a_few_long_calls_is_no_change_and_that_of_many_is_one() -> None:
    before = one_function_of(TICK_S, TICK_S)
    few = stack_changes([before], [one_function_of(1.0, 0.1)])
    assert few.moved == []
    assert next(each for each in few.functions if each.name == "numba:load").own.change_s is None
    many = stack_changes([before], [one_function_of(4.0, 0.1)])
    assert [each.name for each in many.moved] == ["numba:load"]
    assert many.samples == (before.samples, before.samples + 39)
    own = many.moved[0].own
    assert own.change_s is not None
    assert own.change_s.high - own.change_s.estimate > 1.96 * 0.1 * 40**0.5  # seconds: the error of 40 samples of 0.1 s


def test_one_long_call_among_short_ones_is_not_enough_for_an_interval() -> None:
    usual = one_function_of(20 * TICK_S, TICK_S)
    squares_s2 = [*usual.squares_s2[:-1], usual.squares_s2[-1] + 0.4**2]
    longer = msgspec.structs.replace(usual, cpu_s=[*usual.cpu_s[:-1], usual.cpu_s[-1] + 0.4], squares_s2=squares_s2)
    assert stack_changes([usual], [longer]).moved == []


def test_samples_of_a_tick_each_are_as_those_of_a_file_without_their_squares() -> None:
    rng = np.random.default_rng(13)
    pair = sampled(rng), sampled(rng, slower={3: 2.0})
    noted = [msgspec.structs.replace(each, squares_s2=[TICK_S * cpu_s for cpu_s in each.cpu_s]) for each in pair]
    assert stack_changes(pair[:1], pair[1:]) == stack_changes(noted[:1], noted[1:])


def test_a_recursive_function_stands_at_each_depth_of_the_tree() -> None:
    folded = Folded(
        samples=3, frames=["a:a", "b:b"], stacks=[[0], [0, 0], [0, 0, 1]], cpu_s=[1.0, 2.0, 4.0], wall_s=[1.0, 2.0, 4.0]
    )
    forest = forest_of([folded])
    values = forest.by_node(forest.seconds(folded)[None, :])[0]
    assert list(zip(forest.node_frames, values, strict=True)) == [(-1, 7.0), (0, 7.0), (0, 6.0), (1, 4.0)]
    assert dict(zip(forest.leaves, forest.by_leaf(forest.seconds(folded)[None, :])[0], strict=True)) == {0: 3.0, 1: 4.0}


def test_nothing_to_compare_is_said() -> None:
    empty = Folded(samples=0, frames=[], stacks=[], cpu_s=[], wall_s=[])
    some = sampled(np.random.default_rng(1))
    with pytest.raises(SamplingError, match="after: no call stack was sampled"):
        stack_changes([some], [empty])
    with pytest.raises(SamplingError, match="before: no call stack"):
        stack_changes([], [some])
    with pytest.raises(SamplingError, match="not 1 and 2"):
        stack_changes([some], [some, some], paired=True)
