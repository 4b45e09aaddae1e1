"""Peek: a short training on a candidate, and what is asked of the encoder after it.

Everything costly is a promise: the peek itself, the target's short training after it and its score on English
development data, the states of the target's examples, the embeddings of tasks. Peeks are trainings like any other, so
what they share with each other, and a second call with the first, is built once.

    peeks = Peeks(Question(encoder, task("xnli"), (task("mnli"), task("panx")), Recipes()), Path("data"))
    peeks.score("panx", Rung(0, 100, 2), seed=1)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from xstilts.errors import InputError
from xstilts.evaluation.predict import predict
from xstilts.evaluation.score import score
from xstilts.experiments.grid import tasks_of
from xstilts.experiments.run import Recipes, read, training_set
from xstilts.experiments.score_table import BASELINE
from xstilts.formats import task_format
from xstilts.models.encoder import Encoder
from xstilts.selection.features import Asking, features
from xstilts.selection.successive_halving import Rung
from xstilts.selection.task_embeddings import fisher, text_embedding
from xstilts.store.stage import Stage
from xstilts.tasks.base import Task, names, task
from xstilts.training.recipe import Recipe
from xstilts.training.train import train


@dataclass(frozen=True)
class CandidateSearch:
    """Which of the candidates to train an encoder on before a target.

    seeds: of the first round. steps: of each training in the first round. examples: at most so many of a task for its
    states and embeddings.
    """

    encoder: Encoder | Stage
    target: Task
    candidates: tuple[Task, ...]
    recipes: Recipes
    seeds: int = 3
    steps: int = 100
    examples: int = 500

    def __post_init__(self) -> None:
        if len({one.label for one in self.candidates}) < max(len(self.candidates), 1):
            given = ", ".join(one.label for one in self.candidates) or "none"
            raise InputError(f"expected different candidates, found {given}: give --candidates a,b,c")
        for one in self.candidates:
            if not task_format(one.format).trainable:
                raise InputError(f"'{one.name}' ({one.format}) cannot be learned from: leave it out of --candidates")
        if not self.target.target_training_tasks() and self.target.dev_language is None:
            raise InputError(
                f"'{self.target.name}' ({self.target.format}) has neither training data nor a language to choose on: "
                "candidates for it can only be measured, with `xstilts run`"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The candidates' names as one asks for them."""
        return tuple(one.label for one in self.candidates)

    @property
    def teacher(self) -> Task | None:
        """The last task that the target is learned from, whose examples have its labels; None for an untrained one."""
        taught = self.target.target_training_tasks()
        return taught[-1] if taught else None

    def candidate(self, name: str) -> Task:
        """Return a candidate by its name."""
        return next(one for one in self.candidates if one.label == name)

    def asking(self, one: Task, role: str) -> Asking:
        """Return how the examples of a task are shown in a role."""
        return Asking(one.format, one.labels, self.recipes.of((one,), role).max_length, self.examples)


