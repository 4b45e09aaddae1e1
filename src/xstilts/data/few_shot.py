"""Few-shot draws: some examples of a split, the same ones for every model and seed.

Results with few examples depend on which these are (Zhao et al. 2021, arXiv 2012.15682): a draw has a number, so that
methods are compared on equal examples, and other draws show how much the choice matters.

>>> from xstilts.data.examples import TextExample
>>> rows = [TextExample(str(number), f"text {number}") for number in range(100)]
>>> drawn(rows, 20, draw=1)[:10] == drawn(rows, 10, draw=1) != drawn(rows, 10, draw=2)
True
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice, zip_longest

from xstilts.data.examples import (
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    QAExample,
    TaggingExample,
    shared_text,
)
from xstilts.errors import InputError


def drawn(examples: Sequence[Example], count: int, draw: int) -> list[Example]:
    """Return some examples of a split, chosen by a digest of their texts; label after label in turn, if they have one.

    Args:
        examples: All examples of any task format; those without an answer are left out.
        count: How many; the same draw with a larger number has the same first examples.
        draw: Which: another number draws others.

    Raises:
        InputError: There are fewer.

    >>> rows = [ClassificationExample(str(n), f"text {n}", None, "ab"[n % 2]) for n in range(20)]
    >>> [example.label for example in drawn(rows, 4, 1)]
    ['a', 'b', 'a', 'b']
    """
    by_label: dict[str, list[tuple[bytes, int]]] = {}
    for number, example in enumerate(examples):
        label = _label(example)
        if label is not None:
            text = f"{draw}\n{shared_text(example)}\n{number}".encode()
            by_label.setdefault(label, []).append((hashlib.sha256(text).digest(), number))
    ranked = [sorted(by_label[label]) for label in sorted(by_label)]
    turns = [pair[1] for turn in zip_longest(*ranked) for pair in turn if pair is not None]
    if len(turns) < count:
        raise _too_few(count, len(turns))
    return [examples[number] for number in turns[:count]]


def check(examples: Iterable[Example], count: int) -> None:
    """Raise InputError for fewer examples with an answer than are to be drawn; no more than needed are read."""
    there = sum(1 for _ in islice((example for example in examples if _label(example) is not None), count))
    if there < count:
        raise _too_few(count, there)


def _too_few(count: int, there: int) -> InputError:
    return InputError(f"{count} shots, but there are {there} training examples: give fewer")


def _label(example: Example) -> str | None:
    """Return an example's label, "" where its format has none for the whole example; None without an answer."""
    match example:
        case ClassificationExample() | MultipleChoiceExample():
            return None if example.label is None else str(example.label)
        case TaggingExample():
            return "" if example.tags else None
        case QAExample():
            return "" if example.answers or example.unanswerable else None
        case _:
            return ""
