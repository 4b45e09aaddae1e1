"""Probes: short trainings on candidates, and the stages that measure the encoder after them.

Everything costly is a stage: the short training on a candidate (its probe), a short training on the target after it and
its score on development data, the states of the target's examples, the embeddings of tasks. Probes are trainings like
any other, so that what they share with each other, or a second call with the first, is built once.

    search = CandidateSearch(encoder, task("xnli"), (task("mnli"), task("panx")), Recipes())
    ProbeStages(search, Path("data")).score("panx", Rung(0, 100, 2), seed=1)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from xstilts.errors import InputError
from xstilts.evaluation.predict import predict
from xstilts.evaluation.score import score
from xstilts.experiments.grid import tasks_of
from xstilts.experiments.run import Recipes, training_set
from xstilts.experiments.score_table import BASELINE
from xstilts.experiments.splits import read
from xstilts.formats import task_format
from xstilts.models.encoder import Encoder
from xstilts.models.word_tokenization import word_tokenization
from xstilts.selection.features import Asking, features
from xstilts.selection.successive_halving import Rung
from xstilts.selection.task_embeddings import fisher, text_embedding
from xstilts.store.stage import Stage
from xstilts.tasks.base import Task, names, task
from xstilts.training.recipe import Recipe
from xstilts.training.train import train


@dataclass(frozen=True)
class CandidateSearch:
    """A search for the best intermediate task of a target: what is compared, and how long probes are.

    Attributes:
        encoder: Public, or the stage of an earlier training.
        target: The task that matters.
        candidates: Intermediate tasks.
        recipes: Give the hyperparameters of each task in each role.
        seeds: The number of seeds in the first round of probes.
        steps: The steps of each training in the first round.
        examples: Most examples of a task for its states and embeddings, and most that probes are scored on.

    Raises:
        InputError: Candidates are missing, repeated or not trainable, or the target has nothing to select by.
    """

    encoder: Encoder | Stage
    target: Task
    candidates: tuple[Task, ...]
    recipes: Recipes
    seeds: int = 3
    steps: int = 100
    examples: int = 500

    def __post_init__(self) -> None:
        if len({candidate.label for candidate in self.candidates}) < max(len(self.candidates), 1):
            labels = ", ".join(candidate.label for candidate in self.candidates) or "none"
            raise InputError(f"expected different candidates, found {labels}: give --candidates a,b,c")
        for candidate in self.candidates:
            if not task_format(candidate.format).trainable:
                raise InputError(
                    f"'{candidate.name}' ({candidate.format}) cannot be learned from: leave it out of --candidates"
                )
        if not self.target.target_training_tasks() and self.target.dev_language is None:
            raise InputError(
                f"'{self.target.name}' ({self.target.format}) has neither training data nor a language to choose on: "
                "candidates for it can only be measured, with `xstilts run`"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The labels of the candidates."""
        return tuple(candidate.label for candidate in self.candidates)

    @property
    def last_training_task(self) -> Task | None:
        """The last task that the target is trained on, whose examples have its labels; None without target training."""
        tasks = self.target.target_training_tasks()
        return tasks[-1] if tasks else None

    def candidate(self, name: str) -> Task:
        """Look up a candidate by its label."""
        return next(candidate for candidate in self.candidates if candidate.label == name)

    def asking(self, one: Task, role: str) -> Asking:
        """Return how the examples of a task are encoded for features and task embeddings.

        Args:
            one: The task.
            role: "intermediate" or "target": which recipe gives the maximum length.

        Returns:
            Format, labels, maximum length and number of the examples.
        """
        words = word_tokenization(self.encoder, one.format)
        recipe = self.recipes.of((one,), role, self.encoder)
        return Asking(one.format, one.labels, recipe.max_length, self.examples, words, recipe.pooling)


