"""Score file: predictions that were made anywhere against gold answers, with intervals, and two of them compared.

Gold is a user's file or a split of a task; predictions are a file of almost any form: JSON lines of this package or of
another, CSV, one label a line, CoNLL, SQuAD's `{id: answer}`. Both are matched by id where both have ids, else by
order. What is missing or too much is named and refused. The metric is the official one of `metrics`; classification
also has macro-F1, the scores of each label and the confusion matrix, and, where its task names them, the measures of
its benchmark (GLUE: Matthews for CoLA, F1 for QQP).

Intervals are percentiles over resampled examples; two files are compared on the same resamples, and by a randomisation
test that swaps their predictions example by example.

    gold = read_gold(Path("test.csv"), Reading(format="classification"))
    print(scored(gold, [read_predictions(Path("a.jsonl"), gold)]).views()[0].to_markdown())
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xstilts import metrics
from xstilts.data.dataset import examples as examples_of
from xstilts.data.examples import (
    AnswerSpan,
    ClassificationExample,
    Example,
    MultipleChoiceExample,
    QAExample,
    TaggingExample,
)
from xstilts.data.languages import codes
from xstilts.data.readers.row import Report
from xstilts.data.record_file import BadRow, Conll, Lines, RecordFile, open_records
from xstilts.errors import InputError, refusing
from xstilts.metrics.base import Array, Score
from xstilts.metrics.confusion import MACRO_F1, Confusion, Resampled, measure_title
from xstilts.runtime import progress, tables
from xstilts.runtime.tables import TableView
from xstilts.runtime.text import counted
from xstilts.stats import Headline, Resampling, draw, randomisation
from xstilts.tasks.base import Task

FORMATS = ("classification", "token_classification", "extractive_qa", "multiple_choice")
LABELS = ("label", "labels", "class", "category", "intent", "sentiment", "stars", "rating", "gold_label", "gold")
GOLD = {
    "classification": LABELS,
    "token_classification": ("tags", "ner_tags", "pos_tags", "upos"),
    "extractive_qa": ("answers", "answer"),
    "multiple_choice": (*LABELS, "answer", "correct"),
}
PREDICTED = {
    "classification": ("predicted_label", "prediction", "predicted", "label"),
    "token_classification": ("predicted_tags", "prediction", "predicted", "tags"),
    "extractive_qa": ("predicted_answer", "prediction", "prediction_text", "predicted", "answer"),
    "multiple_choice": ("predicted_index", "prediction", "predicted", "index", "label"),
}
SCORES = (("score", "null_score"), ("answer_score", "no_answer_score"), ("score", "no_answer_score"))
HEADLINES = {"entity_f1": "f1", "pos_f1": "f1", "tag_accuracy": "accuracy"}  # the value that is the metric itself
NAMED = 5  # ids that a message names
MATRIX = 20  # labels of which the confusion matrix is shown; of more, the most frequent confusions
RESAMPLING = Resampling(resamples=2000)
CORRECT, READABLE = "correct the row, or remove it on both sides", "a row that can be read"
NO_ANSWER = "\ue000"  # what no gold answer says: a missing prediction is wrong, also where there is no answer


@dataclass(frozen=True)
class Reading:
    """How gold is read.

    Attributes:
        format: Task format; "" to infer it.
        task: Whose labels and metric are taken; None for none.
        metric: Name of a metric; "": the task's, or the usual one.
        language: Code of the texts' language.
        column: Column of the gold answer; "" for one with a usual name. Of CoNLL, its number.
        input_format: Form of the file; "" to infer it.
    """

    format: str = ""
    task: Task | None = None
    metric: str = ""
    language: str = "en"
    column: str = ""
    input_format: str = ""


@dataclass(frozen=True)
class Gold:
    """Gold answers.

    Attributes:
        name: In messages.
        format: Task format.
        metric: Name of the metric.
        language: Code of the language.
        examples: Each with its id.
        has_ids: Whether the ids are the file's own; else they are numbers from 0.
        labels: In the order of the task; empty where it is not known.
        more: Further measures of label counts, beside macro-F1.
    """

    name: str
    format: str
    metric: str
    language: str
    examples: tuple[Any, ...]
    has_ids: bool
    labels: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def ids(self) -> list[str]:
        """The ids of the examples, in order."""
        return [example.id for example in self.examples]


@dataclass(frozen=True)
class Predictions:
    """Predictions matched with gold.

    Attributes:
        name: Of the file.
        values: By example id, as the metric takes them; labels are texts.
        missing: Ids without a prediction, which are counted as wrong.
    """

    name: str
    values: Mapping[str, Any]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A measure with its 95 % interval over examples."""

    measure: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class FileScore:
    """The scores of one file.

    Attributes:
        file: Its name.
        figures: The metric's headline first, then further measures.
        values: All values of the metric, by the official scorer's names.
        missing: How many predictions were missing and counted as wrong.
        confusion: Of labels; None where there are none.
    """

    file: str
    figures: tuple[Figure, ...]
    values: Mapping[str, float]
    missing: int = 0
    confusion: Confusion | None = None


