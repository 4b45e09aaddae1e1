"""Every named recipe trains every task in every language that it has training data in, or is refused before a step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from forms import Form, put
from xstilts.errors import InputError
from xstilts.experiments.run import training_set
from xstilts.experiments.splits import DataFolder
from xstilts.formats import task_format
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime
from xstilts.store import manifest
from xstilts.store.build import build
from xstilts.tasks.base import Task, names, task
from xstilts.training.recipe import SETS, named
from xstilts.training.train import train
from xstilts.training.training_set import with_development_data

ROLES = ("intermediate", "target")


QUICK = (
    "arcd",
    "bible",
    "mnli",
    "panx",
    "siqa",
    "squad_pairs",
    "tydiqa",
    "sandbox_ner",
)  # of each format, and what has no dev


def languages_of(given: Task) -> list[str]:
    """Return the languages in which a source of the task has a training split."""
    codes = dict.fromkeys((*given.trained_in, *given.languages))
    return [code for code in codes if has_train(given, code)]


def has_train(given: Task, code: str) -> bool:
    return any(
        source.generator.has("train", code, source.options)
        if source.generator
        else bool(source.patterns("train", code))
        for source in given.sources
    )


def trainable_tasks() -> list[Any]:
    """Return the tasks that have training data of their own."""
    trainable = [name for name in names() if task_format(task(name).format).trainable and languages_of(task(name))]
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in trainable]


def write(given: Task, code: str, folder: Path) -> None:
    """Write the training split and, where the task has one, the validation split in one language, as published."""
    for split in ("train", "validation"):
        for number, source in enumerate(given.sources):
            form = Form(given.name, number, split, code)
            if source.generator is None and form.patterns and not form.shadowed() and not source.withheld:
                put(form.written(form.made()), folder)
                if given.data(split, code, folder).part != (0, None):
                    pytest.skip("a slice of larger files than tests make")
                break


def step(given: Task, recipe_name: str, role: str, encoder: Encoder, machine: Runtime) -> dict[str, Any]:
    """Train one step and select after it; return the stage's record."""
    recipe = replace(named(recipe_name, given.name, given.format, role), steps=1, batch_size=2, max_length=48)
    training_sets, recipe = with_development_data([training_set(given, DataFolder(machine.data))], recipe)
    folder = build(train(encoder, training_sets, recipe, 1), machine)
    record: dict[str, Any] = manifest.read(folder)["record"]
    return record


def check(name: str, code: str, recipes: tuple[str, ...], encoder: Encoder, machine: Runtime, folder: Path) -> None:
    given = task(name) if code in task(name).trained_in else task(f"{name}:{code}")
    write(task(name), code, folder)
    machine = replace(machine, data=folder, allow_unexpected_data=True)
    for recipe_name in recipes:
        for role in ROLES if recipe_name == "xtreme" else ROLES[1:]:
            record = step(given, recipe_name, role, encoder, machine)
            assert record["steps"] == 1
            selects = named(recipe_name, name, given.format, role).selection is not None
            task_is_scored = not (task_format(given.format).headless or task_format(given.format).language_model)
            assert bool(record["dev"]) >= (selects and task_is_scored)


@pytest.mark.parametrize("name", trainable_tasks())
def test_the_papers_recipe_trains_every_task(name: str, encoder: Encoder, machine: Runtime, tmp_path: Path) -> None:
    check(name, languages_of(task(name))[0], ("phang2020",), encoder, machine, tmp_path / "data")


@pytest.mark.slow
@pytest.mark.parametrize("name", trainable_tasks())
def test_every_recipe_trains_every_task_and_the_papers_in_every_language(
    name: str, encoder: Encoder, machine: Runtime, tmp_path: Path
) -> None:
    first, *others = languages_of(task(name))
    check(name, first, tuple(SETS), encoder, machine, tmp_path / first)
    for code in others:
        check(name, code, ("phang2020",), encoder, machine, tmp_path / code)


@pytest.mark.parametrize("recipe", SETS)
def test_tydiqa_holds_out_what_it_does_not_have(
    recipe: str, encoder: Encoder, machine: Runtime, tmp_path: Path
) -> None:
    """Without a validation split, held-out examples are counted, and the others are what is trained on."""
    write(task("tydiqa"), "en", tmp_path / "data")
    record = step(
        task("tydiqa"), recipe, "target", encoder, replace(machine, data=tmp_path / "data", allow_unexpected_data=True)
    )
    held_out = record["lessons"]["tydiqa"].get("held_out", 0)
    assert held_out == (4 if named(recipe, "tydiqa", "extractive_qa", "target").selection else 0)


def test_one_example_cannot_be_divided(encoder: Encoder, machine: Runtime, tmp_path: Path) -> None:
    form = next(
        Form("tydiqa", number, "train", "en")
        for number, source in enumerate(task("tydiqa").sources)
        if source.patterns("train", "en")
    )
    put(form.written(form.made()[:1]), tmp_path / "data")
    with pytest.raises(InputError, match=r"too few to hold out .* selection=none"):
        step(
            task("tydiqa"),
            "phang2020",
            "target",
            encoder,
            replace(machine, data=tmp_path / "data", allow_unexpected_data=True),
        )
