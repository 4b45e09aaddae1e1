"""Training sets: what a training learns from, as identity and as encoded data.

A `TrainingSet` is part of a stage's key: stages of data, how they are labelled, how progress is measured. An
`EncodedTrainingSet` is the same, read and encoded with one tokenizer.

>>> TrainingSet("masked_lm", "masked_lm", (), (), None, "mlm_loss").alpha
1.0
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from xstilts.data import examples
from xstilts.data.dataset import EXAMPLES
from xstilts.data.examples import Example, TaggingExample
from xstilts.errors import InputError
from xstilts.formats import Format, task_format
from xstilts.models.batch import ModelInput
from xstilts.models.encoder import Encoder
from xstilts.models.tokenization import Tokenizer
from xstilts.models.word_tokenization import word_tokenization
from xstilts.store.identity import identity
from xstilts.store.names import format_in_keys
from xstilts.store.stage import BuildContext, Stage
from xstilts.training import batch_schedule
from xstilts.training.recipe import Recipe

DEV_EXAMPLES = 500


@identity("Lesson", renamed={"format": "kind"}, always=("weight", "alpha"), encoded={"format": format_in_keys})
@dataclass(frozen=True)
class TrainingSet:
    """The training data of a task, how they are labelled, and how progress on them is measured.

    Args:
        task: Its name, also that of the network's head.
        format: The task format of the examples.
        labels: In the order of the logits; empty: those that occur in the training data.
        train: Stages of training data, one a language.
        dev: Stage of development data; None: progress is not measured.
        metric: Scores the development data.
        weight: Of the loss of a batch that is added to every step; None: the set takes turns by the sampling rule.
        alpha: Below 1, smaller languages are drawn more often, p ~ n ** alpha.
        words: How words are tokenized, where it is not as in the first release (`models.word_tokenization`).
    """

    task: str
    format: str
    labels: tuple[str, ...]
    train: tuple[Stage, ...]
    dev: Stage | None
    metric: str
    weight: float | None = None
    alpha: float = 1.0
    words: str = ""

    def read_by(self, encoder: Encoder | Stage) -> TrainingSet:
        """Return the training set as an encoder's tokenizer reads it, which is part of a training's key.

        Args:
            encoder: What the training starts from.
        """
        words = word_tokenization(encoder, self.format)
        return self if words == self.words else replace(self, words=words)


@dataclass
class EncodedTrainingSet:
    """A training set that is ready for training.

    Args:
        training_set: What was read and encoded.
        format: Its task format.
        labels: In the order of the logits.
        inputs: Encoded training examples.
        languages: For each input, the number of its stage among `training_set.train`.
        dev: Development examples.
        cut: Counts of what did not fit into the maximum length.
        dev_inputs: Encoded development examples.
    """

    training_set: TrainingSet
    format: Format
    labels: tuple[str, ...]
    inputs: list[ModelInput]
    languages: list[int]
    dev: list[Example]
    cut: Counter[str] = field(default_factory=Counter)
    dev_inputs: list[ModelInput] = field(default_factory=list)

    def scheduled(self) -> batch_schedule.ScheduledSet:
        """Return what the order of its examples depends on."""
        lengths = np.array([model_input.length for model_input in self.inputs])
        every_step = self.training_set.weight is not None
        return batch_schedule.ScheduledSet(lengths, np.array(self.languages), self.training_set.alpha, every_step)


def encode_training_set(
    training_set: TrainingSet, context: BuildContext, tokenizer: Tokenizer, recipe: Recipe
) -> EncodedTrainingSet:
    """Read and encode training and development data.

    Args:
        training_set: What to read.
        context: Of the stage that trains; finds the folders of the data.
        tokenizer: The encoder's.
        recipe: Gives the maximum length, the most training examples and the development examples of a selection.

    Raises:
        InputError: There are no training examples.
    """
    task = task_format(training_set.format)
    dev_examples = max(DEV_EXAMPLES, recipe.selection.examples if recipe.selection else 0)
    by_language = [_examples(data, training_set.format, context) for data in training_set.train]
    dev = _examples(training_set.dev, training_set.format, context)[:dev_examples]
    encoded = EncodedTrainingSet(training_set, task, _labels(training_set, by_language), [], [], dev)
    for number, whole in enumerate(by_language):
        drawn = _drawn(whole, recipe.max_train_examples)
        inputs = task.encode(drawn, tokenizer, recipe.max_length, encoded.labels, encoded.cut)
        encoded.inputs += inputs
        encoded.languages += [number] * len(inputs)
    if not encoded.inputs:
        raise InputError(f"nothing to learn: the training data of '{training_set.task}' is empty")
    encoded.dev_inputs = task.encode(dev, tokenizer, recipe.max_length, encoded.labels, Counter())
    return encoded


def _labels(training_set: TrainingSet, by_language: list[list[Example]]) -> tuple[str, ...]:
    """Return the set's labels, or else the tags that occur in its training data."""
    tagged = (example for part in by_language for example in part if isinstance(example, TaggingExample))
    return training_set.labels or tuple(sorted({tag for example in tagged for tag in example.tags}))


def _examples(data: Stage | None, format: str, context: BuildContext) -> list[Example]:
    return list(examples.read(context.path(data) / EXAMPLES, format)) if data else []


def _drawn(examples: list[Example], most: int | None) -> list[Example]:
    """Return at most so many examples, the same ones for every seed."""
    if most is None or most >= len(examples):
        return examples
    chosen = np.random.default_rng(0).choice(len(examples), size=most, replace=False)
    return [examples[number] for number in np.sort(chosen)]
