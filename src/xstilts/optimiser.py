"""Optimiser: what moves the weights, and how fast."""

from __future__ import annotations

import torch

from xstilts.network import Network
from xstilts.recipe import Recipe


def optimiser_of(network: Network, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW over what is trained, without decay on biases and norms."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trained if parameter.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [parameter for parameter in trained if parameter.dim() <= 1], "weight_decay": 0.0},
    ]
    filled = [group for group in groups if group["params"]]
    return torch.optim.AdamW(filled, lr=recipe.learning_rate, eps=1e-8, fused=True)


def rate(recipe: Recipe, number: int, total: int) -> float:
    """Return the learning rate of a step: up linearly to the peak, then down to zero."""
    warmup = recipe.warmup_steps(total)
    if number < warmup:
        return recipe.learning_rate * ((number + 1) / warmup)
    return recipe.learning_rate * ((total - number) / max(1, total - warmup))
