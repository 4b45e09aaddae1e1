"""FLOPs: how many floating-point operations a network's passes take, exactly, without running them.

The operations of a pass are a polynomial of the shape of its batch: a number for each padded token, for each pair of
tokens of a sequence (attention sees the padding too), for each sequence, and so on. The coefficients come from a copy
of the network on torch's meta device, run at two small shapes under torch's own counter (`growth`); they give the
counter's result for any shape. Encoder and head are counted apart, so that an encoder is counted once for all heads. Of
layers that are alike the copy has one (`thinning`). Frozen weights are frozen in the copy, so that a layer, the lower
layers or an embedding without gradient are not charged for one. The copy of a small network is on the CPU: computing
its few numbers takes less time than torch's rules for shapes on the meta device, and the counts are the same.

    spent(network, "xnli", {"passes": 1, "sequences": 32, "padded_tokens": 32 * 64, "attended": 32 * 64**2}, True)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from xstilts.cost import growth, thinning
from xstilts.cost.growth import Terms
from xstilts.formats import task_format
from xstilts.models.heads import DualEncoderHead, Head
from xstilts.models.network import Network


@dataclass(frozen=True)
class Shape:
    """The shape of a batch.

    Attributes:
        sequences: Number of sequences.
        length: Tokens of each, with padding.
        answered: Tokens that masked-LM predicts.
    """

    sequences: int
    length: int
    answered: int = 0


TERMS: dict[str, Callable[[Shape], int]] = {
    "passes": lambda shape: 1,
    "sequences": lambda shape: shape.sequences,
    "padded_tokens": lambda shape: shape.sequences * shape.length,
    "attended": lambda shape: shape.sequences * shape.length**2,
    "answered": lambda shape: shape.answered,
    "compared": lambda shape: shape.sequences**2,
}
EVERY = ("passes", "sequences", "padded_tokens", "attended")
# From the first to the second each term grows by another factor, and all of them tell the terms apart (`growth`).
# Lengths are multiples of eight, to which kernels align the rows of a bias.
SHAPES = (
    *(Shape(2, 8, 1), Shape(6, 16, 5), Shape(6, 8, 3), Shape(6, 24, 1)),
    *(Shape(4, 16, 3), Shape(4, 24, 1), Shape(2, 24, 3)),
)
PARTS = ("forward", "activations", "weights")
SMALL = 2**21  # parameters of a network whose copy is run on the CPU
Polynomial = Mapping[str, Terms]


@dataclass(frozen=True)
class Backward:
    """What of a backward pass asks an encoder's final states for a gradient.

    Attributes:
        activations: Whether the gradients of the outputs of trained layers do.
        weights: Whether those of trained weights do.
    """

    activations: bool = False
    weights: bool = False


@dataclass(frozen=True)
class Peak:
    """The peak of a device in FLOP/s, dense.

    Attributes:
        bf16: FLOP/s with bf16 arithmetic; None where the device has none.
        fp32: FLOP/s with fp32 arithmetic.
        source: The document that says so.
    """

    bf16: float | None
    fp32: float
    source: str


PEAKS: dict[str, Peak] = {
    "H200": Peak(989e12, 67e12, "NVIDIA H200 datasheet"),
    "H100 PCIe": Peak(756e12, 51e12, "NVIDIA H100 datasheet, PCIe"),
    "H100": Peak(989e12, 67e12, "NVIDIA H100 datasheet, SXM"),
    "A100": Peak(312e12, 19.5e12, "NVIDIA A100 datasheet"),
    "A10G": Peak(70e12, 35e12, "AWS G5 and NVIDIA A10G product page"),
    "L40S": Peak(362e12, 91.6e12, "NVIDIA L40S datasheet"),
    "L4": Peak(121e12, 30.3e12, "NVIDIA L4 datasheet"),
    "V100": Peak(None, 15.7e12, "NVIDIA V100 datasheet, SXM2"),
    "T4": Peak(None, 8.1e12, "NVIDIA T4 datasheet"),
    "RTX 4090": Peak(165.2e12, 82.6e12, "NVIDIA Ada GPU architecture, appendix A"),
    "RTX 3090": Peak(71e12, 35.6e12, "NVIDIA Ampere GA102 architecture, appendix A"),
}


def peak(device: str, precision: str) -> tuple[float, str] | None:
    """Return the peak of a device.

    Args:
        device: The device's name as torch gives it, such as "NVIDIA H200".
        precision: "bf16" or "fp32".

    Returns:
        FLOP/s (dense) and the document that says so; None where the device is unknown or has no such arithmetic.

    >>> peak("NVIDIA H200", "bf16")
    (989000000000000.0, 'NVIDIA H200 datasheet')
    """
    words = f" {device.replace('-', ' ')} "
    for name, figures in PEAKS.items():
        if f" {name} " in words:
            most = figures.bf16 if precision == "bf16" else figures.fp32
            return (most, figures.source) if most else None
    return None


def spent(network: Network, head: str, sums: Mapping[str, int], learning: bool) -> dict[str, int]:
    """Return the FLOPs of passes.

    Args:
        network: The network.
        head: Name of the head. Another name is a training set without a head: all pairs of the batch are compared.
        sums: By term of `TERMS`, the sum over the passes' shapes.
        learning: Whether they are training passes.

    Returns:
        FLOPs by part: "forward" and, when learning, "activations" and "weights", the backward pass with respect to
        each.
    """
    factors = polynomial(network, head, learning)
    return {part: int(sum(factor * sums[term] for term, factor in terms.items())) for part, terms in factors.items()}


_known: WeakKeyDictionary[Network, dict[Any, Polynomial]] = WeakKeyDictionary()


def polynomial(network: Network, head: str, learning: bool, times: tuple[int, ...] = ()) -> Polynomial:
    """Return the FLOPs of a pass as a polynomial of the shape of its batch; cached by the structure of the network.

    Args:
        network: The network; frozen weights are not charged for gradients.
        head: The name of the head; one that the network does not have stands for a headless format.
        learning: Whether there is a backward pass.
        times: How many layers each layer stands for (`thinning`); none: itself alone.

    Returns:
        By part of the pass ("forward", "activations", "weights") the coefficient of each term of `TERMS`.
    """
    by_identity = _known.setdefault(network, {})
    identity = head, learning, times, tuple(parameter.requires_grad for parameter in network.parameters())
    if identity not in by_identity:
        by_identity[identity] = _polynomial(network, head, learning, times)
    return by_identity[identity]


_encoders: dict[Any, tuple[Polynomial, Backward]] = {}
_heads: dict[Any, Polynomial] = {}


def _polynomial(network: Network, head: str, learning: bool, times: tuple[int, ...] = ()) -> Polynomial:
    """Add up what the encoder and the head take, each counted once for all networks that have it."""
    below = _encoder_structure(network, learning)
    if (below, times) not in _encoders:
        _encoders[below, times] = counted, _ = _of_encoder(network, learning, times)
        # Predictions, which often come after a training, take the forward pass of it.
        _encoders[_encoder_structure(network, False), times] = {"forward": counted["forward"]}, Backward()
    of_encoder, backward = _encoders[below, times]
    above = _head_structure(network, head, learning), backward
    if above not in _heads:
        _heads[above] = _of_head(network, head, learning, backward)
    terms = EVERY + further(network, head, learning)
    return {part: growth.added((of_encoder[part], taken), terms) for part, taken in _heads[above].items()}


def _encoder_structure(network: Network, learning: bool) -> Any:
    """Return all that the count of an encoder depends on; the number of its embeddings does not matter."""
    parameters = _shapes(network.backbone, learning, network.embedding_matrix)
    return type(network.backbone), network.config.to_json_string(), learning, parameters


def _head_structure(network: Network, head: str, learning: bool) -> Any:
    """Return all that the count of a head depends on."""
    if head not in network.heads:
        return network.width, learning
    table = network.embedding_matrix if _predicts_tokens(network, head) else None
    tied = table is not None and (table.shape, learning and table.requires_grad)
    module = network.heads[head]
    return repr(module), _format(network, head), vars(module).get("pool"), learning, _shapes(module, learning), tied


def _shapes(module: nn.Module, learning: bool, table: nn.Parameter | None = None) -> Any:
    """Return names and shapes of parameters, those of `table` without its rows, and which are trained."""
    return tuple(
        (name, tuple(parameter.shape[parameter is table :]), learning and parameter.requires_grad)
        for name, parameter in module.named_parameters()
    )


def _format_of(network: Network, head: str) -> str:
    return _format(network, head) if head in network.heads else ""


def _predicts_tokens(network: Network, head: str) -> bool:
    """Return whether a head predicts tokens of the vocabulary, as a masked-LM head does."""
    format = _format_of(network, head)
    return bool(format) and task_format(format).language_model


def _of_encoder(network: Network, learning: bool, times: tuple[int, ...]) -> tuple[Polynomial, Backward]:
    marks = list(zip(thinning.marks_of(network), thinning.trained_below(network), strict=True))
    chosen = thinning.representatives(marks, times or (1,) * len(marks))
    network_twin = twin(network, _device(network), tuple(chosen))

    @cache
    def count(shape: Shape) -> Operations:
        return operations(network_twin, lambda: _states(network_twin, shape), learning, tuple(chosen.values()))

    return _fitted(count, EVERY), count(SHAPES[0]).backward


def _of_head(network: Network, head: str, learning: bool, backward: Backward) -> Polynomial:
    network_twin = twin(network, _device(network), ())

    @cache
    def count(shape: Shape) -> Operations:
        states = torch.zeros(shape.sequences, shape.length, network.width, device=network_twin.embedding_matrix.device)
        states.requires_grad_(backward != Backward())
        return operations(
            network_twin, lambda: answer(network_twin, head, states, shape, learning), learning, (), states, backward
        )

    return _fitted(count, EVERY + further(network, head, learning))


def _device(network: Network) -> str:
    return "cpu" if sum(parameter.numel() for parameter in network.parameters()) <= SMALL else "meta"


def _fitted(count: Callable[[Shape], Operations], names: Sequence[str]) -> Polynomial:
    """Return the polynomials of what is counted."""
    terms = {name: TERMS[name] for name in names}

    def polynomials(part: str) -> list[Terms]:
        return growth.polynomials(lambda shape: count(shape).flops[part], terms, SHAPES)

    sums = {part: growth.added(polynomials(part), terms) for part in count(SHAPES[0]).flops}
    if "weights" in sums:
        sums["weights"] = {name: factor - sums["activations"][name] for name, factor in sums["weights"].items()}
    return sums


def further(network: Network, head: str, learning: bool) -> tuple[str, ...]:
    """Return the terms of a head beyond `EVERY`, the terms of every head.

    Args:
        network: The network.
        head: The name of the head.
        learning: Whether there is a backward pass.

    Returns:
        "compared" for training that compares all pairs of sequences, "answered" for masked-LM, or none.
    """
    if _compares(network, head):
        return ("compared",) if learning else ()
    return ("answered",) if _predicts_tokens(network, head) else ()


def _compares(network: Network, head: str) -> bool:
    """Return whether sequences are compared with each other: there is no head, or that of a dual encoder."""
    return head not in network.heads or isinstance(network.heads[head], DualEncoderHead)


def _format(network: Network, head: str) -> str:
    module = network.heads[head]
    return module.format if isinstance(module, Head) else ""


def twin(network: Network, device: str = "meta", layers: Sequence[int] | None = None) -> Network:
    """Return a copy of a network without its numbers, with the same weights frozen.

    The copy recomputes no activations, so that its count does not depend on how memory is saved. Its weights are zeros,
    all in float32, as a pass outside of autocast does not mix types.

    Args:
        network: The network.
        device: "meta" or "cpu".
        layers: Numbers of the layers that the copy has; None: all.
    """
    return copied(
        network,
        lambda tensor: torch.zeros(
            tensor.shape, dtype=torch.float32 if tensor.is_floating_point() else tensor.dtype, device=device
        ),
        layers,
    )


def copied(network: Network, like: Callable[[Tensor], Tensor], layers: Sequence[int] | None = None) -> Network:
    """Return a copy of a network without recomputation of activations (gradient checkpointing).

    Args:
        network: The network.
        like: From a parameter or buffer to the tensor that replaces it in the copy, such as one on the meta device.
        layers: Numbers of the layers that the copy has; None: all.

    Returns:
        The copy; `requires_grad` is as in the original.
    """
    chosen = range(len(network.layer_modules)) if layers is None else layers
    left_out = {
        id(tensor)
        for number in {*range(len(network.layer_modules))} - {*chosen}
        for tensor in (*network.layer_modules[number].parameters(), *network.layer_modules[number].buffers())
    }
    memo: dict[int, Any] = {
        id(parameter): nn.Parameter(like(parameter), parameter.requires_grad)
        for parameter in network.parameters()
        if id(parameter) not in left_out
    }
    memo |= {id(buffer): like(buffer) for buffer in network.buffers() if id(buffer) not in left_out}
    duplicate = thinning.only_layers(network, chosen, memo)
    disable: Any = duplicate.backbone.activation_checkpointing_disable
    disable()
    return duplicate


class Place:
    """Where in a network torch computes at the moment: in a layer, or outside of them (-1)."""

    def __init__(self, network: Network) -> None:
        self.layer = -1
        self._hooks: list[Any] = []
        self._above: Tensor | None = None  # what the layer below has returned
        for number, layer in enumerate(network.layer_modules):
            self._hooks.append(layer.register_forward_pre_hook(partial(self._enter, number), with_kwargs=True))
            self._hooks.append(layer.register_forward_hook(partial(self._leave, number)))

    def _enter(self, number: int, layer: nn.Module, args: Any, options: Any) -> None:
        self.layer = number
        states = _hidden((args, options))
        # What is computed between two layers is in none: its backward pass begins where the gradient of the upper one's
        # input is complete, and ends at the lower one's output. All operations of a layer go backward in between, as
        # autograd takes the latest first.
        if states is not None and states is not self._above and states.requires_grad:
            states.register_hook(lambda gradient: self._go(-1))  # type: ignore[no-untyped-call]

    def _leave(self, number: int, layer: nn.Module, args: Any, output: Any) -> None:
        self.layer, self._above = -1, _hidden(output)
        if self._above is not None and self._above.requires_grad:
            self._above.register_hook(lambda gradient: self._go(number))  # type: ignore[no-untyped-call]

    def _go(self, number: int) -> None:
        self.layer = number

    def close(self) -> None:
        """Remove the hooks of modules."""
        for hook in self._hooks:
            hook.remove()


def _hidden(value: Any) -> Tensor | None:
    """Return the first tensor of numbers among a layer's arguments or results: the hidden states."""
    tensors = (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor) and leaf.is_floating_point())
    return next(tensors, None)


class Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Lists the FLOPs of all that torch computes, operation by operation, by the formulas of its own FLOP counter.

    Args:
        place: Where in the network torch is.
        times: How many layers each layer stands for.
    """

    def __init__(self, place: Place, times: Sequence[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.place, self.times = place, (*times, 1)  # -1: outside of layers
        self.flops: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute one operation and count it."""
        result = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.flops.append(self.times[self.place.layer] * formula(*args, **(kwargs or {}), out_val=result))
        return result


@dataclass(frozen=True)
class Operations:
    """The operations of one pass.

    Attributes:
        flops: FLOPs of each operation by part: "forward"; with a backward pass also "activations", which bring the
            gradient to every trained layer, and "weights": all of the backward pass, these included.
        backward: What asks the result of the pass for a gradient.
    """

    flops: Mapping[str, list[int]]
    backward: Backward


def operations(
    network: Network,
    compute: Callable[[], Tensor],
    learning: bool,
    times: Sequence[int],
    states: Tensor | None = None,
    asked: Backward = Backward(),
) -> Operations:
    """Return the FLOPs that torch counts in one pass.

    Random numbers for dropout are drawn aside, so that those of the caller stay as they were.

    Args:
        network: A copy of the network, as `twin` returns it.
        compute: Computes the result of the pass.
        learning: Whether there is a backward pass.
        times: How many layers each layer of the copy stands for.
        states: What the pass begins with, where that is not the network's input.
        asked: Which gradients of `states` a pass further below needs.

    Returns:
        FLOPs, and which gradients of its result the pass needs.
    """
    place = Place(network)
    forward, activations, weights = (Counted(place, times) for _ in PARTS)
    with (
        closing(place),
        torch.random.fork_rng(devices=()),
        sdpa_kernel(SDPBackend.MATH),
        torch.set_grad_enabled(learning),
        _outputs(network) as outputs,
        forward,
    ):
        result = compute().sum()
    if not learning:
        return Operations({"forward": forward.flops}, asked)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    below = [] if states is None else [states]
    backward = Backward(
        _differentiated(result, [*outputs, *below * asked.activations], activations, place),
        _differentiated(result, [*trained, *below * asked.weights], weights, place),
    )
    return Operations(dict(zip(PARTS, (forward.flops, activations.flops, weights.flops), strict=True)), backward)


