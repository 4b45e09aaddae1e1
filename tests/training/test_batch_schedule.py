from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from xstilts.errors import InputError
from xstilts.training.batch_schedule import POOL, ScheduledSet, Step, schedule, shares, steps_of

lengths = some.lists(some.integers(1, 200), min_size=1, max_size=80)


def lesson(count: int, seed: int = 0, **options: object) -> ScheduledSet:
    return ScheduledSet(np.random.default_rng(seed).integers(1, 100, size=count), **options)  # type: ignore[arg-type]


def plain(steps: list[Step]) -> list[list[tuple[int, list[int]]]]:
    return [[(part.training_set, part.inputs.tolist()) for part in step] for step in steps]


def alone(taught: ScheduledSet, steps: int, batch_size: int, seed: int = 0) -> list[int]:
    """Return the units of a training on one lesson in the order in which they are taken."""
    return [
        unit for step in schedule((taught,), steps, batch_size, "uniform", seed) for unit in step[0].inputs.tolist()
    ]


@settings(max_examples=40, deadline=None)
@given(
    some.lists(lengths, min_size=1, max_size=3),
    some.integers(1, 20),
    some.integers(0, 2**40),
    some.sampled_from(["uniform", "proportional", "capped:7", "temperature:2"]),
)
def test_the_order_is_a_function_of_its_arguments_alone(
    sizes: list[list[int]], batch_size: int, seed: int, sampling: str
) -> None:
    lessons = tuple(ScheduledSet(np.array(one)) for one in sizes)
    first = plain(list(schedule(lessons, 12, batch_size, sampling, seed)))
    np.random.seed(7)
    np.random.random(3)
    assert plain(list(schedule(lessons, 12, batch_size, sampling, seed))) == first
    assert plain(list(islice(schedule(lessons, 12, batch_size, sampling, seed), 5))) == first[:5]


def test_another_seed_is_another_order() -> None:
    taught = lesson(64)
    orders = {tuple(alone(taught, 8, 8, seed)) for seed in range(20)}
    assert len(orders) == 20


