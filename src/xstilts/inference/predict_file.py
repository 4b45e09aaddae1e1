"""Predict file: predictions for the rows of a file, in the same form with more columns, as they come.

Rows go through `Model.stream`, which holds a window of them; what is no row (a blank line, a comment) goes past it and
comes out in its place. A wrong row is named with its line: it stops the work after everything before it is written, or
is left out and counted. For encoders there are vectors (`.npy`, written as they come) and exact nearest neighbours.

    job = Job(model, open_records(Lines(stream, "reviews.csv")), Columns())
    summary = job.predict(sys.stdout)
"""

from __future__ import annotations

import re
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from xstilts.data.record_file import BadRow, Conll, Record, RecordFile
from xstilts.errors import InputError
from xstilts.inference.model import WINDOW, Model, Prediction
from xstilts.models.heads import HEADLESS
from xstilts.runtime import progress
from xstilts.runtime.signals import Interrupted
from xstilts.runtime.text import counted
from xstilts.tasks.user_format import PAIRS

TEXTS = ("text", "sentence", "review", "content", "utterance", "tweet", "comment", "message", "document", "body")
WORDS, CONTEXTS, QUESTIONS = ("tokens", "words"), ("context", "passage", "paragraph"), ("question", "query")
PREMISES, CHOICES = ("context", "premise", "passage", "sentence"), ("choices", "options", "endings")
CHOICE = re.compile(r"(choice|option|ending|answer|alternative|sol)[_ ]?([a-h0-9])", re.IGNORECASE)
MOST_LABELS = 20  # that have columns of their own in a table
NONE: Mapping[str, int] = {}
NOTED_EVERY = 10.0  # seconds, where the size of the input is not known
KEY_ROWS = 4096  # vectors that all queries of a window are compared with at once
NAMED = 5  # bad rows that are named; all are counted


@dataclass(frozen=True)
class Columns:
    """Columns that hold the fields of an input, by name; "" or nothing: those with a usual name.

    Attributes:
        text: The text.
        text_pair: The second text.
        tokens: The words.
        context: The passage.
        question: The question.
        choices: The choices: one column with a list, or several.
    """

    text: str = ""
    text_pair: str = ""
    tokens: str = ""
    context: str = ""
    question: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Summary:
    """What was predicted.

    Attributes:
        rows: Rows with a prediction.
        bad_rows: Rows that were left out.
        passed_on: Blank lines and the like.
        in_parts: Rows that were too long for one sequence and were read in parts.
        truncated: Rows of which something was not read.
        seconds: All of the time.
        labels: How often each label was predicted (classification).
        bad: Place and problem of the first bad rows.
    """

    rows: int
    bad_rows: int
    passed_on: int
    in_parts: int
    truncated: int
    seconds: float
    labels: Mapping[str, int] = field(default_factory=dict)
    bad: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """Yield the summary in words."""
        rate = f" ({self.rows / self.seconds:,.0f} a second)" if self.seconds > 0 else ""
        yield f"{counted(self.rows, 'row')} predicted in {self.seconds:.1f} s{rate}"
        if self.labels:
            yield "predicted labels: " + ", ".join(f"{label} {count:,}" for label, count in self.labels.items())
        if self.in_parts:
            yield f"{counted(self.in_parts, 'row')} longer than the model takes: read in parts (column windows)"
        if self.truncated:
            yield f"{counted(self.truncated, 'row')} longer than the model takes: truncated (column truncated)"
        if self.passed_on:
            yield f"{counted(self.passed_on, 'line')} without a row (blank lines, comments) passed on"
        if self.bad_rows:
            yield f"{counted(self.bad_rows, 'bad row')} left out"
            yield from (f"  {problem}" for problem in self.bad)


