"""Confusion: measures of counts equal their definitions example by example, whatever the labels."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xstilts.errors import InputError
from xstilts.metrics.confusion import Confusion, Resampled, measure

PAIRS = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcde")), min_size=1, max_size=30)


def f1_of(label: str, pairs: list[tuple[str, str]]) -> float:
    right = sum(a == b == label for a, b in pairs)
    predicted, gold = sum(b == label for _, b in pairs), sum(a == label for a, _ in pairs)
    if not right:
        return 0.0
    precision, recall = right / predicted, right / gold
    return 100 * 2 * precision * recall / (precision + recall)


def correlation(pairs: list[tuple[str, str]]) -> float:
    """Return Matthews' correlation from its definition: covariances of one-hot labels."""
    labels = sorted({label for pair in pairs for label in pair})
    gold, predicted = (
        np.array([[pair[side] == label for label in labels] for pair in pairs], float) for side in (0, 1)
    )
    gold, predicted = gold - gold.mean(0), predicted - predicted.mean(0)
    apart = (gold**2).sum() * (predicted**2).sum()
    return 100 * float((gold * predicted).sum() / math.sqrt(apart)) if apart > 1e-12 else 0.0


@settings(max_examples=80, deadline=None, derandomize=True)
@given(pairs=PAIRS)
def test_measures_are_those_of_their_definitions(pairs: list[tuple[str, str]]) -> None:
    table = Confusion.of(*zip(*pairs, strict=True))
    present = {label for pair in pairs for label in pair}
    assert math.isclose(table.macro_f1, sum(f1_of(label, pairs) for label in present) / len(present), abs_tol=1e-9)
    assert math.isclose(table.matthews, correlation(pairs), abs_tol=1e-6)
    assert math.isclose(table.accuracy, 100 * sum(a == b for a, b in pairs) / len(pairs))
    assert set(table.labels) == present
    for row in table.by_label():
        assert math.isclose(row.f1, f1_of(row.label, pairs), abs_tol=1e-9)
        assert row.gold == sum(a == row.label for a, _ in pairs)
        assert row.predicted == sum(b == row.label for _, b in pairs)
    found = {(a, b): int(table.counts[i, j]) for i, a in enumerate(table.labels) for j, b in enumerate(table.labels)}
    assert {pair: count for pair, count in found.items() if count} == dict(Counter(pairs))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(pairs=PAIRS, name=st.sampled_from(["macro_f1", "matthews", "f1:a"]), seed=st.integers(0, 99))
def test_a_resample_scores_as_its_examples_do(pairs: list[tuple[str, str]], name: str, seed: int) -> None:
    how = Resampled(name, tuple("abcde"))
    weights = np.random.default_rng(seed).integers(0, 3, (4, len(pairs))).astype(float)
    weights[0], weights[1:, 0] = 1, np.maximum(weights[1:, 0], 1)
    contributions = how.contributions(*zip(*pairs, strict=True))
    for value, drawn in zip(how(contributions, weights), weights, strict=True):
        chosen = [pair for pair, times in zip(pairs, drawn, strict=True) for _ in range(int(times))]
        table = Confusion.of(*zip(*chosen, strict=True))
        expected = {"macro_f1": table.macro_f1, "matthews": table.matthews, "f1:a": table.f1("a")}[name]
        assert math.isclose(value, expected, abs_tol=1e-9)


def test_known_values_of_glue_and_of_one_label() -> None:
    # scikit-learn: matthews_corrcoef([1, 1, 1, 0], [1, 0, 1, 1]) is -0.3333, f1_score of them 0.6667
    table = Confusion.of("1110", "1011")
    assert (round(table.matthews, 2), round(table.f1("1"), 2)) == (-33.33, 66.67)
    assert Confusion.of("aaa", "aaa").matthews == 0
    assert Confusion.of("aaa", "aaa").macro_f1 == 100


def test_labels_keep_their_order_and_others_follow() -> None:
    assert Confusion.of(["no", "yes"], [" yes\n", "maybe"], ["yes", "never", "no"]).labels == ("yes", "no", "maybe")


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(InputError, match="found 1"):
        Confusion.of(["a", "b"], ["a"])
    with pytest.raises(InputError, match="2,001 different labels"):
        Confusion.of([str(n) for n in range(2001)], ["0"] * 2001)
    with pytest.raises(InputError, match="unknown measure 'micro'; give macro_f1, matthews or f1:LABEL"):
        measure("micro")
    assert float(measure("f1:x", ["a"])(np.ones((1, 1)))) == 0
