from __future__ import annotations

import math
from dataclasses import fields, replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as some

from quick import together
from xstilts.data.examples import SHAPES
from xstilts.errors import InputError
from xstilts.store.identity import canonical
from xstilts.tasks.base import names, task
from xstilts.training.recipe import SETS, Recipe, Selection, changed, named


@pytest.mark.parametrize("name", SETS)
def test_every_set_has_a_usable_recipe_for_every_kind_in_every_role(name: str) -> None:
    for format, role in product(SHAPES, ("intermediate", "target")):
        found = named(name, "a task of no set", format, role)
        assert 1e-6 < found.learning_rate < 1e-2, (format, role)
        assert found.steps or 1 <= found.epochs <= 20, (format, role)
        assert 0 <= found.warmup_steps < 1 or found.warmup_steps == int(found.warmup_steps), (format, role)
        assert found.max_length >= 32, (format, role)


@pytest.mark.parametrize("name", SETS)
def test_what_a_set_says_is_about_things_there_are(name: str) -> None:
    """A misspelt field, format or task would never be noticed otherwise: it would simply not apply."""
    known = {field.name for field in fields(Recipe)}
    chosen = SETS[name]
    assert set(chosen.formats) <= set(SHAPES)
    assert set(chosen.tasks) - {"mewslix"} <= set(names())
    assert {*chosen.targets, *chosen.large, *chosen.dev_tasks, *chosen.dev_tasks.values()} <= set(names())
    by_task = (*chosen.tasks.values(), *chosen.targets.values(), *chosen.large.values())
    for part in (*chosen.formats.values(), *by_task, chosen.intermediate):
        assert set(part) <= known
    assert chosen.source


@pytest.mark.parametrize("name", SETS)
def test_every_task_gets_a_recipe(name: str) -> None:
    assert all(named(name, each, task(each).format, "target") for each in names())


# scripts/train_*.sh of google-research/xtreme: rate, rate of XLM-R Large, epochs, length, steps between evaluations.
SCRIPTS = {
    "mnli": (2e-5, 3e-5, 5, 128, 100),
    "pawsx": (2e-5, 2e-5, 5, 128, 200),
    "panx": (2e-5, 2e-5, 10, 128, 1000),
    "udpos": (2e-5, 2e-5, 10, 128, 500),
    "siqa": (2e-5, 3e-5, 5, 128, None),
    "copa": (2e-5, 3e-5, 5, 128, None),
    "squad": (3e-5, 3e-5, 3, 384, None),
    "tydiqa": (3e-5, 3e-5, 3, 384, None),
}


@pytest.mark.parametrize(("name", "wanted"), SCRIPTS.items())
def test_xtreme_is_what_its_scripts_say(name: str, wanted: tuple[object, ...]) -> None:
    base, large = (named("xtreme", name, task(name).format, "target", size) for size in (False, True))
    every = base.selection and base.selection.every_steps
    assert (base.learning_rate, large.learning_rate, base.epochs, base.max_length, every) == wanted
    assert base.batch_size == 32
    is_qa = task(name).format == "extractive_qa"
    assert (base.warmup_steps, base.weight_decay) == ((500, 1e-4) if is_qa else (0, 0))
    assert replace(large, learning_rate=base.learning_rate) == base
    for size in (False, True):
        intermediate = named("xtreme", name, task(name).format, "intermediate", size)
        assert (intermediate.epochs, intermediate.selection) == (3, None)
        assert intermediate.learning_rate == (large if size else base).learning_rate


@pytest.mark.parametrize("name", sorted({"mnli", "pawsx", "panx", "udpos"}))
def test_a_selection_of_xtreme_reads_all_development_data_and_never_stops_early(name: str) -> None:
    recipe = named("xtreme", name, task(name).format, "target")
    assert recipe.selection
    sizes = {"mnli": 9815, "pawsx": 2000, "panx": 10000, "udpos": 3974}  # of MNLI and of XTREME's English files
    assert recipe.selection.examples >= sizes[name]
    most_steps = task(name).counts["train"] * recipe.epochs / recipe.batch_size
    assert recipe.selection.patience * recipe.selection.every_steps > most_steps


@together("name", names())
@pytest.mark.parametrize("role", ["intermediate", "target"])
def test_the_former_set_is_kept_under_its_own_name(name: str, role: str) -> None:
    """Except for selection, large encoders and XTREME-R's protocols the sets are equal: old results can be found."""
    former = named("xtreme-last", name, task(name).format, role)
    assert former.selection is None
    assert former == named("xtreme-last", name, task(name).format, role, large=True)
    present = named("xtreme", name, task(name).format, role)
    usual = {key: getattr(Recipe(), key) for key in ("selection", "ranking", "ranking_parts", "query_length", "head")}
    if (name, role) == ("mewslix_pairs", "target"):
        usual |= {"learning_rate": 1e-5, "batch_size": 32}
    assert former == replace(present, **usual)


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
    "ranking=one-way": ("ranking", "one-way"),
    "ranking_parts=4": ("ranking_parts", 4),
    "query_length=96": ("query_length", 96),
    "query_length=none": ("query_length", None),
    "head=continued": ("head", "continued"),
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
        "snapshots": 5,
        "ranking": "one-way",
        "head": "continued",
        "pooling": "mean",
    }
    for field in fields(Recipe):
        changed_value = other.get(field.name, 77)
        assert canonical(Recipe(**{field.name: changed_value})) != canonical(Recipe())
