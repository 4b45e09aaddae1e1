"""Run: one cell of an experiment, from an encoder through its phases to a score in every language.

`scores` only writes down promises: train on the intermediate tasks (if any), train on the target's teachers, predict
and score. What does not differ between two runs is the same stage and is built once.

    run = Run(Encoder.of("FacebookAI/xlm-roberta-base"), (task("mnli"),), task("xnli"), Recipes("xtreme"), seed=1)
    run.scores(Path("data"))["sw"]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from xstilts.data.dataset import DatasetSplit
from xstilts.data.dataset import read as promise_read
from xstilts.data.languages import language
from xstilts.errors import InputError
from xstilts.evaluation.contamination import contamination
from xstilts.evaluation.predict import predict
from xstilts.evaluation.score import score
from xstilts.formats import task_format
from xstilts.models.encoder import Encoder
from xstilts.store.memo import memoised
from xstilts.store.stage import Stage
from xstilts.tasks.base import Task
from xstilts.training.layer_reset import reset_layers
from xstilts.training.recipe import Recipe, changed, named
from xstilts.training.train import train
from xstilts.training.training_set import TrainingSet

ENGLISH = "en"


@lru_cache(maxsize=65536)
def read(data: DatasetSplit) -> Stage:
    """Promise the examples of data; one promise for all runs."""
    return promise_read(data)


@dataclass(frozen=True)
class Recipes:
    """A named set of recipes, with changes for the intermediate and the target phase ("learning_rate=1e-4")."""

    name: str = "xtreme"
    intermediate: tuple[str, ...] = ()
    target: tuple[str, ...] = ()

    def of(self, tasks: Sequence[Task], role: str) -> Recipe:
        """Return the recipe of one task, or of a mix: the first task's, long enough for every one."""
        return _recipe(self.name, tuple((task.name, task.format) for task in tasks), role, getattr(self, role))


@lru_cache(maxsize=4096)
def _recipe(name: str, tasks: tuple[tuple[str, str], ...], role: str, changes: tuple[str, ...]) -> Recipe:
    recipes = [named(name, task, format, role) for task, format in tasks]
    longest = max(recipe.max_length for recipe in recipes)
    return changed(replace(recipes[0], max_length=longest), changes)


@dataclass(frozen=True)
class Mlm:
    """Masked-LM beside the intermediate tasks: a task of raw text, its languages, its weight and its sampling."""

    task: Task
    languages: tuple[str, ...]
    weight: float = 1.0
    alpha: float = 0.3