@dataclass(frozen=True)
class ProbeStages:
    """The stages behind a recommendation. Candidates are given by name, the encoder as it is as "baseline".

    Attributes:
        search: Encoder, target and candidates.
        folder: The folder of local data; None: data of the hub.
    """

    search: CandidateSearch
    folder: Path | None

    def probe(self, name: str, rung: Rung, seed: int) -> Encoder | Stage:
        """Return the encoder after a short training on a candidate.

        Args:
            name: The label of the candidate; "baseline" for the encoder without such a training.
            rung: The number of steps.
            seed: The seed of the training.

        Returns:
            The stage of the training, or the encoder itself.
        """
        if name == BASELINE:
            return self.search.encoder
        return self._trained(self.search.encoder, self.search.candidate(name), "intermediate", rung, seed)

    def probe_on_target(self, name: str, rung: Rung, seed: int) -> Encoder | Stage:
        """Return the encoder after short trainings on a candidate and then on each of the target's training tasks.

        Args:
            name: The label of the candidate; "baseline" for none.
            rung: The number of steps of each training.
            seed: The seed of the trainings.

        Returns:
            The stage of the last training; the encoder itself where nothing is trained.
        """
        model = self.probe(name, rung, seed)
        for training_task in self.search.target.target_training_tasks():
            model = self._trained(model, training_task, "target", rung, seed)
        return model

    def score(self, name: str, rung: Rung, seed: int) -> Stage:
        """Return the score of `probe_on_target` on development data in the language that the target is trained in.

        Args:
            name: The label of the candidate; "baseline" for none.
            rung: The number of steps of each training.
            seed: The seed of the trainings.

        Returns:
            The stage of the score.

        Raises:
            InputError: The target has no development data.
        """
        dev_task, data = development(self.search, self.folder)
        length = self.search.asking(dev_task, "target").max_length
        return score(
            predict(self.probe_on_target(name, rung, seed), data, dev_task.format, length), data, dev_task.metric
        )

    def features(self, name: str, rung: Rung, seed: int) -> Stage:
        """Return the hidden states of the target's training examples in the encoder after a candidate's probe.

        Args:
            name: The label of the candidate; "baseline" for the encoder without a probe.
            rung: The number of steps.
            seed: The seed of the training.

        Returns:
            The stage of the features; of development examples where the target has no training data.
        """
        last = self.search.last_training_task
        if last is None:
            dev_task, data = development(self.search, self.folder)
            return features(self.probe(name, rung, seed), (data,), self.search.asking(dev_task, "target"))
        learned = training_set(last, self.folder).train
        return features(self.probe(name, rung, seed), learned, self.search.asking(last, "target"))

    def text(self, name: str) -> Stage:
        """Return the TextEmb of a candidate's training data, or of the target's.

        Args:
            name: The label of the candidate; "baseline" for the target.

        Returns:
            The stage of the task embedding.
        """
        embedded, role = self._task(name)
        return text_embedding(
            self.search.encoder, training_set(embedded, self.folder).train, self.search.asking(embedded, role)
        )

    def embedding(self, name: str, rung: Rung, seed: int) -> Stage:
        """Return the TaskEmb of a candidate, after its probe, or of the target for "baseline".

        Args:
            name: The label of the candidate; "baseline" for the target.
            rung: The number of steps.
            seed: The seed of the trainings.

        Returns:
            The stage of the task embedding.

        Raises:
            InputError: The target has no training data.
        """
        embedded, role = self._task(name)
        model = self.probe_on_target(name, rung, seed) if name == BASELINE else self.probe(name, rung, seed)
        if not isinstance(model, Stage):
            raise InputError(f"'{name}' is not trained and has no task embedding: give a target that is")
        return fisher(model, training_set(embedded, self.folder).train, self.search.asking(embedded, role))

    def _task(self, name: str) -> tuple[Task, str]:
        if name != BASELINE:
            return self.search.candidate(name), "intermediate"
        if self.search.last_training_task is None:
            raise InputError(f"'{self.search.target.label}' has no training data to embed: its probes alone can be had")
        return self.search.last_training_task, "target"

    def _trained(self, model: Encoder | Stage, training_task: Task, role: str, rung: Rung, seed: int) -> Stage:
        recipe = shortened(
            self.search.recipes.of((training_task,), role, self.search.encoder),
            rung.steps,
            training_task.counts.get("train"),
        )
        given = training_set(training_task, self.folder).read_by(model)
        without_dev = replace(given, dev=None)  # a short training selects nothing
        return train(model, (without_dev,), recipe, seed)


def development(search: CandidateSearch, folder: Path | None) -> tuple[Task, Stage]:
    """Return the development data that probes are scored on.

    That is the target's own development data, else those of its last training task; of a target without training data,
    the pairs of its development language. Of more than `search.examples` they are as many, spread evenly: with all,
    scoring takes longer than the short trainings.

    Args:
        search: Encoder, target and candidates.
        folder: The folder of local data; None: data of the hub.

    Returns:
        The task whose data they are, and the stage that reads them.

    Raises:
        InputError: There are none.
    """
    target, last = search.target, search.last_training_task
    code = last.trained_in[0] if last else str(target.dev_language)
    tried = [(target, "validation"), (last, "validation") if last else (target, "test")]
    for scored, split in tried:
        if task_format(scored.format).trainable and scored.has(split, code, folder):
            return scored, read(replace(scored.data(split, code, folder), sample=search.examples))
    raise InputError(f"'{target.label}' has no development data in '{code}': probes cannot be scored")


def shortened(recipe: Recipe, steps: int, count: int | None) -> Recipe:
    """Shorten a recipe to a probe, with the same share of warm-up and as many examples as its steps take.

    Args:
        recipe: The recipe of a whole training.
        steps: The steps of the probe.
        count: Training examples of the task, if known: no training becomes longer than the whole one.

    Returns:
        The recipe of the probe; it selects no checkpoint on development data.
    """
    limits = [recipe.max_train_examples, count]
    available = min((limit for limit in limits if limit is not None), default=None)
    full_steps = recipe.steps or (math.ceil(recipe.epochs * available / recipe.batch_size) if available else None)
    steps = min(steps, full_steps or steps)
    share = min(recipe.warmup_steps / full_steps, 0.9) if full_steps else 0.1
    warmup = recipe.warmup_steps if recipe.warmup_steps < 1 else share
    examples = min(steps * recipe.batch_size, recipe.max_train_examples or steps * recipe.batch_size)
    return replace(recipe, steps=steps, max_train_examples=examples, warmup_steps=warmup, selection=None)


def candidates_of(target: Task, named: str | None, folder: Path | None) -> tuple[Task, ...]:
    """Return candidates for a target.

    Args:
        target: It and its training tasks are no candidates.
        named: Names, "a,b"; None: all labelled tasks with training data, artificial ones for artificial targets only.
        folder: The folder of local data; None: data of the hub.

    Returns:
        The tasks whose training data are there.

    Raises:
        InputError: There are none.
    """
    if named:
        return tasks_of(named)
    own = {target.name, *(training_task.name for training_task in target.target_training_tasks())}
    every = (task(name) for name in names() if name not in own)
    candidates = tuple(
        candidate
        for candidate in every
        if candidate.artificial == target.artificial and _labelled(candidate) and _there(candidate, folder)
    )
    if not candidates:
        raise InputError(
            f"no task has training data below {folder or '(no --data given)'}: name the folder with --data"
        )
    return candidates


def _labelled(candidate: Task) -> bool:
    format = task_format(candidate.format)
    return not (format.headless or format.language_model)


def _there(candidate: Task, folder: Path | None) -> bool:
    return all(part.has("train", code, folder) for part, code in candidate.training_parts())