def _differentiated(result: Tensor, inputs: list[Tensor], counted: Counted, place: Place) -> bool:
    """Count the backward pass from a result to some tensors; return whether any of them has a gradient."""
    if not inputs or not result.requires_grad:
        return False
    place.layer = -1
    with counted:
        gradients = torch.autograd.grad(result, inputs, retain_graph=True, allow_unused=True)
    return any(gradient is not None for gradient in gradients)


def _states(network: Network, shape: Shape) -> Tensor:
    """Return the final states of a batch."""
    device = network.embedding_matrix.device
    ids = torch.zeros(shape.sequences, shape.length, dtype=torch.long, device=device)
    unread = torch.zeros(shape.sequences, 1, 1, shape.length, device=device)  # a mask of four axes is not read
    return network.encode(ids, unread)


def answer(network: Network, head: str, states: Tensor, shape: Shape, learning: bool) -> Tensor:
    """Return what the loss is computed from: logits, or similarities of a headless format.

    Args:
        network: The network.
        head: The name of the head.
        states: Final hidden states (sequences, length, width) without padding.
        shape: The shape of the batch.
        learning: Whether there is a backward pass; without one, a headless format returns the states.

    Returns:
        The logits; for masked-LM those of the first `shape.answered` tokens alone.
    """
    mask = torch.ones(states.shape[:2], dtype=torch.long, device=states.device)
    if _compares(network, head):
        vectors = network.heads[head](states, mask) if head in network.heads else states
        flat = vectors if head in network.heads else states[:, 0]
        return flat[0::2] @ flat[1::2].T if learning else vectors
    if _predicts_tokens(network, head):
        states, mask = states.flatten(0, 1)[: shape.answered, None], mask.flatten()[: shape.answered, None]
    logits: Tensor = network.heads[head](states, mask, network.embedding_matrix)
    return logits


@contextmanager
def _outputs(network: Network) -> Iterator[list[Tensor]]:
    """Collect the outputs of the layers that are trained."""
    outputs: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            outputs.append(output)

    learning = (m for m in network.modules() if any(p.requires_grad for p in m.parameters(recurse=False)))
    hooks = [module.register_forward_hook(keep) for module in learning]
    yield outputs
    for hook in hooks:
        hook.remove()
