"""Row to example: from the fields of a row to a checked example, with one function for each task format.

The functions check labels, tags and answers. Errors have the place of the row; repaired and dropped rows are counted,
and None stands for a dropped one.

>>> rules = RowRules("train", ("no", "yes"), Report())
>>> classified("0", {"text_a": "Is it?", "label": 1}, "a.tsv:1", rules)
ClassificationExample(id='0', text_a='Is it?', text_b=None, label='yes')
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
class RowRules:
    """What decides whether a row is valid.

    Attributes:
        split: "train", "validation" or "test".
        labels: The labels of the task.
        report: Counts what was repaired, dropped or noted.
        label_names: From a label as the source has it to a label of the task.
        dropped: Raw labels of rows without a gold label, which are dropped.
        withheld: No row has a label.
    """

    split: str
    labels: tuple[str, ...]
    report: Report
    label_names: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    withheld: bool = False


def classified(id: str, fields: Fields, place: str, rules: RowRules) -> ClassificationExample | None:
    """Return a classification example, without a label where the source withholds it."""
    raw = fields.get("label")
    if str(raw) in rules.dropped:
        rules.report.note("dropped: no gold label", place)
        return None
    label = None if _hidden(raw, "label" in fields, place, rules) else _label(raw, place, rules)
    second = _text(fields, "text_b", place, rules) if "text_b" in fields else None
    return ClassificationExample(id, _text(fields, "text_a", place, rules), second, label)


def choice(id: str, fields: Fields, place: str, rules: RowRules) -> MultipleChoiceExample | None:
    """Return a multiple-choice example; `label` counts from 0."""
    choices = tuple(str(text).strip() for text in _get(fields, "choices", place))
    raw, label = fields.get("label"), None
    raw = rules.label_names.get(str(raw), raw)
    if not _hidden(raw, "label" in fields, place, rules):
        if not str(raw).isdigit() or int(str(raw)) >= len(choices):
            expected = f"expected a choice from 0 to {len(choices) - 1}, found label {raw!r}"
            raise bad(place, expected, "correct the label; labels count from 0")
        label = int(str(raw))
    context, question = _text(fields, "context", place, None), _text(fields, "question", place, None)
    return MultipleChoiceExample(id, context, question, choices, label)


def tagged(id: str, fields: Fields, place: str, rules: RowRules) -> TaggingExample | None:
    """Return a tagged sentence, without tags where the source withholds them."""
    tokens = tuple(_get(fields, "tokens", place))
    raw = tuple(fields.get("tags") or ())
    if not raw:
        _hidden(None, "tags" in fields, place, rules)
        return TaggingExample(id, tokens, ())
    if len(raw) != len(tokens):
        problem = f"expected a tag for each of {len(tokens)} words, found {len(raw)}"
        raise bad(place, problem, "the sentence is cut: get the file again")
    return TaggingExample(id, tokens, tuple(_label(tag, _at(place, fields, i), rules) for i, tag in enumerate(raw)))


def question(id: str, fields: Fields, place: str, rules: RowRules) -> QAExample | None:
    """Return a question with its context; answers with a wrong offset are moved to their nearest occurrence."""
    context, report = str(_get(fields, "context", place)), rules.report
    given = [answer for answer in _answers(_get(fields, "answers", place), place) if answer.text.strip()]
    unanswerable = bool(fields.get("is_impossible"))
    answers = tuple(_placed(answer, context, place, report) for answer in ([] if unanswerable else given))
    if rules.split == "train" and not unanswerable:
        answers = tuple(answer for answer in answers if answer.start >= 0)
        if not answers:
            reason = "answer not in its context" if given else "question without an answer"
            report.note(f"dropped: {reason}", place)
            return None
    elif not given and not unanswerable:
        report.note("noted: answers hidden", place)
    elif any(answer.start < 0 for answer in answers):
        report.note("kept: answer not in its context", place)
    return QAExample(id, context, _text(fields, "question", place, rules), answers, unanswerable)


def parallel(id: str, fields: Fields, place: str, rules: RowRules) -> BitextExample | None:
    """Return two texts that belong together."""
    context = _text(fields, "context", place, rules) if "context" in fields else None
    return BitextExample(id, _text(fields, "source", place, rules), _text(fields, "english", place, rules), context)


def passage(id: str, fields: Fields, place: str, rules: RowRules) -> PassageExample | None:
    """Return a text of a search."""
    side, targets = str(_get(fields, "side", place)), tuple(fields.get("targets") or ())
    if side not in SIDES:
        raise bad(place, f"expected a side ({', '.join(SIDES)}), found {side!r}", "correct the row or leave it out")
    context = _text(fields, "context", place, rules) if fields.get("context") is not None else None
    return PassageExample(id, _text(fields, "text", place, rules), context, side, targets)


def text(id: str, fields: Fields, place: str, rules: RowRules) -> TextExample | None:
    """Return a text for masked-LM, with its pair where there is one."""
    pair = _text(fields, "pair", place, rules) if "pair" in fields else None
    return TextExample(id, _text(fields, "text", place, rules), pair)


def written_out(fields: Fields) -> Fields:
    """Return the fields of a user's row with lists where it has texts.

    Tokens and tags may be separated by blanks, and answers may be texts without an offset.

    >>> written_out({"tokens": "Anna runs", "answers": "Anna"})
    {'tokens': ['Anna', 'runs'], 'answers': [{'text': 'Anna', 'answer_start': None}]}
    """
    lists = {name: fields[name].split() for name in ("tokens", "tags") if isinstance(fields.get(name), str)}
    answers = fields.get("answers")
    texts = [answers] if isinstance(answers, str) else answers
    if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
        lists["answers"] = [{"text": text, "answer_start": None} for text in texts]
    return {**fields, **lists}


SHAPE: dict[str, Callable[[str, Fields, str, RowRules], Example | None]] = {
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


def _text(fields: Fields, name: str, place: str, rules: RowRules | None) -> str:
    """Return a text without surrounding blanks; empty texts are counted, unless they are allowed (`rules` is None)."""
    found = _get(fields, name, place)
    if not isinstance(found, str):
        raise bad(place, f"expected text in '{name}', found {found!r}", "correct the row or leave it out")
    if rules and not found.strip():
        rules.report.note(f"noted: '{name}' is empty", place)
    return found.strip()


def _hidden(raw: Any, given: bool, place: str, rules: RowRules) -> bool:
    """Return whether a label is withheld; InputError where the source does not withhold labels."""
    if given and raw not in (None, ""):
        return False
    if not rules.withheld:
        remedy = "correct the row, name it in the task's `dropped`, or say in its source that labels are `withheld`"
        raise bad(place, "expected a label, found none", remedy)
    rules.report.note("noted: label hidden", place)
    return True


def _label(raw: Any, place: str, rules: RowRules) -> str:
    """Return the task's label for a label, or the number of a label, in the source."""
    name = rules.label_names.get(str(raw), str(raw))
    if name in rules.labels or (name.strip() and not rules.labels):
        return name
    if name.isdigit() and int(name) < len(rules.labels):
        return rules.labels[int(name)]
    near = difflib.get_close_matches(name, rules.labels, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    remedy = f"{hint}correct it, or name it in the task's `label_names` (a first line with names of columns is no row)"
    raise bad(place, f"expected one of the labels {', '.join(rules.labels)}, found {str(raw)[:60]!r}", remedy)


def _at(place: str, fields: Fields, token: int) -> str:
    """Return the place of a token: its own line where the reader gives it."""
    if "lines" in fields:
        return f"{place.rsplit(':', 1)[0]}:{fields['lines'][token]}"
    return f"{place}, word {token + 1}"


def _answers(raw: Any, place: str) -> Iterator[AnswerSpan]:
    """Yield answers from SQuAD's list of pairs or from the hub's pair of lists."""
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
