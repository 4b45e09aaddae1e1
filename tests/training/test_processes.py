"""A training in several processes ends where it does in one, to rounding, and goes on at any other number of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given as drawn
from hypothesis import strategies as some
from safetensors.torch import load_file
from torch import Tensor

from given import TOYS, lesson, losses, still, stopped
from xstilts.cost import ledger
from xstilts.errors import InputError
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.store.manifest import read as read_record
from xstilts.store.stage import BuildContext, Stage, StageError, stage
from xstilts.training import processes
from xstilts.training.recipe import Recipe, Selection, changed
from xstilts.training.step import shares
from xstilts.training.train import train

RECIPE = Recipe(learning_rate=1e-2, batch_size=7, steps=6, max_length=24, weight_decay=0.1)
# Passes of few tokens, so that processes have several, and not equally many.
HOW: dict[str, dict[str, Any]] = {
    "one": {"processes": 1},
    "whole": {"processes": 2},
    "sharded": {"processes": 2, "shard": True},
}


def machine_of(store: Path, how: str, **settings: Any) -> Runtime:
    return Runtime(store=store / how, device="cpu", threads=1, max_tokens_per_pass=40, **HOW[how], **settings)


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model" / "model.safetensors")


def distance(one: Path, other: Path) -> float:
    """Return the largest difference of two trainings' weights, but for those that change no state.

    Softmax takes the same number from all scores of a query, which is all that biases of keys add: their gradients are
    rounding errors, and Adafactor divides them by their size.
    """
    left, right = weights(one), weights(other)
    assert left.keys() == right.keys()
    return max(float((left[name].float() - right[name].float()).abs().max()) for name in left if "key.bias" not in name)


def trained(encoder: Encoder, recipe: Recipe, format: str = "classification") -> Stage:
    return train(encoder, (lesson(format),), recipe, seed=1)


@pytest.fixture(scope="module")
def steady(families: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Encoders without dropout, by family."""
    made: dict[str, Encoder] = {}

    def get(family: str) -> Encoder:
        if family not in made:
            made[family] = still(families[family], tmp_path_factory.mktemp("still") / family)
        return made[family]

    return get


@pytest.mark.parametrize("how", ["sharded", pytest.param("whole", marks=pytest.mark.slow)])
def test_two_processes_end_where_one_does(how: str, steady: Any, tmp_path: Path) -> None:
    """With a selection, which all must take alike, and checkpoints after every step, which change nothing."""
    model = trained(steady("xlm-roberta"), replace(RECIPE, selection=Selection(every_steps=2, examples=6)))
    one, two = (build(model, machine_of(tmp_path, name, checkpoint_seconds=0.0)) for name in ("one", how))
    assert distance(one, two) < 2e-5
    assert losses(two) == pytest.approx(losses(one), abs=2e-6)
    assert sorted(path.name for path in two.rglob("*")) == sorted(path.name for path in one.rglob("*"))
    facts, alone = read_record(two)["record"], read_record(one)["record"]
    assert (facts["processes"], alone.get("processes")) == ({"count": 2, "sharded": how == "sharded"}, None)
    assert facts["dev"] == alone["dev"]
    assert facts["cost"]["tokens"] == alone["cost"]["tokens"]  # of both processes, each token once
    assert not list((tmp_path / how / processes.FOLDER).iterdir())


