"""Extractive question answering: the span of a context that answers a question, or no answer.

A long context is read in overlapping windows. Answers are cut from the original text by character offsets, so that no
text is detokenized. Lengths keep the proportions of XTREME's scripts (384 tokens, stride 128, question 64); answers
have at most 30 tokens, of the 20 best starts and ends. The target of a window without the answer is its first token,
which also means "no answer" in predictions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from xstilts.data.examples import QAExample
from xstilts.formats import Labels, States, score_examples
from xstilts.models.batch import Batch, ModelInput, batch
from xstilts.models.network import Network
from xstilts.models.tokenization import Ids, Offsets, Tokenizer

divisible, headless, language_model, trainable = True, False, False, True
measured_untrained, layered, threshold_on_dev = False, False, False
sequences_per_input = 1
score = score_examples
LONGEST_ANSWER = 30
N_BEST = 20

Scores = NDArray[np.float32]


def encode(
    examples: Sequence[QAExample],
    tokenizer: Tokenizer,
    max_length: int,
    labels: tuple[str, ...],
    cut: Counter[str],
    query_length: int | None = None,
) -> list[ModelInput]:
    """Encode each window of a context as one model input.

    `places` holds each token's (start, stop) characters in the context, (tokens, 2), and (-1, -1) outside it; `target`
    the first and last token of the answer, (2,).
    """
    questions = tokenizer.segments([example.question for example in examples])
    contexts = tokenizer.segments_with_offsets([example.context for example in examples])
    longest_question = min(max_length // 6, tokenizer.room(max_length, pair=True) - 1)
    stride = max(max_length // 3, 1)
    inputs = []
    for number, (example, question, (ids, offsets)) in enumerate(zip(examples, questions, contexts, strict=True)):
        cut["question truncated"] += len(question) > longest_question
        question = question[:longest_question]
        room = tokenizer.room(max_length, pair=True) - len(question)
        windows = list(_windows(len(ids), room, min(stride, room)))
        cut["windowed"] += len(windows) > 1
        inputs += [_model_input(number, example, question, ids, offsets, window, tokenizer) for window in windows]
    return inputs


def _windows(length: int, room: int, stride: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of windows of at most `room` tokens, each `stride` tokens further, up to the end."""
    start = 0
    while True:
        stop = min(start + room, length)
        yield start, stop
        if stop == length:
            return
        start += stride


def _model_input(
    number: int,
    example: QAExample,
    question: Ids,
    ids: Ids,
    offsets: Offsets,
    window: tuple[int, int],
    tokenizer: Tokenizer,
) -> ModelInput:
    start, stop = window
    sequence = tokenizer.sequence(question, ids[start:stop])
    before = len(tokenizer.special_tokens.prefix) + len(question) + len(tokenizer.special_tokens.middle)
    places = np.full((len(sequence), 2), -1, dtype=np.int32)
    places[before : before + stop - start] = offsets[start:stop]
    return ModelInput(number, (sequence,), _target(example, places), places)


def _target(example: QAExample, places: Offsets) -> Ids:
    """Return the first and last token of the answer, (0, 0) where the window does not hold all of it."""
    if example.answers and example.answers[0].start >= 0:
        answer = example.answers[0]
        first = answer.start + len(answer.text) - len(answer.text.lstrip())
        end = first + len(answer.text.strip())
        starts, stops = places.T
        held = np.flatnonzero((stops > first) & (starts < end) & (starts >= 0) & (stops > starts))
        if len(held) and places[held[0], 0] <= first and places[held[-1], 1] >= end:
            return np.array([held[0], held[-1]], dtype=np.int32)
    return np.zeros(2, dtype=np.int32)


def collate(inputs: Sequence[ModelInput], tokenizer: Tokenizer, random: torch.Generator | None = None) -> Batch:
    """Pad windows into one batch; targets (windows, 2): the first and last token."""
    targets = torch.from_numpy(np.stack([model_input.target for model_input in inputs]).astype(np.int64))
    return batch(inputs, tokenizer, targets)


def loss(network: Network, head: str, batch: Batch) -> Tensor:
    """Compute the summed cross-entropy of the first and last tokens."""
    return cross_entropy(_logits(network, head, batch).flatten(0, 1), batch.targets.flatten(), reduction="sum")


