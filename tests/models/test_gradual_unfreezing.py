from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from safetensors.torch import load_file

from given import lesson
from xstilts.models import freezing
from xstilts.models.encoder import Encoder, load_backbone
from xstilts.models.network import Network
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.runtime.progress import Event
from xstilts.store.build import build
from xstilts.training.recipe import Recipe
from xstilts.training.train import train

RECIPE = Recipe(learning_rate=1e-2, batch_size=12, steps=9, max_length=24, trainable="gradual", weight_decay=0.1)


@settings(max_examples=200, deadline=None)
@given(some.integers(1, 500), some.integers(1, 50))
def test_waves_begin_in_order_from_the_first_step_and_all_move_in_the_end(total: int, waves: int) -> None:
    found = [freezing.unfrozen_groups(number, total, waves) for number in range(total)]
    assert found[0] == 1
    assert found == sorted(found)
    assert max(found) <= waves
    if total >= waves:
        assert found[-1] == waves
        shares = [found.count(count) for count in range(1, waves + 1)]
        assert max(shares) - min(shares) <= 1


def test_what_does_not_move_yet_keeps_its_bits(encoder: Encoder, machine: Runtime) -> None:
    """Stopped in mid-training, the layers whose turn has come have moved, and nothing below them."""
    network = Network(load_backbone(encoder.location))
    waves = freezing.groups(network, "gradual")
    assert sum(len(wave) for wave in waves) == len(list(network.backbone.parameters()))
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    stopped = 3  # steps taken: of nine, with waves for each layer and one for the rest

    def tell(event: Event) -> None:
        if (event.done, event.total) == (stopped, 9):
            raise KeyboardInterrupt

    progress.listen(tell)
    with pytest.raises(KeyboardInterrupt):
        build(
            train(encoder, (lesson("token_classification"),), RECIPE, seed=1), replace(machine, checkpoint_seconds=0.0)
        )
    progress.listen(lambda event: None)
    kept = load_file(next(machine.store.glob("*.part/checkpoint.safetensors")))
    taken = stopped - 1  # of which the checkpoint knows: the last one was told of before it was saved
    free = freezing.unfrozen_groups(taken - 1, 9, len(waves))
    assert 0 < free < len(waves)
    for number, wave in enumerate(waves):
        chosen = [names[id(one)] for one in wave if f"weight.{names[id(one)]}" in kept]
        same = [
            bool((kept[f"weight.{name}"] == before[name]).all())
            for name in chosen
            if kept[f"weight.{name}"].shape == before[name].shape
        ]
        assert all(same) if number >= free else not any(same), (number, chosen)


def test_all_layers_moved_in_the_end(encoder: Encoder, machine: Runtime) -> None:
    folder = build(train(encoder, (lesson("token_classification"),), RECIPE, seed=1), machine)
    after = Network(load_backbone(folder / "model"))
    network = Network(load_backbone(encoder.location))
    for one, other in zip(freezing.groups(network, "gradual"), freezing.groups(after, "gradual"), strict=True):
        assert any(not bool((a == b).all()) for a, b in zip(one, other, strict=True))
