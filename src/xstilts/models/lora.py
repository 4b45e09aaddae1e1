"""Adapters: two thin matrices beside each linear map of a layer, trained in its stead (LoRA, Hu et al. 2021).

A map W (out, in) becomes W + alpha / rank * B A, with A (rank, in) random and B (out, rank) zero at first, so that a
network begins as it was. Every linear map inside the chosen layers gets a pair: in all families these are the
attention's projections and the feed-forward matrices, so that there is nothing to list of a family. peft puts the pairs
there. Before a network is saved they are folded into the weights: a folder says nothing of adapters and needs no peft.

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

if TYPE_CHECKING:
    from xstilts.models.network import Network

FORM = re.compile(r"lora:([1-9]\d*)(?::([1-9]\d*))?(?:@(.+))?")


def parsed(trained: str) -> tuple[int, int, str]:
    """Return rank, alpha (twice the rank unless given) and part (empty: all layers) of "lora:16:32@top:4"."""
    if not (found := FORM.fullmatch(trained)):
        raise InputError(
            f"unknown adapters {trained!r}; use lora:16 (rank, 1 or more), lora:16:32 (and alpha) or lora:16@top:4 "
            "(only in these layers)"
        )
    rank, alpha, part = found.groups()
    return int(rank), int(alpha or 2 * int(rank)), part or ""


def adapt(network: Network, rank: int, alpha: int, layers: Iterable[int]) -> list[nn.Parameter]:
    """Put adapters beside every linear map of the layers with these numbers; return their parameters, in float32.

    Their first values come from torch's global generator. Raises InputError without peft.
    """
    backbone, peft = network.backbone, _peft()
    held = {id(parameter) for parameter in backbone.parameters()}
    inside = {id(module) for number in layers for module in network.layer_modules[number].modules()}
    maps = [name for name, one in backbone.named_modules() if isinstance(one, nn.Linear) and id(one) in inside]
    # A pattern: peft takes names in a list for endings of names, and numbers of layers not with all linear maps.
    pattern = "|".join(re.escape(name) for name in maps)
    config = peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, bias="none", target_modules=pattern)
    peft.inject_adapter_in_model(config, backbone)
    return [parameter for parameter in backbone.parameters() if id(parameter) not in held]


def is_adapter(name: str) -> bool:
    """Say whether a parameter of this name is an adapter's."""
    return ".lora_" in name


@torch.no_grad()
def merge(network: Network) -> None:
    """Fold the adapters into the weights beside them and take them out; nothing happens where there are none.

    Weights in bf16 become float32 first: most of what was learned is less than they could hold.
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
        raise InputError("adapters need peft, which is not installed: pip install xstilts[lora]") from None
