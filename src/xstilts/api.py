"""The Python interface: experiments and models in a few lines, `import xstilts as xs`.

What the command line does is here as functions that return values: `compare` (as `xstilts run`), `train`, `evaluate`,
`predict` and `load_model` for single models, `run_study` and `recommend`. Finished work is kept in a store, the folder
"work" unless another is given, so that a second call reads what the first has built.

>>> import xstilts as xs
>>> result = xs.compare("sandbox", intermediate=["sandbox_names"], target="sandbox_ner", seeds=3)  # doctest: +SKIP
>>> print(result.gain("sandbox_names").zero_shot)  # doctest: +SKIP
+5.31 [+2.04, +8.58]
>>> xs.load_model("sandbox").embed(["Anna sleeps ."]).shape
(1, 64)
"""

from __future__ import annotations

import csv
import html
import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from xstilts import metrics, stats
from xstilts.claims.claim import Verdict
from xstilts.cost import summary
from xstilts.data.dataset import DatasetSplit
from xstilts.data.dataset import read as read_data
from xstilts.errors import InputError
from xstilts.evaluation.predict import predict as predict_stage
from xstilts.evaluation.prompting import Prompt
from xstilts.evaluation.score import read_lines, read_score
from xstilts.evaluation.score import score as score_stage
from xstilts.experiments import dev_scores, fit_data, label_measures, preflight, score_table
from xstilts.experiments.few_shot import FewShot
from xstilts.experiments.fit_options import AUTO, FitOptions
from xstilts.experiments.grid import Grid, tasks_of
from xstilts.experiments.grid import build as build_grids
from xstilts.experiments.prompted_baseline import PromptedBaseline
from xstilts.experiments.run import Recipes, Run, training_data, training_roles, training_set
from xstilts.experiments.score_table import BASELINE, Column, ScoreTable
from xstilts.experiments.translated_splits import Translation
from xstilts.formats import task_format
from xstilts.inference import model as models
from xstilts.inference.backends import format_of, located
from xstilts.inference.model import Input, Model, Prediction, load_model
from xstilts.models.encoder import Encoder
from xstilts.models.heads import LABELLED, is_dual_encoder
from xstilts.models.naming import name_of
from xstilts.reporting import study_page
from xstilts.reporting.run_study import Outcome
from xstilts.reporting.run_study import run_study as run_study_file
from xstilts.runtime import progress, tables, whole_files
from xstilts.runtime.cluster import Cluster
from xstilts.runtime.machine import Runtime
from xstilts.runtime.text import counted
from xstilts.selection import backtest, probes, render
from xstilts.selection.final_choice import Choice, choose
from xstilts.selection.probes import CandidateSearch
from xstilts.selection.recommend import recommend as rank_candidates
from xstilts.selection.recommendation import Advice, Known, known
from xstilts.sharing.export import export
from xstilts.store import local_executor, manifest, query
from xstilts.store.build import build
from xstilts.store.names import EXPORT_FILE, READ
from xstilts.store.stage import Stage, folder_of
from xstilts.tasks import base as registry
from xstilts.tasks.base import Task, task
from xstilts.tasks.user_data import Columns
from xstilts.training.combine import head_training
from xstilts.training.recipe import SETS, Recipe
from xstilts.training.train import MODEL
from xstilts.training.train import train as train_stage
from xstilts.training.training_set import with_development_data

if TYPE_CHECKING:
    from pandas import DataFrame

TaskLike = str | Task
"""A task, or the name of one in the registry."""
Row = dict[str, Any]

FIT = "fit.json"  # in the folder of a recommended model: what it was chosen by
TRIED = 2  # candidates that are trained in full where "auto" ranks them
NAMED_GAPS = 3  # failures that the last line of a study's result names; the report has all


