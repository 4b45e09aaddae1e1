"""Forecast: what a study would take, before there is a store, data or a network.

The stages are those of the study's own runs, over dataset splits that are only named (`splits.NamedSplits`), and are
counted twice: run by run, as if each run were built by itself ("naive"), and with equal stages built once
("shared"). FLOPs are estimated from the sizes of the data by the polynomials of the ledger (`flops_estimate`,
`dataset_sizes`), memory by `training.memory`.

    study = load(Path("studies/layerwise.py"), "full")
    forecast(study, Gpu("H200", gib=139.8), Runtime()).total.shared.flops

>>> Gpu("H200", utilisation=0.25).hours(989e12 * 3600)
4.0
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from xstilts.cost import flops
from xstilts.cost.activation_memory import Device
from xstilts.data import held_out
from xstilts.errors import InputError
from xstilts.experiments import retries, snapshot_choice
from xstilts.experiments.run import Phase, Run
from xstilts.experiments.splits import NamedSplits
from xstilts.experiments.study import Study
from xstilts.formats import task_format
from xstilts.models.configs import config_before
from xstilts.models.encoder import Encoder
from xstilts.models.families import FAMILIES
from xstilts.models.naming import name_of
from xstilts.planning import dataset_sizes, disk, flops_estimate, memory_fit
from xstilts.planning.counting_processes import count_ahead
from xstilts.planning.dataset_sizes import Size
from xstilts.planning.disk import Disk
from xstilts.planning.flops_estimate import FlopsEstimate
from xstilts.runtime import progress
from xstilts.runtime.machine import GPU_TOKENS, Runtime, usable_cores
from xstilts.runtime.text import listed
from xstilts.store.memo import memoising
from xstilts.store.stage import Stage, lineage
from xstilts.training.combine import head_training
from xstilts.training.memory import GIB, UNKNOWN_LABELS, Memory, Setting
from xstilts.training.recipe import Recipe
from xstilts.training.training_set import TrainingSet

T = TypeVar("T")
PRECISION = "bf16"


@dataclass(frozen=True)
class Gpu:
    """The GPU that a forecast is for.

    Attributes:
        name: Its name, as in `cost.flops.PEAKS`.
        gib: Its memory in GiB.
        utilisation: The share of its peak that trainings and predictions are assumed to reach.

    Raises:
        InputError: The GPU's peak is not known, or the share is not above 0 and at most 1.
    """

    name: str = "H200"
    gib: float = 139.8
    utilisation: float = 0.3

    def __post_init__(self) -> None:
        if flops.peak(self.name, PRECISION) is None:
            raise InputError(f"the peak of '{self.name}' in {PRECISION} is not known: give one of {_devices()}")
        if not 0 < self.utilisation <= 1:
            raise InputError(f"the share of the peak must be above 0 and at most 1, not {self.utilisation}")

    @classmethod
    def of(cls, name: str, gib: float, utilisation: float) -> Gpu:
        """Return a GPU.

        Args:
            name: Its name.
            gib: Its memory in GiB; 0 for the default GPU's own.
            utilisation: The share of its peak that is reached.

        Returns:
            The GPU.

        Raises:
            InputError: The memory is 0 and the GPU is not the default one.
        """
        if not gib and name != cls.name:
            raise InputError(f"the memory of '{name}' is not known here: give its GiB with --memory")
        return cls(name, gib or cls.gib, utilisation)

    @property
    def peak(self) -> tuple[float, str]:
        """Peak FLOP/s, and the source of that figure."""
        return flops.peak(self.name, PRECISION) or (0.0, "")

    def hours(self, count: float) -> float:
        """Return the hours that a number of FLOPs takes.

        Args:
            count: FLOPs.

        Returns:
            Hours at the assumed utilisation of the peak.
        """
        return count / (self.peak[0] * self.utilisation) / 3600


@dataclass(frozen=True)
class Configuration:
    """What decides the cost and the memory of a training: not its seed, and not what its encoder was trained on before.

    Attributes:
        encoder: The encoder that the first training of the run starts from.
        training_sets: What is trained on.
        recipe: The hyperparameters; the learning rate, which decides neither, is the default.
    """

    encoder: Encoder | Stage
    training_sets: tuple[TrainingSet, ...]
    recipe: Recipe

    @property
    def tasks(self) -> str:
        """The names of the training sets; masked-LM that is mixed in has the languages of its text."""
        names = (
            f"{_label(training_set)} ({training_set.shots} shots)" if training_set.shots else _label(training_set)
            for training_set in self.training_sets
        )
        return "+".join(names)


@dataclass(frozen=True)
class PlannedRun:
    """The trainings and predictions of a run.

    Attributes:
        trainings: Its trainings, the first one first, those that make its encoder included.
        predictions: Its predictions, those by which a layer or a threshold is chosen included.
    """

    trainings: tuple[Phase, ...]
    predictions: tuple[Stage, ...]


@dataclass(frozen=True)
class Line:
    """The trainings of one configuration.

    Attributes:
        configuration: The configuration.
        naive: How many trainings, run by run.
        shared: How many, with equal ones built once.
        each: FLOPs of one; None where not known.
        memory: Memory of the largest pass; None where not known.
        fits: Whether that fits the GPU; None where not known.
        remedy: Options of the command line with which it would fit; "" for none.
        why: What is not known.
        shards: Among how many GPUs it fits as it is, where one is not enough; None where it does not.
    """

    configuration: Configuration
    naive: int
    shared: int
    each: FlopsEstimate | None
    memory: Memory | None
    fits: bool | None
    remedy: str
    why: str
    shards: memory_fit.Shards | None = None


@dataclass(frozen=True)
class Plan:
    """How many stages, and their FLOPs.

    Attributes:
        trainings: Number of trainings.
        trained: Their FLOPs, as far as known.
        predictions: Number of predictions, in all languages.
        predicted: Their FLOPs, as far as known.
        unknown: Trainings and predictions that are not in the FLOPs.
    """

    trainings: int
    trained: FlopsEstimate
    predictions: int
    predicted: FlopsEstimate
    unknown: int

    @property
    def flops(self) -> float:
        """FLOPs of trainings and predictions."""
        return self.trained.flops + self.predicted.flops


@dataclass(frozen=True)
class Sum:
    """An arm, or all of a study.

    Attributes:
        label: The arm's label.
        encoder: Its encoder's name.
        runs: How many runs it has.
        naive: What they take, run by run.
        shared: What they take, with equal stages built once.
        configurations: The configurations of their trainings.
    """

    label: str
    encoder: str
    runs: int
    naive: Plan
    shared: Plan
    configurations: tuple[Configuration, ...]


@dataclass(frozen=True)
class Forecast:
    """What a study would take.

    Attributes:
        gpu: The GPU that it is for.
        lines: One for each configuration.
        arms: One for each arm.
        total: All of the study.
        sizes: The sizes of the data that the FLOPs rest on.
        held_out: Which training examples become development data, by task: sentences.
        trials: What the choice of learning rates takes beyond the runs: a sentence, "" where nothing is chosen.
        repeats: What repeated trainings may take beyond the runs: a sentence, "" where none is repeated.
        disk: What the weights of its models take on the disk.
    """

    gpu: Gpu
    lines: tuple[Line, ...]
    arms: tuple[Sum, ...]
    total: Sum
    sizes: tuple[Size, ...]
    held_out: tuple[str, ...] = ()
    trials: str = ""
    repeats: str = ""
    disk: Disk | None = None

    def encoder_sizes(self) -> dict[str, float]:
        """Return the parameters without embeddings of each arm's encoder by name, as far as they are known."""
        by_encoder: dict[str, float] = {}
        for arm in self.arms:
            of_arm = [
                line.memory.parameters - line.memory.embeddings
                for line in self.lines
                if line.configuration in arm.configurations and line.memory
            ]
            if of_arm:
                by_encoder[arm.encoder] = float(max(of_arm))
        return by_encoder


