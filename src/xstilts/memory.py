"""Memory: what a training needs on its device, in bytes, before anything is downloaded.

Weights, gradients and the optimiser's states are counted on a network without numbers, built from a configuration;
what autograd keeps of a pass is worked out by `saved`. All are taken to be there at once, as they nearly are where a
batch takes several passes. Left out is what operations need for a moment and what is lost between tensors.

>>> from xstilts.shapes import config_of
>>> xxl = config_of("facebook/xlm-roberta-xxl")
>>> found = estimate(xxl, Recipe(), "classification", 3, Setting(Device("cuda", "bf16")))
>>> f"{found.parameters / 1e9:.1f} billion, {found.states / GIB:.0f} GiB of states"
'10.7 billion, 80 GiB of states'
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers.initialization import no_init_weights

from xstilts.flops import Shape
from xstilts.heads import attach
from xstilts.kinds import kind as kind_of
from xstilts.kinds import mlm
from xstilts.network import Network, family_of, freeze
from xstilts.recipe import Recipe
from xstilts.saved import Device, Kept

GIB = 2**30
BLOCK = 256  # numbers of an eight-bit moment that share a float32
SEQUENCES = {"choice": 5, "retrieval": 2, "mining": 2, "ranking": 2}  # a unit has at most; of other kinds one


@dataclass(frozen=True)
class Setting:
    """What the machine has to do with it: the device, the most tokens in a pass, and whether layers run twice.

    recompute: of each layer keep only what goes in, and compute the rest again on the way back.
    """

    device: Device
    micro_tokens: int = 16384
    recompute: bool = False


@dataclass(frozen=True)
class Memory:
    """Bytes by what they are for, and how many numbers a network has and trains."""

    weights: int
    gradients: int
    states: int
    activations: int
    parameters: int
    trained: int

    @property
    def total(self) -> int:
        """All bytes."""
        return self.weights + self.gradients + self.states + self.activations


def estimate(config: Any, recipe: Recipe, kind: str, labels: int, setting: Setting, rows: int | None = None) -> Memory:
    """Return what a training of one lesson needs in its largest pass.

    labels: of a classification or tagging head. rows: of the embeddings that the data touch (`rows.used`), all of them
    where that is not known or the lesson is masked-LM.
    """
    network = _network(config, recipe, kind, labels, rows)
    device = Device(setting.device.type, "bf16") if halves(recipe) else setting.device
    kept = Kept(network, "head", device)
    shape = shape_of(recipe, kind, setting.micro_tokens, network)
    return _counted(network, recipe, kept.bytes(shape, setting.recompute))


def floor(config: Any, recipe: Recipe, kind: str, labels: int, rows: int | None = None) -> Memory:
    """Return what a training needs before its first pass: an estimate without activations, and quicker."""
    return _counted(_network(config, recipe, kind, labels, rows), recipe, 0)


def shape_of(recipe: Recipe, kind: str, micro_tokens: int, network: Network) -> Shape:
    """Return the largest batch of a pass: sequences as long as the recipe allows, as many as fit or as a step has."""
    length = network.fitting(recipe.max_length)
    most = recipe.batch_size * SEQUENCES.get(kind, 1)
    if kind_of(kind).divisible:
        most = min(most, max(micro_tokens // length, SEQUENCES.get(kind, 1)))
    return Shape(most, length, round(mlm.SHARE * most * length) if kind == "mlm" else 0)


def optimiser_of(recipe: Recipe) -> str:
    """Return the name of a recipe's optimiser."""
    return str(vars(recipe).get("optimiser", "adamw"))


def halves(recipe: Recipe) -> bool:
    """Say whether the matrices of the encoder are in bf16."""
    return optimiser_of(recipe).endswith(":bf16")


def state_bytes(optimiser: str, parameter: Tensor) -> int:
    """Return the bytes that an optimiser keeps of a parameter; of what is no matrix whole moments, as they are few."""
    name = optimiser.partition(":")[0]
    if name == "adafactor":
        rows = parameter.numel() // parameter.shape[-1] if parameter.dim() > 1 else 0
        return 4 * (rows + parameter.shape[-1])
    if name == "adamw8" and parameter.dim() > 1:
        return 2 * (parameter.numel() + 4 * -(-parameter.numel() // BLOCK))
    return 2 * parameter.numel() * parameter.itemsize


def built(config: Any) -> nn.Module:
    """Build the bare encoder of a configuration without its numbers, on the meta device."""
    family = family_of(config)
    options = {name: value for name, value in family.load.items() if name != "key_mapping"}
    with torch.device("meta"), no_init_weights():
        found = getattr(transformers, family.auto).from_config(config, dtype=torch.float32, **options)
    assert isinstance(found, nn.Module)
    return found


def _network(config: Any, recipe: Recipe, kind: str, labels: int, rows: int | None) -> Network:
    """Return a network as `train` makes it, without its numbers: rows, head, what is trained, what is in bf16."""
    if rows and kind != "mlm":
        config = copy.deepcopy(config)
        config.vocab_size = max(rows, 1 + (config.pad_token_id or 0))
    with torch.device("meta"):
        network = Network(built(config))
        if not kind_of(kind).headless:
            attach(network, "head", kind, labels)
        freeze(network, recipe.trained)
    if halves(recipe):
        for parameter in network.backbone.parameters():
            if parameter.dim() > 1:
                parameter.data = parameter.data.to(torch.bfloat16)
    return network


def _counted(network: Network, recipe: Recipe, activations: int) -> Memory:
    every = list(network.parameters())
    trained = [parameter for parameter in every if parameter.requires_grad]
    optimiser = optimiser_of(recipe)
    return Memory(
        sum(parameter.numel() * parameter.itemsize for parameter in every),
        sum(parameter.numel() * parameter.itemsize for parameter in trained),
        sum(state_bytes(optimiser, parameter) for parameter in trained),
        activations,
        sum(parameter.numel() for parameter in every),
        sum(parameter.numel() for parameter in trained),
    )
