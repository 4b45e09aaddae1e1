"""Memory: what a training needs on its device, in bytes, before anything is downloaded.

Weights, gradients and the optimizer's states are counted on a network without numbers, built from a configuration;
what autograd keeps of a pass is worked out by `saved`. All are taken to be there at once, as they nearly are where a
batch takes several passes. Left out is what operations need for a moment and what is lost between tensors.

>>> from xstilts.models.configs import config_of
>>> xxl = config_of("facebook/xlm-roberta-xxl")
>>> found = estimate(xxl, Recipe(), "classification", 3, Setting(Device("cuda", "bf16")))
>>> f"{found.parameters / 1e9:.1f} billion, {found.states / GIB:.0f} GiB of states"
'10.7 billion, 80 GiB of states'
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn
from transformers.initialization import no_init_weights

from xstilts.cost.activation_memory import ActivationMemory, Device
from xstilts.cost.flops import Shape
from xstilts.formats import masked_lm, task_format
from xstilts.models.families import family_of
from xstilts.models.freezing import freeze
from xstilts.models.heads import attach
from xstilts.models.network import Network
from xstilts.runtime.machine import GPU_TOKENS, Runtime
from xstilts.training.optimizer import bytes_of, halves, prepare
from xstilts.training.recipe import Recipe

GIB = 2**30
ROOM = {"cuda": 0.95, "cpu": 0.75}  # the share that tensors may take; the rest is for kernels, and lost between them
FEWEST = 256  # tokens of a pass, below which it is not worth to look for memory
UNKNOWN_LABELS = 64  # assumed of a task whose training data say which labels there are


@dataclass(frozen=True)
class Setting:
    """What the machine has to do with it: the device, the most tokens in a pass, and whether layers run twice.

    recompute: of each layer keep only what goes in, and compute the rest again on the way back.
    """

    device: Device
    micro_tokens: int = GPU_TOKENS
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


def estimate(
    config: Any, recipe: Recipe, format: str, labels: int, setting: Setting, rows: int | None = None
) -> Memory:
    """Return what a training of one lesson needs in its largest pass.

    labels: of a classification or tagging head. rows: of the embeddings that the data touch (`rows.used`), all of them
    where that is not known or the lesson is masked-LM.
    """
    network = _network(config, recipe, format, labels, rows)
    device = Device(setting.device.type, "bf16") if halves(recipe.optimizer) else setting.device
    kept = ActivationMemory(network, "head", device)
    shape = shape_of(recipe, format, setting.micro_tokens, network)
    return _counted(network, recipe, kept.bytes(shape, setting.recompute))


def floor(config: Any, recipe: Recipe, format: str, labels: int, rows: int | None = None) -> Memory:
    """Return what a training needs before its first pass: an estimate without activations, and quicker."""
    return _counted(_network(config, recipe, format, labels, rows), recipe, 0)


def shape_of(recipe: Recipe, format: str, micro_tokens: int, network: Network) -> Shape:
    """Return the largest batch of a pass: sequences as long as the recipe allows, as many as fit or as a step has."""
    length = network.clip_max_length(recipe.max_length)
    task = task_format(format)
    most = recipe.batch_size * task.sequences_per_input
    if task.divisible:
        most = min(most, max(micro_tokens // length, task.sequences_per_input))
    return Shape(most, length, round(masked_lm.SHARE * most * length) if task.language_model else 0)


def max_tokens_per_pass(network: Network, recipe: Recipe, heads: Mapping[str, str], machine: Runtime) -> int:
    """Return the most tokens of a pass: as given, as suits a CPU, or as many as fit beside the rest on a GPU.

    network: on its device, ready to be trained. heads: the kind of each lesson by name. A first guess: where memory
    runs out all the same, passes become smaller (`loop`).
    """
    device = machine.torch_device()
    if machine.max_tokens_per_pass or device.type != "cuda":
        return machine.most_tokens()
    rest = bytes_of(network, recipe)
    free = ROOM[device.type] * torch.cuda.mem_get_info(device)[0] - rest.gradient - rest.state
    format = Device(device.type, machine.arithmetic_precision())
    return _most(network, recipe, heads, Setting(format, machine.most_tokens(), machine.recompute), free)


def _most(network: Network, recipe: Recipe, heads: Mapping[str, str], setting: Setting, free: float) -> int:
    """Return the setting's tokens, halved until what a pass keeps fits into `free` bytes."""
    kept = {head: ActivationMemory(network, head, setting.device) for head in heads}
    tokens = setting.micro_tokens
    while tokens > FEWEST and any(
        kept[head].bytes(shape_of(recipe, format, tokens, network), setting.recompute) > free
        for head, format in heads.items()
    ):
        tokens //= 2
    return tokens


def built(config: Any) -> nn.Module:
    """Build the bare encoder of a configuration without its numbers, on the meta device."""
    family = family_of(config)
    options = {name: value for name, value in family.load.items() if name != "key_mapping"}
    with torch.device("meta"), no_init_weights():
        found = getattr(transformers, family.auto).from_config(config, dtype=torch.float32, **options)
    assert isinstance(found, nn.Module)
    return found


def unnumbered(config: Any, trained: str, format: str, labels: int) -> Network:
    """Build a network with the head of a format, without its numbers; what is not to be trained is frozen."""
    with torch.device("meta"):
        network = Network(built(config))
        if not task_format(format).headless:
            attach(network, "head", format, labels)
        freeze(network, trained)
    return network


def _network(config: Any, recipe: Recipe, format: str, labels: int, rows: int | None) -> Network:
    """Return a network as `train` makes it, without its numbers: rows, head, what is trained, what is in bf16."""
    if rows and not task_format(format).language_model:
        config = copy.deepcopy(config)
        config.vocab_size = max(rows, 1 + (config.pad_token_id or 0))
    network = unnumbered(config, recipe.trainable, format, labels)
    prepare(network, recipe)
    return network


def _counted(network: Network, recipe: Recipe, activations: int) -> Memory:
    found = bytes_of(network, recipe)
    every = [parameter.numel() for parameter in network.parameters()]
    trained = [parameter.numel() for parameter in network.parameters() if parameter.requires_grad]
    weights, gradients, states = (int(part) for part in (found.weight, found.gradient, found.state))
    return Memory(weights, gradients, states, activations, sum(every), sum(trained))