class RuntimeOptions(TypedDict, total=False):
    """Options of every job about where and how to compute; `Runtime` has the same fields and their defaults.

    Attributes:
        data: The data folder; by default the environment variable XSTILTS_DATA.
        store: The folder of results; by default XSTILTS_STORE, or the folder "work".
        device: "auto", "cpu", "cuda", "cuda:1" or "mps".
        workers: Processes that build stages; 0: on a CPU one a core, where trainings and memory suffice.
        threads: Threads of each process; 0: all cores, or a share of them for each worker.
        max_tokens_per_pass: Most tokens of a pass, padding included; 0: as suits the device.
        precision: "auto", "fp32" or "bf16".
        packing: Whether sequences share rows instead of being padded: "auto", "on" or "off".
        recompute: Recompute activations in the backward pass, to save memory.
        compiled: Compile layers with torch.compile.
        processes: Processes that share each training, a GPU each.
        shard: Divide weights, gradients and optimizer states among these processes.
        checkpoint_seconds: Seconds between resume points of a training.
        allow_unexpected_data: Read data sets that differ from what their task expects.
        lease_seconds: Seconds of silence after which a build of another host counts as dead.
        keep: Weights that comparisons and studies leave in the store: "all", "intermediate" or "none".
        cluster: On which machines stages are built: `Cluster("ray")`, `Cluster("slurm", partition="gpu", gpus=1)`.
    """

    data: str | Path | None
    store: str | Path
    device: str
    workers: int
    threads: int
    max_tokens_per_pass: int
    precision: str
    packing: str
    recompute: bool
    compiled: bool
    processes: int
    shard: bool
    checkpoint_seconds: float
    allow_unexpected_data: bool
    lease_seconds: float
    keep: str
    cluster: Cluster


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval over seeds (Student's t).

    Attributes:
        value: The value, in the metric's unit.
        low: The lower end of the interval; NaN where `n` is 1.
        high: The upper end.
        n: The number of seeds.

    >>> print(Estimate(1.5, 0.25, 2.75, n=3))
    +1.50 [+0.25, +2.75]
    """

    value: float
    low: float
    high: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        interval = "" if math.isnan(self.low) else f" [{self.low:+.2f}, {self.high:+.2f}]"
        return f"{self.value:+.2f}{interval}"


class Printable:
    """A result that prints as the command line shows it, and as HTML in a notebook."""

    def __rich__(self) -> RenderableType:
        raise NotImplementedError

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        text = io.StringIO()
        # In a notebook a console would display what it prints, and leave the text empty.
        screen = Console(
            file=text, width=200, force_terminal=False, force_jupyter=False, color_system=None, markup=False
        )
        screen.print(self.__rich__(), highlight=False)
        return "\n".join(line.rstrip() for line in text.getvalue().splitlines())

    def _repr_html_(self) -> str:
        try:
            return self._html()
        except InputError:  # jinja2, of an extra, is not installed
            return f"<pre>{html.escape(str(self))}</pre>"

    def _html(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


class Tabular:
    """A result with one row per score, as plain values or as a data frame."""

    def rows(self) -> list[Row]:
        """Return one dictionary a row, with the same keys in all of them."""
        raise NotImplementedError

    def to_dataframe(self) -> DataFrame:
        """Return the rows as a pandas data frame.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_dataframe needs pandas: `pip install pandas`, or use rows()") from error
        return pandas.DataFrame(self.rows())


# Experiments.


@dataclass(frozen=True)
class Gain:
    """The gain of one setting over the baseline on one target, in the metric's points, paired by seed.

    Attributes:
        table: The scores of the target.
        setting: The name of the setting.
        trained_in: The languages that the target was trained in.
    """

    table: ScoreTable = field(repr=False)
    setting: str
    trained_in: frozenset[str]

    @property
    def all(self) -> Estimate:
        """The gain of the mean over all languages."""
        return self._over(self.table.languages)

    @property
    def zero_shot(self) -> Estimate:
        """The gain of the mean over the languages that the target was not trained in.

        Raises:
            InputError: The target was evaluated in languages that it was trained in only.
        """
        codes = tuple(code for code in self.table.languages if code not in self.trained_in)
        if not codes:
            raise InputError(f"'{self.table.target}' was evaluated in training languages only: use .all")
        return self._over(codes)

    def __getitem__(self, language: str) -> Estimate:
        """Return the gain in one language."""
        if language not in self.table.languages:
            raise InputError(f"no scores in '{language}': there are {', '.join(self.table.languages)}")
        return self._over((language,))

    def _over(self, codes: tuple[str, ...]) -> Estimate:
        before, after = self.table.columns[0].mean(codes), _column(self.table, self.setting).mean(codes)
        gain = stats.gain(before, after).within(-self.table.widest, self.table.widest)
        return Estimate(gain.mean, gain.low, gain.high, gain.count)


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Printable, Tabular):
    """Scores of intermediate settings beside the baseline, with one table a target.

    Attributes:
        grid: The runs: targets, settings and seeds.
        runtime: Where they were built.
        tables: Scores by setting, language and seed, one table a target.
        built: How many stages were built now; the others were finished before.
    """

    grid: Grid
    runtime: Runtime
    tables: tuple[ScoreTable, ...]
    built: int

    @classmethod
    def of(cls, grid: Grid, runtime: Runtime) -> Comparison:
        """Build the runs of a grid, or read those that are finished.

        Args:
            grid: Targets, settings and seeds.
            runtime: Where and how to compute.

        Returns:
            The comparison.

        Raises:
            StageError: Something could not be built; what was built is kept.
        """
        return cls.of_all([grid], runtime)[0]

    @classmethod
    def of_all(cls, grids: Sequence[Grid], runtime: Runtime) -> list[Comparison]:
        """Build the runs of several grids together, so that all workers have work.

        Args:
            grids: Targets, settings and seeds of each.
            runtime: Where and how to compute.

        Returns:
            A comparison for each grid; the first one has the number of stages that were built.

        Raises:
            StageError: Something could not be built; what was built is kept.
        """
        with progress.shown():
            grids, built = build_grids(grids, runtime)
        results = [cls(grid, runtime, tuple(grid.tables(runtime)), 0) for grid in grids]
        return [replace(results[0], built=built), *results[1:]]

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of the settings, "baseline" first; a mix is called "mnli+squad"."""
        return tuple(column.name for column in self.tables[0].columns)

    def gain(self, setting: str, target: str | None = None) -> Gain:
        """Return the gain of a setting over the baseline.

        Args:
            setting: The name of an intermediate setting, "mnli" or "mnli+squad".
            target: The target, where there are several.

        Returns:
            The gain, by language and as means.

        Raises:
            InputError: There is no such setting or target, or several targets and none is named.
        """
        table = self._table(target)
        _column(table, setting)
        if setting == BASELINE:
            raise InputError("the baseline gains nothing over itself: name an intermediate setting")
        return Gain(table, setting, self._trained_in(table))

    def rows(self) -> list[Row]:
        """Return a row for each target, setting, language and seed.

        Returns:
            Dictionaries with `target`, `metric`, `setting`, `language`, `seed`, `score`, `zero_shot` (the target was
            not trained in this language) and `key` (of the score's stage in the store). Those of retrieval also have
            `score_at_fixed_layer`, at the depth that the literature takes; their `score` is at the chosen layer.
        """
        return [
            {
                "target": table.target,
                "metric": table.metric,
                "setting": column.name,
                "language": code,
                "seed": seed,
                "score": score,
                "zero_shot": code not in self._trained_in(table),
                "key": key,
                **_at_fixed_layer(column, code, seed),
            }
            for table in self.tables
            for column in table.columns
            for code in table.languages
            for seed, (score, key) in enumerate(zip(column.scores[code], column.keys[code], strict=True), start=1)
        ]

    def checkpoint(
        self, setting: str = BASELINE, seed: int = 1, target: str | None = None, language: str | None = None
    ) -> Path:
        """Return the folder of a trained model, in Hugging Face format.

        Args:
            setting: The name of an intermediate setting, or "baseline".
            seed: The seed of the run.
            target: The target, where there are several.
            language: Of few-shot models, that of this language; None: the model before they were trained.

        Returns:
            The folder.

        Raises:
            InputError: There is no such run, or it trains nothing (as the baseline of a retrieval task).
        """
        run = self._run(setting, seed, target)
        model = run.model(language)
        if not isinstance(model, Stage):
            raise InputError(
                f"'{setting}' trains nothing for '{run.target.name}': its model is the encoder {model.name}"
            )
        return build(model, self.runtime) / MODEL  # again, where its weights were dropped

    def scores(self) -> list[Stage]:
        """Return the stages of all scores, by which the store knows them."""
        return self.grid.score_stages(self.runtime)

    def __rich__(self) -> RenderableType:
        return Group(*self._parts())

    def _parts(self) -> Iterator[RenderableType]:
        records = query.by_key(self.runtime.store)
        for table in self.tables:
            yield score_table.render(table)
            keys = {key for column in table.columns for seeds in column.keys.values() for key in seeds}
            cost = summary.summary(summary.behind(records, sorted(keys)))
            notes = (*score_table.remarks(table), *self._measures(table), cost)
            yield from (Text(f"  {remark}", style="dim") for remark in notes)
            yield Text("")

    def _html(self) -> str:
        parts: list[str] = []
        for table in self.tables:
            rows = [(label, *cells) for label, cells in score_table.cells_of(table)]
            view = tables.table(table.title, score_table.header(table), rows)
            parts.append(view.to_html())
            notes = (*score_table.remarks(table), *self._measures(table))
            parts += [f"<p>{html.escape(remark)}</p>" for remark in notes]
        return "\n".join(parts)

    def _measures(self, table: ScoreTable) -> list[str]:
        """Return in words what the table leaves out: macro-F1 of classification and the like, development scores."""
        target = next(each for each in self.grid.targets if each.name == table.target)
        runs = self.grid.runs(target, self.runtime.data)
        on_dev = dev_scores.remark(runs, self.runtime)
        return [*label_measures.remarks(runs, self.runtime), *([on_dev] if on_dev else [])]

    def _trained_in(self, table: ScoreTable) -> frozenset[str]:
        """Return the languages that a target was trained in; the first of its task's where nothing is trained."""
        run = self._run(BASELINE, 1, table.target)
        return run.learned_in or frozenset({table.english})

    def _table(self, target: str | None) -> ScoreTable:
        tables = [table for table in self.tables if target in (None, table.target)]
        if len(tables) != 1:
            names = ", ".join(table.target for table in self.tables)
            raise InputError(f"no target '{target}': there are {names}" if target else f"name one target of {names}")
        return tables[0]

    def _run(self, setting: str, seed: int, target: str | None) -> Run:
        name = self._table(target).target
        wanted = next(each for each in self.grid.targets if each.name == name)
        runs = self.grid.runs(wanted, self.runtime.data)
        if setting not in runs:
            raise InputError(f"no setting '{setting}': there are {', '.join(runs)}")
        if not 1 <= seed <= len(runs[setting]):
            raise InputError(f"no seed {seed}: seeds are 1 to {len(runs[setting])}")
        return runs[setting][seed - 1]


def compare(
    encoder: str | Path | Encoder | Checkpoint,
    intermediate: TaskLike | Sequence[TaskLike | Sequence[TaskLike]] = (),
    target: TaskLike | Sequence[TaskLike] = (),
    *,
    recipe: str = "xtreme",
    seeds: int = 1,
    settings: Sequence[str] = (),
    intermediate_settings: Sequence[str] = (),
    target_settings: Sequence[str] = (),
    languages: Sequence[str] = (),
    split: str = "test",
    learn_from: TaskLike | Sequence[TaskLike] = (),
    average: str = "",
    combine: str = "",
    oracle: int = 0,
    translation: Translation | None = None,
    few_shot: int | str | FewShot = 0,
    retries: int = 0,
    runtime: Runtime | None = None,
    **options: Unpack[RuntimeOptions],
) -> Comparison:
    """Train with and without intermediate tasks, and compare the scores in every language of the target.

    Args:
        encoder: A hub id, a local folder, "sandbox", an `Encoder` or a `Checkpoint`.
        intermediate: Settings of the intermediate phase beside the baseline, which has none. Each is a task, or a list
            of tasks to train on as a mix: `["mnli", ["mnli", "squad"]]` are two settings.
        target: The target task, or several.
        recipe: A named set of recipes: "xtreme", "xtreme-last", "phang2020", "small", "e5-small" or "sandbox".
        seeds: How many seeds to train with: 1, 2, …
        settings: Changes of the recipes of both phases, as `["learning_rate=1e-5", "epochs=3"]`.
        intermediate_settings: Changes for the intermediate phase only.
        target_settings: Changes for the target phase only.
        languages: Evaluate only these languages; default: all that the target has.
        split: The evaluated split: "test", or "validation" where test labels are hidden.
        learn_from: Train for the target on these tasks, one after the other, instead of the target's own.
        average: Average weights: "seeds" (of all runs of a setting), "seeds:3", "last:5" (snapshots) or both; a seed
            of the result is then one average.
        combine: Train each task of a setting alone and combine their encoders: "add:0.5" (task vectors), "ties:0.2" or
            "swap@top:2" (layers of the second task). The name of a setting says so: "mnli+squad (add:0.5)".
        oracle: Also choose among so many last snapshots on target-language development data, which a zero-shot result
            may not see, and on that of the training language; the table has a row for each.
        translation: Training or test data that are translated: `Translation(train=("sw",), test=True, model=…)`.
        few_shot: Train each target's model further on so many training examples of a language, which it then predicts:
            10, "10:2" (the second draw), or `FewShot(10, draw=2, settings=("epochs=20",))`. Not for the languages that
            the target is trained in, nor where there are no training data.
        retries: Repeat a training that ends no better than chance on development data with another seed, at most so
            often.
        runtime: A `Runtime`, instead of the options below.
        **options: Where and how to compute: `data`, `store`, `device`, `workers` and the like (`RuntimeOptions`).

    Returns:
        The comparison: print it, ask it for `gain(setting)`, or turn it into a data frame.

    Raises:
        InputError: A task, language, recipe or setting is unknown, data are missing, or tasks do not fit each other.
        StageError: Something could not be built; what was built is kept.
    """
    machine = _runtime(runtime, options, encoder)
    mixes = [intermediate] if isinstance(intermediate, str | Task) else intermediate
    chosen, targets, learned = tuple(_tasks(mix) for mix in mixes), _tasks(target), _tasks(learn_from)
    if not targets:
        raise InputError("nothing to evaluate: give a target, target='xnli'")
    if not all(chosen):
        raise InputError("an intermediate setting has no task: leave it out, the baseline is always compared")
    if seeds < 1:
        raise InputError(f"seeds={seeds}: give 1 or more")
    both = _texts(settings)
    grid = Grid(
        _encoder(encoder),
        targets,
        chosen,
        Recipes(recipe, both + _texts(intermediate_settings), both + _texts(target_settings)),
        seeds,
        {"": learned} if learned else {},
        None,
        split,
        _texts(languages),
        average=average,
        combine=combine,
        oracle=oracle,
        translation=translation,
        few_shot=few_shot if isinstance(few_shot, FewShot) else FewShot.of(str(few_shot or "")),
        retries=retries,
    )
    return Comparison.of(grid, machine)


# Single models.


@dataclass(frozen=True)
class Checkpoint:
    """A trained model in the store, which can be evaluated, loaded, or trained further.

    Attributes:
        path: Its folder, in Hugging Face format.
        tasks: What it was trained on last; several for a mix.
        format: The task format of its head; "" where it has none (a mix, or contrastive training).
        labels: The labels of a classification or token classification head, in the order of its outputs.
        max_length: Tokens of a sequence in training, at most.
    """

    path: Path
    tasks: tuple[Task, ...] = field(repr=False)
    format: str
    labels: tuple[str, ...]
    max_length: int
    stage: Stage = field(repr=False)
    runtime: Runtime = field(repr=False)

    @property
    def task(self) -> Task:
        """The task that it was trained on.

        Raises:
            InputError: It was trained on a mix.
        """
        if len(self.tasks) > 1:
            raise InputError(f"{self.path} was trained on a mix: use .tasks")
        return self.tasks[0]


def train(
    encoder: str | Path | Encoder | Checkpoint,
    tasks: TaskLike | Sequence[TaskLike],
    *,
    recipe: str | Recipe = "xtreme",
    settings: Sequence[str] = (),
    role: Literal["intermediate", "target"] = "target",
    seed: int = 1,
    runtime: Runtime | None = None,
    **options: Unpack[RuntimeOptions],
) -> Checkpoint:
    """Train an encoder on the training data of a task, or of a mix of tasks.

    Args:
        encoder: A hub id, a local folder, "sandbox", an `Encoder`, or the `Checkpoint` of an earlier `train`, of which
            the encoder is trained further under a new head.
        tasks: A task, or several to train on as a mix.
        recipe: A `Recipe`, or the name of a set of recipes: "xtreme", "xtreme-last", "phang2020", "small", "e5-small"
            or "sandbox".
        settings: Changes of a named recipe, as `["epochs=3"]`.
        role: Which of a named set's recipes to take: that of the intermediate or of the target phase.
        seed: Seed of the head's initial weights, of dropout and of the data order.
        runtime: A `Runtime`, instead of the options below.
        **options: Where and how to compute (`RuntimeOptions`).

    Returns:
        The checkpoint.

    Raises:
        InputError: A task, recipe or setting is unknown, or data are missing.
        StageError: The training failed; a message says why.
    """
    machine, chosen = _runtime(runtime, options, encoder), _tasks(tasks)
    if not chosen:
        raise InputError("nothing to train on: give a task, or several")
    start = _encoder(encoder)
    if isinstance(recipe, Recipe):
        if settings:
            raise InputError("settings change a named recipe: give them to the Recipe itself")
        read = [training_set(each, machine.data).read_by(start) for each in chosen]
        training_sets, how = with_development_data(read, recipe)
    else:
        recipes = Recipes(recipe, _texts(settings), _texts(settings))
        training_sets, how = training_data(chosen, role, recipes, start, machine.data)
    stage = train_stage(start, training_sets, how, seed)
    _build([stage], machine)
    path = build(stage, machine) / MODEL
    with_head = [each.format for each in chosen if not task_format(each.format).headless]
    format = with_head[0] if len(with_head) == 1 else ""
    labels = models.checkpoint_labels(path) if format in LABELLED else ()
    return Checkpoint(path, chosen, format, labels, how.max_length, stage, machine)


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(Printable, Tabular):
    """The scores of one model on one target.

    Attributes:
        target: The target's name.
        metric: The metric's name.
        split: The evaluated split.
        scores: The score by language, in the metric's unit (mostly percent).
        examples: The number of examples by language.
        training_language: The language that the target's training data are in, "en" for most.
        folders: Folders of the predictions in the store, by language.
    """

    target: str
    metric: str
    split: str
    scores: Mapping[str, float]
    examples: Mapping[str, int]
    training_language: str
    folders: Mapping[str, Path]

    @property
    def mean(self) -> float:
        """The mean over all languages."""
        return fmean(self.scores.values())

    @property
    def zero_shot(self) -> float:
        """The mean over the languages that the target's training data are not in; NaN where there are none."""
        others = [score for code, score in self.scores.items() if code != self.training_language]
        return fmean(others) if others else math.nan

    def __getitem__(self, language: str) -> float:
        """Return the score in one language."""
        if language not in self.scores:
            raise InputError(f"no score in '{language}': there are {', '.join(self.scores)}")
        return self.scores[language]

    def predictions(self, language: str) -> list[Row]:
        """Return the predictions in one language.

        Args:
            language: The code of the language.

        Returns:
            A dictionary for each example with `id`, `prediction` and its scores.
        """
        self[language]
        return read_lines(self.folders[language])

    def rows(self) -> list[Row]:
        """Return a row for each language: `target`, `metric`, `split`, `language`, `score`, `examples`."""
        shared = {"target": self.target, "metric": self.metric, "split": self.split}
        return [
            {**shared, "language": code, "score": score, "examples": self.examples[code]}
            for code, score in self.scores.items()
        ]

    def __rich__(self) -> RenderableType:
        lines = [(code, [f"{score:.1f}", str(self.examples[code])]) for code, score in self.scores.items()]
        if len(lines) > 1:
            lines.append(("mean", [f"{self.mean:.1f}", ""]))
        return score_table.drawn(f"{self.target} ({self.metric})", ["language", "score", "examples"], lines)


def evaluate(
    checkpoint: str | Path | Encoder | Checkpoint,
    target: TaskLike,
    *,
    languages: Sequence[str] = (),
    split: str = "test",
    max_length: int | None = None,
    runtime: Runtime | None = None,
    **options: Unpack[RuntimeOptions],
) -> Evaluation:
    """Predict and score a target with a trained model, in every language.

    Args:
        checkpoint: A `Checkpoint`, or the folder of one. A target without a head (retrieval) takes any encoder.
        target: The task to evaluate on. Its format must be that of the checkpoint's head.
        languages: Only these languages; default: all for which there are data.
        split: The evaluated split: "test", or "validation" where test labels are hidden.
        max_length: Tokens of a sequence, at most; default: as the model was trained.
        runtime: A `Runtime`, instead of the options below.
        **options: Where and how to compute (`RuntimeOptions`).

    Returns:
        Scores by language.

    Raises:
        InputError: The checkpoint's head does not fit the target, or data are missing.
        StageError: Something could not be built.
    """
    machine, wanted = _runtime(runtime, options, checkpoint), _task(target)
    model = _encoder(_folder(checkpoint))
    scores = _scores(model, wanted, _texts(languages), split, machine, _max_length(checkpoint, wanted, max_length))
    _build(list(scores.values()), machine)
    return _evaluation(wanted, split, scores, machine)


def prompt(
    model: str | Path | Encoder,
    target: TaskLike,
    *,
    shots: int = 0,
    draw: int = 1,
    template: str = "",
    answers: Mapping[str, str] | None = None,
    per_token: bool = False,
    languages: Sequence[str] = (),
    split: str = "test",
    runtime: Runtime | None = None,
    **options: Unpack[RuntimeOptions],
) -> Evaluation:
    """Score a decoder on a target without training it: the likeliest answer to each prompt counts.

    Args:
        model: A decoder with its language-model head: a hub id, a local folder or an `Encoder`.
        target: A task of classification or multiple choice.
        shots: Training examples with their answers before each prompt.
        draw: Which training examples; another number draws others.
        template: The prompt before the answer, such as "{text_a}\\nTopic:"; default: the usual one.
        answers: From labels to their answers, where the label itself is not the answer.
        per_token: Whether the mean log-probability of an answer's tokens counts, instead of the sum.
        languages: Only these languages; default: all for which there are data.
        split: The evaluated split: "test", or "validation" where test labels are hidden.
        runtime: A `Runtime`, instead of the options below.
        **options: Where and how to compute (`RuntimeOptions`).

    Returns:
        Scores by language.

    Raises:
        InputError: The model is no decoder, the target's format has no answers to compare, or data are missing.
        StageError: Something could not be built.
    """
    machine, wanted = _runtime(runtime, options, model), _task(target)
    asked = replace(Prompt.of(wanted, shots, template, dict(answers or {})), draw=draw, per_token=per_token)
    decoder = model if isinstance(model, Encoder) else Encoder.of(model).pinned()
    scores = PromptedBaseline(decoder, wanted, asked, _texts(languages), split).scores(machine.data)
    _build(list(scores.values()), machine)
    return _evaluation(wanted, split, scores, machine)


def predict(
    checkpoint: str | Path | Checkpoint, inputs: Sequence[Input], *, max_length: int | None = None
) -> list[Prediction]:
    """Predict for texts of your own; to predict more than once, load the model with `load_model`.

    Args:
        checkpoint: A `Checkpoint`, or the folder of one.
        inputs: Texts or dictionaries, as `Model.predict` takes them.
        max_length: Tokens of a sequence, at most; default: as the model was trained.

    Returns:
        A dictionary for each input; see `Model.predict`.
    """
    if isinstance(checkpoint, Checkpoint):
        return load_model(checkpoint.path, max_length=max_length, runtime=checkpoint.runtime).predict(inputs)
    return load_model(checkpoint, max_length=max_length).predict(inputs)


# Studies and recommendations.


@dataclass(frozen=True, eq=False, repr=False)
class StudyResult(Printable, Tabular):
    """A finished study.

    Attributes:
        folder: The folder with `report.json`, its pages and `table.csv`.
        outcome: What the study returned: verdicts, the report as plain values, and what could not be built.
    """

    folder: Path
    outcome: Outcome

    @property
    def report(self) -> Path:
        """The report as an HTML page."""
        return self.folder / study_page.HTML

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdict on each claim of the study."""
        return self.outcome.verdicts

    @property
    def missing(self) -> tuple[str, ...]:
        """What could not be built, and why."""
        return self.outcome.missing

    @property
    def answer(self) -> str:
        """The answer to the study's question, in words."""
        return str(self.outcome.report["answer"])

    def rows(self) -> list[Row]:
        """Return the rows of `table.csv`: one a run and language, with scores, costs and keys, numbers as numbers."""
        with (self.folder / "table.csv").open(encoding="utf-8", newline="") as file:
            return [{name: _value(name, text) for name, text in row.items()} for row in csv.DictReader(file)]

    def __rich__(self) -> RenderableType:
        shown = Table(title=self.outcome.report["question"], title_justify="left")
        for column in ("claim", "verdict", "why"):
            shown.add_column(column)
        for verdict in self.verdicts:
            shown.add_row(verdict.claim.sentence, verdict.status, verdict.why)
        lines = [Text(self.answer), Text(f"{counted(self.outcome.built, 'stage')} built; the report is {self.report}")]
        if self.missing:
            rest = len(self.missing) - NAMED_GAPS
            names = " | ".join([*self.missing[:NAMED_GAPS], *([f"and {rest} more"] if rest > 0 else [])])
            lines.append(Text(f"could not be built: {names}", no_wrap=True, overflow="ignore"))
        return Group(shown, *lines)


def run_study(
    file: str | Path,
    scale: str = "sandbox",
    out: str | Path | None = None,
    *,
    encoder: str | Path = "",
    runtime: Runtime | None = None,
    **options: Unpack[RuntimeOptions],
) -> StudyResult:
    """Build the runs of a study file, check its claims and write its report.

    Args:
        file: A Python file with a function `study(scale)` or `study(scale, encoder)` that returns a `Study`; it is run.
        scale: "sandbox" (minutes), "small" or "full".
        out: Folder for the report; default: the file's name without ".py".
        encoder: A folder or hub id, instead of the encoder that the study takes at this scale.
        runtime: A `Runtime`, instead of the options below.
        **options: Where and how to compute (`RuntimeOptions`); by default one worker a core of a CPU, one on a GPU.

    Returns:
        The verdicts, the report's place and the results table. Arms that could not be built are named in `missing`.

    Raises:
        InputError: The file is no study, or has no such scale.
        StageError: Nothing at all could be built.
    """
    machine = _runtime(runtime, {"workers": 0, **options})
    folder = Path(out if out is not None else Path(file).stem)
    with progress.shown():
        outcome = run_study_file(Path(file), scale, machine, folder, str(encoder))
    return StudyResult(folder, outcome)


@dataclass(frozen=True, eq=False, repr=False)
class Recommendation(Printable, Tabular):
    """A ranking of intermediate tasks for a target, and what is known of the first."""

    advice: Advice

    @classmethod
    def of(
        cls,
        search: CandidateSearch,
        runtime: Runtime,
        *,
        budget_hours: float = 0.0,
        against: str | Path | None = None,
        against_recipe: str = "",
    ) -> Recommendation:
        """Rank the candidates of a search.

        Args:
            search: Encoder, target, candidates and recipes.
            runtime: Where and how to compute.
            budget_hours: Hours of building, at most; 0: no limit.
            against: A finished study's `table.csv` or report folder, to measure how well each method would have chosen.
            against_recipe: Only the study's arms of this recipe.

        Returns:
            The recommendation.
        """
        target, encoder = search.target.label, name_of(search.encoder)
        gains = backtest.gains_of(Path(against), target, against_recipe, encoder) if against else {}
        with progress.shown():
            advice = rank_candidates(search, runtime, budget_hours or math.inf)
        return cls(replace(advice, hits=backtest.hits(advice.scores(), gains)))

    @property
    def ranking(self) -> tuple[str, ...]:
        """The candidates, the best mean rank first and harmful ones last; empty where no method ranks them all."""
        return tuple(self.advice.combined())

    @property
    def known(self) -> Known | None:
        """What is known of the first of the ranking: whether it helps, and whether it is the best."""
        return known(self.advice)

    def gain(self, candidate: str) -> Estimate:
        """Return a candidate's gain over no intermediate task in its last round of short trainings.

        Args:
            candidate: The label of the candidate.

        Returns:
            The gain with its interval over seeds.

        Raises:
            InputError: The candidate was in no round.
        """
        standing = self.advice.last(candidate)
        if standing is None:
            raise InputError(f"'{candidate}' was in no round of short trainings: raise budget_hours, or name another")
        return Estimate(standing.gain.value, *standing.gain.interval(), n=standing.gain.count)

    def rows(self) -> list[Row]:
        """Return a row for each candidate, the best first: `candidate`, `mean_rank`, and each method's figure."""
        combined = self.advice.combined()
        return [
            {"candidate": name, "mean_rank": combined.get(name, math.nan)}
            | {method: held[name].value if name in held else math.nan for method, held in self.advice.figures.items()}
            for name in self.ranking or self.advice.candidates
        ]

    def save(self, folder: str | Path) -> Path:
        """Write `recommend.json`.

        Args:
            folder: The folder; made where it does not exist.

        Returns:
            The path of the file.
        """
        return render.save(self.advice, Path(folder))

    def __rich__(self) -> RenderableType:
        title = f"candidates for {self.advice.target}, {self.advice.encoder}"
        names = ["candidate", *self.advice.figures, "mean rank"]
        lines = (*render.summary_lines(self.advice), *render.remarks(self.advice))
        ranking = score_table.drawn(title, names, render.rows(self.advice).items())
        return Group(ranking, *(Text(f"  {line}") for line in lines))


def recommend(
    encoder: str | Path | Encoder | Checkpoint,
    target: TaskLike,
    candidates: TaskLike | Sequence[TaskLike] | None = None,
    *,
    learn_from: TaskLike | Sequence[TaskLike] = (),
    recipe: str = "xtreme",
    settings: Sequence[str] = (),
    budget_hours: float = 0.0,
    steps: int = 100,
    examples: int = 500,
    seeds: int = 3,
    against: str | Path | None = None,
    against_recipe: str = "",
    runtime: Runtime | None = None,
    **options: Unpack[RuntimeOptions],
) -> Recommendation:
    """Rank intermediate tasks for a target with short probe trainings instead of full ones.

    Args:
        encoder: A hub id, a local folder, "sandbox", an `Encoder` or a `Checkpoint`.
        target: The task to choose for.
        candidates: The tasks to choose from; default: all with training data in the data folder.
        learn_from: Train for the target on these tasks, one after the other, instead of the target's own.
        recipe: A named set of recipes.
        settings: Changes of the recipes, as `["batch_size=16"]`.
        budget_hours: Hours of building, at most; 0: no limit.
        steps: Training steps in the first round; each further round trains longer on fewer candidates.
        examples: Examples of a task for its features, its embedding and the scores of probes, at most.
        seeds: Seeds in the first round.
        against: A finished study's `table.csv` or report folder, to measure how well each method would have chosen.
        against_recipe: Only the study's arms of this recipe.
        runtime: A `Runtime`, instead of the options below.
        **options: Where and how to compute (`RuntimeOptions`).

    Returns:
        The ranking, each method's figures, and what is known of the first candidate.

    Raises:
        InputError: A task is unknown, data are missing, or the target cannot be chosen for.
        StageError: Something could not be built.
    """
    machine, changes, wanted = _runtime(runtime, options, encoder), _texts(settings), _task(target)
    if learned := _tasks(learn_from):
        wanted = replace(wanted, learned_from=learned)
    chosen = _tasks(candidates) if candidates else probes.candidates_of(wanted, None, machine.data)
    recipes = Recipes(recipe, changes, changes)
    search = CandidateSearch(_encoder(encoder), wanted, chosen, recipes, seeds, steps, examples)
    return Recommendation.of(search, machine, budget_hours=budget_hours, against=against, against_recipe=against_recipe)


# The user's own data.


class FitArguments(RuntimeOptions, Columns, total=False):
    """What `fit` takes beside encoder and files, by the names that the command line has; see `FitOptions`."""

    dev: str | Path | Sequence[str] | Mapping[str, str]
    name: str
    format: str
    file_format: str
    delimiter: str
    header: bool
    labels: Sequence[str]
    metric: str
    languages: Sequence[str]
    held_out: int
    intermediate: str | Sequence[str]
    candidates: str | Sequence[str]
    budget: float
    recipe: str
    settings: Sequence[str]
    set_intermediate: Sequence[str]
    set_target: Sequence[str]
    seeds: int
    out: str | Path
    citation: str
    licence: str
    note: str


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Printable, Tabular):
    """Models trained on a user's data, and which of them to use.

    Attributes:
        comparison: Scores of the baseline and of each intermediate setting.
        choice: The recommended setting with its evidence.
        counts: What the splits hold.
        remarks: What was inferred about the data, in sentences.
        advice: How the intermediate tasks were ranked, where "auto" chose them.
        out: The folder that the recommended model was copied to.
    """

    comparison: Comparison
    choice: Choice
    counts: tuple[fit_data.SplitCounts, ...]
    remarks: tuple[str, ...]
    advice: Recommendation | None = None
    out: Path | None = None

    @property
    def task(self) -> Task:
        """The task that was made of the data."""
        return self.comparison.grid.targets[0]

    @property
    def recommended(self) -> str:
        """The recommended setting: "baseline", or the name of an intermediate setting."""
        return self.choice.setting

    @property
    def checkpoint(self) -> Path:
        """The folder of the recommended model, of the seed with the best score on development data."""
        return self.out or self._trained()

    def model(self) -> Model:
        """Load the recommended model."""
        return load_model(self.checkpoint, runtime=self.comparison.runtime)

    def rows(self) -> list[Row]:
        """Return a row for each setting and language, and for the mean that decides.

        Returns:
            Dictionaries with `setting`, `language` ("mean" for the mean), `score`, `low`, `high`, `gain`, `gain_low`,
            `gain_high`, `p`, `adjusted_p` (None for the baseline, and where it is not computed) and `recommended`.
        """
        gains = {(row.setting, row.language): row for row in self.choice.gains}
        rows: list[Row] = []
        for row in self.choice.scores:
            gain = gains.get((row.setting, row.language))
            of_gain = (gain.gain, gain.low, gain.high, gain.p, gain.adjusted_p) if gain else (None,) * 5
            shared = {"setting": row.setting, "language": row.language, "score": row.score}
            names = ("low", "high", "gain", "gain_low", "gain_high", "p", "adjusted_p")
            values = (None if value is None or math.isnan(value) else value for value in (row.low, row.high, *of_gain))
            rows.append(
                shared | dict(zip(names, values, strict=True)) | {"recommended": row.setting == self.recommended}
            )
        return rows

    def to_json(self) -> Row:
        """Return everything as plain values."""
        return {
            "task": self.task.name,
            "format": self.task.format,
            "metric": self.task.metric,
            "labels": list(self.task.labels),
            "encoder": name_of(self.comparison.grid.encoder),
            "recommended": self.recommended,
            "checkpoint": str(self.checkpoint),
            "reasons": list(self.choice.reasons),
            "languages": list(self.choice.languages),
            "seeds": self.choice.seeds,
            "rows": self.rows(),
            "data": [asdict(each) for each in self.counts],
            "remarks": list(self.remarks),
        }

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = [view.to_rich() for view in self._views()]
        return Group(*parts, *(Text(f"  {line}", overflow="fold") for line in self._lines()))

    def _html(self) -> str:
        shown = [str(view.to_html()) for view in self._views()]
        return "\n".join([*shown, *(f"<p>{html.escape(line)}</p>" for line in self._lines())])

    def _lines(self) -> tuple[str, ...]:
        """Return the evidence, what a reader must know beside the scores, and the place of the model."""
        (table,) = self.comparison.tables
        collapsed = [(column.name, label) for column in table.columns for label in column.collapsed]
        warnings = [f"{name}: no better than chance on development data after {label}" for name, label in collapsed]
        model = f"the recommended model is {self.checkpoint}"
        if self.out:
            model += f"; predict with `xstilts predict {self.out} FILE`"
        if self.recommended in dict(collapsed):
            model += "; it is no better than chance: train longer, with another learning rate or on more data"
        return (*self.choice.reasons, *table.notes, *warnings, model)

    def _views(self) -> list[tables.TableView]:
        title = f"{self.task.name} ({self.task.metric}), 95 % intervals"
        decimals = self.comparison.tables[0].decimals
        return [fit_data.counts_table(self.task, self.counts), self.choice.view(title, decimals)]

    def _trained(self) -> Path:
        """Return the folder of the recommended model in the store, or of the encoder where nothing is trained."""
        grid, runtime = self.comparison.grid, self.comparison.runtime
        runs = grid.runs(self.task, runtime.data)[self.recommended]
        models_of_seeds = [model for run in runs if isinstance(model := run.model(), Stage)]
        if not models_of_seeds:
            encoder = runs[0].model()
            assert isinstance(encoder, Encoder)
            return Path(encoder.folder) if encoder.folder else located(encoder.name)
        return build(max(models_of_seeds, key=lambda stage: _dev_score(stage, runtime)), runtime) / MODEL


