from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from given import lesson
from quick import first
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.training import gradient_noise
from xstilts.training.recipe import Recipe
from xstilts.training.train import train

RECIPE = Recipe(learning_rate=1e-2, batch_size=8, steps=3, max_length=24)


def test_both_parts_are_without_bias_and_the_interval_covers() -> None:
    """Gradients drawn around a known mean with a known covariance."""
    random = np.random.default_rng(1)
    mean, spread, batch, count = np.full(50, 0.3), 1.5, 4, 24
    wanted = 50 * spread**2 / float(mean @ mean)
    found, inside = [], 0
    for _ in range(300):
        parts = mean + random.normal(0, spread, (count, batch, 50)).mean(axis=1)
        norms = (parts**2).sum(axis=1).tolist()
        total = parts.sum(axis=0)
        others = [float((((total - part) / (count - 1)) ** 2).sum()) for part in parts]
        one = gradient_noise.jackknifed(norms, float(((total / count) ** 2).sum()), others, batch)
        found.append((one.signal, one.noise))
        inside += one.low is not None and one.high is not None and one.low <= wanted <= one.high
    signal, trace = np.mean(found, axis=0)
    assert signal == pytest.approx(float(mean @ mean), rel=0.03)
    assert trace == pytest.approx(50 * spread**2, rel=0.03)
    assert inside / 300 > 0.88


def test_without_a_signal_there_is_no_scale() -> None:
    assert gradient_noise.simple([1.0, 1.0], 0.1, 4).scale is None


@pytest.mark.parametrize("name", first(1, ["token_classification", "classification", "extractive_qa"]))
def test_of_an_encoder_and_of_what_was_trained_on_the_lesson(name: str, encoder: Encoder, machine: Runtime) -> None:
    """Norms without each batch are those of a mean that was really taken without it."""
    asked = lesson(name)
    trained = train(encoder, (asked,), RECIPE, seed=1)
    for model in (encoder, trained):
        found = json.loads(
            (
                build(gradient_noise.gradient_noise(model, asked, RECIPE, 4, 4), machine) / gradient_noise.NOISE
            ).read_text()
        )
        assert set(found) == {"signal", "noise", "scale", "low", "high"}
        assert found["signal"] == found["signal"]
        assert found["noise"] > 0
    frozen = gradient_noise.gradient_noise(encoder, asked, replace(RECIPE, trainable="head"), 4, 4)
    assert (
        gradient_noise.read(build(frozen, machine)).noise
        < gradient_noise.read(build(gradient_noise.gradient_noise(encoder, asked, RECIPE, 4, 4), machine)).noise
    )
