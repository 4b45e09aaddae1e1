"""Sharding: how the weights of a training lie in its processes, and how their gradients are added.

`Whole`: every process has the network, and gradients are added when the passes of a step are over. `Sharded` (FSDP2,
`fully_shard`, a unit for each layer): the encoder's matrices, their gradients and optimizer states are divided among
the processes by rows. Before a layer computes, its rows are gathered; its gradients are added and divided again as soon
as they are there. Vectors, heads and adapters, which are small, lie whole in every process.

Optimizers and checkpoints see a divided matrix as the rows that lie here, an ordinary tensor; what a checkpoint holds
is whole, so that another number of processes goes on from it.

    layout = lay_out(network, group, machine, recipe)
    optimizer = make_optimizer(network, recipe, layout.trained, layout.divided())
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from xstilts.errors import InputError
from xstilts.models import lora
from xstilts.models.network import Network
from xstilts.runtime.machine import Runtime
from xstilts.training.optimizer import Divided, halves
from xstilts.training.processes import Group
from xstilts.training.recipe import Recipe

BUCKET = 2**24  # numbers of gradients that are sent at once
UNDIVIDED = ("step", "col_var")  # optimizer states of a matrix that are not by rows


def lay_out(network: Network, group: Group, machine: Runtime, recipe: Recipe) -> Whole:
    """Put a network on the devices of a group, whole or sharded.

    Args:
        network: On the CPU, frozen and prepared. Unless it is sharded, it is moved itself.
        group: The processes.
        machine: Says whether weights are sharded, and the device of this process.
        recipe: Gives the optimizer.

    Returns:
        The layout; its `network` is to be trained.

    Raises:
        InputError: The recipe's optimizer cannot be sharded.
    """
    if group.count == 1 or not machine.shard:
        network.to(machine.torch_device())
        return Whole(network, group)
    require_divisible(recipe)
    kept_half = halves(recipe.optimizer)
    return Sharded(
        network, group, machine.torch_device(), kept_half, machine.arithmetic_precision() == "bf16" and not kept_half
    )


def require_divisible(recipe: Recipe) -> None:
    """Raise InputError where a recipe's optimizer has states that cannot be divided by rows."""
    if recipe.optimizer.startswith("adamw8"):
        raise InputError(
            f"optimizer={recipe.optimizer} has a scale for 256 numbers of a matrix, which sharding would cut: give "
            "adamw, adamw:bf16 or adafactor, or train without --shard"
        )