def fit(
    encoder: str | Path | Encoder | Checkpoint = "",
    train: str | Path | Sequence[str] | Mapping[str, str] = (),
    test: str | Path | Sequence[str] | Mapping[str, str] = (),
    *,
    config: str | Path | None = None,
    runtime: Runtime | None = None,
    **options: Unpack[FitArguments],
) -> Fit:
    """Train on your own files, with and without intermediate tasks, and recommend one of the models.

    What the files are is inferred (`tasks.user_format`). Development and test data that are not given are held out of
    the training data. The baseline is trained first, then each intermediate setting, on the same data.

    Args:
        encoder: A hub id, a local folder, "sandbox", an `Encoder` or a `Checkpoint`.
        train: The training file, or several by language: `"reviews.csv"`, `{"en": "en.csv", "de": "de.csv"}`.
        test: Test files by language, `{"sw": "sw.csv"}`.
        config: A TOML file with any of these arguments; arguments given here win over it.
        runtime: A `Runtime`, instead of options about where and how to compute.
        **options: Columns (`text="review"`), labels, `intermediate`, `seeds`, `out` and the like (`FitOptions`), and
            where and how to compute (`RuntimeOptions`).

    Returns:
        Scores by language with intervals, the recommended setting with its evidence, and its model.

    Raises:
        InputError: A file cannot be read in one way, a language has to be named, or an option is wrong; before anything
            is trained.
        StageError: Something could not be built; what was built is kept.
    """
    computing: Any = {name: value for name, value in options.items() if name in RuntimeOptions.__annotations__}
    named = {name: value for name, value in options.items() if name not in computing} | {"train": train, "test": test}
    given_encoder = str(encoder) if isinstance(encoder, str | Path) else "an encoder"
    wanted = FitOptions.of({**named, "encoder": given_encoder}, config)
    machine = _runtime(runtime, computing, encoder)
    return _fit(wanted, wanted.encoder if isinstance(encoder, str | Path) else encoder, machine)


