"""Taskspace: a task as a point, so that tasks can be near each other (Vu et al. 2020).

TextEmb is the mean state of a task's texts in the encoder as it is: what the texts are like. TaskEmb is the diagonal of
the empirical Fisher information of an encoder that has begun to learn the task: which weights the task pulls at. The
Fisher is averaged over the weights that feed one unit, as Task2Vec (Achille et al. 2019) does over a filter, and kept
by layer; layers are compared one by one and the cosines averaged, so that no layer drowns the others.

    near = transferability.alike(read(build(fisher(peek, data, asking), machine)), read(build(other, machine)))
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xstilts.formats import Format, task_format
from xstilts.models.batch import IGNORED, ModelInput
from xstilts.models.embedding_pruning import pruned_embeddings
from xstilts.models.encoder import Encoder
from xstilts.models.hf_format import load
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.selection.features import Asking, encoded, opened, shown
from xstilts.store import names
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.training.train import MODEL

EMBEDDING = "embedding.npz"
TEXT = "text"
HEAP = 8  # pairs whose loss needs others beside them
MOST_GRADIENTS = 100  # examples of a Fisher: each takes a pass of its own

Embedding = dict[str, NDArray[np.float64]]


def _named(data: tuple[Stage, ...]) -> str:
    return str(data[0].arguments["data"].task)


@stage(name=names.TEXT_EMBEDDING, version=1, label=lambda encoder, data, asking: f"textemb-{_named(data)}")
def text_embedding(site: BuildContext, encoder: Encoder | Stage, data: tuple[Stage, ...], asking: Asking) -> None:
    """Write `embedding.npz`: the mean over texts of the mean over their pieces of an encoder's final states."""
    network, tokens = opened(encoder, site)
    units = encoded(data, asking, network, tokens, site)
    with pruned_embeddings(network, [asking.format], units, tokens):
        network.to(site.machine.torch_device())
        every = shown(network, asking.format, units, tokens, site.machine)
        means = [sequence.mean(axis=0) for _, states in every for sequence in states]
    _write(site.folder, {TEXT: np.mean(np.stack(means), axis=0, dtype=np.float64)})
    site.record |= {"units": len(units)}


@stage(name=names.FISHER, version=1, label=lambda model, data, asking: f"taskemb-{_named(data)}")
def fisher(site: BuildContext, model: Stage, data: tuple[Stage, ...], asking: Asking) -> None:
    """Write `embedding.npz`: for each layer, the mean squared gradient of an example's loss, a number a unit.

    model: a training that ended with a head for the task; `asking.labels` are taken from there. The labels are those of
    the data, which makes the Fisher the empirical one.
    """
    network, tokens = opened(model, site)
    labels = asking.labels
    if not task_format(asking.format).headless:
        network, tokenizer, labels = load(site.path(model) / MODEL, asking.format)
        tokens = Tokenizer.of(tokenizer).kept(site.machine)
    asked = replace(asking, labels=labels, examples=min(asking.examples, MOST_GRADIENTS))
    units = encoded(data, asked, network, tokens, site)
    with pruned_embeddings(network, [asking.format], units, tokens):
        network.to(site.machine.torch_device())
        found = squared(network, task_format(asking.format), units, tokens, site.machine)
    _write(site.folder, found)
    site.record |= {"units": len(units)}


def _write(folder: Path, embedding: Embedding) -> None:
    parts: dict[str, Any] = dict(embedding)
    np.savez(folder / EMBEDDING, **parts)


def read(folder: Path) -> Embedding:
    """Return the parts of an embedding by name."""
    with np.load(folder / EMBEDDING) as held:
        return {name: held[name] for name in held.files}


def squared(
    network: Network, how: Format, units: Sequence[ModelInput], tokens: Tokenizer, machine: Runtime
) -> Embedding:
    """Return by layer the squared gradients of the mean loss of an example, averaged over examples and weights."""
    network.eval()
    network.requires_grad_(False)
    layers = {f"layer {number}": list(layer.parameters()) for number, layer in enumerate(network.layer_modules)}
    every = [weight for weights in layers.values() for weight in weights]
    for weight in every:
        weight.requires_grad_(True)
    total = [torch.zeros_like(_a_unit(weight)) for weight in every]
    count = 0
    for gradients in _gradients(network, how, units, tokens, machine, every):
        count += 1
        for place, gradient in zip(total, gradients, strict=True):
            place += _a_unit(gradient.square())
    means = iter(total)
    parts = {name: [next(means) for _ in weights] for name, weights in layers.items()}
    return {name: torch.cat(part).double().cpu().numpy() / max(count, 1) for name, part in parts.items()}


def _a_unit(weights: Tensor) -> Tensor:
    """Return one number for each unit that weights feed: the mean over a matrix's row."""
    return weights.detach().flatten(1).mean(1) if weights.dim() > 1 else weights.detach()


def _gradients(
    network: Network,
    how: Format,
    units: Sequence[ModelInput],
    tokens: Tokenizer,
    machine: Runtime,
    weights: list[nn.Parameter],
) -> Iterator[tuple[Tensor, ...]]:
    """Yield the gradients of the mean loss of each example that has one."""
    device, random = machine.torch_device(), torch.Generator().manual_seed(1)
    for chosen in _examples(units, 1 if how.divisible else HEAP):
        batch = how.collate(chosen, tokens, random)
        if not (batch.targets != IGNORED).any():
            continue
        with machine.arithmetic():
            loss = how.loss(network, "head", batch.to(device)) / batch.labels
        grads = torch.autograd.grad(loss, weights, allow_unused=True)
        yield tuple(torch.zeros_like(w) if g is None else g.float() for w, g in zip(weights, grads, strict=True))


def _examples(units: Sequence[ModelInput], size: int) -> Iterable[Sequence[ModelInput]]:
    """Return units alone, or in heaps where a loss needs several; a last heap of one is left out."""
    heaps = [units[start : start + size] for start in range(0, len(units), size)]
    return [heap for heap in heaps if len(heap) > 1 or size == 1]
