"""Span: the stretch of a context that answers a question, or no answer.

A long context is read in overlapping windows. Answers are cut from the original text by character offsets, so that no
script needs its text put together again. Lengths keep the proportions of XTREME's scripts (384 pieces, stride 128,
question 64); answers have at most 30 pieces, of the 20 best starts and ends. A window without the answer points at its
first piece, which is also how "no answer" is said.
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
from xstilts.models.batch import Batch, ModelInput, batch
from xstilts.models.network import Network
from xstilts.models.tokenization import Ids, Offsets, Tokenizer

divisible, headless = True, False
LONGEST_ANSWER = 30
N_BEST = 20

Scores = NDArray[np.float32]


def encode(
    examples: Sequence[QAExample], tokens: Tokenizer, max_length: int, labels: tuple[str, ...], cut: Counter[str]
) -> list[ModelInput]:
    """Return a unit for each window; `places` holds (start, stop) characters by piece, (-1, -1) outside the context."""
    questions = tokens.segments([example.question for example in examples])
    contexts = tokens.segments_with_offsets([example.context for example in examples])
    longest_question = min(max_length // 6, tokens.room(max_length, pair=True) - 1)
    stride = max(max_length // 3, 1)
    units = []
    for number, (example, asked, (pieces, offsets)) in enumerate(zip(examples, questions, contexts, strict=True)):
        cut["question truncated"] += len(asked) > longest_question
        asked = asked[:longest_question]
        room = tokens.room(max_length, pair=True) - len(asked)
        windows = list(_windows(len(pieces), room, min(stride, room)))
        cut["windowed"] += len(windows) > 1
        units += [_unit(number, example, asked, pieces, offsets, window, tokens) for window in windows]
    return units


def _windows(length: int, room: int, stride: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of windows of at most `room` pieces, each `stride` pieces further, up to the end."""
    start = 0
    while True:
        stop = min(start + room, length)
        yield start, stop
        if stop == length:
            return
        start += stride


def _unit(
    number: int,
    example: QAExample,
    asked: Ids,
    pieces: Ids,
    offsets: Offsets,
    window: tuple[int, int],
    tokens: Tokenizer,
) -> ModelInput:
    start, stop = window
    sequence = tokens.sequence(asked, pieces[start:stop])
    before = len(tokens.special_tokens.prefix) + len(asked) + len(tokens.special_tokens.middle)
    places = np.full((len(sequence), 2), -1, dtype=np.int32)
    places[before : before + stop - start] = offsets[start:stop]
    return ModelInput(number, (sequence,), _target(example, places), places)


def _target(example: QAExample, places: Offsets) -> Ids:
    """Return the first and last piece of the answer, (0, 0) where the window does not hold all of it."""
    if example.answers and example.answers[0].start >= 0:
        answer = example.answers[0]
        first = answer.start + len(answer.text) - len(answer.text.lstrip())
        end = first + len(answer.text.strip())
        starts, stops = places.T
        held = np.flatnonzero((stops > first) & (starts < end) & (starts >= 0) & (stops > starts))
        if len(held) and places[held[0], 0] <= first and places[held[-1], 1] >= end:
            return np.array([held[0], held[-1]], dtype=np.int32)
    return np.zeros(2, dtype=np.int32)


def collate(units: Sequence[ModelInput], tokens: Tokenizer, random: torch.Generator | None = None) -> Batch:
    """Put windows into one batch; the targets are the first and last piece, (windows, 2)."""
    targets = torch.from_numpy(np.stack([unit.target for unit in units]).astype(np.int64))
    return batch(units, tokens, targets)


def loss(network: Network, head: str, batch: Batch) -> Tensor:
    """Return the summed cross-entropy of the first and last pieces."""
    return cross_entropy(_logits(network, head, batch).flatten(0, 1), batch.targets.flatten(), reduction="sum")


def predict(network: Network, head: str, batch: Batch, units: Sequence[ModelInput]) -> list[Scores]:
    """Return the scores of each unit's pieces as first and as last piece, (2, pieces)."""
    logits = _logits(network, head, batch).float().cpu().numpy()
    return [scores[:, : unit.length] for scores, unit in zip(logits, units, strict=True)]


def decode(
    answers: Sequence[Scores], units: Sequence[ModelInput], examples: Sequence[QAExample], labels: tuple[str, ...]
) -> list[Mapping[str, Any]]:
    """Return for each question the best span's text, its score, and the score of no answer."""
    best: list[tuple[float, str]] = [(-np.inf, "") for _ in examples]
    null = [np.inf for _ in examples]
    for scores, unit in zip(answers, units, strict=True):
        number = unit.example
        null[number] = min(null[number], float(scores[0, 0] + scores[1, 0]))
        score, start, stop = _best_span(scores, unit.places)
        if score > best[number][0]:
            best[number] = score, examples[number].context[start:stop].strip()
    return [
        {"id": example.id, "prediction": text, "score": _rounded(score), "null_score": _rounded(none)}
        for example, (score, text), none in zip(examples, best, null, strict=True)
    ]


def _best_span(scores: Scores, places: Offsets) -> tuple[float, int, int]:
    """Return the score and the characters of the best span inside the context."""
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


def _logits(network: Network, head: str, batch: Batch) -> Tensor:
    """Return the scores as first and last piece, (windows, 2, pieces), without the padding."""
    logits = network(head, batch.ids, batch.mask, batch.packing)
    return logits.masked_fill(batch.mask[..., None] == 0, -1e4).transpose(1, 2)  # type: ignore[no-any-return]
