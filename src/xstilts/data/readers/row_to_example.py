"""Row to example: from the fields of a row to a checked example, with one function for each task format.

The functions check labels, tags and answers. Errors have the place of the row; repaired and dropped rows are counted,
and None stands for a dropped one.

>>> rules = RowRules("train", ("no", "yes"), Report())
>>> classified("0", {"text_a": "Is it?", "label": 1}, "a.tsv:1", rules)
ClassificationExample(id='0', text_a='Is it?', text_b=None, label='yes')
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
from xstilts.data.readers import field_types
from xstilts.data.readers.answer_offsets import CHARACTERS, UNITS, placed, position, unit_of
from xstilts.data.readers.row import Input, Report, bad
from xstilts.errors import InputError, nearest
from xstilts.runtime.text import counted

Fields = Mapping[str, Any]
SIDES = ("query", "candidate", "bystander")
ITEMS: Mapping[str, Any] = {"tokens": str, "tags": str | int}
LISTS = ("tokens", "tags", "choices", "answers")  # fields that are no single values
WITH_OFFSETS = ("extractive_qa",)  # formats whose answers have places in a text
# Formats whose rows have an answer that may be left blank.
ANSWERED = ("classification", "multiple_choice", "token_classification", "extractive_qa", "passage_ranking")
SHOWN_LABELS = 5  # that a note lists
ENOUGH_OFFSETS = 4  # of which most may be wrong


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
        label_form: "names" or "numbers", where the source always has the one or the other; "": not known.
        offset_unit: What the offsets of answers count, one of `answer_offsets.UNITS`.
    """

    split: str
    labels: tuple[str, ...]
    report: Report
    label_names: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    withheld: bool = False
    label_form: str = ""
    offset_unit: str = CHARACTERS


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
    given = field_types.texts(_get(fields, "choices", place), "choices", place, rules.report)
    choices = tuple(text.strip() for text in given)
    if len(choices) < 2:
        raise bad(place, f"expected two choices or more, found {len(choices)}", "correct the row or leave it out")
    if not all(choices):
        rules.report.note("noted: a choice is empty", place)
    raw, label = fields.get("label"), None
    raw = rules.label_names.get(str(raw), raw)
    if not _hidden(raw, "label" in fields, place, rules):
        try:
            label = field_types.integer(raw, "label", place)
        except InputError:
            label = -1
        if not 0 <= label < len(choices):
            expected = f"expected a choice from 0 to {len(choices) - 1}, found label {raw!r}"
            raise bad(place, expected, "correct the label; labels count from 0")
    context, question = (_text(fields, name, place, rules, optional=True) for name in ("context", "question"))
    return MultipleChoiceExample(id, context, question, choices, label)


def tagged(id: str, fields: Fields, place: str, rules: RowRules) -> TaggingExample | None:
    """Return a tagged sentence, without tags where the source withholds them."""
    tokens = field_types.texts(_get(fields, "tokens", place), "tokens", place, rules.report)
    raw = fields.get("tags")
    if field_types.blank(raw):
        _hidden(None, "tags" in fields, place, rules)
        return TaggingExample(id, tokens, ())
    if not isinstance(raw, list | tuple):
        raise bad(place, f"expected a list of tags, found {field_types.shown(raw)}", "correct the row or leave it out")
    if len(raw) != len(tokens):
        problem = f"expected a tag for each of {counted(len(tokens), 'word')}, found {len(raw)}"
        raise bad(place, problem, "the sentence is cut: get the file again")
    return TaggingExample(id, tokens, tuple(_label(tag, _at(place, fields, i), rules) for i, tag in enumerate(raw)))


