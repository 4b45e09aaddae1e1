"""The jobs of the Python interface on the sandbox, run by test_api.py and checked there by mypy --strict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xstilts as xs

QUICK = ("steps=3", "max_train_examples=48")


def compare(store: Path) -> xs.Comparison:
    """An intermediate task against the baseline, in every language of the target."""
    result = xs.compare(
        "sandbox",
        intermediate=["sandbox_names"],
        target="sandbox_ner",
        recipe="sandbox",
        seeds=2,
        settings=QUICK,
        store=store,
        device="cpu",
    )
    gain: xs.Estimate = result.gain("sandbox_names").zero_shot
    print(result, gain.value, gain.low, gain.high, gain.n)
    return result


def compare_own_task(folder: Path, store: Path) -> xs.Comparison:
    """A task from CSV files of one's own as the target."""
    files = {"train": "train.csv", "validation": "dev.csv", "test/{language}": "test-{language}.csv"}
    reviews = xs.Task.from_csv(
        "reviews", files, format="classification", folder=folder, text="text", label="label", labels=["neg", "pos"]
    )
    return xs.compare("sandbox", ["sandbox_inference"], reviews, recipe="sandbox", settings=QUICK, store=store)


def predict(result: xs.Comparison) -> list[dict[str, Any]]:
    """Predictions of one of the trained models for other texts."""
    model = xs.load_model(result.checkpoint("sandbox_names", seed=1))
    return model.predict(["Anna Ash sleeps near Northfield .", ["Onno", "sleeps", "."]])


def train(store: Path) -> xs.Evaluation:
    """One training after another, and an evaluation in two languages."""
    first = xs.train("sandbox", "sandbox_cloze", recipe="sandbox", settings=QUICK, store=store, device="cpu")
    recipe = xs.Recipe(steps=3, max_train_examples=48, max_length=96)
    second = xs.train(first, xs.task("sandbox_qa"), recipe=recipe, seed=2)
    return xs.evaluate(second, "sandbox_qa", languages=["qaa", "qab"])


def embed() -> tuple[int, ...]:
    """Vectors of texts from an encoder."""
    vectors = xs.load_model("sandbox").embed(["Anna sleeps .", "Onno sleeps ."])
    shape: tuple[int, ...] = vectors.shape
    return shape


def recommend(store: Path) -> tuple[str, ...]:
    """A ranking of candidates for a target."""
    result = xs.recommend(
        "sandbox",
        "sandbox_nli",
        ["sandbox_inference", "sandbox_names"],
        recipe="sandbox",
        settings=QUICK[1:],
        steps=2,
        examples=20,
        seeds=1,
        store=store,
        device="cpu",
    )
    return result.ranking
