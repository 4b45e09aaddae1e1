"""Texts: what of an example is translated, and how a translated text is divided into words.

A text is a field of an example: premise and hypothesis, question and choices, a passage. The words of a tagged sentence
are joined to one text, without spaces in scripts that have none, and a translation is divided into words again.

>>> from xstilts.data.examples import ClassificationExample
>>> texts_of(ClassificationExample("1", "A dog runs.", "An animal moves.", "entailment"))
{'text_a': 'A dog runs.', 'text_b': 'An animal moves.'}
>>> [word.text for word in words_of("Don't cost 3.5 €, 東京!")]
["Don't", 'cost', '3.5', '€', ',', '東', '京', '!']
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from xstilts.data.examples import (
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    QAExample,
    TaggingExample,
)

E = TypeVar("E", bound=Example)
FORMATS = ("classification", "multiple_choice", "token_classification", "extractive_qa")
LABELLED = {"token_classification": "text", "extractive_qa": "context"}
"""The text of a format whose labels are parts of it, so that they have to be projected."""

UNSPACED = (  # scripts whose words are not divided by spaces, by ranges of code points
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # radicals of Han
    (0x3005, 0x3007),
    (0x3021, 0x30FF),  # Kana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
WITHIN_WORDS = frozenset("'’\u200c\u200d\u00b7\u02bc")  # between two letters
WITHIN_NUMBERS = frozenset(".,:")  # between two digits


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text, with its first character and the one after its last."""

    text: str
    start: int
    stop: int


def texts_of(example: Example) -> dict[str, str]:
    """Return the texts of an example by field, in a fixed order; those that are empty are left out.

    Args:
        example: Of one of `FORMATS`.

    Returns:
        "text_a" and "text_b"; "context", "question" and "choices.0", "choices.1" …; or "text", the words of a sentence.

    Raises:
        TypeError: The example is of another format.
    """
    match example:
        case ClassificationExample():
            texts = {"text_a": example.text_a, "text_b": example.text_b or ""}
        case MultipleChoiceExample():
            choices = {f"choices.{number}": choice for number, choice in enumerate(example.choices)}
            texts = {"context": example.context, "question": example.question, **choices}
        case QAExample():
            texts = {"context": example.context, "question": example.question}
        case TaggingExample():
            texts = {"text": joined(example.tokens)[0]}
        case _:
            raise TypeError(f"{type(example).__name__} has no texts to translate")
    return {field: text for field, text in texts.items() if text.strip()}


def with_texts(example: E, texts: Mapping[str, str]) -> E:
    """Return an example with other texts and the labels that it has, where these do not depend on the texts.

    Args:
        example: Of classification or multiple choice.
        texts: New texts by field, as `texts_of` names them; the others stay as they are.

    Returns:
        The example.

    Raises:
        TypeError: The labels of the example are parts of its text.
    """
    match example:
        case ClassificationExample():
            return replace(
                example, text_a=texts.get("text_a", example.text_a), text_b=texts.get("text_b", example.text_b)
            )
        case MultipleChoiceExample():
            choices = tuple(texts.get(f"choices.{number}", choice) for number, choice in enumerate(example.choices))
            return replace(
                example,
                context=texts.get("context", example.context),
                question=texts.get("question", example.question),
                choices=choices,
            )
    raise TypeError(f"the labels of {type(example).__name__} are parts of its text")


def joined(tokens: Sequence[str]) -> tuple[str, tuple[Word, ...]]:
    """Join the words of a sentence to a text: with spaces, except between characters of scripts that have none.

    Returns:
        The text, and each word with its place in it.

    >>> joined(["東", "京", "is", "big"])[0]
    '東京 is big'
    """
    words: list[Word] = []
    text = ""
    for token in tokens:
        if text and token and not (unspaced(text[-1]) and unspaced(token[0])):
            text += " "
        words.append(Word(token, len(text), len(text) + len(token)))
        text += token
    return text, tuple(words)


def words_of(text: str) -> tuple[Word, ...]:
    """Divide a text into words: runs of letters, marks and digits; single characters of unspaced scripts; signs.

    Args:
        text: Any text.

    Returns:
        The words with their places; nothing but white space lies between them.
    """
    words: list[Word] = []
    start = 0
    while start < len(text):
        stop = start + 1
        if text[start].isspace():
            start = stop
            continue
        if unspaced(text[start]):
            while stop < len(text) and _mark(text[stop]):
                stop += 1
        elif _part_of_word(text[start]):
            while stop < len(text) and _continues(text, stop):
                stop += 1
        else:
            while stop < len(text) and _mark(text[stop]):  # a mark belongs to the sign before it
                stop += 1
        words.append(Word(text[start:stop], start, stop))
        start = stop
    return tuple(words)


def unspaced(character: str) -> bool:
    """Return whether a character is of a script whose words are not divided by spaces."""
    point = ord(character)
    return point >= UNSPACED[0][0] and any(first <= point <= last for first, last in UNSPACED)


def single(word: str) -> bool:
    """Return whether a word is one character of an unspaced script, with its marks."""
    return bool(word) and unspaced(word[0]) and all(map(_mark, word[1:]))


def _mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


def _part_of_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LMN"


def _continues(text: str, place: int) -> bool:
    """Return whether a word that has begun goes on with the character at a place."""
    character, after = text[place], text[place + 1 : place + 2]
    if unspaced(character):
        return False
    if _part_of_word(character):
        return True
    if character in WITHIN_WORDS:
        return bool(after) and _part_of_word(after) and not unspaced(after)
    return character in WITHIN_NUMBERS and text[place - 1].isdigit() and after.isdigit()
