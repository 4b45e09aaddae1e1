"""Activation memory: the bytes that a forward pass saves for the backward pass, exactly, for any shape, without a pass.

Like FLOPs (`flops`), they are a polynomial of the shape of a batch, found at two small shapes (`growth`): a copy of the
network on fake tensors runs forward, and autograd's hooks report the saved tensors. Fake tensors go through torch's own
dispatch, so that bf16 arithmetic, dropout and all that a model family does are as in a real pass on a processor. What
differs on a GPU is in `gpu_emulation`. An encoder is run once for all heads: all that a head may save of it are its
final states.

    ActivationMemory(network, "xnli", Device("cuda", "bf16")).bytes(Shape(32, 128), recompute=False)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional
from torch.utils._pytree import tree_leaves

from xstilts.cost import flops, growth, thinning
from xstilts.cost.flops import SHAPES, Shape
from xstilts.cost.gpu_emulation import OnGpu
from xstilts.cost.growth import Terms
from xstilts.cost.thinning import Times
from xstilts.models.network import Network

TERMS: dict[str, Callable[[Shape], int]] = {
    **flops.TERMS,
    "lengths": lambda shape: shape.length,
    "pairs": lambda shape: shape.length**2,
}
EVERY = (*flops.EVERY, "lengths", "pairs")


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


Counts = dict[int, int]  # how often storages count, by number


class ActivationMemory:
    """Bytes that autograd saves in a forward pass, outside the layers and in each, as polynomials of the batch's shape.

    Args:
        network: The network; frozen weights save nothing.
        head: The name of the head.
        device: The device and precision to compute for.
        times: How many layers each layer stands for (`thinning`); none: itself alone.
    """

    def __init__(self, network: Network, head: str, device: Device, times: tuple[int, ...] = ()) -> None:
        every = dict(enumerate(times)) or thinning.stretches(thinning.marks_of(network))
        encoder = EncoderMemory.of(network, device, every)
        above, saves_states = _of_head(network, head, device, encoder)
        terms = EVERY + flops.further(network, head, learning=True)
        parts = encoder.parts[saves_states]
        self.whole, self.between = (growth.added((part, above), terms) for part in parts[:2])
        self.layers = parts[2:]
        self.copies = encoder.copies
        self.all_copies = sum(copies * count for copies, count in zip(self.copies, every.values(), strict=True))

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
        heads = tuple((name, getattr(module, "format", ""), repr(module)) for name, module in network.heads.items())
        structure = _structure(network), _parameters(network.heads), heads, head, device, times
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
_encoders: dict[Any, EncoderMemory] = {}


def _structure(network: Network) -> tuple[Any, ...]:
    """Return all that the bytes of an encoder depend on."""
    return type(network.backbone), network.config.to_json_string(), _parameters(network.backbone)


def _parameters(module: nn.Module) -> tuple[Any, ...]:
    return tuple(
        (name, parameter.shape, parameter.dtype, parameter.requires_grad)
        for name, parameter in module.named_parameters()
    )


@dataclass(frozen=True)
class EncoderMemory:
    """Bytes that autograd saves in a forward pass through an encoder.

    Attributes:
        parts: Bytes in all, between the layers, and of each layer, as `SavedTensors.counts` has them: where a head does
            not save the final states, and where it does.
        copies: Bytes of the bf16 copies of each layer's matrices.
        dtype: The type of the final states.
        trained: Whether they have a gradient.
    """

    parts: tuple[tuple[Terms, ...], tuple[Terms, ...]]
    copies: tuple[int, ...]
    dtype: torch.dtype
    trained: bool

    @staticmethod
    def of(network: Network, device: Device, times: Times) -> EncoderMemory:
        """Return what an encoder saves; computed once for encoders of equal structure.

        Args:
            network: The network; its heads do not matter.
            device: The device and precision to compute for.
            times: How many layers each of those stands for that are run, by its number.

        Returns:
            Polynomials of the batch's shape.
        """
        structure = _structure(network), device, tuple(times.items())
        if structure not in _encoders:
            _encoders[structure] = _of_encoder(network, device, times)
        return _encoders[structure]


def _of_encoder(network: Network, device: Device, times: Times) -> EncoderMemory:
    mode, twin = faked(network, tuple(times))

    @cache
    def run(shape: Shape) -> tuple[SavedTensors, Tensor]:
        saved = SavedTensors(twin)
        with mode:
            ids = torch.zeros(shape.sequences, shape.length, dtype=torch.long)
            mask = torch.ones_like(ids)
        with mode, saved.kept(), device.ways():
            states = twin.encode(ids, mask)
        saved.number(states)
        return saved, states

    terms = {name: TERMS[name] for name in EVERY}
    polynomials = growth.polynomials(lambda shape: run(shape)[0].sizes, terms, SHAPES)
    saved, states = run(SHAPES[0])
    without = saved.parts(polynomials, tuple(times.values()))
    saved.found[-1].add(saved.number(states))
    copies = tuple(_copies(layer) if device.precision == "bf16" else 0 for layer in twin.layer_modules)
    parts = without, saved.parts(polynomials, tuple(times.values()))
    return EncoderMemory(parts, copies, states.dtype, states.requires_grad)


def _of_head(network: Network, head: str, device: Device, encoder: EncoderMemory) -> tuple[Terms, bool]:
    """Return the bytes that a head saves beside the final states, and whether it saves them."""
    mode, twin = faked(network, ())

    @cache
    def run(shape: Shape) -> tuple[SavedTensors, Tensor]:
        saved = SavedTensors(twin)
        with mode:
            size = shape.sequences, shape.length, network.width
            states = torch.empty(size, dtype=encoder.dtype, requires_grad=encoder.trained)
        saved.number(states)
        with mode, saved.kept(), device.ways():
            logits = flops.answer(twin, head, states, shape, learning=True).flatten(0, -2)
            targets = torch.zeros(len(logits), dtype=torch.long)
            functional.cross_entropy(logits, targets, reduction="sum")
        return saved, states

    terms = {name: TERMS[name] for name in EVERY + flops.further(network, head, learning=True)}
    polynomials = growth.polynomials(lambda shape: run(shape)[0].sizes, terms, SHAPES)
    saved, states = run(SHAPES[0])
    own = saved.found[-1] - {saved.number(states)}
    return growth.added((polynomials[number] for number in own), terms), len(own) < len(saved.found[-1])


def _copies(layer: nn.Module) -> int:
    """Return the bytes of a layer's trained matrices in bf16, where they are not in bf16 already."""
    trained = (
        parameter
        for parameter in layer.parameters()
        if parameter.requires_grad and parameter.dim() > 1 and parameter.itemsize > 2
    )
    return sum(2 * parameter.numel() for parameter in trained)


