"""Features: an encoder's states for labelled examples, as rows with a label each, without any head.

What a row is depends on the format (`Format.features`): of a text or pair, the state that its head would read; of a
sentence in words, the state of each word's first token; of an option, the state that its head would read, right or
wrong; of a question, the tokens at which the answer starts and ends, against as many others of the context. A pair of
translations has no label, only its other half.

    folder = build(features(encoder, (data,), Asking("classification", ("no", "yes"))), machine)
    states = read(folder, "classification")
    transferability.logme(states.states, states.labels)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from xstilts.data.dataset import EXAMPLES
from xstilts.data.examples import Example, TaggingExample
from xstilts.data.examples import read as read_examples
from xstilts.errors import InputError
from xstilts.evaluation.forward import forward_batches
from xstilts.formats import Labels, States, in_languages, task_format
from xstilts.models.batch import IGNORED, ModelInput
from xstilts.models.embedding_pruning import pruned_embeddings
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.heads import pooling_of
from xstilts.models.network import Network
from xstilts.models.pooling import FAMILY, choose_pooling
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.selection import transferability
from xstilts.store import names
from xstilts.store.identity import identity
from xstilts.store.names import format_in_keys
from xstilts.store.stage import BuildContext, Stage, stage
from xstilts.training.train import MODEL

FEATURES = "features.npz"
MOST_ROWS = 2000


@identity(
    "Asking",
    renamed={"format": "kind"},
    always=("labels", "max_length", "examples"),
    encoded={"format": format_in_keys},
)
@dataclass(frozen=True)
class Asking:
    """How examples are encoded for features and task embeddings.

    Attributes:
        format: Their task format.
        labels: The labels, in the order of their numbers; empty: those that occur.
        max_length: Most tokens of a sequence.
        examples: Most examples, drawn once.
        words: How words are tokenized, where it is not as in the first release (`models.word_tokenization`).
        pooling: Which state stands for a sequence where a head reads one, as `Recipe.pooling`.
    """

    format: str
    labels: tuple[str, ...] = ()
    max_length: int = 128
    examples: int = 500
    words: str = ""
    pooling: str = FAMILY


@dataclass(frozen=True)
class Features:
    """Labelled states.

    Attributes:
        format: The task format of the examples.
        states: (rows, width).
        labels: (rows,); of pairs, the rows of one pair have the same label.
    """

    format: str
    states: States
    labels: Labels

    def measures(self) -> dict[str, float]:
        """Compute every transferability measure that the format allows, by name."""
        if task_format(self.format).headless:
            return {"knn": transferability.paired(self.states[0::2], self.states[1::2])}
        names = ("logme", "h_score", "knn")
        return {name: getattr(transferability, name)(self.states, self.labels) for name in names}


def _label(model: Encoder | Stage, data: tuple[Stage, ...], asking: Asking) -> str:
    name = model.label if isinstance(model, Stage) else model.name
    return f"features-{data[0].arguments['data'].task}-{name}"


@stage(name=names.FEATURES, version=1, label=_label)
def features(context: BuildContext, model: Encoder | Stage, data: tuple[Stage, ...], asking: Asking) -> None:
    """Write `features.npz`: the states of a bare encoder for examples with labels, and the labels.

    Args:
        context: Where the stage is built.
        model: A public encoder, or a training whose encoder is taken.
        data: Stages of examples.
        asking: How these are encoded.
    """
    network, tokenizer = load_encoder(model, context)
    inputs = encode_examples(data, asking, network, tokenizer, context)
    task = task_format(asking.format)
    choose_pooling(network.config, asking.pooling)
    pooling = "mean" if task.headless else pooling_of(network.config, asking.format)
    with pruned_embeddings(network, inputs, tokenizer, keep_all=task.language_model):
        network.to(context.machine.torch_device())
        final = final_states(network, asking.format, inputs, tokenizer, context.machine)
        rows = [task.features(model_input, states, pooling) for model_input, states in final]
    states, labels = (np.concatenate(part) for part in zip(*rows, strict=True))
    states, labels = states[labels != IGNORED], labels[labels != IGNORED]
    if not task.headless:  # of pairs, a draw would tear them apart
        drawn_rows = drawn(range(len(labels)), MOST_ROWS)
        states, labels = states[drawn_rows], labels[drawn_rows]
    np.savez(context.folder / FEATURES, states=states.astype(np.float32), labels=labels.astype(np.int64))
    context.record |= {"units": len(inputs), "rows": len(labels), "labels": len(np.unique(labels))}


def read(folder: Path, format: str) -> Features:
    """Read what a `features` stage wrote.

    Args:
        folder: The folder of the stage.
        format: The task format of its examples.

    Returns:
        The states with their labels.
    """
    with np.load(folder / FEATURES) as stored:
        return Features(format, stored["states"], stored["labels"])


def load_encoder(model: Encoder | Stage, context: BuildContext) -> tuple[Network, Tokenizer]:
    """Load an encoder without a head, and its tokenizer.

    Args:
        model: A public encoder, or a training whose encoder is taken.
        context: Finds the folder of a training.

    Returns:
        The network, in evaluation mode on the CPU, and its tokenizer.
    """
    source = context.path(model) / MODEL if isinstance(model, Stage) else model.location
    return Network(load_backbone(source)).eval(), Tokenizer.of(load_tokenizer(source)).cached(context.machine)


def encode_examples(
    data: Sequence[Stage], asking: Asking, network: Network, tokenizer: Tokenizer, context: BuildContext
) -> list[ModelInput]:
    """Encode a fixed draw of examples.

    Args:
        data: Stages of examples.
        asking: Their format, labels, maximum length and number.
        network: Clips the maximum length to its positions.
        tokenizer: The tokenizer of the network.
        context: Finds the folders of the data.

    Returns:
        Model inputs with their labels.

    Raises:
        InputError: There are no examples.
    """
    parts = [list(read_examples(context.path(part) / EXAMPLES, asking.format)) for part in data]
    every = [example for part in parts for example in part]
    examples = drawn(every, asking.examples)
    if not examples:
        raise InputError(f"no examples in '{data[0].label}' to look at: give other data")
    labels, max_length = asking.labels or _tags(every), network.clip_max_length(asking.max_length)
    inputs = task_format(asking.format).encode(examples, tokenizer, max_length, labels, Counter())
    if not network.family.adapters:
        return inputs
    codes = [stage.arguments["data"].language for stage, part in zip(data, parts, strict=True) for _ in part]
    return in_languages(inputs, examples, drawn(codes, asking.examples))


def drawn(items: Sequence[Any], most: int) -> list[Any]:
    """Draw at most so many items, always the same ones, in their order.

    Args:
        items: Any sequence.
        most: How many.

    Returns:
        All items, or `most` of them drawn without replacement by a fixed seed.

    >>> drawn("abc", 5)
    ['a', 'b', 'c']
    """
    if len(items) <= most:
        return list(items)
    return [items[number] for number in np.sort(np.random.default_rng(0).choice(len(items), most, replace=False))]


def _tags(examples: Sequence[Example]) -> tuple[str, ...]:
    tagged = (example for example in examples if isinstance(example, TaggingExample))
    return tuple(sorted({tag for example in tagged for tag in example.tags}))


def final_states(
    network: Network, format: str, inputs: Sequence[ModelInput], tokenizer: Tokenizer, machine: Runtime
) -> Iterator[tuple[ModelInput, list[States]]]:
    """Compute the encoder's final states.

    Args:
        network: On the device of `machine`.
        format: What the inputs were encoded by.
        inputs: Model inputs, in any order.
        tokenizer: Pads (and masks) batches.
        machine: Device, arithmetic and most tokens of a batch.

    Yields:
        Each input, in the order given, with the states of each of its sequences, each (tokens, width).
    """
    task, random = task_format(format), torch.Generator().manual_seed(1)
    by_input: list[list[States]] = [[] for _ in inputs]
    for numbers, hidden in forward_batches(
        network,
        inputs,
        lambda chosen: task.collate(chosen, tokenizer, random),
        lambda batch, chosen: network.encode(batch.ids, batch.mask, languages=batch.languages).float().cpu().numpy(),
        machine,
        max_tokens=machine.most_tokens(),
    ):
        rows = iter(hidden)
        for number in numbers:
            by_input[number] = [next(rows)[: len(sequence)].copy() for sequence in inputs[number].sequences]
    yield from zip(inputs, by_input, strict=True)
