"""LoRA adapters: two thin matrices beside each linear layer, trained instead of it (Hu et al. 2021).

A matrix W (out, in) becomes W + alpha / rank * B A, with A (rank, in) random and B (out, rank) zero at first, so that a
network starts unchanged. Every linear layer inside the chosen layers gets a pair: in all families these are the
attention's projections and the feed-forward matrices (X-MOD's adapters for languages apart), so that no family needs a
list. peft inserts the pairs. Before a
network is saved they are merged into the weights: a saved folder has no adapters and needs no peft.

>>> parsed("lora:16@top:4")
(16, 32, 'top:4')
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from xstilts.errors import InputError
from xstilts.runtime import extras

if TYPE_CHECKING:
    from xstilts.models.network import Network

FORM = re.compile(r"lora:([1-9]\d*)(?::([1-9]\d*))?(?:@(.+))?")


def parsed(trained: str) -> tuple[int, int, str]:
    """Split "lora:16:32@top:4" into rank, alpha (by default twice the rank) and layers ("": all).

    Raises:
        InputError: It has another form.
    """
    if not (found := FORM.fullmatch(trained)):
        raise InputError(
            f"unknown adapters {trained!r}; use lora:16 (rank, 1 or more), lora:16:32 (and alpha) or lora:16@top:4 "
            "(only in these layers)"
        )
    rank, alpha, part = found.groups()
    return int(rank), int(alpha or 2 * int(rank)), part or ""


def adapt(network: Network, rank: int, alpha: int, layers: Iterable[int]) -> list[nn.Parameter]:
    """Insert adapters beside every linear map of some layers.

    Args:
        network: Its backbone gets the adapters; initial values come from torch's global generator.
        rank: Of the added matrices.
        alpha: Their scale, times the rank.
        layers: Numbers of the layers, from 0.

    Returns:
        The adapters' parameters, in float32.

    Raises:
        InputError: peft is not installed.
    """
    backbone, peft = network.backbone, _peft()
    held = {id(parameter) for parameter in backbone.parameters()}
    chosen = [network.layer_modules[number] for number in layers]
    inside = {id(module) for layer in chosen for module in layer.modules()}
    if path := network.family.adapters:  # of languages, which are not trained
        inside -= {id(module) for layer in chosen for module in layer.get_submodule(path).modules()}
    maps = [name for name, one in backbone.named_modules() if isinstance(one, nn.Linear) and id(one) in inside]
    # A pattern: peft takes names in a list for endings of names, and numbers of layers not with all linear maps.
    pattern = "|".join(re.escape(name) for name in maps)
    config = peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, bias="none", target_modules=pattern)
    peft.inject_adapter_in_model(config, backbone)
    return [parameter for parameter in backbone.parameters() if id(parameter) not in held]


def is_adapter(name: str) -> bool:
    """Tell whether a parameter of this name belongs to an adapter."""
    return ".lora_" in name


@torch.no_grad()
def merge(network: Network) -> None:
    """Merge all adapters into the weights beside them and remove them; without adapters nothing happens.

    Weights in bf16 become float32 first: most updates are smaller than bf16 resolves.
    """
    backbone: Any = network.backbone
    adapted = [(name, one) for name, one in backbone.named_modules() if hasattr(one, "base_layer")]
    for name, one in adapted:
        one.base_layer.float()
        one.merge()
        above, _, last = name.rpartition(".")
        setattr(backbone.get_submodule(above), last, one.base_layer)
    if adapted:
        del backbone.peft_config


def _peft() -> Any:
    try:
        return import_module("peft")
    except ImportError:
        raise InputError(f"adapters need peft, which is not installed: {extras.command('lora')}") from None
