from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from families import FAMILIES, quick_first
from given import lesson
from quick import first
from xstilts.formats import task_format
from xstilts.models.encoder import Encoder
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.runtime.progress import Event
from xstilts.store.build import build
from xstilts.store.manifest import read
from xstilts.training import step
from xstilts.training.recipe import Recipe, Selection
from xstilts.training.step import FEWEST_TOKENS
from xstilts.training.train import HEADS, HISTORY, train

SHORT = Recipe(learning_rate=1e-2, batch_size=12, steps=5, max_length=24)


def result(folder: Path) -> tuple[bytes, bytes]:
    heads = folder / HEADS
    kept = heads.read_bytes() if heads.exists() else b""
    return (folder / "model" / "model.safetensors").read_bytes() + kept, (folder / HISTORY).read_bytes()


def apart(machine: Runtime, name: str, **changes: Any) -> Runtime:
    return replace(machine, store=machine.store / name, **changes)


class Scarce:
    """A loss for which memory runs out whenever a pass has more than so many padded tokens."""

    def __init__(self, honest: Any, most: int) -> None:
        self.honest, self.most, self.refused = honest, most, 0

    def __call__(self, network: Any, head: str, batch: Any) -> torch.Tensor:
        if batch.ids.numel() > self.most:
            self.refused += 1
            raise torch.OutOfMemoryError("no memory")
        found: torch.Tensor = self.honest(network, head, batch)
        return found


def test_where_memory_runs_out_the_step_is_taken_in_smaller_passes(
    encoder: Encoder, machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch stays what it is: the result is that of a machine that was told to take so little from the start."""
    model = train(encoder, (lesson("token_classification"), lesson("masked_lm", weight=1.0)), SHORT, seed=1)
    wanted = build(model, apart(machine, "small", max_tokens_per_pass=32))
    said: list[str] = []
    progress.listen(lambda event: said.append(event.label))
    for name in ("token_classification", "masked_lm"):
        scarce = Scarce(task_format(name).loss, 32)
        monkeypatch.setattr(task_format(name), "loss", scarce)
    found = build(model, apart(machine, "large", max_tokens_per_pass=512))
    assert result(found) == result(wanted)
    assert any("passes of 32 tokens" in line for line in said)
    assert read(found)["record"]["cost"]["tokens"] == read(wanted)["record"]["cost"]["tokens"]


def test_memory_that_is_too_small_for_anything_is_an_error(
    encoder: Encoder, machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    scarce = Scarce(task_format("token_classification").loss, 0)
    monkeypatch.setattr(task_format("token_classification"), "loss", scarce)
    with pytest.raises(torch.OutOfMemoryError):
        build(
            train(encoder, (lesson("token_classification"),), SHORT, seed=1),
            apart(machine, "none", max_tokens_per_pass=4 * FEWEST_TOKENS),
        )
    assert scarce.refused == 3


def test_a_killed_training_goes_on_with_the_passes_that_fitted(
    encoder: Encoder, machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which units drop out depends on the cut, so a training that goes on must cut as it did."""
    model = train(encoder, (lesson("token_classification"),), SHORT, seed=1)
    whole, killed = (
        apart(machine, name, max_tokens_per_pass=512, checkpoint_seconds=0.0) for name in ("whole", "killed")
    )
    honest = task_format("token_classification").loss
    for store, stop in ((whole, 99), (killed, 3)):
        scarce = Scarce(honest, 32)
        monkeypatch.setattr(task_format("token_classification"), "loss", scarce)

        def tell(event: Event, stop: int = stop) -> None:
            if event.done == stop:
                raise KeyboardInterrupt

        progress.listen(tell)
        if stop == 3:
            with pytest.raises(KeyboardInterrupt):
                build(model, store)
        else:
            build(model, store)
    progress.listen(lambda event: None)
    monkeypatch.setattr(
        task_format("token_classification"), "loss", honest
    )  # memory is plenty now, and must not matter
    assert result(build(model, killed)) == result(build(model, whole))


TRICKS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "adapters above stored states": (
        {"trainable": "lora:2@top:2", "optimizer": "adamw:bf16"},
        {"packing": "on", "recompute": True},
    ),
    "eight bits, packed, in passes": (
        {"trainable": "no-embeddings", "optimizer": "adamw8:bf16"},
        {"packing": "on", "recompute": True, "max_tokens_per_pass": 40},
    ),
    "one layer after the other": ({"trainable": "gradual", "weight_decay": 0.1}, {"max_tokens_per_pass": 40}),
    "everything, factored": (
        {"optimizer": "adafactor", "weight_decay": 0.1},
        {"packing": "on", "max_tokens_per_pass": 40},
    ),
}


