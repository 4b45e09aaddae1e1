"""Features: what an encoder makes of labelled examples, as rows of states with a label each, without any head.

What a row is depends on the format: of a text or pair, the state that its head would read; of a sentence in words, each
word's first piece; of an option, the state that its head would read, right or wrong; of a question, the pieces at
which the answer starts and ends, against as many drawn from the rest of the context. LogME and its like need few
labels, and "which of 300 pieces" is not few, so a span is asked for as these two. A pair of translations has no
label, only its other half.

    found = read(build(features(encoder, (data,), Asking("classification", ("no", "yes"))), machine))
    transferability.logme(found.states, found.labels)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xstilts.data.dataset import EXAMPLES
from xstilts.data.examples import Example, TaggingExample
from xstilts.data.examples import read as read_examples
from xstilts.errors import InputError
from xstilts.formats import Format, task_format
from xstilts.models.batch import IGNORED, ModelInput
from xstilts.models.batching import length_bucketed_batches
from xstilts.models.embedding_pruning import pruned_embeddings
from xstilts.models.encoder import Encoder, load_backbone, load_tokenizer
from xstilts.models.heads import Head
from xstilts.models.network import Network
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

States = NDArray[np.float32]
Labels = NDArray[np.int64]


@identity(
    "Asking",
    renamed={"format": "kind"},
    always=("labels", "max_length", "examples"),
    encoded={"format": format_in_keys},
)
@dataclass(frozen=True)
class Asking:
    """How examples are shown: their format, its labels (none: those that occur), most pieces, most examples."""

    format: str
    labels: tuple[str, ...] = ()
    max_length: int = 128
    examples: int = 500


@dataclass(frozen=True)
class Features:
    """States (rows, width) and a label for each row; of pairs, the rows of one pair have the same label."""

    format: str
    states: States
    labels: Labels

    def measures(self) -> dict[str, float]:
        """Return every measure that this kind of task allows, by name."""
        if task_format(self.format).headless:
            return {"knn": transferability.paired(self.states[0::2], self.states[1::2])}
        names = ("logme", "h_score", "knn")
        return {name: getattr(transferability, name)(self.states, self.labels) for name in names}


def _label(model: Encoder | Stage, data: tuple[Stage, ...], asking: Asking) -> str:
    shown = model.label if isinstance(model, Stage) else model.name
    return f"features-{data[0].arguments['data'].task}-{shown}"


@stage(name=names.FEATURES, version=1, label=_label)
def features(site: BuildContext, model: Encoder | Stage, data: tuple[Stage, ...], asking: Asking) -> None:
    """Write `features.npz`: the states of a bare encoder for examples with labels, and the labels."""
    network, tokens = opened(model, site)
    units = encoded(data, asking, network, tokens, site)
    pick = _picker(network, asking)
    with pruned_embeddings(network, [asking.format], units, tokens):
        network.to(site.machine.torch_device())
        rows = [pick(unit, states) for unit, states in shown(network, asking.format, units, tokens, site.machine)]
    states, labels = (np.concatenate(part) for part in zip(*rows, strict=True))
    states, labels = states[labels != IGNORED], labels[labels != IGNORED]
    if not task_format(asking.format).headless:
        kept = drawn(range(len(labels)), MOST_ROWS)
        states, labels = states[kept], labels[kept]
    np.savez(site.folder / FEATURES, states=states.astype(np.float32), labels=labels.astype(np.int64))
    site.record |= {"units": len(units), "rows": len(labels), "labels": len(np.unique(labels))}


def read(folder: Path, format: str) -> Features:
    """Return what `features` wrote."""
    with np.load(folder / FEATURES) as held:
        return Features(format, held["states"], held["labels"])


def opened(model: Encoder | Stage, site: BuildContext) -> tuple[Network, Tokenizer]:
    """Return a bare encoder, public or trained by an earlier stage, and its tokenizer."""
    source = site.path(model) / MODEL if isinstance(model, Stage) else model.location
    return Network(load_backbone(source)).eval(), Tokenizer.of(load_tokenizer(source)).kept(site.machine)


def encoded(
    data: Sequence[Stage], asking: Asking, network: Network, tokens: Tokenizer, site: BuildContext
) -> list[ModelInput]:
    """Return the units of a fixed draw of examples; InputError where there is none."""
    heap = [one for part in data for one in read_examples(site.path(part) / EXAMPLES, asking.format)]
    examples = drawn(heap, asking.examples)
    if not examples:
        raise InputError(f"no examples in '{data[0].label}' to look at: give other data")
    labels = asking.labels or _tags(heap)
    return task_format(asking.format).encode(
        examples, tokens, network.clip_max_length(asking.max_length), labels, Counter()
    )


def drawn(items: Sequence[Any], most: int) -> list[Any]:
    """Return at most so many items, always the same ones, in their order."""
    if len(items) <= most:
        return list(items)
    return [items[number] for number in np.sort(np.random.default_rng(0).choice(len(items), most, replace=False))]


def _tags(examples: Sequence[Example]) -> tuple[str, ...]:
    return tuple(sorted({tag for one in examples if isinstance(one, TaggingExample) for tag in one.tags}))


@torch.inference_mode()
def shown(
    network: Network, format: str, units: Sequence[ModelInput], tokens: Tokenizer, machine: Runtime
) -> Iterator[tuple[ModelInput, list[States]]]:
    """Yield each unit with the final states (pieces, width) of each of its sequences; the units' order is kept."""
    how: Format = task_format(format)
    device, random = machine.torch_device(), torch.Generator().manual_seed(1)
    found: list[list[States]] = [[] for _ in units]
    for numbers in length_bucketed_batches(units, machine.most_tokens()):
        chosen = [units[number] for number in numbers]
        batch = how.collate(chosen, tokens, random).to(device)
        with machine.arithmetic():
            hidden = network.encode(batch.ids, batch.mask).float().cpu().numpy()
        rows = iter(hidden)
        for number, unit in zip(numbers, chosen, strict=True):
            found[number] = [next(rows)[: len(sequence)].copy() for sequence in unit.sequences]
    yield from zip(units, found, strict=True)