def check_fit(options: FitOptions, machine: Runtime) -> tuple[fit_data.FitData, list[fit_data.SplitCounts]]:
    """Read the data of a fit and count them, say what they are, and train nothing.

    Raises:
        InputError: As `fit`.
    """
    _check_out(options.out)
    for names in (*options.intermediate, *options.candidates):
        if names != AUTO:
            tasks_of(names)
    recipes = _fit_recipes(options)
    with progress.shown():
        data = fit_data.prepare(options, machine.data)
        metrics.metric(data.task.metric)
        recipes.of((data.task,), "target")
        for remark in data.remarks:
            progress.note(remark)
        counts = fit_data.count(data.task, machine)
        for remark in (*fit_data.reading_remarks(data.task, machine), *fit_data.overlap_remarks(counts)):
            progress.note(remark)
    return data, counts


def _fit_recipes(options: FitOptions) -> Recipes:
    return Recipes(options.recipe, options.settings + options.set_intermediate, options.settings + options.set_target)


def _fit(options: FitOptions, given: str | Path | Encoder | Checkpoint, machine: Runtime) -> Fit:
    machine.require_device()  # refuse a missing device before anything is built
    settings = tuple(tasks_of(names) for names in options.intermediate if names != AUTO)
    candidates = tuple(part for names in options.candidates for part in tasks_of(names))
    encoder = _encoder(given)
    data, counts = check_fit(options, machine)
    recipes = _fit_recipes(options)
    grid = Grid(encoder, (data.task,), settings, recipes, options.seeds)
    preflight.check(grid.stages(machine), machine)  # all of the options and data are right, before anything is trained
    baseline = Comparison.of(replace(grid, settings=()), machine)
    means = {code: fmean(scores) for code, scores in baseline.tables[0].columns[0].scores.items()}
    _note(f"baseline, {data.task.metric}: {', '.join(f'{code} {mean:.1f}' for code, mean in means.items())}")
    advice = None
    if AUTO in options.intermediate:
        chosen = candidates or probes.candidates_of(data.task, None, machine.data)
        advice = Recommendation.of(
            CandidateSearch(encoder, data.task, chosen, recipes), machine, budget_hours=options.budget
        )
        best = [name for name in advice.ranking if name not in advice.advice.harmful()][:TRIED]
        _note(f"intermediate tasks that are tried: {', '.join(best) or 'none, as none was ranked'}")
        grid = replace(grid, settings=tuple((task(name),) for name in best))
    comparison = Comparison.of(grid, machine) if grid.settings else baseline
    result = Fit(comparison, choose(grid, machine), tuple(counts), data.remarks, advice)
    return replace(result, out=_export(result, Path(options.out))) if options.out else result


