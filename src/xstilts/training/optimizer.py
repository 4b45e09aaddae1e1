"""Optimizer: how weights move, in as few bytes a parameter as the recipe says.

"adamw" is torch's own. "adamw8" keeps both moments in eight bits (`fewbits`), the second as its root, which is what an
update is divided by. "adafactor" keeps the mean squares of a gradient's rows and columns, and no first moment. With
":bf16" the matrices of the encoder, and AdamW's moments of them, are in bf16, rounded by chance; what is not a matrix,
and all heads, stay in float32. Whatever the bits, the arithmetic of an update is float32, a part of a tensor at a time.

>>> bytes_per_parameter("adamw:bf16")
Bytes(weight=2, gradient=2, state=4)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xstilts.models import lora
from xstilts.models.network import Network
from xstilts.runtime.machine import Runtime
from xstilts.training.low_precision import BLOCK, packed, rounded, unpacked
from xstilts.training.recipe import Recipe

PART = 2**22  # numbers worked on at once, a multiple of BLOCK
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
STEEPNESS, FLOOR = 0.8, 1e-30  # Adafactor's decay of the second moment, and the least that it is taken for
MOMENTS = {"exp_avg": True, "exp_avg_sq": False}  # and whether they have signs


@dataclass(frozen=True)
class Bytes:
    """Bytes of the weights, their gradients and what the optimizer keeps of them."""

    weight: float
    gradient: float
    state: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.weight + self.gradient + self.state


def make_optimizer(network: Network, recipe: Recipe) -> torch.optim.Optimizer:
    """Return the recipe's optimizer over what is trained, without decay on biases and norms; `prepare` comes before.

    Every optimizer decays a weight by the factor 1 - rate * decay in a step, and by nothing else where its gradient has
    always been zero: so rows of embeddings that no text touches can be left out (`rows`). With Adafactor the rows that
    are there do count in one place: an update is clipped by its mean over them, and not over the whole vocabulary.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in trained if parameter.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [parameter for parameter in trained if parameter.dim() <= 1], "weight_decay": 0.0},
    ]
    filled = [group for group in groups if group["params"]]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(filled, lr=recipe.learning_rate, eps=EPSILON, fused=True)
    return LowMemoryOptimizer(filled, recipe.optimizer, recipe.learning_rate)


def learning_rate(recipe: Recipe, number: int, total: int) -> float:
    """Return the learning rate of a step: up linearly to the peak, then down to zero."""
    warmup = recipe.steps_of_warmup(total)
    if number < warmup:
        return recipe.learning_rate * ((number + 1) / warmup)
    return recipe.learning_rate * ((total - number) / max(1, total - warmup))


def prepare(network: Network, recipe: Recipe) -> None:
    """Put the encoder's matrices, frozen ones too, in bf16 where the recipe asks for it; adapters stay as they are.

    Comes within `rows.used`, so that the whole table of embeddings keeps its bits, and before a device is chosen.
    """
    for parameter in _halved(network, recipe):
        parameter.data = parameter.data.to(torch.bfloat16)


def suited(machine: Runtime, recipe: Recipe) -> Runtime:
    """Return the machine, with bf16 arithmetic where weights are bf16: without it no layer would take them."""
    return replace(machine, precision="bf16") if halves(recipe.optimizer) else machine


def bytes_per_parameter(name: str) -> Bytes:
    """Return the bytes that an optimizer takes for each number of a large matrix of the encoder.

    Left out, as too little to count: Adafactor's means, four bytes for each row and each column.
    """
    width = 2 if halves(name) else 4
    states = {"adamw": 2 * width, "adamw8": 2 + 8 / BLOCK, "adafactor": 0}
    return Bytes(width, width, states[name.partition(":")[0]])


def bytes_of(network: Network, recipe: Recipe) -> Bytes:
    """Return the bytes of a network in training, to the byte but for a step count a tensor; any device will do, "meta".

    Frozen weights count as weights. Rows of embeddings count as they are there: see `rows.used`.
    """
    halved = {id(parameter) for parameter in _halved(network, recipe)}
    weight = gradient = state = 0
    for parameter in network.parameters():
        dtype = torch.bfloat16 if id(parameter) in halved else torch.float32
        weight += parameter.numel() * dtype.itemsize
        if parameter.requires_grad:
            gradient += parameter.numel() * dtype.itemsize
            kept = _begun(recipe.optimizer, torch.empty(parameter.shape, dtype=dtype, device="meta"))
            state += sum(value.numel() * value.itemsize for value in kept.values() if value.dim())
    return Bytes(weight, gradient, state)


def halves(name: str) -> bool:
    """Say whether an optimizer has the encoder's matrices in bf16."""
    return name.endswith(":bf16")


def _halved(network: Network, recipe: Recipe) -> list[torch.nn.Parameter]:
    """Return what a recipe keeps in bf16: the encoder's matrices, but for adapters."""
    named = network.backbone.named_parameters() if halves(recipe.optimizer) else ()
    return [parameter for name, parameter in named if parameter.dim() > 1 and not lora.is_adapter(name)]


class LowMemoryOptimizer(torch.optim.Optimizer):
    """AdamW with moments in few bits, or Adafactor, over weights in float32 or bf16.

    Chance comes from torch's generator of the device, in the order of the parameters: with it seeded before each step,
    steps are a function of seed and number.
    """

    def __init__(self, groups: list[dict[str, Any]], name: str, learning_rate: float) -> None:
        super().__init__(groups, {"lr": learning_rate, "weight_decay": 0.0})
        self.name = name

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        rule = _adafactor if self.name.startswith("adafactor") else _adamw
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    state = self.state[weight]
                    state.update(state or _begun(self.name, weight))
                    state["step"] = state["step"].cpu() + 1  # a checkpoint brings it to the weight's device
                    rule(weight, state, group)


