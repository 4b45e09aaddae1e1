"""Grid: targets × settings of the intermediate phase × seeds, the baseline always among the settings.

It is what `xstilts run` builds: the stages of every run, shared where runs agree, and a score table for each target.

>>> encoder = Encoder("tiny", "0" * 64, "/nowhere")
>>> grid = Grid(encoder, tasks_of("sandbox_qa"), (tasks_of("sandbox_cloze"),), Recipes("sandbox"), seeds=2)
>>> {setting: len(runs) for setting, runs in grid.runs(grid.targets[0]).items()}
{'baseline': 2, 'sandbox_cloze': 2}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, product
from pathlib import Path

from xstilts.errors import InputError
from xstilts.experiments import preflight, retries, snapshot_choice
from xstilts.experiments.few_shot import FewShot
from xstilts.experiments.run import MaskedLmMixing, Recipes, Run, check_oracle, check_split
from xstilts.experiments.score_table import BASELINE, ScoreTable, collect
from xstilts.experiments.splits import Splits
from xstilts.experiments.translated_splits import Translation
from xstilts.formats import task_format
from xstilts.models.encoder import Encoder
from xstilts.runtime import progress
from xstilts.runtime.machine import KEEP_ALL, Runtime
from xstilts.store import local_executor, names
from xstilts.store.build import is_built
from xstilts.store.local_executor import Unbuilt
from xstilts.store.memo import memoising
from xstilts.store.stage import Stage, generations, with_inputs
from xstilts.tasks.base import Task, task
from xstilts.training.combine import Averaging, averaging, check_members, composition, made_from

Tasks = tuple[Task, ...]

MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Grid:
    """Runs that differ in target, intermediate tasks and seed only.

    Attributes:
        encoder: A public encoder, or the stage that makes one.
        targets: The tasks that are measured.
        settings: The mixes of intermediate tasks; the baseline, without any, is added.
        recipes: Recipes of all runs.
        seeds: How many seeds; they are 1, 2, ….
        target_training_tasks: Tasks to train on for a target instead of its own, by target, or under "" for all
        targets. mlm: Masked-LM mixed into the intermediate phase of every setting.
        split: Split that is measured.
        only_languages: Languages to measure; none: all of a target's.
        reset_layers: Layers that get the encoder's weights back after the intermediate phase.
        average: Weights to average at the end of runs: "seeds" (all of them), "seeds:3" (each three of them), "last:5".
        combine: How intermediate tasks, each trained alone, become one encoder (`Run.combine`).
        oracle: Among how many snapshots of target trainings development data choose, for a column of their own.
        translation: Training or test data that are translated in every run; None: none are.
        few_shot: A further training on few examples of each measured language.
        retries: How often a training that ends no better than chance on development data of its training language is
            repeated with another seed (`experiments.retries`).
        collapsed: Keys of trainings that are known to have ended so, as `resolved` finds them in a store.

    Raises:
        InputError: Two settings have the same name, or masked-LM is given and no setting.
    """

    encoder: Encoder | Stage
    targets: Tasks
    settings: tuple[Tasks, ...]
    recipes: Recipes
    seeds: int
    target_training_tasks: Mapping[str, Tasks] = field(default_factory=dict)
    mlm: MaskedLmMixing | None = None
    split: str = "test"
    only_languages: tuple[str, ...] = ()
    reset_layers: str = ""
    average: str = ""
    combine: str = ""
    oracle: int = 0
    translation: Translation | None = None
    few_shot: FewShot | None = None
    retries: int = 0
    collapsed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        check_split(self.split)
        if isinstance(self.seeds, bool) or not isinstance(self.seeds, int) or self.seeds < 1:
            raise InputError(f"seeds must be a whole number of 1 or more, not {self.seeds!r}: seeds are 1, 2, …")
        if self.seeds > MOST_SEEDS:
            raise InputError(f"{self.seeds} seeds are more than a grid can have: give {MOST_SEEDS} at most")
        retries.check(self.retries, self.seeds)
        if self.mlm and not self.settings:
            raise InputError("masked-LM runs beside intermediate tasks, and there are none: give --intermediate")
        if self.combine and not self.settings:
            raise InputError("a composition is of intermediate trainings, and there are none: give --intermediate")
        check_oracle(self.oracle, self.average, self.split)
        for setting in self.settings if self.combine else ():
            check_members(composition(self.combine), len(setting))
        if self.seeds % self._averaging.seeds:
            raise InputError(
                f"{self.seeds} seeds are no whole number of averages of {self._averaging.seeds}: give --seeds "
                f"{self.seeds // self._averaging.seeds * self._averaging.seeds or self._averaging.seeds}"
            )
        names = [self.named(setting) for setting in self.settings]
        if len(set(names)) < len(names):
            raise InputError(f"settings of one grid need names that differ: {', '.join(names)}; run them one by one")

    def runs(self, target: Task, data: Splits | Path | None = None) -> dict[str, list[Run]]:
        """Return the runs of a target by setting, one a seed (or an average over seeds), the baseline first.

        Args:
            target: One of the targets.
            data: Data folder, or splits, that the runs read.

        Returns:
            Runs by the name of their setting, in the order of seeds.
        """
        by_name = {BASELINE: (), **{self.named(setting): setting for setting in self.settings}}
        seeds = range(1, self.seeds + 1, self._averaging.seeds)
        return {name: [self._run(setting, target, seed, data) for seed in seeds] for name, setting in by_name.items()}

    def all_runs(self, data: Splits | Path | None = None) -> Iterator[Run]:
        """Yield the runs of all targets, settings and seeds.

        Args:
            data: Data folder, or splits, that the runs read.

        Yields:
            Runs, in the order of targets, settings (the baseline first) and seeds.
        """
        return (run for target in self.targets for runs in self.runs(target, data).values() for run in runs)

    def trainings(self, data: Splits | Path | None = None) -> dict[Stage, int]:
        """Return the trainings of all runs that can be repeated: all but pretraining and those on few shots.

        Args:
            data: Data folder, or splits, that the runs read.

        Returns:
            By training how often it may still be repeated.
        """
        phases = (phase for run in self.all_runs(data) for phase in run.shared_phases())
        return {phase.stage: self.retries - len(phase.tries) for phase in phases if phase.role != names.PRETRAINING}

    def tries(self, data: Splits | Path | None = None) -> list[Stage]:
        """Return the trainings that ended no better than chance and were repeated.

        Args:
            data: Data folder, or splits, that the runs read.
        """
        if not self.retries:
            return []
        return list(
            dict.fromkeys(
                stage for run in self.all_runs(data) for phase in run.shared_phases() for stage in phase.tries
            )
        )

    def resolved(self, machine: Runtime) -> Grid:
        """Return the grid with those trainings in `collapsed` that the store says to have ended no better than chance.

        Its runs have the trainings that repeat them, as far as they are declared. This is a pure function of the
        finished trainings: builds that are killed and continued end in the same runs.

        Args:
            machine: Names the store and the data folder.
        """
        grid, keys = self, self.collapsed
        while grid.retries:
            with memoising():
                trainings = grid.trainings(machine.data)
            keys = keys | {stage.key for stage in trainings if retries.has_collapsed(stage, machine)}
            if keys == grid.collapsed:
                break
            grid = replace(grid, collapsed=keys)
        return grid

    def due(self, machine: Runtime) -> list[Stage]:
        """Return the trainings to build next where trainings may be repeated: those whose encoder is settled.

        Args:
            machine: Names the store and the data folder.

        Returns:
            Trainings that are not finished and go on from none that is not; none without retries.
        """
        if not self.retries:
            return []
        with memoising():
            todo = dict.fromkeys(stage for stage in self.trainings(machine.data) if not is_built(stage, machine))
        return [stage for stage in todo if todo.keys().isdisjoint(generations(stage, made_from)[:-1])]

    def score_stages(self, machine: Runtime) -> list[Stage]:
        """Return the stages of the scores of all runs.

        Args:
            machine: Names the data folder.

        Returns:
            The stages, in the order of targets, settings, seeds and languages.

        Raises:
            InputError: Data are missing; the message names every place looked at.
        """
        with memoising():
            return [score for run in self.all_runs(machine.data) for score in run.scores().values()]

    def stages(self, machine: Runtime) -> list[Stage]:
        """Return all stages that the grid builds: the scores, and the contamination checks of their test sets.

        Args:
            machine: Names the data folder.

        Returns:
            The stages; their inputs are built with them.

        Raises:
            InputError: Data are missing; the message names every place looked at.
        """
        with memoising():
            stages = self.score_stages(machine) + self.overlaps(machine)
            return stages + [stage for run in self.all_runs(machine.data) for stage in snapshot_choice.stages(run)]

    def overlaps(self, machine: Runtime) -> list[Stage]:
        """Return the contamination checks of the test sets against the training data, the same for all seeds.

        Args:
            machine: Names the data folder.

        Returns:
            The stages of the checks.

        Raises:
            InputError: Data are missing; the message names every place looked at.
        """
        runs = (
            run for target in self.targets for seeds in self.runs(target, machine.data).values() for run in seeds[:1]
        )
        with memoising():
            return [stage for run in runs for stage in run.overlaps()]

    def submission_runs(self, machine: Runtime) -> list[Run]:
        """Return the runs whose predictions are submitted: of each target its last setting, seed 1.

        Args:
            machine: Names the data folder.

        Returns:
            A run for each target, with an intermediate phase if the grid has one.

        Raises:
            InputError: Data are missing; the message names every place looked at.
        """
        return [list(self.runs(target, machine.data).values())[-1][0] for target in self.targets]

    def build(self, machine: Runtime) -> int:
        """Build the stages that are not finished.

        Args:
            machine: Store, data folder, device and workers.

        Returns:
            How many stages were built.

        Raises:
            Unbuilt: Some could not be built; those that do not need them were.
        """
        return build([self], machine)[1]

    def tables(self, machine: Runtime) -> list[ScoreTable]:
        """Return the score table of each target.

        Args:
            machine: Names the store, in which all runs must be finished, and the data folder.

        Returns:
            The tables, in the order of the targets.
        """
        grid = self.resolved(machine)
        with memoising():
            return [collect(grid.runs(target, machine.data), machine) for target in grid.targets]

    def _run(self, setting: Tasks, target: Task, seed: int, data: Splits | Path | None) -> Run:
        target_training_tasks = (
            self.target_training_tasks.get(target.name, self.target_training_tasks.get(""))
            if target.learned_from
            else None
        )
        return Run(
            self.encoder,
            setting,
            target,
            self.recipes,
            seed,
            target_training_tasks,
            self.mlm if setting else None,
            self.split,
            self.only_languages,
            self.reset_layers,
            self._averaging.text,
            self.combine if setting else "",
            self.oracle,
            self.few_shot,
            data,
            translation=self.translation,
            retries=self.retries,
            collapsed=self.collapsed,
        )

    def named(self, setting: Tasks) -> str:
        """Return the name of a setting: its tasks, and how their weights are combined.

        Args:
            setting: The intermediate tasks.
        """
        tasks = "+".join(task.name for task in setting)
        return f"{tasks} ({composition(self.combine).text})" if self.combine else tasks

    @property
    def _averaging(self) -> Averaging:
        return averaging(self.average, self.seeds)


def build(grids: Sequence[Grid], machine: Runtime) -> tuple[tuple[Grid, ...], int]:
    """Build the stages of grids that are not finished.

    Args:
        grids: The grids.
        machine: Store, data folder, device and workers.

    Returns:
        The grids as their trainings decide them (`Grid.resolved`), and how many stages were built.

    Raises:
        Unbuilt: Some could not be built; those that do not need them were.
    """
    machine.require_device()  # refuse a missing device before anything is built
    stages = _behind_tables(grids, machine)
    preflight.check(stages, machine)
    built = 0
    if any(grid.retries for grid in grids):  # data that cannot be read cost no training
        read = [stage for stage in stages if stage.work.name == names.READ and not stage.inputs]
        built = local_executor.build_all(read, machine)
        if machine.keep != KEEP_ALL:
            built += build_by_setting(grids, machine, local_executor.build_all, lambda: _resolved(grids, machine))
        grids, trained = settle(grids, machine, local_executor.build_all)
        built += trained
        stages = _behind_tables(grids, machine)
    keep = _with_tries(stages, grids, machine)
    return tuple(grids), built + local_executor.build_all(stages, machine, first=names.READ, keep=keep)


def _behind_tables(grids: Sequence[Grid], machine: Runtime) -> list[Stage]:
    """Return the stages of grids with their inputs: tables read the manifests of trainings, which may be deleted."""
    stages = [stage for grid in grids for stage in grid.stages(machine)]
    return list(dict.fromkeys([*stages, *with_inputs(stages)]))


def _resolved(grids: Sequence[Grid], machine: Runtime) -> list[Stage]:
    grids = [grid.resolved(machine) for grid in grids]
    return _with_tries(_behind_tables(grids, machine), grids, machine)


def _with_tries(stages: Sequence[Stage], grids: Sequence[Grid], machine: Runtime) -> list[Stage]:
    return [*stages, *(stage for grid in grids for stage in grid.tries(machine.data))]


def build_by_setting(
    grids: Sequence[Grid],
    machine: Runtime,
    build: Callable[..., int],
    study: Callable[[], Sequence[Stage]],
) -> int:
    """Build one setting on one target after the other, so that weights can be dropped while trainings may be repeated.

    All trainings are settled before anything is predicted (`settle`): of a whole study their weights would be there at
    the same time. What fails is left to a later build of all stages, which says so.

    Args:
        grids: The grids.
        machine: Where and how to build, and what is kept.
        build: Builds stages; as `keep` it takes those of which the models keep their weights until they are made.
        study: Returns all stages of the study, as the trainings in the store decide them.

    Returns:
        How many stages were built.
    """
    built = 0
    for grid in grids:
        for setting, target in product(grid.settings or ((),), grid.targets):
            part = replace(grid, settings=(setting,) if setting else (), targets=(target,))
            (part,), trained = settle((part,), machine, build)
            built += trained
            try:
                built += build(part.stages(machine), machine, keep=study())
            except Unbuilt as error:
                built += error.built
    return built


def settle(
    grids: Sequence[Grid], machine: Runtime, build: Callable[[list[Stage], Runtime], int]
) -> tuple[tuple[Grid, ...], int]:
    """Build trainings in rounds until none is to be repeated any more, and nothing that is made of them.

    An intermediate training is settled before any target is trained on it. What fails is left to a later build of all
    stages, which says so.

    Args:
        grids: Grids with retries, and others, of which nothing is built.
        machine: Where and how to build.
        build: Builds stages.

    Returns:
        The grids as their trainings decide them (`Grid.resolved`), and how many stages were built.

    Raises:
        StageError: The disk is full, or a worker process died.
    """
    built, failed = 0, set[Stage]()
    while True:
        grids = tuple(grid.resolved(machine) for grid in grids)
        due = [stage for stage in dict.fromkeys(chain(*(grid.due(machine) for grid in grids))) if stage not in failed]
        if not due:
            return grids, built
        try:
            built += build(due, machine)
        except Unbuilt as error:
            built += error.built
        failed |= {stage for stage in due if not is_built(stage, machine)}


def targets_of(names: Sequence[str], suite: str | None) -> Tasks:
    """Return targets by name, those of a suite in its languages; all of the suite where none is named.

    Args:
        names: Names of tasks, or lists such as "xnli,xquad".
        suite: "xtreme" or "xtreme-r", or None.

    Returns:
        The targets.

    Raises:
        InputError: A name is unknown, or neither a target nor a suite is given.
    """
    targets = tuple(target for name in names for target in tasks_of(name))
    if suite:
        from xstilts import metrics
        from xstilts.experiments import benchmark

        members = {member.name: member for member in benchmark.targets(metrics.suite(suite))}
        return tuple(members.get(target.name, target) for target in targets or members.values())
    if not targets:
        raise InputError("nothing to measure: give --target, or --suite for all of a benchmark's")
    return targets


def tasks_of(names: str, separator: str = ",") -> Tasks:
    """Return the tasks of a list such as "mnli,squad".

    Args:
        names: Names of tasks, white space around them is ignored.
        separator: What stands between two names.

    Returns:
        The tasks, in this order.

    Raises:
        InputError: A name is unknown, or there is none.
    """
    tasks = tuple(task(name.strip()) for name in names.split(separator) if name.strip())
    if not tasks:
        raise InputError(f"expected names of tasks, found '{names}' (`xstilts tasks` lists them)")
    return tasks


def target_training_tasks_of(given: Sequence[str]) -> dict[str, Tasks]:
    """Return the tasks that targets are trained on, as `Grid` takes them.

    Args:
        given: For one target "xquad=squadshifts", for all "squadshifts"; "a+b" is a, then b. A task with languages
            (`panx:sw+ar`) stands alone, as its + has another meaning.

    Returns:
        By the target's name ("" for all targets) the tasks to train on, one after the other.

    Raises:
        InputError: A name is unknown.
    """
    target_training_tasks = {}
    for text in given:
        target, equals, names = text.rpartition("=")
        alone = ":" in names
        target_training_tasks[task(target).name if equals else ""] = (task(names),) if alone else tasks_of(names, "+")
    return target_training_tasks


def trained_on(target: Task, names: str) -> Task:
    """Return a target that is trained on other tasks than its own.

    Args:
        target: The target.
        names: As the value of one target in `target_training_tasks_of`; "" to leave it as it is.

    Raises:
        InputError: A name is unknown.
    """
    return replace(target, learned_from=target_training_tasks_of([names])[""]) if names else target


def feasible(grid: Grid, machine: Runtime, stages: Callable[[Grid, Runtime], list[Stage]] = Grid.score_stages) -> Grid:
    """Return a grid without the targets for which data are missing; a note says which and why.

    Args:
        grid: The grid.
        machine: Names the data folder.
        stages: Returns the stages that must be possible.

    Returns:
        The grid with the other targets.

    Raises:
        InputError: No target is left.
    """
    feasible_targets, reasons = [], []
    for target in grid.targets:
        try:
            stages(replace(grid, targets=(target,)), machine)
        except InputError as error:
            reasons.append(str(error))
            progress.note(f"left out: {error}")
        else:
            feasible_targets.append(target)
    if not feasible_targets:
        raise InputError(f"no target can be run: {reasons[0] if reasons else 'no target is given'}")
    return replace(grid, targets=tuple(feasible_targets))


def untrained(names: str | None) -> Tasks:
    """Return tasks that are evaluated without training, to see what an encoder can do before and after another task.

    Args:
        names: Names of tasks of raw text or translations, separated by commas; None for none.

    Returns:
        The tasks.

    Raises:
        InputError: A task needs training.
    """
    tasks = tasks_of(names) if names else ()
    for target in tasks:
        if target.learned_from or not task_format(target.format).measured_untrained:
            raise InputError(
                f"'{target.name}' cannot be measured without training for it: give raw text or translations"
            )
    return tasks


def mlm_of(
    name: str | None, languages: Sequence[str], weight: float, alpha: float, machine: Runtime
) -> MaskedLmMixing | None:
    """Return masked-LM to mix in, on a task of raw text, in those of the languages that have text.

    Args:
        name: The task; None for no masked-LM.
        languages: Languages, those without text among them.
        weight: Weight of the loss.
        alpha: Exponent of the languages' sampling.
        machine: Names the data folder.

    Returns:
        The mixing; None without a task.

    Raises:
        InputError: There is text in none of the languages.
    """
    if name is None:
        return None
    text = task(name)
    in_languages = [code for code in languages if not text.languages or code in text.languages]
    codes = tuple(code for code in in_languages if text.has("train", code, machine.data))
    if in_languages and not codes:
        text.data("train", in_languages[0], machine.data)  # says where it looked
    if not codes:
        raise InputError(f"'{name}' has text in none of {', '.join(languages)}: leave it out, or take another")
    return MaskedLmMixing(text, codes, weight, alpha)