@dataclass(frozen=True)
class ProbeStages:
    """The promises behind a recommendation; candidates by name, "baseline" for the encoder as it is."""

    question: CandidateSearch
    folder: Path | None

    def peek(self, name: str, rung: Rung, seed: int) -> Encoder | Stage:
        """Promise the encoder after a short training on a candidate."""
        if name == BASELINE:
            return self.question.encoder
        return self._trained(self.question.encoder, self.question.candidate(name), "intermediate", rung, seed)

    def taught(self, name: str, rung: Rung, seed: int) -> Encoder | Stage:
        """Promise the same after a short training on each of the target's teachers."""
        model = self.peek(name, rung, seed)
        for teacher in self.question.target.target_training_tasks():
            model = self._trained(model, teacher, "target", rung, seed)
        return model

    def score(self, name: str, rung: Rung, seed: int) -> Stage:
        """Promise the score of that on development data in the language that the target is learned in."""
        asked, data = development(self.question, self.folder)
        length = self.question.asking(asked, "target").max_length
        return score(predict(self.taught(name, rung, seed), data, asked.format, length), data, asked.metric)

    def features(self, name: str, rung: Rung, seed: int) -> Stage:
        """Promise the states of the target's training examples in a candidate's peek."""
        last = self.question.teacher
        if last is None:
            asked, data = development(self.question, self.folder)
            return features(self.peek(name, rung, seed), (data,), self.question.asking(asked, "target"))
        learned = training_set(last, self.folder).train
        return features(self.peek(name, rung, seed), learned, self.question.asking(last, "target"))

    def text(self, name: str) -> Stage:
        """Promise the TextEmb of a candidate, or of the target under "baseline"."""
        one, role = self._task(name)
        return text_embedding(
            self.question.encoder, training_set(one, self.folder).train, self.question.asking(one, role)
        )

    def embedding(self, name: str, rung: Rung, seed: int) -> Stage:
        """Promise the TaskEmb of a candidate, after its peek, or of the target under "baseline"."""
        one, role = self._task(name)
        model = self.taught(name, rung, seed) if name == BASELINE else self.peek(name, rung, seed)
        if not isinstance(model, Stage):
            raise InputError(f"'{name}' is not trained and has no task embedding: give a target that is")
        return fisher(model, training_set(one, self.folder).train, self.question.asking(one, role))

    def _task(self, name: str) -> tuple[Task, str]:
        if name != BASELINE:
            return self.question.candidate(name), "intermediate"
        if self.question.teacher is None:
            raise InputError(
                f"'{self.question.target.label}' has no training data to embed: its probes alone can be had"
            )
        return self.question.teacher, "target"

    def _trained(self, model: Encoder | Stage, one: Task, role: str, rung: Rung, seed: int) -> Stage:
        recipe = shortened(self.question.recipes.of((one,), role), rung.steps, one.counts.get("train"))
        taught = replace(training_set(one, self.folder), dev=None)  # nothing is chosen in so short a training
        return train(model, (taught,), recipe, seed)


def development(question: CandidateSearch, folder: Path | None) -> tuple[Task, Stage]:
    """Return the task that probes are measured on, and its data, in the language that the target is learned in.

    The target's own development data where there are such, else its teacher's; of an untrained target the pairs of the
    language to choose on. Raises InputError where there are none.
    """
    target, last = question.target, question.teacher
    code = last.trained_in[0] if last else str(target.dev_language)
    tried = [(target, "validation"), (last, "validation") if last else (target, "test")]
    for one, split in tried:
        if task_format(one.format).trainable and one.has(split, code, folder):
            return one, read(one.data(split, code, folder))
    raise InputError(f"'{target.label}' has no development data in '{code}': probes cannot be scored")


def shortened(recipe: Recipe, steps: int, count: int | None) -> Recipe:
    """Return a recipe that ends after so many steps, with as many examples as they take and as long a share of warm-up.

    count: the examples that there are, if that is known: no training becomes longer than it would have been.
    """
    limits = [recipe.max_train_examples, count]
    known = min((one for one in limits if one is not None), default=None)
    whole = recipe.steps or (math.ceil(recipe.epochs * known / recipe.batch_size) if known else None)
    steps = min(steps, whole or steps)
    share = min(recipe.warmup_steps / whole, 0.9) if whole else 0.1
    warmup = recipe.warmup_steps if recipe.warmup_steps < 1 else share
    taken = min(steps * recipe.batch_size, recipe.max_train_examples or steps * recipe.batch_size)
    return replace(recipe, steps=steps, max_train_examples=taken, warmup_steps=warmup, selection=None)


def candidates_of(target: Task, asked: str | None, folder: Path | None) -> tuple[Task, ...]:
    """Return the tasks of a list "a,b", or all that can be trained on here, but for the target and its teachers.

    Artificial tasks are candidates for artificial targets alone; raw text and pairs are not, unless they are named.
    """
    if asked:
        return tasks_of(asked)
    own = {target.name, *(one.name for one in target.target_training_tasks())}
    every = (task(name) for name in names() if name not in own)
    found = tuple(
        one for one in every if one.artificial == target.artificial and _labelled(one) and _there(one, folder)
    )
    if not found:
        raise InputError(
            f"no task has training data below {folder or '(no --data given)'}: name the folder with --data"
        )
    return found


def _labelled(one: Task) -> bool:
    format = task_format(one.format)
    return not (format.headless or format.language_model)


def _there(one: Task, folder: Path | None) -> bool:
    return all(part.has("train", code, folder) for part, code in one.training_parts())
