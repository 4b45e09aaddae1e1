"""Shapes: from the fields of a row to the example of a format, checked.

What a label, a tag or an answer may be is known here; what is wrong is told with its place, and what is repaired or
dropped is counted. A function a kind; None means that the row was dropped (and counted).

>>> asked = Asked("train", ("no", "yes"), Report())
>>> classified("0", {"text_a": "Is it?", "label": 1}, "a.tsv:1", asked)
Classified(id='0', text_a='Is it?', text_b=None, label='yes')
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from xstilts.data.examples import (
    AnswerSpan,
    BitextExample,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    PassageExample,
    QAExample,
    TaggingExample,
    TextExample,
)
from xstilts.data.readers.row import Report, bad

Fields = Mapping[str, Any]
SIDES = ("query", "candidate", "bystander")


@dataclass(frozen=True)
class Asked:
    """What decides whether a row is good: the split, the labels, what a source calls them, which rows have no gold.

    withheld: no row has a label.
    """

    split: str
    labels: tuple[str, ...]
    report: Report
    label_names: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    withheld: bool = False


def classified(id: str, fields: Fields, place: str, asked: Asked) -> ClassificationExample | None:
    """Return a classification example; without a label where the source has none."""
    raw = fields.get("label")
    if str(raw) in asked.dropped:
        asked.report.note("dropped: no gold label", place)
        return None
    label = None if _hidden(raw, "label" in fields, place, asked) else _label(raw, place, asked)
    second = _text(fields, "text_b", place, asked) if "text_b" in fields else None
    return ClassificationExample(id, _text(fields, "text_a", place, asked), second, label)


def choice(id: str, fields: Fields, place: str, asked: Asked) -> MultipleChoiceExample | None:
    """Return a choice example; `label` counts from 0."""
    choices = tuple(str(text).strip() for text in _get(fields, "choices", place))
    raw, label = fields.get("label"), None
    raw = asked.label_names.get(str(raw), raw)
    if not _hidden(raw, "label" in fields, place, asked):
        if not str(raw).isdigit() or int(str(raw)) >= len(choices):
            expected = f"expected a choice from 0 to {len(choices) - 1}, found label {raw!r}"
            raise bad(place, expected, "correct the label; labels count from 0")
        label = int(str(raw))
    context, question = _text(fields, "context", place, None), _text(fields, "question", place, None)
    return MultipleChoiceExample(id, context, question, choices, label)


def tagged(id: str, fields: Fields, place: str, asked: Asked) -> TaggingExample | None:
    """Return a tagged sentence; without tags where the source has none."""
    tokens, raw = _words(_get(fields, "tokens", place)), _words(fields.get("tags"))
    if not raw:
        _hidden(None, "tags" in fields, place, asked)
        return TaggingExample(id, tokens, ())
    if len(raw) != len(tokens):
        problem = f"expected a tag for each of {len(tokens)} words, found {len(raw)}"
        raise bad(place, problem, "the sentence is cut: get the file again")
    return TaggingExample(id, tokens, tuple(_label(tag, _at(place, fields, i), asked) for i, tag in enumerate(raw)))


def question(id: str, fields: Fields, place: str, asked: Asked) -> QAExample | None:
    """Return a question; its answers stand where they say they do, or are moved there and counted."""
    context, report = str(_get(fields, "context", place)), asked.report
    given = [answer for answer in _answers(_get(fields, "answers", place), place) if answer.text.strip()]
    unanswerable = bool(fields.get("is_impossible"))
    answers = tuple(_placed(answer, context, place, report) for answer in ([] if unanswerable else given))
    if asked.split == "train" and not unanswerable:
        answers = tuple(answer for answer in answers if answer.start >= 0)
        if not answers:
            reason = "answer not in its context" if given else "question without an answer"
            report.note(f"dropped: {reason}", place)
            return None
    elif not given and not unanswerable:
        report.note("noted: answers hidden", place)
    elif any(answer.start < 0 for answer in answers):
        report.note("kept: answer not in its context", place)
    return QAExample(id, context, _text(fields, "question", place, asked), answers, unanswerable)


def parallel(id: str, fields: Fields, place: str, asked: Asked) -> BitextExample | None:
    """Return two texts that belong together."""
    context = _text(fields, "context", place, asked) if "context" in fields else None
    return BitextExample(id, _text(fields, "source", place, asked), _text(fields, "english", place, asked), context)


def passage(id: str, fields: Fields, place: str, asked: Asked) -> PassageExample | None:
    """Return a text of a search."""
    side, targets = str(_get(fields, "side", place)), tuple(fields.get("targets") or ())
    if side not in SIDES:
        raise bad(place, f"expected a side ({', '.join(SIDES)}), found {side!r}", "correct the row or leave it out")
    context = _text(fields, "context", place, asked) if fields.get("context") is not None else None
    return PassageExample(id, _text(fields, "text", place, asked), context, side, targets)


def text(id: str, fields: Fields, place: str, asked: Asked) -> TextExample | None:
    """Return a text for masked-LM, with its pair where there is one."""
    pair = _text(fields, "pair", place, asked) if "pair" in fields else None
    return TextExample(id, _text(fields, "text", place, asked), pair)


SHAPE: dict[str, Callable[[str, Fields, str, Asked], Example | None]] = {
    "classification": classified,
    "multiple_choice": choice,
    "token_classification": tagged,
    "extractive_qa": question,
    "bitext_retrieval": parallel,
    "bitext_mining": passage,
    "passage_ranking": passage,
    "masked_lm": text,
}


def _get(fields: Fields, name: str, place: str) -> Any:
    if name not in fields:
        problem = f"expected '{name}', found the columns {', '.join(fields)}"
        raise bad(place, problem, "name the column in the task's `columns`")
    return fields[name]


def _words(raw: Any) -> tuple[Any, ...]:
    """Return a list of tokens or tags; a text has them between blanks."""
    return tuple(raw.split() if isinstance(raw, str) else raw or ())


def _text(fields: Fields, name: str, place: str, asked: Asked | None) -> str:
    """Return a text without blanks around it; count it where it is empty (unless it may be: asked is None)."""
    found = _get(fields, name, place)
    if not isinstance(found, str):
        raise bad(place, f"expected text in '{name}', found {found!r}", "correct the row or leave it out")
    if asked and not found.strip():
        asked.report.note(f"noted: '{name}' is empty", place)
    return found.strip()


def _hidden(raw: Any, given: bool, place: str, asked: Asked) -> bool:
    """Say whether a label is withheld; InputError where it may not be."""
    if given and raw not in (None, ""):
        return False
    if not asked.withheld:
        remedy = "correct the row, name it in the task's `dropped`, or say in its source that labels are `withheld`"
        raise bad(place, "expected a label, found none", remedy)
    asked.report.note("noted: label hidden", place)
    return True


def _label(raw: Any, place: str, asked: Asked) -> str:
    """Return the task's label that a source's label, or its number, means."""
    name = asked.label_names.get(str(raw), str(raw))
    if name in asked.labels or (name.strip() and not asked.labels):
        return name
    if name.isdigit() and int(name) < len(asked.labels):
        return asked.labels[int(name)]
    near = difflib.get_close_matches(name, asked.labels, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    remedy = f"{hint}correct it, or name it in the task's `label_names` (a first line with names of columns is no row)"
    raise bad(place, f"expected one of the labels {', '.join(asked.labels)}, found {str(raw)[:60]!r}", remedy)


def _at(place: str, fields: Fields, token: int) -> str:
    """Return the place of a word: its own line where the reader knows it."""
    if "lines" in fields:
        return f"{place.rsplit(':', 1)[0]}:{fields['lines'][token]}"
    return f"{place}, word {token + 1}"


def _answers(raw: Any, place: str) -> Iterator[AnswerSpan]:
    """Yield answers from SQuAD's list of pairs, from the hub's pair of lists, or from texts without an offset."""
    texts = (raw,) if isinstance(raw, str) else raw
    if isinstance(texts, list | tuple) and texts and all(isinstance(text, str) for text in texts):
        yield from (AnswerSpan(text, -1) for text in texts)
        return
    try:
        pairs = zip(raw["text"], raw["answer_start"], strict=True) if isinstance(raw, dict) else map(_pair, raw or ())
        for answer, start in pairs:
            yield AnswerSpan(str(answer), -1 if start is None else int(start))
    except (KeyError, TypeError, ValueError) as error:
        problem = f"expected answers with text and answer_start, found {str(raw)[:60]!r} ({error})"
        raise bad(place, problem, "correct the row or leave it out") from None


def _pair(answer: Mapping[str, Any]) -> tuple[Any, Any]:
    return answer["text"], answer["answer_start"]


def _placed(answer: AnswerSpan, context: str, place: str, report: Report) -> AnswerSpan:
    """Return the answer at its offset, or at its nearest occurrence, or at -1 where the context does not have it."""
    if answer.start >= 0 and context.startswith(answer.text, answer.start):
        return answer
    for wanted in dict.fromkeys((answer.text, answer.text.strip())):
        starts = list(_occurrences(wanted, context))
        if starts:
            report.note("repaired: answer moved to its nearest occurrence", place)
            return AnswerSpan(wanted, min(starts, key=lambda start: (abs(start - answer.start), start)))
    return AnswerSpan(answer.text, -1)


def _occurrences(wanted: str, context: str) -> Iterator[int]:
    start = context.find(wanted)
    while start >= 0:
        yield start
        start = context.find(wanted, start + 1)