@dataclass(frozen=True)
class Difference:
    """The second file's measure minus the first's on the same examples, with its 95 % interval and its p-value."""

    measure: str
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class ScoreReport:
    """Scores of one or two files.

    Attributes:
        gold: Name of the gold answers.
        format: Task format.
        metric: Name of the metric.
        language: Code of the language.
        examples: How many.
        scores: One for each file.
        differences: Of two files, by measure.
    """

    gold: str
    format: str
    metric: str
    language: str
    examples: int
    scores: tuple[FileScore, ...]
    differences: tuple[Difference, ...] = ()

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each file and measure."""
        return [{"file": score.file, **asdict(figure)} for score in self.scores for figure in score.figures]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        scores = [
            {
                "file": score.file,
                "figures": [asdict(figure) for figure in score.figures],
                "values": dict(score.values),
                "missing": score.missing,
                **(_plain(score.confusion) if score.confusion else {}),
            }
            for score in self.scores
        ]
        return {
            **{name: getattr(self, name) for name in ("gold", "format", "metric", "language", "examples")},
            "scores": scores,
            "differences": [asdict(difference) for difference in self.differences],
        }

    def views(self) -> list[TableView]:
        """Return the tables: scores, differences, and of each file with labels their scores and confusions."""
        note = "Intervals: 95 %, over resampled examples."
        missing = [
            f"{score.file}: {score.missing:,} missing, counted as wrong" for score in self.scores if score.missing
        ]
        rows = [
            (score.file, measure_title(f.measure), tables.number(f.value), tables.interval(f.low, f.high))
            for score in self.scores
            for f in score.figures
        ]
        rows += [
            (score.file, name, tables.number(value), "")
            for score in self.scores
            for name, value in score.values.items()
            if name not in (self.metric, "missing", HEADLINES.get(self.metric)) and self.metric != "accuracy"
        ]
        title = f"{self.gold}: {self.examples:,} example{'' if self.examples == 1 else 's'}"
        views = [
            tables.table(title, ("predictions", "measure", "score", "95 %"), rows, note="; ".join([note, *missing]))
        ]
        if self.differences:
            shown = [
                (measure_title(d.measure), tables.number(d.first), tables.number(d.second), tables.signed(d.difference),
                 tables.signed_interval(d.low, d.high), tables.p_value(d.p))
                for d in self.differences
            ]  # fmt: skip
            names = ("measure", *(score.file for score in self.scores), "difference", "95 %", "p")
            note = "Paired by example; p by a randomisation test, not corrected for the number of measures."
            views.append(tables.table("second minus first", names, shown, note=note))
        for score in self.scores:
            views += _views_of(score)
        return views


def read_gold(path: Path, reading: Reading) -> Gold:
    """Read gold answers from a user's file.

    Raises:
        InputError: The file is wrong somewhere (the message has the line), holds no answers, or its format is not
            known.
    """
    with path.open("rb") as stream:
        return _gold(Lines(stream, path.name), path, reading)


def _gold(lines: Lines, path: Path, reading: Reading) -> Gold:
    task, format = reading.task, reading.format or (reading.task.format if reading.task else "")
    _require_format(format, path.name)
    file = open_records(lines, reading.input_format, tagged=format == "token_classification")
    if isinstance(file, Conll) and reading.column:
        file.tag_column = _number(reading.column)
    progress.note(f"gold {path.name}: read as {_described(file)}")
    read: list[Example] = []
    ids: dict[str, str] = {}  # and the places where they are
    column, has_ids = reading.column, False
    place = path.name
    with refusing(lambda: place, CORRECT, READABLE):
        for place, values in _rows(file):
            if not format:
                format = _inferred(values, file.form, path.name)
            if not read:
                column = _column(values, "" if file.form == "conll" else column, GOLD[format], place, file.form)
                has_ids = values.get("id") is not None
            if has_ids and values.get("id") is None:
                raise InputError(f"{place}: there is no id, and the rows before have one")
            id = str(values["id"]) if has_ids else str(len(read))
            if id in ids:
                raise InputError(
                    f"{place}: the id '{id}' occurs again (first at {ids[id]}); give each row one of its own"
                )
            ids[id] = place
            read.append(_example(format, id, values.get(column), values, place, task.labels if task else ()))
    if not read:
        raise InputError(f"{path.name}: there are no rows to score against")
    metric = reading.metric or _usual_metric(task, format, read)
    labels, more = (task.labels, task.more_metrics) if task and task.format == format else ((), ())
    return Gold(path.name, format, metric, reading.language, tuple(read), has_ids, labels, more)


def task_gold(task: Task, split: str, language: str, folder: Path | None, metric: str = "") -> Gold:
    """Read the gold answers of a task's split in a language.

    Args:
        task: Of a format that has one prediction for each example.
        split: "test" or "validation".
        language: Code of the language.
        folder: The data folder.
        metric: Instead of the task's own.
    """
    _require_format(task.format, task.name)
    read = tuple(examples_of(task.data(split, language, folder), folder, Report()))
    name = f"{task.name} {split} {language}"
    return Gold(name, task.format, metric or task.metric, language, read, True, task.labels, task.more_metrics)


def read_predictions(
    path: Path, gold: Gold, *, column: str = "", input_format: str = "", allow_missing: bool = False
) -> Predictions:
    """Read predictions and match them with gold.

    Args:
        path: Of the file.
        gold: What they are matched with: by id where both have ids, else by order.
        column: Column of the prediction; "" for one with a usual name. Of CoNLL, its number.
        input_format: Form of the file; "" to infer it.
        allow_missing: Whether an example without a prediction is counted as wrong, and not refused.

    Raises:
        InputError: The file is wrong somewhere, or predictions are missing, too many or twice.
    """
    pairs = _answers_by_id(path, gold) if input_format in ("", "json", "squad") else None
    if pairs is None:
        pairs = list(_read_pairs(path, gold, column, input_format))
    values = [value for _, value in pairs]
    if all(id is not None for id, _ in pairs):
        by_id: dict[str, Any] = {}
        for id, value in pairs:
            if id in by_id:
                raise InputError(f"{path.name}: there are two predictions for '{id}'; keep one")
            by_id[str(id)] = value
    elif len(values) != len(gold.examples):
        raise InputError(
            f"{path.name}: {len(values):,} predictions for {len(gold.examples):,} examples of {gold.name}, and no ids "
            "to match them by; predict every example, or give both files a column 'id'"
        )
    else:
        by_id = dict(zip(gold.ids, values, strict=True))
        progress.note(f"{path.name}: matched with {gold.name} by order, as there are no ids")
    return _matched(path.name, by_id, gold, allow_missing)


def scored(gold: Gold, files: Sequence[Predictions], how: Resampling = RESAMPLING) -> ScoreReport:
    """Score one file of predictions, or two and their difference.

    Args:
        gold: The gold answers.
        files: One or two.
        how: How examples are resampled.
    """
    language = codes(gold.language)[0]
    results = [metrics.metric(gold.metric)(gold.examples, file.values, language=language) for file in files]
    labelled = gold.format == "classification"
    sides = [[str(file.values[id]) for id in gold.ids] for file in files] if labelled else []
    wanted = [str(example.label) for example in gold.examples] if labelled else []
    measures = [_of_metric(gold.metric, results)]
    if sides:
        present = dict.fromkeys([*gold.labels, *sorted({*wanted, *(label for side in sides for label in side)})])
        for name in (MACRO_F1, *gold.more):
            resampled = Resampled(name, tuple(present))
            measures.append((name, resampled, [resampled.contributions(wanted, side) for side in sides]))
    scores, differences = [], []
    for number, (file, result) in enumerate(zip(files, results, strict=True)):
        figures = tuple(_figure(name, headline, parts[number], how) for name, headline, parts in measures)
        confusion = Confusion.of(wanted, sides[number], gold.labels) if sides else None
        scores.append(FileScore(file.name, figures, result.values, len(file.missing), confusion))
    if len(files) == 2:
        differences = [_difference(name, headline, parts[0], parts[1], how) for name, headline, parts in measures]
    return ScoreReport(
        gold.name, gold.format, gold.metric, gold.language, len(gold.examples), tuple(scores), tuple(differences)
    )


# Measures with their intervals.

Measure = tuple[str, Headline, list[Array]]


def _of_metric(metric: str, results: Sequence[Score]) -> Measure:
    contributions = [
        np.asarray(result.examples, dtype=np.float64).reshape(len(result.examples), -1) for result in results
    ]
    return metric, partial(_headlines, metric), contributions


def _headlines(metric: str, contributions: Array, weights: Array) -> Array:
    return metrics.headlines(metric, contributions, weights)


def _figure(name: str, headline: Headline, contributions: Array, how: Resampling) -> Figure:
    drawn = draw(contributions[None], headline=headline, how=how)
    low, high = np.quantile(drawn.drawn[0][0], (0.025, 0.975))
    return Figure(name, float(drawn.figures[0, 0]), float(low), float(high))


def _difference(name: str, headline: Headline, first: Array, second: Array, how: Resampling) -> Difference:
    drawn = draw(second[None], first[None], headline, how)
    low, high = np.quantile(drawn.drawn[0][0], (0.025, 0.975))
    alone_first, alone_second = (float(headline(side, np.ones((1, len(side))))[0]) for side in (first, second))
    p = randomisation(first[None], second[None], headline, how.resamples, how.seed)
    return Difference(name, alone_first, alone_second, float(drawn.figures[0, 0]), float(low), float(high), p)


# Rows of files.


def _rows(file: RecordFile, blank: bool = False) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the place and the values of each row; of lines of text also the blank ones within, if they count."""
    held: list[str] = []
    for record in file.records():
        if isinstance(record, BadRow):
            raise InputError(f"{record.place}: {record.problem}; correct the row, or remove it on both sides")
        if record.values is None:
            if blank and file.form == "text":
                held.append(record.place)
            continue
        yield from ((place, {"text": ""}) for place in held)
        held = []
        yield record.place, record.values