def forecast(study: Study, gpu: Gpu, machine: Runtime) -> Forecast:
    """Return what a study would take on a GPU.

    Nothing is built or downloaded. Data are read, for their sizes, only below the machine's data folder.

    Args:
        study: The study.
        gpu: The GPU: its memory, and the share of its peak that trainings reach.
        machine: Names the data folder, and limits the tokens of a pass.

    Returns:
        A line for each configuration of a training, sums for each arm and the study, and the sizes assumed.

    Raises:
        InputError: A recipe selects weights on a part of training data that are too few to be divided.
    """
    splits = NamedSplits()
    estimator = _Estimator(machine, splits)
    with memoising():
        arms = [(arm, [planned(run) for run in arm.planned().grid.all_runs(splits)]) for arm in study.arms]
        trials = [[PlannedRun(phases, ()) for phases in arm.trials(splits).values()] for arm in study.arms]
    runs_of_arms = [run for _, runs in arms for run in runs]
    every = [*runs_of_arms, *(trial for tried in trials for trial in tried)]
    stages = _stages(every)
    # Runs that share a training have equal stages, which are built once: the set has one of each.
    naive, shared = (Counter(map(configuration, group)) for group in (stages, set(stages)))
    # An encoder of which the same is trained is counted once, in one process.
    groups: dict[Any, list[Configuration]] = {}
    for planned_configuration in naive:
        group = planned_configuration.encoder, planned_configuration.recipe.trainable
        groups.setdefault(group, []).append(planned_configuration)
    count_ahead(lambda item: _line(item, naive[item], shared[item], gpu, estimator), [*groups.values()], usable_cores())
    lines = tuple(
        _line(planned_configuration, naive[planned_configuration], shared[planned_configuration], gpu, estimator)
        for planned_configuration in _with_progress(naive)
    )
    sums: list[Sum] = []
    shown: set[frozenset[Stage]] = set()
    for (arm, runs), tried in zip(arms, trials, strict=True):
        sums.append(_sum(arm.label, name_of(arm.grid.encoder), runs, estimator))
        if tried and (equal := frozenset(_stages(tried))) not in shown:  # equal trials are built once
            shown.add(equal)
            label = f"{arm.label}: tries the rates {listed(f'{rate:.3g}' for rate in arm.rates)}"
            sums.append(replace(_sum(label, name_of(arm.grid.encoder), tried, estimator), runs=0))
    total = replace(_sum("the study", "", every, estimator), runs=len(runs_of_arms))
    spare = set(_stages(trial for tried in trials for trial in tried)) - set(_stages(runs_of_arms))
    chosen = _trials(_plan(sorted(spare, key=lambda stage: stage.key), (), estimator), gpu) if spare else ""
    repeats = _repeats(study, splits, estimator, gpu) if study.retries else ""
    held_out_parts = tuple(dict.fromkeys(part for planned in naive for part in estimator.held_out(planned)))
    made = [stage for run in every for stage in (*run.predictions, *(phase.stage for phase in run.trainings))]
    needed = disk.of_stages(disk.in_order(made), machine)
    return Forecast(gpu, lines, tuple(sums), total, estimator.sizes(), held_out_parts, chosen, repeats, needed)


