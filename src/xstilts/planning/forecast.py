"""Forecast: what a study would take, before there is a store, data or a network to ask.

Every run's trainings and predictions (`promises`) are counted twice: run by run, as who runs each by itself would, and
as stages, where equal ones are one. FLOPs are the ledger's (`effort`), sizes of data are what is known (`sizes`),
memory is `memory`'s and what fits is `fit`'s.

    asked = study.load(Path("studies/layerwise.py"), "full")
    forecast(asked, Gpu("H200", gib=139.8), Machine()).total.shared.flops
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from xstilts.cost import flops
from xstilts.cost.activation_memory import Device
from xstilts.errors import InputError
from xstilts.experiments.run import Run
from xstilts.experiments.study import Arm, Study
from xstilts.models.configs import config_before
from xstilts.models.encoder import Encoder
from xstilts.models.families import FAMILIES
from xstilts.models.naming import name_of
from xstilts.planning import dataset_sizes, flops_estimate, memory_fit
from xstilts.planning.dataset_sizes import Size
from xstilts.planning.flops_estimate import Effort
from xstilts.planning.planned_stages import Asked, Configuration, configuration, origin, predictions, trainings
from xstilts.runtime import progress
from xstilts.runtime.machine import GPU_TOKENS, Runtime
from xstilts.store.stage import Stage
from xstilts.tasks.base import task
from xstilts.training.memory import GIB, UNKNOWN_LABELS, Memory, Setting
from xstilts.training.recipe import Recipe
from xstilts.training.training_set import TrainingSet

T = TypeVar("T")
PRECISION = "bf16"


@dataclass(frozen=True)
class Gpu:
    """The device that a forecast is for: name, GiB, and the share of its peak that trainings are taken to reach.

    Raises InputError for a name whose peak is not known, and a share that is none.
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
        """Return a GPU of which the memory may be left out (0) where it is the usual one."""
        if not gib and name != cls.name:
            raise InputError(f"the memory of '{name}' is not known here: give its GiB with --memory")
        return cls(name, gib or cls.gib, utilisation)

    @property
    def peak(self) -> tuple[float, str]:
        """FLOP/s at most, and who says so."""
        return flops.peak(self.name, PRECISION) or (0.0, "")

    def hours(self, count: float) -> float:
        """Return how many hours so many FLOPs take."""
        return count / (self.peak[0] * self.utilisation) / 3600


@dataclass(frozen=True)
class Line:
    """A configuration: how many trainings of it, run by run and shared, what one takes, the memory and what fits.

    each, memory, fits: None where not known; why: what is not. remedy: options with which it would fit, if any.
    """

    configuration: Configuration
    naive: int
    shared: int
    each: Effort | None
    memory: Memory | None
    fits: bool | None
    remedy: str
    why: str


@dataclass(frozen=True)
class Plan:
    """How often something is done, and the FLOPs of what is known of it: trainings, and predictions in all languages.

    unknown: trainings and predictions that are not in the FLOPs.
    """

    trainings: int
    trained: Effort
    predictions: int
    predicted: Effort
    unknown: int

    @property
    def flops(self) -> float:
        """Those of trainings and predictions."""
        return self.trained.flops + self.predicted.flops


@dataclass(frozen=True)
class Sum:
    """An arm, or all of a study: its runs, planned run by run and with what is equal done once."""

    label: str
    encoder: str
    runs: int
    naive: Plan
    shared: Plan
    configurations: tuple[Configuration, ...]


@dataclass(frozen=True)
class Forecast:
    """What a study would take: configurations, arms, all of it, and the sizes that were reckoned with."""

    gpu: Gpu
    lines: tuple[Line, ...]
    arms: tuple[Sum, ...]
    total: Sum
    sizes: tuple[Size, ...]


def forecast(study: Study, gpu: Gpu, machine: Runtime) -> Forecast:
    """Return what a study would take on a GPU; nothing is built, fetched or, unless there is a data folder, read."""
    desk = _Desk(machine)
    each = [(arm, list(_runs(arm))) for arm in study.arms]
    every = [run for _, runs in each for run in runs]
    found = [stage for run in every for stage in trainings(run)]
    naive, shared = (Counter(map(configuration, stages)) for stages in (found, set(found)))
    lines = tuple(_line(one, naive[one], shared[one], gpu, desk) for one in _told(naive))
    arms = tuple(_sum(arm.label, name_of(arm.grid.encoder), runs, desk) for arm, runs in each)
    return Forecast(gpu, lines, arms, _sum("the study", "", every, desk), desk.sizes())


def _runs(arm: Arm) -> Iterator[Run]:
    grid = arm.grid
    return (run for target in grid.targets for runs in grid.runs(target).values() for run in runs)