def predict(network: Network, head: str, batch: Batch, inputs: Sequence[ModelInput]) -> list[Scores]:
    """Compute the logits of each token as first and as last of the answer, (2, tokens) for each window."""
    logits = _logits(network, head, batch).float().cpu().numpy()
    return [scores[:, : model_input.length] for scores, model_input in zip(logits, inputs, strict=True)]


def decode(
    answers: Sequence[Scores], inputs: Sequence[ModelInput], examples: Sequence[QAExample], labels: tuple[str, ...]
) -> list[Mapping[str, Any]]:
    """Return for each question the best span's text over all windows, its score, and the score of no answer."""
    null = [np.inf for _ in examples]
    for scores, model_input in zip(answers, inputs, strict=True):
        null[model_input.example] = min(null[model_input.example], float(scores[0, 0] + scores[1, 0]))
    return [
        {
            "id": example.id,
            "prediction": example.context[start:stop].strip(),
            "score": _rounded(score),
            "null_score": _rounded(none),
        }
        for example, (score, start, stop), none in zip(
            examples, best_spans(answers, inputs, len(examples)), null, strict=True
        )
    ]


def best_spans(answers: Sequence[Scores], inputs: Sequence[ModelInput], examples: int) -> list[tuple[float, int, int]]:
    """Return the best answer span of each question over all windows.

    Args:
        answers: Start and end logits (2, tokens) of each window.
        inputs: The windows.
        examples: The number of questions.

    Returns:
        The sum of the two logits, and the first character of the span and the one after its last; (-inf, 0, 0) where
        no window holds a token of the context.
    """
    best: list[tuple[float, int, int]] = [(-np.inf, 0, 0)] * examples
    for scores, model_input in zip(answers, inputs, strict=True):
        span = best_span(scores, model_input.places)
        if span[0] > best[model_input.example][0]:
            best[model_input.example] = span
    return best


def best_span(scores: Scores, places: Offsets) -> tuple[float, int, int]:
    """Return the best answer span of a window.

    Args:
        scores: Start and end logits (2, tokens).
        places: Start and end character of each token in the context (tokens, 2); negative outside of it.

    Returns:
        The sum of the two logits, and the first character of the span and the one after its last; (-inf, 0, 0) if the
        window holds no token of the context.
    """
    outside = places[:, 0] < 0
    first, last = np.where(outside, -np.inf, scores)
    starts, ends = (np.argsort(-side, kind="stable")[:N_BEST] for side in (first, last))
    lengths = ends[None, :] - starts[:, None]
    sums = np.where((lengths >= 0) & (lengths < LONGEST_ANSWER), first[starts][:, None] + last[ends][None, :], -np.inf)
    row, column = np.unravel_index(np.argmax(sums), sums.shape)
    if not np.isfinite(sums[row, column]):
        return -np.inf, 0, 0
    return float(sums[row, column]), int(places[starts[row], 0]), int(places[ends[column], 1])


def _rounded(score: float) -> float | None:
    return round(score, 5) if np.isfinite(score) else None


def chance(examples: Sequence[QAExample]) -> float:
    """Return the share of questions without an answer."""
    return 100 * sum(example.unanswerable for example in examples) / max(len(examples), 1)


def features(model_input: ModelInput, states: Sequence[States], pooling: str) -> tuple[States, Labels]:
    """Return the states of the answer's first and last token (label 1) and of as many other context tokens (label 0).

    LogME and its like need few labels, and "which of 300 tokens" is not few. A window without the answer gives no row.
    """
    target = model_input.target
    ends = np.unique(target) if target.any() else np.empty(0, dtype=np.int32)
    outside = np.flatnonzero(model_input.places[:, 0] >= 0)
    outside = outside[(outside < target[0]) | (outside > target[1])]
    others = np.random.default_rng(model_input.example).permutation(outside)[: len(ends)]
    places = np.concatenate([ends, others]).astype(np.int64)
    return states[0][places], np.repeat(np.array([1, 0]), [len(ends), len(others)])


def decisions(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the most probable first and last token of each sequence, without regard to each other."""
    return logits.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf).argmax(1).flatten()


def _logits(network: Network, head: str, batch: Batch) -> Tensor:
    """Return the logits of each token as first and as last, (windows, 2, tokens), masked at padding."""
    logits = network(head, batch.ids, batch.mask, batch.packing, batch.languages)
    return logits.masked_fill(batch.mask[..., None] == 0, -1e4).transpose(1, 2)  # type: ignore[no-any-return]
