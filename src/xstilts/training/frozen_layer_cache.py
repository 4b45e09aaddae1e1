"""Prefix: what the frozen layers below all that is trained make of each sequence, computed once instead of every epoch.

Where a recipe freezes the embeddings and the lowest layers, these run without dropout (`Network.train`), so that they
give a sequence the same states in every epoch. The states are computed in batches of like length and kept in a file
below the store, named by a digest of all that decides them: another recipe or seed over the same layers and data finds
them there. In a training step the frozen layers answer with the stored states, and the work begins above them.

    below = prefix.computed(network, units, tokens, machine)
    with below.given(network, units[:32]):
        loss = format.loss(network, head, format.collate(units[:32], tokens))
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xstilts.models.batch import ModelInput, batch
from xstilts.models.batching import length_bucketed_batches
from xstilts.models.network import Network
from xstilts.models.tokenization import Ids, Tokenizer
from xstilts.runtime import progress
from xstilts.runtime.disk_cache import DiskCache
from xstilts.runtime.machine import Runtime

FOLDER = ".prefix"
MEANING = 1  # raise it when other states would be stored under the same digest


@dataclass(frozen=True)
class FrozenLayerCache:
    """States (pieces of all sequences one after another, width), and where those of a sequence begin."""

    states: NDArray[np.float32]
    starts: dict[bytes, int]

    @contextmanager
    def given(self, network: Network, units: Sequence[ModelInput], packed: bool = False) -> Iterator[None]:
        """Let the frozen layers give the stored states of a batch of units, packed or padded, if there are any."""
        if not self.starts:
            yield
            return
        sequences = [sequence for unit in units for sequence in unit.sequences]
        stored = (self._packed(sequences) if packed else self._padded(sequences)).to(network.embedding_matrix.device)
        answer = (stored, None) if network.family.gives == "pair" else stored
        with _answering(network.layer_modules[: network.prefix], lambda *_, **__: answer):
            yield

    def _packed(self, sequences: list[Ids]) -> Tensor:
        """Return the states of sequences one after another (1, pieces, width)."""
        starts = (self.starts[sequence.tobytes()] for sequence in sequences)
        parts = [self.states[start : start + len(one)] for start, one in zip(starts, sequences, strict=True)]
        return torch.from_numpy(np.concatenate(parts))[None]

    def _padded(self, sequences: list[Ids]) -> Tensor:
        """Return the states of sequences (sequences, longest, width), zero where there is no piece."""
        longest = max(len(sequence) for sequence in sequences)
        table = np.zeros((len(sequences), longest, self.states.shape[1]), dtype=np.float32)
        for row, sequence in zip(table, sequences, strict=True):
            start = self.starts[sequence.tobytes()]
            row[: len(sequence)] = self.states[start : start + len(sequence)]
        return torch.from_numpy(table)


NOTHING = FrozenLayerCache(np.empty((0, 0), dtype=np.float32), {})


def computed(network: Network, units: Iterable[ModelInput], tokens: Tokenizer, machine: Runtime) -> FrozenLayerCache:
    """Return the states of the sequences of units, from the store or computed and put there.

    NOTHING, and so a plain training, where no layer is frozen below the trained ones, where layers hand on more than
    states (mT5's and umT5's also the biases of positions), and, with a note, where they need more than
    `machine.prefix_gib`, or more than half of what is free on the disk.
    """
    if not network.prefix or network.family.gives == "more" or not machine.prefix_gib:
        return NOTHING
    distinct = {sequence.tobytes(): sequence for unit in units for sequence in unit.sequences}
    ordered = sorted(distinct.values(), key=lambda sequence: -len(sequence))
    starts = np.cumsum([0, *(len(sequence) for sequence in ordered)]).tolist()
    shape = (starts.pop(), network.width)
    name, size = f"{_digest(network, ordered, machine)}.states", 4 * shape[0] * shape[1]
    shelf = DiskCache(machine.store / FOLDER, machine.prefix_gib, "the states of the frozen layers")
    with shelf.locked():
        path = shelf.find(name) or shelf.place(name, size, lambda file: _fill(file, network, ordered, tokens, machine))
        if path is None:
            return NOTHING
        states = np.memmap(path, dtype=np.float32, mode="r", shape=shape)
    return FrozenLayerCache(
        states, {sequence.tobytes(): start for sequence, start in zip(ordered, starts, strict=True)}
    )


def _digest(network: Network, sequences: list[Ids], machine: Runtime) -> str:
    """Return what names the states: weights below, rows that pieces have, configuration, sequences, arithmetic."""
    total = hashlib.sha256()
    above = {id(parameter) for layer in network.layer_modules[network.prefix :] for parameter in layer.parameters()}
    frozen = [one for one in network.backbone.named_parameters() if id(one[1]) not in above]
    for name, value in [*frozen, *network.backbone.named_buffers()]:
        total.update(f"{name} {tuple(value.shape)}".encode())
        total.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    config = {name: value for name, value in network.config.to_dict().items() if name != "_name_or_path"}
    arithmetic = (machine.torch_device().type, machine.precision, torch.__version__)
    facts = (MEANING, network.prefix, config, arithmetic)
    total.update(json.dumps(facts, sort_keys=True, default=str).encode())
    for sequence in sequences:
        total.update(len(sequence).to_bytes(4, "little") + sequence.tobytes())
    return total.hexdigest()[:24]


@torch.no_grad()
def _fill(file: BinaryIO, network: Network, sequences: list[Ids], tokens: Tokenizer, machine: Runtime) -> None:
    """Compute the states of sequences, the longest first, and write them."""
    units = [ModelInput(number, (sequence,)) for number, sequence in enumerate(sequences)]
    batches = length_bucketed_batches(units, machine.most_tokens())
    was_training = network.training
    network.eval()
    for number, numbers in enumerate(batches, start=1):
        chosen = [units[n] for n in numbers]
        for unit, states in zip(chosen, _below(network, chosen, tokens, machine), strict=True):
            file.write(states[: unit.length].tobytes())
        progress.step("frozen layers", number, len(batches))
    network.train(was_training)


def _below(network: Network, units: list[ModelInput], tokens: Tokenizer, machine: Runtime) -> NDArray[np.float32]:
    """Return what the last frozen layer makes of units, (sequences, pieces, width); the layers above do nothing."""
    ready = batch(units, tokens, torch.empty(0)).to(machine.torch_device())
    found: list[Any] = []
    hook = network.layer_modules[network.prefix - 1].register_forward_hook(
        lambda module, inputs, output: found.append(output)
    )
    try:
        with machine.arithmetic(), _answering(network.layer_modules[network.prefix :], lambda *_, **__: found[0]):
            network.encode(ready.ids, ready.mask)
    finally:
        hook.remove()
    states = found[0][0] if isinstance(found[0], tuple) else found[0]
    whole: NDArray[np.float32] = states.float().cpu().numpy()
    return whole


@contextmanager
def _answering(layers: Sequence[Any], forward: Any) -> Iterator[None]:
    """Let layers do something else."""
    for layer in layers:
        layer.forward = forward
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