def _value(factors: Terms, shape: Shape) -> int:
    return int(sum(factor * TERMS[term](shape) for term, factor in factors.items()))


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


class SavedTensors:
    """The storages that autograd saves while a network runs, by layer and without weights.

    Attributes:
        sizes: Bytes of all storages, in the order in which they were noted; storages are known by their place here.
        inputs: For each layer the storages of its inputs.
        found: The storages saved in each layer, and outside of layers (-1).
    """

    def __init__(self, network: Network) -> None:
        self.network, self.layer = network, -1
        self.weights = {_storage(tensor) for tensor in (*network.parameters(), *network.buffers())}
        self.sizes: list[int] = []
        self.inputs: list[set[int]] = [set() for _ in network.layer_modules]
        self.found: dict[int, set[int]] = {number: set() for number in range(-1, len(network.layer_modules))}
        self._numbers: dict[int, int] = {}
        self._alive: list[Any] = []  # a storage that is gone may give its identity to another

    def counts(self, times: Sequence[int]) -> tuple[Counts, ...]:
        """Return how often each storage counts: in all, between the layers, and in each layer beyond that.

        Args:
            times: How many layers each layer of the network stands for.

        Returns:
            By number of a storage: all of them; those outside of layers, layers' inputs included; those of each layer
            beyond its inputs.
        """
        outside, *layers = self.found.values()
        total, between = (dict.fromkeys(outside, 1) for _ in range(2))
        for layer, inputs, count in zip(layers, self.inputs, times, strict=True):
            total = {**dict.fromkeys(layer, count), **total}  # a storage that several save counts where it is first
            between = {**dict.fromkeys(inputs, count), **between}
        return (total, between, *(dict.fromkeys(layer - set(between), 1) for layer in layers))

    def parts(self, polynomials: Sequence[Terms], times: Sequence[int]) -> tuple[Terms, ...]:
        """Return the bytes of the parts of `counts` as polynomials, from those of all storages."""
        return tuple(
            growth.added(
                (
                    {term: count * factor for term, factor in polynomials[number].items()}
                    for number, count in counts.items()
                ),
                EVERY,
            )
            for counts in self.counts(times)
        )

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

    def _note(self, where: set[int], tensor: Tensor) -> None:
        if _storage(tensor) not in self.weights:
            where.add(self.number(tensor))

    def number(self, tensor: Tensor) -> int:
        """Return the number of a tensor's storage; a new one is noted."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self._numbers:
            self._numbers[storage._cdata] = len(self.sizes)
            self.sizes.append(storage.nbytes())
            self._alive.append(storage)
        return self._numbers[storage._cdata]


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
    saved = SavedTensors(network)
    with saved.kept():
        compute()
    return sum(saved.sizes[number] for number in set[int]().union(*saved.found.values()))