def _read_pairs(path: Path, gold: Gold, column: str, form: str) -> Iterator[tuple[str | None, Any]]:
    """Yield the id, None where there is none, and the prediction of each row."""
    with path.open("rb") as stream:
        yield from _pairs_of(Lines(stream, path.name), path, gold, column, form)


def _pairs_of(lines: Lines, path: Path, gold: Gold, column: str, form: str) -> Iterator[tuple[str | None, Any]]:
    file = open_records(lines, form, tagged=gold.format == "token_classification")
    if isinstance(file, Conll):  # `xstilts predict` adds its column last
        file.tag_column, column = _number(column) if column else 0 if file.is_conllu else file.width, ""
    progress.note(f"{path.name}: read as {_described(file)}")
    chosen = ""
    blank = gold.format in ("extractive_qa", "token_classification")
    place = path.name
    with refusing(lambda: place, CORRECT, READABLE):
        for place, values in _rows(file, blank):
            if not chosen:
                chosen = _column(values, column, PREDICTED[gold.format], place, file.form)
            if chosen not in values:
                raise InputError(f"{place}: there is no '{chosen}', and the rows before have one")
            raw = values[chosen]
            if file.form == "text" and gold.format != "extractive_qa":
                raw = raw.partition("\t")[0]  # as `xstilts predict` writes lines of text: the prediction comes first
            id = values.get("id")
            yield None if id is None else str(id), _prediction(gold, raw, values, place)


