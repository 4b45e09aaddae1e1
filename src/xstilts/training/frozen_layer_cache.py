"""Frozen-layer cache: the states that frozen lower layers give each sequence, computed once instead of every epoch.

Where a recipe freezes the embeddings and the lowest layers, these run without dropout (`Network.train`), so that they
give a sequence the same states in every epoch. The states are computed once and kept in a file below the store, named
by a digest of all that decides them: another recipe or seed over the same layers and data finds them there. In a
training step the frozen layers return the stored states, and computation starts above them.

    cache = cached_states(network, inputs, tokenizer, machine)
    with cache.replayed(network, inputs[:32]):
        loss = format.loss(network, head, format.collate(inputs[:32], tokenizer))
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xstilts.errors import InputError
from xstilts.evaluation.forward import forward_batches
from xstilts.models.batch import Batch, ModelInput, batch
from xstilts.models.network import Network
from xstilts.models.tokenization import Ids, Tokenizer
from xstilts.runtime import progress
from xstilts.runtime.disk_cache import GIB, DiskCache
from xstilts.runtime.machine import Runtime, available_memory_bytes

FOLDER = ".prefix"
MEANING = 3  # raise it when other states would be stored under the same digest
DIGEST = hashlib.sha256().digest_size  # bytes after the states
PART = 2**24


@dataclass(frozen=True)
class FrozenLayerCache:
    """Stored states of the highest frozen layer.

    Attributes:
        states: The states of all sequences one after another, (tokens, width).
        starts: For the bytes of a sequence's ids, the row of its first token.
    """

    states: NDArray[np.float32]
    starts: dict[bytes, int]

    @contextmanager
    def replayed(self, network: Network, inputs: Sequence[ModelInput], packed: bool = False) -> Iterator[None]:
        """Within this context the frozen layers return the stored states of these inputs and are not run.

        Args:
            network: The network, with the frozen layers that the states are from.
            inputs: The model inputs of the batch that the network will be given, in its order.
            packed: Whether that batch is packed.

        Yields:
            Nothing; without frozen layers the context does nothing.
        """
        if not self.starts:
            yield
            return
        sequences = [sequence for model_input in inputs for sequence in model_input.sequences]
        stored = (self._packed(sequences) if packed else self._padded(sequences)).to(network.embedding_matrix.device)
        output = (stored, None) if network.family.gives == "pair" else stored
        with _returning(network.layer_modules[: network.prefix], lambda *_, **__: output):
            yield

    def _packed(self, sequences: list[Ids]) -> Tensor:
        """Return the states of sequences one after another, (1, tokens, width)."""
        starts = (self.starts[sequence.tobytes()] for sequence in sequences)
        parts = [self.states[start : start + len(sequence)] for start, sequence in zip(starts, sequences, strict=True)]
        return torch.from_numpy(np.concatenate(parts))[None]

    def _padded(self, sequences: list[Ids]) -> Tensor:
        """Return the states of sequences, (sequences, longest, width), zero where there is padding."""
        longest = max(len(sequence) for sequence in sequences)
        table = np.zeros((len(sequences), longest, self.states.shape[1]), dtype=np.float32)
        for row, sequence in zip(table, sequences, strict=True):
            start = self.starts[sequence.tobytes()]
            row[: len(sequence)] = self.states[start : start + len(sequence)]
        return torch.from_numpy(table)


NOTHING = FrozenLayerCache(np.empty((0, 0), dtype=np.float32), {})


def cached_states(
    network: Network, inputs: Iterable[ModelInput], tokenizer: Tokenizer, machine: Runtime
) -> FrozenLayerCache:
    """Return the states of the frozen layers for all sequences, from the store or computed and stored there.

    Args:
        network: On its device, frozen as it will be trained.
        inputs: What it will be trained on.
        tokenizer: Pads batches.
        machine: Store, arithmetic, and `prefix_gib`, the most that such files may take.

    Returns:
        `NOTHING`, with which a training runs all layers, where no layer is frozen below the trained ones, where layers
        pass on more than states (in mT5 and umT5 also position biases) or read a text by its language (X-MOD), and,
        with a note, where the states need more than `machine.prefix_gib`. The free disk space does not decide it, as
        stored states and layers that are run differ by rounding: without room on the disk the states are in memory.

    Raises:
        InputError: Neither half of the free disk nor half of the free memory holds the states.
    """
    if not network.prefix or network.family.gives == "more" or network.family.adapters or not machine.prefix_gib:
        return NOTHING
    distinct = {sequence.tobytes(): sequence for model_input in inputs for sequence in model_input.sequences}
    # The longest first, as `forward_batches` yields them: rows can be written to the file as they come.
    ordered = sorted(distinct.values(), key=lambda sequence: -len(sequence))
    starts = np.cumsum([0, *(len(sequence) for sequence in ordered)]).tolist()
    shape = (starts.pop(), network.width)
    name, size = f"{_digest(network, ordered, machine)}.states", 4 * shape[0] * shape[1]
    cache = DiskCache(machine.store / FOLDER, machine.prefix_gib, "the states of the frozen layers")
    if cache.is_too_small(size + DIGEST):
        return NOTHING
    states: NDArray[np.float32]
    with cache.locked():
        path = _whole(cache.find(name), size) or cache.place(
            name, size + DIGEST, lambda file: _write(file, network, ordered, tokenizer, machine)
        )
        if path:
            states = np.memmap(path, dtype=np.float32, mode="r", shape=shape)
    if path is None:
        if size > available_memory_bytes() // 2:
            raise InputError(
                f"{cache.holds} need {size / GIB:.1f} GiB, more than half of the free disk at {machine.store} and half "
                "of the free memory: free disk space, or put the store (--store) on a larger disk"
            )
        memory = mmap.mmap(-1, size)
        _compute(memory, network, ordered, tokenizer, machine)
        states = np.frombuffer(memory, dtype=np.float32).reshape(shape)
    return FrozenLayerCache(
        states, {sequence.tobytes(): start for sequence, start in zip(ordered, starts, strict=True)}
    )


def _digest(network: Network, sequences: list[Ids], machine: Runtime) -> str:
    """Return a digest of what decides the states: frozen weights and buffers, configuration, sequences, arithmetic."""
    total = hashlib.sha256()

    above = {id(parameter) for layer in network.layer_modules[network.prefix :] for parameter in layer.parameters()}
    frozen = [pair for pair in network.backbone.named_parameters() if id(pair[1]) not in above]
    for name, value in [*frozen, *network.backbone.named_buffers()]:
        total.update(f"{name} {tuple(value.shape)}".encode())
        total.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    config = {name: value for name, value in network.config.to_dict().items() if name != "_name_or_path"}
    arithmetic = (machine.torch_device().type, machine.precision, machine.most_tokens(), torch.__version__)
    facts = (MEANING, network.prefix, config, arithmetic)
    total.update(json.dumps(facts, sort_keys=True, default=str).encode())
    for sequence in sequences:
        total.update(len(sequence).to_bytes(4, "little") + sequence.tobytes())
    return total.hexdigest()[:24]


def _whole(path: Path | None, size: int) -> Path | None:
    """Return a file of states if it is as it was written; None where it is not."""
    if path is None:
        return None
    total, left = hashlib.sha256(), size
    with path.open("rb") as file:
        while left and (part := file.read(min(left, PART))):
            total.update(part)
            left -= len(part)
        if left == 0 and file.read() == total.digest():
            return path
    progress.note(f"{path} is damaged: these states of the frozen layers are computed again")
    return None


class _Written(Protocol):
    """What bytes can be written to: a file, or memory that is used like one."""

    def write(self, data: bytes, /) -> object:
        """Write bytes after those written before."""


class _Digesting:
    """A file that keeps a digest of what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.total = file, hashlib.sha256()

    def write(self, data: bytes) -> None:
        """Write to the file."""
        self.total.update(data)
        self.file.write(data)