class _Desk:
    """What a forecast looks up, each thing once: configurations of encoders, sizes of data, efforts."""

    def __init__(self, machine: Runtime) -> None:
        self.machine = machine
        self._configs: dict[Encoder | Stage, Any] = {}
        self._sizes: dict[tuple[Any, ...], Size] = {}
        self._efforts: dict[Any, Effort | None] = {}

    def config(self, encoder: Encoder | Stage) -> Any:
        """Return the configuration of an encoder; None where it is not here or of no family that is known."""
        if encoder not in self._configs:
            found = config_before(encoder, self.machine)
            self._configs[encoder] = found if found is not None and found.model_type in FAMILIES else None
        return self._configs[encoder]

    def size(self, name: str, split: str, code: str, encoder: Encoder | Stage, longest: int, most: int | None) -> Size:
        """Return the size of a split of a task; of a training split in all of its languages."""
        public = encoder if isinstance(encoder, Encoder) else None
        asked = name, split, code, public, longest, most
        if asked not in self._sizes:
            one, folder = task(name), self.machine.data
            self._sizes[asked] = (
                dataset_sizes.training(one, folder, public, longest, most)
                if split == "train"
                else dataset_sizes.split(one, split, code, folder, public, longest)
            )
        return self._sizes[asked]

    def sizes(self) -> tuple[Size, ...]:
        """Return the sizes that were asked for, those that are equal once."""
        return tuple(dict.fromkeys(self._sizes.values()))

    def training(self, one: Configuration) -> Effort | None:
        """Return what a training takes; None where that is not known."""
        if one not in self._efforts:
            self._efforts[one] = self._training(one)
        return self._efforts[one]

    def predicting(self, asked: Asked) -> Effort | None:
        """Return what a prediction takes; None where that is not known."""
        first = origin(asked.model)
        identity = replace(asked, model=first)
        if identity not in self._efforts:
            config = self.config(first)
            size = self.size(asked.target, asked.split, asked.language, first, asked.max_length, None)
            self._efforts[identity] = config and flops_estimate.predicting(config, asked.format, asked.labels, size)
        return self._efforts[identity]

    def _training(self, one: Configuration) -> Effort | None:
        recipe, config = one.recipe, self.config(one.encoder)
        taught = [
            self.size(_source(lesson), "train", "", one.encoder, recipe.max_length, recipe.max_train_examples)
            for lesson in one.lessons
        ]
        devs = [self._dev(lesson, one) if recipe.selection else None for lesson in one.lessons]
        try:
            return config and flops_estimate.training(config, recipe, one.lessons, taught, devs)
        except InputError:  # a part to train that the encoder does not have
            return None

    def _dev(self, lesson: TrainingSet, one: Configuration) -> Size:
        code = task(lesson.task).trained_in[0]
        return self.size(lesson.task, "validation", code, one.encoder, one.recipe.max_length, None)


def _source(lesson: TrainingSet) -> str:
    """Return the task whose data a lesson is taught: of a pretraining, the first text's."""
    return str(lesson.train[0].arguments["data"].task) if lesson.train else lesson.task


def _line(one: Configuration, naive: int, shared: int, gpu: Gpu, desk: _Desk) -> Line:
    """Return a configuration with its effort, its memory and whether that fits."""
    each, config = desk.training(one), desk.config(one.encoder)
    if config is None:
        why = "the encoder's configuration is not here, nor in the table of public ones"
        return Line(one, naive, shared, None, None, None, "", why)
    setting = Setting(Device("cuda", PRECISION), desk.machine.max_tokens_per_pass or GPU_TOKENS, desk.machine.recompute)
    # Of a recipe, these alone decide the memory, and labels next to nothing; the rest would make like questions unlike.
    formats = tuple(dict.fromkeys((lesson.format, UNKNOWN_LABELS) for lesson in one.lessons))
    parts = ("trainable", "optimizer", "max_length", "batch_size")
    recipe = Recipe(**{name: getattr(one.recipe, name) for name in parts})
    most = int(gpu.gib * GIB)
    try:
        memory = memory_fit.needed(config, recipe, formats, setting)
    except InputError as error:
        return Line(one, naive, shared, each, None, None, "", str(error))
    enough = memory_fit.fits(memory, most, setting.device)
    way = None if enough else memory_fit.remedy(config, recipe, formats, setting, most)
    why = "" if each else "how many examples there are is not known"
    return Line(one, naive, shared, each, memory, enough, way.said() if way else "", why)


def _told(found: Iterable[Configuration]) -> Iterator[Configuration]:
    """Yield configurations and say how far one is: each new one takes some seconds."""
    every = list(found)
    for number, one in enumerate(every, start=1):
        yield one
        progress.step("forecast", number, len(every), f"{one.tasks} on {name_of(one.encoder)}")


def _sum(label: str, encoder: str, runs: Sequence[Run], desk: _Desk) -> Sum:
    trained = [stage for run in runs for stage in trainings(run)]
    asked = [one for run in runs for one in predictions(run)]
    naive = _plan(trained, asked, desk)
    shared = _plan(_once(trained), _once(asked), desk)
    return Sum(label, encoder, len(runs), naive, shared, tuple(_once(map(configuration, trained))))


def _once(found: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(found))


def _plan(trained: Sequence[Stage], asked: Sequence[Asked], desk: _Desk) -> Plan:
    taught = Counter(map(configuration, trained))
    efforts = [(desk.training(one), count) for one, count in taught.items()]
    answers = [desk.predicting(one) for one in asked]
    unknown = sum(count for one, count in efforts if one is None) + sum(one is None for one in answers)
    training = sum((one.times(count) for one, count in efforts if one), Effort())
    return Plan(len(trained), training, len(asked), sum((one for one in answers if one), Effort()), unknown)


def _devices() -> str:
    return ", ".join(name for name, one in flops.PEAKS.items() if one.bf16)
