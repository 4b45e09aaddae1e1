from __future__ import annotations

import doctest
import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from xstilts import stats as module
from xstilts.stats import gain, summary

# Quantiles of Student's t at 0.975, from printed tables.
T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 9: 2.262}

numbers = some.lists(some.floats(0, 100), min_size=2, max_size=12)


def test_docstring_tells_the_truth() -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("values", "mean", "deviation"),
    [
        ([1.0, 3.0], 2.0, math.sqrt(2)),
        ([70.0, 72.0, 74.0], 72.0, 2.0),
        ([2.0, 4.0, 4.0, 6.0], 4.0, math.sqrt(8 / 3)),
        ([1.0, 2.0, 3.0, 4.0, 5.0], 3.0, math.sqrt(2.5)),
        ([10.0] * 9 + [20.0], 11.0, math.sqrt(10)),
    ],
)
def test_intervals_are_those_of_the_printed_tables(values: list[float], mean: float, deviation: float) -> None:
    found = summary(values)
    error = deviation / math.sqrt(len(values))
    half = T[len(values) - 1] * error
    assert found.count == len(values)
    assert found.mean == pytest.approx(mean)
    assert found.error == pytest.approx(error)
    assert (found.low, found.high) == pytest.approx((mean - half, mean + half), rel=1e-3)


def test_one_value_allows_no_interval() -> None:
    found = summary([71.5])
    assert found.mean == 71.5
    assert all(math.isnan(figure) for figure in (found.error, found.low, found.high))
    assert not found.excludes_zero


def test_an_interval_excludes_zero_on_either_side_and_not_when_it_touches_it() -> None:
    assert summary([1.0, 1.1, 0.9]).excludes_zero
    assert summary([-1.0, -1.1, -0.9]).excludes_zero
    assert not summary([-1.0, 1.0]).excludes_zero
    assert not summary([0.0, 0.0, 0.0]).excludes_zero
    assert not summary([0.1, 5.0]).excludes_zero


def test_a_gain_is_paired_by_seed() -> None:
    """Unpaired, the spread of seeds would hide a gain that every seed has."""
    before, after = [50.0, 60.0, 70.0], [52.0, 62.1, 71.9]
    found = gain(before, after)
    assert found.mean == pytest.approx(2.0)
    assert found.excludes_zero
    assert not gain(before, [62.1, 71.9, 52.0]).excludes_zero


def test_a_gain_of_unequal_numbers_of_seeds_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        gain([1.0, 2.0], [1.0])


@given(numbers, some.floats(-50, 50))
def test_a_shift_moves_the_interval_and_does_not_widen_it(values: list[float], shift: float) -> None:
    here, there = summary(values), summary([value + shift for value in values])
    assert there.mean == pytest.approx(here.mean + shift, abs=1e-6)
    assert there.error == pytest.approx(here.error, abs=1e-6)
    assert there.high - there.low == pytest.approx(here.high - here.low, abs=1e-5)


@given(numbers)
def test_a_gain_and_its_reverse_are_opposite(values: list[float]) -> None:
    other = values[::-1]
    there, back = gain(values, other), gain(other, values)
    assert there.mean == pytest.approx(-back.mean, abs=1e-9)
    assert there.low == pytest.approx(-back.high, abs=1e-9)
    assert there.excludes_zero == back.excludes_zero
