"""Run: one cell of an experiment, from an encoder through its trainings to a score in every language.

A run names stages and builds nothing: train on the intermediate tasks (if any), train for the target, predict and
score. Stages that do not differ between two runs are equal and are built once, whatever runs, grids and studies they
belong to. `phases` says what each training of the run is; costs, forecasts, results tables and verification read it
there, because a training itself does not know whether it was an intermediate one or the target's.

>>> from xstilts.tasks.base import task
>>> encoder = Encoder("tiny", "0" * 64, "/nowhere")
>>> run = Run(encoder, (task("sandbox_cloze"),), task("sandbox_qa"), Recipes("sandbox"), seed=1)
>>> [(phase.role, phase.stage.label) for phase in run.phases()]
[('intermediate', 'train-sandbox_cloze-seed1'), ('target', 'train-sandbox_qa-seed1')]
>>> list(run.scores())
['qaa', 'qab', 'qac', 'qad', 'qae', 'qaf']
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from xstilts.cost.summary import merged_roles
from xstilts.data.languages import language
from xstilts.errors import InputError, did_you_mean
from xstilts.evaluation.contamination import contamination
from xstilts.evaluation.predict import predict
from xstilts.evaluation.score import score
from xstilts.experiments.splits import Splits, splits_of
from xstilts.formats import task_format
from xstilts.models.configs import is_large
from xstilts.models.encoder import Encoder
from xstilts.store import names
from xstilts.store.memo import memoised
from xstilts.store.names import INTERMEDIATE, PRETRAINING, TARGET
from xstilts.store.stage import Stage, lineage
from xstilts.tasks.base import Task
from xstilts.tasks.base import task as task_of
from xstilts.training import batch_schedule
from xstilts.training.layer_reset import reset_layers
from xstilts.training.recipe import SETS, TRAINABLE, Recipe, changed, named
from xstilts.training.train import train
from xstilts.training.training_set import TrainingSet, with_development_data

ENGLISH = "en"
SPLITS = ("test", "validation", "train")


def check_split(split: str) -> None:
    """Raise InputError for a split that is none of `SPLITS`."""
    if split not in SPLITS:
        hint = did_you_mean(split, SPLITS, {"dev": "validation", "val": "validation", "valid": "validation"})
        raise InputError(f"unknown split '{split}'; {hint}")


@dataclass(frozen=True)
class Recipes:
    """The recipes of a run's trainings: a named set, with changes for the intermediate and the target phase.

    Attributes:
        name: Name of the set, as `training.recipe.named` takes it.
        intermediate: Changes of the intermediate phase's recipe, such as "learning_rate=1e-4".
        target: Changes of the target phase's recipe.

    Raises:
        InputError: The set, a setting or its value is unknown.
    """

    name: str = "xtreme"
    intermediate: tuple[str, ...] = ()
    target: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Also what no training of an experiment uses is checked: a wrong setting is a mistake wherever it is.
        for role, changes in ((INTERMEDIATE, self.intermediate), (TARGET, self.target)):
            changed(named(self.name, "", "", role), changes)

    def of(self, tasks: Sequence[Task], role: str, encoder: Encoder | Stage | None = None) -> Recipe:
        """Return the recipe of a training.

        Args:
            tasks: The tasks of the training. A mix has the first task's recipe with the greatest length of any.
            role: "intermediate" or "target".
            encoder: What is trained: some sets have other values for large encoders. None: not a large one.

        Returns:
            The recipe, with the settings that the user gave for this role.
        """
        by_size = any(task.name in SETS[self.name].large for task in tasks)
        large = by_size and encoder is not None and is_large(encoder)
        return _recipe(self.name, tuple((task.name, task.format) for task in tasks), role, large, getattr(self, role))

    def dev_task(self, task: Task, role: str) -> Task | None:
        """Return the task whose development data select the weights of a training; None: the training's own task.

        Args:
            task: What is trained on.
            role: "intermediate" or "target".
        """
        name = SETS[self.name].dev_tasks.get(task.name) if role == TARGET else None
        return task_of(name) if name else None


@lru_cache(maxsize=4096)
def _recipe(name: str, tasks: tuple[tuple[str, str], ...], role: str, large: bool, changes: tuple[str, ...]) -> Recipe:
    recipes = [named(name, task, format, role, large) for task, format in tasks]
    longest = max(recipe.max_length for recipe in recipes)
    return changed(replace(recipes[0], max_length=longest), changes)


@dataclass(frozen=True)
class MaskedLmMixing:
    """Masked-LM mixed into the intermediate phase: every step has a batch of raw text beside the tasks' batch.

    Attributes:
        task: A task of raw text.
        languages: Languages of the text.
        weight: Weight of the masked-LM loss.
        alpha: Exponent of the languages' sampling, p ~ n ** alpha; below 1 favours small languages.
    """

    task: Task
    languages: tuple[str, ...]
    weight: float = 1.0
    alpha: float = 0.3

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise InputError(f"the weight of masked-LM must be above 0, not {self.weight}: leave --mlm out for none")
        if not 0 <= self.alpha < math.inf:
            raise InputError(f"the alpha of masked-LM must be 0 or more, not {self.alpha}: 1 draws in proportion")


@dataclass(frozen=True)
class Phase:
    """One training of a run, and what it is in that run.

    Attributes:
        role: "pretraining" for trainings that made the run's encoder, "intermediate" or "target".
        tasks: The tasks trained on; none for pretraining, whose training sets come from no task.
        training_sets: What is trained on, masked-LM mixed into the phase included.
        recipe: The hyperparameters.
        stage: The training.
        model: The encoder that the next phase starts from: the stage, or the one that resets its layers.
    """

    role: str
    tasks: tuple[Task, ...]
    training_sets: tuple[TrainingSet, ...]
    recipe: Recipe
    stage: Stage
    model: Stage


@dataclass(frozen=True)
class Run:
    """One cell of an experiment: an encoder, intermediate tasks, a target, recipes and a seed.

    Attributes:
        encoder: A public encoder, or the stage that makes one.
        intermediate: Tasks of the intermediate phase, trained on together; none in the baseline.
        target: The task that is measured.
        recipes: Recipes of both phases.
        seed: Seed of every training of the run.
        target_training_tasks: Tasks that are trained on for the target, one after the other; None: those that the task
        names. mlm: Masked-LM mixed into the intermediate phase.
        split: Split that is measured; "validation" where the answers of "test" are withheld.
        only_languages: Languages to measure; none: all of the target's.
        reset_layers: Layers that get the encoder's weights back after the intermediate phase, such as "top:2".
        data: Data folder, or splits; None where no files are needed. No part of equality: stages hold what was read.

    Raises:
        InputError: The target has none of these languages, or cannot be trained on these tasks, or the
        mix has a task twice.
    """

    encoder: Encoder | Stage
    intermediate: tuple[Task, ...]
    target: Task
    recipes: Recipes
    seed: int
    target_training_tasks: tuple[Task, ...] | None = None
    mlm: MaskedLmMixing | None = None
    split: str = "test"
    only_languages: tuple[str, ...] = ()
    reset_layers: str = ""
    data: Splits | Path | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        check_split(self.split)
        if self.reset_layers and (not TRAINABLE.fullmatch(self.reset_layers) or self.reset_layers.startswith("lora")):
            raise InputError(f"unknown layers '{self.reset_layers}' to reset: give top:2, bottom:2 or layers:0-3")
        for code in self.only_languages:
            if code not in self.target.languages:
                raise InputError(
                    f"'{self.target.name}' has no language '{language(code).code}': "
                    f"there are {', '.join(self.target.languages)}"
                )
        labels = [task.label for task in self.intermediate]
        if len(set(labels)) < len(labels):
            raise InputError(f"expected different tasks in a mix, found {', '.join(labels)}")
        if not self.target.languages:
            raise InputError(f"'{self.target.name}' has no languages to measure, only training data: give a target")
        target_training_tasks = self._target_training_tasks()
        if not _headless(self.target) and not (target_training_tasks and _fits(target_training_tasks[-1], self.target)):
            learned_from = target_training_tasks[-1].name if target_training_tasks else "nothing"
            raise InputError(
                f"'{self.target.name}' ({self.target.format}) cannot be learned from "
                f"'{learned_from}': the last task that it is learned from must be of "
                "its format and have all of its labels"
            )

    @property
    def splits(self) -> Splits:
        """Where the run takes its dataset splits from."""
        return splits_of(self.data)

    def phases(self) -> tuple[Phase, ...]:
        """Return the trainings of the run, the first one first, those that made its encoder included.

        Raises:
            InputError: A training set does not exist in the data folder.
        """
        return memoised(self, ("phases",), self._phases)

    def model(self) -> Encoder | Stage:
        """Return the encoder after all trainings."""
        own = [phase for phase in self.phases() if phase.role != PRETRAINING]
        return own[-1].model if own else self.encoder

    def measured_languages(self) -> tuple[str, ...]:
        """Return the languages that are to be measured, in the target's order."""
        return tuple(code for code in self.target.languages if not self.only_languages or code in self.only_languages)

    def languages(self) -> tuple[str, ...]:
        """Return those of the languages to be measured that have a split with answers.

        Raises:
            InputError: No language has one.
        """
        measured = self.measured_languages()
        codes = tuple(code for code in measured if self.splits.has(self.target, self.split, code))
        if not codes:
            self.splits.read(self.target, self.split, measured[0])
            raise InputError(
                f"the {self.split} files of '{self.target.name}' below {self.data} withhold the answers: "
                "measure on --split validation, or get the data set from the hub"
            )
        return codes

    def max_length(self) -> int:
        """Return the greatest length of a sequence, in tokens, at which the target is predicted."""
        last = (self.target,) if _headless(self.target) else self._trainings()[-1][1]
        return self.recipes.of(last, TARGET, self.encoder).max_length

    def predictions(self) -> dict[str, Stage]:
        """Return the predictions by language of the target."""
        return self._predictions(self.languages())

    def withheld(self) -> dict[str, Stage]:
        """Return the predictions by language where the answers are withheld: they can be submitted but not scored."""
        return self._predictions(
            [code for code in self.measured_languages() if self.splits.withheld(self.target, self.split, code)]
        )

    def tuned_from(self, code: str) -> Stage | None:
        """Return the scores on other data that choose how a target without a head is read out.

        Args:
            code: The language of the predictions.

        Returns:
            The stage of the scores by which the layer, and the threshold of mining, are chosen; None where neither is.
        """
        return self._threshold_from(code) or self._layer_from()

    def scores(self) -> dict[str, Stage]:
        """Return the scores by language of the target.

        Raises:
            InputError: There are no data to train on, or none to measure on.
        """
        shared = self._layer_from()
        return {
            code: score(
                predictions,
                predictions.arguments["data"],
                self.target.metric,
                self._threshold_from(code) or shared,
            )
            for code, predictions in self.predictions().items()
        }

    def overlaps(self) -> list[Stage]:
        """Return the contamination checks of the measured sets against the training sets, in languages of both.

        Raw text and the sandbox's data are not checked.
        """
        measured = set(self.languages())
        trained = [part for _, tasks in self._trainings() for task in tasks for part in task.training_parts()]
        return [
            contamination(self.splits.read(part, "train", code), self.splits.read(self.target, self.split, code))
            for part, code in trained
            if code in measured and not part.artificial and not (_is_text(part) or _is_text(self.target))
        ]

    def zero_shot(self) -> bool:
        """Return whether the target is trained in the usual language alone: English for all but the sandbox."""
        return all(
            training_task.trained_in == training_task.usual_languages for training_task in self._target_training_tasks()
        )

    @property
    def learned_in(self) -> frozenset[str]:
        """The languages of the target's training data; none where nothing is trained for it."""
        return frozenset(code for training_task in self._target_training_tasks() for code in training_task.trained_in)

    @property
    def repeats_training_data(self) -> bool:
        """Whether the intermediate phase trains on the target's own training data, or on translations of them.

        Such a run trains longer on one data set: its gain is not one of another task.
        """
        return repeats_training_data(self.intermediate, self._target_training_tasks())

    def _target_training_tasks(self) -> tuple[Task, ...]:
        return self.target.target_training_tasks() if self.target_training_tasks is None else self.target_training_tasks

    def _trainings(self) -> list[tuple[str, tuple[Task, ...]]]:
        """Return the role and the tasks of each training of the run's own."""
        first = [(INTERMEDIATE, self.intermediate)] if self.intermediate else []
        return first + [(TARGET, (training_task,)) for training_task in self._target_training_tasks()]

    def _phases(self) -> tuple[Phase, ...]:
        model = self.encoder
        phases = [_pretraining(stage) for stage in lineage(model, "encoder") if _is_training(stage)][::-1]
        for role, tasks in self._trainings():
            training_sets, recipe = training_data(tasks, role, self.recipes, self.encoder, self.splits)
            if role == INTERMEDIATE and self.mlm:
                training_sets += (_masked_lm_set(self.mlm, self.splits),)
            batch_schedule.shares((1,) * len(tasks), recipe.sampling)  # refuse what does not fit the mix
            # `stage` stays the training, which has the costs; `model` is what the next phase starts from.
            stage = model = train(model, training_sets, recipe, self.seed)
            if role == INTERMEDIATE and self.reset_layers:
                model = reset_layers(stage, self.encoder, self.reset_layers)
            phases.append(Phase(role, tasks, training_sets, recipe, stage, model))
        return tuple(phases)

    def _predictions(self, codes: Sequence[str]) -> dict[str, Stage]:
        return {code: self._predict(self.split, code) for code in codes}

    def _predict(self, split: str, code: str) -> Stage:
        data = self.splits.read(self.target, split, code)
        return predict(self.model(), data, self.target.format, self.max_length())

    def _layer_from(self) -> Stage | None:
        """Return the scores by which retrieval chooses its layer: one language's development (else test) pairs.

        None where the task has no such language or there are no data in it: the layer is the literature's then.
        """
        code = self.target.dev_language
        for split in ("validation", "test"):
            if code is not None and self.splits.has(self.target, split, code):
                return self._score_on(split, code)
        return None

    def _threshold_from(self, code: str) -> Stage | None:
        """Return the scores by which mining chooses its threshold (and layer): development pairs of the language."""
        if not task_format(self.target.format).threshold_on_dev or self.split == "validation":
            return None
        try:
            return self._score_on("validation", code)
        except InputError as error:
            raise InputError(f"the threshold of mined pairs is chosen on development pairs: {error}") from None

    def _score_on(self, split: str, code: str) -> Stage:
        predictions = self._predict(split, code)
        return score(predictions, predictions.arguments["data"], self.target.metric)


