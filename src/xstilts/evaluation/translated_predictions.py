"""Translated predictions: tags and answers that were predicted on a translation, on the words of the original.

Labels and choices are the same in every language. Tags and answers are parts of a text: they are projected back by the
alignment of the words, and scored on the original against its own gold, as everywhere.

>>> predictions_back([{"id": "1", "prediction": "yes"}], [0], [], [], [], Path())
([{'id': '1', 'prediction': 'yes'}], 0)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xstilts.data.examples import Example, QAExample, TaggingExample
from xstilts.formats import extractive_qa
from xstilts.models.batch import ModelInput
from xstilts.translation.projection import answer_back, pair_of, tags_back
from xstilts.translation.stages import read_alignments


def predictions_back(
    lines: Sequence[Mapping[str, Any]],
    answers: Sequence[Any],
    inputs: Sequence[ModelInput],
    originals: Sequence[Example],
    examples: Sequence[Example],
    folder: Path,
) -> tuple[list[Mapping[str, Any]], int]:
    """Return predictions on a translation as predictions on the original.

    Args:
        lines: What the format's `decode` returned for the translation.
        answers: Raw outputs of the network.
        inputs: The model inputs that they are for.
        originals: The examples of the original split.
        examples: The same in translation.
        folder: Folder of the stage that translated them, with the alignment of their words.

    Returns:
        The lines, and how many entities or answers are aligned with no word of the original.
    """
    first = next(iter(originals), None)
    if not isinstance(first, TaggingExample | QAExample):
        return list(lines), 0
    alignments = read_alignments(folder)
    spans = extractive_qa.best_spans(answers, inputs, len(examples)) if isinstance(first, QAExample) else []
    back: list[Mapping[str, Any]] = []
    lost = 0
    for number, (line, original, example) in enumerate(zip(lines, originals, examples, strict=True)):
        alignment = alignments[original.id]
        if _same_text(original, example):
            back.append(line)
        elif isinstance(original, TaggingExample):
            predicted, unaligned = tags_back(line["prediction"], alignment, len(original.tokens))
            lost += unaligned
            back.append({**line, "prediction": list(predicted)})
        elif isinstance(original, QAExample) and isinstance(example, QAExample):
            _, start, stop = spans[number]
            pair = pair_of(original, example.context)
            text = answer_back((start, stop), original.context, pair, alignment) if stop > start else ""
            lost += bool(line["prediction"]) and not text
            back.append({**line, "prediction": text.strip()})
    return back, lost


def _same_text(original: Example, example: Example) -> bool:
    """Return whether a translation has the words of its original."""
    if isinstance(original, TaggingExample) and isinstance(example, TaggingExample):
        return original.tokens == example.tokens
    return isinstance(original, QAExample) and isinstance(example, QAExample) and original.context == example.context
