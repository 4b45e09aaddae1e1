"""Optimizers: AdamW and Adafactor, in as few bytes per parameter as the recipe says.

"adamw" is torch's own. "adamw8" keeps both moments in eight bits (`low_precision`), the second as its root, by which an
update is divided. "adafactor" keeps the mean squares of a gradient's rows and columns, and no first moment. With
":bf16" the matrices of the encoder, and AdamW's moments of them, are in bf16 with stochastic rounding; vectors and all
heads stay in float32. An update is always computed in float32, a slice of a tensor at a time.

>>> bytes_per_parameter("adamw:bf16")
Bytes(weight=2, gradient=2, state=4)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xstilts.cost import thinning
from xstilts.models import lora
from xstilts.models.network import Network
from xstilts.runtime.machine import Runtime
from xstilts.training.low_precision import BLOCK, packed, rounded, unpacked
from xstilts.training.recipe import Recipe

PART = 2**22  # numbers that are updated at once, a multiple of BLOCK
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
STEEPNESS, FLOOR = 0.8, 1e-30  # of Adafactor: decay of the second moment, and its lower bound
MOMENTS = {"exp_avg": True, "exp_avg_sq": False}  # name: whether it has signs


@dataclass(frozen=True)
class Bytes:
    """The memory of a network in training without activations, in bytes.

    Attributes:
        weight: Bytes of all weights.
        gradient: Bytes of the gradients of trained weights.
        state: Bytes of the optimizer's states.
    """

    weight: float
    gradient: float
    state: float

    @property
    def total(self) -> float:
        """Their sum."""
        return self.weight + self.gradient + self.state


@dataclass(frozen=True)
class Divided:
    """A matrix of which only some rows are a parameter here; the others are in other processes.

    Attributes:
        shape: Of the whole matrix.
        add: Replaces a tensor by its sum over processes, and returns it.
    """

    shape: torch.Size
    add: Callable[[Tensor], Tensor]


def make_optimizer(
    network: Network,
    recipe: Recipe,
    trained: Iterable[torch.nn.Parameter] | None = None,
    divided: Mapping[torch.nn.Parameter, Divided] | None = None,
) -> torch.optim.Optimizer:
    """Make the recipe's optimizer over all trained parameters, without decay on biases and norms.

    Every optimizer here changes a weight whose gradient has always been zero by the factor 1 - rate * decay in a step,
    and by nothing else: so embedding rows that do not occur in the data can be left out (`models.embedding_pruning`).
    With Adafactor they make one difference: an update is clipped by its mean over the rows that are there.

    Args:
        network: Frozen and `prepare`d.
        recipe: Optimizer, learning rate and weight decay.
        trained: What it updates; None: the network's trained parameters.
        divided: Which of these are rows of larger matrices.

    Returns:
        The optimizer; `learning_rate` gives the rate of each step.
    """
    trained = [item for item in network.parameters() if item.requires_grad] if trained is None else list(trained)
    groups = [
        {"params": [parameter for parameter in trained if parameter.dim() > 1], "weight_decay": recipe.weight_decay},
        {"params": [parameter for parameter in trained if parameter.dim() <= 1], "weight_decay": 0.0},
    ]
    filled = [group for group in groups if group["params"]]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(filled, lr=recipe.learning_rate, eps=EPSILON, fused=True)
    return LowMemoryOptimizer(filled, recipe.optimizer, recipe.learning_rate, divided)


def learning_rate(recipe: Recipe, number: int, total: int) -> float:
    """Return the learning rate of a step: linear warm-up to the peak, then linear decay to zero.

    Args:
        recipe: Peak and warm-up.
        number: The number of the step, from 0.
        total: Steps of the training.

    Returns:
        The learning rate.
    """
    warmup = recipe.steps_of_warmup(total)
    if number < warmup:
        return recipe.learning_rate * ((number + 1) / warmup)
    return recipe.learning_rate * ((total - number) / max(1, total - warmup))


def prepare(network: Network, recipe: Recipe) -> None:
    """Convert the encoder's matrices, frozen ones too, to bf16 where the recipe says so; adapters stay in float32.

    Call it within `pruned_embeddings`, so that the whole embedding matrix stays in float32, and before moving the
    network to a device.

    Args:
        network: Frozen as it will be trained, on the CPU.
        recipe: Gives the optimizer, which decides about bf16.
    """
    for parameter in _halved(network, recipe):
        parameter.data = parameter.data.to(torch.bfloat16)


def suited(machine: Runtime, recipe: Recipe) -> Runtime:
    """Return the machine with the arithmetic that a recipe needs.

    Args:
        machine: Device and arithmetic.
        recipe: Gives the optimizer.

    Returns:
        The machine, with bf16 arithmetic (autocast) where the recipe keeps weights in bf16; else as it is.
    """
    return replace(machine, precision="bf16") if halves(recipe.optimizer) else machine


def bytes_per_parameter(name: str) -> Bytes:
    """Return the bytes per parameter of a large matrix of the encoder.

    Adafactor's means, four bytes for each row and each column, are left out as negligible.

    Args:
        name: One of `recipe.OPTIMIZERS`.

    Returns:
        Bytes of weight, gradient and states.
    """
    width = 2 if halves(name) else 4
    states = {"adamw": 2 * width, "adamw8": 2 + 8 / BLOCK, "adafactor": 0}
    return Bytes(width, width, states[name.partition(":")[0]])


def bytes_of(
    network: Network,
    recipe: Recipe,
    times: Sequence[int] = (),
    only: Callable[[torch.nn.Parameter], bool] = lambda parameter: True,
) -> Bytes:
    """Count the bytes of a network in training, exactly but for a step count per tensor.

    Args:
        network: On any device, "meta" too; frozen as it will be trained. Embedding rows count as they are there.
        recipe: Gives the optimizer.
        times: How many layers each layer stands for (`cost.thinning`); none: itself alone.
        only: Which parameters are counted.

    Returns:
        Bytes of weights, gradients and states.
    """
    halved = {id(parameter) for parameter in _halved(network, recipe)}
    weight = gradient = state = 0
    for parameter, count in thinning.counted_parameters(network, times):
        if not only(parameter):
            continue
        dtype = torch.bfloat16 if id(parameter) in halved else torch.float32
        weight += count * parameter.numel() * dtype.itemsize
        if parameter.requires_grad:
            gradient += count * parameter.numel() * dtype.itemsize
            states = _begun(recipe.optimizer, torch.empty(parameter.shape, dtype=dtype, device="meta"))
            state += count * sum(value.numel() * value.itemsize for value in states.values() if value.dim())
    return Bytes(weight, gradient, state)


def halves(name: str) -> bool:
    """Return whether an optimizer has the encoder's matrices in bf16.

    Args:
        name: One of `recipe.OPTIMIZERS`.

    Returns:
        Whether its name ends in ":bf16".
    """
    return name.endswith(":bf16")


def _halved(network: Network, recipe: Recipe) -> list[torch.nn.Parameter]:
    """Return what a recipe keeps in bf16: the encoder's matrices except adapters."""
    parameters = network.backbone.named_parameters() if halves(recipe.optimizer) else ()
    return [parameter for name, parameter in parameters if parameter.dim() > 1 and not lora.is_adapter(name)]


