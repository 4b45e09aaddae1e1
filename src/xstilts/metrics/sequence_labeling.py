"""Sequence-labeling metrics: F1 over chunks of tags, as seqeval 0.0.12 finds them; and splitting of long sentences.

XTREME was scored with seqeval 0.0.12, whose chunks differ from later versions'. A tag is a letter (its first
character) and a type (what follows its last hyphen). On the bare tags of UD-POS this makes chunks of runs of equal
tags: their F1 is *not* the accuracy of tags and usually several points lower, so both are given.

>>> chunks([["B-PER", "I-PER", "O"]])
[{('PER', 0, 1)}]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xstilts.data.examples import Example, TaggingExample
from xstilts.errors import InputError
from xstilts.metrics.base import Array, Score, found_scores, paired, require
from xstilts.runtime.text import counted

Chunk = tuple[str, int, int]
Parts = tuple[str, str]


def chunks(sentences: Sequence[Sequence[str]]) -> list[set[Chunk]]:
    """Find the chunks (type, first position, last position) that end in each sentence.

    Positions count over all sentences, with an "O" after each: an odd sequence of tags can end a chunk that no tag
    began, and then takes the last beginning seen (seqeval 0.0.12, get_entities).

    Args:
        sentences: The tags of each sentence.

    Returns:
        A set of chunks for each sentence.
    """
    by_sentence: list[set[Chunk]] = []
    before, begin, position = ("O", ""), 0, 0
    for tags in sentences:
        by_sentence.append(set())
        for tag in (*tags, "O"):
            after = (tag[:1] or "O", tag.rpartition("-")[2])
            if _ends(before, after):
                by_sentence[-1].add((before[1], begin, position - 1))
            if _begins(before, after):
                begin = position
            before, position = after, position + 1
    return by_sentence


def _ends(before: Parts, after: Parts) -> bool:
    if before[0] in {"E", "S"} or (before[0] in {"B", "I"} and after[0] in {"B", "S", "O"}):
        return True
    return before[0] not in {"O", "."} and before[1] != after[1]


def _begins(before: Parts, after: Parts) -> bool:
    if after[0] in {"B", "S"} or (after[0] in {"I", "E"} and before[0] in {"O", "E", "S"}):
        return True
    return after[0] not in {"O", "."} and before[1] != after[1]


def entity_f1(gold: Sequence[Example], predictions: Mapping[str, Any], *, language: str = "en") -> Score:
    """Score entities by F1 over chunks, micro-averaged, in percent (PAN-X in XTREME; seqeval 0.0.12).

    Args:
        gold: Tagging examples.
        predictions: By example id, a tag for each word.
        language: Ignored.

    Returns:
        The score; a sentence contributes [correct, predicted, gold] chunks.
    """
    return _score("entity_f1", gold, predictions)


def pos_f1(gold: Sequence[Example], predictions: Mapping[str, Any], *, language: str = "en") -> Score:
    """Score bare part-of-speech tags by XTREME's UD-POS F1, over runs of equal tags, in percent.

    `token_accuracy` is what other papers give for part-of-speech tagging; never compare the two.

    Args:
        gold: Tagging examples.
        predictions: By example id, a tag for each word.
        language: Ignored.

    Returns:
        The score; a sentence contributes [correct, predicted, gold] runs.
    """
    return _score("pos_f1", gold, predictions)


def tag_accuracy(gold: Sequence[Example], predictions: Mapping[str, Any], *, language: str = "en") -> Score:
    """Score tags word by word by the share of right ones, in percent (CCG supertagging).

    Args:
        gold: Tagging examples.
        predictions: By example id, a tag for each word.
        language: Ignored.

    Returns:
        The score; a sentence contributes [right, all] words.
    """
    parts = []
    for example, predicted in paired(gold, predictions):
        gold_tags = _tags(require(example, TaggingExample, "tag_accuracy"), predicted)
        parts.append([float(sum(a == b for a, b in zip(gold_tags, predicted, strict=True))), float(len(gold_tags))])
    right, words = (sum(column) for column in zip(*parts, strict=True))
    accuracy = 100 * right / words if words else 0.0
    return Score({"accuracy": accuracy}, accuracy, parts)


def share(sums: Array, count: Array) -> Array:
    """Compute the share of right words, also of resampled sentences.

    Args:
        sums: Weighted sums of [right, all] words, (..., 2).
        count: Weighted numbers of sentences; not used.

    Returns:
        Accuracies in percent; 0 where there are no words.
    """
    words = sums[..., 1]
    return np.divide(100 * sums[..., 0], words, out=np.zeros_like(words), where=words > 0)


def _score(metric: str, gold: Sequence[Example], predictions: Mapping[str, Any]) -> Score:
    gold_tags, predicted_tags = [], []
    for example, predicted in paired(gold, predictions):
        gold_tags.append(_tags(require(example, TaggingExample, metric), predicted))
        predicted_tags.append(predicted)
    triples = [
        [float(len(right & guessed)), float(len(guessed)), float(len(right))]
        for right, guessed in zip(chunks(gold_tags), chunks(predicted_tags), strict=True)
    ]
    values = found_scores(*(sum(column) for column in zip(*triples, strict=True)))
    values["token_accuracy"] = 100 * _token_accuracy(gold_tags, predicted_tags)
    return Score(values, values["f1"], triples)


def pool(sums: Array, count: Array) -> Array:
    """Compute F1 over chunks, also of resampled sentences.

    Args:
        sums: Weighted sums of [correct, predicted, gold] chunks, (..., 3).
        count: Weighted numbers of sentences; not used.

    Returns:
        F1 in percent; 0 where there are no chunks.
    """
    chunk_count = sums[..., 1] + sums[..., 2]
    return np.divide(200 * sums[..., 0], chunk_count, out=np.zeros_like(chunk_count), where=chunk_count > 0)


def _tags(sentence: TaggingExample, predicted: Sequence[str]) -> Sequence[str]:
    if sentence.tokens and not sentence.tags:
        raise InputError(f"sentence '{sentence.id}' has no gold tags (hidden in this split); score a split with tags")
    if len(predicted) != len(sentence.tags):
        raise InputError(
            f"sentence '{sentence.id}' has {counted(len(sentence.tags), 'word')} but "
            f"{counted(len(predicted), 'predicted tag')}; predict one tag a word"
        )
    return sentence.tags


def _token_accuracy(gold_tags: Sequence[Sequence[str]], predicted_tags: Sequence[Sequence[str]]) -> float:
    equal = [
        a == b
        for tags, others in zip(gold_tags, predicted_tags, strict=True)
        for a, b in zip(tags, others, strict=True)
    ]
    return sum(equal) / len(equal) if equal else 0.0


def split_sentence(tokens_per_word: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """Split a sentence between words into parts of at most `limit` tokens, each as long as possible.

    Args:
        tokens_per_word: A word of no tokens, or of more than `limit`, counts as one: encode it as the unknown token.
        limit: The limit; in google-research/xtreme (utils_preprocess.py) maximum length less 2, for XLM-R less 3.

    Returns:
        (start, stop) words of each part.

    Raises:
        InputError: The limit is below 1.
    """
    if limit < 1:
        raise InputError(f"the limit of tokens a part must be at least 1, not {limit}; raise the maximum length")
    starts, used = [0], 0
    for place, tokens in enumerate(tokens_per_word):
        cost = tokens if 1 <= tokens <= limit else 1
        if used + cost > limit:
            starts.append(place)
            used = 0
        used += cost
    stops = [*starts[1:], len(tokens_per_word)]
    return list(zip(starts, stops, strict=True)) if tokens_per_word else []
