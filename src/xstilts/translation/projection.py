"""Projection: labels that are parts of a text, from the text to its translation and back.

Of training data, an entity or an answer is found again by its marks (`markers`) or as the words that are aligned with
it (`alignment`); an example whose label is not found is dropped, and counted. Of test data the predictions on the
translation are projected back to the words of the original, none of which is dropped.

>>> spans(["B-PER", "I-PER", "O", "B-LOC"])
[('PER', 0, 1), ('LOC', 3, 3)]
>>> tags_of([("LOC", 1, 2)], 4)
('O', 'B-LOC', 'I-LOC', 'O')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from xstilts.data.examples import AnswerSpan, Example, QAExample, TaggingExample
from xstilts.translation import markers
from xstilts.translation.alignment import Alignment
from xstilts.translation.markers import LostMarks, MarkedText
from xstilts.translation.texts import LABELLED, Word, joined, texts_of, with_texts, words_of

OUTSIDE = "O"
UNALIGNED, UNTRANSLATED, UNLOCATED = "a span is aligned with no word", "the translation is empty", "no answer position"
OVERLAPPING = "two spans share a word of the translation"

TaggedSpan = tuple[str, int, int]  # type, first word, last word


class Dropped(ValueError):
    """An example cannot be translated with its labels; the message is the reason, by which examples are counted."""


@dataclass(frozen=True)
class Pair:
    """The words of a text whose parts are labelled, and those of its translation.

    Attributes:
        original: The words of the original, with their places.
        translated: The words of the translation, with their places.
    """

    original: tuple[Word, ...]
    translated: tuple[Word, ...]


def marked(example: Example) -> MarkedText | None:
    """Return the labelled text of an example with marks around its entities, or around its answer.

    Args:
        example: Of tagging or question answering.

    Returns:
        The text with its marks; None where the example has no labelled text.

    Raises:
        Dropped: The position of the answer is not known.
    """
    match example:
        case TaggingExample():
            text, words = joined(example.tokens)
            return markers.mark(text, [(words[i].start, words[j].stop) for _, i, j in spans(example.tags)])
        case QAExample():
            answer = _answer(example)
            return markers.mark(example.context, [] if answer is None else [answer])
    return None


def chunked(tags: Sequence[str]) -> bool:
    """Return whether tags are of entities, with words outside of any, and not one part of speech for each word."""
    return any(tag == OUTSIDE for tag in tags) or any(tag[:2] in ("B-", "I-") for tag in tags)


def spans(tags: Sequence[str]) -> list[TaggedSpan]:
    """Return the entities of a sentence: runs of one type, a new one at each B-; tags without a prefix form runs."""
    entities: list[TaggedSpan] = []
    open_type = ""
    for place, tag in enumerate(tags):
        type_ = tag[2:] if tag[:2] in ("B-", "I-") else "" if tag == OUTSIDE else tag
        if type_ and type_ == open_type and not tag.startswith("B-"):
            entities[-1] = (entities[-1][0], entities[-1][1], place)
        elif type_:
            entities.append((type_, place, place))
        open_type = type_
    return entities


def tags_of(entities: Sequence[TaggedSpan], length: int, prefixed: bool = True) -> tuple[str, ...]:
    """Return the tags of a sentence with entities; of two that overlap the first is kept whole.

    Args:
        entities: The entities.
        length: The number of words.
        prefixed: Whether tags have B- and I-.
    """
    tags = [OUTSIDE] * length
    for type_, first, last in entities:
        if all(tag == OUTSIDE for tag in tags[first : last + 1]):
            for place in range(first, last + 1):
                tags[place] = f"{'B' if place == first else 'I'}-{type_}" if prefixed else type_
    return tuple(tags)


def pair_of(example: Example, translation: str | None) -> Pair:
    """Return the words of the labelled text of an example and of its translation.

    Args:
        example: Of tagging or question answering.
        translation: The translated text without marks; None or an equal text: the original's own words.
    """
    if isinstance(example, TaggingExample):
        text, words = joined(example.tokens)
    else:
        text = example.context if isinstance(example, QAExample) else ""
        words = words_of(text)
    return Pair(words, words if translation in (None, text) else words_of(translation or ""))


def by_markers(example: Example, texts: Mapping[str, str], marks: Sequence[markers.Mark]) -> Example:
    """Return an example in translation, its labels found by their marks.

    Args:
        example: The original.
        texts: Its texts in translation, the labelled one with marks.
        marks: The marks, as `marked` gave them.

    Raises:
        Dropped: A mark is lost, or a translation is empty.
    """
    field = _field(example)
    _check_texts(example, texts)
    if field is None:
        return with_texts(example, texts)
    try:
        clean, found = markers.unmarked(texts.get(field, ""), marks)
    except LostMarks as error:
        raise Dropped(str(error)) from None
    if isinstance(example, QAExample):
        return _qa(example, clean, texts, found[0] if found else None)
    assert isinstance(example, TaggingExample)
    pair = pair_of(example, clean)
    entities = []
    for (type_, _, _), (start, stop) in zip(spans(example.tags), found, strict=True):
        inside = [n for n, word in enumerate(pair.translated) if word.stop > start and word.start < stop]
        entities.append((type_, inside[0], inside[-1]))
    return _tagged(example, pair, entities)


def by_alignment(example: Example, texts: Mapping[str, str], alignment: Alignment) -> Example:
    """Return an example in translation, its labels found by the words that are aligned with theirs.

    Args:
        example: The original.
        texts: Its texts in translation, without marks.
        alignment: Of the words of `pair_of`.

    Raises:
        Dropped: An entity or the answer is aligned with no word, or a translation is empty.
    """
    field = _field(example)
    _check_texts(example, texts)
    if field is None:
        return with_texts(example, texts)
    pair = pair_of(example, texts.get(field))
    if isinstance(example, QAExample):
        answer = _answer(example)
        context = texts.get(field, example.context)
        projected = answer and _projected(answer, pair, alignment)
        if answer and not projected:
            raise Dropped(UNALIGNED)
        return _qa(example, context, texts, projected)
    assert isinstance(example, TaggingExample)
    if not chunked(example.tags):
        tags = tuple(example.tags[nearest] for nearest in alignment.nearest)
        return replace(example, tokens=tuple(word.text for word in pair.translated), tags=tags)
    entities = []
    for type_, first, last in spans(example.tags):
        span = alignment.span(first, last)
        if span is None:
            raise Dropped(UNALIGNED)
        entities.append((type_, *span))
    return _tagged(example, pair, entities)


def unlabelled(example: Example, texts: Mapping[str, str]) -> Example:
    """Return a test example in translation, without the labels that are parts of its text.

    A text whose translation is empty stays as it is, so that nothing is left out of a test set.
    """
    texts = {field: text for field, text in texts.items() if text.strip()}
    match example:
        case TaggingExample():
            pair = pair_of(example, texts.get("text"))
            return replace(example, tokens=tuple(word.text for word in pair.translated), tags=())
        case QAExample():
            context, question = (texts.get(name, getattr(example, name)) for name in ("context", "question"))
            return replace(example, context=context, question=question, answers=())
    return with_texts(example, texts)


def tags_back(predicted: Sequence[str], alignment: Alignment, length: int) -> tuple[tuple[str, ...], int]:
    """Project the predicted tags of a translated sentence back to the words of the original.

    Args:
        predicted: A tag for each word of the translation.
        alignment: Of the original's words with the translation's.
        length: The number of words of the original.

    Returns:
        A tag for each word of the original, and the number of entities that are aligned with no word.
    """
    back = alignment.reversed()
    if not chunked(predicted):
        return tuple(predicted[nearest] if nearest >= 0 else OUTSIDE for nearest in back.nearest), 0
    entities = spans(predicted)
    projected = [(type_, back.span(first, last)) for type_, first, last in entities]
    kept = [(type_, *span) for type_, span in projected if span]
    prefixed = any(tag[:2] in ("B-", "I-") for tag in predicted)
    return tags_of(kept, length, prefixed), len(entities) - len(kept)


def answer_back(span: markers.Span, context: str, pair: Pair, alignment: Alignment) -> str:
    """Project a predicted answer in a translated passage back to the original.

    Args:
        span: The first character of the answer in the translation and the one after its last.
        context: The original passage.
        pair: The words of both.
        alignment: Of the original's words with the translation's.

    Returns:
        The part of the original; "" where no word of the answer is aligned.
    """
    swapped = Pair(pair.translated, pair.original)
    found = _projected(span, swapped, alignment.reversed())
    return context[found[0] : found[1]] if found else ""


def _field(example: Example) -> str | None:
    return {TaggingExample: LABELLED["token_classification"], QAExample: LABELLED["extractive_qa"]}.get(type(example))


def _check_texts(example: Example, texts: Mapping[str, str]) -> None:
    if any(not texts.get(field, text).strip() for field, text in texts_of(example).items()):
        raise Dropped(UNTRANSLATED)


def _answer(example: QAExample) -> markers.Span | None:
    """Return the place of the first answer; None for a question that has none."""
    if not example.answers:
        return None
    answer = example.answers[0]
    text = answer.text.strip()
    start = answer.start + len(answer.text) - len(answer.text.lstrip())
    if answer.start < 0 or not text or example.context[start : start + len(text)] != text:
        raise Dropped(UNLOCATED)
    return start, start + len(text)


def _projected(span: markers.Span, pair: Pair, alignment: Alignment) -> markers.Span | None:
    """Project characters of the original to characters of the translation, in whole words."""
    inside = [n for n, word in enumerate(pair.original) if word.stop > span[0] and word.start < span[1]]
    if pair.original != pair.translated:  # a full stop at the end of an answer may be aligned with any other
        named = [n for n in inside if any(map(str.isalnum, pair.original[n].text))]
        inside = inside[named[0] - inside[0] : named[-1] - inside[0] + 1] if named else inside
    found = alignment.span(inside[0], inside[-1]) if inside else None
    if pair.original == pair.translated and found and inside and found == (inside[0], inside[-1]):
        return span  # the same words: the span itself, which may end within one
    return (pair.translated[found[0]].start, pair.translated[found[1]].stop) if found else None


def _qa(example: QAExample, context: str, texts: Mapping[str, str], span: markers.Span | None) -> QAExample:
    question = texts.get("question", example.question)
    if context == example.context and span == _answer(example):
        return replace(example, question=question)
    answers = () if span is None else (AnswerSpan(context[span[0] : span[1]], span[0]),)
    return replace(example, context=context, question=question, answers=answers)


def _tagged(example: TaggingExample, pair: Pair, entities: Sequence[TaggedSpan]) -> TaggingExample:
    if pair.translated == pair.original and list(entities) == spans(example.tags):
        return example  # also where its tags are not written as `tags_of` writes them
    ordered = sorted((first, last) for _, first, last in entities)
    if any(last >= first for (_, last), (first, _) in pairwise(ordered)):
        raise Dropped(OVERLAPPING)
    prefixed = any(tag[:2] in ("B-", "I-") for tag in example.tags)
    tags = tags_of(entities, len(pair.translated), prefixed)
    return replace(example, tokens=tuple(word.text for word in pair.translated), tags=tags)
