from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from xstilts.errors import InputError
from xstilts.selection.successive_halving import Round, Rung, Standing, halve, ladder, order, worse
from xstilts.stats import Estimate

gains_of = some.dictionaries(some.sampled_from("abcdefgh"), some.floats(-20, 20), min_size=1)


class Bench:
    """Measures known gains with a known noise, and remembers what it was asked."""

    def __init__(self, gains: dict[str, float], noise: float) -> None:
        self.gains, self.noise = gains, noise
        self.asked: list[tuple[tuple[str, ...], Rung]] = []

    def __call__(self, names: tuple[str, ...], rung: Rung) -> tuple[Standing, ...]:
        self.asked.append((names, rung))
        best = sorted(names, key=lambda name: -self.gains[name])
        top = self.gains[best[0]]
        return tuple(
            Standing(name, self.estimate(self.gains[name]), self.estimate(top - self.gains[name]) if place else None)
            for place, name in enumerate(best)
        )

    def estimate(self, value: float) -> Estimate:
        return Estimate(value, self.noise**2, 3)


def everything(names: tuple[str, ...], rung: Rung) -> int:
    return 99


@given(some.integers(1, 200), some.integers(1, 100), some.integers(1, 5))
def test_a_ladder_halves_down_to_one(candidates: int, steps: int, seeds: int) -> None:
    rungs = ladder(candidates, steps, seeds)
    assert 2 ** len(rungs) >= candidates > 2 ** (len(rungs) - 1) or candidates == len(rungs) == 1
    assert [rung.steps for rung in rungs] == [steps * 2**number for number in range(len(rungs))]
    assert [rung.seeds for rung in rungs] == [seeds + number for number in range(len(rungs))]


def test_a_ladder_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        ladder(4, 0, 1)


@given(gains_of)
@settings(deadline=None)
def test_the_best_is_never_dropped_and_never_the_better_half(gains: dict[str, float]) -> None:
    standings = Bench(gains, noise=0.01)(tuple(gains), Rung(0, 1, 1))
    dropped = worse(standings)
    assert not set(dropped) & {one.name for one in standings[: (len(standings) + 1) // 2]}


def test_without_noise_half_goes_each_time_and_what_is_measured_gets_longer() -> None:
    bench = Bench(dict(zip("abcdefgh", (8, 7, 6, 5, 4, 3, 2, 1), strict=True)), noise=0.01)
    rounds = halve("abcdefgh", ladder(8, 10, 2), bench, everything)
    assert [names for names, _ in bench.asked] == [tuple("abcdefgh"), tuple("abcd"), tuple("ab")]
    assert [rung.steps for _, rung in bench.asked] == [10, 20, 40]
    assert rounds[-1].kept == ("a",)
    assert "behind the leader by 4.0, at least" in rounds[0].dropped["e"]


def test_what_cannot_be_told_apart_goes_on_together() -> None:
    bench = Bench(dict(zip("abcd", (4, 3, 2, 1), strict=True)), noise=50)
    rounds = halve("abcd", ladder(4, 10, 2), bench, everything)
    assert [names for names, _ in bench.asked] == [tuple("abcd"), tuple("abcd")]
    assert all(not one.dropped for one in rounds)


def test_one_seed_has_no_interval_and_drops_nobody() -> None:
    alone = Estimate(-9.0, math.nan, 1)
    assert worse((Standing("a", alone), Standing("b", alone, alone))) == {}


def test_where_the_budget_is_short_the_worst_are_left_and_it_is_told() -> None:
    bench = Bench(dict(zip("abcd", (4, 3, 2, 1), strict=True)), noise=50)
    rounds = halve("abcd", ladder(4, 10, 2), bench, lambda names, rung: 3)
    assert bench.asked[1][0] == ("a", "b", "c")
    assert rounds[0].dropped == {"d": "no budget to measure it longer"}


def test_room_is_asked_for_those_who_go_on_in_the_order_of_the_last_round() -> None:
    bench = Bench(dict(zip("abcd", (1, 9, 8, 2), strict=True)), noise=0.01)
    asked: list[tuple[tuple[str, ...], int]] = []

    def room(names: tuple[str, ...], rung: Rung) -> int:
        asked.append((names, rung.number))
        return 99

    halve("abcd", ladder(4, 10, 2), bench, room)
    assert asked == [(("b", "c"), 1)]


@pytest.mark.parametrize("room", [0, 1])
def test_a_round_of_one_is_not_begun(room: int) -> None:
    bench = Bench(dict(zip("abcd", (4, 3, 2, 1), strict=True)), noise=50)
    (only,) = halve("abcd", ladder(4, 10, 2), bench, lambda names, rung: room)
    assert (len(bench.asked), only.dropped) == (1, {})


def test_a_budget_that_ends_early_leaves_the_worst_of_the_round_before() -> None:
    bench = Bench(dict(zip("abcd", (4, 3, 2, 1), strict=True)), noise=50)

    def three(names: tuple[str, ...], rung: Rung) -> tuple[Standing, ...]:
        return bench(names if rung.number == 0 else names[:3], rung)

    rounds = halve("dcba", ladder(4, 10, 2), three, everything)
    assert [one.name for one in rounds[1].standings] == ["a", "b", "c"]
    assert rounds[0].dropped == {"d": "no budget to measure it longer"}


@pytest.mark.parametrize("reached", [0, 1])
def test_a_round_that_came_to_fewer_than_two_is_not_counted(reached: int) -> None:
    bench = Bench(dict(zip("abcd", (4, 3, 2, 1), strict=True)), noise=0.01)

    def few(names: tuple[str, ...], rung: Rung) -> tuple[Standing, ...]:
        return bench(names, rung)[: 9 if rung.number == 0 else reached]

    rounds = halve("abcd", ladder(4, 10, 2), few, everything)
    assert [one.rung.number for one in rounds] == [0]
    assert set(rounds[0].dropped) == {"c", "d"}


def test_a_single_candidate_is_measured_alone() -> None:
    assert halve("a", ladder(1, 10, 2), Bench({"a": 1.0}, 1.0), everything)[0].kept == ("a",)


def standings(names: Sequence[str]) -> tuple[Standing, ...]:
    return tuple(Standing(name, Estimate(0.0, 0.0, 2)) for name in names)


def test_who_went_further_is_before_who_did_not() -> None:
    rungs = ladder(4, 10, 2)
    rounds = [Round(rungs[0], standings("badc"), {"d": "", "c": ""}), Round(rungs[1], standings("ab"), {})]
    found = order(rounds)
    assert sorted(found, key=lambda name: -found[name]) == ["a", "b", "d", "c"]
