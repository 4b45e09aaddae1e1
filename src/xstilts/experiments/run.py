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
from xstilts.errors import InputError, did_you_mean
from xstilts.evaluation.contamination import contamination
from xstilts.evaluation.predict import predict
from xstilts.evaluation.score import score
from xstilts.experiments import retries
from xstilts.experiments.few_shot import FewShot
from xstilts.experiments.splits import Splits, splits_of
from xstilts.experiments.translated_splits import TranslatedSplits, Translation
from xstilts.formats import task_format
from xstilts.models.configs import default_pooling, is_large
from xstilts.models.encoder import Encoder
from xstilts.models.pooling import FAMILY
from xstilts.store import names
from xstilts.store.memo import memoised
from xstilts.store.names import INTERMEDIATE, PRETRAINING, TARGET
from xstilts.store.stage import Stage, generations
from xstilts.tasks.base import Task
from xstilts.tasks.base import task as task_of
from xstilts.training import batch_schedule
from xstilts.training.combine import averaged, averaging, check_members, composed, composition, made_from
from xstilts.training.layer_reset import reset_layers
from xstilts.training.recipe import MOST_SNAPSHOTS, SETS, TRAINABLE, Recipe, changed, named
from xstilts.training.train import train
from xstilts.training.training_set import TrainingSet, with_development_data

ENGLISH = "en"
SPLITS = ("test", "validation", "train")


def check_split(split: str) -> None:
    """Raise InputError for a split that is none of `SPLITS`."""
    if split not in SPLITS:
        hint = did_you_mean(split, SPLITS, {"dev": "validation", "val": "validation", "valid": "validation"})
        raise InputError(f"unknown split '{split}'; {hint}")


def check_oracle(oracle: int, average: str, split: str) -> None:
    """Raise InputError where a choice among snapshots is of too few or too many, or of no single training."""
    if oracle and not 2 <= oracle <= MOST_SNAPSHOTS:
        raise InputError(f"an oracle chooses among 2 to {MOST_SNAPSHOTS} snapshots, not {oracle}")
    if oracle and average:
        raise InputError("an oracle chooses a snapshot of one training: leave --average out")
    if oracle and split == "validation":
        raise InputError("an oracle chooses on development data: measure on --split test")


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
            tasks: The tasks of the training. A mix has the first task's recipe with the greatest length of any, and
                what the set changes for mixes.
            role: "intermediate" or "target".
            encoder: What is trained: some sets have other values for large encoders. None: not a large one.

        Returns:
            The recipe, with the settings that the user gave for this role. Sentence encoders are pooled as they were
            trained, unless the user says otherwise.
        """
        by_size = any(task.name in SETS[self.name].large for task in tasks)
        large = by_size and encoder is not None and is_large(encoder)
        pooling = FAMILY if encoder is None else default_pooling(encoder)
        formats = tuple((task.name, task.format) for task in tasks)
        return _recipe(self.name, formats, role, large, pooling, getattr(self, role))

    def own_size(self, task: Task, of: int, role: str, encoder: Encoder | Stage) -> int | None:
        """Return the most training examples of a task where it has a number of its own; None: the training's recipe's.

        Args:
            task: What is trained on.
            of: How many tasks the training has.
            role: "intermediate" or "target".
            encoder: What is trained.
        """
        given = any(change.startswith("max_train_examples=") for change in getattr(self, role))
        if of == 1 or given or not SETS[self.name].own_sizes:
            return None
        return self.of((task,), role, encoder).max_train_examples

    def in_form(self, task: Task, role: str) -> Task:
        """Return a task with its texts as the set reads them, which is as usual but for the targets of some sets.

        Args:
            task: What is trained on, or measured.
            role: "intermediate" or "target".
        """
        return task.in_form(SETS[self.name].text_form) if role == TARGET else task

    def dev_task(self, task: Task, role: str) -> Task | None:
        """Return the task whose development data select the weights of a training; None: the training's own task.

        Args:
            task: What is trained on.
            role: "intermediate" or "target".
        """
        name = SETS[self.name].dev_tasks.get(task.name) if role == TARGET else None
        return task_of(name) if name else None


@lru_cache(maxsize=4096)
def _recipe(
    name: str, tasks: tuple[tuple[str, str], ...], role: str, large: bool, pooling: str, changes: tuple[str, ...]
) -> Recipe:
    recipes = [named(name, task, format, role, large) for task, format in tasks]
    longest = max(recipe.max_length for recipe in recipes)
    of_mix = SETS[name].mix if len(tasks) > 1 else {}
    return changed(replace(recipes[0], max_length=longest, pooling=pooling, **of_mix), changes)


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
        model: What the next phase starts from: the stage, or the one that resets its layers or combines it with others.
        tries: The trainings before it that ended no better than chance, which it repeats with another seed.
    """

    role: str
    tasks: tuple[Task, ...]
    training_sets: tuple[TrainingSet, ...]
    recipe: Recipe
    stage: Stage
    model: Stage
    tries: tuple[Stage, ...] = ()


