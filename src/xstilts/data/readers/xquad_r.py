"""XQuAD-R: questions and the sentences that answer them, for retrieval; and such pairs from SQuAD's format.

A candidate is a sentence with its paragraph as context. In XQuAD-R every sentence of every language is one, and right
for a question are, in all languages, the sentence that holds its answer and those equal to it in the same paragraph
(LAReQA: Roy et al. 2020). With the option `texts` "xtreme-r" a sentence and its paragraph are one text, with nothing
between them, as XTREME-R's code encodes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from xstilts.data.examples import AnswerSpan
from xstilts.data.readers import field_types
from xstilts.data.readers.answer_offsets import placed, position
from xstilts.data.readers.row import XTREME_R, Input, Options, Report, Row, bad
from xstilts.data.readers.row_to_example import answers_of, file_unit
from xstilts.data.readers.squad_json import document, field, items, squad

Span = tuple[int, int]
NOT_BLANK = re.compile(r"\S")
STOP = re.compile(r"(?<![.!?])([.!?]++)[\"')\]]*+(?=\s[^a-z]|$)")  # each run is looked at once: linear time


def xquad_r(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read XQuAD-R, a file a language: questions of the option `language`, candidates of all."""
    questions: list[Row] = []
    candidates: list[Row] = []
    targets: dict[str, list[str]] = {}
    for file in files:
        code, places = PurePath(file.name).stem, dict[str, str]()
        paragraphs = list(_paragraphs(file, report))
        asked = (
            (paragraph, question, at)
            for paragraph, place in paragraphs
            for question, at in items(paragraph, "qas", f"{place}.")
        )
        unit = file_unit(
            ((field(p, "context", at), field(q, "answers", at), at) for p, q, at in asked), file, report, certain=True
        )
        for number, (paragraph, place) in enumerate(paragraphs, start=1):
            spans = _spans(paragraph, place, unit)
            ids = [f"{code}_{number}_{position}" for position in range(len(spans))]
            texts = [paragraph["context"][start:stop] for start, stop in spans]
            candidates += _candidates(paragraph["context"], ids, texts, place, options)
            for question, at in items(paragraph, "qas", f"{place}."):
                id, text, answer = _asked(question, at, report)
                start = position(paragraph["context"], answer.start, unit) if answer else None
                if id in places:
                    problem = f"expected ids that occur once, found {id!r} again (first at {places[id]})"
                    raise bad(at, problem, "get the file again")
                places[id] = at
                holder = next(
                    (t for t, (a, b) in zip(texts, spans, strict=True) if start is not None and a <= start < b), None
                )
                if holder is None:
                    report.note("dropped: answer in no sentence", at)
                    continue
                targets.setdefault(id, []).extend(i for i, t in zip(ids, texts, strict=True) if t == holder)
                if code == options.get("language"):
                    questions.append(Row(at, {"id": id, "text": text, "side": "query"}))
    for row in questions:
        yield Row(row.place, {**row.values, "targets": tuple(targets[row.values["id"]])})
    yield from candidates


def squad_pairs(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read SQuAD's format as pairs: each question, and the sentence that holds its (first) answer in its paragraph."""
    for file in files:
        rows = list(squad([file], options, report))
        answers = ((row.values["context"], field(row.values, "answers", row.place), row.place) for row in rows)
        unit = file_unit(answers, file, report, certain=True)
        yield from (pair for row in rows for pair in _pair(row, unit, report, options))


def _pair(row: Row, unit: str, report: Report, options: Options) -> Iterator[Row]:
    """Yield a question and the sentence that holds its answer, if it has one."""
    id, text, answer = _asked(row.values, row.place, report)
    context = field_types.text(row.values["context"], "context", row.place)
    start = placed(answer, context, unit, row.place, report, tolerant=True).start if answer else -1
    if start < 0:
        reason = "answer not in its context" if answer else "question without an answer"
        report.note(f"dropped: {reason}", row.place)
        return
    sentence = sentence_at(context, start)
    if options.get("texts") == XTREME_R:
        yield Row(row.place, {"id": id, "source": text, "english": _joined(sentence, context)})
    else:
        yield Row(row.place, {"id": id, "source": text, "english": sentence, "context": context})


def sentence_at(text: str, place: int) -> str:
    """Return the sentence of a text that holds a character; the whole text where none does.

    A sentence ends with stops before white space that no small letter follows.

    >>> sentence_at("Ada wrote it (i.e. notes). She knew.", 14), sentence_at("Who? Ada!", 6)
    ('Ada wrote it (i.e. notes).', 'Ada!')
    """
    begin = 0
    while (first := NOT_BLANK.search(text, begin)) is not None and first.start() <= place:
        start = first.start()
        # A sentence has a character before its last stop.
        stop = next((stop for stop in STOP.finditer(text, start) if stop.end(1) > start + 1), None)
        begin = stop.end() if stop else len(text.removesuffix("\n"))
        if start <= place < begin:
            return text[start:begin]
        if stop is None:
            break
    return text


def _joined(sentence: str, context: str) -> str:
    """Return a sentence and its paragraph as one text."""
    return (sentence + context).replace("\n", "")


def _paragraphs(file: Input, report: Report) -> Iterator[tuple[Any, str]]:
    for article, at_article in items(document(file, report), "data", f"{file.name}:"):
        yield from items(article, "paragraphs", f"{at_article}.")


def _spans(paragraph: Any, place: str, unit: str) -> list[Span]:
    """Return the (start, stop) characters of a paragraph's sentences."""
    context = field_types.text(field(paragraph, "context", place), "context", place)
    spans = []
    for given, at in items(paragraph, "sentence_breaks", f"{place}."):
        ends = [field_types.integer(end, "sentence_breaks", at) for end in given] if isinstance(given, list) else []
        start, stop = (position(context, end, unit) for end in ends) if len(ends) == 2 else (None, None)
        if start is None or stop is None or not 0 <= start < stop <= len(context):
            problem = f"expected a part of {len(context)} characters, found {field_types.shown(given)}"
            raise bad(at, problem, "get the file again")
        spans.append((start, stop))
    return spans


def _asked(question: Any, place: str, report: Report) -> tuple[str, str, AnswerSpan | None]:
    """Return a question's id, its text and its (first) answer, with the offset of the file."""
    answers = answers_of(field(question, "answers", place), place, report)
    id = field_types.identifier(field(question, "id", place), "id", place, report)
    text = field_types.text(field(question, "question", place), "question", place, report)
    return id, text, answers[0] if answers else None


def _candidates(context: str, ids: Sequence[str], texts: Sequence[str], place: str, options: Options) -> Iterator[Row]:
    official = options.get("texts") == XTREME_R
    for number, (id, text) in enumerate(zip(ids, texts, strict=True)):
        parts = {"text": _joined(text, context)} if official else {"text": text, "context": context}
        values = {"id": id, **parts, "side": "candidate", "targets": ()}
        yield Row(f"{place}.sentence_breaks[{number}]", values)
