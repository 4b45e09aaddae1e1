"""Trend: what the numbers of a sentence say where they plainly stand for one thing each, and nothing otherwise.

Two shapes are read: a value for each of several model sizes, which rises or falls with every step, and a score of what
is asked about beside that of what it is compared with.

>>> series("It gains 4.6 points for Base, 2.9 points for Large and 0.3 points for XXL.")
{'point': 'down'}
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from xstilts.evidence.claims.question import Question, mentions
from xstilts.evidence.text.stemming import Mention

Trend = Literal["up", "down", "level"]
RANGE = re.compile(r"\b(?:from )?\d+(?:\.\d+)?[MB]? (?:to|and) \d+(?:\.\d+)?[MB]\b")
SIZE = re.compile(r"\b(\d+(?:\.\d+)?)([MB])\b")
CALLED = re.compile(r"\b(?:Small|Base|Large|XXL|XL)\b")
RANKS = ("Small", "Base", "Large", "XL", "XXL")
VALUE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?) (point|hour|GiB|GB|time)s?\b")
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
SCORES = re.compile(r"\b(?:reach|achiev|obtain)\w*\b[^;\d]*(\d+\.\d+)")
AGAINST = re.compile(r"\bcompared (?:to|with) (\d+\.\d+)\b")
EACH = re.compile(r"\s*of ([\d,]+) and ([\d,]+) (?:reach|achiev|obtain)\w* (\d+\.\d+) and (\d+\.\d+)")
LEAST = 0.5  # points: scores that are nearer are no difference that is sure; seeds differ by as much


def series(text: str) -> dict[str, Trend]:
    """Return, by unit, whether a value for each of several model sizes rises or falls from step to step."""
    found: dict[str, Trend] = {}
    for sentence in SENTENCE.split(RANGE.sub(" ", text)):
        sizes = [float(number) * (1000 if unit == "B" else 1) for number, unit in SIZE.findall(sentence)]
        ranks = [float(RANKS.index(name)) for name in CALLED.findall(sentence)]
        values = VALUE.findall(sentence)
        for unit in dict.fromkeys(unit for _, unit in values):
            those = [float(number) for number, one in values if one == unit]
            way = _way(sizes, those) or _way(ranks, those)
            if way:
                found.setdefault(unit, way)
    return found


def beside(sentence: str, question: Question) -> Trend | None:
    """Return whether what is asked about scores more than what it is compared with; None where that is not told."""
    named = mentions(sentence)
    core = [one for one in named if one.name in question.core]
    if not core:
        return None
    if each := EACH.match(sentence, core[0].end):
        less, more, low, high = (float(number.replace(",", "")) for number in each.groups())
        return _difference(high - low if less < more else low - high)
    ours, theirs = _ours(sentence, core), _theirs(sentence, named, question)
    return None if ours is None or theirs is None else _difference(ours - theirs)


def _way(sizes: Sequence[float], values: Sequence[float]) -> Trend | None:
    """Return how values go where sizes grow; None where they are not one each, or go up and down."""
    if len(sizes) != len(values) or len(set(sizes)) < 2:
        return None
    ordered = [value for _, value in sorted(zip(sizes, values, strict=True))]
    if all(one < other for one, other in pairwise(ordered)):
        return "up"
    return "down" if all(one > other for one, other in pairwise(ordered)) else None


def _difference(points: float) -> Trend:
    if abs(points) < LEAST:
        return "level"
    return "up" if points > 0 else "down"


def _ours(sentence: str, core: Sequence[Mention]) -> float | None:
    """Return the score of what is asked about: the first number after a verb that it is the subject of."""
    begins = 0
    for found in SCORES.finditer(sentence):
        if any(begins <= one.start and one.end <= found.start() for one in core):
            return float(found[1])
        begins = found.end()
    return None


def _theirs(sentence: str, named: Sequence[Mention], question: Question) -> float | None:
    """Return the score of what is compared with, which is named behind it."""
    against = question.facet("comparator").terms
    found = AGAINST.search(sentence)
    if not found:
        return None
    ends = min((at for mark in ",;" if (at := sentence.find(mark, found.end())) > 0), default=len(sentence))
    return float(found[1]) if any(one.name in against and found.end() <= one.start < ends for one in named) else None