@settings(max_examples=60, deadline=None)
@given(lengths, some.integers(1, 24), some.integers(1, 4))
def test_every_pass_has_every_unit_once(taken: list[int], batch_size: int, passes: int) -> None:
    """Over so many steps no unit is taken more than once more, or less, than any other."""
    size = len(taken)
    steps = -(-size * passes // batch_size)
    counts = Counter(alone(ScheduledSet(np.array(taken)), steps, batch_size))
    drawn = steps * batch_size
    assert counts.total() == drawn
    whole_batches_behind = -(-batch_size // size) + 1
    assert all(passes - whole_batches_behind <= counts[unit] <= passes + whole_batches_behind for unit in range(size))
    if size % batch_size == 0:
        assert set(counts.values()) == {passes}


@settings(max_examples=40, deadline=None)
@given(lengths, some.integers(1, 100))
def test_batches_are_whole_even_where_the_task_is_smaller(taken: list[int], batch_size: int) -> None:
    steps = list(schedule((ScheduledSet(np.array(taken)),), 7, batch_size, "uniform", 0))
    assert [len(part.inputs) for step in steps for part in step] == [batch_size] * 7


def test_what_is_left_of_a_pass_begins_the_next_one() -> None:
    """Ten units in batches of four: the third batch has the two left over and two of the second pass."""
    order = alone(lesson(10), 5, 4)
    assert sorted(order[:8]) == sorted(set(order[:8]))
    assert Counter(order) == Counter(dict.fromkeys(range(10), 2))


def test_batches_are_of_like_length_and_come_in_random_order() -> None:
    taught = lesson(16 * POOL, seed=3)
    batches = [part.inputs for step in schedule((taught,), POOL, 16, "uniform", 0) for part in step]
    within = np.mean([np.ptp(taught.lengths[units]) for units in batches])
    assert within < 0.1 * np.ptp(taught.lengths)
    longest = [int(taught.lengths[units].max()) for units in batches]
    assert longest != sorted(longest)
    assert longest != sorted(longest, reverse=True)


def test_padding_is_a_small_part() -> None:
    taught = lesson(5000, seed=1)
    batches = [part.inputs for step in schedule((taught,), 300, 16, "uniform", 0) for part in step]
    padded = sum(len(units) * taught.lengths[units].max() for units in batches)
    assert padded < 1.06 * sum(taught.lengths[units].sum() for units in batches)


RULES = {
    "proportional": (100 / 1000, 300 / 1000, 600 / 1000),
    "capped:200": (100 / 500, 200 / 500, 200 / 500),
    "uniform": (1 / 3, 1 / 3, 1 / 3),
    "temperature:2": (1 / (1 + 3**0.5 + 6**0.5), 3**0.5 / (1 + 3**0.5 + 6**0.5), 6**0.5 / (1 + 3**0.5 + 6**0.5)),
    "0.5,0.3,0.2": (0.5, 0.3, 0.2),
    "2, 1, 1": (0.5, 0.25, 0.25),
    "0,1,0": (0.0, 1.0, 0.0),
}


@pytest.mark.parametrize(("sampling", "wanted"), RULES.items())
def test_shares_are_what_the_rule_says(sampling: str, wanted: tuple[float, ...]) -> None:
    assert shares((100, 300, 600), sampling) == pytest.approx(wanted)


@pytest.mark.parametrize(("sampling", "wanted"), RULES.items())
def test_tasks_take_their_turns_in_these_shares(sampling: str, wanted: tuple[float, ...]) -> None:
    lessons = tuple(lesson(size) for size in (100, 300, 600))
    count = 4000
    turns = Counter(part.training_set for step in schedule(lessons, count, 1, sampling, 5) for part in step)
    for number, share in enumerate(wanted):
        error = (share * (1 - share) / count) ** 0.5
        assert abs(turns[number] / count - share) <= 4 * error


@settings(max_examples=100, deadline=None)
@given(
    some.lists(some.integers(1, 10**7), min_size=1, max_size=6),
    some.sampled_from(["uniform", "proportional", "capped:5000", "temperature:5", "temperature:1"]),
)
def test_shares_sum_to_one_and_never_favour_the_smaller(sizes: list[int], sampling: str) -> None:
    found = shares(tuple(sizes), sampling)
    assert sum(found) == pytest.approx(1)
    ordered = [share for _, share in sorted(zip(sizes, found, strict=True))]
    assert ordered == sorted(ordered)


def test_temperature_goes_from_proportional_to_uniform() -> None:
    sizes = (10, 1000)
    assert shares(sizes, "temperature:1") == pytest.approx(shares(sizes, "proportional"))
    assert shares(sizes, "temperature:1e9") == pytest.approx(shares(sizes, "uniform"))


@pytest.mark.parametrize(
    "sampling",
    [
        "uniformly",
        "capped",
        "capped:",
        "capped:many",
        "capped:0",
        "capped:-3",
        "temperature:0",
        "temperature:x",
        "temperature:0.0001",
        "0.5,0.5,0.5",
        "0.5",
        "-1,2",
        "0,0",
        "nan,1",
        "inf,1",
        "1,,",
        "",
    ],
)
def test_what_is_no_rule_is_refused_before_the_first_step(sampling: str) -> None:
    with pytest.raises(InputError, match="sampling"):
        shares((400, 300), sampling)
    with pytest.raises(InputError, match="sampling"):
        steps_of((400, 300), 3, 32, sampling)
    with pytest.raises(InputError, match="sampling"):
        next(schedule((lesson(4), lesson(3)), 1, 2, sampling, 0))


def test_steps_are_passes_over_all_tasks_together() -> None:
    assert steps_of((100, 300), 3, 8, "proportional") == 150
    assert steps_of((100, 300), 3, 8, "uniform") == 150
    assert steps_of((100, 300), 3, 8, "capped:100") == 75
    assert steps_of((100,), 0.5, 8, "uniform") == 6
    assert steps_of((1,), 0.1, 32, "uniform") == 1


def test_a_companion_is_in_every_step_beside_the_one_whose_turn_it_is() -> None:
    lessons = (lesson(9), lesson(7, every_step=True), lesson(30))
    steps = list(schedule(lessons, 40, 4, "uniform", 0))
    assert all([part.training_set for part in step][1:] == [1] for step in steps)
    assert {step[0].training_set for step in steps} == {0, 2}
    assert all(len(part.inputs) == 4 for step in steps for part in step)
    beside = Counter(unit for step in steps for unit in step[1].inputs.tolist())
    assert set(beside) == set(range(7))
    assert max(beside.values()) - min(beside.values()) <= 1


def test_companions_have_no_share_in_the_turns() -> None:
    lessons = (lesson(10), lesson(10**5, every_step=True), lesson(10))
    turns = Counter(step[0].training_set for step in schedule(lessons, 1000, 1, "proportional", 0))
    assert abs(turns[0] - 500) < 65
    assert turns[1] == 0


def test_companions_alone_are_refused() -> None:
    with pytest.raises(InputError, match="only accompanies"):
        next(schedule((lesson(5, every_step=True),), 3, 2, "uniform", 0))


def test_a_task_keeps_its_own_order_whatever_runs_beside_it() -> None:
    """So that adding a task changes whose turn it is, and not what is in a task's batches."""
    one, other = lesson(40), lesson(60, seed=1)
    mixed = [step[0] for step in schedule((one, other), 60, 4, "uniform", 3)]
    own = [part.inputs.tolist() for part in mixed if part.training_set == 0]
    by_itself = alone(one, len(own), 4, seed=3)
    assert [unit for units in own for unit in units] == by_itself


@pytest.mark.parametrize("alpha", [1.0, 0.5, 0.3, 0.0])
def test_languages_are_drawn_as_the_power_of_their_size(alpha: float) -> None:
    sizes = (1600, 400, 100)
    languages = np.repeat(np.arange(3), sizes)
    taught = ScheduledSet(np.full(2100, 5), languages, alpha)
    passes = 10
    drawn = Counter(languages[alone(taught, passes * 21, 100)].tolist())
    weights = [size**alpha for size in sizes]
    for number, weight in enumerate(weights):
        share = weight / sum(weights)
        assert abs(drawn[number] / (passes * 2100) - share) < 4 * (share * (1 - share) / (passes * 2100)) ** 0.5 + 1e-9


def test_a_language_number_that_does_not_occur_is_no_language() -> None:
    taught = ScheduledSet(np.full(6, 3), np.array([0, 0, 0, 0, 2, 2]), 0.0)
    drawn = Counter(unit // 4 for unit in alone(taught, 500, 6))
    assert abs(drawn[1] / 3000 - 0.5) < 0.04


def test_within_a_language_every_unit_is_as_likely() -> None:
    taught = ScheduledSet(np.full(12, 3), np.array([0] * 10 + [1] * 2), 0.5)
    drawn = Counter(alone(taught, 2000, 12))
    small = [drawn[unit] for unit in (10, 11)]
    large = [drawn[unit] for unit in range(10)]
    assert max(small) < 1.1 * min(small)
    assert max(large) < 1.15 * min(large)
    assert min(small) > 1.5 * max(large)