def planned(run: Run) -> PlannedRun:
    """Return the trainings and predictions of a run.

    Args:
        run: A run over `NamedSplits`.

    Returns:
        Its phases, and the stages of its predictions, those that choose a layer or threshold included.
    """
    scores = list(run.scores().values())
    tuned_from = [score.arguments["tuned_from"] for score in scores if score.arguments["tuned_from"]]
    choices = snapshot_choice.stages(run)
    every = (*scores, *tuned_from, *choices)
    return PlannedRun(run.phases(), tuple(_once(score.arguments["predictions"] for score in every)))


def configuration(training: Stage) -> Configuration:
    """Return what decides the cost of a training."""
    recipe = replace(training.arguments["recipe"], learning_rate=Recipe.learning_rate)
    return Configuration(_origin(training), training.arguments["training_sets"], recipe)


def _origin(model: Encoder | Stage) -> Encoder | Stage:
    """Return the encoder that the first training of a model starts from."""
    *_, first = lineage(model, "encoder")
    return first  # type: ignore[no-any-return]


def _label(training_set: TrainingSet) -> str:
    languages = (stage.arguments["data"].language for stage in training_set.train)
    return training_set.task if training_set.weight is None else f"{training_set.task}:{'+'.join(languages)}"


class _Estimator:
    """Configurations of encoders, sizes of data and FLOPs, each worked out once for a forecast."""

    def __init__(self, machine: Runtime, splits: NamedSplits) -> None:
        self.machine, self.splits = machine, splits
        self._configs: dict[Encoder | Stage, Any] = {}
        self._sizes: dict[tuple[Any, ...], Size] = {}
        self._trainings: dict[Configuration, FlopsEstimate | None] = {}
        self._predictions: dict[tuple[Any, ...], FlopsEstimate | None] = {}

    def config(self, encoder: Encoder | Stage) -> Any:
        """Return the configuration of an encoder; None where it is not here or of an unknown family."""
        if encoder not in self._configs:
            config = config_before(encoder, self.machine)
            self._configs[encoder] = config if config is not None and config.model_type in FAMILIES else None
        return self._configs[encoder]

    def sizes(self) -> tuple[Size, ...]:
        """Return the sizes that were needed, equal ones once."""
        return tuple(dict.fromkeys(self._sizes.values()))

    def training(self, planned: Configuration) -> FlopsEstimate | None:
        """Return the FLOPs of a training; None where they are not known."""
        if planned not in self._trainings:
            self._trainings[planned] = self._training(planned)
        return self._trainings[planned]

    def prediction(self, stage: Stage) -> FlopsEstimate | None:
        """Return the FLOPs of a prediction; None where they are not known."""
        model, data, format, length = (stage.arguments[name] for name in ("model", "data", "format", "max_length"))
        encoder, labels = _origin(model), _labels(model, data, format)
        identity = encoder, data, format, labels, length
        if identity not in self._predictions:
            config, size = self.config(encoder), self._split_size(data, encoder, length)
            self._predictions[identity] = config and flops_estimate.prediction(config, format, labels, size)
        return self._predictions[identity]

    def _training(self, planned: Configuration) -> FlopsEstimate | None:
        recipe, config = planned.recipe, self.config(planned.encoder)
        train = [self._training_size(training_set, planned) for training_set in planned.training_sets]
        dev = [self._dev_size(training_set, planned) for training_set in planned.training_sets]
        try:
            return config and flops_estimate.training(config, recipe, planned.training_sets, train, dev)
        except InputError:  # a part to train that the encoder does not have
            return None

    def _split_size(self, data: Stage, encoder: Encoder | Stage, max_length: int) -> Size:
        public = encoder if isinstance(encoder, Encoder) else None
        identity = data, public, max_length
        if identity not in self._sizes:
            task, split = self.splits.task_of(data), data.arguments["data"]
            self._sizes[identity] = dataset_sizes.split(
                task, split.split, split.language, self.machine.data, public, max_length
            )
        return self._sizes[identity]

    def _dev_size(self, training_set: TrainingSet, planned: Configuration) -> Size | None:
        """Return the size of the data that a selection evaluates on; None where nothing is evaluated."""
        if planned.recipe.selection is None:
            return None
        if training_set.dev:
            return self._split_size(training_set.dev, planned.encoder, planned.recipe.max_length)
        if training_set.held_out:
            full_size = self._size_of_train(training_set, planned, None)
            return replace(full_size, examples=_held_out(training_set, full_size))
        return None

    def held_out(self, planned: Configuration) -> Iterator[str]:
        """Yield which training examples of a configuration are held out as development data.

        Raises:
            InputError: There are too few training examples to be divided.
        """
        for training_set in planned.training_sets:
            if not training_set.held_out or training_set.dev:
                continue
            total = self._size_of_train(training_set, planned, None).examples
            if total is None:
                yield f"{training_set.task} has no development data: a part of its training examples is held out"
                continue
            count = held_out.size(int(total), most=training_set.held_out)
            if count < 2:
                raise InputError(
                    f"'{training_set.task}' has no validation split, and {total:,.0f} training examples are too few to "
                    "hold some out: give more rows, a validation file, or selection=none to keep the last weights"
                )
            yield (
                f"{training_set.task} has no development data: about {count:,} of {total:,.0f} training examples "
                "are held out"
            )

    def _training_size(self, training_set: TrainingSet, planned: Configuration) -> Size:
        most = training_set.most_examples(planned.recipe)
        if training_set.shots:
            full_size = self._size_of_train(training_set, planned, None)
            counted = full_size.examples is not None and full_size.source.startswith("examples: data")
            if counted and (full_size.examples or 0) < training_set.shots:
                drawn_from = f"{full_size.examples:,.0f} training examples of '{training_set.task}'"
                raise InputError(f"{training_set.shots} shots are more than the {drawn_from}: give fewer")
            return replace(full_size, examples=float(min(training_set.shots, most or training_set.shots)))
        size = self._size_of_train(training_set, planned, most)
        if not training_set.held_out or size.examples is None:
            return size
        full_size = self._size_of_train(training_set, planned, None)
        count = _held_out(training_set, full_size)
        if full_size.examples is None or count is None:
            return size
        return replace(size, examples=min(size.examples, full_size.examples - count))

    def _size_of_train(self, training_set: TrainingSet, planned: Configuration, most: int | None) -> Size:
        public = planned.encoder if isinstance(planned.encoder, Encoder) else None
        length = planned.recipe.max_length
        identity = training_set, public, length, most
        if identity not in self._sizes:
            parts = [(self.splits.task_of(data), data.arguments["data"].language) for data in training_set.train]
            self._sizes[identity] = dataset_sizes.of_parts(
                _label(training_set), training_set.format, parts, self.machine.data, public, length, most
            )
        return self._sizes[identity]