SETTINGS = {
    "adafactor": "optimizer=adafactor",
    "adapters": "trainable=lora:2",
    "upper layers": "trainable=top:1",
    "gradual": "trainable=gradual",
    "head": "trainable=head",
}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["whole", "sharded"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_every_recipe_ends_where_it_does_in_one_process(how: str, setting: str, steady: Any, tmp_path: Path) -> None:
    model = trained(steady("xlm-roberta"), changed(RECIPE, (SETTINGS[setting],)))
    one, two = (build(model, machine_of(tmp_path, name)) for name in ("one", how))
    assert distance(one, two) < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize("how", ["whole", "sharded"])
@pytest.mark.parametrize("family", ["bert", "mt5", "qwen3", "modernbert", "xmod", "deberta-v2", "gemma3_text"])
def test_every_family_ends_where_it_does_in_one_process(how: str, family: str, steady: Any, tmp_path: Path) -> None:
    one, two = (build(trained(steady(family), RECIPE), machine_of(tmp_path, name)) for name in ("one", how))
    assert distance(one, two) < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize("how", ["whole", "sharded"])
@pytest.mark.parametrize("format", [name for name in TOYS if name != "masked_lm"])
def test_every_format_ends_where_it_does_in_one_process(how: str, format: str, steady: Any, tmp_path: Path) -> None:
    """Also a ranking loss, whose batch stays in one process while the other takes passes that count for nothing."""
    model = trained(steady("xlm-roberta"), RECIPE, format)
    one, two = (build(model, machine_of(tmp_path, name)) for name in ("one", how))
    assert distance(one, two) < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize("setting", [{"recompute": True}, {"packing": "on"}])
def test_settings_of_the_machine_work_sharded(setting: dict[str, Any], steady: Any, tmp_path: Path) -> None:
    model = trained(steady("xlm-roberta"), RECIPE)
    one, two = (build(model, machine_of(tmp_path, name, **setting)) for name in ("one", "sharded"))
    assert distance(one, two) < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw:bf16", "adafactor:bf16"])
def test_matrices_in_bf16_differ_by_their_rounding(optimizer: str, steady: Any, tmp_path: Path) -> None:
    """Stochastic rounding draws other numbers, so that single weights differ, and losses next to nothing."""
    model = trained(steady("xlm-roberta"), replace(RECIPE, optimizer=optimizer, learning_rate=1e-3))
    folders = [build(model, machine_of(tmp_path, how)) for how in HOW]
    assert all(losses(folder) == pytest.approx(losses(folders[0]), abs=2e-3) for folder in folders)


@pytest.mark.slow
def test_masks_are_drawn_in_each_process_and_alike_in_both_layouts(steady: Any, tmp_path: Path) -> None:
    model = trained(steady("xlm-roberta"), RECIPE, "masked_lm")
    whole, sharded = (build(model, machine_of(tmp_path, how)) for how in ("whole", "sharded"))
    assert distance(whole, sharded) < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after"),
    [("one", "sharded"), ("sharded", "one"), ("whole", "sharded"), ("sharded", "whole"), ("whole", "one")],
)
@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
def test_a_killed_training_goes_on_in_another_number_of_processes(
    before: str, after: str, optimizer: str, steady: Any, tmp_path: Path
) -> None:
    recipe = replace(RECIPE, optimizer=optimizer, selection=Selection(every_steps=2, examples=6))
    model = trained(steady("mt5"), recipe)
    store = Runtime(store=tmp_path / "shared", device="cpu", threads=1, max_tokens_per_pass=40)
    stopped(model, replace(store, **HOW[before]), 3)
    resumed = build(model, replace(store, **{"processes": 1, "shard": False, **HOW[after]}))
    straight = build(model, machine_of(tmp_path, "one"))
    assert distance(straight, resumed) < 2e-5
    assert losses(resumed) == pytest.approx(losses(straight), abs=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["whole", "sharded"])
def test_the_same_number_of_processes_goes_on_with_the_same_bits(how: str, families: Any, tmp_path: Path) -> None:
    """With dropout, and matrices in bf16: what is drawn is a function of seed, step and process."""
    model = trained(Encoder.of(families["xlm-roberta"]), replace(RECIPE, optimizer="adamw:bf16"))
    stopped(model, machine_of(tmp_path, how), 3)
    resumed, straight = build(model, machine_of(tmp_path, how)), build(model, machine_of(tmp_path / "straight", how))
    assert distance(resumed, straight) == 0.0


@pytest.mark.slow
def test_snapshots_are_whole(steady: Any, tmp_path: Path) -> None:
    model = trained(steady("xlm-roberta"), replace(RECIPE, snapshots=2))
    one, two = (build(model, machine_of(tmp_path, name)) for name in ("one", "sharded"))
    names = sorted(path.name for path in (one / "snapshots").iterdir())
    assert sorted(path.name for path in (two / "snapshots").iterdir()) == names
    assert max(distance(one / "snapshots" / name, two / "snapshots" / name) for name in names) < 2e-5


