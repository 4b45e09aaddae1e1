from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor, nn

from families import FAMILIES, berts_last
from given import lesson, stopped
from quick import first
from xstilts.models.encoder import Encoder
from xstilts.models.freezing import freeze
from xstilts.models.heads import attach
from xstilts.models.network import Network
from xstilts.runtime.machine import Runtime
from xstilts.store.build import build
from xstilts.training import optimizer as module
from xstilts.training.optimizer import bytes_of, bytes_per_parameter, learning_rate, make_optimizer, prepare, suited
from xstilts.training.recipe import OPTIMIZERS, Recipe
from xstilts.training.train import train

RECIPE = Recipe(learning_rate=1e-2, weight_decay=0.1)


class Backbone(nn.Module):
    """Matrices of awkward sizes, a bias and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(37, 20)
        self.layer = nn.Linear(20, 9)
        self.norm = nn.LayerNorm(9)
        self.config = transformers.XLMRobertaConfig()

    def forward(self, ids: Tensor) -> Tensor:
        return self.norm(self.layer(self.table(ids)))


def made(name: str, seed: int = 0) -> tuple[Network, Recipe, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    network, recipe = Network(Backbone()), replace(RECIPE, optimizer=name)
    network.heads["toy"] = nn.Linear(9, 2)
    prepare(network, recipe)
    return network, recipe, make_optimizer(network, recipe)


def step(network: Network, optimiser: torch.optim.Optimizer, number: int) -> float:
    torch.manual_seed(number)
    optimiser.zero_grad()
    ids = torch.randint(0, 30, (12,))
    with torch.autocast("cpu", torch.bfloat16):
        logits = network.heads["toy"](network.backbone(ids))
    loss = nn.functional.cross_entropy(logits.float(), ids % 2)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return float(loss.detach())


def given(network: Network, other: Network, scale: float = 1e-3) -> None:
    """Give two networks the same random gradients."""
    for one, two in zip(network.parameters(), other.parameters(), strict=True):
        one.grad = (torch.randn(one.shape) * scale).to(one.dtype)
        two.grad = one.grad.float()


def test_adamw_is_that_of_torch_to_the_bit() -> None:
    network, recipe, optimiser = made("adamw")
    other = copy.deepcopy(network)
    matrices, rest = ([p for p in other.parameters() if (p.dim() > 1) == many] for many in (True, False))
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    fused = torch.optim.AdamW(copy.deepcopy(groups), lr=recipe.learning_rate, eps=1e-8, fused=True)
    theirs = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.999), eps=1e-8)
    again = [parameter for group in fused.param_groups for parameter in group["params"]]
    for number in range(5):
        torch.manual_seed(number)
        given(network, other)
        for mine, copied in zip([*matrices, *rest], again, strict=True):
            copied.grad = mine.grad
        for one in (optimiser, theirs, fused):
            one.step()
    assert type(optimiser) is torch.optim.AdamW
    assert all(torch.equal(a, b) for a, b in zip(trained(optimiser), again, strict=True))
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(trained(optimiser), trained(theirs), strict=True))


def trained(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def lean(weight: Tensor, name: str, decay: float = 0.1) -> tuple[nn.Parameter, torch.optim.Optimizer]:
    parameter = nn.Parameter(weight.clone())
    return parameter, module.LowMemoryOptimizer([{"params": [parameter], "weight_decay": decay}], name, 1e-2)


@pytest.mark.parametrize("part", [256, 2**23])
def test_our_adamw_is_torchs_but_for_the_bits_it_keeps(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 it is the same; with moments in fewer bits it ends near, and far from where it began."""
    monkeypatch.setattr(module, "PART", part)
    torch.manual_seed(0)
    weight = torch.randn(30, 20)
    exact = nn.Parameter(weight.clone())
    theirs = torch.optim.AdamW([exact], lr=1e-2, weight_decay=0.1)
    near = {name: lean(weight.to(dtype), name) for name, dtype in DTYPES.items()}
    drift = torch.randn(30, 20)
    for _ in range(40):
        exact.grad = torch.randn(30, 20) + drift
        theirs.step()
        for parameter, optimiser in near.values():
            parameter.grad = exact.grad.to(parameter.dtype)
            optimiser.step()
    moved = (exact.detach() - weight).norm()
    errors = {
        name: float((parameter.detach().float() - exact.detach()).norm() / moved)
        for name, (parameter, _) in near.items()
    }
    assert errors["adamw"] < 1e-6
    assert errors["adamw8"] < 0.1
    assert errors["adamw:bf16"] < 0.1
    assert errors["adamw8:bf16"] < 0.1


DTYPES = {
    "adamw": torch.float32,
    "adamw8": torch.float32,
    "adamw:bf16": torch.bfloat16,
    "adamw8:bf16": torch.bfloat16,
}


