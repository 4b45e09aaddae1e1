"""Sizes: how many examples a data set has and how long they are, from its files or, where those are not here, assumed.

Examples are counted in files below the data folder, else taken from the task's file, else from the table of this
module. Lengths are measured where both the data and the encoder's tokenizer are here, else taken from the table. Each
size says which of these it is.

>>> from xstilts.tasks.base import task
>>> found = training(task("mnli"), None, None, 128)
>>> found.examples, found.pieces, found.said
(392702.0, 45.0, 'examples: task file; pieces: assumed')
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
    """What is taken of a task, or of a format, where its files are not here.

    pieces: mean of a sequence. sequences: of an example (candidates of a choice, windows of a passage). train, test:
    examples where the task's file has no count; of test, in a language.
    """

    pieces: float
    sequences: float = 1.0
    train: int | None = None
    test: int | None = None


# Pieces are words times 1.3 (XLM-R's tokenizer on English) and the special pieces, words as in the data sets' English
# part where it could be read; a guess for QQP, ANLI, HellaSwag, Cosmos QA, BUCC and Mewsli-X. All languages are taken
# to be as long as English. Of CCGbank the usual sections; of test sets the mean over languages. BUCC is both sides
# together, its test as large as the shared task's training set; LAReQA has 1,190 questions in each of 11 languages and
# 13,014 candidates that are asked once for all.
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


@dataclass(frozen=True)
class Size:
    """Examples of a split, sequences of each, and the mean pieces of a sequence and of their squares.

    examples: None where it is not known. said: where examples and pieces are from.
    """

    task: str
    format: str
    split: str
    examples: float | None
    sequences: float
    pieces: float
    squares: float
    said: str

    @property
    def units(self) -> float | None:
        """Loss terms: a choice, or a pair, is one whatever its sequences; each window of a passage is one."""
        each = 1.0 if task_format(self.format).sequences_per_input > 1 else self.sequences
        return None if self.examples is None else self.examples * each

    @property
    def unit_sequences(self) -> float:
        """Sequences of a loss term."""
        return self.sequences if task_format(self.format).sequences_per_input > 1 else 1.0


def training(one: Task, folder: Path | None, encoder: Encoder | None, longest: int, most: int | None = None) -> Size:
    """Return the size of what a task is learned from, in all of its languages and parts.

    encoder: whose tokenizer is asked for lengths, if it is here. longest: pieces at which a sequence is cut. most:
    examples that are drawn of each part at most.
    """
    heaps = [split(part, "train", code, folder, encoder, longest) for part, code in one.training_parts()]
    counts = [heap.examples if most is None or heap.examples is None else min(most, heap.examples) for heap in heaps]
    known = [count for count in counts if count is not None]
    total = sum(known) if len(known) == len(counts) else None
    weights = known if total else [1.0] * len(heaps)
    said = "; ".join(dict.fromkeys(heap.said for heap in heaps))
    return Size(one.label, one.format, "train", total, *_means(heaps, weights), said)


def split(one: Task, name: str, code: str, folder: Path | None, encoder: Encoder | None, longest: int) -> Size:
    """Return the size of a split in a language."""
    assumed = ASSUMED.get(one.name) or FORMATS[one.format]
    data = one.data(name, code, folder) if one.has(name, code, folder) else None
    if data and (source := tokenizer_of(encoder)):
        return measured(data, folder, source, longest)
    found, origin = _count(one, name, assumed, data, folder)
    pieces = min(assumed.pieces, longest)
    said = f"examples: {origin}; pieces: assumed"
    return Size(one.name, one.format, name, found, assumed.sequences, pieces, pieces**2, said)


def tokenizer_of(encoder: Encoder | None) -> str | None:
    """Return the folder of an encoder's tokenizer, its own or that of the hub's cache; None where none is here."""
    if encoder is None or encoder.folder:
        return encoder.folder if encoder else None
    cached = try_to_load_from_cache(encoder.name, "tokenizer.json", revision=encoder.digest)
    return str(Path(cached).parent) if isinstance(cached, str) else None


@lru_cache(maxsize=4096)
def measured(data: DatasetSplit, folder: Path | None, source: str, longest: int) -> Size:
    """Return the size of data that are here, for a tokenizer that is: all examples counted, some of them cut."""
    every = _examples(data, folder)
    chosen = [every[number] for number in np.linspace(0, len(every) - 1, min(MEASURED, len(every))).astype(int)]
    labels = data.labels or tuple(sorted({tag for one in every if isinstance(one, TaggingExample) for tag in one.tags}))
    units = task_format(data.format).encode(chosen, _tokens(source), longest, labels, Counter())
    lengths = np.array([len(sequence) for unit in units for sequence in unit.sequences], dtype=float)
    each = len(lengths) / max(len(chosen), 1)
    means = each, float(lengths.mean()), float((lengths**2).mean())
    return Size(data.task, data.format, data.split, float(len(every)), *means, "examples: data; pieces: data")


def _count(
    one: Task, name: str, assumed: Assumed, data: DatasetSplit | None, folder: Path | None
) -> tuple[float | None, str]:
    """Return how many examples a split has in a language, and who says so."""
    if data:
        return float(_counted(data, folder)), "data"
    if name in one.counts:
        return float(one.counts[name]), "task file"
    found = assumed.train if name == "train" else assumed.test or FORMATS[one.format].test
    return (None, "not known") if found is None else (float(found), "assumed")


@lru_cache(maxsize=4096)
def _counted(data: DatasetSplit, folder: Path | None) -> int:
    return len(_examples(data, folder))


def _examples(data: DatasetSplit, folder: Path | None) -> Sequence[Any]:
    return list(examples(data, folder, Report()))


@lru_cache(maxsize=8)
def _tokens(source: str) -> Tokenizer:
    return Tokenizer.of(load_tokenizer(source))


def _means(heaps: Sequence[Size], weights: Sequence[float]) -> tuple[float, float, float]:
    """Return sequences, pieces and squares of several heaps together."""
    shown = [weight * heap.sequences for heap, weight in zip(heaps, weights, strict=True)]
    pieces = sum(count * heap.pieces for heap, count in zip(heaps, shown, strict=True)) / sum(shown)
    squares = sum(count * heap.squares for heap, count in zip(heaps, shown, strict=True)) / sum(shown)
    return sum(shown) / sum(weights), pieces, squares