def repeats_training_data(intermediate: Sequence[Task], target_training_tasks: Sequence[Task]) -> bool:
    """Return whether an intermediate setting has training data of a target's, in whatever language.

    Args:
        intermediate: The tasks of the intermediate phase.
        target_training_tasks: The tasks that are trained on for the target.

    >>> from xstilts.tasks.base import task
    >>> [repeats_training_data((task(name),), task("xnli").target_training_tasks()) for name in ("anli_plus", "squad")]
    [True, False]
    """
    first, second = (
        {name for task in tasks for name in task.training_data_names()}
        for tasks in (intermediate, target_training_tasks)
    )
    return bool(first & second)


def training_set(task: Task, data: Splits | Path | None) -> TrainingSet:
    """Return the training set of a task: its training splits, and the development split to evaluate on.

    Args:
        task: The task; its languages of training data are English alone unless it says otherwise, or other ones are
            chosen for it (`panx:sw+ar`).
        data: Data folder, or splits.

    Returns:
        The training set, whose parts are stages that read data.

    Raises:
        InputError: A training split does not exist.
    """
    splits = splits_of(data)
    return memoised(task, ("training set", splits), lambda: _training_set(task, splits))


def _training_set(task: Task, splits: Splits) -> TrainingSet:
    parts = task.training_parts()
    train_data = tuple(splits.read(part, "train", code) for part, code in parts)
    with_dev = [] if _headless(task) else [place for place in parts if splits.has(place[0], "validation", place[1])]
    dev = splits.read(with_dev[0][0], "validation", with_dev[0][1]) if with_dev else None
    return TrainingSet(task.label, task.format, task.labels, train_data, dev, task.metric)