def _write(file: BinaryIO, network: Network, sequences: list[Ids], tokenizer: Tokenizer, machine: Runtime) -> None:
    """Write the states of sequences, and then the digest of all."""
    digesting = _Digesting(file)
    _compute(digesting, network, sequences, tokenizer, machine)
    file.write(digesting.total.digest())


def _compute(file: _Written, network: Network, sequences: list[Ids], tokenizer: Tokenizer, machine: Runtime) -> None:
    """Compute the states of sequences, the longest first, and write them in that order."""
    inputs = [ModelInput(number, (sequence,)) for number, sequence in enumerate(sequences)]
    for numbers, states in forward_batches(
        network,
        inputs,
        lambda chosen: batch(chosen, tokenizer, torch.empty(0)),
        lambda ready, chosen: _frozen_output(network, ready),
        machine,
        max_tokens=machine.most_tokens(),
        label="frozen layers",
    ):
        for number, row in zip(numbers, states, strict=True):
            file.write(row[: inputs[number].length].tobytes())


def _frozen_output(network: Network, ready: Batch) -> NDArray[np.float32]:
    """Return the output of the highest frozen layer, (sequences, tokens, width); the layers above are not run."""
    outputs: list[Any] = []
    hook = network.layer_modules[network.prefix - 1].register_forward_hook(
        lambda module, inputs, output: outputs.append(output)
    )
    try:
        # The layers above pass on what they are given, so that the forward pass of any family runs to its end.
        with _returning(network.layer_modules[network.prefix :], lambda *_, **__: outputs[0]):
            network.encode(ready.ids, ready.mask)
    finally:
        hook.remove()
    states = outputs[0][0] if isinstance(outputs[0], tuple) else outputs[0]
    array: NDArray[np.float32] = states.float().cpu().numpy()
    return array


@contextmanager
def _returning(layers: Sequence[Any], forward: Any) -> Iterator[None]:
    """Replace the forward functions of layers."""
    for layer in layers:
        layer.forward = forward
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