@pytest.mark.parametrize("shape", [(30, 20), (50,)])
@pytest.mark.parametrize("part", [64, 2**23])
def test_adafactor_is_that_of_torch_where_torch_has_it(
    shape: tuple[int, ...], part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With weights smaller than 1, for which torch can be told to take the learning rate as it is."""
    monkeypatch.setattr(module, "PART", part)
    torch.manual_seed(0)
    weight = torch.rand(shape) * 0.5
    exact = nn.Parameter(weight.clone())
    theirs = torch.optim.Adafactor([exact], lr=1e-2, eps=(1e-15, 1.0), weight_decay=0.1)
    parameter, optimiser = lean(weight, "adafactor")
    for number in range(20):
        exact.grad = torch.randn(shape) * 10.0 ** -(number % 3)
        parameter.grad = exact.grad.clone()
        theirs.step()
        optimiser.step()
        assert torch.equal(parameter.grad, exact.grad)
    assert float((parameter.detach() - weight).norm()) > 0.1
    assert torch.allclose(parameter, exact, atol=1e-6)


def test_adafactor_takes_small_gradients_for_what_they_are() -> None:
    torch.manual_seed(0)
    gradient, weight = torch.randn(30, 20), torch.zeros(30, 20)
    found = []
    for scale in (1.0, 1e-6):
        parameter, optimiser = lean(weight, "adafactor")
        parameter.grad = gradient * scale
        optimiser.step()
        found.append(parameter.detach())
    assert torch.allclose(found[0], found[1], rtol=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_never_has_a_gradient_only_decays(name: str) -> None:
    """So rows of embeddings that no text touches can be left out, and get their decay at the end."""
    network, recipe, optimiser = made(name)
    table = network.backbone.table.weight
    before = table.detach().clone()
    for number in range(8):
        step(network, optimiser, number)
    kept = float(1 - recipe.learning_rate * recipe.weight_decay) ** 8
    after = table.detach()
    if name.endswith(":bf16"):
        assert (after[30:] - before[30:]).abs().max() <= 2**-6 * before.abs().max()
        assert not torch.equal(after[:30], before[:30])
    else:
        assert torch.allclose(after[30:], before[30:] * kept, rtol=1e-5)
        assert not torch.allclose(after[:30], before[:30] * kept, rtol=1e-3)


def test_adafactors_means_do_not_depend_on_rows_without_gradients() -> None:
    """What does is the clipping: over more rows, a large update is clipped less."""
    torch.manual_seed(0)
    gradient = torch.randn(6, 4).pow(3)
    few, more = (lean(torch.zeros(rows, 4), "adafactor", 0.0) for rows in (6, 24))
    few[0].grad, more[0].grad = gradient.clone(), torch.cat([gradient, torch.zeros(18, 4)])
    few[1].step()
    more[1].step()
    ratio = more[0].detach()[:6] / few[0].detach()
    assert torch.allclose(ratio, ratio[0, 0].expand(6, 4), rtol=1e-5)
    assert float(ratio[0, 0]) >= 1
    assert not more[0].detach()[6:].any()


@pytest.mark.parametrize("name", first(3, OPTIMIZERS))
def test_weights_are_of_the_dtype_asked_for_and_learn(name: str) -> None:
    network, _, optimiser = made(name)
    halved = name.endswith(":bf16")
    losses = [step(network, optimiser, number) for number in range(60)]
    assert sum(losses[-5:]) < 0.25 * sum(losses[:5])
    for place, parameter in network.named_parameters():
        small = halved and parameter.dim() > 1 and place.startswith("backbone.")
        assert parameter.dtype == (torch.bfloat16 if small else torch.float32)


def test_small_updates_of_bf16_weights_are_not_lost() -> None:
    """Two hundred steps of a tenth of what separates neighbours; to the nearest, none would be taken."""
    weight = torch.ones(64, 64, dtype=torch.bfloat16)
    parameter, optimiser = lean(weight, "adamw8:bf16", decay=0.0)
    optimiser.param_groups[0]["lr"] = 2**-7 / 10
    assert torch.equal(weight - 2**-8 / 10, weight)
    torch.manual_seed(0)
    for _ in range(200):
        parameter.grad = torch.full_like(parameter, -1.0)
        optimiser.step()
    assert float(parameter.detach().float().mean()) == pytest.approx(1 + 200 * 2**-7 / 10, abs=1e-3)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("trained_part", ["all", "top:1"])
def test_bytes_are_those_of_the_tensors(name: str, trained_part: str, families: Any) -> None:
    recipe = replace(RECIPE, optimizer=name)
    network = Network(families.backbone("xlm-roberta"))
    attach(network, "toy", "classification", 3)
    freeze(network, trained_part)
    wanted = bytes_of(network, recipe)
    assert bytes_of(network.to("meta"), recipe) == wanted
    network = Network(families.backbone("xlm-roberta"))
    attach(network, "toy", "classification", 3)
    freeze(network, trained_part)
    prepare(network, recipe)
    optimiser = make_optimizer(network, recipe)
    for parameter in trained(optimiser):
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    kept = [value for state in optimiser.state.values() for value in state.values() if value.dim()]
    assert wanted.state == sum(value.nbytes for value in kept)
    assert wanted.gradient == sum(parameter.grad.nbytes for parameter in trained(optimiser))  # type: ignore[union-attr]
    assert wanted.weight == sum(parameter.nbytes for parameter in network.parameters())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_bytes_a_parameter_are_those_of_a_large_matrix(name: str) -> None:
    weight = torch.zeros(512, 512, dtype=torch.bfloat16 if name.endswith(":bf16") else torch.float32)
    parameter, optimiser = lean(weight, name)
    parameter.grad = torch.ones_like(weight)
    optimiser.step()
    found = [value.nbytes for value in optimiser.state[parameter].values() if value.dim()]
    wanted = bytes_per_parameter(name)
    assert (wanted.weight, wanted.gradient) == (weight.itemsize, parameter.grad.itemsize)
    means = 4 * 2 / 512 if name.startswith("adafactor") else 0
    assert sum(found) / weight.numel() == wanted.state + means
    assert wanted.total == wanted.weight + wanted.gradient + wanted.state


def test_fewer_bytes_from_one_to_the_next() -> None:
    totals = [bytes_per_parameter(name).total for name in OPTIMIZERS]
    assert totals == [16, 8 + 2 + 2 * 4 / 256, 8, 8, 4 + 2 + 2 * 4 / 256, 4]


@pytest.mark.parametrize("family", berts_last(FAMILIES))
def test_every_family_computes_with_matrices_in_bf16(family: str, families: Any, tmp_path: Path) -> None:
    recipe = replace(RECIPE, optimizer="adamw8:bf16")
    network = Network(families.backbone(family))
    for format in ("classification", "token_classification", "masked_lm"):
        attach(network, format, format, 3)
    prepare(network, recipe)
    ids, mask = torch.randint(5, 40, (3, 9)), torch.ones(3, 9, dtype=torch.long)
    mask[0, 5:] = 0
    with suited(Runtime(tmp_path, device="cpu"), recipe).arithmetic():
        loss = sum(network(head, ids, mask).float().square().mean() for head in network.heads)
    loss.backward()  # type: ignore[union-attr, no-untyped-call]
    gradients = [(parameter, parameter.grad) for parameter in network.parameters() if parameter.grad is not None]
    assert network.embedding_matrix.grad is not None
    assert all(gradient.dtype == parameter.dtype and gradient.isfinite().all() for parameter, gradient in gradients)
    assert {parameter.dtype for parameter, _ in gradients} == {torch.bfloat16, torch.float32}


@pytest.mark.parametrize("name", first(0, ["adamw8:bf16", "adafactor:bf16"]))
def test_a_toy_is_overfitted_in_few_bits(name: str, encoder: Encoder, machine: Runtime) -> None:
    from xstilts.store.manifest import read

    recipe = Recipe(learning_rate=1e-2, batch_size=8, steps=30, max_length=24, optimizer=name)
    folder = build(train(encoder, (lesson("classification"),), recipe, seed=1), machine)
    assert read(folder)["record"]["dev"]["classification"]["score"] == 100.0


def test_a_stopped_training_in_few_bits_ends_in_the_same_bits(encoder: Encoder, machine: Runtime) -> None:
    """What is saved is in the numbers it was trained in, and loads in float32; rows that no text touches lose no bit."""
    recipe = Recipe(1e-2, 8, steps=10, max_length=24, weight_decay=0.5, optimizer="adamw8:bf16")
    promise = train(encoder, (lesson("classification"),), recipe, seed=1)
    whole = build(promise, replace(machine, store=machine.store / "whole")) / "model" / "model.safetensors"
    stopped(promise, machine, 6)
    again = build(promise, machine) / "model"
    assert (again / "model.safetensors").read_bytes() == whole.read_bytes()
    stored, before = load_file(whole), load_file(Path(encoder.location) / "model.safetensors")
    table = stored.pop("roberta.embeddings.word_embeddings.weight")
    inside = {value.dtype for name, value in stored.items() if value.dim() > 1 and name.startswith("roberta.")}
    assert inside == {torch.bfloat16}
    kept = math.prod(1 - learning_rate(recipe, number, 10) * 0.5 for number in range(10))
    assert torch.equal(table[-1], before["embeddings.word_embeddings.weight"][-1] * kept)
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(again)
    assert {value.dtype for value in loaded.parameters()} == {torch.float32}
    assert all(torch.equal(loaded.state_dict()[name], value.float()) for name, value in stored.items())


def test_arithmetic_is_bf16_only_where_weights_are(tmp_path: Path) -> None:
    machine = Runtime(tmp_path, device="cpu")
    assert suited(machine, RECIPE) == machine
    assert suited(machine, replace(RECIPE, optimizer="adamw8")) == machine
    assert suited(machine, replace(RECIPE, optimizer="adafactor:bf16")) == replace(machine, precision="bf16")


def test_the_rate_rises_to_the_peak_and_falls_to_nothing() -> None:
    recipe = Recipe(learning_rate=1.0, warmup_steps=4)
    rates = [learning_rate(recipe, number, 12) for number in range(12)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert math.isclose(rates[-1], 1 / 8)