Pick = Callable[[ModelInput, list[States]], tuple[States, Labels]]


def _picker(network: Network, asking: Asking) -> Pick:
    """Return what turns a unit's states into rows with labels."""
    if asking.format in ("token_classification", "extractive_qa"):
        return _of_words if asking.format == "token_classification" else _of_answers
    if task_format(asking.format).headless:
        return lambda unit, states: (_pooled(states, "mean"), np.full(len(states), unit.example))
    if asking.format not in ("classification", "multiple_choice"):
        raise InputError(f"tasks of kind '{asking.format}' have no labels to ask states for: give another target")
    how = Head(network.config, asking.format, max(len(asking.labels), 1)).pool
    return lambda unit, states: (_pooled(states, how), _answers(unit, len(states)))


def _pooled(states: Sequence[States], how: str) -> States:
    """Return a state for each sequence: its first or last piece's, else the mean (as logits of a "late" head are)."""
    places = {"first": 0, "last": -1}
    return np.stack([one[places[how]] if how in places else one.mean(axis=0) for one in states])


def _answers(unit: ModelInput, options: int) -> Labels:
    """Return the label of a text; of several options, 1 for the right one and 0 for the others."""
    target = int(unit.target[0])
    if options == 1 or target == IGNORED:
        return np.full(options, target)
    return np.asarray(np.arange(options) == target, dtype=np.int64)


def _of_words(unit: ModelInput, states: list[States]) -> tuple[States, Labels]:
    places = unit.places[1:]
    return states[0][places], unit.target[places].astype(np.int64)


def _of_answers(unit: ModelInput, states: list[States]) -> tuple[States, Labels]:
    """Return the answer's first and last piece (1) and as many others of the context (0); nothing without an answer."""
    ends = np.unique(unit.target) if unit.target.any() else np.empty(0, dtype=np.int32)
    outside = np.flatnonzero(unit.places[:, 0] >= 0)
    outside = outside[(outside < unit.target[0]) | (outside > unit.target[1])]
    others = np.random.default_rng(unit.example).permutation(outside)[: len(ends)]
    places = np.concatenate([ends, others]).astype(np.int64)
    return states[0][places], np.repeat(np.array([1, 0]), [len(ends), len(others)])