def question(id: str, fields: Fields, place: str, rules: RowRules) -> QAExample | None:
    """Return a question with its context; answers with a wrong offset are moved to their nearest occurrence."""
    report = rules.report
    context = field_types.text(_get(fields, "context", place), "context", place, report)
    given = [answer for answer in answers_of(_get(fields, "answers", place), place, report) if answer.text.strip()]
    impossible = "is_impossible" in fields
    unanswerable = impossible and field_types.boolean(fields["is_impossible"], "is_impossible", place)
    if unanswerable and given:
        report.note("noted: answers of a question without an answer are not read", place)
    answers = tuple(
        placed(answer, context, rules.offset_unit, place, report, tolerant=rules.split == "train")
        for answer in ([] if unanswerable else given)
    )
    if rules.split == "train" and not unanswerable:
        answers = tuple(answer for answer in answers if answer.start >= 0)
        if not answers:
            reason = "answer not in its context" if given else "question without an answer"
            report.note(f"dropped: {reason}", place)
            return None
    elif not given and not unanswerable:
        if not rules.withheld and rules.split == "test":
            remedy = "add the answer, mark the question as `is_impossible`, or leave the row out"
            raise bad(place, "expected an answer as other questions have, found none", remedy)
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
    side = field_types.text(_get(fields, "side", place), "side", place)
    targets = field_types.texts(fields.get("targets") or (), "targets", place, rules.report)
    if targets and field_types.blank(targets):
        _hidden(None, True, place, rules)
        targets = ()
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

    Tokens and tags may be separated by blanks, and answers may be texts without an offset. A text that is a list (or,
    for answers, an object) in JSON's or Python's notation is that list, as tables hold lists so.

    >>> written_out({"tokens": "Anna runs", "answers": "Anna"})
    {'tokens': ['Anna', 'runs'], 'answers': [{'text': 'Anna', 'answer_start': None}]}
    >>> written_out({"tokens": '["Anna", "runs"]', "choices": "['a', 'b c']"})
    {'tokens': ['Anna', 'runs'], 'choices': ['a', 'b c']}
    """
    written = {name: field_types.notated(fields[name]) for name in LISTS if name in fields}
    for name in ("tokens", "tags"):
        given, value = fields.get(name), written.get(name)
        if isinstance(given, str) and not (isinstance(value, list) and all(isinstance(v, ITEMS[name]) for v in value)):
            written[name] = given.split()  # "[1]" is a word, and 1 a tag
    answers = written.get("answers")
    texts = [answers] if isinstance(answers, str) else answers
    if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
        written["answers"] = [{"text": text, "answer_start": None} for text in texts]
    return {**fields, **written}


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


def _text(fields: Fields, name: str, place: str, rules: RowRules, optional: bool = False) -> str:
    """Return a text without surrounding blanks; empty texts are counted, unless they are `optional`."""
    found = field_types.text(_get(fields, name, place), name, place, rules.report)
    if not optional and not found.strip():
        rules.report.note(f"noted: '{name}' is empty", place)
    return found.strip()


def _hidden(raw: Any, given: bool, place: str, rules: RowRules) -> bool:
    """Return whether a label is withheld; InputError where the source does not withhold labels."""
    if given and not (_unlabelled(raw) if rules.withheld and "-1" not in rules.labels else field_types.blank(raw)):
        return False
    if not rules.withheld:
        remedy = "correct the row, name it in the task's `dropped`, or say in its source that labels are `withheld`"
        raise bad(place, "expected a label, found none", remedy)
    rules.report.note("noted: label hidden", place)
    return True


def _unlabelled(raw: Any) -> bool:
    """Return whether a label is blank, or the hub's number for none."""
    return field_types.blank(raw) or str(raw) == "-1"


def _label(raw: Any, place: str, rules: RowRules) -> str:
    """Return the task's label for a label, or the number of a label, in the source."""
    given = str(raw) if str(raw) in rules.labels else field_types.label(raw, "label", place)
    name = rules.label_names.get(str(raw), rules.label_names.get(given, given))
    if isinstance(raw, bool) and name not in rules.labels and name.lower() in rules.labels:
        name = name.lower()
    if name in rules.labels or (name.strip() and not rules.labels):
        if rules.label_form == "numbers" and not name.isdigit():
            rules.report.note("noted: label by its name where the source has numbers", place)
        return name
    number = int(name) if name.isascii() and name.isdigit() and len(name) < 9 else -1
    named = not any(label[:1].isdigit() for label in rules.labels)  # else a number is a name
    if 0 <= number < len(rules.labels) and named and not isinstance(raw, bool):
        order = ", ".join(f"{n} = {label}" for n, label in enumerate(rules.labels))
        if rules.label_form == "names":
            remedy = "write the names, as files differ in the order of numbers, or give a task file `label_names`"
            raise bad(place, f"expected the name of a label ({', '.join(rules.labels)}), found {name!r}", remedy)
        if rules.label_form != "numbers":
            order = order if len(rules.labels) <= SHOWN_LABELS else f"0 = {rules.labels[0]}, …"
            rules.report.note(f"noted: label by its number ({order})", place)
        return rules.labels[number]
    near = nearest(name, rules.labels)
    hint = f"did you mean '{near}'? " if near else ""
    remedy = f"{hint}correct it, or give a task file `label_names` (a first line with names of columns is no row)"
    raise bad(place, f"expected one of the labels {', '.join(rules.labels)}, found {str(raw)[:60]!r}", remedy)


