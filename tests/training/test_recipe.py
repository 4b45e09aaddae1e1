from __future__ import annotations

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as some

from xstilts.data.examples import SHAPES
from xstilts.errors import InputError
from xstilts.store.identity import canonical
from xstilts.tasks.base import names, task
from xstilts.training.recipe import SETS, Recipe, Selection, changed, named

CELLS = [(name, format, role) for name in SETS for format in SHAPES for role in ("intermediate", "target")]


@pytest.mark.parametrize(("name", "format", "role"), CELLS)
def test_every_set_has_a_usable_recipe_for_every_kind_in_every_role(name: str, format: str, role: str) -> None:
    found = named(name, "a task of no set", format, role)
    assert 1e-6 < found.learning_rate < 1e-2
    assert found.steps or 1 <= found.epochs <= 20
    assert 0 <= found.warmup_steps < 1 or found.warmup_steps == int(found.warmup_steps)
    assert found.max_length >= 32


@pytest.mark.parametrize("name", SETS)
def test_what_a_set_says_is_about_things_there_are(name: str) -> None:
    """A misspelt field, format or task would never be noticed otherwise: it would simply not apply."""
    known = {field.name for field in fields(Recipe)}
    chosen = SETS[name]
    assert set(chosen.formats) <= set(SHAPES)
    assert set(chosen.tasks) - {"mewslix"} <= set(names())
    for part in (*chosen.formats.values(), *chosen.tasks.values(), chosen.intermediate):
        assert set(part) <= known
    assert chosen.source


@pytest.mark.parametrize("name", SETS)
def test_every_task_gets_a_recipe(name: str) -> None:
    assert all(named(name, each, task(each).format, "target") for each in names())


def test_xtreme_is_what_its_scripts_say() -> None:
    xnli = named("xtreme", "xnli", "classification", "target")
    assert (xnli.learning_rate, xnli.batch_size, xnli.epochs, xnli.max_length) == (2e-5, 32, 5.0, 128)
    squad = named("xtreme", "squad", "extractive_qa", "target")
    assert (squad.learning_rate, squad.max_length, squad.epochs, squad.warmup_steps) == (3e-5, 384, 3.0, 500)
    assert named("xtreme", "udpos", "token_classification", "target").epochs == 10
    assert named("xtreme", "mnli", "classification", "intermediate").epochs == 3


def test_a_task_beats_its_role_and_its_role_beats_its_kind() -> None:
    assert named("phang2020", "udpos", "token_classification", "target").epochs == 10
    assert named("phang2020", "udpos", "token_classification", "intermediate").epochs == 3
    assert named("phang2020", "pawsx", "classification", "intermediate").epochs == 5


@pytest.mark.parametrize(("name", "near"), [("xtrem", "xtreme"), ("phang", "phang2020"), ("zzz", "there are xtreme")])
def test_an_unknown_set_is_named_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(InputError, match=f"unknown recipe '{name}'.*{near}"):
        named(name, "xnli", "classification", "target")


SETTINGS = {
    "learning_rate=1e-4": ("learning_rate", 1e-4),
    "batch_size=8": ("batch_size", 8),
    "epochs=0.5": ("epochs", 0.5),
    "steps=100": ("steps", 100),
    "steps=none": ("steps", None),
    "max_train_examples=None": ("max_train_examples", None),
    "max_train_examples=64": ("max_train_examples", 64),
    "warmup_steps=0.1": ("warmup_steps", 0.1),
    "warmup_steps=500": ("warmup_steps", 500.0),
    "weight_decay=0": ("weight_decay", 0.0),
    "trainable=layers:0-3,8": ("trainable", "layers:0-3,8"),
    "sampling=temperature:2": ("sampling", "temperature:2"),
    "optimizer=adafactor": ("optimizer", "adafactor"),
    "optimizer=adamw8:bf16": ("optimizer", "adamw8:bf16"),
    "selection=500": ("selection", Selection(every_steps=500)),
    "selection=none": ("selection", None),
}