class LowMemoryOptimizer(torch.optim.Optimizer):
    """AdamW with moments in few bits, or Adafactor, over weights in float32 or bf16.

    Stochastic rounding draws from torch's generator of the device, in the order of the parameters: seeded before each
    step, a step is a function of seed and number.

    Args:
        groups: Parameter groups, each with its `weight_decay`.
        name: One of `recipe.OPTIMIZERS`.
        learning_rate: Initial one.
        divided: Which weights are rows of larger matrices.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        name: str,
        learning_rate: float,
        divided: Mapping[torch.nn.Parameter, Divided] | None = None,
    ) -> None:
        super().__init__(groups, {"lr": learning_rate, "weight_decay": 0.0})
        self.name, self.divided = name, divided or {}

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every weight that has a gradient."""
        adafactor = self.name.startswith("adafactor")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    state = self.state[weight]
                    state.update(state or _begun(self.name, weight))
                    state["step"] = state["step"].cpu() + 1  # a checkpoint brings it to the weight's device
                    if adafactor:
                        _adafactor(weight, state, group, self.divided.get(weight))
                    else:
                        _adamw(weight, state, group)


def _begun(name: str, weight: Tensor) -> dict[str, Tensor]:
    """Return a weight's optimizer state before its first step."""
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
    """Take one step of AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101)."""
    number = float(state["step"])
    first_bias, second_bias = 1 - BETA1**number, math.sqrt(1 - BETA2**number)
    gradients, weights = weight.grad.reshape(-1), weight.view(-1)  # type: ignore[union-attr]
    # Slice by slice, as float32 copies of a whole embedding matrix would need more memory than its states.
    for part in _parts(len(weights)):
        gradient = gradients[part].float()
        first = _moment(state, "exp_avg", part).lerp_(gradient, 1 - BETA1)
        second = _moment(state, "exp_avg_sq", part).lerp_(gradient.square(), 1 - BETA2)
        _keep(state, "exp_avg", part, first)
        _keep(state, "exp_avg_sq", part, second)
        update = first / second.sqrt().div_(second_bias).add_(EPSILON)
        _move(weights[part], update.div_(first_bias), group)


