from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from xstilts.errors import InputError
from xstilts.selection.transferability import alike, cosine, h_score, knn, logme, paired, ranks, shrinkage

seeds = some.integers(0, 10**6)


def drawn(seed: int, n: int = 24, width: int = 4, labels: int = 3, signal: float = 1.0) -> tuple[Any, Any]:
    """Return states of which the first dimensions hold the labels, and the labels."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % labels
    return rng.normal(size=(n, width)) + signal * np.eye(labels, width)[y], y


def evidence(states: Any, y: Any, alpha: float, beta: float) -> float:
    """Return the log evidence an example by its definition: y is normal with what map and noise add up to."""
    covariance = np.eye(len(y)) / beta + states @ states.T / alpha
    return float(multivariate_normal(np.zeros(len(y)), covariance).logpdf(y)) / len(y)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_logme_is_the_largest_evidence_there_is(seed: int) -> None:
    states, labels = drawn(seed, labels=2)
    best = []
    for label in (0, 1):
        y = (labels == label).astype(float)
        found = minimize(lambda logs, y=y: -evidence(states, y, *np.exp(logs)), (0.0, 0.0), method="Nelder-Mead")
        best.append(-found.fun)
    assert logme(states, labels) == pytest.approx(np.mean(best), abs=1e-4)


@pytest.mark.parametrize("shape", [(12, 30), (30, 5)])
def test_logme_of_more_dimensions_than_examples_is_an_evidence_too(shape: tuple[int, int]) -> None:
    states, labels = drawn(3, *shape, labels=2, signal=0.3)
    found = logme(states, labels)
    assert math.isfinite(found)
    for alpha in (0.1, 1.0, 10.0, 100.0):
        for beta in (0.1, 1.0, 10.0, 100.0):
            each = [evidence(states, (labels == label).astype(float), alpha, beta) for label in (0, 1)]
            assert np.mean(each) <= found + 1e-6


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_logme_does_not_change_when_the_states_are_turned(seed: int) -> None:
    states, labels = drawn(seed)
    turn, _ = np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(4, 4)))
    assert logme(states @ turn, labels) == pytest.approx(logme(states, labels), abs=1e-9)


@pytest.mark.parametrize("measure", [logme, h_score, knn])
def test_every_measure_grows_with_what_the_states_know(measure: Any) -> None:
    found = [np.mean([measure(*drawn(seed, n=60, signal=signal)) for seed in range(8)]) for signal in (0, 1, 3)]
    assert found[0] < found[1] < found[2]


@pytest.mark.parametrize("measure", [logme, h_score, knn])
def test_names_and_order_of_labels_and_examples_do_not_matter(measure: Any) -> None:
    states, labels = drawn(5)
    order = np.random.default_rng(0).permutation(len(labels))
    assert measure(states[order], labels[order]) == pytest.approx(measure(states, labels))
    assert measure(states, np.array([7, 3, 11])[labels]) == pytest.approx(measure(states, labels))


@pytest.mark.parametrize("measure", [logme, h_score, knn])
def test_one_label_is_refused(measure: Any) -> None:
    with pytest.raises(InputError, match="two labels"):
        measure(np.ones((3, 2)), np.zeros(3, dtype=int))
    with pytest.raises(InputError, match="label for each row"):
        measure(np.ones((3, 2)), np.zeros(4, dtype=int))


def test_the_h_score_of_one_dimension_is_the_share_of_the_variance_between_labels() -> None:
    states, labels = np.array([[0.0], [1.0], [4.0], [7.0]]), np.array([0, 0, 1, 1])
    between = np.var([0.5, 0.5, 5.5, 5.5])
    assert h_score(states, labels, shrunk=False) == pytest.approx(between / np.var(states))


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_the_plain_h_score_is_the_sum_of_squared_canonical_correlations(seed: int) -> None:
    states, labels = drawn(seed)
    f = states - states.mean(0)
    y = np.eye(3)[labels] - 1 / 3
    u, _, _ = np.linalg.svd(f, full_matrices=False)
    v = np.linalg.svd(y, full_matrices=False)[0][:, :2]
    correlations = np.linalg.svd(u.T @ v)[1]
    assert h_score(states, labels, shrunk=False) == pytest.approx(float((correlations**2).sum()))
    other = np.random.default_rng(seed).normal(size=(4, 4)) + 4 * np.eye(4)
    assert h_score(states @ other, labels, shrunk=False) == pytest.approx(h_score(states, labels, shrunk=False))


def test_with_few_examples_only_the_shrunk_h_score_tells_states_that_know_from_those_that_do_not() -> None:
    nothing, something = drawn(1, n=20, width=40, labels=2, signal=0), drawn(1, n=20, width=40, labels=2, signal=4)
    assert h_score(*nothing, shrunk=False) == pytest.approx(1.0) == h_score(*something, shrunk=False)
    assert h_score(*nothing) < 0.5 * h_score(*something)


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_shrinkage_is_ledoit_and_wolfs(seed: int) -> None:
    states, _ = drawn(seed, n=9, width=5)
    x = states - states.mean(0)
    s = x.T @ x / len(x)
    m = np.trace(s) / 5
    d = ((s - m * np.eye(5)) ** 2).sum() / 5
    b = min(sum(((np.outer(row, row) - s) ** 2).sum() for row in x) / len(x) ** 2 / 5, d)
    assert shrinkage(x) == pytest.approx(b / d)
    assert shrinkage(np.eye(2) - 0.5) <= 1.0


@given(seeds, some.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_neighbours_are_those_found_one_by_one(seed: int, k: int) -> None:
    states, labels = drawn(seed, n=15)
    right = 0
    for number, label in enumerate(labels):
        others = [other for other in range(15) if other != number]
        others.sort(key=lambda other: -cosine(states[number], states[other]))
        votes = [labels[other] for other in others[:k]]
        right += max(votes, key=votes.count) == label  # of equals, the first
    assert knn(states, labels, k) == pytest.approx(100 * right / 15)


def test_pairs_are_found_both_ways() -> None:
    first = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert paired(first, 3 * first) == pytest.approx(100)
    assert paired(first, first[[1, 0, 2]]) == pytest.approx(100 / 3)
    # the third row's own is another's: right in no direction, and the first row's is taken by two
    assert paired(first, np.array([[1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])) == pytest.approx(50 * (2 / 3 + 2 / 3))
    with pytest.raises(InputError, match="expected pairs"):
        paired(first, first[:2])


def test_likeness_is_the_mean_cosine_of_parts() -> None:
    one = {"a": np.array([1.0, 0.0]), "b": np.array([1000.0, 1000.0])}
    other = {"a": np.array([0.0, 2.0]), "b": np.array([1.0, 1.0])}
    assert alike(one, other) == pytest.approx(0.5)
    assert cosine(np.zeros(2), np.ones(2)) == 0
    with pytest.raises(InputError, match="different encoders"):
        alike(one, {"a": one["a"]})


def test_ranks_share_ties_and_leave_out_what_is_not_known() -> None:
    assert ranks([3.0, 5.0, 3.0, 1.0]) == (2.5, 1.0, 2.5, 4.0)
    found = ranks([3.0, math.nan, 5.0])
    assert (found[0], found[2]) == (2.0, 1.0)
    assert math.isnan(found[1])
