"""Promises: the trainings and predictions of runs, written down without data, which need not be here.

A training is told from others by its encoder, what was taught before, its tasks, recipe and seed. So what two runs
share can be counted before there is a store or a data folder.

    len(list(trainings(run))), len({stage for one in runs for stage in trainings(one)})
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from xstilts.experiments.run import Run
from xstilts.formats import task_format
from xstilts.models.encoder import Encoder
from xstilts.store.stage import Stage, lineage
from xstilts.tasks.base import Task
from xstilts.training.layer_reset import reset_layers
from xstilts.training.memory import UNKNOWN_LABELS as LABELS
from xstilts.training.recipe import Recipe
from xstilts.training.train import train
from xstilts.training.training_set import TrainingSet


@dataclass(frozen=True)
class Asked:
    """A prediction: of which model, in which split of which task and language, by which recipe's length."""

    model: Encoder | Stage
    target: str
    format: str
    labels: int
    split: str
    language: str
    max_length: int


@dataclass(frozen=True)
class Configuration:
    """What decides the cost and the memory of a training: encoder, lessons and recipe; not its seed, nor its past."""

    encoder: Encoder | Stage
    lessons: tuple[TrainingSet, ...]
    recipe: Recipe

    @property
    def tasks(self) -> str:
        """The names of what is taught."""
        return "+".join(one.task for one in self.lessons)


def trainings(run: Run) -> Iterator[Stage]:
    """Yield the trainings of a run, one after another; those of two runs that agree are equal.

    A lesson is told from others by its task and the languages of its training data.
    """
    model: Encoder | Stage = run.encoder
    yield from (one for one in reversed([*lineage(model, "encoder")]) if _is_training(one))
    for tasks, role in run.phases():
        model = train(model, _lessons(run, tasks, role), run.recipes.of(tasks, role), run.seed)
        yield model
        if role == "intermediate" and run.reset_layers:
            model = reset_layers(model, run.encoder, run.reset_layers)


def predictions(run: Run) -> list[Asked]:
    """Return the predictions of a run in every language, and those by which a layer or a threshold is chosen."""
    *_, model = [run.encoder, *trainings(run)]
    headless = task_format(run.target.format).headless or run.target.format == "masked_lm"
    last = () if headless else run.phases()[-1][0]
    length = run.max_length()
    known = run.target.labels or (last[0].labels if last else ())
    labels = 0 if headless else len(known) or LABELS
    places = [(run.split, code) for code in run.measured_languages()]
    if run.target.dev_language:
        places.append(("test", run.target.dev_language))
    if run.target.format == "bitext_mining" and run.split != "validation":
        places += [("validation", code) for code in run.measured_languages()]
    return [Asked(model, run.target.name, run.target.format, labels, part, code, length) for part, code in places]


def configuration(stage: Stage) -> Configuration:
    """Return what decides the cost of a training."""
    return Configuration(origin(stage), stage.arguments["lessons"], stage.arguments["recipe"])


def origin(model: Encoder | Stage) -> Encoder | Stage:
    """Return the encoder that the first training of a model starts from."""
    *_, found = (one for one in lineage(model, "encoder") if not _is_training(one))
    return found  # type: ignore[no-any-return]


def _lessons(run: Run, tasks: Sequence[Task], role: str) -> tuple[TrainingSet, ...]:
    found = tuple(TrainingSet(one.label, one.format, one.labels, (), None, one.metric) for one in tasks)
    if role != "intermediate" or run.mlm is None:
        return found
    text = run.mlm.task.with_training_languages(run.mlm.languages)
    return (*found, TrainingSet(text.label, "masked_lm", (), (), None, text.metric, run.mlm.weight, run.mlm.alpha))


def _is_training(model: Any) -> bool:
    return isinstance(model, Stage) and "lessons" in model.arguments