@pytest.mark.parametrize(("setting", "wanted"), SETTINGS.items())
def test_a_setting_changes_one_field_and_keeps_its_type(setting: str, wanted: tuple[str, object]) -> None:
    before = Recipe(steps=7, max_train_examples=7, selection=Selection(3))
    after = changed(before, (setting,))
    name, value = wanted
    assert getattr(after, name) == value
    assert type(getattr(after, name)) is type(value)
    others = [field.name for field in fields(Recipe) if field.name != name]
    assert all(getattr(after, other) == getattr(before, other) for other in others)


def test_the_last_setting_wins_and_none_changes_nothing() -> None:
    assert changed(Recipe(), ("steps=3", "steps=4")).steps == 4
    assert changed(Recipe(), ()) == Recipe()


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("learning_rat=1", "unknown setting 'learning_rat'; did you mean 'learning_rate'?"),
        ("", "unknown setting ''"),
        ("zzz=1", "there are learning_rate"),
        ("learning_rate", "give a number"),
        ("learning_rate=fast", "learning_rate=fast: give a number"),
        ("batch_size=2.5", "give a whole number"),
        ("batch_size=none", "give a whole number"),
        ("epochs=none", "give a number"),
        ("batch_size=0", "batch_size must be above 0, not 0"),
        ("steps=0", "steps must be above 0, not 0"),
        ("steps=-5", "steps must be above 0"),
        ("max_train_examples=0", "max_train_examples must be above 0"),
        ("max_train_examples=-1", "max_train_examples must be above 0"),
        ("max_length=-1", "max_length must be above 0"),
        ("learning_rate=nan", "learning_rate must be above 0"),
        ("learning_rate=inf", "learning_rate must be above 0"),
        ("epochs=inf", "epochs must be above 0"),
        ("clip_norm=0", "clip_norm must be above 0"),
        ("warmup_steps=-0.1", "must be 0 or more"),
        ("warmup_steps=nan", "must be 0 or more"),
        ("weight_decay=-1", "must be 0 or more"),
        ("optimizer=adam", "unknown optimizer 'adam'; there are adamw, adamw8, adafactor, adamw:bf16"),
        ("optimizer=", "unknown optimizer ''; there are adamw"),
        ("optimizer=adamw:fp16", "unknown optimizer 'adamw:fp16'"),
        ("selection=0", "counts from 1"),
        ("selection=-3", "counts from 1"),
    ],
)
def test_a_wrong_setting_is_refused_in_words(setting: str, says: str) -> None:
    with pytest.raises(InputError, match=says.replace("?", r"\?")):
        changed(Recipe(), (setting,))


@given(some.floats(0, 0.999), some.integers(1, 10**6))
def test_warmup_is_a_share_below_one(share: float, steps: int) -> None:
    found = Recipe(warmup_steps=share).steps_of_warmup(steps)
    assert 0 <= found <= steps
    assert math.isclose(found, share * steps, abs_tol=0.5)


@given(some.integers(1, 10**6), some.integers(1, 10**6))
def test_warmup_is_a_number_of_steps_from_one_on_and_never_more_than_all(warmup: int, steps: int) -> None:
    assert Recipe(warmup_steps=warmup).steps_of_warmup(steps) == min(warmup, steps)


def test_every_field_is_part_of_the_identity() -> None:
    other = {
        "trainable": "head",
        "sampling": "uniform",
        "selection": Selection(),
        "steps": 5,
        "max_train_examples": 5,
        "learning_rate": 1.0,
        "warmup_steps": 0.5,
        "weight_decay": 0.5,
        "optimizer": "adamw8",
    }
    for field in fields(Recipe):
        changed_value = other.get(field.name, 77)
        assert canonical(Recipe(**{field.name: changed_value})) != canonical(Recipe())
