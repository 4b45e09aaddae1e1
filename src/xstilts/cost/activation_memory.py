"""Activation memory: the bytes that a forward pass saves for the backward pass, exactly, for any shape, without a pass.

Like FLOPs (`flops`), they are a polynomial of the shape of a batch, fitted at a few small shapes: a copy of the network
on fake tensors runs forward, and autograd's hooks report the saved tensors. Fake tensors go through torch's own
dispatch, so that bf16 arithmetic, dropout and all that a model family does are as in a real pass on a processor. What
differs on a GPU is in `gpu_emulation`.

    ActivationMemory(network, "xnli", Device("cuda", "bf16")).bytes(Shape(32, 128), recompute=False)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from xstilts.cost import flops, thinning
from xstilts.cost.flops import Shape
from xstilts.cost.gpu_emulation import OnGpu
from xstilts.models.network import Network

TERMS = {
    **flops.TERMS,
    "lengths": lambda shape: shape.length,
    "pairs": lambda shape: shape.length**2,
}
EVERY = (*flops.EVERY, "lengths", "pairs")
SHAPES = tuple(Shape(sequences, length, 1) for sequences in (2, 4) for length in (8, 16, 24))
MORE = {"answered": Shape(2, 8, 3), "compared": Shape(6, 8, 1)}
Bytes = dict[int, int]  # of a storage, by its identity


@dataclass(frozen=True)
class Device:
    """The device whose saved bytes are computed; this machine need not have it.

    Attributes:
        type: "cuda" or "cpu".
        precision: "bf16" or "fp32".
    """

    type: str
    precision: str

    def ways(self) -> AbstractContextManager[object]:
        """Return the context in which fake tensors compute as the device does."""
        stack = ExitStack()
        if self.type == "cuda":
            stack.enter_context(OnGpu(self.precision == "bf16"))
        if self.precision == "bf16":
            stack.enter_context(torch.autocast("cpu", dtype=torch.bfloat16))
        return stack


class ActivationMemory:
    """Bytes that autograd saves in a forward pass, outside the layers and in each, as polynomials of the batch's shape.

    Args:
        network: The network; frozen weights save nothing.
        head: The name of the head.
        device: The device and precision to compute for.
        times: How many layers each layer stands for (`thinning`); none: itself alone.
    """

    def __init__(self, network: Network, head: str, device: Device, times: tuple[int, ...] = ()) -> None:
        terms = EVERY + flops.further(network, head, learning=True)
        shapes = SHAPES + tuple(MORE[term] for term in terms[len(EVERY) :])
        if not times:
            chosen = thinning.stretches(thinning.marks_of(network))
            layers, times = tuple(chosen), tuple(chosen.values())
        else:
            layers = tuple(range(len(times)))
        mode, twin = faked(network, layers)
        # One count of each part at each small shape; solving for the coefficients gives the count at any shape.
        counts = zip(*(counted(twin, head, shape, device, mode, times) for shape in shapes), strict=True)
        rows = [[TERMS[term](shape) for term in terms] for shape in shapes]  # type: ignore[no-untyped-call]
        self.whole, self.between, *self.layers = (
            dict(zip(terms, flops.solved(rows, list(part)), strict=True)) for part in counts
        )
        self.copies = [_copies(layer) if device.precision == "bf16" else 0 for layer in twin.layer_modules]
        self.all_copies = sum(copies * count for copies, count in zip(self.copies, times, strict=True))

    @staticmethod
    def of(network: Network, head: str, device: Device, times: tuple[int, ...] = ()) -> ActivationMemory:
        """Return what a network saves; computed once for networks of equal structure.

        Args:
            network: The network; its weights do not matter.
            head: The name of the head.
            device: The device and precision to compute for.
            times: How many layers each layer stands for (`thinning`); none: itself alone.

        Returns:
            The polynomials.
        """
        parameters = tuple(
            (name, parameter.shape, parameter.dtype, parameter.requires_grad)
            for name, parameter in network.named_parameters()
        )
        heads = tuple((name, getattr(module, "format", ""), repr(module)) for name, module in network.heads.items())
        structure = type(network.backbone), network.config.to_json_string(), parameters, heads, head, device, times
        if structure not in _known:
            _known[structure] = ActivationMemory(network, head, device, times)
        return _known[structure]

    def bytes(self, shape: Shape, recompute: bool) -> int:
        """Return the peak of the saved bytes.

        Args:
            shape: The shape of the batch.
            recompute: Whether activations are recomputed: layers then save their inputs alone, and one at a time saves
                all. Autocast keeps bf16 copies of trained weights until the forward pass ends, recomputed or not.

        Returns:
            Bytes.
        """
        if not recompute:
            return _value(self.whole, shape)
        by_layer = [_value(layer, shape) - copies for layer, copies in zip(self.layers, self.copies, strict=True)]
        return _value(self.between, shape) + self.all_copies + max(0, *by_layer)


_known: dict[Any, ActivationMemory] = {}


def known() -> dict[Any, ActivationMemory]:
    """Return what was counted in this process, by the structure of the network."""
    return dict(_known)


def remember(counts: Mapping[Any, ActivationMemory]) -> None:
    """Keep counts of another process, as `known` returned them there."""
    _known.update(counts)


def _copies(layer: nn.Module) -> int:
    """Return the bytes of a layer's trained matrices in bf16, where they are not in bf16 already."""
    trained = (
        parameter
        for parameter in layer.parameters()
        if parameter.requires_grad and parameter.dim() > 1 and parameter.itemsize > 2
    )
    return sum(2 * parameter.numel() for parameter in trained)


