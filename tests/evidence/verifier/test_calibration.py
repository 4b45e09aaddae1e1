"""Probabilities, thresholds and bounds keep their laws, and equal what brute force counts."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from xstilts.evidence.verifier import calibration
from xstilts.evidence.verifier.calibration import Array, LabelArray, Scaling

CLASSES = 3


def drawn(count: int, seed: int = 1, scale: float = 1.0) -> tuple[Array, LabelArray]:
    """Logits and labels that are drawn from just these probabilities."""
    random = np.random.default_rng(seed)
    logits = 2 * random.standard_normal((count, CLASSES))
    shares = Scaling().probabilities(logits)
    labels = (shares.cumsum(1) < random.random(count)[:, None]).sum(1)
    return scale * logits, labels


def loss(scaling: Scaling, logits: Array, labels: LabelArray) -> float:
    return float(-np.log(scaling.probabilities(logits)[range(len(labels)), labels]).sum())


@pytest.mark.parametrize("scale", [0.2, 1.0, 7.0])
def test_a_scaling_undoes_what_made_a_model_too_sure_or_too_shy(scale: float) -> None:
    logits, labels = drawn(4000, scale=scale)
    found = calibration.fit(logits, labels)
    assert found.scale * scale == pytest.approx(1, abs=0.1)
    assert max(map(abs, found.biases)) < 0.2
    said = found.probabilities(logits)
    assert np.allclose(said.sum(1), 1)
    assert calibration.ece(said.max(1), said.argmax(1) == labels) < 0.03


def test_no_neighbour_of_a_fitted_scaling_is_more_likely() -> None:
    logits, labels = drawn(300)
    found = calibration.fit(logits, labels)
    best = loss(found, logits, labels)
    for scale, first, second in product((-0.05, 0, 0.05), repeat=3):
        near = Scaling(found.scale + scale, (found.biases[0] + first, found.biases[1] + second, 0.0))
        assert loss(near, logits, labels) >= best - 1e-4


def test_biases_are_taken_up() -> None:
    logits, labels = drawn(4000)
    shifted = logits + np.array([1.5, -1.0, 0.0])
    found = calibration.fit(shifted, labels)
    assert np.allclose(np.array(found.biases), [-1.5, 1.0, 0.0], atol=0.25)


def test_a_model_that_says_the_contrary_ends_with_the_shares_of_the_classes() -> None:
    logits, labels = drawn(400)
    found = calibration.fit(-logits, labels)
    assert found.scale == pytest.approx(0, abs=1e-9)
    shares = np.bincount(labels, minlength=CLASSES) / len(labels)
    assert np.allclose(found.probabilities(-logits), shares, atol=1e-4)


def test_what_separates_and_classes_that_are_missing_stay_finite() -> None:
    labels = np.array([0, 1] * 20)
    found = calibration.fit(100 * np.eye(CLASSES)[labels], labels)
    assert all(map(math.isfinite, (found.scale, *found.biases)))
    assert found.probabilities(100 * np.eye(CLASSES)[labels])[range(40), labels].min() > 0.99


def test_cross_validation_never_sees_the_labels_that_it_answers() -> None:
    logits, labels = drawn(120)
    folds = np.arange(120) % 5
    said = calibration.cross_validated(logits, labels, folds)
    altered = np.where(folds == 2, (labels + 1) % CLASSES, labels)
    again = calibration.cross_validated(logits, altered, folds)
    assert np.array_equal(said[folds == 2], again[folds == 2])
    assert not np.allclose(said[folds != 2], again[folds != 2])


def test_calibration_error_by_hand() -> None:
    sure = np.array([0.95, 0.95, 0.55, 0.55])
    assert calibration.ece(sure, np.array([1, 1, 1, 0])) == pytest.approx((0.1 + 0.1) / 4)
    assert calibration.ece(np.array([1.0, 1.0]), np.array([1, 1])) == 0
    assert calibration.ece(np.array([1.0, 1.0]), np.array([0, 0])) == 1
    assert calibration.ece(np.array([0.0]), np.array([0])) == 0
    assert math.isnan(calibration.ece(np.empty(0), np.empty(0)))


def test_calibration_error_equals_its_definition() -> None:
    random = np.random.default_rng(3)
    sure, right = random.random(200), random.random(200) < 0.5
    total = 0.0
    for number in range(10):
        inside = [at for at in range(200) if number / 10 < sure[at] <= (number + 1) / 10]
        if inside:
            total += len(inside) / 200 * abs(np.mean([right[at] - sure[at] for at in inside]))
    assert calibration.ece(sure, right) == pytest.approx(total)


def test_brier_by_hand() -> None:
    said = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.5, 0.0]])
    assert calibration.brier(said, np.array([0, 0, 0])) == pytest.approx((0 + 2 + 0.5) / 3)


def test_the_area_equals_what_all_pairs_say() -> None:
    random = np.random.default_rng(4)
    high, low = random.integers(0, 6, 40).astype(float), random.integers(0, 5, 30).astype(float)
    counted = np.mean([(a > b) + 0.5 * (a == b) for a in high for b in low])
    assert calibration.auc(high, low) == pytest.approx(counted)
    assert calibration.auc(low, high) == pytest.approx(1 - counted)
    assert calibration.auc(np.ones(3), np.ones(2)) == 0.5
    assert math.isnan(calibration.auc(high, np.empty(0)))


def test_risk_by_coverage_by_hand() -> None:
    curve = calibration.risk_coverage(np.array([0.9, 0.7, 0.7, 0.2]), np.array([1, 0, 1, 0]))
    assert np.array(curve) == pytest.approx(np.array([[0.25, 0.0], [0.75, 1 / 3], [1.0, 0.5]]))
    assert calibration.risk_coverage(np.empty(0), np.empty(0)) == ()


def test_equally_confident_examples_have_no_order() -> None:
    right = np.array([1, 0, 1, 1, 0])
    sure = np.full(5, 0.6)
    assert calibration.risk_coverage(sure, right) == calibration.risk_coverage(sure, right[::-1]) == ((1.0, 0.4),)


def test_the_lower_bound_is_that_of_the_binomial() -> None:
    for of in (1, 5, 24, 60):
        for right in range(1, of + 1):
            low = calibration.lower_bound(right, of)
            tail = sum(math.comb(of, k) * low**k * (1 - low) ** (of - k) for k in range(right, of + 1))
            assert tail == pytest.approx(0.05, abs=1e-9)
            assert low < right / of
    assert calibration.lower_bound(0, 9) == calibration.lower_bound(0, 0) == 0
    assert calibration.lower_bound(14, 14) == pytest.approx(0.05 ** (1 / 14))


def test_more_right_ones_and_more_examples_raise_the_bound() -> None:
    bounds = [calibration.lower_bound(right, 30) for right in range(31)]
    assert bounds == sorted(bounds)
    assert calibration.lower_bound(90, 100) < calibration.lower_bound(900, 1000) < 0.9


def test_the_threshold_is_the_lowest_that_keeps_its_promise() -> None:
    sure = np.repeat([0.97, 0.82, 0.62], 60)
    right = np.concatenate([np.ones(60), np.ones(60), np.arange(60) % 2])
    assert calibration.threshold(sure, right) == 0.65
    assert calibration.threshold(sure, np.ones(180)) == 0.55
    assert calibration.threshold(sure, np.zeros(180)) is None


def test_few_examples_make_no_promise_however_right() -> None:
    assert calibration.threshold(np.full(23, 0.99), np.ones(23)) is None
    assert calibration.threshold(np.full(24, 0.99), np.ones(24)) == 0.55


def test_a_threshold_is_hardly_ever_found_where_none_keeps_the_promise() -> None:
    random = np.random.default_rng(5)
    found = 0
    for _ in range(60):
        sure = random.uniform(0.5, 1, 300)
        found += calibration.threshold(sure, random.random(300) < 0.79) is not None
    assert found <= 3  # 5 % of 60