class Whole:
    """A network that lies whole in every process.

    Attributes:
        network: What computes, on its device.
        group: The processes.
        trained: The trained parameters by name, as they lie in this process.
        sharded: Whether weights are divided.
    """

    sharded = False

    def __init__(self, network: nn.Module, group: Group) -> None:
        self.network: Any = network
        self.group = group
        self.trained = {name: value for name, value in network.named_parameters() if value.requires_grad}

    def divided(self) -> dict[nn.Parameter, Divided]:
        """Return which trained parameters are rows of larger matrices."""
        return {}

    def clear_gradients(self) -> None:
        """Drop gradients that the optimizer does not see."""

    def add_gradients(self) -> None:
        """Add the gradients of all processes, when the passes of a step are over."""
        if self.group.count > 1:
            self._add(list(self.trained.values()))

    def clip(self, parameters: Sequence[nn.Parameter], most: float) -> None:
        """Scale gradients so that their norm over all parameters is at most `most`."""
        torch.nn.utils.clip_grad_norm_(parameters, most)

    def shape(self, name: str) -> torch.Size:
        """Return the shape of a whole parameter."""
        return self.trained[name].shape

    def whole(self, name: str, value: Tensor, moment: str = "") -> Tensor | None:
        """Return a parameter, or an optimizer state of it, whole; None in others than the first process.

        Args:
            name: Of the parameter.
            value: What lies in this process.
            moment: The name of the optimizer state; "": the parameter itself.
        """
        return value if self.group.first else None

    def part(self, name: str, value: Tensor, moment: str = "") -> Tensor:
        """Return what lies in this process of a whole parameter or of an optimizer state of it."""
        return value

    def weights(self) -> dict[str, Tensor]:
        """Return the trained parameters, whole; in others than the first process none."""
        every = {name: self.whole(name, value.detach()) for name, value in self.trained.items()}
        return {name: value for name, value in every.items() if value is not None}

    def note_change(self) -> None:
        """Take over parameters that were changed by others than the optimizer."""

    def write_back(self) -> None:
        """Write the trained weights into the network that was laid out, in the first process."""

    def _add(self, parameters: list[nn.Parameter]) -> None:
        """Replace gradients by their sums over all processes."""
        present = self.group.totals([int(parameter.grad is not None) for parameter in parameters])
        used = [parameter for parameter, count in zip(parameters, present, strict=True) if count]
        for parameter in used:
            if parameter.grad is None:  # nothing in this process depended on it
                parameter.grad = torch.zeros_like(parameter)
        for bucket in _buckets([cast(Tensor, parameter.grad) for parameter in used]):
            # In float32 also what is kept in bf16: a sum over many processes would be rounded many times.
            flat = self.group.add(torch.cat([gradient.reshape(-1).float() for gradient in bucket]))
            parts = torch.split(flat, [gradient.numel() for gradient in bucket])
            for gradient, part in zip(bucket, parts, strict=True):
                gradient.copy_(part.view(gradient.shape))


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """Yield gradients in groups of about `BUCKET` numbers."""
    bucket: list[Tensor] = []
    for gradient in gradients:
        if bucket and sum(map(Tensor.numel, bucket)) + gradient.numel() > BUCKET:
            yield bucket
            bucket = []
        bucket.append(gradient)
    if bucket:
        yield bucket


def undivided(network: Network) -> set[nn.Parameter]:
    """Return the parameters that lie whole in every process of a sharded training: vectors, heads and adapters.

    Of layers, only what a linear map multiplies by is divided: it is gathered in bf16 where arithmetic is in bf16, as
    autocast would convert it, and a table of positions would be another one then.
    """
    inside = {parameter for layer in network.layer_modules for parameter in layer.parameters()}
    linear = {module.weight for module in network.modules() if isinstance(module, nn.Linear)}
    return {
        parameter
        for name, parameter in network.named_parameters()
        if not name.startswith("backbone.")
        or parameter.dim() < 2
        or lora.is_adapter(name)
        or (parameter in inside and parameter not in linear)
    }


