from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from xstilts.errors import InputError
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.store.manifest import RECORD
from xstilts.store.query import difference, expected_seconds, find, nearest_sibling, records
from xstilts.store.stage import BuildContext, Stage, folder_of, stage
from xstilts.training.recipe import Recipe, Selection


@stage(name="made", version=1, label=lambda recipe, seed: f"made-seed{seed}")
def made(site: BuildContext, recipe: Recipe, seed: int) -> None:
    (site.folder / "text").write_text(str(seed))


@stage(name="used", version=1)
def used(site: BuildContext, of: Stage, how: str = "well") -> None:
    (site.folder / "text").write_text(how)


@pytest.fixture
def machine(tmp_path: Path) -> Runtime:
    return Runtime(store=tmp_path / "store")


def record(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / RECORD).read_text()))


def test_a_stage_is_found_by_the_beginning_of_its_key_or_by_its_folder(machine: Runtime) -> None:
    promises = [made(Recipe(), seed) for seed in range(3)]
    for promise in promises:
        build(promise, machine)
    for promise in promises:
        for name in (promise.key, promise.key[:11], folder_of(promise, machine).name):
            folder, found = find(machine.store, name)
            assert folder == folder_of(promise, machine)
            assert found["key"] == promise.key


def test_no_key_and_too_many_keys_say_what_to_do(machine: Runtime) -> None:
    build(made(Recipe(), 1), machine)
    build(made(Recipe(), 2), machine)
    with pytest.raises(
        InputError, match=r"no finished stage in .* has a key that begins with 'zzz': `ls .*` lists them"
    ):
        find(machine.store, "zzz")
    with pytest.raises(InputError, match=r"'' is the beginning of 2 keys: made-seed1-.*, made-seed2-"):
        find(machine.store, "")
    with pytest.raises(InputError, match="no finished stage"):
        find(machine.store / "nowhere", "a")


@pytest.mark.parametrize("damage", ["cut", "record", "half"])
def test_what_is_damaged_or_in_the_making_is_not_found(machine: Runtime, damage: str) -> None:
    """Only what was built again is; the remains that are kept beside it, or a killed builder's, are no second result."""
    promise = made(Recipe(), 1)
    folder = build(promise, machine)
    if damage == "half":
        part = folder.with_name(folder.name + ".part")
        part.mkdir()
        (part / RECORD).write_text((folder / RECORD).read_text())
    else:
        (folder / "text" if damage == "cut" else folder / RECORD).write_text("{ ")
        if damage == "record":
            assert list(records(machine.store)) == []
        build(promise, machine)
    assert len(list(machine.store.glob(f"*/{RECORD}"))) == 2
    assert find(machine.store, promise.key)[0] == folder
    assert [found for found, _ in records(machine.store)] == [folder]
    assert nearest_sibling(machine.store, record(folder)) is None


def test_the_nearest_sibling_is_the_one_that_differs_least(machine: Runtime) -> None:
    far = made(Recipe(learning_rate=1e-3, batch_size=8, selection=Selection(7)), 9)
    near = made(Recipe(learning_rate=1e-3), 1)
    here = made(Recipe(), 1)
    for promise in (far, near, here, used(here)):
        build(promise, machine)
    found = nearest_sibling(machine.store, record(folder_of(here, machine)))
    assert found is not None
    folder, differs = found
    assert folder == folder_of(near, machine)
    assert differs == {"recipe.learning_rate": ({"float": "2e-05"}, {"float": "0.001"})}


def test_a_sibling_is_of_the_same_work(machine: Runtime) -> None:
    build(used(made(Recipe(), 1)), machine)
    assert nearest_sibling(machine.store, record(folder_of(used(made(Recipe(), 1)), machine))) is None
    build(used(made(Recipe(), 2)), machine)
    found = nearest_sibling(machine.store, record(folder_of(used(made(Recipe(), 1)), machine)))
    assert found is not None
    assert list(found[1]) == ["of.stage"]


leaves = some.none() | some.booleans() | some.integers() | some.text(max_size=3)
values = some.recursive(
    leaves,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert difference(value, json.loads(json.dumps(value))) == {}


@given(values, values)
def test_a_difference_seen_from_the_other_side_is_its_mirror_image(one: Any, other: Any) -> None:
    there = difference(one, other)
    assert {path: (b, a) for path, (a, b) in difference(other, one).items()} == there
    assert all(a != b for a, b in there.values())


def test_differences_name_the_leaf() -> None:
    one = {"a": [1, {"b": 2}], "c": {"float": "0.1"}, "d": [1, 2]}
    other = {"a": [1, {"b": 3}], "c": {"float": "0.2"}, "d": [1]}
    assert difference(one, other) == {
        "a[1].b": (2, 3),
        "c": ({"float": "0.1"}, {"float": "0.2"}),
        "d": ([1, 2], [1]),
    }


def test_the_time_expected_is_the_median_of_the_same_work(machine: Runtime) -> None:
    for seed, seconds in enumerate((1.0, 5.0, 100.0)):
        folder = build(made(Recipe(), seed), machine)
        (folder / RECORD).write_text(json.dumps(record(folder) | {"seconds": seconds}))
    todo = [made(Recipe(), 8), made(Recipe(), 9)]
    assert expected_seconds(machine.store, todo) == 10.0
    assert expected_seconds(machine.store, []) == 0
    assert expected_seconds(machine.store, [*todo, used(todo[0])]) is None