def _held_out(training_set: TrainingSet, size: Size) -> float | None:
    """Return how many of the training examples are held out as development data; None where their number is unknown."""
    if size.examples is None:
        return None
    languages = max(len(training_set.train), 1)
    most = math.ceil(training_set.held_out / languages)
    return float(languages * held_out.size(round(size.examples / languages), most=most))


def _labels(model: Encoder | Stage, data: Stage, format: str) -> int:
    """Return how many labels the head has that predicts data."""
    if task_format(format).headless or task_format(format).language_model:
        return 0
    trained = head_training(model).arguments["training_sets"][-1].labels if isinstance(model, Stage) else ()
    return len(data.arguments["data"].labels or trained) or UNKNOWN_LABELS


def _line(planned: Configuration, naive: int, shared: int, gpu: Gpu, estimator: _Estimator) -> Line:
    """Return the line of a configuration: its FLOPs, its memory, and whether that fits."""
    per_training, config = estimator.training(planned), estimator.config(planned.encoder)
    if config is None:
        why = "the encoder's configuration is not here, nor in the table of public ones"
        return Line(planned, naive, shared, None, None, None, "", why)
    machine = estimator.machine
    setting = Setting(Device("cuda", PRECISION), machine.max_tokens_per_pass or GPU_TOKENS, machine.recompute)
    # Of a recipe these alone decide the memory, and the number of labels next to nothing: others would only miss the
    # cache of estimates.
    formats = tuple(dict.fromkeys((training_set.format, UNKNOWN_LABELS) for training_set in planned.training_sets))
    parts = ("trainable", "optimizer", "max_length", "batch_size")
    recipe = Recipe(**{name: getattr(planned.recipe, name) for name in parts})
    most = int(gpu.gib * GIB)
    try:
        memory = memory_fit.needed(config, recipe, formats, setting)
    except InputError as error:
        return Line(planned, naive, shared, per_training, None, None, "", str(error))
    enough = memory_fit.fits(memory, most, setting.device)
    way = None if enough else memory_fit.remedy(config, recipe, formats, setting, most)
    why = "" if per_training else "how many examples there are is not known"
    shards = None if enough else memory_fit.sharded(config, recipe, formats, setting, most)
    return Line(planned, naive, shared, per_training, memory, enough, way.options() if way else "", why, shards)


