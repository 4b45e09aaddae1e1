"""Freezing: which parameters of an encoder are trained, all along or, with gradual unfreezing, layer by layer."""

from __future__ import annotations

import re

from torch import nn

from xstilts.errors import InputError
from xstilts.models import lora
from xstilts.models.families import family_of
from xstilts.models.network import Network

LAYERS = "top:2, bottom:2, layers:0-3,8, alternate"
PARTS = f"all, head, {LAYERS}, layernorm, no-embeddings, lora:16, lora:16@top:2"


def freeze(network: Network, trained: str) -> int:
    """Train only a part of the backbone, and all heads; adapters for languages (X-MOD) are frozen in any case.

    Args:
        network: Adapters of an earlier call are merged first; its `prefix` is set.
        trained: What is trained of the backbone:
            "all"; "gradual" (all, but one layer after the other: `groups`); "head" (nothing);
            "top:2", "bottom:2", "layers:0-3,8" (from 0, ends included), "alternate" (every second layer, the top one
            included), which freeze embeddings and final norm too;
            "layernorm" (the parameters of all norms); "no-embeddings" (all but the input embeddings with their norm);
            "lora:16" (adapters of rank 16 beside frozen weights; "lora:16:32" gives alpha, else twice the rank;
            "lora:16@top:2" only in these layers).

    Returns:
        The number of trained parameters.

    Raises:
        InputError: An unknown part, or layers that the encoder does not have.
    """
    lora.merge(network)
    chosen = _adapted(network, trained) if trained.startswith("lora") else part(network, trained)
    fixed = {id(parameter) for parameter in language_parameters(network)}
    network.backbone.requires_grad_(False)
    for parameter in chosen:
        parameter.requires_grad_(id(parameter) not in fixed)
    network.heads.requires_grad_(True)
    network.prefix = _prefix(network)
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def language_parameters(network: Network) -> list[nn.Parameter]:
    """Return the parameters of an encoder's adapters for languages, which are never trained; none of other encoders."""
    path = network.family.adapters
    layers = network.layer_modules if path else []
    return [parameter for layer in layers for parameter in layer.get_submodule(path).parameters()]


def _prefix(network: Network) -> int:
    """Return how many of the lowest layers are frozen, 0 if anything but layers is trained."""
    trained = [any(parameter.requires_grad for parameter in layer.parameters()) for layer in network.layer_modules]
    inside = {id(parameter) for layer in network.layer_modules for parameter in layer.parameters()}
    if any(one.requires_grad for one in network.backbone.parameters() if id(one) not in inside):
        return 0
    return trained.index(True) if any(trained) else len(trained)


def part(network: Network, trained: str) -> list[nn.Parameter]:
    """Return the parameters of the backbone that `freeze` would train; not for "lora:...".

    Args:
        network: Whose backbone is meant.
        trained: As in `freeze`.
    """
    backbone, family = network.backbone, family_of(network.config)
    if trained in ("all", "gradual", "head"):
        return [] if trained == "head" else list(backbone.parameters())
    if trained == "layernorm":
        norms = (module for module in backbone.modules() if "Norm" in type(module).__name__)
        return [parameter for module in norms for parameter in module.parameters(recurse=False)]
    if trained == "no-embeddings":
        embedding = {id(parameter) for parameter in backbone.get_submodule(family.embeddings).parameters()}
        return [parameter for parameter in backbone.parameters() if id(parameter) not in embedding]
    layers = network.layer_modules
    return [parameter for number in _layer_numbers(trained, len(layers)) for parameter in layers[number].parameters()]


def _adapted(network: Network, trained: str) -> list[nn.Parameter]:
    rank, alpha, part = lora.parsed(trained)
    depth = len(network.layer_modules)
    layers = _layer_numbers(part, depth, LAYERS) if part else range(depth)
    return lora.adapt(network, rank, alpha, layers)


def _layer_numbers(trained: str, depth: int, words: str = PARTS) -> list[int]:
    word, _, value = trained.partition(":")
    numbers: set[int] = set()
    if trained == "alternate":
        numbers = set(range(depth - 1, -1, -2))
    elif word in ("top", "bottom") and re.fullmatch(r"\d+", value):
        count = int(value)
        numbers = set(range(depth - count, depth) if word == "top" else range(count))
    elif word == "layers" and re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", value):
        for part in value.split(","):
            first, _, last = part.partition("-")
            numbers |= set(range(int(first), int(last or first) + 1))
    else:
        raise InputError(f"unknown part to train {trained!r}; use one of {words}")
    if not numbers or not numbers <= set(range(depth)):
        raise InputError(f"{trained!r} does not fit an encoder of {depth} layers (numbered 0 to {depth - 1})")
    return sorted(numbers)


def check_layers(trained: str, depth: int) -> None:
    """Check that an encoder has the layers that a part to train names.

    Args:
        trained: As in `freeze`.
        depth: How many layers the encoder has.

    Raises:
        InputError: It lacks some of them, or the part is unknown.
    """
    layers_of(trained, depth)


def layers_of(trained: str, depth: int) -> list[int] | None:
    """Return the layers that a part to train names.

    Args:
        trained: As in `freeze`.
        depth: How many layers the encoder has.

    Returns:
        Their numbers, from 0; None where all layers are trained alike, or none.

    Raises:
        InputError: The encoder lacks some of them, or the part is unknown.

    >>> layers_of("lora:16@alternate", 4), layers_of("layernorm", 4)
    ([1, 3], None)
    """
    if trained.startswith("lora"):
        _, _, layers = lora.parsed(trained)
        return _layer_numbers(layers, depth, LAYERS) if layers else None
    if trained.partition(":")[0] in ("top", "bottom", "layers", "alternate"):
        return _layer_numbers(trained, depth)
    return None


GRADUAL = "gradual"


def groups(network: Network, trained: str) -> list[list[nn.Parameter]]:
    """Return the parameter groups of gradual unfreezing, the top layer's first, the embeddings' last.

    Args:
        network: Its backbone's parameters are grouped; heads are trained from the first step.
        trained: `Recipe.trainable`; anything but "gradual" has no groups.
    """
    if trained != GRADUAL:
        return []
    layers = [list(layer.parameters()) for layer in reversed(network.layer_modules)]
    known = {id(parameter) for layer in layers for parameter in layer}
    fixed = {id(parameter) for parameter in language_parameters(network)}
    above = [[parameter for parameter in layer if id(parameter) not in fixed] for layer in layers]
    return [*above, [parameter for parameter in network.backbone.parameters() if id(parameter) not in known]]


def unfrozen_groups(number: int, total: int, groups: int) -> int:
    """Return how many of the groups are trained in step `number` (from 0) of `total`.

    >>> [unfrozen_groups(step, 8, groups=4) for step in range(8)]
    [1, 1, 2, 2, 3, 3, 4, 4]
    """
    return 1 + number * groups // total
