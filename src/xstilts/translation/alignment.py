"""Word alignment: which words of a text and of its translation belong together, by an encoder's states at one layer.

As in SimAlign (Jalili Sabet et al. 2020, Findings of EMNLP) and awesome-align (Dou and Neubig 2021, EACL), which take
layer 8 of 12: words are represented by the mean of their tokens' states, and two words are aligned where each is the
most similar to the other. In scripts without spaces, where words are single characters, the tokenizer's tokens are
aligned instead. Nothing is trained, and any encoder of this package can be taken.

>>> similar = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
>>> alignment_of(similar).pairs
((0, 0), (1, 1))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from xstilts.metrics import split_sentence
from xstilts.models.batch import ModelInput, batch, single_targets
from xstilts.models.batching import length_bucketed_batches
from xstilts.models.encoder import load_backbone, load_tokenizer
from xstilts.models.network import Network
from xstilts.models.tokenization import Ids, Offsets, Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.translation.texts import single

States = NDArray[np.float32]
Words = Sequence[str]

DEPTH = 8 / 12  # the layer of the literature as a share of the depth
LONGEST = 512  # tokens of a sequence; the words of longer texts are divided between several
TIE = 1e-4  # how much a word at the other end of the sentence is less similar, so that of equal words the near is taken
GAP = 5  # words between two that are aligned with one span, from which they are taken to be a mistake
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
            The first and the last of the words that are aligned with one of it; None where there is none. Of words that
            lie apart, with `GAP` others or more between them, the group of most is taken.
        """
        partners = sorted({j for i, j in self.pairs if first <= i <= last})
        groups: list[list[int]] = []
        for partner in partners:
            if groups and partner - groups[-1][-1] <= GAP:
                groups[-1].append(partner)
            else:
                groups.append([partner])
        group = max(groups, key=len, default=None)
        return (group[0], group[-1]) if group else None


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


@dataclass(frozen=True, slots=True)
class Unit:
    """What is aligned: a word, or a token of several characters that are words each.

    Attributes:
        ids: Its tokens.
        words: The positions of its words.
    """

    ids: Ids
    words: range


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
            units = self._units([words for pair in portion for words in pair])
            states = self._states([[unit.ids for unit in row] for row in units])
            for number in range(0, len(units), 2):
                alignment = alignment_of(states[number] @ states[number + 1].T)
                yield _of_words(alignment, units[number], units[number + 1])

    def _units(self, texts: Sequence[Words]) -> list[list[Unit]]:
        """Divide texts into what is aligned: words, and the tokens of characters that follow each other."""
        every = [
            [Unit(ids, range(place, place + 1)) for place, ids in enumerate(row)] for row in self.tokenizer.words(texts)
        ]
        runs = [(number, *run) for number, words in enumerate(texts) for run in _runs(words)]
        tokens = self.tokenizer.segments_with_offsets(["".join(texts[n][start:stop]) for n, start, stop in runs])
        # From the last run of a text to its first, so that the places of the others hold.
        for (number, start, stop), (ids, offsets) in reversed(list(zip(runs, tokens, strict=True))):
            if len(ids):
                every[number][start:stop] = _grouped(texts[number][start:stop], start, ids, offsets)
        return every

    def _states(self, texts: Sequence[Sequence[Ids]]) -> list[States]:
        """Return the states of the units of texts, of length 1, (units, width)."""
        room = self.tokenizer.room(self.network.clip_max_length(LONGEST), pair=False)
        inputs: list[ModelInput] = []
        for text in texts:
            units = [ids[:room] for ids in text]
            lengths = [len(ids) for ids in units]
            for start, stop in split_sentence(lengths, room):
                sequence = self.tokenizer.sequence(np.concatenate(units[start:stop]))
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


def _runs(words: Words) -> Iterator[tuple[int, int]]:
    """Yield the first position and the one after the last of words that are single characters of unspaced scripts."""
    start = 0
    for stop in range(1, len(words) + 1):
        if stop == len(words) or not (single(words[stop - 1]) and single(words[stop])):
            if stop - start > 1:
                yield start, stop
            start = stop


def _grouped(words: Words, first: int, ids: Ids, offsets: Offsets) -> list[Unit]:
    """Group characters by the token that they begin in; tokens in which none begins belong to those beside them."""
    starts = np.cumsum([0, *(len(word) for word in words[:-1])])
    owners = [int(np.flatnonzero(offsets[:, 0] <= start)[-1:].sum()) for start in starts]
    units: list[Unit] = []
    begun = 0
    for place, owner in enumerate(owners):
        after = owners[place + 1] if place + 1 < len(owners) else None
        if after == owner:
            continue
        stop = len(ids) if after is None else owner + 1
        words_before = units[-1].words.stop if units else first
        units.append(Unit(ids[begun:stop], range(words_before, first + place + 1)))
        begun = stop
    return units


def _of_words(alignment: Alignment, first: Sequence[Unit], second: Sequence[Unit]) -> Alignment:
    """Return the alignment of words for that of the units which they are in."""
    pairs: list[tuple[int, int]] = []
    for i, j in alignment.pairs:
        here, there = first[i].words, second[j].words
        pairs += zip(here, there, strict=True) if len(here) == len(there) else product(here, there)
    return Alignment(
        tuple(sorted(pairs)),
        tuple(_nearest(alignment.nearest, second, first)),
        tuple(_nearest(alignment.nearest_back, first, second)),
    )


def _nearest(nearest: Sequence[int], units: Sequence[Unit], others: Sequence[Unit]) -> Iterator[int]:
    """Yield for each word the one at the same relative place in the most similar unit."""
    for unit, other in zip(units, nearest, strict=True):
        for place in range(len(unit.words)):
            there = others[other].words if other >= 0 else range(-1, 0)
            yield there[place * len(there) // len(unit.words)]