class Sharded(Whole):
    """A copy of a network whose encoder's matrices are divided by rows (FSDP2).

    Args:
        network: On the CPU, frozen and prepared.
        group: The processes.
        device: Of this process.
        kept_half: Whether matrices are kept in bf16.
        computed_half: Whether they are kept in float32 and multiplied in bf16.
    """

    sharded = True

    def __init__(
        self, network: Network, group: Group, device: torch.device, kept_half: bool, computed_half: bool
    ) -> None:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

        # Layers of T5 pass on biases of positions, which are views; nothing changes them in place.
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module", category=UserWarning)
        self.original = network
        running = copy.deepcopy(network)
        kept = undivided(running)
        for parameter in kept:
            parameter.data = parameter.data.to(device)
        mesh = init_device_mesh(device.type, (group.count,))
        # Gradients are added in float32. Where autocast would convert a layer's matrices, it gathers them in bf16:
        # half of the bytes travel, and autograd keeps no copies, with which every process would hold all weights.
        policy = MixedPrecisionPolicy(reduce_dtype=torch.float32 if kept_half else None)
        of_layers = (
            MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False) if computed_half else policy
        )
        for layer in running.layer_modules:
            fully_shard(layer, mesh=mesh, mp_policy=of_layers, ignored_params=kept)
        # What is in no layer, such as embeddings, stays gathered until the backward pass: heads read embeddings too.
        fully_shard(running.backbone, mesh=mesh, mp_policy=policy, ignored_params=kept, reshard_after_forward=False)
        for module in running.modules():
            if isinstance(module, FSDPModule):
                module.set_gradient_divide_factor(1.0)  # losses are shares of the batch's mean: gradients are added
                module.set_force_sum_reduction_for_comms(True)
        for buffer_owner in running.modules():
            for name, buffer in list(buffer_owner._buffers.items()):
                if buffer is not None:
                    buffer_owner._buffers[name] = buffer.to(device)
        self.network, self.group = running, group
        self.matrices: dict[str, Any] = {}  # divided and trained, as FSDP has them
        self.trained = {}
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                own: Any = running.get_parameter(name)
                if own not in kept:
                    self.matrices[name] = own
                    # Of the same memory: an update of these rows is one of the matrix.
                    own = nn.Parameter(own.to_local().detach())
                self.trained[name] = own

    def divided(self) -> dict[nn.Parameter, Divided]:
        """Return which trained parameters are rows of larger matrices."""
        shapes = {name: matrix.shape for name, matrix in self.matrices.items()}
        return {self.trained[name]: Divided(shape, self.group.add) for name, shape in shapes.items()}

    def clear_gradients(self) -> None:
        """Drop the gradients of divided matrices."""
        for matrix in self.matrices.values():
            matrix.grad = None

    def add_gradients(self) -> None:
        """Add the gradients of what lies whole, and give the optimizer those of the rows that lie here."""
        self._add([value for name, value in self.trained.items() if name not in self.matrices])
        for name, matrix in self.matrices.items():
            self.trained[name].grad = None if matrix.grad is None else matrix.grad.to_local().detach()

    def clip(self, parameters: Sequence[nn.Parameter], most: float) -> None:
        """Scale gradients so that their norm over all parameters and processes is at most `most`."""
        norms = [
            [
                value.grad.float().norm()
                for name, value in self.trained.items()
                if value.grad is not None and (name in self.matrices) == divided
            ]
            for divided in (True, False)
        ]
        rows, others = (
            torch.stack(part).square().sum() if part else torch.zeros((), device=self._device) for part in norms
        )
        total = (self.group.add(rows) + others).sqrt()
        scale = (most / (total + 1e-6)).clamp(max=1.0)
        for parameter in self.trained.values():
            if parameter.grad is not None:
                parameter.grad.mul_(scale)

    def shape(self, name: str) -> torch.Size:
        """Return the shape of a whole parameter."""
        return torch.Size(self.matrices[name].shape) if name in self.matrices else self.trained[name].shape

    def whole(self, name: str, value: Tensor, moment: str = "") -> Tensor | None:
        """Return a parameter, or an optimizer state of it, whole; None in others than the first process."""
        if name not in self.matrices or moment in UNDIVIDED:
            return value if self.group.first else None
        rows = self.shape(name).numel() // self.shape(name)[-1] if moment == "row_var" else self.shape(name)[0]
        # Processes have equally many rows but for the last ones; equal shapes are gathered, then cut.
        most = -(-self.shape(name)[0] // self.group.count) * (rows // self.shape(name)[0])
        padded = value.new_zeros(most, *value.shape[1:])
        padded[: len(value)] = value
        parts = self.group.gathered(padded.to(self._device))
        return torch.cat([part.cpu() for part in parts])[:rows] if parts else None

    def part(self, name: str, value: Tensor, moment: str = "") -> Tensor:
        """Return what lies in this process of a whole parameter or of an optimizer state of it."""
        if name not in self.matrices or moment in UNDIVIDED:
            return value
        size = -(-self.shape(name)[0] // self.group.count) * (len(value) // self.shape(name)[0])
        return value[size * self.group.rank : size * (self.group.rank + 1)]

    def note_change(self) -> None:
        """Forget gathered embeddings, which are older than what was changed."""
        self.network.backbone.reshard()

    def write_back(self) -> None:
        """Write the trained weights into the network that was laid out, in the first process."""
        parameters = dict(self.original.named_parameters())
        for name, value in self.weights().items():
            parameters[name].data.copy_(value)

    @property
    def _device(self) -> torch.device:
        return next(iter(self.trained.values())).device