def _at(place: str, fields: Fields, token: int) -> str:
    """Return the place of a token: its own line where the reader gives it."""
    if "lines" in fields:
        return f"{place.rsplit(':', 1)[0]}:{fields['lines'][token]}"
    return f"{place}, word {token + 1}"


def answers_of(raw: Any, place: str, report: Report | None = None) -> list[AnswerSpan]:
    """Return answers from SQuAD's list of pairs or from the hub's pair of lists, an unknown offset as -1.

    Raises:
        InputError: They are neither, or an answer is no text, or an offset no number.
    """
    if raw is None:
        return []
    if isinstance(raw, Mapping) and {"text", "answer_start"} <= raw.keys():
        answers, starts = raw["text"], raw["answer_start"]
        pairs = [*zip(answers, starts, strict=False)] if _lists(answers, starts) else None
    elif isinstance(raw, list | tuple) and all(
        isinstance(one, Mapping) and {"text", "answer_start"} <= one.keys() for one in raw
    ):
        pairs = [(one["text"], one["answer_start"]) for one in raw]
    else:
        pairs = None
    if pairs is None:
        problem = f"expected answers with text and answer_start, found {field_types.shown(raw)}"
        raise bad(place, problem, "correct the row or leave it out")
    return [
        AnswerSpan(
            field_types.text(answer, "answers", place, report),
            -1 if start is None else field_types.integer(start, "answer_start", place),
        )
        for answer, start in pairs
    ]


def file_unit(answers: Iterable[tuple[Any, Any, str]], file: Input, report: Report, certain: bool) -> str:
    """Return the unit of the offsets of a file, and note it where it is not characters.

    Args:
        answers: Context, answers and place of each question, checked or not: wrong ones are passed over here.
        file: The file, for the note.
        report: Gets the note.
        certain: Whether the place of an answer matters.

    Raises:
        InputError: Most offsets are wrong in every unit, and answers that occur more than once are among them, so that
            their places would be guessed.
    """
    known = [
        (context, answer.text, answer.start, place)
        for context, raw, place in answers
        if isinstance(context, str)
        for answer in _readable(raw, place)
        if answer.start > 0 and answer.text.strip()
    ]
    unit, right, telling = unit_of((context, answer, offset) for context, answer, offset, _ in known)
    if unit != CHARACTERS:
        report.note(f"noted: offsets of answers count {unit} ({right} of {telling} that tell are right)", file.name)
    missed = [
        (context, answer, place)
        for context, answer, offset, place in known
        if (start := position(context, offset, unit)) is None or not context.startswith(answer, start)
    ]
    guessed = [place for context, answer, place in missed if context.count(answer) > 1] if certain else []
    if guessed and len(known) >= ENOUGH_OFFSETS and 2 * len(missed) > len(known):
        problem = f"expected offsets in {', '.join(UNITS)}, found {len(missed)} of {len(known)} that are none of these"
        remedy = "correct `answer_start`, or write null where the first occurrence of an answer is the right one"
        raise bad(guessed[0], problem, remedy)
    return unit


def _readable(raw: Any, place: str) -> list[AnswerSpan]:
    try:
        return answers_of(raw, place)
    except InputError:
        return []


def _lists(answers: Any, starts: Any) -> bool:
    return all(isinstance(value, list | tuple) for value in (answers, starts)) and len(answers) == len(starts)


def has_answer(format: str, fields: Fields) -> bool | None:
    """Return whether a row has what is to be predicted; None where that cannot be seen in the row.

    Args:
        format: Name of the task format, one of `ANSWERED`.
        fields: The fields of the row, checked or not.
    """
    if format in ("classification", "multiple_choice"):
        return None if "label" not in fields else not _unlabelled(fields["label"])
    if format == "token_classification":
        return None if "tags" not in fields else not field_types.blank(fields["tags"])
    if format == "extractive_qa":
        answers = fields.get("answers")
        given = answers.get("text") if isinstance(answers, Mapping) else answers
        listed = [one.get("text") if isinstance(one, Mapping) else one for one in given or ()] if given else []
        return bool(fields.get("is_impossible")) or not field_types.blank(listed)
    if format == "passage_ranking" and fields.get("targets"):
        return not field_types.blank(fields["targets"])
    return None