def _moment(state: dict[str, Tensor], name: str, part: slice) -> Tensor:
    """Return a slice of a moment in float32."""
    stored = state[name].view(-1)[part]
    if stored.dtype != torch.uint8:
        return stored.float()
    scales = state[f"{name}_scale"][part.start // BLOCK : math.ceil(part.stop / BLOCK)]
    values = unpacked(stored, scales, MOMENTS[name])
    # The codes hold the root of the second moment, which spans half as many decades as the moment.
    return values.square_() if name == "exp_avg_sq" else values


def _keep(state: dict[str, Tensor], name: str, part: slice, values: Tensor) -> None:
    """Write back a slice of a moment, quantized to its storage type (8-bit blockwise, or bf16 stochastically)."""
    stored = state[name].view(-1)[part]
    if stored.dtype == torch.uint8:
        codes, scales = packed(values.sqrt() if name == "exp_avg_sq" else values, MOMENTS[name])
        stored.copy_(codes)
        state[f"{name}_scale"][part.start // BLOCK : part.start // BLOCK + len(scales)] = scales
    else:
        stored.copy_(rounded(values) if stored.dtype == torch.bfloat16 else values)


def _move(weights: Tensor, update: Tensor, group: dict[str, Any]) -> None:
    """Decay weights and subtract an update."""
    moved = weights.float().mul(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=group["lr"])
    weights.copy_(rounded(moved) if weights.dtype == torch.bfloat16 else moved)


def _adafactor(weight: Tensor, state: dict[str, Tensor], group: dict[str, Any], divided: Divided | None) -> None:
    """Take one step of Adafactor (Shazeer and Stern 2018, arXiv 1804.04235), in the variant of a given learning rate.

    Updates are clipped to a root mean square of 1 and multiplied with the learning rate, not with the size of the
    weight, as by Zhai et al. 2022 (arXiv 2106.04560), with AdamW's limit of the decay: so AdamW's learning rates fit.
    torch.optim.Adafactor has no such variant, and bounds mean squares by 1e-7, below which they are after clipping.

    Of a divided matrix, the means over columns, over all rows, and over all numbers are taken across processes.
    """
    rows = weight.view(-1, weight.shape[-1]) if weight.dim() > 1 else weight.view(-1, 1)
    gradients = weight.grad.reshape(rows.shape)  # type: ignore[union-attr]
    # The first step's running mean is its own square; later steps count less and less, down to AdamW's share.
    share = max(float(state["step"]) ** -STEEPNESS, 1 - BETA2)
    parts = list(_parts(len(rows), max(1, PART // rows.shape[1])))
    _observe(state, gradients, parts, share, divided)
    mean = _row_mean(state, divided)
    # Updates are computed twice, for their norm and to apply them, instead of being held all at once.
    squares = sum((_sized(state, gradients, part, mean).square().sum() for part in parts), start=0.0)
    count = weight.numel()
    if divided:
        squares, count = divided.add(torch.as_tensor(squares, device=weight.device)), divided.shape.numel()
    clip = torch.as_tensor(squares / count).sqrt().clamp(min=1.0)
    for part in parts:
        _move(rows[part], _sized(state, gradients, part, mean).div_(clip), group)


def _observe(
    state: dict[str, Tensor], gradients: Tensor, parts: list[slice], share: float, divided: Divided | None
) -> None:
    """Update the running means of squared gradients, (rows, columns)."""
    if "variance" in state:
        state["variance"].lerp_(gradients.view(-1).float().square(), share)
        return
    columns = torch.zeros_like(state["col_var"])
    for part in parts:
        squares = gradients[part].float().square()
        state["row_var"][part].lerp_(squares.mean(1), share)
        columns += squares.sum(0)
    count = len(gradients)
    if divided:
        columns, count = divided.add(columns), divided.shape.numel() // divided.shape[-1]
    state["col_var"].lerp_(columns / count, share)


def _row_mean(state: dict[str, Tensor], divided: Divided | None) -> Tensor | None:
    """Return the mean over rows of their mean squares, of all rows of a divided matrix; None for a vector."""
    if "variance" in state:
        return None
    if divided is None:
        return state["row_var"].mean()
    return divided.add(state["row_var"].sum()) / (divided.shape.numel() // divided.shape[-1])


def _sized(state: dict[str, Tensor], gradients: Tensor, part: slice, mean: Tensor | None) -> Tensor:
    """Return a slice of gradients, divided by the roots of their running mean squares."""
    if mean is None:
        variance = state["variance"][part].unsqueeze(1)
    else:
        variance = (state["row_var"][part] / mean.clamp(min=FLOOR)).unsqueeze(1) * state["col_var"]
    return variance.clamp(min=FLOOR).rsqrt_().mul_(gradients[part])
