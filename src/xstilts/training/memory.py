"""Memory: what a training needs on its device, in bytes, before anything is downloaded.

Weights, gradients and optimizer states are counted on a network on the meta device, built from a configuration with
few of its layers, which stand for all (`cost.thinning`); what
autograd keeps of a pass is computed by `cost.activation_memory`. All are taken to be there at once, as they nearly are
where a batch takes several passes. Temporary buffers of operations and fragmentation are left out.

>>> from xstilts.models.configs import config_of
>>> xxl = config_of("facebook/xlm-roberta-xxl")
>>> found = estimate(xxl, Recipe(), "classification", 3, Setting(Device("cuda", "bf16")))
>>> f"{found.parameters / 1e9:.1f} billion, {found.states / GIB:.0f} GiB of states"
'10.7 billion, 80 GiB of states'
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import transformers
from torch import nn
from transformers.initialization import no_init_weights

from xstilts.cost import thinning
from xstilts.cost.activation_memory import ActivationMemory, Device
from xstilts.cost.flops import Shape
from xstilts.formats import masked_lm, task_format
from xstilts.models.families import family_of
from xstilts.models.freezing import freeze
from xstilts.models.heads import attach, attach_dual_encoder
from xstilts.models.network import Network, embedding_parameters
from xstilts.runtime.machine import GPU_TOKENS, Runtime
from xstilts.training.optimizer import Bytes, bytes_of, halves, prepare
from xstilts.training.recipe import ONE_WAY, Recipe
from xstilts.training.sharding import require_divisible, undivided

GIB = 2**30
ROOM = {"cuda": 0.95, "cpu": 0.75}  # the share that tensors may take; the rest is for kernels, and lost between them
FEWEST = 256  # tokens of a pass, below which passes are not made smaller beforehand
PROCESS = GIB  # bytes of a process that trains on a CPU, beside weights, gradients and states
UNKNOWN_LABELS = 64  # assumed for a task whose labels are those of its training data


@dataclass(frozen=True)
class Setting:
    """What memory depends on beside network and recipe.

    Attributes:
        device: Type and arithmetic.
        micro_tokens: Most tokens of a pass.
        recompute: Keep only each layer's input, and recompute the rest in the backward pass.
    """

    device: Device
    micro_tokens: int = GPU_TOKENS
    recompute: bool = False


@dataclass(frozen=True)
class Memory:
    """The memory of a training in its largest pass, in bytes by purpose.

    Attributes:
        weights: Bytes of all weights, frozen ones too.
        gradients: Bytes of the gradients.
        states: Bytes of the optimizer states.
        activations: Bytes that autograd saves in the largest pass.
        parameters: The number of all parameters.
        trained: The number of trained ones.
        embeddings: How many of all are embeddings.
    """

    weights: int
    gradients: int
    states: int
    activations: int
    parameters: int
    trained: int
    embeddings: int

    @property
    def total(self) -> int:
        """All bytes."""
        return self.weights + self.gradients + self.states + self.activations


def estimate(
    config: Any, recipe: Recipe, format: str, labels: int, setting: Setting, rows: int | None = None
) -> Memory:
    """Estimate what a training on one training set needs in its largest pass.

    Args:
        config: The encoder's configuration.
        recipe: Batch size, maximum length, trainable part and optimizer.
        format: The task format of the training set.
        labels: The number of labels of its head, where that has labels.
        setting: Device, tokens of a pass, recomputation.
        rows: Embedding rows that occur in the data (`models.embedding_pruning`); None: all.

    Returns:
        Bytes by purpose.
    """
    network, times = _network(config, recipe, format, labels, rows)
    device = Device(setting.device.type, "bf16") if halves(recipe.optimizer) else setting.device
    saved = ActivationMemory.of(network, "head", device, times)
    shape = shape_of(recipe, format, setting.micro_tokens, network)
    return _counted(network, times, recipe, saved.bytes(shape, setting.recompute))


@dataclass(frozen=True)
class Division:
    """What sharding divides of a training (`training.sharding`), and what it gathers meanwhile.

    Attributes:
        divided: Bytes of the matrices that are divided, their gradients and states.
        gathered_weights: Bytes of weights that are whole at once: those outside layers, the largest layer and the next.
        gathered_gradients: Bytes of gradients that are whole at once: those outside layers, and of the largest layer.
        copies: Bytes of autocast's copies of layers, which are among a training's activations and not kept here.
    """

    divided: Bytes
    gathered_weights: float
    gathered_gradients: float
    copies: int

    def share(self, memory: Memory, processes: int) -> Memory:
        """Return what each of some processes needs.

        Args:
            memory: What the training needs in one.
            processes: How many there are.

        Returns:
            Bytes by purpose of one process, whose passes are as large; parameters of all.
        """
        saved = 1 - 1 / processes
        return replace(
            memory,
            weights=int(memory.weights - saved * self.divided.weight + self.gathered_weights),
            gradients=int(memory.gradients - saved * self.divided.gradient + self.gathered_gradients),
            states=int(memory.states - saved * self.divided.state),
            activations=memory.activations - self.copies,
        )


def division(
    config: Any, recipe: Recipe, format: str, labels: int, device: Device, rows: int | None = None
) -> Division:
    """Count what sharding divides of a training.

    Args:
        config: The encoder's configuration.
        recipe: Trainable part and optimizer.
        format: The task format of the training set.
        labels: The number of labels of its head, where that has labels.
        device: Type and arithmetic.
        rows: Embedding rows that occur in the data (`models.embedding_pruning`); None: all.

    Returns:
        The bytes.

    Raises:
        InputError: The recipe's optimizer cannot be sharded.
    """
    require_divisible(recipe)
    network, times = _network(config, recipe, format, labels, rows)
    kept = undivided(network)
    layers = [set(map(id, layer.parameters())) for layer in network.layer_modules]
    inside = set[int]().union(*layers)

    def counted(chosen: Callable[[int], bool], times: tuple[int, ...] = ()) -> Bytes:
        return bytes_of(network, recipe, times, lambda parameter: parameter not in kept and chosen(id(parameter)))

    outside = counted(lambda number: number not in inside)
    parts = [counted(layer.__contains__) for layer in layers]
    converted = device.precision == "bf16" and not halves(recipe.optimizer)
    half = 2 if converted else 1  # of a layer's bytes while it computes
    return Division(
        counted(lambda number: True, times),
        outside.weight + 2 * max(part.weight for part in parts) / half,
        outside.gradient + max(part.gradient for part in parts) / half,
        ActivationMemory.of(network, "head", device, times).all_copies if converted else 0,
    )


def floor(config: Any, recipe: Recipe, format: str, labels: int, rows: int | None = None) -> Memory:
    """Estimate what a training needs before its first pass: `estimate` without activations, and quicker.

    Args:
        config: The encoder's configuration.
        recipe: Trainable part and optimizer.
        format: The task format of the training set.
        labels: The number of labels of its head, where that has labels.
        rows: Embedding rows that occur in the data (`models.embedding_pruning`); None: all.

    Returns:
        Bytes by purpose, with activations of 0.
    """
    return _counted(*_network(config, recipe, format, labels, rows), recipe, 0)


def in_process(config: Any, recipe: Recipe, formats: tuple[str, ...]) -> int:
    """Estimate the main memory of a process that trains on a CPU: `floor`, libraries, and passes of few tokens.

    Args:
        config: The encoder's configuration.
        recipe: Trainable part and optimizer.
        formats: The task format of each training set.

    Returns:
        Bytes.
    """
    return PROCESS + max(_floor(config.to_json_string(), config, recipe, format) for format in formats)


def _floor(text: str, config: Any, recipe: Recipe, format: str) -> int:
    """Return `floor`, from memory where it is known: it is asked for every training of a study."""
    decisive = text, recipe.trainable, recipe.optimizer, recipe.ranking, format
    if decisive not in _floors:
        _floors[decisive] = floor(config, recipe, format, UNKNOWN_LABELS).total
    return _floors[decisive]


_floors: dict[tuple[str, ...], int] = {}


def shape_of(recipe: Recipe, format: str, micro_tokens: int, network: Network) -> Shape:
    """Return the shape of a training's largest pass: sequences of the maximum length, as many as fit or a step has.

    Args:
        recipe: Batch size and maximum length.
        format: The task format of the training set.
        micro_tokens: Most tokens of a pass, padding included.
        network: Clips the maximum length to its positions.

    Returns:
        The shape.
    """
    length = network.clip_max_length(recipe.max_length)
    task = task_format(format)
    most = (
        recipe.batch_size if task.divisible else recipe.pairs_ranked or recipe.batch_size
    ) * task.sequences_per_input
    if task.divisible:
        most = min(most, max(micro_tokens // length, task.sequences_per_input))
    return Shape(most, length, round(masked_lm.SHARE * most * length) if task.language_model else 0)


def max_tokens_per_pass(
    network: Network, recipe: Recipe, heads: Mapping[str, str], machine: Runtime, shards: int = 1
) -> int:
    """Return the most tokens of a pass: as the machine says, or on a GPU as many as fit beside weights and states.

    A first estimate: where memory runs out all the same, passes become smaller (`step.Stepper`).

    Args:
        network: Ready to be trained; its weights, or this process's part of them, are on the device.
        recipe: Batch size, maximum length and optimizer.
        heads: The task format of each head by name.
        machine: Device, arithmetic and limits.
        shards: Among how many processes gradients and states are divided.

    Returns:
        Tokens, padding included.
    """
    device = machine.torch_device()
    if machine.max_tokens_per_pass or device.type != "cuda":
        return machine.most_tokens()
    rest = bytes_of(network, recipe)
    free = ROOM[device.type] * torch.cuda.mem_get_info(device)[0] - (rest.gradient + rest.state) / shards
    format = Device(device.type, machine.arithmetic_precision())
    return _most(network, recipe, heads, Setting(format, machine.most_tokens(), machine.recompute), free)


def _most(network: Network, recipe: Recipe, heads: Mapping[str, str], setting: Setting, free: float) -> int:
    """Return the setting's tokens, halved until the activations of a pass fit into `free` bytes."""
    saved = {head: ActivationMemory.of(network, head, setting.device) for head in heads}
    tokens = setting.micro_tokens
    while tokens > FEWEST and any(
        saved[head].bytes(shape_of(recipe, format, tokens, network), setting.recompute) > free
        for head, format in heads.items()
    ):
        tokens //= 2
    return tokens