def _note(text: str) -> None:
    with progress.shown():
        progress.note(text)


def _check_out(out: str) -> None:
    """Raise InputError where the folder of the model has something in it that is no earlier export."""
    folder = Path(out)
    other = folder.is_dir() and any(folder.iterdir()) and not (folder / EXPORT_FILE).is_file()
    if out and (other or (folder.exists() and not folder.is_dir())):
        raise InputError(f"{out} exists and is no model of an earlier fit: give --out another folder")


def _export(result: Fit, out: Path) -> Path:
    """Export the recommended model to a folder, with what it was chosen by beside it."""
    grid = result.comparison.grid
    runs = grid.runs(result.task, result.comparison.runtime.data)[result.recommended]
    tasks = (result.task, *(part for setting in grid.settings for part in setting))
    export(result.checkpoint, out, roles=training_roles(runs), tasks=tasks)
    record = replace(result, out=out).to_json()
    whole_files.write(out / FIT, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return out


def _dev_score(stage: Stage, runtime: Runtime) -> float:
    """Return the mean development score of a training; minus infinity without development data."""
    scores = [each["score"] for each in manifest.read(folder_of(stage, runtime))["record"].get("dev", {}).values()]
    return fmean(scores) if scores else -math.inf


# From what a user gives to what the packages take.


def _task(given: TaskLike) -> Task:
    return given if isinstance(given, Task) else task(given)


def _tasks(given: TaskLike | Sequence[TaskLike]) -> tuple[Task, ...]:
    """Return tasks from one, from several, or from names as the command line has them ("mnli,squad")."""
    if isinstance(given, Task):
        return (given,)
    return tasks_of(given) if isinstance(given, str) else tuple(_task(each) for each in given)


def _texts(given: Sequence[str]) -> tuple[str, ...]:
    """Return settings or languages, of which a single one may be given without brackets."""
    return (given,) if isinstance(given, str) else tuple(given)


def _encoder(given: str | Path | Encoder | Checkpoint) -> Encoder | Stage:
    if isinstance(given, Checkpoint):
        return given.stage
    return (given if isinstance(given, Encoder) else Encoder.of(given)).pinned()


def _runtime(
    runtime: Runtime | None, options: RuntimeOptions, encoder: str | Path | Encoder | Checkpoint | None = None
) -> Runtime:
    """Return the runtime of a job: as given, or a checkpoint's own, or the environment's, changed by the options."""
    if runtime is not None:
        if options:
            raise InputError(f"give either runtime or {', '.join(options)}: the runtime has them all")
        return runtime
    if isinstance(encoder, Checkpoint):
        base = encoder.runtime
    else:
        data = os.environ.get("XSTILTS_DATA")
        base = Runtime(Path(os.environ.get("XSTILTS_STORE") or "work"), Path(data) if data else None)
    values: dict[str, Any] = dict(options)
    for name in ("store", "data"):
        if values.get(name) is not None:
            values[name] = Path(values[name])
    return replace(base, **values)


def _folder(checkpoint: str | Path | Encoder | Checkpoint) -> str | Path | Encoder | Checkpoint:
    """Return the model's folder of a training's, and anything else as it is."""
    if isinstance(checkpoint, str | Path) and (Path(checkpoint).expanduser() / MODEL / "config.json").is_file():
        return Path(checkpoint) / MODEL
    return checkpoint


def _evaluation(target: Task, split: str, scores: Mapping[str, Stage], machine: Runtime) -> Evaluation:
    results = {code: read_score(folder_of(stage, machine)) for code, stage in scores.items()}
    return Evaluation(
        target.name,
        target.metric,
        split,
        {code: float(score["headline"]) for code, score in results.items()},
        {code: int(score["examples"]) for code, score in results.items()},
        target.trained_in[0],
        {code: folder_of(stage.arguments["predictions"], machine) for code, stage in scores.items()},
    )


def _build(stages: Sequence[Stage], runtime: Runtime) -> None:
    runtime.require_device()  # refuse a missing device before anything is built
    preflight.check(stages, runtime)
    with progress.shown():
        local_executor.build_all(stages, runtime, first=READ)


def _at_fixed_layer(column: Column, code: str, seed: int) -> Row:
    scores = column.at_fixed_layer.get(code)
    return {"score_at_fixed_layer": scores[seed - 1]} if scores else {}


def _headless(target: Task) -> bool:
    how = task_format(target.format)
    return how.headless or how.language_model


def _max_length(checkpoint: str | Path | Encoder | Checkpoint, target: Task, given: int | None) -> int:
    """Return the maximal length to predict with: as given, as trained, or as XTREME's recipe has it."""
    if given is None and not _headless(target):
        if isinstance(checkpoint, Checkpoint):
            return checkpoint.max_length
        if isinstance(checkpoint, str | Path) and Path(checkpoint).is_dir():
            given = models.trained_max_length(located(checkpoint))
    return given or Recipes("xtreme").of((target,), "target").max_length


def _scores(
    model: Encoder | Stage, target: Task, languages: tuple[str, ...], split: str, runtime: Runtime, max_length: int
) -> dict[str, Stage]:
    """Return the stages of a model's scores on a target, by language; nothing is trained."""
    form = _text_form(model)
    recipes = Recipes("xtreme" if form else "xtreme-last", (), (f"max_length={max_length}",))
    target_in_form = target.in_form(form)
    if _headless(target):  # the run also chooses the layer and the threshold
        return Run(model, (), target, recipes, 1, (), None, split, languages, data=runtime.data).scores()
    _check_head(model, target)
    target.check_languages(languages)
    codes = [code for code in target.languages if code in languages]
    scores = {}
    for code in target_in_form.labelled_languages(split, codes, runtime.data):
        data = read_data(target_in_form.data(split, code, runtime.data))
        scores[code] = score_stage(predict_stage(model, data, target.format, max_length), data, target.metric)
    return scores


def _text_form(model: Encoder | Stage) -> str:
    """Return the form of texts that a model was trained on (`Task.forms`), which targets are read in; "": the usual."""
    if isinstance(model, Encoder):
        return SETS["xtreme"].text_form if model.folder and is_dual_encoder(model.folder) else ""
    training_sets = head_training(model).arguments.get("training_sets", ())
    read = [stage.arguments.get("data") for training_set in training_sets[-1:] for stage in training_set.train]
    for data in read:
        if isinstance(data, DatasetSplit) and data.task in registry.names():
            for form, sources in task(data.task).forms.items():
                if data.meaning in [source.meaning() for source in sources]:
                    return form
    return ""


def _check_head(model: Encoder | Stage, target: Task) -> None:
    """Raise InputError unless the model's head is of the target's format and knows its labels."""
    if isinstance(model, Stage):
        trained = [given for given in head_training(model).arguments["training_sets"] if given.weight is None]
        format, labels = (trained[0].format, trained[0].labels) if len(trained) == 1 else ("", ())
        name = model.label
    elif model.folder:
        folder, name = Path(model.folder), model.name
        format = format_of(folder)
        labels = models.checkpoint_labels(folder) if format in LABELLED else ()
    else:
        return  # of a hub's model the loading says what is wrong
    if format != target.format:
        raise InputError(
            f"'{target.name}' ({target.format}) cannot be evaluated with {name}, whose head is for "
            f"'{format or 'several tasks'}': train it on '{target.name}' or a task of its format"
        )
    unknown = [label for label in target.labels if labels and label not in labels]
    if unknown:
        raise InputError(f"'{target.name}' has labels that {name} does not know: {', '.join(unknown)}")


def _column(table: ScoreTable, setting: str) -> Column:
    for column in table.columns:
        if column.name == setting:
            return column
    raise InputError(f"no setting '{setting}': there are {', '.join(column.name for column in table.columns)}")


def _value(name: str, text: str) -> Any:
    """Return a cell of a results table: a number where it is one."""
    if name in ("encoder", "intermediate", "target", "language", "recipe", "metric", "split", "keys", "seeds_used"):
        return text
    if text in ("True", "False"):
        return text == "True"
    try:
        number = float(text) if text else math.nan
    except ValueError:
        return text
    return int(number) if name == "seed" else number