def _with_progress(configurations: Iterable[Configuration]) -> Iterator[Configuration]:
    """Yield configurations and report progress: each new one takes some seconds."""
    every = list(configurations)
    for number, planned in enumerate(every, start=1):
        yield planned
        progress.step("forecast", number, len(every), f"{planned.tasks} on {name_of(planned.encoder)}")


def _sum(label: str, encoder: str, runs: Sequence[PlannedRun], estimator: _Estimator) -> Sum:
    trainings = _stages(runs)
    predictions = [prediction for run in runs for prediction in run.predictions]
    naive = _plan(trainings, predictions, estimator)
    shared = _plan(_once(trainings), _once(predictions), estimator)
    return Sum(label, encoder, len(runs), naive, shared, tuple(_once(map(configuration, trainings))))


def _stages(runs: Iterable[PlannedRun]) -> list[Stage]:
    return [phase.stage for run in runs for phase in run.trainings]


def _trials(spare: Plan, gpu: Gpu) -> str:
    """Return what the trainings take that only choose learning rates, in a sentence."""
    unknown = "at least " if spare.unknown else ""
    return (
        "arms choose their learning rates on development data, with one seed and no target; trainings that nothing "
        f"else uses: {spare.trainings:,}, {unknown}{gpu.hours(spare.flops):,.3g} GPU-hours"
    )


def _repeats(study: Study, splits: NamedSplits, estimator: _Estimator, gpu: Gpu) -> str:
    """Return what trainings may take at most that repeat others which end no better than chance, in a sentence."""
    with memoising():
        left = {stage: count for arm in study.arms for stage, count in arm.planned().grid.trainings(splits).items()}
    most = _plan([stage for stage, count in left.items() for _ in range(count)], (), estimator)
    hours = f"{'at least ' if most.unknown else ''}{gpu.hours(most.flops):,.3g} GPU-hours"
    return f"{retries.rule(study.retries)}: at most {most.trainings:,} further trainings, {hours} for all of them"


def _once(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))


def _plan(trainings: Sequence[Stage], predictions: Sequence[Stage], estimator: _Estimator) -> Plan:
    counts = Counter(map(configuration, trainings))
    trained = [(estimator.training(planned), count) for planned, count in counts.items()]
    predicted = [estimator.prediction(stage) for stage in predictions]
    unknown = sum(count for estimate, count in trained if estimate is None) + sum(
        estimate is None for estimate in predicted
    )
    training = sum((estimate.times(count) for estimate, count in trained if estimate), FlopsEstimate())
    prediction = sum((estimate for estimate in predicted if estimate), FlopsEstimate())
    return Plan(len(trainings), training, len(predictions), prediction, unknown)


def _devices() -> str:
    return ", ".join(name for name, peaks in flops.PEAKS.items() if peaks.bf16)