def built(config: Any) -> nn.Module:
    """Build the bare encoder of a configuration on the meta device, without weights."""
    family = family_of(config)
    options = {name: value for name, value in family.load.items() if name != "key_mapping"}
    with torch.device("meta"), no_init_weights():
        # A copy, as the type of weights is written into it: plans know what they counted by the configuration.
        encoder = getattr(transformers, family.auto).from_config(copy.deepcopy(config), dtype=torch.float32, **options)
    assert isinstance(encoder, nn.Module)
    return encoder


def unnumbered(config: Any, trained: str, format: str, labels: int, dual_encoder: bool = False) -> Network:
    """Build a network with a head on the meta device, without weights.

    Args:
        config: The encoder's configuration.
        trained: What is trained of it, as `Recipe.trainable`; the rest is frozen.
        format: The task format of the head, called "head"; a headless format gets none.
        labels: The number of labels of the head, where it has labels.
        dual_encoder: Whether a headless format gets the head of a dual encoder.

    Returns:
        The network; its tensors have shapes and no values.
    """
    with torch.device("meta"):
        network = Network(built(config))
        if not task_format(format).headless:
            attach(network, "head", format, labels)
        elif dual_encoder:
            attach_dual_encoder(network, "head")
        freeze(network, trained)
    return network


def _network(
    config: Any, recipe: Recipe, format: str, labels: int, rows: int | None
) -> tuple[Network, tuple[int, ...]]:
    """Return a network as `train` makes it, on the meta device: rows, head, what is trained, what is in bf16.

    It has few layers; how many layers each stands for comes with it.
    """
    if rows and not task_format(format).language_model:
        config = copy.deepcopy(config)
        config.vocab_size = max(rows, 1 + (config.pad_token_id or 0))
    few = thinning.few_layers(config, recipe.trainable)
    network = unnumbered(few.config, few.trained, format, labels, recipe.ranking == ONE_WAY)
    prepare(network, recipe)
    return network, few.times


def _counted(network: Network, times: tuple[int, ...], recipe: Recipe, activations: int) -> Memory:
    by_purpose = bytes_of(network, recipe, times)
    parameters = list(thinning.counted_parameters(network, times))
    every = [count * parameter.numel() for parameter, count in parameters]
    trained = [count * parameter.numel() for parameter, count in parameters if parameter.requires_grad]
    weights, gradients, states = (int(part) for part in (by_purpose.weight, by_purpose.gradient, by_purpose.state))
    return Memory(weights, gradients, states, activations, sum(every), sum(trained), embedding_parameters(network))
