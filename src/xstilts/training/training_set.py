"""Lesson: what a training teaches, and the same made ready for the loop.

A lesson is identity: stages of data, how they are labelled, how progress is measured. A pupil is the lesson read and
encoded with one tokenizer.

>>> TrainingSet("masked_lm", "masked_lm", (), (), None, "mlm_loss").alpha
1.0
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from xstilts.data import examples
from xstilts.data.dataset import EXAMPLES
from xstilts.data.examples import Example, TaggingExample
from xstilts.errors import InputError
from xstilts.formats import Format, task_format
from xstilts.models.batch import ModelInput
from xstilts.models.tokenization import Tokenizer
from xstilts.store.identity import identity
from xstilts.store.names import format_in_keys
from xstilts.store.stage import BuildContext, Stage
from xstilts.training import batch_schedule
from xstilts.training.recipe import Recipe

DEV_EXAMPLES = 500


@identity("Lesson", renamed={"format": "kind"}, always=("weight", "alpha"), encoded={"format": format_in_keys})
@dataclass(frozen=True)
class TrainingSet:
    """What is taught: a task's training data (one stage a language), how it is labelled, and how progress is measured.

    labels: empty where the training data say which there are.

    weight: of the loss of a batch that this lesson adds to every step; None: it takes its turn by the sampling rule.
    alpha: below 1, smaller languages are drawn more often, p ~ n ** alpha.
    """

    task: str
    format: str
    labels: tuple[str, ...]
    train: tuple[Stage, ...]
    dev: Stage | None
    metric: str
    weight: float | None = None
    alpha: float = 1.0


@dataclass
class EncodedTrainingSet:
    """A lesson made ready: its format, labels, training units, the language of each, and its development examples."""

    lesson: TrainingSet
    format: Format
    labels: tuple[str, ...]
    units: list[ModelInput]
    languages: list[int]
    dev: list[Example]
    cut: Counter[str] = field(default_factory=Counter)
    dev_units: list[ModelInput] = field(default_factory=list)

    def scheduled(self) -> batch_schedule.ScheduledSet:
        """Return what the order of examples depends on."""
        lengths = np.array([unit.length for unit in self.units])
        companion = self.lesson.weight is not None
        return batch_schedule.ScheduledSet(lengths, np.array(self.languages), self.lesson.alpha, companion)


def encode_training_set(
    lesson: TrainingSet, site: BuildContext, tokens: Tokenizer, recipe: Recipe
) -> EncodedTrainingSet:
    """Read and encode a lesson's training and development data."""
    how = task_format(lesson.format)
    looked_at = max(DEV_EXAMPLES, recipe.selection.examples if recipe.selection else 0)
    heaps = [_examples(data, lesson.format, site) for data in lesson.train]
    pupil = EncodedTrainingSet(
        lesson, how, _labels(lesson, heaps), [], [], _examples(lesson.dev, lesson.format, site)[:looked_at]
    )
    for number, heap in enumerate(heaps):
        examples = _drawn(heap, recipe.max_train_examples)
        units = how.encode(examples, tokens, recipe.max_length, pupil.labels, pupil.cut)
        pupil.units += units
        pupil.languages += [number] * len(units)
    if not pupil.units:
        raise InputError(f"nothing to learn: the training data of '{lesson.task}' is empty")
    pupil.dev_units = how.encode(pupil.dev, tokens, recipe.max_length, pupil.labels, Counter())
    return pupil


def _labels(lesson: TrainingSet, heaps: list[list[Example]]) -> tuple[str, ...]:
    """Return the lesson's labels, or the tags that occur in its training data."""
    found = {tag for heap in heaps for one in heap if isinstance(one, TaggingExample) for tag in one.tags}
    return lesson.labels or tuple(sorted(found))


def _examples(data: Stage | None, format: str, site: BuildContext) -> list[Example]:
    return list(examples.read(site.path(data) / EXAMPLES, format)) if data else []


def _drawn(examples: list[Example], most: int | None) -> list[Example]:
    """Return at most so many examples, the same ones for every seed."""
    if most is None or most >= len(examples):
        return examples
    chosen = np.random.default_rng(0).choice(len(examples), size=most, replace=False)
    return [examples[number] for number in np.sort(chosen)]
