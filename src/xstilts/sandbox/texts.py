"""Texts: the pretraining data of the sandbox's encoder, in every language, from training meanings only.

Lines of one language are single sentences, short documents and pairs that share most of their words, from which a
model learns to copy, to compare and to look up; a more distant language has fewer lines of translation.

>>> from xstilts.sandbox.languages import language
>>> [sum(1 for _ in parallel(language(code), 100)) for code in ("qaa", "qab", "qaf")]
[0, 200, 12]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from random import Random

from xstilts.data.examples import BitextExample, TextExample
from xstilts.sandbox.grammar import say
from xstilts.sandbox.languages import ENGLISH_LIKE, Artificial
from xstilts.sandbox.relations import equivalent, opposite, swapped, wider
from xstilts.sandbox.world import KINDS, NEXT, Event, EventQuestion, Fact, Meaning, Order, Thing, events

ROLES = ("agent", "patient", "place")


def text(tongue: Artificial, count: int) -> Iterator[TextExample]:
    """Yield `count` lines of a language, then its translations: the sentence as `text`, the English-like one as `pair`.

    Of the lines 35 % have a related sentence of the same language as `pair`, 35 % are a question and its answer with
    the story as `pair`; the others are a sentence or two.

    Args:
        tongue: The artificial language.
        count: The number of lines; translations are added to them.

    Yields:
        The lines, the same at each call.
    """
    seed = f"lines {tongue.code}"
    random, stream = Random(seed), events("train", seed)
    for i in range(count):
        parts = _lines(stream, random)
        first, second = (" ".join(say(meaning, tongue).text for meaning in part) for part in parts)
        yield TextExample(f"{tongue.code}-line-{i}", first, second or None)
    for pair in parallel(tongue, count):
        yield TextExample(pair.id, pair.source, pair.english)


def parallel(tongue: Artificial, count: int) -> Iterator[BitextExample]:
    """Yield sentences of a language with their translations into the English-like one.

    Args:
        tongue: The artificial language; the English-like one has no translations.
        count: Of how many lines the language has text; its `parallel` is the percentage that is translated.

    Yields:
        The pairs, the same at each call.
    """
    seed = f"parallel {tongue.code}"
    random, stream = Random(seed), events("train", seed)
    for i in range(0 if tongue == ENGLISH_LIKE else count * tongue.parallel // 100):
        meaning = _meaning(stream, random)
        yield BitextExample(f"{tongue.code}-pair-{i}", say(meaning, tongue).text, say(meaning, ENGLISH_LIKE).text)


Part = tuple[Meaning, ...]


def _lines(stream: Iterator[Event], random: Random) -> tuple[Part, Part]:
    """Return the sentences of a line, and of its pair (none: it stands alone)."""
    drawn = random.random()
    if drawn < 0.35:
        a, b = _related(next(stream), random)
        return (a,), (b,)
    if drawn < 0.7:
        return _questions(stream, random)
    return ((_meaning(stream, random),) if drawn < 0.85 else _chain(stream)), ()


def _meaning(stream: Iterator[Event], random: Random) -> Meaning:
    event, drawn = next(stream), random.random()
    if drawn < 0.1:
        return _fact(random)
    if drawn < 0.2:
        first, second = islice((e for e in stream if not e.patient), 2)
        return Order(first, second, random.random() < 0.5)
    if drawn < 0.35:
        return _question(event, random)
    return event


def _fact(random: Random) -> Fact:
    hypernym = random.choice(tuple(KINDS))
    return Fact(Thing((random.choice(KINDS[hypernym]),), hypernym), Thing((hypernym,), hypernym))


def _question(event: Event, random: Random) -> EventQuestion:
    return EventQuestion(event, random.choice([role for role in ROLES if getattr(event, role)]), random.random() < 0.3)


def _related(event: Event, random: Random) -> tuple[Meaning, Meaning]:
    """Return an event and itself, or one that says the same, less, the opposite, or another thing of the same words."""
    drawn = random.random()
    if drawn < 0.4:
        return event, event
    related = [*equivalent(event), *wider(event), *opposite(event), *swapped(event)]
    return (event, random.choice(related)) if drawn < 0.7 else (random.choice(related), event)


def _questions(stream: Iterator[Event], random: Random) -> tuple[Part, Part]:
    """Return a question with its answer as a sentence, and the two events that it is about."""
    parts = tuple(islice(stream, 2))
    event = random.choice(parts)
    return (_question(event, random), event), parts


def _chain(stream: Iterator[Event]) -> Part:
    """Return two events in their usual order."""
    event = next(event for event in stream if event.verb in NEXT and not event.negated)
    return event, replace(event, verb=NEXT[event.verb], time=None, place=None, near=False)
