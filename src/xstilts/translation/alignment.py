"""Word alignment: which words of a text and of its translation belong together, by an encoder's states at one layer.

As in SimAlign (Jalili Sabet et al. 2020, Findings of EMNLP) and awesome-align (Dou and Neubig 2021, EACL), which take
layer 8 of 12: words are represented by the mean of their tokens' states, and two words are aligned where each is the
most similar to the other. Nothing is trained, and any encoder of this package can be taken.

>>> similar = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
>>> alignment_of(similar).pairs
((0, 0), (1, 1))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xstilts.metrics import split_sentence
from xstilts.models.batch import ModelInput, batch, single_targets
from xstilts.models.batching import length_bucketed_batches
from xstilts.models.encoder import load_backbone, load_tokenizer
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime

States = NDArray[np.float32]
Words = Sequence[str]

DEPTH = 8 / 12  # the layer of the literature as a share of the depth
LONGEST = 512  # tokens of a sequence; the words of longer texts are divided between several
TIE = 1e-4  # how much a word at the other end of the sentence is less similar, so that of equal words the near is taken
PORTION = 128  # pairs of texts whose states are held at the same time


@dataclass(frozen=True, slots=True)
class Alignment:
    """The words of two texts that belong together, by their positions.

    Attributes:
        pairs: A word of the first text and one of the second, each the most similar to the other, in order.
        nearest: For each word of the second text the most similar one of the first; -1 where the first has none.
        nearest_back: For each word of the first text the most similar one of the second.
    """

    pairs: tuple[tuple[int, int], ...]
    nearest: tuple[int, ...]
    nearest_back: tuple[int, ...]

    def reversed(self) -> Alignment:
        """Return the alignment of the second text with the first."""
        return Alignment(tuple(sorted((j, i) for i, j in self.pairs)), self.nearest_back, self.nearest)

    def span(self, first: int, last: int) -> tuple[int, int] | None:
        """Project a span of words of the first text onto the second.

        Args:
            first: Its first word.
            last: Its last word.

        Returns:
            The first and the last of the words that are aligned with one of it; None where there is none.
        """
        partners = [j for i, j in self.pairs if first <= i <= last]
        return (min(partners), max(partners)) if partners else None


def alignment_of(similar: NDArray[np.floating]) -> Alignment:
    """Return the alignment of two texts by the similarity of their words.

    Args:
        similar: The similarity of each word of the first to each of the second, (words, words).

    Returns:
        The alignment. Of equally similar words the one at the nearest relative position is taken.
    """
    rows, columns = similar.shape
    if not rows or not columns:
        return Alignment((), (-1,) * columns, (-1,) * rows)
    distance = np.abs(np.linspace(0, 1, rows)[:, None] - np.linspace(0, 1, columns)[None, :])
    scores = similar - TIE * distance
    forth, back = scores.argmax(axis=1), scores.argmax(axis=0)
    pairs = tuple((int(i), int(j)) for i, j in enumerate(forth) if back[j] == i)
    return Alignment(pairs, tuple(map(int, back)), tuple(map(int, forth)))


class Aligner:
    """Aligns texts with an encoder.

    Args:
        source: The encoder's folder, or a hub id with its revision.
        machine: Device and arithmetic.
        layer: The layer of the states, the embeddings being 0; None: that at `DEPTH`.
    """

    def __init__(self, source: str | Path, machine: Runtime, layer: int | None = None) -> None:
        self.network = Network(load_backbone(source)).eval().to(machine.torch_device())
        self.tokenizer = Tokenizer.of(load_tokenizer(source)).cached(machine)
        self.machine = machine
        self.layer = round(DEPTH * self.network.depth) if layer is None else layer

    def align(self, pairs: Sequence[tuple[Words, Words]]) -> Iterator[Alignment]:
        """Align pairs of texts.

        Args:
            pairs: The words of a text and of its translation.

        Yields:
            The alignment of each pair, in order.
        """
        for start in range(0, len(pairs), PORTION):
            portion = pairs[start : start + PORTION]
            states = iter(self._states([words for pair in portion for words in pair]))
            for first, second in zip(*[states] * 2, strict=True):
                yield alignment_of(first @ second.T)

    def _states(self, texts: Sequence[Words]) -> list[States]:
        """Return the states of the words of texts, of length 1, (words, width)."""
        room = self.tokenizer.room(self.network.clip_max_length(LONGEST), pair=False)
        inputs: list[ModelInput] = []
        for ids in self.tokenizer.words(texts):
            words = [word[:room] for word in ids]
            lengths = [len(word) for word in words]
            for start, stop in split_sentence(lengths, room):
                sequence = self.tokenizer.sequence(np.concatenate(words[start:stop]))
                inputs.append(
                    ModelInput(len(inputs), (sequence,), np.zeros(1, np.int32), np.array(lengths[start:stop]))
                )
        parts = iter(self._word_states(inputs))
        states = []
        for text in texts:
            rows: list[States] = []
            while sum(map(len, rows)) < len(text):
                rows += islice(parts, 1)
            states.append(np.concatenate(rows) if rows else np.zeros((0, self.network.width), np.float32))
        return states

    def _word_states(self, inputs: Sequence[ModelInput]) -> list[States]:
        """Return the states of the words of each sequence."""
        prefix, states = len(self.tokenizer.special_tokens.prefix), [np.zeros((0, 0), np.float32)] * len(inputs)
        for numbers in length_bucketed_batches(inputs, self.machine.most_tokens()):
            chosen = [inputs[number] for number in numbers]
            made = batch(chosen, self.tokenizer, single_targets(chosen)).to(self.machine.torch_device())
            with torch.inference_mode(), self.machine.arithmetic():
                layer = self.network.all_hidden_states(made.ids, made.mask)[self.layer].float().cpu().numpy()
            for row, number in enumerate(numbers):
                lengths = inputs[number].places
                firsts = prefix + np.cumsum(lengths) - lengths
                tokens = layer[row, prefix : prefix + int(lengths.sum())]
                means = np.add.reduceat(tokens, firsts - prefix, axis=0) / lengths[:, None]
                states[number] = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        return states