@pytest.mark.parametrize("name", first(1, TRICKS))
def test_with_every_trick_on_a_killed_training_ends_in_the_same_bits(
    name: str, encoder: Encoder, machine: Runtime
) -> None:
    settings, how = TRICKS[name]
    recipe = replace(SHORT, steps=8, selection=Selection(3, 9, 16), **settings)
    lessons = (
        (lesson("token_classification"), lesson("extractive_qa")) if "factored" in name else (lesson("extractive_qa"),)
    )
    model = train(encoder, lessons, recipe, seed=1)
    whole, killed = (apart(machine, store, checkpoint_seconds=0.0, **how) for store in ("whole", "killed"))

    def tell(event: Event) -> None:
        if event.done == 5 and event.total == 8:
            raise KeyboardInterrupt

    wanted = result(build(model, whole))
    progress.listen(tell)
    with pytest.raises(KeyboardInterrupt):
        build(model, killed)
    progress.listen(lambda event: None)
    assert list(killed.store.glob("*.part/checkpoint.safetensors"))
    assert result(build(model, killed)) == wanted


def test_batches_are_put_together_beside_and_in_order(
    encoder: Encoder, machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads, numbers = set(), []
    honest = step.Stepper.prepare

    def prepare(self: step.Stepper, number: int, step: Any) -> step.PreparedStep:
        threads.add(threading.current_thread().name)
        numbers.append(number)
        return honest(self, number, step)

    monkeypatch.setattr(step.Stepper, "prepare", prepare)
    build(train(encoder, (lesson("token_classification"),), SHORT, seed=1), machine)
    assert numbers == [0, 1, 2, 3, 4]
    assert all(name.startswith("batches") for name in threads)


def test_an_error_in_a_batch_ends_the_training(
    encoder: Encoder, machine: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_format("token_classification"), "collate", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build(train(encoder, (lesson("token_classification"),), SHORT, seed=1), machine)


@pytest.mark.parametrize("family", quick_first(FAMILIES))
def test_layers_computed_again_give_the_same_training(family: str, families: Any, machine: Runtime) -> None:
    """Dropout included: the second time, layers draw what they drew the first time."""
    model = train(Encoder.of(families[family]), (lesson("token_classification"),), SHORT, seed=1)
    plain, again = (build(model, apart(machine, str(how), recompute=how)) for how in (False, True))
    lines = [
        [json.loads(line)["loss"] for line in (folder / HISTORY).read_text().splitlines()] for folder in (plain, again)
    ]
    assert lines[1] == pytest.approx(lines[0], rel=1e-5)
    spent = [read(folder)["record"]["cost"]["flops"] for folder in (plain, again)]
    assert spent[0] == spent[1]  # what the method takes, not what was computed twice to save memory


def test_layers_computed_again_see_only_their_sequence(encoder: Encoder, machine: Runtime) -> None:
    model = train(encoder, (lesson("extractive_qa"),), SHORT, seed=1)
    plain, again = (build(model, apart(machine, str(how), recompute=how, packing="on")) for how in (False, True))
    assert result(again) == result(plain)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of what torch itself does
def test_compiled_layers_compute_the_same(encoder: Encoder, machine: Runtime) -> None:
    model = train(encoder, (lesson("token_classification"),), SHORT, seed=1)
    plain, compiled = (build(model, apart(machine, str(how), compiled=how)) for how in (False, True))
    lines = [
        [json.loads(line)["loss"] for line in (folder / HISTORY).read_text().splitlines()]
        for folder in (plain, compiled)
    ]
    assert lines[1] == pytest.approx(lines[0], rel=0.05)