def training_data(
    tasks: Sequence[Task], role: str, recipes: Recipes, encoder: Encoder | Stage, data: Splits | Path | None
) -> tuple[tuple[TrainingSet, ...], Recipe]:
    """Return the training sets and the recipe of a training, with the development data that the recipe selects by.

    Args:
        tasks: What is trained on.
        role: "intermediate" or "target".
        recipes: Give the recipe.
        encoder: What the experiment starts from.
        data: Data folder, or splits.

    Returns:
        A training set for each task, and the recipe; see `with_development_data`.

    Raises:
        InputError: A training split does not exist.
    """
    splits, recipe = splits_of(data), recipes.of(tasks, role, encoder)
    training_sets = []
    for task in tasks:
        given, dev_task = training_set(task, splits).read_by(encoder), recipes.dev_task(task, role)
        code = task.training_parts()[0][1]
        if recipe.selection and dev_task and splits.has(dev_task, "validation", code):
            given = replace(given, dev=splits.read(dev_task, "validation", code))
        training_sets.append(given)
    return with_development_data(training_sets, recipe)


def _masked_lm_set(mlm: MaskedLmMixing, splits: Splits) -> TrainingSet:
    train_data = tuple(splits.read(mlm.task, "train", code) for code in mlm.languages)
    return TrainingSet(
        mlm.task.name, "masked_lm", (), train_data, None, mlm.task.metric, weight=mlm.weight, alpha=mlm.alpha
    )


def _pretraining(stage: Stage) -> Phase:
    arguments = stage.arguments
    return Phase(PRETRAINING, (), arguments["training_sets"], arguments["recipe"], stage, stage)


def _is_training(model: Encoder | Stage) -> bool:
    return isinstance(model, Stage) and model.work.name == names.TRAIN


def _headless(task: Task) -> bool:
    """Return whether a task is measured on the encoder alone, without a head trained for it."""
    return task_format(task.format).headless or _is_text(task)


def _is_text(task: Task) -> bool:
    """Return whether a task is raw text for a language model."""
    return task_format(task.format).language_model


def _fits(training_task: Task, target: Task) -> bool:
    """Return whether a network trained on one task can predict another."""
    return training_task.format == target.format and (
        not target.labels or set(target.labels) <= set(training_task.labels)
    )


def training_roles(runs: Iterable[Run]) -> dict[str, str]:
    """Return the role of each training of these runs by its key, as `cost.summary.entries` takes it."""
    return merged_roles((phase.stage.key, phase.role) for run in runs for phase in run.phases())
