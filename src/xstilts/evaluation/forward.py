"""The forward loop: run model inputs through a network in length-bucketed batches, in evaluation mode.

Predictions, features, task embeddings and the stored states of frozen layers differ only in how a batch is collated and
what is computed from it; the loop itself, with its progress and its entry in the cost ledger, is here.

    for numbers, states in forward_batches(network, inputs, collate, encode, machine, max_tokens=1024):
        ...  # numbers: positions in `inputs`; states: what `encode` returned for their batch
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from xstilts.cost import ledger
from xstilts.errors import InputError
from xstilts.models.batch import Batch, ModelInput
from xstilts.models.batching import length_bucketed_batches
from xstilts.models.network import Network
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime

R = TypeVar("R")


class NotFinite(InputError):
    """An encoder gave states that are NaN or infinite.

    Args:
        number: The position of the input, or of its example.
        layer: The first layer whose states are not finite; 0: the embeddings; above the last layer: the head's outputs.
        depth: How many layers there are.
        example: The id of the example; "": not known here.
    """

    def __init__(self, number: int, layer: int, depth: int, example: str = "") -> None:
        place = "states of the embeddings" if layer == 0 else f"states of layer {layer} of {depth}"
        place = "outputs of the head" if layer > depth else place
        name = f"example '{example}'" if example else f"input {number}"
        super().__init__(
            f"{place} are NaN or infinite for {name}, so that no score would mean anything: check the "
            "encoder's weights, or compute with --precision fp32"
        )
        self.number, self.layer, self.depth = number, layer, depth


@contextmanager
def finite_states(network: Network) -> Iterator[Callable[[Batch, Sequence[int]], None]]:
    """Within this context a network's final states are looked at.

    Args:
        network: Whose backbone is called.

    Yields:
        A function that raises `NotFinite` where the states of the last pass, that of a batch on the device, are not
        finite; it takes the batch and the number of the input that each sequence belongs to.
    """
    last: list[Tensor] = []

    def keep(module: nn.Module, arguments: Any, output: Any) -> None:
        states = getattr(output, "last_hidden_state", None)
        last[:] = [] if states is None else [states]

    def check(batch: Batch, numbers: Sequence[int]) -> None:
        if not last:
            return
        # Whatever is at padding is used by nothing; of a packed batch the states are those of tokens alone.
        states = last.pop()
        row = states if batch.packing is not None else states[batch.mask.bool()]
        if torch.isfinite(row).all():
            return
        every = network.all_hidden_states(batch.ids, batch.mask, batch.packing, batch.languages)
        wrong = ~torch.isfinite(every).all(dim=-1) & batch.mask.bool()
        layer, sequence = (int(place) for place in wrong.any(dim=-1).nonzero()[0])
        raise NotFinite(numbers[sequence], layer, network.depth)

    hook = network.backbone.register_forward_hook(keep)
    try:
        yield check
    finally:
        hook.remove()


def forward_batches(
    network: Network,
    inputs: Sequence[ModelInput],
    collate: Callable[[list[ModelInput]], Batch],
    compute: Callable[[Batch, list[ModelInput]], R],
    machine: Runtime,
    *,
    max_tokens: int,
    packed: bool = False,
    head: str | None = None,
    label: str = "",
) -> Iterator[tuple[list[int], R]]:
    """Run model inputs through a network, batch by batch.

    No gradients are kept. The network is in evaluation mode until the last batch, and then as it was before.

    Args:
        network: On the device of `machine`.
        inputs: What to run; they are sorted by length into batches.
        collate: Makes a batch of some inputs, on the CPU.
        compute: Computes something from a batch on the device, such as `Format.predict` or `Network.encode`.
        machine: Device and arithmetic (autocast).
        max_tokens: Most tokens of a batch, padding included.
        packed: Compute no padding (`models.packed_attention`).
        head: Under which the passes are counted in the cost ledger; None: they are not counted.
        label: Shown as progress; "": none.

    Yields:
        The positions in `inputs` of a batch, and what `compute` returned for it; the longest inputs come first.

    Raises:
        NotFinite: The encoder's final states are NaN or infinite.
    """
    device, was_training = machine.torch_device(), network.training
    batches = length_bucketed_batches(inputs, max_tokens)
    network.eval()
    try:
        for done, numbers in enumerate(batches, start=1):
            chosen = [inputs[number] for number in numbers]
            batch = collate(chosen)
            batch = batch.packed() if packed else batch
            if head is not None:
                ledger.count_forward_pass(head, batch)
            batch = batch.to(device)
            with finite_states(network) as check, torch.inference_mode(), machine.arithmetic():
                result = compute(batch, chosen)
                check(batch, [number for number in numbers for _ in inputs[number].sequences])
            yield numbers, result
            if label:
                progress.step(label, done, len(batches))
    finally:
        network.train(was_training)
