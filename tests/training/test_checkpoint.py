from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from quick import covering
from xstilts.models.network import Network
from xstilts.runtime import progress
from xstilts.store.stage import StageError
from xstilts.training.checkpoint import Checkpoint, remove
from xstilts.training.optimizer import make_optimizer, prepare
from xstilts.training.recipe import OPTIMIZERS, Recipe


def made(path: Path, frozen: bool = False) -> tuple[nn.Module, torch.optim.AdamW, Checkpoint]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 2))
    network[0].requires_grad_(not frozen)
    optimiser = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=0.1, fused=True)
    return network, optimiser, Checkpoint(path / "checkpoint.safetensors", network, optimiser)


def lean(path: Path, name: str, seed: int = 0) -> tuple[nn.Module, torch.optim.Optimizer, Checkpoint]:
    """The encoder's matrices in bf16 where the optimiser's name says so."""
    torch.manual_seed(seed)
    backbone = nn.Sequential(nn.Linear(4, 70), nn.LayerNorm(70), nn.Linear(70, 5))
    backbone.config = transformers.XLMRobertaConfig()
    network = Network(backbone)
    network.heads["toy"] = nn.Linear(5, 2)
    recipe = Recipe(learning_rate=0.1, weight_decay=0.1, optimizer=name)
    prepare(network, recipe)
    optimiser = make_optimizer(network, recipe)
    return network, optimiser, Checkpoint(path / "checkpoint.safetensors", network, optimiser)


def lean_step(network: Any, optimiser: torch.optim.Optimizer, number: int) -> None:
    torch.manual_seed(number)
    optimiser.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        states = network.heads["toy"](network.backbone(torch.randn(5, 4)))
    states.float().pow(2).sum().backward()
    optimiser.step()


def step(network: nn.Module, optimiser: torch.optim.Optimizer, number: int) -> None:
    torch.manual_seed(number)
    optimiser.zero_grad()
    network(torch.randn(5, 4)).pow(2).sum().backward()
    optimiser.step()


def weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("before", [0, 1, 4])
def test_what_goes_on_from_a_checkpoint_ends_in_the_same_bits(tmp_path: Path, frozen: bool, before: int) -> None:
    network, optimiser, checkpoint = made(tmp_path, frozen)
    for number in range(before):
        step(network, optimiser, number)
    checkpoint.save({"step": before, "history": [{"loss": 0.1}]})
    for number in range(before, 7):
        step(network, optimiser, number)
    other, its_optimiser, its_checkpoint = made(tmp_path, frozen)
    assert its_checkpoint.load() == {"step": before, "history": [{"loss": 0.1}]}
    for number in range(before, 7):
        step(other, its_optimiser, number)
    assert same(weights(other), weights(network))


@pytest.mark.parametrize(("name", "before"), covering(OPTIMIZERS, [0, 1, 4]))
def test_every_optimiser_goes_on_in_the_same_bits(tmp_path: Path, name: str, before: int) -> None:
    network, optimiser, checkpoint = lean(tmp_path, name)
    for number in range(before):
        lean_step(network, optimiser, number)
    checkpoint.keep_best()
    best = weights(network)
    checkpoint.save({"step": before})
    for number in range(before, 7):
        lean_step(network, optimiser, number)
    other, its_optimiser, its_checkpoint = lean(tmp_path, name, seed=1)
    assert its_checkpoint.load() == {"step": before}
    for number in range(before, 7):
        lean_step(other, its_optimiser, number)
    assert same(weights(other), weights(network))
    kept, its_kept = (
        [dict(chosen.state[one]) for one in of.parameters()]
        for chosen, of in ((optimiser, network), (its_optimiser, other))
    )
    assert all(same(one, two) for one, two in zip(kept, its_kept, strict=True))
    its_checkpoint.restore_best()
    assert same(weights(other), best)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_everything_is_stored_in_its_own_dtype(tmp_path: Path, name: str) -> None:
    network, optimiser, checkpoint = lean(tmp_path, name)
    lean_step(network, optimiser, 0)
    checkpoint.keep_best()
    checkpoint.save({})
    stored = load_file(checkpoint.path)
    for place, parameter in network.named_parameters():
        assert stored[f"weight.{place}"].dtype == stored[f"best.{place}"].dtype == parameter.dtype
        for what, value in optimiser.state[parameter].items():
            assert torch.equal(stored[f"kept.{what}.{place}"], value)
            assert stored[f"kept.{what}.{place}"].dtype == value.dtype
    assert len(stored) == sum(2 + len(state) for state in optimiser.state.values())


def test_what_is_frozen_is_not_in_the_file(tmp_path: Path) -> None:
    network, optimiser, checkpoint = made(tmp_path, frozen=True)
    step(network, optimiser, 0)
    checkpoint.save({})
    stored = load_file(checkpoint.path)
    assert "weight.2.weight" in stored
    assert "kept.exp_avg.2.weight" in stored
    assert not any(".0." in name for name in stored)


