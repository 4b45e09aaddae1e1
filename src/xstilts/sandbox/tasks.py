"""Tasks: data of every task format in every language, with gold labels that follow from the meanings.

A split's meanings are the same in all languages, so that test sets are translations of each other, as XNLI's are.
Training data of the target tasks are in the English-like language only, as zero-shot transfer requires; those of the
intermediate tasks are in all languages, as translations of each other.

>>> options = {"make": "entailment", "test": 1}
>>> [next(examples("sandbox_nli", "test", code, options)).text_b for code in ("qaa", "qac")]
['Anna follows the cherry near the bridge .', 'bridgi zeze Onno chirry foza .']
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import count, cycle, islice
from random import Random
from threading import Lock
from typing import Any, Generic, TypeVar

from xstilts.data.examples import (
    AnswerSpan,
    BitextExample,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    QAExample,
    TaggingExample,
)
from xstilts.errors import InputError
from xstilts.sandbox.grammar import Word, say
from xstilts.sandbox.languages import ENGLISH_LIKE, Artificial, digest, language
from xstilts.sandbox.relations import follows, relates, restates
from xstilts.sandbox.texts import parallel, text
from xstilts.sandbox.world import NEXT, TRANSITIVE, Event, EventQuestion, Meaning, events

T = TypeVar("T")
TARGETS = ("entailment", "question", "ner")  # makers of tasks with training data in one language alone
VERSION = 1  # a part of every task's options, so that a changed world is other data

LABELS: dict[str, tuple[str, ...]] = {
    "entailment": ("entailment", "neutral", "contradiction"),
    "relation": ("equivalent", "wider", "narrower", "opposite", "other"),
    "paraphrase": ("different", "same"),
    "parity": ("even", "odd"),
    "pos": ("ADJ", "ADP", "ADV", "AUX", "DET", "NOUN", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "VERB"),
    "ner": ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"),
    "names": ("O", "given", "family", "town", "direction", "firm", "trade"),
    "roles": ("O", "agent", "patient", "place"),
}


def examples(task: str, split: str, code: str, options: Mapping[str, str | int | tuple[str, ...]]) -> Iterator[Example]:
    """Yield the examples of a split of a sandbox task in a language.

    Args:
        task: The name of the task, which seeds the examples.
        split: "train", "validation" or "test".
        code: The code of the language.
        options: "make", which examples are made (a key of `MAKERS` or `CORPORA`), and the number of examples (for a
            corpus, of lines) by split.

    Yields:
        The examples, the same at each call.

    Raises:
        InputError: The task has no such split in the language.
    """
    make, number = options["make"], options.get(split, 0)
    assert isinstance(make, str)
    assert isinstance(number, int)
    if make in CORPORA:
        yield from CORPORA[make](language(code), number)
        return
    if not has(split, code, options):
        raise InputError(
            f"'{task}' has no {split} data in '{code}': the sandbox trains and selects its target tasks in "
            f"'{ENGLISH_LIKE.code}' only; the other languages have a test split"
        )
    yield from islice(_examples(task, split, make, code), number)


def translated_examples(
    task: str, split: str, code: str, options: Mapping[str, str | int | tuple[str, ...]]
) -> Iterator[Example]:
    """Yield the examples of a split in a language without end, also where the task has none: an exact translation.

    Args:
        task: The name of the task, which seeds the examples.
        split: "train", "validation" or "test".
        code: The code of the language.
        options: As of `examples`; "make" is a key of `MAKERS`.

    Yields:
        The examples, in the order of those of every other language.
    """
    yield from _examples(task, split, str(options["make"]), code)


class Kept(Generic[T]):
    """The values of an iterator, each computed when it is first asked for, and kept for the next caller."""

    def __init__(self, values: Iterator[T]) -> None:
        self._values, self._kept, self._lock = values, list[T](), Lock()

    def __iter__(self) -> Iterator[T]:
        for index in count():
            with self._lock:
                if index == len(self._kept):
                    self._kept.append(next(self._values))
            yield self._kept[index]


@lru_cache(maxsize=32)
def _meanings(task: str, split: str, make: str) -> Kept[Any]:
    stream, random = events(split, f"{task} {split}"), Random(f"{task} {split} choices")
    return Kept(MAKERS[make][0](stream, random))


@lru_cache(maxsize=64)
def _examples(task: str, split: str, make: str, code: str) -> Kept[Example]:
    make_example, meanings = MAKERS[make][1], _meanings(task, split, make)
    return Kept(make_example(f"{split}-{i}", meaning, language(code)) for i, meaning in enumerate(meanings))


def has(split: str, code: str, options: Mapping[str, str | int | tuple[str, ...]]) -> bool:
    """Return whether a sandbox task has a split in a language.

    Args:
        split: "train", "validation" or "test".
        code: The code of the language.
        options: As of `examples`.

    Returns:
        Whether `examples` yields any; training and development data of target tasks are in one language alone.
    """
    everywhere = split == "test" or options["make"] not in TARGETS
    return bool(options.get(split)) and (everywhere or code == ENGLISH_LIKE.code)


# What is meant: from events to what an example says, the same for all languages.


def _pairs(
    relate: Callable[[Event, str, Random], tuple[Meaning, Meaning] | None],
    labels: tuple[str, ...],
    stream: Iterator[Event],
    random: Random,
) -> Iterator[tuple[Meaning, Meaning, str]]:
    """Yield two meanings and their relation, every label equally often."""
    for label in cycle(labels):
        pair = None
        while not pair:
            pair = relate(next(stream), label, random)
        yield *pair, label


def _restated(stream: Iterator[Event], random: Random) -> Iterator[tuple[Meaning, Meaning, str]]:
    return _pairs(partial(restates, stream=stream), LABELS["paraphrase"], stream, random)


def _single(stream: Iterator[Event], random: Random) -> Iterator[Event]:
    return stream


def _distinct(stream: Iterator[Event], random: Random) -> Iterator[Event]:
    yielded: set[Event] = set()
    for event in stream:
        if event not in yielded:
            yielded.add(event)
            yield event


def _questions(gap: bool, stream: Iterator[Event], random: Random) -> Iterator[tuple[tuple[Event, ...], EventQuestion]]:
    """Yield two events that share no word but function words, and a question about one of them."""
    for role in cycle(("agent", "patient", "place")):
        while True:
            story = [next(stream), next(stream)]
            words = [word for event in story for word in _content(event)]
            chosen = random.choice(story)
            if getattr(chosen, role) and len(words) == len(set(words)):
                break
        yield tuple(story), EventQuestion(chosen, role, gap)


def _content(event: Event) -> list[str]:
    things = (event.agent, event.patient, event.place)
    return [event.verb, *(word for thing in things if thing for word in thing.words)]


def _next(stream: Iterator[Event], random: Random) -> Iterator[tuple[Event, Event, Event, int]]:
    """Yield an event, what comes next and what does not, and the place of the right one."""
    for label in cycle((0, 1)):
        usual = next(event for event in stream if event.verb in NEXT and not event.negated)
        event = replace(usual, passive=False, place=None, near=False)
        right = NEXT[event.verb]
        wrong = random.choice([verb for verb in TRANSITIVE if verb not in (right, event.verb)])
        yield event, replace(event, verb=right, time=None), replace(event, verb=wrong, time=None), label


# From a meaning to an example in a language.


def _as_pair(id: str, meaning: tuple[Meaning, Meaning, str], tongue: Artificial) -> ClassificationExample:
    a, b, label = meaning
    return ClassificationExample(id, say(a, tongue).text, say(b, tongue).text, label)


def _as_parity(id: str, event: Event, tongue: Artificial) -> ClassificationExample:
    words = say(event, tongue).words
    return ClassificationExample(id, say(event, tongue).text, None, LABELS["parity"][len(words) % 2])


def _as_tags(tag: Callable[[Word], str], id: str, event: Event, tongue: Artificial) -> TaggingExample:
    words = say(event, tongue).words
    return TaggingExample(id, tuple(word.form for word in words), tuple(tag(word) for word in words))


def _as_question(id: str, meaning: tuple[tuple[Event, ...], EventQuestion], tongue: Artificial) -> QAExample:
    story, question = meaning
    sentences = [say(event, tongue) for event in story]
    at = story.index(question.event)
    text, start = sentences[at].answer(question.role)
    start += sum(len(sentence.text) + 1 for sentence in sentences[:at])
    context = " ".join(sentence.text for sentence in sentences)
    return QAExample(id, context, say(question, tongue).text, (AnswerSpan(text, start),))


def _as_choice(id: str, meaning: tuple[Event, Event, Event, int], tongue: Artificial) -> MultipleChoiceExample:
    event, right, wrong, label = meaning
    choices = tuple(say(e, tongue).text for e in ((right, wrong) if label == 0 else (wrong, right)))
    return MultipleChoiceExample(id, say(event, tongue).text, "", choices, label)


def _as_parallel(id: str, event: Event, tongue: Artificial) -> BitextExample:
    return BitextExample(id, say(event, tongue).text, say(event, ENGLISH_LIKE).text)


def _role(word: Word) -> str:
    return word.role or "O"


Maker = tuple[Callable[[Iterator[Event], Random], Iterator[Any]], Callable[[str, Any, Artificial], Example]]
MAKERS: dict[str, Maker] = {
    "entailment": (partial(_pairs, follows, LABELS["entailment"]), _as_pair),
    "relation": (partial(_pairs, relates, LABELS["relation"]), _as_pair),
    "paraphrase": (_restated, _as_pair),
    "parity": (_single, _as_parity),
    "pos": (_single, partial(_as_tags, lambda word: word.pos)),
    "ner": (_single, partial(_as_tags, lambda word: word.entity)),
    "names": (_single, partial(_as_tags, lambda word: word.part)),
    "roles": (_single, partial(_as_tags, _role)),
    "question": (partial(_questions, False), _as_question),
    "cloze": (partial(_questions, True), _as_question),
    "next": (_next, _as_choice),
    "translation": (_distinct, _as_parallel),
}
CORPORA: dict[str, Callable[[Artificial, int], Iterator[Example]]] = {"text": text, "parallel": parallel}


@dataclass(frozen=True)
class SandboxGenerator:
    """Makes the examples of the sandbox's tasks (a `data.source.Generator`)."""

    has = staticmethod(has)
    examples = staticmethod(examples)
    digest = staticmethod(digest)


GENERATOR = SandboxGenerator()
