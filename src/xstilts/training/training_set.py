"""Training sets: the data of a training, as part of its key and as model inputs.

A `TrainingSet` is part of a stage's key: stages of data, how they are labelled, how progress is measured. An
`EncodedTrainingSet` is the same, read and encoded with one tokenizer.

>>> TrainingSet("masked_lm", "masked_lm", (), (), None, "mlm_loss").alpha
1.0
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from xstilts.data import examples, few_shot, held_out
from xstilts.data.dataset import EXAMPLES
from xstilts.data.examples import Example, TaggingExample
from xstilts.errors import InputError
from xstilts.formats import Format, in_languages, task_format
from xstilts.models.batch import ModelInput
from xstilts.models.encoder import Encoder
from xstilts.models.tokenization import Tokenizer
from xstilts.models.word_tokenization import word_tokenization
from xstilts.runtime import progress
from xstilts.store.identity import identity
from xstilts.store.names import format_in_keys
from xstilts.store.stage import BuildContext, Stage
from xstilts.training import batch_schedule
from xstilts.training.recipe import Recipe


@identity("Lesson", renamed={"format": "kind"}, always=("weight", "alpha"), encoded={"format": format_in_keys})
@dataclass(frozen=True)
class TrainingSet:
    """The training data of a task, how they are labelled, and how progress on them is measured.

    Attributes:
        task: Its name, also that of the network's head.
        format: The task format of the examples.
        labels: The labels, in the order of the logits; empty: those that occur in the training data.
        train: Stages of training data, one a language.
        dev: Stage of development data; None: progress is not measured.
        metric: Scores the development data.
        weight: Weight of this set's loss, which is added to that of every step; None: the set takes turns with others.
        alpha: Below 1, smaller languages are drawn more often, p ~ n ** alpha.
        held_out: Without `dev`: at most so many training examples become development data, and are not trained on.
        words: How words are tokenized, where it is not as in the first release (`models.word_tokenization`).
        shots: So many examples of all training data are drawn (`data.few_shot.drawn`); 0: all are trained on.
        draw: Which of them are drawn.
        max_train_examples: Most training examples of this set, where it is not the recipe's number; None: that.
    """

    task: str
    format: str
    labels: tuple[str, ...]
    train: tuple[Stage, ...]
    dev: Stage | None
    metric: str
    weight: float | None = None
    alpha: float = 1.0
    held_out: int = 0
    words: str = ""
    shots: int = 0
    draw: int = 1
    max_train_examples: int | None = None

    def read_by(self, encoder: Encoder | Stage) -> TrainingSet:
        """Return the training set as an encoder's tokenizer reads it, which is part of a training's key.

        Args:
            encoder: What the training starts from.
        """
        words = word_tokenization(encoder, self.format)
        return self if words == self.words else replace(self, words=words)

    def most_examples(self, recipe: Recipe) -> int | None:
        """Return the most training examples of the set under a recipe; None: all."""
        return self.max_train_examples or recipe.max_train_examples

    @property
    def selects(self) -> bool:
        """Whether its development scores can select weights: it takes turns, and has a head that answers."""
        task = task_format(self.format)
        return self.weight is None and not (task.headless or task.language_model)


@dataclass
class EncodedTrainingSet:
    """A training set that is ready for training.

    Attributes:
        training_set: What was read and encoded.
        format: Its task format.
        labels: The labels, in the order of the logits.
        inputs: Encoded training examples.
        languages: For each input, the number of its stage among `training_set.train`.
        dev: Development examples, those held out included.
        cut: Counts of what did not fit into the maximum length.
        dev_inputs: Encoded development examples.
        seen: The first training examples, where there are no development examples: they tell chance from learning.
        seen_inputs: The encoded ones of these.
    """

    training_set: TrainingSet
    format: Format
    labels: tuple[str, ...]
    inputs: list[ModelInput]
    languages: list[int]
    dev: list[Example]
    cut: Counter[str] = field(default_factory=Counter)
    dev_inputs: list[ModelInput] = field(default_factory=list)
    seen: list[Example] = field(default_factory=list)
    seen_inputs: list[ModelInput] = field(default_factory=list)

    def scheduled(self) -> batch_schedule.ScheduledSet:
        """Return what the order of its examples depends on."""
        lengths = np.array([model_input.length for model_input in self.inputs])
        every_step = self.training_set.weight is not None
        return batch_schedule.ScheduledSet(lengths, np.array(self.languages), self.training_set.alpha, every_step)


def with_development_data(
    training_sets: Sequence[TrainingSet], recipe: Recipe
) -> tuple[tuple[TrainingSet, ...], Recipe]:
    """Give a recipe that selects weights the development data that it needs.

    Args:
        training_sets: All sets of a training.
        recipe: Its recipe.

    Returns:
        The sets, of which those without development data hold out a part of their training examples, and the recipe.
        Where no set can be scored (raw text, or an encoder without a head), the recipe keeps the last weights.
    """
    selection = recipe.selection
    if selection is None:
        return tuple(training_sets), recipe
    if not any(training_set.selects for training_set in training_sets):
        return tuple(training_sets), replace(recipe, selection=None)
    with_dev = [
        replace(training_set, held_out=selection.examples)
        if training_set.selects and training_set.dev is None
        else training_set
        for training_set in training_sets
    ]
    return tuple(with_dev), recipe


def encode_training_set(
    training_set: TrainingSet,
    context: BuildContext,
    tokenizer: Tokenizer,
    recipe: Recipe,
    languages: bool = False,
) -> EncodedTrainingSet:
    """Read and encode training and development data.

    Args:
        training_set: What to read.
        context: The context of the stage that trains; finds the folders of the data.
        tokenizer: The tokenizer of the encoder.
        recipe: Gives the maximum length, the most training examples and the development examples of a selection.
        languages: Whether the encoder reads the language of a text.

    Returns:
        The model inputs of both, with the labels in the order of their numbers.

    Raises:
        InputError: There are no training examples, or too few to hold one out or to draw as many as there are shots.
    """
    task = task_format(training_set.format)
    dev_examples = max(recipe.dev_examples, recipe.selection.examples if recipe.selection else 0)
    by_language = [_examples(data, training_set.format, context) for data in training_set.train]
    labels = _labels(training_set, by_language)
    codes = [_language(data) for data in training_set.train]
    if training_set.shots:
        together = [example for part in by_language for example in part]
        by_language = [few_shot.drawn(together, training_set.shots, training_set.draw)]
    if training_set.held_out and training_set.dev is None:
        by_language, held = _held_out(training_set, by_language)
        dev = [example for part in held for example in part]
        dev_codes = [code for code, part in zip(codes, held, strict=True) for _ in part]
    else:
        dev = _examples(training_set.dev, training_set.format, context)[:dev_examples]
        dev_codes = [_language(training_set.dev)] * len(dev)
    encoded = EncodedTrainingSet(training_set, task, labels, [], [], dev)

    def model_inputs(some: list[Example], languages_of: list[str], cut: Counter[str]) -> list[ModelInput]:
        inputs = task.encode(some, tokenizer, recipe.max_length, labels, cut, recipe.query_length)
        return in_languages(inputs, some, languages_of) if languages else inputs

    seen_codes: list[str] = []
    for number, language_examples in enumerate(by_language):
        drawn = _drawn(language_examples, training_set.most_examples(recipe))
        inputs = model_inputs(drawn, [codes[number]] * len(drawn), encoded.cut)
        encoded.inputs += inputs
        encoded.languages += [number] * len(inputs)
        if not (dev or task.language_model or task.headless):
            first = drawn[: math.ceil(recipe.dev_examples / len(by_language))]
            # Translations of one example have its id.
            encoded.seen += [replace(example, id=f"{number}/{example.id}") for example in first]
            seen_codes += [codes[number]] * len(first)
    if not encoded.inputs:
        raise InputError(f"nothing to learn: the training data of '{training_set.task}' is empty")
    encoded.dev_inputs = model_inputs(dev, dev_codes, Counter())
    encoded.seen_inputs = model_inputs(encoded.seen, seen_codes, Counter())
    return encoded


def _language(data: Stage | None) -> str:
    return data.arguments["data"].language if data else ""


def _held_out(
    training_set: TrainingSet, by_language: list[list[Example]]
) -> tuple[list[list[Example]], list[list[Example]]]:
    """Split training examples, by language, into those to train on and development examples.

    Which examples are held out depends on their texts alone, not on the seed.
    """
    most = math.ceil(training_set.held_out / max(len(by_language), 1))
    kept: list[list[Example]] = []
    dev: list[list[Example]] = []
    for part in by_language:
        try:
            splits = held_out.divided(part, ("validation",), most=most)
        except InputError as error:
            remedy = "or selection=none to keep the last weights"
            raise InputError(f"'{training_set.task}' has no validation split: {error}, {remedy}") from None
        kept.append(splits["train"])
        dev.append(splits["validation"])
    total = sum(map(len, by_language))
    progress.note(
        f"{training_set.task}: no validation split; {sum(map(len, dev))} of {total} training examples are held out"
    )
    return kept, dev


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
