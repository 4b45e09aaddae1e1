"""Every setting with a wrong value is refused by plan exactly as by run, before any stage is built."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from test_cli import Call

from xstilts.errors import InputError
from xstilts.runtime.machine import Runtime
from xstilts.training.recipe import ALIASES, Recipe, Selection, changed

NAN, INFINITE = float("nan"), float("inf")
NUMBERS = [0, -1, NAN, INFINITE, "1", None, True]
BAD_RECIPE: dict[str, list[Any]] = {
    "learning_rate": NUMBERS,
    "batch_size": [*NUMBERS, 2.5],
    "epochs": NUMBERS,
    "steps": [0, -1, NAN, 2.5, "1", True],
    "max_train_examples": [0, -1, 2.5, "all", True],
    "max_length": [*NUMBERS, 5, 7, 64.5],
    "warmup_steps": [-1, NAN, INFINITE, "1", None],
    "weight_decay": [-0.1, NAN, INFINITE, "1", None],
    "clip_norm": NUMBERS,
    "trainable": ["foo", "", "top", "top:0", "top:-1", "layers:3-1", "lora:0", "lora:16@foo", "lora", "ALL", None, 3],
    "sampling": ["foo", "", "capped", "capped:x", "capped:0", "temperature:0", "uniform:3", "0.5,x", "-1,2", None],
    "selection": [0, "500", Selection],
    "optimizer": ["sgd", "adam", "", "adamw:fp16", None],
    "ranking": ["three-way", "", None, True],
    "ranking_parts": [*NUMBERS, 2.5],
    "query_length": [0, -1, 2.5, "1", True],
    "head": ["old", "", None, True],
    "pooling": ["max", "", None, True],
    "snapshots": [-1, 11, NAN, 2.5, "1", None, True],
    "dev_examples": [0, -1, 2.5, "all", None, True],
}
BAD_RUNTIME: dict[str, list[Any]] = {
    "store": ["work", None],
    "data": ["data", 3],
    "device": ["gpu", "cuda:x", "", "cpu:0:1", None],
    "max_tokens_per_pass": [-1, 2.5, "1", None],
    "workers": [-1, 2.5, "1", None],
    "threads": [-1, 2.5, "1", None],
    "checkpoint_seconds": [-1, NAN, "1", None],
    "lease_seconds": [0, -1, NAN, "1", None],
    "precision": ["fp16", "float16", "bf32", "int8", "", None],
    "allow_unexpected_data": ["yes", 1, None],
    "prefix_gib": [-1, NAN, "1", None],
    "token_gib": [-1, NAN, "1", None],
    "packing": ["true", "", None, True],
    "recompute": ["yes", 1, None],
    "compiled": ["yes", 1, None],
    "memory_gib": [-1, NAN, "1", None],
    "processes": [0, -1, 2.5, "2", None, True],
    "shard": ["yes", 1, None],
    "keep": ["some", "", None, True],
    "cluster": ["ray", None, True],
}


@pytest.mark.parametrize(("of", "bad"), [(Recipe, BAD_RECIPE), (Runtime, BAD_RUNTIME)])
def test_every_field_refuses_what_it_cannot_be(of: Any, bad: dict[str, list[Any]]) -> None:
    assert set(bad) == {field.name for field in fields(of)}
    of()
    for name, values in bad.items():
        for value in values:
            with pytest.raises(InputError, match=name.replace("_gib", "").replace("_", ".")):
                of(**{name: value})


@pytest.mark.parametrize("name", ALIASES)
def test_other_tools_names_of_settings_are_known(name: str) -> None:
    with pytest.raises(InputError, match=f"unknown setting '{name}'; did you mean '{ALIASES[name]}'"):
        changed(Recipe(), (f"{name}=1",))
    assert ALIASES[name] in {field.name for field in fields(Recipe)}


RIGHT = ("--target", "sandbox_ner", "--intermediate", "sandbox_roles", "--recipe", "sandbox", "--device", "cpu")
SETTINGS = {
    name: [value for value in values if isinstance(value, int | float | str) and not isinstance(value, bool)]
    for name, values in BAD_RECIPE.items()
}
MISTAKES = [
    *(("--set-target", f"{name}={values[0]}") for name, values in SETTINGS.items()),
    ("--set-intermediate", "lr=1"),
    ("--set-target", "trained=lora:0"),
    ("--set-target", "trainable=lora:0"),
    ("--set-target", "trainable=top:9"),
    ("--set-target", "sampling=0.5,0.5"),
    ("--set-target", "max_length=5"),
    ("--precision", "fp16"),
    ("--packing", "maybe"),
    ("--device", "gpu"),
    ("--split", "dev"),
    ("--mlm", "sandbox_text", "--mlm-weight", "-1"),
    ("--mlm", "sandbox_text", "--mlm-alpha", "-1"),
    ("--recipe", "xtrem"),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=" ".join)
def test_plan_and_run_refuse_the_same_with_the_same_words(
    mistake: tuple[str, ...],
    call: Call,
    families: Any,
    tmp_path: Path,
) -> None:
    options = ("--encoder", families["xlm-roberta"], *RIGHT, *mistake, "--store", tmp_path / "store")
    planned, ran = call("plan", *options), call("run", *options)
    assert planned == ran
    code, out, err = planned
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "store").exists()


def test_a_precision_that_is_not_there_names_the_remedy(call: Call, families: Any, tmp_path: Path) -> None:
    options = ("--encoder", families["xlm-roberta"], *RIGHT, "--precision", "fp16", "--store", tmp_path / "store")
    _, _, err = call("run", *options)
    assert "precision 'fp16' is not supported" in err
    assert "give bf16, or auto" in err


def test_an_encoder_that_would_fail_later_is_refused_by_both(call: Call, families: Any, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(families["xlm-roberta"], tmp_path / "model"))
    facts = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(facts | {"model_type": "xlm"}))
    options = ("--encoder", folder, *RIGHT, "--store", tmp_path / "store")
    planned, ran = call("plan", *options), call("run", *options)
    assert planned == ran
    assert planned[0] == 2
    assert "encoders of type 'xlm' are not supported" in planned[2]
    assert not (tmp_path / "store").exists()