def columns_of(format: str, names: Sequence[str], chosen: Columns, place: str) -> dict[str, Any]:
    """Return the columns that hold the fields of an input.

    Args:
        format: Task format of the model's head.
        names: Columns that there are.
        chosen: Those that the user names.
        place: Of the file, for messages.

    Returns:
        From the field of an input of `Model.predict` to its column; of choices, a tuple of columns.

    Raises:
        InputError: A column that is named is not there, or none is known by its name.

    >>> columns_of("classification", ["id", "premise", "hypothesis"], Columns(), "a.csv")
    {'text': 'premise', 'text_pair': 'hypothesis'}
    """
    given = [chosen.text, chosen.text_pair, chosen.tokens, chosen.context, chosen.question, *chosen.choices]
    for name in filter(None, given):
        if name not in names:
            raise InputError(f"{place}: there is no column '{name}': there are {', '.join(names)}")

    def one_of(name: str, usual: Sequence[str]) -> str:
        return name or next((each for each in usual if each in names), "")

    if format == "extractive_qa":
        fields = {"question": one_of(chosen.question, QUESTIONS), "context": one_of(chosen.context, CONTEXTS)}
        return _all_there(fields, names, place)
    if format == "multiple_choice":
        listed = one_of("", CHOICES)
        several = tuple(sorted((name for name in names if CHOICE.fullmatch(name)), key=lambda name: name.lower()))
        choices = chosen.choices or ((listed,) if listed else several)
        optional = {"context": one_of(chosen.context, PREMISES), "question": one_of(chosen.question, QUESTIONS)}
        found = _all_there({"choices": choices}, names, place)
        return found | {name: column for name, column in optional.items() if column}
    if format == "token_classification":
        words = one_of(chosen.tokens, WORDS)
        field, column = ("tokens", words) if words and not chosen.text else ("text", one_of(chosen.text, TEXTS))
        return _all_there({field: column or _only(names)}, names, place)
    pair = next((pair for pair in PAIRS if set(pair) <= set(names)), ("", ""))
    if chosen.text or format == HEADLESS or not all(pair):
        pair = one_of(chosen.text, TEXTS) or _only(names), ""
    second = chosen.text_pair or pair[1]
    return _all_there({"text": pair[0], **({"text_pair": second} if second else {})}, names, place)


