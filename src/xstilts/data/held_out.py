"""Held out: a fixed part of training data as development or test data, where there are no files of their own.

Which examples are held out depends on their texts alone: they are ranked by a digest, label by label, so that every
label has its share in each part. Examples that share a text (a passage with its questions, a row that is there twice)
stay together. Adding a row moves hardly any other.

>>> from xstilts.data.examples import ClassificationExample
>>> rows = [ClassificationExample(str(n), f"text {n}", None, "ab"[n % 2]) for n in range(200)]
>>> {split: len(part) for split, part in divided(rows, ("validation",)).items()}
{'train': 170, 'validation': 30}
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from xstilts.data.examples import Example, shared_text
from xstilts.errors import InputError
from xstilts.runtime.text import counted

PERCENT = 10
FEWEST = 30  # examples of a part, where that is not too large a share
LARGEST_SHARE = 5  # a part has at most one example in so many


def divided(
    examples: Sequence[Example], parts: Sequence[str], percent: int = PERCENT, most: int | None = None
) -> dict[str, list[Example]]:
    """Divide examples into those to train on and the parts that are held out.

    Args:
        examples: All examples.
        parts: The splits that are held out: "validation", "test" or both.
        percent: The share of each part in percent; small data have at least `FEWEST` examples in a part.
        most: About so many examples of a part, at most; None: no limit.

    Returns:
        The examples of "train" and of each part, in their order.

    Raises:
        InputError: There are too few examples.
    """
    splits: dict[str, list[Example]] = {split: [] for split in ("train", *parts)}
    for example, split in zip(examples, _splits(examples, parts, percent, most), strict=True):
        splits[split].append(example)
    return splits


def size(examples: int, percent: int = PERCENT, most: int | None = None) -> int:
    """Return about how many examples of training data a held-out part has; below 2 they cannot be divided.

    Args:
        examples: Number of training examples.
        percent: The share of the part in percent; small data have at least `FEWEST` examples in a part.
        most: At most so many; None: no limit.

    >>> size(3696, most=500), size(392702, most=500), size(60), size(9)
    (370, 500, 12, 1)
    """
    largest = examples // LARGEST_SHARE
    return min(max(math.ceil(examples * percent / 100), FEWEST), largest, largest if most is None else most)


def _splits(examples: Sequence[Example], parts: Sequence[str], percent: int, most: int | None) -> list[str]:
    """Return the split of each example."""
    wanted = size(len(examples), percent, most)
    if wanted < 2:
        remedy = "give more rows, or files of their own for these splits"
        are = f"{counted(len(examples), 'training example')} {'is' if len(examples) == 1 else 'are'}"
        raise InputError(f"{are} too few to hold out {' and '.join(parts)}: {remedy}")
    by_label: dict[str, dict[str, list[int]]] = {}
    label_of_text: dict[str, str] = {}
    for number, example in enumerate(examples):
        text = shared_text(example)
        label = label_of_text.setdefault(text, str(getattr(example, "label", "")))
        by_label.setdefault(label, {}).setdefault(text, []).append(number)
    splits = ["train"] * len(examples)
    quotas = _quotas({label: sum(map(len, groups.values())) for label, groups in by_label.items()}, wanted)
    for label, groups in by_label.items():
        ranked = sorted(groups, key=lambda text: hashlib.sha256(text.encode()).digest(), reverse=True)
        for held_out in parts:
            count = 0
            while count < quotas[label] and len(ranked) > 1:  # the last group is trained on
                numbers = groups[ranked.pop()]
                for number in numbers:
                    splits[number] = held_out
                count += len(numbers)
    return splits


def _quotas(sizes: dict[str, int], wanted: int) -> dict[str, int]:
    """Return how many examples of each label a part has, by largest remainders."""
    total = sum(sizes.values())
    shares = {label: wanted * size / total for label, size in sizes.items()}
    quotas = {label: int(share) for label, share in shares.items()}
    by_remainder = sorted(sizes, key=lambda label: (quotas[label] - shares[label], label))
    for label in by_remainder[: wanted - sum(quotas.values())]:
        quotas[label] += 1
    return quotas