@dataclass(frozen=True)
class Run:
    """One cell: intermediate tasks (none: the baseline), a target, recipes and a seed.

    teachers: what the target is learned from, one after the other, where it is not what the target's own file says.
    split: what is measured; "validation" where the test answers are withheld. only: these languages (none: all).
    reset_layers: layers that are as they were again when the intermediate phase is over (`graft`).
    """

    encoder: Encoder | Stage
    intermediate: tuple[Task, ...]
    target: Task
    recipes: Recipes
    seed: int
    teachers: tuple[Task, ...] | None = None
    mlm: Mlm | None = None
    split: str = "test"
    only_languages: tuple[str, ...] = ()
    reset_layers: str = ""

    def __post_init__(self) -> None:
        for code in self.only_languages:
            if code not in self.target.languages:
                raise InputError(
                    f"'{self.target.name}' has no language '{language(code).code}': "
                    f"there are {', '.join(self.target.languages)}"
                )
        names = [task.label for task in self.intermediate]
        if len(set(names)) < len(names):
            raise InputError(f"expected different tasks in a mix, found {', '.join(names)}")
        if not self.target.languages:
            raise InputError(f"'{self.target.name}' is there to learn from and has no languages: give another target")
        taught = self._taught()
        if not _headless(self.target) and not (taught and _teaches(taught[-1], self.target)):
            raise InputError(
                f"'{self.target.name}' ({self.target.format}) cannot be learned from "
                f"'{taught[-1].name if taught else 'nothing'}': the last task that it is learned from must be of its "
                "format and know all of its labels"
            )

    def phases(self) -> list[tuple[tuple[Task, ...], str]]:
        """Return the tasks of each training and the role they play in it."""
        first = [(self.intermediate, "intermediate")] if self.intermediate else []
        return first + [((teacher,), "target") for teacher in self._taught()]

    def model(self, folder: Path | None) -> Encoder | Stage:
        """Promise the encoder after all trainings."""
        return memoised(self, ("model", folder), lambda: self._model(folder))

    def _model(self, folder: Path | None) -> Encoder | Stage:
        model: Encoder | Stage = self.encoder
        for tasks, role in self.phases():
            lessons = tuple(training_set(task, folder) for task in tasks)
            if role == "intermediate" and self.mlm:
                lessons += (_mlm_lesson(self.mlm, folder),)
            model = train(model, lessons, self.recipes.of(tasks, role), self.seed)
            if role == "intermediate" and self.reset_layers:
                model = reset_layers(model, self.encoder, self.reset_layers)
        return model

    def measured_languages(self) -> tuple[str, ...]:
        """Return the languages that are to be measured, in the target's order."""
        return tuple(code for code in self.target.languages if not self.only_languages or code in self.only_languages)

    def languages(self, folder: Path | None) -> tuple[str, ...]:
        """Return the languages of the target that can be measured; InputError where there is none at all."""
        found = tuple(code for code in self.measured_languages() if self.target.has(self.split, code, folder))
        if not found:
            self.target.data(self.split, self.measured_languages()[0], folder)
            raise InputError(
                f"the {self.split} files of '{self.target.name}' below {folder} withhold the answers: "
                "measure on --split validation, or get the data set from the hub"
            )
        return found

    def max_length(self) -> int:
        """Return the pieces of a sequence, at most, when the target is predicted."""
        tasks = (self.target,) if _headless(self.target) else self.phases()[-1][0]
        return self.recipes.of(tasks, "target").max_length

    def predictions(self, folder: Path | None) -> dict[str, Stage]:
        """Promise the predictions in every language of the target."""
        return self._predictions(self.languages(folder), folder)

    def withheld(self, folder: Path | None) -> dict[str, Stage]:
        """Promise the predictions in the languages whose answers are withheld: none to score, but to hand in."""
        codes = [code for code in self.measured_languages() if _hidden(self, code, folder)]
        return self._predictions(codes, folder) if codes else {}

    def tuned_from(self, code: str, folder: Path | None) -> Stage | None:
        """Promise the scores of other data by which the layer, and mining's threshold, are chosen; often none."""
        return self._threshold_from(code, folder) or self._layer_from(folder)

    def scores(self, folder: Path | None) -> dict[str, Stage]:
        """Promise the score in every language of the target."""
        shared = self._layer_from(folder)
        return {
            code: score(
                predictions,
                predictions.arguments["data"],
                self.target.metric,
                self._threshold_from(code, folder) or shared,
            )
            for code, predictions in self.predictions(folder).items()
        }

    def overlaps(self, folder: Path | None) -> list[Stage]:
        """Promise what the measured sets share with what is trained on, in the languages of both; not for raw text."""
        measured = set(self.languages(folder))
        trained = [(part, code) for tasks, _ in self.phases() for one in tasks for part, code in one.training_parts()]
        return [
            contamination(_read(part, "train", code, folder), _read(self.target, self.split, code, folder))
            for part, code in trained
            if code in measured and not part.artificial and "masked_lm" not in (part.format, self.target.format)
        ]

    def zero_shot(self) -> bool:
        """Say whether the target was learned in its own task's language alone, English for all but the sandbox."""
        return all(teacher.trained_in == teacher.usual_languages for teacher in self._taught())

    def _predictions(self, codes: Sequence[str], folder: Path | None) -> dict[str, Stage]:
        model, length = self.model(folder), self.max_length()
        return {
            code: predict(model, _read(self.target, self.split, code, folder), self.target.format, length)
            for code in codes
        }

    @property
    def learned_in(self) -> frozenset[str]:
        """The languages that the target is learned in; none where nothing is trained for it."""
        return frozenset(code for teacher in self._taught() for code in teacher.trained_in)

    def _taught(self) -> tuple[Task, ...]:
        return self.target.target_training_tasks() if self.teachers is None else self.teachers

    def _layer_from(self, folder: Path | None) -> Stage | None:
        """Promise the scores by which retrieval chooses its layer: one language's development (else test) pairs."""
        code = self.target.dev_language
        if code is None:
            return None
        return self._score_on("validation" if self.target.has("validation", code, folder) else "test", code, folder)

    def _threshold_from(self, code: str, folder: Path | None) -> Stage | None:
        """Promise the scores by which mining chooses its threshold (and layer): development pairs of the language."""
        if self.target.format != "bitext_mining" or self.split == "validation":
            return None
        return self._score_on("validation", code, folder)

    def _score_on(self, split: str, code: str, folder: Path | None) -> Stage:
        data = _read(self.target, split, code, folder)
        found = predict(self.model(folder), data, self.target.format, self.max_length())
        return score(found, data, self.target.metric)


def training_set(task: Task, folder: Path | None) -> TrainingSet:
    """Return what a task teaches: its training split, with its development split to watch.

    Trained on is English alone, unless the task says otherwise or is asked for in other languages (`panx:sw+ar`).
    """
    return memoised(task, ("lesson", folder), lambda: _lesson(task, folder))


def _lesson(task: Task, folder: Path | None) -> TrainingSet:
    train_data = tuple(_read(part, "train", code, folder) for part, code in task.training_parts())
    watched = [
        (p, code) for p, code in task.training_parts() if not _headless(task) and p.has("validation", code, folder)
    ]
    dev = _read(watched[0][0], "validation", watched[0][1], folder) if watched else None
    return TrainingSet(task.label, task.format, task.labels, train_data, dev, task.metric)


def _read(task: Task, split: str, code: str, folder: Path | None) -> Stage:
    return memoised(task, ("read", split, code, folder), lambda: read(task.data(split, code, folder)))


def _headless(task: Task) -> bool:
    """Say whether a task is measured on the encoder alone, without a head that was taught for it."""
    return task_format(task.format).headless or task.format == "masked_lm"


def _hidden(run: Run, code: str, folder: Path | None) -> bool:
    """Say whether what is to be measured is there without its answers."""
    if folder is None or run.target.has(run.split, code, folder):
        return False
    return any(source.find(run.split, code, folder) for source in run.target.sources if source.withheld)


def _teaches(teacher: Task, target: Task) -> bool:
    """Say whether a network trained on one task can be asked the questions of another."""
    return teacher.format == target.format and (not target.labels or set(target.labels) <= set(teacher.labels))


def _mlm_lesson(mlm: Mlm, folder: Path | None) -> TrainingSet:
    train_data = tuple(_read(mlm.task, "train", code, folder) for code in mlm.languages)
    return TrainingSet(
        mlm.task.name, "masked_lm", (), train_data, None, mlm.task.metric, weight=mlm.weight, alpha=mlm.alpha
    )