def _only(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ""


def _all_there(fields: dict[str, Any], names: Sequence[str], place: str) -> dict[str, Any]:
    for name, column in fields.items():
        if not column:
            option = name.replace("_", "-")
            raise InputError(f"{place}: which column is the {name}? give --{option}; there are {', '.join(names)}")
    return fields


def added_columns(format: str, prediction: Prediction, table: bool, labels: Sequence[str]) -> dict[str, Any]:
    """Return a prediction as columns to be added to its row.

    Args:
        format: Task format.
        prediction: Of `Model.predict`.
        table: Whether the row is one of a table (CSV, TSV), where each probability is a column and not a dictionary.
        labels: Of the model.
    """
    read = {"windows": prediction["windows"], "truncated": prediction["truncated"]}
    if format == "classification":
        shares = {label: round(share, 6) for label, share in prediction["probabilities"].items()}
        columns = {"predicted_label": prediction["label"], "probability": round(prediction["score"], 6)}
        if not table:
            return columns | {"probabilities": shares} | read
        each = {f"probability_{label}": shares[label] for label in labels} if len(labels) <= MOST_LABELS else {}
        return columns | each | read
    if format == "token_classification":
        columns = {"predicted_tags": prediction["tags"], "tag_probabilities": prediction["scores"]}
        if "offsets" in prediction:
            columns |= {"words": prediction["tokens"], "word_offsets": prediction["offsets"]}
        return columns | read
    if format == "extractive_qa":
        names = ("answer", "start", "stop")
        columns = {f"predicted_{name}": prediction[name] for name in names}
        return columns | {"answer_score": prediction["score"], "no_answer_score": prediction["no_answer_score"]} | read
    shares_of_choices = [round(share, 6) for share in prediction["probabilities"]]
    columns = {"predicted_index": prediction["index"], "predicted_choice": prediction["choice"]}
    return columns | {"probability": round(prediction["score"], 6), "probabilities": shares_of_choices} | read


@dataclass
class Job:
    """The rows of a file on their way through a model.

    Attributes:
        model: Predicts.
        file: The rows.
        columns: Those that the user names.
        skip_bad_rows: Whether wrong rows are left out and counted; else the first stops the work.
        window: Rows that are held at once.
        long: What is done with long texts, as `Model.stream` takes it.
        size: Bytes of the file, by which progress is shown; 0: not known.
    """

    model: Model
    file: RecordFile
    columns: Columns
    skip_bad_rows: bool = False
    window: int = WINDOW
    long: str = "windows"
    size: int = 0
    passed_on: int = 0
    bad: list[str] = field(default_factory=list)
    bad_rows: int = 0
    rows: int = 0
    fields: dict[str, Any] | None = None
    embeds: bool = False
    noted: float = field(default_factory=time.monotonic)

    def predict(self, out: TextIO) -> Summary:
        """Write the rows with their predictions; return what was done.

        Raises:
            InputError: A row is wrong and bad rows are not left out; what came before it is written.
        """
        began, counts, labels = time.perf_counter(), Counter[str](), Counter[str]()
        if self.file.form == "text":
            _refuse_text(self.model.format)
        if self.file.form == "conll" and self.model.format != "token_classification":
            raise InputError(f"CoNLL holds words to be tagged, and the model predicts {self.model.format}: convert it")
        waiting: deque[Record] = deque()

        def columns_of_rows() -> Iterator[dict[str, Any]]:
            for prediction in self.model.stream(self._inputs(waiting), window=self.window, long=self.long):
                yield self._added(prediction)
                counts["in_parts"] += prediction["windows"] > 1
                counts["truncated"] += prediction["truncated"]
                if self.model.format == "classification":
                    labels[prediction["label"]] += 1

        self._write(out, waiting, columns_of_rows())
        common = dict(labels.most_common(MOST_LABELS))
        return self._summary(began, counts["in_parts"], counts["truncated"], common)

    def vectors(self, file: BinaryIO, layer: int = -1) -> Summary:
        """Write the vector of each row's text to a `.npy` file, in order, as they come; not normalised.

        Args:
            file: Opened for writing bytes.
            layer: Of the encoder; 0 for the embeddings, -1 for the last.
        """
        self.embeds, began, long = True, time.perf_counter(), 0
        writer: VectorWriter | None = None  # made with the first vectors: a refused file leaves an older one as it was
        try:
            for block, parts in self.model.stream_vectors(self.texts(), layer=layer, window=self.window):
                writer = writer or VectorWriter(file)
                writer.append(block)
                self.rows += len(block)
                long += sum(part > 1 for part in parts)
        except BaseException:
            if writer:
                writer.close(self.model.network.width)
            raise
        (writer or VectorWriter(file)).close(self.model.network.width)
        return self._summary(began, long)

    def neighbours(self, out: TextIO, keys: NDArray[np.float32], texts: Sequence[str], k: int, layer: int) -> Summary:
        """Write the rows with the `k` nearest of other texts by cosine, exactly.

        Args:
            out: Where to.
            keys: Vectors of the other texts, (texts, width), perhaps memory-mapped.
            texts: The other texts.
            k: How many.
            layer: Of the encoder, that of `keys`.
        """
        self.embeds, began, counts = True, time.perf_counter(), Counter[str]()
        waiting: deque[Record] = deque()
        inputs = (value["text"] for value in self._inputs(waiting))

        def columns_of_rows() -> Iterator[dict[str, Any]]:
            for block, parts in self.model.stream_vectors(inputs, layer=layer, window=self.window):
                for cosines, rows in zip(*nearest(block, keys, k), strict=True):
                    yield self._neighbour_columns(cosines.tolist(), rows.tolist(), texts)
                counts["in_parts"] += sum(part > 1 for part in parts)

        self._write(out, waiting, columns_of_rows())
        return self._summary(began, counts["in_parts"])

    def _write(self, out: TextIO, waiting: deque[Record], columns_of_rows: Iterable[dict[str, Any]]) -> None:
        """Write rows with their added columns; what is there before an error is written all the same."""
        names: list[str] = []
        stopped: InputError | Interrupted | None = None
        try:
            for added in columns_of_rows:
                if not self.rows:
                    names = list(added)
                    self.file.begin(out, names)
                self._pass_on(waiting, out, names)
                self.file.write(out, waiting.popleft(), added)
                self.rows += 1
        except (InputError, Interrupted) as error:
            stopped = error
        if self.rows or not stopped:
            self._end(waiting, out, names)
        if stopped:
            raise stopped

    def texts(self) -> Iterator[str]:
        """Yield the text of each row, to be embedded."""
        self.embeds = True
        waiting: deque[Record] = deque()
        for value in self._inputs(waiting):
            waiting.clear()
            yield value["text"]

    def describe(self) -> str:
        """Return how the file is read, once the first row was."""
        fields = {name: ", ".join(column) if isinstance(column, tuple) else column for name, column in self._shown()}
        shown = "; ".join(f"{name.replace('_', ' ')}: column {column}" for name, column in fields.items())
        return f"read as {self.file.reason}{'; ' + shown if shown else ''}"

    def _shown(self) -> Iterator[tuple[str, Any]]:
        if isinstance(self.file, Conll):
            yield "words", self.file.columns_read[0]
        elif self.file.form != "text":
            yield from (self.fields or {}).items()

    def _added(self, prediction: Prediction) -> dict[str, Any]:
        table = self.file.form in ("csv", "tsv", "text")
        columns = added_columns(self.model.format, prediction, table, self.model.labels)
        if self.file.form == "conll":
            return {"predicted_tags": columns["predicted_tags"]}
        if self.file.form == "text":
            names = ("predicted_label", "probability", "predicted_tags")
            return {name: columns[name] for name in names if name in columns}
        return columns

    def _neighbour_columns(self, cosines: Sequence[float], rows: Any, texts: Sequence[str]) -> dict[str, Any]:
        nearest = [(int(row) + 1, round(cosine, 6), texts[row]) for cosine, row in zip(cosines, rows, strict=True)]
        if self.file.form in ("csv", "tsv", "text"):
            names = ("row", "cosine", "text")
            return {
                f"neighbour_{number}_{name}": value
                for number, each in enumerate(nearest, 1)
                for name, value in zip(names, each, strict=True)
            }
        return {"neighbours": [{"row": row, "cosine": cosine, "text": text} for row, cosine, text in nearest]}

    @property
    def format(self) -> str:
        """The task format that decides which columns are read."""
        return HEADLESS if self.embeds else self.model.format

    def _pass_on(self, waiting: deque[Record], out: TextIO, added: Sequence[str]) -> None:
        """Write what is no row and comes before the next one."""
        while waiting and waiting[0].values is None:
            self.file.write(out, waiting.popleft(), dict.fromkeys(added))

    def _end(self, waiting: deque[Record], out: TextIO, added: Sequence[str]) -> None:
        """Write what comes after the last row."""
        if not self.rows:
            self.file.begin(out, added)
        self._pass_on(waiting, out, added)
        self.file.end(out)
        out.flush()

    def _summary(self, began: float, in_parts: int, truncated: int = 0, labels: Mapping[str, int] = NONE) -> Summary:
        seconds, bad = time.perf_counter() - began, tuple(self.bad)
        return Summary(self.rows, self.bad_rows, self.passed_on, in_parts, truncated, seconds, labels, bad)

    def _inputs(self, waiting: deque[Record]) -> Iterator[dict[str, Any]]:
        """Yield the input of each row, and keep the row for when its prediction comes."""
        last = time.monotonic()
        for number, record in enumerate(self.file.records()):
            if isinstance(record, Record) and record.values is None:
                self.passed_on += 1
                waiting.append(record)
                continue
            value, problem = self._input(record)
            if problem:
                self.bad_rows += 1
                if not self.skip_bad_rows:
                    remedy = "correct it, or leave such rows out with --skip-bad-rows"
                    raise InputError(f"{record.place}: {problem}; {remedy}")
                if len(self.bad) < NAMED:
                    self.bad.append(f"{record.place}: {problem}")
                continue
            assert isinstance(record, Record)
            waiting.append(record)
            yield value
            if number % 256 == 0 and time.monotonic() - last > 1:
                last = time.monotonic()
                self._progress()

    def _progress(self) -> None:
        if self.size:
            read = min(self.file.lines.bytes_read, self.size)
            progress.step("predict", read, self.size, f"bytes, {self.rows:,} rows")
        elif time.monotonic() - self.noted > NOTED_EVERY:
            self.noted = time.monotonic()
            progress.note(f"predict: {self.rows:,} rows")

    def _input(self, record: Record | BadRow) -> tuple[Any, str]:
        """Return the input of a row, or what is wrong with it."""
        if isinstance(record, BadRow):
            return None, record.problem
        values = record.values or {}
        if self.fields is None:
            names = self.file.columns or tuple(values)
            self.fields = columns_of(self.format, names, self.columns, record.place)
            progress.note(self.describe())
        try:
            value = _input_of(self.fields, values)
            if not self.embeds:
                self.model.check(value)
        except InputError as error:
            return None, str(error)
        return value, ""


def _input_of(fields: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an input from the columns of a row; InputError where one is missing, empty or no text."""
    value: dict[str, Any] = {}
    for name, column in fields.items():
        if name == "choices":
            content = [values.get(each) for each in column] if len(column) > 1 else values.get(column[0])
        else:
            content = values.get(column)
        optional = name in ("context", "question") and "choices" in fields
        if content is None and not optional:
            raise InputError(f"'{column}' is null" if column in values else f"there is no '{column}'")
        if content is not None and name not in ("tokens", "choices") and not isinstance(content, str):
            raise InputError(f"expected text in '{column}', found {content!r}")
        if isinstance(content, str) and not content.strip() and not optional:
            raise InputError(f"'{column}' is empty")
        value[name] = content
    return value


def _refuse_text(format: str) -> None:
    if format not in ("classification", "token_classification", HEADLESS):
        raise InputError(f"lines of text do not hold what {format} needs: give CSV, JSON lines or SQuAD's JSON")


def nearest(
    queries: NDArray[np.float32], keys: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the `k` largest cosines of each query with the keys, in falling order, and the keys' rows.

    Exact, by products of blocks: memory is that of one block of keys, which may be memory-mapped. Of equal cosines the
    lower row comes first.

    Shape:
        queries (n, width), keys (m, width); returns (n, min(k, m)) twice
    """
    queries = _unit(queries)
    values = np.empty((len(queries), 0), dtype=np.float32)
    rows = np.empty((len(queries), 0), dtype=np.int64)
    for start in range(0, len(keys), KEY_ROWS):
        cosines = queries @ _unit(keys[start : start + KEY_ROWS]).T
        numbers = np.broadcast_to(np.arange(start, start + cosines.shape[1]), cosines.shape)
        values, rows = np.concatenate([values, cosines], axis=1), np.concatenate([rows, numbers], axis=1)
        order = np.argsort(-values, axis=1, kind="stable")[:, :k]
        values, rows = np.take_along_axis(values, order, axis=1), np.take_along_axis(rows, order, axis=1)
    return values, rows


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the vectors with length 1, in which inner products are cosines."""
    vectors = np.asarray(vectors, dtype=np.float32)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)


class VectorWriter:
    """Writes a matrix of float32 to a `.npy` file row by row; the number of rows is known at the end alone.

    The header has room for any number, so that it is rewritten in place; `numpy.load(path, mmap_mode="r")` reads it.

    Args:
        file: Opened for writing bytes; one that can be sought in.
    """

    HEADER = 128

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.rows, self.width = file, 0, 0
        self._header()

    def append(self, block: NDArray[np.float32]) -> None:
        """Write rows, (rows, width); the file is whole after each call."""
        self.rows, self.width = self.rows + len(block), block.shape[1]
        self.file.write(np.ascontiguousarray(block, dtype="<f4").tobytes())
        self._header()

    def close(self, width: int) -> None:
        """Write the last header; the width is needed where there are no rows."""
        self.width = width
        self._header()
        self.file.flush()

    def _header(self) -> None:
        text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({self.rows}, {self.width}), }}"
        magic = b"\x93NUMPY\x01\x00" + (self.HEADER - 10).to_bytes(2, "little")
        self.file.seek(0)
        self.file.write(magic + text.encode().ljust(self.HEADER - 11) + b"\n")
        self.file.seek(0, 2)


def read_vectors(job: Job, folder: Path, layer: int) -> tuple[NDArray[np.float32], list[str]]:
    """Embed the texts of a file into a memory-mapped matrix in a folder; return it with the texts."""
    texts: list[str] = []

    def kept() -> Iterator[str]:
        for text in job.texts():
            texts.append(text)
            yield text

    path = folder / "neighbours.npy"
    with path.open("wb") as file:
        writer = VectorWriter(file)
        for block, _ in job.model.stream_vectors(kept(), layer=layer, window=job.window):
            writer.append(block)
        writer.close(job.model.network.width)
    if not texts:
        raise InputError(f"{job.file.reason}: there is no text to be a neighbour of; give another --neighbours")
    return np.load(path, mmap_mode="r"), texts
