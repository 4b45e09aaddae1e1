"""Verbs of predictions: predict for the rows of a file, and score predictions that were made anywhere."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, BinaryIO, ClassVar, TextIO, cast

import typer

from xstilts.cli.app import VerbWithoutRecord, app
from xstilts.cli.options import (
    DataFolder,
    Device,
    MaxTokensPerPass,
    OptionGroup,
    Precision,
    TaskFolders,
    Threads,
    grouped,
)

if TYPE_CHECKING:
    from xstilts.data.record_file import RecordFile
    from xstilts.inference.predict_file import Columns, Job, Summary
    from xstilts.runtime.machine import Runtime

STREAM = "-"
SPLITS = ("test", "validation")
FORM_HELP = "text, csv, tsv, jsonl, json (a list), conll or squad; default: by the file's name, or its first lines."
PIPE_CLOSED = 141  # 128 + SIGPIPE, as a shell gives it


def _column(what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(help=what, metavar="COLUMN", rich_help_panel="Input")
    return option


@dataclass(frozen=True)
class InputOptions(OptionGroup):
    """How a file is to be read: its form ("" to infer it), and the columns of its fields."""

    panel: ClassVar[str] = "Input"

    input_format: Annotated[str, typer.Option(help=FORM_HELP)] = ""
    text: Annotated[str, _column("Column of the text.")] = ""
    text_pair: Annotated[str, _column("Column of the second text of a pair.")] = ""
    tokens: Annotated[str, _column("Column of the words; of CoNLL its number, from 1.")] = ""
    context: Annotated[str, _column("Column of the passage.")] = ""
    question: Annotated[str, _column("Column of the question.")] = ""
    choices: Annotated[str, _column("Columns of the choices, 'a,b,c', or one that holds a list.")] = ""
    header: Annotated[
        bool,
        typer.Option(
            "--header/--no-header",
            help="Whether the first line of CSV or TSV names the columns; else they are called 1, 2, …",
        ),
    ] = True
    delimiter: Annotated[str, typer.Option(help="What separates the columns of CSV.")] = ""
    skip_bad_rows: Annotated[
        bool,
        typer.Option(
            "--skip-bad-rows", help="Leave out and count rows that cannot be read; default: stop at the first."
        ),
    ] = False
    long: Annotated[
        str, typer.Option(help="Texts longer than the model takes: windows (read in parts) or truncate (marked).")
    ] = "windows"
    window: Annotated[int, typer.Option(min=1, metavar="N", help="Rows that are held and sorted at once.")] = 4096
    max_length: Annotated[
        int, typer.Option(min=0, metavar="N", help="Tokens of a sequence; 0: as the checkpoint was trained.")
    ] = 0

    def columns(self) -> Columns:
        """Return the columns of the fields."""
        from xstilts.inference.predict_file import Columns

        choices = tuple(filter(None, self.choices.split(",")))
        return Columns(self.text, self.text_pair, self.tokens, self.context, self.question, choices)


@dataclass(frozen=True)
class VectorOptions(OptionGroup):
    """What an encoder gives instead of predictions."""

    panel: ClassVar[str] = "Vectors"

    vectors: Annotated[Path | None, typer.Option(help="Write the texts' vectors to this .npy file instead.")] = None
    neighbours: Annotated[Path | None, typer.Option(help="Add the nearest texts of this file, by cosine, instead.")] = (
        None
    )
    k: Annotated[int, typer.Option("-k", min=1, metavar="N", help="How many neighbours.")] = 5
    layer: Annotated[int, typer.Option(metavar="N", help="Layer of the vectors; 0: the embeddings, -1: the last.")] = -1


@dataclass(frozen=True)
class DeviceOptions(OptionGroup):
    """Where and how to compute."""

    panel: ClassVar[str] = "Runtime"

    device: Device = "auto"
    threads: Threads = 0
    max_tokens_per_pass: MaxTokensPerPass = 0
    precision: Precision = "auto"

    def runtime(self) -> Runtime:
        """Return the runtime that these options describe."""
        from xstilts.runtime.machine import Runtime

        return Runtime(
            device=self.device,
            threads=self.threads,
            max_tokens_per_pass=self.max_tokens_per_pass,
            precision=self.precision,
        )


@app.command(
    cls=VerbWithoutRecord,
    rich_help_panel="Models",
    examples=(
        "xstilts predict model reviews.csv --text review --out labelled.csv",
        "cat sentences.txt | xstilts predict model > tagged.txt",
        "xstilts predict encoder queries.txt --neighbours passages.txt -k 3",
    ),
)
@grouped
def predict(
    checkpoint: Annotated[str, typer.Argument(help="Folder of a checkpoint or of a finished training, or 'sandbox'.")],
    file: Annotated[str, typer.Argument(help="File of inputs; '-': standard input.")] = STREAM,
    *,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")] = None,
    format: Annotated[
        str | None, typer.Option(help="Task format of the head, where its configuration does not show it.")
    ] = None,
    given: InputOptions,
    vector: VectorOptions,
    compute: DeviceOptions,
) -> None:
    """Predict for the rows of a file and write it again with labels, probabilities, tags or answers beside them."""
    from xstilts.errors import InputError
    from xstilts.inference.model import load_model
    from xstilts.inference.predict_file import Job
    from xstilts.runtime import console, progress
    from xstilts.runtime.signals import Interrupted
    from xstilts.runtime.text import counted

    vectors, neighbours = vector.vectors, vector.neighbours
    if console.current().json and not (out or vectors):
        raise InputError("with --json standard output holds the summary: give --out FILE for the predictions")
    if vectors and neighbours:
        raise InputError("--vectors and --neighbours are two answers: give one")
    if file != STREAM:
        _require_file(file)
    if neighbours:
        _require_file(neighbours)
    for target in filter(None, (out, vectors)):
        _require_place(target)
        if file != STREAM and target.exists() and target.samefile(file):
            raise InputError(f"{target} is the input itself: give --out another file")
    columns, runtime = given.columns(), compute.runtime()
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(_opened(file))
        on_screen = not (out or vectors) and sys.stdout.isatty()  # bars would break the lines between them
        stack.enter_context(progress.shown(live=not on_screen))
        model = load_model(checkpoint, format=format, max_length=given.max_length or None, runtime=runtime)
        if not vectors and not neighbours:
            model.require_head()
        records, columns = _records(stream, file, given, columns, model.format == "token_classification")
        size = 0 if file == STREAM else Path(file).stat().st_size
        job = Job(model, records, columns, given.skip_bad_rows, given.window, given.long, size)
        try:
            if vectors:
                with contextlib.closing(_LateFile(vectors, "wb")) as matrix:
                    summary = job.vectors(cast("BinaryIO", matrix), vector.layer)
            else:
                written = stack.enter_context(_target(out))
                summary = _neighbours(job, written, neighbours, vector) if neighbours else job.predict(written)
        except BrokenPipeError:
            _close_output()
            raise typer.Exit(PIPE_CLOSED) from None
        except Interrupted as stopped:
            progress.note(f"stopped; {counted(job.rows, 'row')} written")
            raise typer.Exit(128 + stopped.number) from None
        except InputError:
            if job.rows:
                progress.note(f"{counted(job.rows, 'row')} before it written")
            raise
    if not console.current().quiet:
        _tell(summary)
    console.result(summary)


@dataclass(frozen=True)
class ScoredTaskOptions(OptionGroup):
    """What is scored, and how."""

    panel: ClassVar[str] = "Task"

    task: Annotated[str, typer.Option(help="Task whose labels and metric are taken, such as xnli.")] = ""
    language: Annotated[str, typer.Option(help="Language of the split, or of the texts.")] = "en"
    format: Annotated[str, typer.Option(help="Task format, where no task is given; default: by the columns.")] = ""
    metric: Annotated[str, typer.Option(help="Another metric than the usual one.")] = ""
    data: DataFolder = None
    tasks: TaskFolders = None


@dataclass(frozen=True)
class AnswerOptions(OptionGroup):
    """How the files of gold answers and of predictions are to be read."""

    panel: ClassVar[str] = "Input"

    label: Annotated[str, _column("Column of the gold answer; of CoNLL its number, from 1.")] = ""
    prediction: Annotated[str, _column("Column of the prediction; of CoNLL its number, from 1.")] = ""
    gold_format: Annotated[str, typer.Option(help=f"Form of the gold file: {FORM_HELP}")] = ""
    input_format: Annotated[str, typer.Option(help=f"Form of the predictions: {FORM_HELP}")] = ""
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Count examples without a prediction as wrong.")
    ] = False


@dataclass(frozen=True)
class IntervalOptions(OptionGroup):
    """How intervals are drawn."""

    panel: ClassVar[str] = "Intervals"

    resamples: Annotated[int, typer.Option(min=100, metavar="N", help="Resamples of the intervals.")] = 2000
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the resamples.")] = 0


@app.command(
    rich_help_panel="Models",
    examples=(
        "xstilts score gold.csv predictions.csv --label label",
        "xstilts score test predictions.jsonl --task xnli --language sw --data DATA",
        "xstilts score gold.jsonl ours.jsonl theirs.jsonl --json",
    ),
)
@grouped
def score(
    gold: Annotated[str, typer.Argument(help="File of gold answers; or 'test' or 'validation', a split of --task.")],
    predictions: Annotated[Path, typer.Argument(help="File of predictions, of almost any form.")],
    other: Annotated[Path | None, typer.Argument(help="Second file of predictions, compared with the first.")] = None,
    *,
    scored_task: ScoredTaskOptions,
    answer: AnswerOptions,
    interval: IntervalOptions,
) -> None:
    """Score predictions that were made anywhere, with intervals; compare two files of them, paired by example."""
    from xstilts.errors import InputError
    from xstilts.evaluation.score_file import Reading, read_gold, read_predictions, scored, task_gold
    from xstilts.runtime import progress
    from xstilts.runtime.console import console, result
    from xstilts.stats import Resampling
    from xstilts.tasks import base

    task = base.task(scored_task.task) if scored_task.task else None
    language, metric = scored_task.language, scored_task.metric
    with progress.shown():
        split = task if gold in SPLITS and not Path(gold).is_file() else None
        paths = [_require_file(path) for path in filter(None, (predictions, other))]
        if not split and not Path(gold).exists():
            raise InputError(f"{gold} is no file; give one, or --task with 'test' or 'validation'")
        if split:
            answers = task_gold(split, gold, language, scored_task.data, metric)
        else:
            reading = Reading(scored_task.format, task, metric, language, answer.label, answer.gold_format)
            answers = read_gold(_require_file(gold), reading)
        files = [
            read_predictions(
                path,
                answers,
                column=answer.prediction,
                input_format=answer.input_format,
                allow_missing=answer.allow_missing,
            )
            for path in paths
        ]
        if other and predictions.name == other.name:
            files = [replace(file, name=str(path)) for file, path in zip(files, paths, strict=True)]
        report = scored(answers, files, Resampling(interval.resamples, interval.seed))
    for view in report.views():
        console().print(view.to_rich())
    result(report)


def _neighbours(job: Job, target: TextIO, other: Path, vector: VectorOptions) -> Summary:
    """Embed the texts of another file, then write each row with its nearest among them."""
    import tempfile

    from xstilts.inference.predict_file import Columns, Job, read_vectors

    with tempfile.TemporaryDirectory() as folder, other.open("rb") as stream:
        records, columns = _records(stream, str(other), InputOptions(), Columns(), False)
        keys = Job(job.model, records, columns, job.skip_bad_rows, job.window, job.long, other.stat().st_size)
        matrix, texts = read_vectors(keys, Path(folder), vector.layer)
        return job.neighbours(target, matrix, texts, vector.k, vector.layer)


def _records(
    stream: BinaryIO, name: str, given: InputOptions, columns: Columns, tagged: bool
) -> tuple[RecordFile, Columns]:
    """Open the rows of a file; the number of CoNLL's word column is the form's own matter."""
    from xstilts.data.record_file import Conll, Lines, open_records
    from xstilts.errors import InputError

    lines = Lines(stream, name if name == STREAM else Path(name).name)
    records = open_records(lines, given.input_format, header=given.header, delimiter=given.delimiter, tagged=tagged)
    if isinstance(records, Conll) and columns.tokens:
        if not columns.tokens.isdigit() or columns.tokens == "0":
            raise InputError(f"--tokens {columns.tokens}: give the number of CoNLL's column, from 1")
        return replace(records, token_column=int(columns.tokens)), replace(columns, tokens="")
    return records, columns


@contextlib.contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    """Open a file, or standard input."""
    from xstilts.errors import InputError

    if file != STREAM:
        with Path(file).open("rb") as stream:
            yield stream
        return
    if sys.stdin.isatty():
        raise InputError("nothing to predict: give a file, or pipe texts in")
    yield sys.stdin.buffer


@contextlib.contextmanager
def _target(out: Path | None) -> Iterator[TextIO]:
    """Open the file to write to, or standard output."""
    if out is None:
        yield sys.stdout
        return
    late = _LateFile(out)
    try:
        yield cast("TextIO", late)
        late.open()  # an input without rows gives an empty file
    finally:
        late.close()


class _LateFile:
    """A file that is opened when something is written, so that a refused command leaves an older file as it was."""

    def __init__(self, path: Path, mode: str = "w") -> None:
        self.path, self.mode = path, mode
        self.stream: IO[Any] | None = None

    def open(self) -> IO[Any]:
        """Open the file, if it is not open yet."""
        if self.stream is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            form: dict[str, Any] = {} if "b" in self.mode else {"encoding": "utf-8", "newline": "\n"}
            self.stream = self.path.open(self.mode, **form)
        return self.stream

    def write(self, content: str | bytes) -> int:
        """Write a text, or bytes."""
        return self.open().write(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place of the file."""
        return self.open().seek(offset, whence)

    def flush(self) -> None:
        """Flush what is written."""
        if self.stream:
            self.stream.flush()

    def close(self) -> None:
        """Close the file, if it is open."""
        if self.stream:
            self.stream.close()


def _require_file(path: str | Path) -> Path:
    """Return a path; InputError where there is no file."""
    from xstilts.errors import InputError

    if Path(path).is_dir():
        raise InputError(f"{path} is a folder: give a file in it")
    if not Path(path).exists():
        raise InputError(f"there is no file {path}: correct the path")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} cannot be read: change its permissions")
    return Path(path)


def _require_place(path: Path) -> None:
    """Raise InputError where no file can be written, before anything is predicted."""
    from xstilts.errors import InputError

    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    above = path.parent
    writable = os.access(path if path.exists() else above, os.W_OK)
    if path.is_dir() or not above.is_dir() or not writable:  # root may write where the kernel lets nobody
        raise InputError(f"{path} cannot be written: give the path of a file in a folder of yours")


def _close_output() -> None:
    """Let nothing be written to a pipe that the reader has closed, as the interpreter would at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(summary: Summary) -> None:
    """Print what was done on standard error."""
    for line in summary.lines():
        print(line, file=sys.stderr)