def test_the_best_weights_survive_a_kill_and_come_back(tmp_path: Path) -> None:
    network, optimiser, checkpoint = made(tmp_path)
    step(network, optimiser, 0)
    best = weights(network)
    checkpoint.keep_best()
    step(network, optimiser, 1)
    latest = weights(network)
    assert not same(latest, best)
    checkpoint.save({"step": 2})
    other, _, again = made(tmp_path)
    again.load()
    assert same(weights(other), latest)
    again.restore_best()
    assert same(weights(other), best)


def test_without_a_best_the_last_weights_stay(tmp_path: Path) -> None:
    network, optimiser, checkpoint = made(tmp_path)
    step(network, optimiser, 0)
    before = weights(network)
    checkpoint.restore_best()
    assert same(weights(network), before)


def test_where_nothing_was_saved_there_is_nothing_to_resume(tmp_path: Path) -> None:
    _, _, checkpoint = made(tmp_path)
    assert checkpoint.load() == {}
    remove(checkpoint.path)


def test_a_save_that_is_interrupted_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, checkpoint = made(tmp_path)
    checkpoint.save({"step": 1})

    def full(tensors: object, path: Path, metadata: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("xstilts.training.checkpoint.save_file", full)
    with pytest.raises(OSError, match="no space left"):
        checkpoint.save({"step": 2})
    assert made(tmp_path)[2].load() == {"step": 1}


def test_removed_is_gone(tmp_path: Path) -> None:
    _, _, checkpoint = made(tmp_path)
    checkpoint.save({})
    checkpoint.path.with_suffix(".new").write_bytes(b"half of a later one")
    remove(checkpoint.path)
    assert list(tmp_path.iterdir()) == []


def damaged(checkpoint: Checkpoint, network: nn.Module) -> None:
    """Assert that a checkpoint is refused in words and that nothing of it was taken over."""
    said: list[str] = []
    progress.listen(lambda event: said.append(event.label))
    before = weights(network)
    assert checkpoint.load() == {}
    assert same(weights(network), before)
    assert checkpoint.best == {}
    assert not checkpoint.optimizer.state
    assert len(said) == 1
    assert "is damaged" in said[0]
    assert "training begins again" in said[0]


@pytest.mark.parametrize("fault", ["metadata", "state", "tensor", "shape", "stranger", "part"])
def test_a_file_that_is_no_checkpoint_of_this_network_is_refused_whole(tmp_path: Path, fault: str) -> None:
    network, optimiser, checkpoint = made(tmp_path)
    step(network, optimiser, 0)
    checkpoint.save({"step": 1})
    tensors = load_file(checkpoint.path)
    if fault == "tensor":
        del tensors["weight.2.weight"]
    if fault == "shape":
        tensors["weight.2.weight"] = torch.zeros(5, 3)
    if fault == "stranger":
        tensors["kept.exp_avg.9.weight"] = torch.zeros(2)
    if fault == "part":
        tensors["exp_avg.2.weight"] = tensors.pop("kept.exp_avg.2.weight")
    metadata = {"metadata": None, "state": {"state": "{"}}.get(fault, {"state": "{}"})
    save_file(tensors, checkpoint.path, metadata=metadata)
    other, _, again = made(tmp_path)
    damaged(again, other)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, share: float) -> None:
    network, optimiser, checkpoint = made(tmp_path)
    step(network, optimiser, 0)
    checkpoint.save({"step": 1})
    whole = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(whole[: int(share * len(whole))])
    other, _, again = made(tmp_path)
    damaged(again, other)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(some.floats(0, 1, exclude_max=True), some.integers(0, 7), some.booleans())
def test_a_flipped_bit_or_a_cut_is_never_resumed_from(tmp_path: Path, place: float, bit: int, cut: bool) -> None:
    network, optimiser, checkpoint = made(tmp_path)
    step(network, optimiser, 0)
    checkpoint.keep_best()
    checkpoint.save({"step": 1, "history": [{"loss": 0.1}]})
    saved = weights(network)
    content = bytearray(checkpoint.path.read_bytes())
    number = int(place * len(content))
    content[number] ^= 1 << bit
    checkpoint.path.write_bytes(content[:number] if cut else content)
    other, its_optimiser, again = made(tmp_path)
    before = weights(other)
    state = again.load(("step", "history"))
    if state:  # a bit of white space, which changes nothing
        assert state == {"step": 1, "history": [{"loss": 0.1}]}
        assert same(weights(other), saved)
    else:
        assert same(weights(other), before)
        assert not its_optimiser.state
        assert not again.best


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ESTALE, errno.EMFILE])
def test_a_read_error_that_passes_is_no_damage(tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, checkpoint = made(tmp_path)
    checkpoint.save({"step": 1})

    def failing(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr("xstilts.training.checkpoint.safe_open", failing)
        with pytest.raises(StageError, match=r"cannot be read.*run again to go on from it"):
            made(tmp_path)[2].load(("step",))
    assert made(tmp_path)[2].load(("step",)) == {"step": 1}


@pytest.mark.parametrize("state", [{"step": 1, "more": 2}, {}, [], 3, None])
def test_a_state_of_another_version_begins_again(tmp_path: Path, state: Any) -> None:
    _, _, checkpoint = made(tmp_path)
    checkpoint.save(state)
    said: list[str] = []
    progress.listen(lambda event: said.append(event.label))
    assert made(tmp_path)[2].load(("step",)) == {}
    assert "begins again" in said[0]