def _answers_by_id(path: Path, gold: Gold) -> list[tuple[str | None, Any]] | None:
    """Return the answers of SQuAD's `{id: answer}`; None where the file is something else."""
    with path.open("rb") as file:
        if not file.read(100).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") or path.suffix.lower() == ".jsonl":
            return None
    try:
        document = json.loads(path.read_bytes(), object_pairs_hook=partial(_unrepeated, path.name))
    except InputError:
        raise
    except (ValueError, RecursionError):
        return None
    known = {"data", *(name for names in PREDICTED.values() for name in names)}
    if not isinstance(document, dict) or document.keys() & known:
        return None
    progress.note(f"{path.name}: read as answers by id")
    return [(id, _prediction(gold, answer, {}, f"{path.name}: '{id}'")) for id, answer in document.items()]


def _unrepeated(name: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; InputError where a key occurs twice, of which `json` would keep the last in silence."""
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise InputError(f"{name}: the key '{twice}' occurs twice in one object; keep one")
    return made


def _column(values: Mapping[str, Any], chosen: str, usual: Sequence[str], place: str, form: str) -> str:
    if chosen:
        if chosen not in values:
            raise InputError(f"{place}: there is no column '{chosen}': there are {', '.join(values)}")
        return chosen
    if form == "text":
        return "text"
    name = next((name for name in usual if name in values), "")
    if not name and len(values) == 1:
        name = next(iter(values))
    if not name:
        raise InputError(
            f"{place}: which column is it? there is none of {', '.join(usual)}, but {', '.join(values)}: "
            "give --label or --prediction"
        )
    return name


def _inferred(values: Mapping[str, Any], form: str, name: str) -> str:
    if form in ("conll", "squad"):
        return {"conll": "token_classification", "squad": "extractive_qa"}[form]
    names = {**GOLD, "classification": (*LABELS, "text") if form == "text" else LABELS}
    order = ("token_classification", "classification", "extractive_qa")
    format = next((format for format in order if set(names[format]) & values.keys()), "")
    if not format or "choices" in values:
        raise InputError(f"{name}: which task format is it? give --task, or --format with one of {', '.join(FORMATS)}")
    return format


def _require_format(format: str, name: str) -> None:
    if format and format not in FORMATS:
        raise InputError(
            f"{name}: predictions of {format} are vectors of all candidates, which no file holds: score them by "
            f"`xstilts run`; files are scored for {', '.join(FORMATS)}"
        )


def _usual_metric(task: Task | None, format: str, read: Sequence[Any]) -> str:
    if task and task.format == format:
        return task.metric
    if format == "extractive_qa":
        return "squad_v2" if any(example.unanswerable for example in read) else "squad"
    if format == "token_classification":
        entities = any(tag[:2] in ("B-", "I-") for example in read for tag in example.tags)
        return "entity_f1" if entities else "tag_accuracy"
    return "accuracy"


# Gold answers and predictions, each checked.


def _example(format: str, id: str, raw: Any, values: Mapping[str, Any], place: str, labels: Sequence[str]) -> Example:
    if format == "classification":
        return ClassificationExample(id, "", None, _label(raw, labels, place, "gold label"))
    if format == "multiple_choice":
        return MultipleChoiceExample(id, "", "", (), _index(raw, place))
    if format == "token_classification":
        tags = _tags(raw, place)
        tokens = values.get("tokens")
        words = tuple(tokens) if isinstance(tokens, list | tuple) else tuple(tags)
        return TaggingExample(id, words, tags)
    impossible = bool(values.get("is_impossible"))
    answers = () if impossible else tuple(AnswerSpan(text, -1) for text in _answer_texts(raw, place))
    return QAExample(id, "", "", answers, impossible or not answers)


def _prediction(gold: Gold, raw: Any, values: Mapping[str, Any], place: str) -> Any:
    if gold.format == "classification":
        return _label(raw, gold.labels, place, "prediction")
    if gold.format == "multiple_choice":
        return _index(raw, place)
    if gold.format == "token_classification":
        return _tags(raw, place)
    if isinstance(raw, dict | list) or raw is None:
        raise InputError(f"{place}: expected an answer, found {raw!r}")
    scores = next((names for names in SCORES if set(names) <= values.keys()), None)
    if gold.metric != "squad_v2" or scores is None:
        return str(raw)
    best, none = (float(values[name] or 0) for name in scores)
    if not math.isfinite(none - best):
        raise InputError(f"{place}: expected finite {' and '.join(scores)}, found {best} and {none}")
    return {"answer": "" if none > best else str(raw), "null_score": none - best}


def _label(raw: Any, labels: Sequence[str], place: str, what: str) -> str:
    """Return a label as a text; a number that is no label of the task is the number of one."""
    if raw is None or isinstance(raw, float | list | dict) or not str(raw).strip():
        raise InputError(f"{place}: expected a {what}, found {raw!r}")
    name = (str(raw).lower() if isinstance(raw, bool) else str(raw)).strip()
    return labels[int(name)] if labels and name not in labels and _is_number(name) and int(name) < len(labels) else name


def _is_number(text: str) -> bool:
    """Return whether a text is a number that may count something: `str.isdigit` is true of "²" too."""
    return text.isascii() and text.isdigit() and len(text) < 9


def _index(raw: Any, place: str) -> int:
    if isinstance(raw, bool) or not _is_number(str(raw).strip()):
        raise InputError(f"{place}: expected the number of a choice, from 0, found {raw!r}")
    return int(str(raw))


def _tags(raw: Any, place: str) -> tuple[str, ...]:
    tags = raw.split() if isinstance(raw, str) else raw
    if not isinstance(tags, list | tuple) or not all(isinstance(tag, str) for tag in tags):
        raise InputError(f"{place}: expected tags in a list, or separated by blanks, found {raw!r}")
    return tuple(tags)


def _answer_texts(raw: Any, place: str) -> Iterator[str]:
    """Yield the texts of answers: one ("": none), a list of them, SQuAD's objects, or the hub's pair of lists."""
    given = raw.get("text") if isinstance(raw, dict) else raw
    given = ([given] if given.strip() else []) if isinstance(given, str) else given
    if not isinstance(given, list):
        raise InputError(f"{place}: expected answers, found {raw!r}")
    for answer in given:
        text = answer.get("text") if isinstance(answer, dict) else answer
        if not isinstance(text, str):
            raise InputError(f"{place}: expected the text of an answer, found {answer!r}")
        yield text


def _check_labels(name: str, predicted: Iterable[Any], gold: Gold) -> None:
    """Refuse labels that are written otherwise than the gold ones; note others that no gold answer has."""
    known = {*gold.labels, *(str(example.label) for example in gold.examples)}
    counts = Counter(map(str, predicted))
    other = {label: count for label, count in counts.items() if label not in known}
    folded = {_folded(label): label for label in known}
    for label in other:
        if meant := folded.get(_folded(label)):
            raise InputError(f"{name}: found the label {label!r} where the gold answers have {meant!r}: write it alike")
    if not other:
        return
    there = f"{_first(list(other))} ({counted(sum(other.values()), 'prediction')})"
    numbers, named = all(map(str.isdecimal, counts)), not any(map(str.isdecimal, known))
    if numbers and named:
        expected = f"the gold labels are {_first(sorted(known))}"
        raise InputError(f"{name}: expected names of labels, found numbers: {there}; write names, {expected}")
    progress.note(f"{name}: no gold answer has {there}")


def _folded(label: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", label).casefold().split())


def _matched(name: str, by_id: Mapping[str, Any], gold: Gold, allow_missing: bool) -> Predictions:
    """Match predictions with gold by id, and check that each sentence has as many tags as words."""
    ids = gold.ids
    known = set(ids)
    extra = [id for id in by_id if id not in known]
    if extra:
        raise InputError(
            f"{name}: {counted(len(extra), 'prediction')} {'has' if len(extra) == 1 else 'have'} no example in "
            f"{gold.name}: {_first(extra)}; remove what is too much, or give the gold file of these predictions"
        )
    if gold.format == "classification":
        _check_labels(name, by_id.values(), gold)
    missing = [id for id in dict.fromkeys(ids) if id not in by_id]
    if missing and not allow_missing:
        raise InputError(
            f"{name}: {len(missing):,} of {len(ids):,} examples of {gold.name} have no prediction: {_first(missing)}; "
            "predict them too, or count them as wrong with --allow-missing"
        )
    values = dict(by_id)
    examples = {example.id: example for example in gold.examples}
    for id in missing:
        values[id] = _wrong(gold, examples[id])
    for example in gold.examples if gold.format == "token_classification" else ():
        if len(values[example.id]) != len(example.tags):
            raise InputError(
                f"{name}: {counted(len(values[example.id]), 'tag')} for {counted(len(example.tags), 'word')} of "
                f"sentence '{example.id}'; predict a tag for each word"
            )
    return Predictions(name, values, tuple(missing))


def _wrong(gold: Gold, example: Any) -> Any:
    """Return a prediction that is wrong for an example, whatever its gold answer."""
    if gold.format == "token_classification":
        return ("",) * len(example.tags)
    return {"classification": "(missing)", "multiple_choice": -1}.get(gold.format, NO_ANSWER)


def _first(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - NAMED:,} more" if len(ids) > NAMED else ""
    return ", ".join(f"'{id}'" for id in ids[:NAMED]) + more


def _described(file: RecordFile) -> str:
    return f"{file.reason}; tags: column {file.columns_read[1]}" if isinstance(file, Conll) else file.reason


def _number(column: str) -> int:
    if not _is_number(column) or column == "0":
        raise InputError(f"column {column!r}: CoNLL's columns are given by number, from 1")
    return int(column)


# Tables.


def _plain(confusion: Confusion) -> dict[str, Any]:
    return {
        "labels": [asdict(row) for row in confusion.by_label()],
        "confusion": {"labels": list(confusion.labels), "counts": confusion.counts.tolist()},
    }


def _views_of(score: FileScore) -> Iterator[TableView]:
    """Yield the scores of each label, and the confusion matrix or the most frequent confusions."""
    if score.confusion is None:
        return
    confusion = score.confusion
    rows = [
        (row.label, *map(tables.number, (row.precision, row.recall, row.f1)), row.gold, row.predicted)
        for row in confusion.by_label()
    ]
    names = ("label", "precision", "recall", "F1", "gold", "predicted")
    yield tables.table(f"labels of {score.file}", names, rows)
    labels, counts = confusion.labels, confusion.counts
    if len(labels) <= MATRIX:
        cells = [(label, *(int(count) for count in row)) for label, row in zip(labels, counts, strict=True)]
        yield tables.table(f"confusion of {score.file}: gold in rows", ("gold \\ predicted", *labels), cells)
        return
    wrong = np.argsort(-(counts - np.diag(np.diagonal(counts))), axis=None, kind="stable")[:MATRIX]
    pairs = [(labels[at // len(labels)], labels[at % len(labels)], int(counts.flat[at])) for at in wrong]
    yield tables.table(
        f"most frequent confusions of {score.file}", ("gold", "predicted", "examples"), [p for p in pairs if p[2]]
    )
