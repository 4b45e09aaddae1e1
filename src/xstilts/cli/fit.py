"""The verb for a user's own data: from files to a model, without writing code."""

from __future__ import annotations

import json as jsons
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from xstilts.cli.app import VerbWithoutRecord, app
from xstilts.cli.options import ClusterOptions, JsonFile, OptionGroup, RuntimeOptions, grouped
from xstilts.runtime import whole_files


@dataclass(frozen=True)
class FileArguments(OptionGroup):
    """The files, and what they are where that is not to be inferred."""

    panel: ClassVar[str] = "Files"

    train: Annotated[
        list[str] | None,
        typer.Option(metavar="[CODE=]FILE", help="Training data; OWNER/NAME[:CONFIG] is a data set of the hub."),
    ] = None
    dev: Annotated[
        list[str] | None, typer.Option(metavar="[CODE=]FILE", help="Development data; default: a part of --train.")
    ] = None
    test: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[CODE=]FILE",
            help="Test data of a language; repeat it for more. Default: a part of --train. 'sw=a.sw,a.en' are two "
            "files of parallel lines.",
        ),
    ] = None
    file_format: Annotated[
        str | None, typer.Option(help="csv, jsonl, json, squad, conll or parquet; default: inferred.")
    ] = None
    delimiter: Annotated[str | None, typer.Option(help="What separates columns; default: inferred.")] = None
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Whether the first line names the columns.")
    ] = None
    held_out: Annotated[
        int | None, typer.Option(metavar="N", help="Percent of --train held out for each missing split; default: 10.")
    ] = None


@dataclass(frozen=True)
class ColumnArguments(OptionGroup):
    """Columns, by their names or numbers."""

    panel: ClassVar[str] = "Columns (names, or numbers from 1)"

    text: Annotated[str | None, typer.Option(help="Text to classify.")] = None
    text_pair: Annotated[str | None, typer.Option(help="Second text of a pair.")] = None
    label: Annotated[str | None, typer.Option(help="Label, or the number of the right choice.")] = None
    tokens: Annotated[str | None, typer.Option(help="Words of a sentence.")] = None
    tags: Annotated[str | None, typer.Option(help="Tags of the words.")] = None
    context: Annotated[str | None, typer.Option(help="Passage with the answer.")] = None
    question: Annotated[str | None, typer.Option(help="Question.")] = None
    answers: Annotated[str | None, typer.Option(help="Answers, as text or in SQuAD's form.")] = None
    choices: Annotated[str | None, typer.Option(help="Choices: a column of lists, or several columns, 'a,b,c'.")] = None
    source: Annotated[str | None, typer.Option(help="Sentence of a pair of translations.")] = None
    target: Annotated[str | None, typer.Option(help="Its translation.")] = None
    id: Annotated[str | None, typer.Option(help="Ids of the rows.")] = None


@dataclass(frozen=True)
class TaskArguments(OptionGroup):
    """The task that is made of the data."""

    panel: ClassVar[str] = "Task"

    name: Annotated[str | None, typer.Option(help="Name of the task; default: that of the first file.")] = None
    format: Annotated[
        str | None,
        typer.Option(
            help="classification, token_classification, extractive_qa, multiple_choice or bitext_retrieval; default: "
            "inferred."
        ),
    ] = None
    labels: Annotated[str | None, typer.Option(help="Labels in order, 'neg,pos'; default: those of --train.")] = None
    metric: Annotated[str | None, typer.Option(help="Metric; default: the usual one of the format.")] = None
    languages: Annotated[str | None, typer.Option(help="Evaluate only these languages, 'en,sw'.")] = None
    citation: Annotated[str | None, typer.Option(help="The paper to cite for the data.")] = None
    licence: Annotated[str | None, typer.Option(help="The licence of the data.")] = None
    note: Annotated[str | None, typer.Option(help="What a reader must know beside every score.")] = None


@dataclass(frozen=True)
class TrainingArguments(OptionGroup):
    """What to train."""

    panel: ClassVar[str] = "Training"

    encoder: Annotated[str | None, typer.Option(help="Hub id, local folder, or 'sandbox'.")] = None
    intermediate: Annotated[
        list[str] | None,
        typer.Option(help="Tasks of an intermediate phase, 'a,b' for a mix; repeat it for more. 'auto' chooses."),
    ] = None
    candidates: Annotated[
        str | None, typer.Option(help="Tasks from which 'auto' chooses; default: all with training data in --data.")
    ] = None
    budget: Annotated[
        float | None, typer.Option(min=0, metavar="H", help="Hours that 'auto' may take to choose; 0: no limit.")
    ] = None
    recipe: Annotated[
        str | None, typer.Option(help="xtreme, phang2020, small, e5-small or sandbox; default: xtreme.")
    ] = None
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting in both phases: learning_rate=1e-4 …")
    ] = None
    set_intermediate: Annotated[list[str] | None, typer.Option(help="Change it in the intermediate phase only.")] = None
    set_target: Annotated[list[str] | None, typer.Option(help="Change it in the target phase only.")] = None
    seeds: Annotated[int | None, typer.Option(min=1, metavar="N", help="Number of seeds; default: 1.")] = None


@app.command(
    cls=VerbWithoutRecord,
    rich_help_panel="Run",
    examples=(
        "xstilts fit --train reviews.csv --text text --label label --test sw=sw.csv --encoder E --out model",
        "xstilts fit fit.toml --intermediate mnli --seeds 3",
        "xstilts fit --train ner.conll --test sw=sw.conll --encoder E --dry-run",
    ),
)
@grouped
def fit(
    config: Annotated[
        Path | None, typer.Argument(metavar="FILE.toml", help="These options as TOML; those given here win over it.")
    ] = None,
    *,
    files: FileArguments,
    columns: ColumnArguments,
    task: TaskArguments,
    training: TrainingArguments,
    runtime: RuntimeOptions,
    cluster: ClusterOptions,
    out: Annotated[Path | None, typer.Option(help="Folder for the recommended model.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read the data, say what they are, train nothing.")
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Train on your own files: the baseline, then intermediate tasks, then one recommendation with its evidence."""
    from xstilts import api
    from xstilts.experiments import fit_data
    from xstilts.experiments.fit_options import FitOptions
    from xstilts.runtime import progress
    from xstilts.runtime.console import console, result

    given = asdict(files) | asdict(columns) | asdict(task) | asdict(training) | {"out": str(out) if out else None}
    if columns.choices and "," in columns.choices:
        given["choices"] = columns.choices.split(",")
    if task.labels:
        given["labels"] = task.labels.split(",")
    arguments: dict[str, Any] = {name: value for name, value in given.items() if value not in (None, [])}
    machine, screen = runtime.runtime(cluster), console()
    if dry_run:
        with progress.shown():
            data, counts = api.check_fit(FitOptions.of(arguments, config), machine)
        screen.print(fit_data.counts_table(data.task, counts).to_rich())
        result({"data": [asdict(split) for split in counts], "remarks": list(data.remarks)})
        return
    encoder, train, test = (arguments.pop(name, ()) for name in ("encoder", "train", "test"))
    fitted = api.fit(encoder or "", train, test, config=config, runtime=machine, **arguments)
    screen.print(fitted)
    result(fitted.to_json())
    if json_file:
        whole_files.write(json_file, jsons.dumps(fitted.to_json(), indent=1, ensure_ascii=False) + "\n")