def _begun(name: str, weight: Tensor) -> dict[str, Tensor]:
    """Return what an optimizer keeps of a weight before its first step."""
    step = {"step": torch.zeros(())}
    if name.startswith("adafactor"):
        if weight.dim() < 2:
            return step | {"variance": torch.zeros_like(weight, dtype=torch.float32)}
        rows, columns = weight.flatten(0, -2).shape
        return step | {"row_var": _zeros(weight, rows), "col_var": _zeros(weight, columns)}
    if name.startswith("adamw8") and weight.dim() > 1:
        blocks = math.ceil(weight.numel() / BLOCK)
        codes = {moment: torch.zeros_like(weight, dtype=torch.uint8) for moment in MOMENTS}
        return step | codes | {f"{moment}_scale": _zeros(weight, blocks) for moment in MOMENTS}
    return step | {moment: torch.zeros_like(weight) for moment in MOMENTS}


def _zeros(like: Tensor, count: int) -> Tensor:
    return torch.zeros(count, device=like.device)


def _parts(count: int, size: int = PART) -> Iterator[slice]:
    """Yield slices that cover `count` things, `size` at a time."""
    return (slice(start, start + size) for start in range(0, count, size))


def _adamw(weight: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> None:
    """Take a step of AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101)."""
    number = float(state["step"])
    first_bias, second_bias = 1 - BETA1**number, math.sqrt(1 - BETA2**number)
    gradients, weights = weight.grad.reshape(-1), weight.view(-1)  # type: ignore[union-attr]
    for part in _parts(len(weights)):
        gradient = gradients[part].float()
        first = _moment(state, "exp_avg", part).lerp_(gradient, 1 - BETA1)
        second = _moment(state, "exp_avg_sq", part).lerp_(gradient.square(), 1 - BETA2)
        _keep(state, "exp_avg", part, first)
        _keep(state, "exp_avg_sq", part, second)
        update = first / second.sqrt().div_(second_bias).add_(EPSILON)
        _move(weights[part], update.div_(first_bias), group)


def _moment(state: dict[str, Tensor], name: str, part: slice) -> Tensor:
    """Return a part of a moment in float32."""
    kept = state[name].view(-1)[part]
    if kept.dtype != torch.uint8:
        return kept.float()
    scales = state[f"{name}_scale"][part.start // BLOCK : math.ceil(part.stop / BLOCK)]
    values = unpacked(kept, scales, MOMENTS[name])
    return values.square_() if name == "exp_avg_sq" else values


def _keep(state: dict[str, Tensor], name: str, part: slice, values: Tensor) -> None:
    """Store a part of a moment in as many bits as there are for it."""
    kept = state[name].view(-1)[part]
    if kept.dtype == torch.uint8:
        codes, scales = packed(values.sqrt() if name == "exp_avg_sq" else values, MOMENTS[name])
        kept.copy_(codes)
        state[f"{name}_scale"][part.start // BLOCK : part.start // BLOCK + len(scales)] = scales
    else:
        kept.copy_(rounded(values) if kept.dtype == torch.bfloat16 else values)


def _move(weights: Tensor, update: Tensor, group: dict[str, Any]) -> None:
    """Decay weights and move them against an update."""
    moved = weights.float().mul(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=group["lr"])
    weights.copy_(rounded(moved) if weights.dtype == torch.bfloat16 else moved)


def _adafactor(weight: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> None:
    """Take a step of Adafactor (Shazeer and Stern 2018, arXiv 1804.04235), in the variant of a given learning rate.

    Updates are clipped to a root mean square of 1 and multiplied with the rate as it is, not with the size of the
    weight, as by Zhai et al. 2022 (arXiv 2106.04560), whose limit of the decay is AdamW's: so AdamW's learning rates
    do here. torch.optim.Adafactor has no such variant, and takes mean squares below 1e-7, as whole networks have them
    after clipping, for 1e-7.
    """
    rows = weight.view(-1, weight.shape[-1]) if weight.dim() > 1 else weight.view(-1, 1)
    gradients = weight.grad.reshape(rows.shape)  # type: ignore[union-attr]
    share = max(float(state["step"]) ** -STEEPNESS, 1 - BETA2)
    parts = list(_parts(len(rows), max(1, PART // rows.shape[1])))
    _observe(state, gradients, parts, share)
    squares = sum(_sized(state, gradients, part).square().sum() for part in parts)
    clip = torch.as_tensor(squares / weight.numel()).sqrt().clamp(min=1.0)
    for part in parts:
        _move(rows[part], _sized(state, gradients, part).div_(clip), group)


def _observe(state: dict[str, Tensor], gradients: Tensor, parts: list[slice], share: float) -> None:
    """Take the squares of gradients (rows, columns) into their running means."""
    if "variance" in state:
        state["variance"].lerp_(gradients.view(-1).float().square(), share)
        return
    columns = torch.zeros_like(state["col_var"])
    for part in parts:
        squares = gradients[part].float().square()
        state["row_var"][part].lerp_(squares.mean(1), share)
        columns += squares.sum(0)
    state["col_var"].lerp_(columns / len(gradients), share)


def _sized(state: dict[str, Tensor], gradients: Tensor, part: slice) -> Tensor:
    """Return a part of gradients, divided by the roots of their running mean squares."""
    if "variance" in state:
        variance = state["variance"][part].unsqueeze(1)
    else:
        rows = state["row_var"]
        variance = (rows[part] / rows.mean().clamp(min=FLOOR)).unsqueeze(1) * state["col_var"]
    return variance.clamp(min=FLOOR).rsqrt_().mul_(gradients[part])
