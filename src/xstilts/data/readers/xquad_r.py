"""XQuAD-R: questions and the sentences that answer them, for retrieval; and such pairs from SQuAD's format.

A candidate is a sentence with its paragraph as context. In XQuAD-R every sentence of every language is one, and right
for a question are, in all languages, the sentence that holds its answer and those equal to it in the same paragraph
(LAReQA: Roy et al. 2020).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from xstilts.data.readers.row import Input, Options, Report, Row, bad
from xstilts.data.readers.squad_json import document, field, items, squad

Span = tuple[int, int]
SENTENCE = re.compile(r"\S.*?(?:[.!?]+[\"')\]]*(?=\s+[^a-z]|$)|$)", re.DOTALL)


def xquad_r(files: Sequence[Input], options: Options, report: Report) -> Iterator[Row]:
    """Read XQuAD-R, a file a language: questions of the option `language`, candidates of all."""
    questions: list[Row] = []
    candidates: list[Row] = []
    targets: dict[str, list[str]] = {}
    for file in files:
        code, places = PurePath(file.name).stem, dict[str, str]()
        for number, (paragraph, place) in enumerate(_paragraphs(file, report), start=1):
            spans = _spans(paragraph, place)
            ids = [f"{code}_{number}_{position}" for position in range(len(spans))]
            texts = [paragraph["context"][start:stop] for start, stop in spans]
            candidates += _candidates(paragraph["context"], ids, texts, place)
            for question, at in items(paragraph, "qas", f"{place}."):
                id, text, start = _asked(question, at)
                if id in places:
                    problem = f"expected ids that occur once, found {id!r} again (first at {places[id]})"
                    raise bad(at, problem, "get the file again")
                places[id] = at
                holder = next((t for t, (a, b) in zip(texts, spans, strict=True) if a <= start < b), None)
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
    for row in squad(files, options, report):
        context = row.values["context"]
        _, text, start = _asked(row.values, row.place)
        if start < 0:
            report.note("dropped: question without an answer", row.place)
            continue
        sentence = next((m[0] for m in SENTENCE.finditer(context) if m.start() <= start < m.end()), context)
        values = {"source": text, "english": sentence, "context": context}
        yield Row(row.place, {"id": row.values["id"], **values})


def _paragraphs(file: Input, report: Report) -> Iterator[tuple[Any, str]]:
    for article, at_article in items(document(file, report), "data", f"{file.name}:"):
        yield from items(article, "paragraphs", f"{at_article}.")


def _spans(paragraph: Any, place: str) -> list[Span]:
    """Return the (start, stop) characters of a paragraph's sentences."""
    size = len(field(paragraph, "context", place))
    spans = []
    for (start, stop), at in items(paragraph, "sentence_breaks", f"{place}."):
        if not 0 <= start < stop <= size:
            raise bad(at, f"expected a part of {size} characters, found {start} to {stop}", "get the file again")
        spans.append((start, stop))
    return spans


def _asked(question: Any, place: str) -> tuple[str, str, int]:
    """Return a question's id, its text and where its answer starts."""
    answers = list(items(question, "answers", f"{place}."))
    start = field(answers[0][0], "answer_start", answers[0][1]) if answers else -1
    id, text = field(question, "id", place), field(question, "question", place)
    for expected, found in ((int, start), (str, text)):
        if not isinstance(found, expected):
            problem = f"expected a question and where its answer starts, found {str(found)[:60]!r}"
            raise bad(place, problem, "is this file in SQuAD's format?")
    return id, text, start


def _candidates(context: str, ids: Sequence[str], texts: Sequence[str], place: str) -> Iterator[Row]:
    for number, (id, text) in enumerate(zip(ids, texts, strict=True)):
        values = {"id": id, "text": text, "context": context, "side": "candidate", "targets": ()}
        yield Row(f"{place}.sentence_breaks[{number}]", values)
