from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from xstilts import sandbox
from xstilts.data.examples import ClassificationExample, Example
from xstilts.experiments import sandbox_encoder
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.run import Recipes
from xstilts.experiments.sandbox_demo import SETTINGS, grids
from xstilts.models.encoder import SANDBOX, Encoder
from xstilts.runtime.machine import Runtime
from xstilts.tasks.base import task

RECORDED = json.loads((SANDBOX / sandbox_encoder.MEASURED).read_text(encoding="utf-8"))


def test_the_shipped_encoder_is_small_and_is_what_was_measured(tmp_path: Path) -> None:
    assert sum(path.stat().st_size for path in SANDBOX.iterdir()) < 4_000_000
    measured = sandbox_encoder.measure(SANDBOX, Runtime(tmp_path, device="cpu", threads=1))
    assert measured.keys() == RECORDED.keys()
    for code, figures in RECORDED.items():
        assert measured[code] == pytest.approx(figures, abs=0.02), code


def test_retrieval_is_far_above_chance_and_falls_with_distance() -> None:
    found = [RECORDED[code]["retrieval"] for code in sandbox.CODES[1:]]
    assert min(found) > 10
    assert found[0] > found[-1]


@pytest.mark.slow
def test_the_recipe_makes_the_shipped_encoder_again(tmp_path: Path) -> None:
    again = sandbox_encoder.make(Runtime(tmp_path / "store", device="cpu"), tmp_path / "encoder")
    for code, figures in RECORDED.items():
        assert again[code]["mlm_loss"] == pytest.approx(figures["mlm_loss"], abs=0.15), code
        assert again[code]["retrieval"] == pytest.approx(figures["retrieval"], abs=8), code


def test_the_demo_has_a_related_and_an_unrelated_task_for_every_trained_target() -> None:
    formats = {task(name).format for name in SETTINGS}
    assert formats == {"classification", "token_classification", "extractive_qa", "bitext_retrieval"}
    assert all(len(names) >= 2 for names in SETTINGS.values())
    promised = [score for grid in grids(3) for score in grid.score_stages(Runtime())]
    assert len({score.key for score in promised}) < len(promised)


def accuracies(store: Path) -> dict[str, float]:
    recipes = Recipes("sandbox", target=("steps=80",))
    grid = Grid(Encoder.of("sandbox"), tasks_of("sandbox_nli"), (), recipes, seeds=1)
    machine = Runtime(store, device="cpu", threads=1)
    grid.build(machine)
    (table,) = grid.tables(machine)
    return {code: scores[0] for code, scores in table.columns[0].scores.items()}


@pytest.mark.slow
def test_swapped_labels_of_one_language_show_in_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = accuracies(tmp_path / "honest")
    swap = {"entailment": "contradiction", "contradiction": "entailment", "neutral": "neutral"}
    real = sandbox.GENERATOR.examples

    def swapped(name: str, split: str, code: str, options: Any) -> Iterator[Example]:
        for example in real(name, split, code, options):
            wrong = (split, code) == ("test", "qab") and isinstance(example, ClassificationExample) and example.label
            yield replace(example, label=swap[wrong]) if wrong else example

    monkeypatch.setattr(type(sandbox.GENERATOR), "examples", staticmethod(swapped))
    faulty = accuracies(tmp_path / "faulty")
    assert honest["qab"] > 50
    assert faulty["qab"] < honest["qab"] - 20
    assert {code: value for code, value in faulty.items() if code != "qab"} == {
        code: value for code, value in honest.items() if code != "qab"
    }
