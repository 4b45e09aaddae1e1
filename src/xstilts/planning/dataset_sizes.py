"""Dataset sizes: how many examples a split has and how long they are, from its files or assumed.

Examples are counted in files below the data folder, else taken from the task's file, else from the table of this
module. Lengths are measured where both the data and the encoder's tokenizer are here, else taken from the table. Each
size names its source.

>>> from xstilts.tasks.base import task
>>> size = training(task("mnli"), None, None, 128)
>>> size.examples, size.tokens, size.source
(392702.0, 45.0, 'examples: task file; tokens: assumed')
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import try_to_load_from_cache

from xstilts.data.dataset import DatasetSplit, examples
from xstilts.data.examples import TaggingExample
from xstilts.data.readers import Report
from xstilts.formats import task_format
from xstilts.models.encoder import Encoder, load_tokenizer
from xstilts.models.tokenization import Tokenizer
from xstilts.tasks.base import Task

MEASURED = 2000  # examples of a split, spread evenly, whose lengths are taken for all


@dataclass(frozen=True)
class Assumed:
    """The size that is assumed of a task, or of a task format, where its files are not here.

    Attributes:
        tokens: Mean tokens of a sequence.
        sequences: Sequences of an example: choices of a question, windows of a passage.
        train: Examples of the training split, where the task's file has no count.
        test: Examples of the test split in a language; where the task's file has no count.
    """

    tokens: float
    sequences: float = 1.0
    train: int | None = None
    test: int | None = None


# Tokens are words times 1.3 (XLM-R's tokenizer on English) and the special tokens, words as in the data sets' English
# part where it could be read; a guess for QQP, ANLI, HellaSwag, Cosmos QA, BUCC and Mewsli-X. All languages are taken
# to be as long as English. Of CCGbank the usual sections; of test sets the mean over languages. BUCC is both sides
# together, its test as large as the shared task's training set; LAReQA has 1,190 questions in each of 11 languages and
# 13,014 candidates that are encoded once.
ASSUMED: dict[str, Assumed] = {
    "anli": Assumed(100),
    "bucc": Assumed(33, test=667_000),
    "bucc_small": Assumed(33, test=22_213),
    "ccg": Assumed(32, train=38_015),
    "cola": Assumed(12),
    "copa": Assumed(26, 2),
    "cosmosqa": Assumed(115, 4),
    "csqa": Assumed(23, 5),
    "hellaswag": Assumed(90, 4),
    "lareqa": Assumed(135, test=2_373),
    "mewslix": Assumed(60, test=95_000),
    "mewslix_pairs": Assumed(60, 2, train=115_000),
    "mlqa": Assumed(190, 1.02, test=6_035),
    "mnli": Assumed(45),
    "panx": Assumed(13, test=6_247),
    "pawsx": Assumed(59),
    "piqa": Assumed(37, 2),
    "qqp": Assumed(33),
    "rte": Assumed(72),
    "siqa": Assumed(35, 3),
    "snli": Assumed(35),
    "squad": Assumed(172, 1.01),
    "squad2": Assumed(172, 1.01),
    "squad_pairs": Assumed(95, 2),
    "tatoeba": Assumed(12, 2, test=895),
    "tydiqa": Assumed(141, 1.03, test=564),
    "udpos": Assumed(24, test=894),
    "winogrande": Assumed(29, 2),
    "xcopa": Assumed(26, 2),
    "xnli": Assumed(40),
    "xquad": Assumed(183, 1.01),
}
FORMATS: dict[str, Assumed] = {
    "classification": Assumed(45, test=1_000),
    "multiple_choice": Assumed(40, 3, test=1_000),
    "token_classification": Assumed(20, test=1_000),
    "extractive_qa": Assumed(172, 1.01, test=1_000),
    "bitext_retrieval": Assumed(20, 2, test=1_000),
    "bitext_mining": Assumed(33, test=20_000),
    "passage_ranking": Assumed(100, test=5_000),
    "masked_lm": Assumed(25, test=1_000),
}
OTHER = Assumed(45, test=1_000)  # for a format without a row


@dataclass(frozen=True)
class Size:
    """The size of a split, or of a training set.

    Attributes:
        task: Name of the task.
        format: Its task format.
        split: Name of the split.
        examples: Number of examples; None where not known.
        sequences: Sequences of an example.
        tokens: Mean tokens of a sequence.
        squares: Mean of their squares.
        source: Where examples and tokens are from: data, task file, assumed.
    """

    task: str
    format: str
    split: str
    examples: float | None
    sequences: float
    tokens: float
    squares: float
    source: str

    @property
    def model_inputs(self) -> float | None:
        """Model inputs: a question with its choices, or a pair, is one; each window of a passage is one."""
        per_example = 1.0 if task_format(self.format).sequences_per_input > 1 else self.sequences
        return None if self.examples is None else self.examples * per_example

    @property
    def sequences_per_input(self) -> float:
        """Sequences of a model input."""
        return self.sequences if task_format(self.format).sequences_per_input > 1 else 1.0


def training(
    task: Task, folder: Path | None, encoder: Encoder | None, max_length: int, most: int | None = None
) -> Size:
    """Return the size of a task's training set, in all of its languages and parts.

    Args:
        task: The task.
        folder: Data folder.
        encoder: Encoder whose tokenizer measures lengths, if it is here.
        max_length: Tokens at which a sequence is cut.
        most: Examples that are drawn of each split at most; None for all.

    Returns:
        The size; its `source` says what was measured and what was assumed.
    """
    return of_parts(task.label, task.format, task.training_parts(), folder, encoder, max_length, most)


def of_parts(
    name: str,
    format: str,
    parts: Sequence[tuple[Task, str]],
    folder: Path | None,
    encoder: Encoder | None,
    max_length: int,
    most: int | None = None,
) -> Size:
    """Return the size of training splits together.

    Args:
        name: Name of the training set.
        format: Its task format.
        parts: Task and language of each split.
        folder: Data folder.
        encoder: Encoder whose tokenizer measures lengths, if it is here.
        max_length: Tokens at which a sequence is cut.
        most: Examples that are drawn of each split at most; None for all.

    Returns:
        The sum of examples, None where that of a split is not known, and mean lengths.
    """
    sizes = [split(part, "train", code, folder, encoder, max_length) for part, code in parts]
    counts = [size.examples if most is None or size.examples is None else min(most, size.examples) for size in sizes]
    counted = [count for count in counts if count is not None]
    total = sum(counted) if len(counted) == len(counts) else None
    weights = counted if total else [1.0] * len(sizes)
    source = "; ".join(dict.fromkeys(size.source for size in sizes))
    return Size(name, format, "train", total, *_means(sizes, weights), source)


def split(task: Task, name: str, language: str, folder: Path | None, encoder: Encoder | None, max_length: int) -> Size:
    """Return the size of a split in a language.

    Args:
        task: The task.
        name: Name of the split.
        language: Code of the language.
        folder: Data folder.
        encoder: Encoder whose tokenizer measures lengths, if it is here.
        max_length: Tokens at which a sequence is cut.

    Returns:
        The size: measured where the data and the tokenizer are here, else with assumed lengths.
    """
    assumed = ASSUMED.get(task.name) or FORMATS.get(task.format, OTHER)
    data = task.data(name, language, folder) if task.has(name, language, folder) else None
    if data and (tokenizer := tokenizer_of(encoder)):
        return measured(data, folder, tokenizer, max_length)
    examples, origin = _count(task, name, assumed, data, folder)
    tokens = min(assumed.tokens, max_length)
    source = f"examples: {origin}; tokens: assumed"
    return Size(task.name, task.format, name, examples, assumed.sequences, tokens, tokens**2, source)


def tokenizer_of(encoder: Encoder | None) -> str | None:
    """Find the tokenizer of an encoder on this computer.

    Args:
        encoder: The encoder; None for none.

    Returns:
        Its folder, the encoder's own or that of the hub's cache; None where none is here.
    """
    if encoder is None or encoder.folder:
        return encoder.folder if encoder else None
    cached = try_to_load_from_cache(encoder.name, "tokenizer.json", revision=encoder.digest)
    return str(Path(cached).parent) if isinstance(cached, str) else None


@lru_cache(maxsize=4096)
def measured(data: DatasetSplit, folder: Path | None, tokenizer: str, max_length: int) -> Size:
    """Return the size of data that are here: all examples counted, `MEASURED` of them tokenized.

    Args:
        data: The split.
        folder: Data folder.
        tokenizer: Folder of the tokenizer.
        max_length: Tokens at which a sequence is cut.

    Returns:
        The size.
    """
    every = _examples(data, folder)
    chosen = [every[number] for number in np.linspace(0, len(every) - 1, min(MEASURED, len(every))).astype(int)]
    tags = {tag for example in every if isinstance(example, TaggingExample) for tag in example.tags}
    labels = data.labels or tuple(sorted(tags))
    inputs = task_format(data.format).encode(chosen, _tokenizer(tokenizer), max_length, labels, Counter())
    lengths = np.array([len(sequence) for model_input in inputs for sequence in model_input.sequences], dtype=float)
    per_example = len(lengths) / max(len(chosen), 1)
    means = per_example, float(lengths.mean()), float((lengths**2).mean())
    return Size(data.task, data.format, data.split, float(len(every)), *means, "examples: data; tokens: data")


def _count(
    task: Task, name: str, assumed: Assumed, data: DatasetSplit | None, folder: Path | None
) -> tuple[float | None, str]:
    """Return how many examples a split has in a language, and the source of that figure."""
    if data:
        return float(_counted(data, folder)), "data"
    if name in task.counts:
        return float(task.counts[name]), "task file"
    count = assumed.train if name == "train" else assumed.test or FORMATS.get(task.format, OTHER).test
    return (None, "not known") if count is None else (float(count), "assumed")


@lru_cache(maxsize=4096)
def _counted(data: DatasetSplit, folder: Path | None) -> int:
    return len(_examples(data, folder))


def _examples(data: DatasetSplit, folder: Path | None) -> Sequence[Any]:
    return list(examples(data, folder, Report()))


@lru_cache(maxsize=8)
def _tokenizer(folder: str) -> Tokenizer:
    return Tokenizer.of(load_tokenizer(folder))


def _means(sizes: Sequence[Size], weights: Sequence[float]) -> tuple[float, float, float]:
    """Return sequences of an example, tokens of a sequence and their squares, of several splits together."""
    sequences = [weight * size.sequences for size, weight in zip(sizes, weights, strict=True)]
    tokens = sum(count * size.tokens for size, count in zip(sizes, sequences, strict=True)) / sum(sequences)
    squares = sum(count * size.squares for size, count in zip(sizes, sequences, strict=True)) / sum(sequences)
    return sum(sequences) / sum(weights), tokens, squares
