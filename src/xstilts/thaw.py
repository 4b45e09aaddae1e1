"""Thaw: weights that begin to move one after the other, the top layer first and the embeddings last.

After Howard & Ruder 2018 (ULMFiT, section 3.3), with equal shares of the steps. Gradients are computed for all weights
from the beginning, and those that do not move yet are thrown away: it costs as much as training all.

>>> [moving(number, total=6, waves=3) for number in range(6)]
[1, 1, 2, 2, 3, 3]
"""

from __future__ import annotations

from torch import nn

from xstilts.models.network import Network

GRADUAL = "gradual"


def waves(network: Network, trained: str) -> list[list[nn.Parameter]]:
    """Return what begins to move together, in turn; nothing where all that is trained moves from the beginning."""
    if trained != GRADUAL:
        return []
    layers = [list(layer.parameters()) for layer in reversed(network.stack)]
    known = {id(parameter) for layer in layers for parameter in layer}
    return [*layers, [parameter for parameter in network.backbone.parameters() if id(parameter) not in known]]


def moving(number: int, total: int, waves: int) -> int:
    """Return how many of the waves move in step `number`, from 0, of `total`."""
    return 1 + number * waves // total
