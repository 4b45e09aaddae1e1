"""Recipe: the hyperparameters of a training, and named sets of them.

A named set gives each task in each role the hyperparameters of a paper or a script; what these do not give for a task
follows from its format.

>>> named("xtreme", "mnli", "classification", "target").learning_rate
2e-05
>>> named("xtreme", "mnli", "classification", "target", large=True).learning_rate
3e-05
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from xstilts.errors import InputError, did_you_mean
from xstilts.models.pooling import CHOICES as POOLINGS
from xstilts.models.pooling import FAMILY
from xstilts.store.identity import identity, members_of
from xstilts.training.batch_schedule import shares

OPTIMIZERS = ("adamw", "adamw8", "adafactor", "adamw:bf16", "adamw8:bf16", "adafactor:bf16")
WHOLE = (
    *("batch_size", "steps", "max_train_examples", "max_length", "query_length", "ranking_parts", "snapshots"),
    "dev_examples",
)
MOST_SNAPSHOTS = 10  # snapshots are taken at tenths of a training
TWO_WAY, ONE_WAY = RANKINGS = ("two-way", "one-way")
NEW, CONTINUED = HEADS = ("new", "continued")
OPTIONAL = ("steps", "max_train_examples", "query_length")
LEAST_LENGTH = 8  # the special tokens of a pair and a token of each text
_LAYERS = r"alternate|(?:top|bottom):0*[1-9]\d*|layers:\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*"
TRAINABLE = re.compile(
    rf"all|gradual|head|layernorm|no-embeddings|{_LAYERS}|lora:[1-9]\d*(?::[1-9]\d*)?(?:@(?:{_LAYERS}))?"
)
TRAINABLE_WORDS = "all, gradual, head, top:2, bottom:2, layers:0-3,8, alternate, layernorm, no-embeddings, lora:16"
# What other tools call a setting.
ALIASES = {
    "lr": "learning_rate",
    "learningrate": "learning_rate",
    "peak_lr": "learning_rate",
    "bs": "batch_size",
    "bsz": "batch_size",
    "batch": "batch_size",
    "train_batch_size": "batch_size",
    "per_device_train_batch_size": "batch_size",
    "epoch": "epochs",
    "num_epochs": "epochs",
    "n_epochs": "epochs",
    "num_train_epochs": "epochs",
    "max_steps": "steps",
    "num_steps": "steps",
    "train_steps": "steps",
    "examples": "max_train_examples",
    "max_examples": "max_train_examples",
    "max_train_samples": "max_train_examples",
    "max_seq_length": "max_length",
    "max_seq_len": "max_length",
    "seq_len": "max_length",
    "maxlen": "max_length",
    "warmup": "warmup_steps",
    "warmup_ratio": "warmup_steps",
    "warmup_proportion": "warmup_steps",
    "num_warmup_steps": "warmup_steps",
    "wd": "weight_decay",
    "max_grad_norm": "clip_norm",
    "grad_clip": "clip_norm",
    "clip": "clip_norm",
    "gradient_clip_val": "clip_norm",
    "trained": "trainable",
    "freeze": "trainable",
    "peft": "trainable",
    "lora": "trainable",
    "optim": "optimizer",
    "optimiser": "optimizer",
    "patience": "selection",
    "eval_steps": "selection",
    "eval_every": "selection",
    "mixing": "sampling",
    "max_query_length": "query_length",
    "gradient_accumulation_steps": "ranking_parts",
    "pooling_mode": "pooling",
    "classifier_pooling": "pooling",
}


@identity("Selection", always=("every_steps", "patience", "examples"))
@dataclass(frozen=True)
class Selection:
    """Model selection: keep the weights that score best on development data in the training language.

    Attributes:
        every_steps: Steps between two evaluations.
        patience: Evaluations without improvement after which training stops.
        examples: Development examples of an evaluation.

    Raises:
        InputError: One of them is below 1.
    """

    every_steps: int = 1000
    patience: int = 30
    examples: int = 500

    def __post_init__(self) -> None:
        values = (self.every_steps, self.patience, self.examples)
        if not all(isinstance(value, int) and not isinstance(value, bool) and value >= 1 for value in values):
            raise InputError(f"a selection counts from 1: {self}")


@identity(
    "Recipe",
    renamed={
        "max_train_examples": "examples",
        "warmup_steps": "warmup",
        "trainable": "trained",
        "optimizer": "optimiser",
    },
    always=(
        "learning_rate",
        "batch_size",
        "epochs",
        "steps",
        "max_train_examples",
        "max_length",
        "warmup_steps",
        "weight_decay",
        "clip_norm",
        "trainable",
        "sampling",
        "selection",
        "optimizer",
    ),
)
@dataclass(frozen=True)
class Recipe:
    """How weights are optimized.

    Attributes:
        learning_rate: Peak, reached after warm-up; then it falls linearly to zero.
        batch_size: Examples of a step, whatever fits in memory at once.
        epochs: Passes over the examples; in a mix, over those of all tasks together.
        steps: A fixed number of steps instead of epochs.
        max_train_examples: Most training examples of a task, drawn once.
        max_length: Most tokens of a sequence, special tokens included.
        warmup_steps: A number of steps from 1 on, a fraction of all steps below 1 (as in transformers).
        weight_decay: Decoupled, not on biases and norms.
        clip_norm: Largest norm of the gradient.
        trainable: Which weights of the encoder are trained (`models.freezing.freeze`).
        sampling: Which task of a mix a step trains on (`batch_schedule.shares`).
        selection: Model selection on development data; None: the last weights are kept.
        optimizer: One of `OPTIMIZERS`, which differ in memory (`training.optimizer`).
        snapshots: How many snapshots are kept of those at each tenth of the steps, the last ones (`snapshots.py`).
        ranking: How pairs are ranked. "two-way": mean states, each text finds its partner, scale 20; "one-way", as
            XTREME-R: a dual encoder with a tanh pooler, the first text finds the second, learned scale from 100.
        ranking_parts: In how many equal parts, of two pairs or more, the pairs of a step are ranked; a text is compared
            within its part only.
        query_length: Most tokens of a query, or of the first text of a ranked pair; None: `max_length`.
        head: "continued": start from the head of the phase before, where it has the same format and labels; else "new".
        pooling: Which state of a sequence a classification or multiple-choice head reads: the "first" or "last"
            token's, their "mean", or "family": the one that the encoder's own classes read. Experiments take the mean
            for sentence encoders unless a setting says otherwise (`models.configs.default_pooling`).
        dev_examples: Most development examples on which the trained weights are measured, the first ones.

    Raises:
        InputError: A number is out of range or of another type, or a choice is unknown.
    """

    learning_rate: float = 2e-5
    batch_size: int = 32
    epochs: float = 3.0
    steps: int | None = None
    max_train_examples: int | None = None
    max_length: int = 128
    warmup_steps: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    trainable: str = "all"
    sampling: str = "proportional"
    selection: Selection | None = None
    optimizer: str = "adamw"
    snapshots: int = 0
    ranking: str = TWO_WAY
    ranking_parts: int = 1
    query_length: int | None = None
    head: str = NEW
    pooling: str = FAMILY
    dev_examples: int = 500

    def __post_init__(self) -> None:
        positive = [name for name in WHOLE if name != "snapshots"]
        for name in (*positive, "learning_rate", "epochs", "clip_norm"):
            value = getattr(self, name)
            if value is None and name in OPTIONAL:
                continue
            _check_number(name, value, whole=name in WHOLE)
            if not 0 < value < math.inf:
                raise InputError(f"{name} must be above 0, not {value}")
        for name in ("warmup_steps", "weight_decay"):
            _check_number(name, getattr(self, name), whole=False)
        if not (0 <= self.warmup_steps < math.inf and 0 <= self.weight_decay < math.inf):
            raise InputError(
                f"warmup_steps ({self.warmup_steps}) and weight_decay ({self.weight_decay}) must be 0 or more"
            )
        _check_number("snapshots", self.snapshots, whole=True)
        if not 0 <= self.snapshots <= MOST_SNAPSHOTS:
            raise InputError(f"snapshots must be 0 to {MOST_SNAPSHOTS}, not {self.snapshots}: one a tenth of the steps")
        if self.max_length < LEAST_LENGTH:
            raise InputError(
                f"max_length {self.max_length} has no room for two texts and their special tokens: give {LEAST_LENGTH} "
                "or more"
            )
        for name, choices in (("optimizer", OPTIMIZERS), ("ranking", RANKINGS), ("head", HEADS), ("pooling", POOLINGS)):
            if getattr(self, name) not in choices:
                raise InputError(f"unknown {name} '{getattr(self, name)}'; there are {', '.join(choices)}")
        if not isinstance(self.trainable, str) or not TRAINABLE.fullmatch(self.trainable):
            raise InputError(f"unknown trainable '{self.trainable}'; give one of {TRAINABLE_WORDS}, lora:16@top:2")
        if empty := [span for span in re.findall(r"\d+-\d+", self.trainable) if int(span.split("-")[1]) < _first(span)]:
            raise InputError(f"trainable '{self.trainable}' has no layers in {empty[0]}: give the lower number first")
        if not isinstance(self.sampling, str):
            raise InputError(f"unknown sampling '{self.sampling}': give proportional, uniform or another rule")
        rule, colon, _ = self.sampling.partition(":")
        if colon and rule not in ("capped", "temperature"):
            raise InputError(f"unknown sampling '{self.sampling}': only capped:K and temperature:T have a number")
        shares((2,) * (self.sampling.count(",") + 1), self.sampling)
        if self.selection is not None and not isinstance(self.selection, Selection):
            raise InputError(f"selection must be a Selection or None, not {self.selection!r}")

    @property
    def pairs_ranked(self) -> int | None:
        """How many pairs of a step are ranked together; None: all.

        >>> Recipe(batch_size=16, ranking_parts=4).pairs_ranked
        4
        """
        return max(2, math.ceil(self.batch_size / self.ranking_parts)) if self.ranking_parts > 1 else None

    def steps_of_warmup(self, steps: int) -> int:
        """Return how many of `steps` are warm-up.

        >>> Recipe(warmup_steps=0.1).steps_of_warmup(50), Recipe(warmup_steps=500).steps_of_warmup(50)
        (5, 50)
        """
        return round(self.warmup_steps * steps) if self.warmup_steps < 1 else min(round(self.warmup_steps), steps)


def recipe_of(stored: Mapping[str, Any]) -> Recipe:
    """Return the recipe that the manifest of a training has.

    Args:
        stored: Its argument `recipe`, as keys have it: under the names in keys, without fields at their defaults.

    Returns:
        The recipe.

    >>> from xstilts.store.identity import canonical
    >>> recipe_of(canonical(Recipe(epochs=2.0, trainable="head", selection=Selection(10)))).selection.every_steps
    10
    """
    attributes = {member.name: member.attribute for member in members_of(Recipe)}
    return Recipe(**{attributes[name]: _from_key(value) for name, value in stored.items() if name in attributes})


def _from_key(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if "float" in value:
        return float(value["float"])
    return Selection(**{name: part for name, part in value.items() if name != "type"})


def _check_number(name: str, value: object, whole: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise InputError(f"{name} must be {'a whole number' if whole else 'a number'}, not {value!r}")


def _first(span: str) -> int:
    return int(span.partition("-")[0])


Overrides = Mapping[str, Any]


@dataclass(frozen=True)
class Named:
    """A named set of hyperparameters: a base, and what differs from it.

    Attributes:
        source: Where the numbers are from.
        base: For everything that is not overridden.
        formats: By task format.
        tasks: By task, in both roles.
        intermediate: Changes in the intermediate role; they take precedence over those of the format.
        targets: By task, in the target role only.
        large: By task, for encoders of the size of XLM-R Large (`models.configs.is_large`); these count most.
        mix: Changes for a training on several tasks, in either role.
        own_sizes: Each task of a mix has as many training examples as when it is trained on alone, unless a user gives
            a number for all.
        dev_tasks: By training task, the task whose development data select its weights in the target role.
        text_form: In the target role, tasks that have texts in a form of this name (`Task.forms`) are read in it.
    """

    source: str
    base: Recipe
    formats: Mapping[str, Overrides]
    tasks: Mapping[str, Overrides]
    intermediate: Overrides
    targets: Mapping[str, Overrides] = field(default_factory=dict)
    large: Mapping[str, Overrides] = field(default_factory=dict)
    mix: Overrides = field(default_factory=dict)
    own_sizes: bool = False
    dev_tasks: Mapping[str, str] = field(default_factory=dict)
    text_form: str = ""


ALL_DEV_EXAMPLES = 10_000  # PAN-X has the largest of XTREME's English development sets
NO_EARLY_STOP = 1_000_000


def _best_checkpoint(every_steps: int) -> Overrides:
    return {"selection": Selection(every_steps, patience=NO_EARLY_STOP, examples=ALL_DEV_EXAMPLES)}


# XTREME's published scripts (google-research/xtreme): the default. They train no intermediate tasks; 3 epochs there.
XTREME_LAST = Named(
    source="the set `xtreme` as it was before: 2e-5 for encoders of any size, last checkpoints, mean states ranked",
    base=Recipe(),
    formats={
        "classification": {"epochs": 5.0},
        "token_classification": {"epochs": 10.0},
        "multiple_choice": {"epochs": 5.0},
        "extractive_qa": {"learning_rate": 3e-5, "max_length": 384, "warmup_steps": 500.0, "weight_decay": 1e-4},
        "bitext_retrieval": {"max_length": 512},
        "bitext_mining": {"max_length": 512},
        "passage_ranking": {"max_length": 256},
    },
    tasks={
        "mewslix": {"max_length": 64},
        "mewslix_pairs": {"learning_rate": 1e-5, "epochs": 2.0, "max_length": 64},
        "squad_pairs": {"batch_size": 16, "max_length": 256},
        "squadshifts_pairs": {"batch_size": 16, "max_length": 256},
    },
    intermediate={"epochs": 3.0},
)
_LARGE_RATE: Overrides = {"learning_rate": 3e-5}
_DUAL_ENCODER: Overrides = {"ranking": ONE_WAY, "ranking_parts": 4}
XTREME = replace(
    XTREME_LAST,
    source="google-research/xtreme, scripts/train_*.sh",
    targets={
        "mnli": _best_checkpoint(100),
        "pawsx": _best_checkpoint(200),
        "panx": _best_checkpoint(1000),
        "udpos": _best_checkpoint(500),
        "squad_pairs": {**_DUAL_ENCODER, "query_length": 96},
        "lareqa": {"query_length": 96},
        "mewslix_pairs": {**_DUAL_ENCODER, "learning_rate": 2e-5, "batch_size": 256},
        "copa": {"head": CONTINUED},
    },
    large={
        "mnli": _LARGE_RATE,
        "siqa": _LARGE_RATE,
        "copa": _LARGE_RATE,
        "mewslix_pairs": {"learning_rate": 1e-5, "batch_size": 32},
    },
    dev_tasks={"mnli": "xnli"},
    text_form="xtreme-r",
)

# The paper's settings as jiant's guide gives them.
PHANG2020 = Named(
    source="Phang et al. 2020 (arXiv 2005.13013), jiant's XTREME guide",
    base=Recipe(
        1e-5, epochs=2.0, max_length=256, warmup_steps=0.1, weight_decay=0.01, selection=Selection(1000, 30, 500)
    ),
    formats={"token_classification": {"epochs": 10.0}, "extractive_qa": {"batch_size": 16, "max_length": 384}},
    tasks={"pawsx": {"epochs": 5.0}},
    intermediate={"epochs": 3.0},
)

# Small encoders trained from scratch on two cores: high learning rates, short sequences.
SMALL = Named(
    source="chosen here for encoders of 1-30 M parameters",
    base=Recipe(learning_rate=3e-4, epochs=3.0, warmup_steps=0.1, weight_decay=0.01),
    formats={"extractive_qa": {"max_length": 384}, "token_classification": {"epochs": 2.0}},
    tasks={},
    intermediate={},
)

# Multilingual-e5-small on two cores: about a minute a training. With few examples an intermediate task matters most.
# Small batches make as many steps as the examples allow; inference stays at chance at the rate that tagging needs.
E5_SMALL = Named(
    source="chosen here for multilingual-e5-small on two CPU cores, by English development scores of single trainings",
    base=Recipe(2e-4, 8, epochs=1.0, max_train_examples=600, warmup_steps=0.1, weight_decay=0.01, dev_examples=200),
    formats={
        "classification": {"max_train_examples": 1200, "learning_rate": 5e-5},
        "extractive_qa": {"max_train_examples": 160, "batch_size": 4, "max_length": 256, "dev_examples": 100},
    },
    tasks={},
    intermediate={},
    mix={"max_train_examples": None, "learning_rate": 1e-4},
    own_sizes=True,
)

# The sandbox's tasks on its own encoder: seconds a training.
SANDBOX = Named(
    source="chosen here for the sandbox's encoder of 0.4 M parameters",
    base=Recipe(7e-4, steps=100, max_length=96, warmup_steps=0.1, weight_decay=0.01),
    formats={},
    tasks={},
    intermediate={"steps": 300},
)

SETS: dict[str, Named] = {
    "xtreme": XTREME,
    "xtreme-last": XTREME_LAST,
    "phang2020": PHANG2020,
    "small": SMALL,
    "e5-small": E5_SMALL,
    "sandbox": SANDBOX,
}


def named(name: str, task: str, format: str, role: str, large: bool = False) -> Recipe:
    """Look up the recipe of a task.

    Args:
        name: The name of the set, a key of `SETS`.
        task: The task's name.
        format: Its task format.
        role: "intermediate" or "target".
        large: Whether the encoder has the size of XLM-R Large (`models.configs.is_large`).

    Returns:
        The set's base with what it changes for the format, the role, the task and the encoder's size, in this order.

    Raises:
        InputError: There is no such set.
    """
    if name not in SETS:
        raise InputError(f"unknown recipe '{name}'; {did_you_mean(name, SETS)}")
    chosen = SETS[name]
    changes = [
        chosen.formats.get(format, {}),
        chosen.intermediate if role == "intermediate" else {},
        chosen.tasks.get(task, {}),
        chosen.targets.get(task, {}) if role == "target" else {},
        chosen.large.get(task, {}) if large else {},
    ]
    return replace(chosen.base, **{name: value for part in changes for name, value in part.items()})


def changed(recipe: Recipe, settings: tuple[str, ...]) -> Recipe:
    """Apply settings to a recipe.

    Args:
        recipe: Is not changed.
        settings: Such as "learning_rate=1e-4" or "trainable=top:2"; the last of one name counts. "selection=500"
            evaluates on development data every 500 steps, "selection=none" keeps the last weights.

    Returns:
        A new recipe.

    Raises:
        InputError: An unknown name or a value out of range.

    >>> changed(Recipe(), ("epochs=5", "trainable=top:2")).epochs
    5.0
    """
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in {field.name for field in fields(Recipe)}:
            hint = did_you_mean(name, [field.name for field in fields(Recipe)], ALIASES)
            raise InputError(f"unknown setting '{name}'; {hint}")
        recipe = replace(recipe, **{name: _value(name, text)})
    return recipe


def _value(name: str, text: str) -> Any:
    if name in ("trainable", "sampling", "optimizer", "ranking", "head", "pooling"):
        return text
    if text.lower() == "none" and name in (*OPTIONAL, "selection"):
        return None
    is_integer = name in (*WHOLE, "selection")
    try:
        number = int(text) if is_integer else float(text)
    except ValueError:
        raise InputError(f"{name}={text}: give {'a whole number' if is_integer else 'a number'}") from None
    return Selection(every_steps=int(number)) if name == "selection" else number