def _value(factors: Mapping[str, Fraction], shape: Shape) -> int:
    return int(sum(factor * TERMS[term](shape) for term, factor in factors.items()))  # type: ignore[no-untyped-call]


def faked(network: Network, layers: Sequence[int] | None = None) -> tuple[FakeTensorMode, Network]:
    """Return a copy of a network on fake tensors, which have shapes and no values.

    Args:
        network: The network.
        layers: Numbers of the layers that the copy has; None: all.

    Returns:
        The mode of the fake tensors, and the copy, in training mode and with the same weights frozen.
    """
    mode = FakeTensorMode()

    def like(tensor: Tensor) -> Tensor:
        with mode:
            return torch.empty(tensor.shape, dtype=tensor.dtype)

    return mode, flops.copied(network, like, layers).train()


def counted(
    network: Network, head: str, shape: Shape, device: Device, mode: FakeTensorMode, times: Sequence[int]
) -> tuple[int, ...]:
    """Return the bytes that a pass of a network on fake tensors saves.

    Args:
        network: The network, as `faked` returns it.
        head: Name of the head.
        shape: Shape of the batch.
        device: The device to emulate.
        mode: The mode of the fake tensors.
        times: How many layers each layer stands for.

    Returns:
        All bytes; those between the layers (outside of them, and their inputs); those of each layer beyond its inputs.
    """
    ledger = SavedTensors(network)
    with mode:
        ids = torch.zeros(shape.sequences, shape.length, dtype=torch.long)
        mask = torch.ones_like(ids)
    with mode, ledger.kept(), device.ways():
        states = network.encode(ids, mask)
        logits = flops.answer(network, head, states, shape, learning=True).flatten(0, -2)
        targets = torch.zeros(len(logits), dtype=torch.long)
        functional.cross_entropy(logits, targets, reduction="sum")
    return ledger.sums(times)


class SavedBytes:
    """Sums the bytes of storages, each counted once however many tensors share it.

    Args:
        first: Storages that are counted already, with their bytes.
    """

    def __init__(self, first: Bytes) -> None:
        self.known, self.bytes = set(first), sum(first.values())

    def add(self, storages: Bytes, times: int) -> None:
        """Add storages that were not counted before.

        Args:
            storages: The bytes of each storage, by identity.
            times: How many layers the storages stand for; their bytes count as often.
        """
        self.bytes += times * sum(size for name, size in storages.items() if name not in self.known)
        self.known |= set(storages)


class SavedTensors:
    """The storages that autograd saves while a network runs, by layer and without weights."""

    def __init__(self, network: Network) -> None:
        self.network, self.layer = network, -1
        self.weights = {_storage(tensor) for tensor in (*network.parameters(), *network.buffers())}
        self.inputs: list[Bytes] = [{} for _ in network.layer_modules]
        self.found: dict[int, Bytes] = {number: {} for number in range(-1, len(network.layer_modules))}
        self.alive: list[Any] = []  # a storage that is gone may give its identity to another

    def sums(self, times: Sequence[int]) -> tuple[int, ...]:
        """Return the bytes saved in all, between the layers, and in each layer beyond that.

        Args:
            times: How many layers each layer of the network stands for.

        Returns:
            Bytes: all of them; those outside of layers, layers' inputs included; those of each layer beyond its inputs.
        """
        outside, *layers = self.found.values()
        total, between = SavedBytes(outside), SavedBytes(outside)
        for layer, inputs, count in zip(layers, self.inputs, times, strict=True):
            total.add(layer, count)
            between.add(inputs, count)
        alone = ({name: size for name, size in layer.items() if name not in between.known} for layer in layers)
        return (total.bytes, between.bytes, *(sum(layer.values()) for layer in alone))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Record what is saved within this context."""
        with ExitStack() as stack:
            for number, layer in enumerate(self.network.layer_modules):
                stack.enter_context(self._watched(number, layer))
            stack.enter_context(saved_tensors_hooks(self._pack, lambda tensor: tensor))
            yield

    @contextmanager
    def _watched(self, number: int, layer: nn.Module) -> Iterator[None]:
        def enter(module: nn.Module, args: Any, options: Any) -> None:
            self.layer = number
            for leaf in tree_leaves((args, options)):
                if isinstance(leaf, Tensor):
                    self._note(self.inputs[number], leaf)

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            self.layer = -1

        hooks = [layer.register_forward_pre_hook(enter, with_kwargs=True), layer.register_forward_hook(leave)]
        yield
        for hook in hooks:
            hook.remove()

    def _pack(self, tensor: Tensor) -> Tensor:
        self._note(self.found[self.layer], tensor)
        return tensor

    def _note(self, where: Bytes, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.weights:
            self.alive.append(storage)
            where[storage._cdata] = storage.nbytes()


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def real(network: Network, compute: Any) -> int:
    """Return the bytes that autograd saves in a real pass, for comparison with `ActivationMemory`.

    Args:
        network: The network.
        compute: A function without arguments that runs the network.

    Returns:
        Bytes of the saved tensors' storages, each counted once, without weights.
    """
    ledger = SavedTensors(network)
    with ledger.kept():
        compute()
    return ledger.sums([1] * len(network.layer_modules))[0]