@pytest.mark.slow
def test_a_diverging_training_fails_alike_and_the_processes_stay(steady: Any, tmp_path: Path) -> None:
    diverging = replace(RECIPE, learning_rate=1e30)
    machine = machine_of(tmp_path, "whole")
    with pytest.raises(InputError, match="the loss became"):
        build(trained(steady("xlm-roberta"), diverging), machine)
    assert processes._team
    assert processes._team.alive()
    build(trained(steady("xlm-roberta"), RECIPE), machine)


@stage(name="failing", version=1, resumes=True)
def failing(context: BuildContext, rank: int) -> None:
    with processes.together(context, failing.work, {"rank": rank}) as group:  # type: ignore[attr-defined]
        if group.rank == rank:
            raise ValueError(f"process {rank} is tired")
        group.add(torch.zeros(1))


@pytest.mark.slow
def test_a_failing_process_is_named_and_others_start_for_the_next_training(steady: Any, tmp_path: Path) -> None:
    machine = machine_of(tmp_path, "whole")
    with pytest.raises(StageError, match=r"process 1 of 2 failed .*is tired"):
        build(failing(1), machine)
    with pytest.raises(ValueError, match="is tired"):
        build(failing(0), machine)
    build(trained(steady("xlm-roberta"), replace(RECIPE, steps=1)), machine)


@pytest.mark.slow
def test_torchrun_starts_the_processes(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nfrom xstilts.cli import main\nmain()\n")
    options = "run --encoder sandbox --recipe sandbox --target sandbox_nli --languages qaa --set steps=2 --device cpu"
    places = ["--store", str(tmp_path / "store"), "--out", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc-per-node",
            "2",
            str(script),
            *options.split(),
            *places,
        ],
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    records = [json.loads(path.read_text()) for path in (tmp_path / "store").glob("train-*/stage.json")]
    assert records
    assert all(record["record"]["processes"]["count"] == 2 for record in records)


# Without other processes.


@drawn(some.lists(some.integers(1, 512), max_size=40), some.integers(1, 8))
def test_every_input_is_in_one_share_and_shares_have_about_as_many_tokens(lengths: Sequence[int], count: int) -> None:
    found = shares(lengths, count)
    assert sorted(number for share in found for number in share) == list(range(len(lengths)))
    tokens = [sum(lengths[number] for number in share) for share in found]
    assert max(tokens) - min(tokens) <= max(lengths, default=0)


def test_costs_of_processes_are_added() -> None:
    one, two = ({**ledger.nothing(), "seconds": 2.0, "device_seconds": 1.0, "joules": 3.0} for _ in range(2))
    one |= {"taught": {"a": {"tokens": 3}}, "asked": {"a": {"tokens": 9}}}
    two |= {"taught": {"a": {"tokens": 4}, "b": {"tokens": 1}}, "joules": None}
    found = ledger.summed([one, two])
    assert found["taught"] == {"a": {"tokens": 7}, "b": {"tokens": 1}}
    assert (found["seconds"], found["device_seconds"], found["joules"]) == (2.0, 2.0, None)
    assert found["asked"] == {"a": {"tokens": 9}}
    assert one["taught"] == {"a": {"tokens": 3}}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"processes": 0}, "processes must be a whole number of 1 or more"),
        ({"processes": 2, "workers": 2}, "give workers, which build stages side by side, or processes"),
        ({"shard": True}, "give --processes 2 or more"),
        ({"processes": 2, "shard": True, "compiled": True}, "not supported by compiled layers"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Runtime(**settings)


@pytest.mark.slow
def test_a_function_that_others_cannot_import_is_refused(tmp_path: Path) -> None:
    @stage(name="inner", version=1)
    def inner(context: BuildContext) -> None:
        with processes.together(context, inner.work, {}):  # type: ignore[attr-defined]
            pass

    with pytest.raises(StageError, match=r"process 1 of 2 failed .*inner"):
        build(inner(), machine_of(tmp_path, "whole"))
