"""Task embeddings: a task as a vector, so that tasks can be compared (Vu et al. 2020).

TextEmb is the mean state of a task's texts in the encoder as it is: what the texts are like. TaskEmb is the diagonal of
the empirical Fisher information of an encoder after a short training on the task: which weights the task changes. The
Fisher is averaged over the weights of one output neuron, as Task2Vec (Achille et al. 2019) averages over a filter, and
kept by layer; layers are compared one by one and the cosines averaged, so that no layer dominates.

    one, other = (read(build(fisher(model, data, asking), machine)) for model, data in pairs)
    transferability.alike(one, other)
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
from xstilts.selection.features import Asking, encode_examples, final_states, load_encoder
from xstilts.store import names
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.training.train import MODEL

EMBEDDING = "embedding.npz"
TEXT = "text"
CONTRASTED = 8  # inputs of a batch whose loss compares them with each other
MOST_GRADIENTS = 100  # examples of a Fisher: each takes a forward and a backward pass

Embedding = dict[str, NDArray[np.float64]]


def _named(data: tuple[Stage, ...]) -> str:
    return str(data[0].arguments["data"].task)


@stage(name=names.TEXT_EMBEDDING, version=1, label=lambda encoder, data, asking: f"textemb-{_named(data)}")
def text_embedding(context: BuildContext, encoder: Encoder | Stage, data: tuple[Stage, ...], asking: Asking) -> None:
    """Write `embedding.npz`: the mean over texts of the mean over their tokens of an encoder's final states, (width,).

    Args:
        context: Where the stage is built.
        encoder: A public encoder, or a training whose encoder is taken.
        data: Stages of examples.
        asking: How these are encoded.
    """
    network, tokenizer = load_encoder(encoder, context)
    inputs = encode_examples(data, asking, network, tokenizer, context)
    with pruned_embeddings(network, inputs, tokenizer, keep_all=task_format(asking.format).language_model):
        network.to(context.machine.torch_device())
        final = final_states(network, asking.format, inputs, tokenizer, context.machine)
        means = [sequence.mean(axis=0) for _, states in final for sequence in states]
    _write(context.folder, {TEXT: np.mean(np.stack(means), axis=0, dtype=np.float64)})
    context.record |= {"units": len(inputs)}


@stage(name=names.FISHER, version=1, label=lambda model, data, asking: f"taskemb-{_named(data)}")
def fisher(context: BuildContext, model: Stage, data: tuple[Stage, ...], asking: Asking) -> None:
    """Write `embedding.npz`: for each layer, the mean squared gradient of an example's loss, a number a neuron.

    The labels are those of the data, which makes the Fisher the empirical one.

    Args:
        context: Where the stage is built.
        model: A training that ended with a head for the task, from which the labels are taken.
        data: Stages of examples.
        asking: How these are encoded; its labels are ignored where there is a head.
    """
    network, tokenizer = load_encoder(model, context)
    task, labels = task_format(asking.format), asking.labels
    if not task.headless:
        network, wrapped, labels = load(context.path(model) / MODEL, asking.format)
        tokenizer = Tokenizer.of(wrapped).cached(context.machine)
    asking = replace(asking, labels=labels, examples=min(asking.examples, MOST_GRADIENTS))
    inputs = encode_examples(data, asking, network, tokenizer, context)
    with pruned_embeddings(network, inputs, tokenizer, keep_all=task.language_model):
        network.to(context.machine.torch_device())
        embedding = squared_gradients(network, task, inputs, tokenizer, context.machine)
    _write(context.folder, embedding)
    context.record |= {"units": len(inputs)}


def _write(folder: Path, embedding: Embedding) -> None:
    parts: dict[str, Any] = dict(embedding)
    np.savez(folder / EMBEDDING, **parts)


def read(folder: Path) -> Embedding:
    """Read a task embedding.

    Args:
        folder: The folder of the stage.

    Returns:
        Its parts by name: "text", or "layer 0", "layer 1", …
    """
    with np.load(folder / EMBEDDING) as stored:
        return {name: stored[name] for name in stored.files}


def squared_gradients(
    network: Network, format: Format, inputs: Sequence[ModelInput], tokenizer: Tokenizer, machine: Runtime
) -> Embedding:
    """Compute the squared gradients of the mean loss of an example, averaged over examples and rows of weights.

    Args:
        network: On the device of `machine`; afterwards its layers alone have gradients.
        format: What the inputs were encoded by.
        inputs: Labelled examples.
        tokenizer: Pads (and masks) batches.
        machine: Device and arithmetic.

    Returns:
        A vector for each layer: of each matrix one number a row, of each vector all its numbers.
    """
    network.eval()
    network.requires_grad_(False)
    layers = {f"layer {number}": list(layer.parameters()) for number, layer in enumerate(network.layer_modules)}
    every = [weight for weights in layers.values() for weight in weights]
    for weight in every:
        weight.requires_grad_(True)
    total = [torch.zeros_like(_by_neuron(weight)) for weight in every]
    count = 0
    for gradients in _gradients(network, format, inputs, tokenizer, machine, every):
        count += 1
        for place, gradient in zip(total, gradients, strict=True):
            place += _by_neuron(gradient.square())
    means = iter(total)
    parts = {name: [next(means) for _ in weights] for name, weights in layers.items()}
    return {name: torch.cat(part).double().cpu().numpy() / max(count, 1) for name, part in parts.items()}


def _by_neuron(weights: Tensor) -> Tensor:
    """Return one number for each output neuron: the mean over a matrix's row."""
    return weights.detach().flatten(1).mean(1) if weights.dim() > 1 else weights.detach()


def _gradients(
    network: Network,
    format: Format,
    inputs: Sequence[ModelInput],
    tokenizer: Tokenizer,
    machine: Runtime,
    weights: list[nn.Parameter],
) -> Iterator[tuple[Tensor, ...]]:
    """Yield the gradients of the mean loss of each example that has one."""
    device, random = machine.torch_device(), torch.Generator().manual_seed(1)
    for chosen in _groups(inputs, 1 if format.divisible else CONTRASTED):
        batch = format.collate(chosen, tokenizer, random)
        if not (batch.targets != IGNORED).any():
            continue
        with machine.arithmetic():
            loss = format.loss(network, "head", batch.to(device)) / batch.labels
        grads = torch.autograd.grad(loss, weights, allow_unused=True)
        yield tuple(torch.zeros_like(w) if g is None else g.float() for w, g in zip(weights, grads, strict=True))


def _groups(inputs: Sequence[ModelInput], size: int) -> Iterable[Sequence[ModelInput]]:
    """Return inputs one by one, or in groups where a loss compares several; a last group of one is left out."""
    groups = [inputs[start : start + size] for start in range(0, len(inputs), size)]
    return [group for group in groups if len(group) > 1 or size == 1]
