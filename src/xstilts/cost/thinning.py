"""Layers that stand for many: a deep network is counted by few of its layers, exactly.

Layers of one type whose parameters have the same shapes, and are trained or frozen alike, take the same FLOPs and keep
the same bytes. So a count needs one layer of each sort, and how many layers it stands for. FLOPs of a layer depend
beside that on whether a layer below is trained (`representatives`); saved tensors may also be shared with neighbouring
layers, so that for memory the neighbours stay as they are (`stretches`). `few_layers` leaves layers out of a
configuration, before a network is built.

>>> stretches("abcabcabcabcabc")
{0: 1, 1: 1, 2: 1, 3: 3, 4: 3, 5: 3, 12: 1, 13: 1, 14: 1}
>>> representatives("abbbab", [1] * 6)
{0: 2, 1: 4}
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from xstilts.models import freezing
from xstilts.models.configs import keep_layers
from xstilts.models.network import Network

# Families whose lowest layer has the parameters of the others.
UNIFORM = frozenset(
    {"xlm-roberta", "xlm-roberta-xl", "roberta", "camembert", "bert", "eurobert", "qwen3", "gemma3_text"}
)
Times = Mapping[int, int]  # how many layers each chosen one stands for, itself included, by its number


@dataclass(frozen=True)
class FewLayers:
    """A configuration with few layers, which stand for those of a deep one.

    Attributes:
        config: The configuration.
        trained: What is trained of it, as `Recipe.trainable`, by the new numbers of layers.
        times: How many layers each layer stands for.
    """

    config: Any
    trained: str
    times: tuple[int, ...]


def representatives(marks: Sequence[Hashable], times: Sequence[int]) -> Times:
    """Choose the first layer of each mark; it stands for all layers of that mark.

    Args:
        marks: What decides the FLOPs of each layer.
        times: How many layers each layer stands for already.

    Returns:
        The chosen layers.
    """
    first: dict[Hashable, int] = {}
    sums: dict[int, int] = {}
    for number, (mark, count) in enumerate(zip(marks, times, strict=True)):
        chosen = first.setdefault(mark, number)
        sums[chosen] = sums.get(chosen, 0) + count
    return sums


def stretches(marks: Sequence[Hashable]) -> Times:
    """Choose layers so that each has the neighbours that it has in the deep network.

    Of a group of layers that repeats (one layer, or a pattern of several) the first repetition is chosen, the second,
    which stands for all further ones, and the last.

    Args:
        marks: What is alike in equal layers.

    Returns:
        The chosen layers.
    """
    times: dict[int, int] = {}
    start = 0
    while start < len(marks):
        period, repeated = _repetition(marks, start)
        if repeated < 4:
            times[start] = 1
            start += 1
            continue
        for place in range(period):
            times[start + place] = times[start + (repeated - 1) * period + place] = 1
            times[start + period + place] = repeated - 2
        start += period * repeated
    return dict(sorted(times.items()))


def _repetition(marks: Sequence[Hashable], start: int) -> tuple[int, int]:
    """Return the period from a layer on that leaves out most layers, and how often it is there."""
    best = (1, 1)
    for period in range(1, (len(marks) - start) // 4 + 1):
        alike = period
        while start + alike < len(marks) and marks[start + alike] == marks[start + alike - period]:
            alike += 1
        if period * (alike // period - 3) > best[0] * max(best[1] - 3, 0):
            best = (period, alike // period)
    return best


def marks_of(network: Network) -> list[tuple[Hashable, ...]]:
    """Return what is alike in equal layers of a network: type, shapes of parameters, and which are trained."""
    types = vars(network.config).get("layer_types") or [""] * len(network.layer_modules)
    return [
        (
            type,
            *(
                (name, parameter.shape, parameter.dtype, parameter.requires_grad)
                for name, parameter in layer.named_parameters()
            ),
        )
        for type, layer in zip(types, network.layer_modules, strict=False)
    ]


def trained_below(network: Network) -> list[bool]:
    """Return for each layer whether the embeddings or a layer below it are trained."""
    embeddings = network.backbone.get_submodule(network.family.embeddings)
    below, trained = [], any(parameter.requires_grad for parameter in embeddings.parameters())
    for layer in network.layer_modules:
        below.append(trained)
        trained = trained or any(parameter.requires_grad for parameter in layer.parameters())
    return below


def few_layers(config: Any, trained: str) -> FewLayers:
    """Leave layers out of a configuration that others can stand for.

    The lowest layer stays as it is but for families that are known to have the same parameters there.

    Args:
        config: The encoder's configuration.
        trained: What is trained, as `Recipe.trainable`.

    Returns:
        A configuration whose network has the FLOPs and bytes of the deep one when its layers are counted as often as
        they stand for others.

    Raises:
        InputError: The encoder does not have the layers that are to be trained.
    """
    depth = int(config.num_hidden_layers)
    numbers = freezing.layers_of(trained, depth)
    types = getattr(config, "layer_types", None) or [""] * depth
    marks = [
        (number == 0 and config.model_type not in UNIFORM, type, numbers is None or number in numbers)
        for number, type in zip(range(depth), types, strict=False)
    ]
    times = stretches(marks)
    if len(times) == depth:
        return FewLayers(config, trained, (1,) * depth)
    kept = list(times)
    if numbers is not None:
        layers = "layers:" + ",".join(str(place) for place, number in enumerate(kept) if number in numbers)
        rank_and_alpha, at, _ = trained.partition("@")
        trained = f"{rank_and_alpha}@{layers}" if at else layers
    cut = copy.deepcopy(config)
    keep_layers(cut, kept)
    return FewLayers(cut, trained, tuple(times.values()))


def only_layers(network: Network, layers: Sequence[int], memo: dict[int, Any]) -> Network:
    """Return a copy of a network with some of its layers alone.

    Args:
        network: The network.
        layers: Numbers of the layers, in order.
        memo: As `copy.deepcopy` takes it: what stands in the copy for objects of the network.

    Returns:
        The copy.
    """
    modules = network.layer_modules
    memo[id(network.backbone.get_submodule(network.family.layers))] = nn.ModuleList(
        copy.deepcopy(modules[number], memo) for number in layers
    )
    duplicate = copy.deepcopy(network, memo)
    if len(layers) < len(modules):
        keep_layers(duplicate.config, layers)
    return duplicate


def counted_parameters(network: Network, times: Sequence[int] = ()) -> Iterator[tuple[nn.Parameter, int]]:
    """Yield the parameters of a network, and how many each stands for.

    Args:
        network: The network.
        times: How many layers each layer stands for; none: itself alone.
    """
    layers = zip(network.layer_modules, times, strict=True) if times else ()
    by_identity = {id(parameter): count for layer, count in layers for parameter in layer.parameters()}
    return ((parameter, by_identity.get(id(parameter), 1)) for parameter in network.parameters())