@dataclass(frozen=True)
class Run:
    """One cell of an experiment: an encoder, intermediate tasks, a target, recipes and a seed.

    Attributes:
        encoder: A public encoder, or the stage that makes one.
        intermediate: Tasks of the intermediate phase, trained on together; none in the baseline.
        target: The task that is measured.
        recipes: Recipes of both phases.
        seed: Seed of every training of the run that is not repeated.
        target_training_tasks: Tasks that are trained on for the target, one after the other; None: those that the task
        names. mlm: Masked-LM mixed into the intermediate phase.
        split: Split that is measured; "validation" where the answers of "test" are withheld.
        only_languages: Languages to measure; none: all of the target's.
        reset_layers: Layers that get the encoder's weights back after the intermediate phase, such as "top:2".
        average: Weights to average at the end, "seeds:3" (of this seed and the next ones), "last:5" or both.
        combine: How the intermediate tasks, each trained alone, become one encoder, such as "add:0.5"; "": one training
            on the mix of them.
        oracle: Among how many of the target training's last snapshots development data choose (`snapshot_choice`).
        few_shot: A further training on few examples of each measured language, whose model predicts it alone.
        data: Data folder, or splits; None where no files are needed. No part of equality: stages hold what was read.
        translation: Training or test data that are translated; None: none are.
        retries: How often a training that ends no better than chance is repeated with another seed (`retries`).
        collapsed: Keys of trainings that are known to have ended so; others are taken as they are.

    Raises:
        InputError: The target has none of these languages, or cannot be trained on these tasks, or the
        mix has a task twice; or few examples cannot be trained on further.
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
    average: str = ""
    combine: str = ""
    oracle: int = 0
    few_shot: FewShot | None = None
    data: Splits | Path | None = field(default=None, compare=False)
    translation: Translation | None = None
    retries: int = 0
    collapsed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        check_split(self.split)
        retries.check(self.retries, self.seed)
        if self.translation:
            self.translation.check(self.target)
        if self.reset_layers and (not TRAINABLE.fullmatch(self.reset_layers) or self.reset_layers.startswith("lora")):
            raise InputError(f"unknown layers '{self.reset_layers}' to reset: give top:2, bottom:2 or layers:0-3")
        averaging(self.average)
        check_oracle(self.oracle, self.average, self.split)
        if self.combine and self.intermediate:
            check_members(composition(self.combine), len(self.intermediate))
        self.target.check_languages(self.only_languages)
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
        if self.few_shot:
            self._check_few_shot()

    def _check_few_shot(self) -> None:
        """Raise InputError where no model can be trained further on few examples of a language."""
        name = self.target.name
        if _headless(self.target):
            raise InputError(f"few-shot training trains a head further, and '{name}' has none: leave it out")
        if self.average or self.oracle:
            option = "--average" if self.average else "--oracle"
            raise InputError(f"few-shot training goes on from a single target training: leave {option} out")
        if self.translation:
            raise InputError("few-shot training is on a language's own examples: leave translations out")
        if self.split == "train":
            raise InputError("few-shot examples are drawn from the training split: measure on --split test")
        if not self.measured_languages():
            learned_in = ", ".join(sorted(self._trained_in))
            raise InputError(f"few-shot training is for other languages than {learned_in}, that '{name}' is trained in")

    @property
    def splits(self) -> Splits:
        """Where the run takes its dataset splits from."""
        base = splits_of(self.data)
        return TranslatedSplits(base, self.translation, self.encoder) if self.translation else base

    def phases(self, code: str | None = None) -> tuple[Phase, ...]:
        """Return the trainings of the run, the first one first, those that made its encoder included.

        Args:
            code: Only those behind the score in this language; None: all. They differ in few-shot runs alone.

        Raises:
            InputError: A training set does not exist in the data folder.
        """
        if self.few_shot is None:
            return self.shared_phases()
        codes = self._predicted_languages() if code is None else (code,)
        return (*self.shared_phases(), *(self._few_shot_phase(language) for language in codes))

    def shared_phases(self) -> tuple[Phase, ...]:
        """Return the trainings behind the scores in all languages, as `phases`.

        Raises:
            InputError: A training set does not exist in the data folder.
        """
        return memoised(self, ("phases",), self._shared_phases)

    def model(self, code: str | None = None) -> Encoder | Stage:
        """Return the encoder after all trainings.

        Args:
            code: The language that it predicts; None: the model before any few-shot training.
        """
        if self.few_shot and code is not None:
            return self._few_shot_phase(code).model
        own = [phase for phase in self.shared_phases() if phase.role != PRETRAINING]
        return own[-1].model if own else self.encoder

    def measured_languages(self) -> tuple[str, ...]:
        """Return the languages that are to be measured, in the target's order; with few shots, not those trained in."""
        left_out = self._trained_in if self.few_shot else ()
        measured = self.only_languages or self.target.languages
        return tuple(code for code in self.target.languages if code in measured and code not in left_out)

    def without_few_shot_data(self) -> tuple[str, ...]:
        """Return the languages that a few-shot run leaves out, as they have a test set but no training data."""
        if self.few_shot is None:
            return ()
        return tuple(
            code
            for code in self.measured_languages()
            if self.splits.has(self._measured, self.split, code) and self._few_shot_task(code) is None
        )

    def languages(self) -> tuple[str, ...]:
        """Return those of the languages to be measured that have a split with answers.

        Raises:
            InputError: No language has one.
        """
        measured = self.measured_languages()
        codes = tuple(code for code in measured if self.splits.has(self._measured, self.split, code))
        if not codes:
            self.splits.read(self._measured, self.split, measured[0])
            raise InputError(
                f"the {self.split} files of '{self.target.name}' below {self.data} withhold the answers: "
                "measure on --split validation, or get the data set from the hub"
            )
        left_out = self.without_few_shot_data()
        if len(left_out) == len(codes):
            raise InputError(
                f"'{self.target.name}' has training data in none of {', '.join(codes)}: few-shot training needs some; "
                "leave --few-shot out, or give the data"
            )
        return tuple(code for code in codes if code not in left_out)

    def max_length(self) -> int:
        """Return the greatest length of a sequence, in tokens, at which the target is predicted."""
        recipe = self._reading_recipe()
        return self.few_shot.recipe(recipe).max_length if self.few_shot else recipe.max_length

    def predictions(self) -> dict[str, Stage]:
        """Return the predictions by language of the target."""
        return self._predictions(self.languages())

    def withheld(self) -> dict[str, Stage]:
        """Return the predictions by language where the answers are withheld: they can be submitted but not scored."""
        return self._predictions(self._withheld_languages())

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
        trained = [
            (part, 0)
            for role, tasks in self._trainings()
            for task in tasks
            for part in self.recipes.in_form(task, role).training_parts()
        ]
        if self.few_shot:
            of_languages = [self._few_shot_phase(code).tasks[0].training_parts() for code in self.languages()]
            # Examples are drawn from all parts of a joined task together: there the check is of all their data.
            trained += [
                (part, self.few_shot.shots if len(parts) == 1 else 0) for parts in of_languages for part in parts
            ]
        draw = self.few_shot.draw if self.few_shot else 1
        return [
            contamination(
                self.splits.read(part, "train", code),
                self.splits.read(self._measured, self.split, code),
                shots,
                draw if shots else 1,
            )
            for (part, code), shots in trained
            if code in measured and not part.artificial and not (_is_text(part) or _is_text(self.target))
        ]

    def zero_shot(self) -> bool:
        """Return whether the target is trained in the usual language alone: English for all but the sandbox."""
        return self.few_shot is None and all(
            training_task.trained_in == training_task.usual_languages for training_task in self._target_training_tasks()
        )

    @property
    def learned_in(self) -> frozenset[str]:
        """The languages of the target's training data, few-shot included; none where nothing is trained for it."""
        return self._trained_in | (frozenset(self.languages()) if self.few_shot else frozenset())

    @property
    def _trained_in(self) -> frozenset[str]:
        """The languages of the target's training data without those of few-shot trainings."""
        return frozenset(code for training_task in self._target_training_tasks() for code in training_task.trained_in)

    @property
    def repeats_training_data(self) -> bool:
        """Whether the intermediate phase trains on the target's own training data, or on translations of them.

        Such a run trains longer on one data set: its gain is not one of another task.
        """
        return repeats_training_data(self.intermediate, self._target_training_tasks())

    @property
    def _measured(self) -> Task:
        """The target with its texts as the recipes read them."""
        return self.recipes.in_form(self.target, TARGET)

    def _reading_recipe(self) -> Recipe:
        """Return the recipe that gives the lengths at which the target is predicted."""
        last = (self.target,) if _headless(self.target) else self._trainings()[-1][1]
        return self.recipes.of(last, TARGET, self.encoder)

    def _target_training_tasks(self) -> tuple[Task, ...]:
        tasks = (
            self.target.target_training_tasks() if self.target_training_tasks is None else self.target_training_tasks
        )
        return tuple(map(self.translation.trained_in, tasks)) if self.translation else tasks

    def _trainings(self) -> list[tuple[str, tuple[Task, ...]]]:
        """Return the role and the tasks of each training of the run's own."""
        first = [(INTERMEDIATE, self.intermediate)] if self.intermediate else []
        return first + [(TARGET, (training_task,)) for training_task in self._target_training_tasks()]

    def _shared_phases(self) -> tuple[Phase, ...]:
        earlier = generations(self.encoder, made_from) if isinstance(self.encoder, Stage) else []
        before = [_pretraining(stage) for stage in earlier if _is_training(stage)]
        average = averaging(self.average)
        branches = [self._own_phases(seed) for seed in range(self.seed, self.seed + average.seeds)]
        if not branches[0]:
            return tuple(before)
        model = branches[0][-1].model
        if self.average:
            model = averaged([branch[-1].model for branch in branches], average.last)
        # Branches are in step, in the order of the average's members: as `store.stage.generations` finds them again.
        order = {stage: number for number, stage in enumerate(generations(model, made_from))}
        own = sorted((phase for branch in branches for phase in branch), key=lambda phase: order[phase.stage])
        return (*before, *own[:-1], replace(own[-1], model=model))

    def _few_shot_phase(self, code: str) -> Phase:
        return memoised(self, ("few-shot phase", code), lambda: self._few_shot_training(code))

    def _few_shot_training(self, code: str) -> Phase:
        """Return the training that goes on from the target's, with its head, on few examples of a language."""
        before, few, task = self.shared_phases()[-1], self.few_shot, self._few_shot_task(code)
        if few is None or task is None:
            raise InputError(f"'{self.target.name}' has no training data in '{code}': few-shot training needs some")
        given = training_set(task, self.splits).read_by(self.encoder)
        # Development data of the language are not even measured: a few-shot result sees the shots alone.
        training_sets, recipe = (replace(given, dev=None, shots=few.shots, draw=few.draw),), few.recipe(before.recipe)
        stage = train(before.model, training_sets, recipe, self.seed)
        return Phase(TARGET, (task,), training_sets, recipe, stage, stage)

    def _few_shot_task(self, code: str) -> Task | None:
        """Return the target, or else the task it is trained on, with training data in a language; None without any."""
        for task in (self.target, self._target_training_tasks()[-1]):
            in_language = self.recipes.in_form(task, TARGET).with_training_languages((code,))
            if all(self.splits.has(part, "train", language) for part, language in in_language.training_parts()):
                return in_language
        return None

    def _withheld_languages(self) -> list[str]:
        return [
            code
            for code in self.measured_languages()
            if self.splits.withheld(self._measured, self.split, code)
            and not (self.few_shot and self._few_shot_task(code) is None)
        ]

    def _predicted_languages(self) -> list[str]:
        """Return the languages that a few-shot run predicts, with the answers or without."""
        withheld = self._withheld_languages()
        return withheld if set(withheld) == set(self.measured_languages()) else [*self.languages(), *withheld]

    def _own_phases(self, seed: int) -> list[Phase]:
        """Return the trainings with one seed, without those that made the encoder."""
        model, phases, average = self.encoder, list[Phase](), averaging(self.average)
        trainings = self._trainings()
        for number, (role, tasks) in enumerate(trainings, start=1):
            # The last training's weights are averaged, with heads that start from those of the first seed.
            last, composing = number == len(trainings), bool(self.combine) and role == INTERMEDIATE
            snapshots = max(average.last, self.oracle if role == TARGET else 0) if last else 0
            head_seed = self.seed if last and average.seeds > 1 and not composing else None
            composed_of = [(task,) for task in tasks] if composing else [tasks]
            phase = [
                self._phase(role, part, model, seed, head_seed=head_seed, snapshots=snapshots) for part in composed_of
            ]
            if composing:
                model = composed(model, [member.stage for member in phase], composition(self.combine))
            else:
                model = phase[0].stage
            if role == INTERMEDIATE and self.reset_layers:
                model = reset_layers(model, self.encoder, self.reset_layers)
            phases += [replace(member, model=model) for member in phase]
        return phases

    def _phase(
        self,
        role: str,
        tasks: tuple[Task, ...],
        encoder: Encoder | Stage,
        seed: int,
        *,
        head_seed: int | None,
        snapshots: int,
    ) -> Phase:
        training_sets, recipe = training_data(tasks, role, self.recipes, self.encoder, self.splits)
        recipe = replace(recipe, snapshots=max(snapshots, recipe.snapshots))
        if role == INTERMEDIATE and self.mlm:
            training_sets += (_masked_lm_set(self.mlm, self.splits),)
        batch_schedule.shares((1,) * len(tasks), recipe.sampling)  # refuse what does not fit the mix
        *tries, stage = self._tries(encoder, training_sets, recipe, seed, head_seed)
        return Phase(role, tasks, training_sets, recipe, stage, stage, tuple(tries))

    def _tries(
        self,
        encoder: Encoder | Stage,
        training_sets: tuple[TrainingSet, ...],
        recipe: Recipe,
        seed: int,
        head_seed: int | None,
    ) -> list[Stage]:
        """Return a training and those that repeat it, each of which takes the place of the one before."""
        tries = list[Stage]()
        while not tries or (tries[-1].key in self.collapsed and len(tries) <= self.retries):
            own = retries.seed_of(seed, len(tries))
            tries.append(train(encoder, training_sets, recipe, own, None if own == head_seed else head_seed))
        return tries

    def _predictions(self, codes: Sequence[str]) -> dict[str, Stage]:
        return {code: self._predict(self.split, code) for code in codes}

    def _predict(self, split: str, code: str) -> Stage:
        splits, target, translated = self.splits, self._measured, None
        data = splits.read(target, split, code)
        if isinstance(splits, TranslatedSplits) and splits.translation.test:
            translated = splits.in_training_language(target, split, code)
        query_length = self._reading_recipe().query_length
        return predict(
            self.model(code), data, self.target.format, self.max_length(), translated, query_length=query_length
        )

    def _layer_from(self) -> Stage | None:
        """Return the scores by which retrieval chooses its layer: one language's development (else test) pairs.

        None where the task has no such language or there are no data in it: the layer is the literature's then.
        """
        code = self.target.dev_language
        for split in ("validation", "test"):
            if code is not None and self.splits.has(self._measured, split, code):
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
        given = training_set(recipes.in_form(task, role), splits).read_by(encoder)
        dev_task = recipes.dev_task(task, role)
        code = task.training_parts()[0][1]
        if recipe.selection and dev_task and splits.has(dev_task, "validation", code):
            given = replace(given, dev=splits.read(dev_task, "validation", code))
        training_sets.append(replace(given, max_train_examples=recipes.own_size(task, len(tasks), role, encoder)))
    return with_development_data(training_sets, recipe)


def _masked_lm_set(mlm: MaskedLmMixing, splits: Splits) -> TrainingSet:
    train_data = tuple(splits.read(mlm.task, "train", code) for code in mlm.languages)
    return TrainingSet(
        mlm.task.name, "masked_lm", (), train_data, None, mlm.task.metric, weight=mlm.weight, alpha=mlm.alpha
    )


def _pretraining(stage: Stage) -> Phase:
    arguments = stage.arguments
    return Phase(PRETRAINING, (), arguments["training_sets"], arguments["recipe"], stage, stage)


def _is_training(model: Stage) -> bool:
    return model.work.name == names.TRAIN


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
