"""Study: a question, the runs that answer it, and claims about them that are written down before anything is run.

A study file is Python: one function `study(scale)` that returns a `Study`. Its arms are grids; stages that two runs
share are built once, whatever arms they are in. The result is one tidy table, a row for each score, and a verdict on
each claim:

    study = load(Path("studies/layerwise.py"), "sandbox")
    build(study, machine)
    verdicts = claim.check_all(study.claims, table(study, machine))

>>> from xstilts.experiments.grid import tasks_of
>>> from xstilts.experiments.run import Recipes
>>> from xstilts.models.encoder import Encoder
>>> encoder = Encoder("tiny", "0" * 64, "/nowhere")
>>> grid = Grid(encoder, tasks_of("sandbox_qa"), (tasks_of("sandbox_cloze"),), Recipes("sandbox"), seeds=2)
>>> [selector.intermediate for selector in Study("Does it help?", (Arm(grid),), ()).settings()]
['baseline', 'sandbox_cloze']
"""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib.util import module_from_spec, spec_from_file_location
from inspect import isfunction, signature
from itertools import chain, product
from pathlib import Path
from statistics import fmean
from traceback import extract_tb
from typing import Any

from xstilts.claims import claim_validation
from xstilts.claims.claim import Claim, too_many
from xstilts.claims.claim_validation import ArmSelector
from xstilts.claims.results_table import COSTS, Result, ResultsTable
from xstilts.errors import InputError
from xstilts.experiments import collect_results, preflight
from xstilts.experiments.extra_tables import ExtraTable, StageTable, TriedRate, TriedRates
from xstilts.experiments.grid import Grid, build_by_setting, settle
from xstilts.experiments.run import Phase, Run
from xstilts.experiments.splits import Splits
from xstilts.models.naming import name_of
from xstilts.runtime import progress, whole_files
from xstilts.runtime.machine import KEEP_ALL, Runtime
from xstilts.runtime.text import counted, listed
from xstilts.store import local_executor
from xstilts.store.local_executor import Unbuilt
from xstilts.store.memo import memoising
from xstilts.store.names import BASELINE, INTERMEDIATE
from xstilts.store.stage import Stage, with_inputs

SCALES = ("sandbox", "small", "full")
TABLE = "table.csv"
NEEDED = "a study file is Python with a function study(scale) that returns a Study: see docs/experiments/studies.md"


@dataclass(frozen=True)
class Arm:
    """Runs of one encoder under one set of recipes.

    Attributes:
        grid: The runs.
        label: The recipe's name in the results table.
        rates: Learning rates of the intermediate phase, of which the arm gets the one with the best development score;
            none: the recipe's own rate. Each is tried with one seed and without any target.

    Raises:
        InputError: A rate is given twice, or there are rates and no intermediate phase.
    """

    grid: Grid
    label: str = ""
    rates: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.rates)) < len(self.rates):
            raise InputError(f"arm '{self.label}' tries a learning rate twice: {', '.join(map(str, self.rates))}")
        if self.rates and not self.grid.settings:
            raise InputError(f"arm '{self.label}' has learning rates to try and no intermediate phase: give settings")

    def at(self, rate: float) -> Arm:
        """Return the arm with this learning rate in the intermediate phase."""
        recipes = self.grid.recipes
        changed = replace(recipes, intermediate=(*recipes.intermediate, f"learning_rate={rate:.3g}"))
        return Arm(replace(self.grid, recipes=changed), self.label)

    def planned(self) -> Arm:
        """Return the arm as it is counted before its rate is chosen: with the first of its rates."""
        return self.at(self.rates[0]) if self.rates else self

    def trials(self, data: Splits | Path | None = None) -> dict[float, tuple[Phase, ...]]:
        """Return the trainings that choose the learning rate.

        Args:
            data: Data folder, or splits, that the trainings read.

        Returns:
            By rate the intermediate phase of each setting, of the first seed.
        """
        return {rate: tuple(_intermediate_phases(self.at(rate).grid, data)) for rate in self.rates}

    def settings(self, data: Splits | Path | None = None) -> list[tuple[str, Run]]:
        """Return the name of each setting on each target, and its run of the first seed."""
        grid = self.grid if self.grid.average else replace(self.grid, seeds=1)
        return [(name, runs[0]) for target in grid.targets for name, runs in grid.runs(target, data).items()]


def _intermediate_phases(grid: Grid, data: Splits | Path | None) -> Iterator[Phase]:
    for (run,) in replace(grid, seeds=1).runs(grid.targets[0], data).values():
        yield from (phase for phase in run.phases() if phase.role == INTERMEDIATE)


@dataclass(frozen=True)
class DevSelectedArm:
    """A further name for one of several arms: the one whose intermediate training has the best development score.

    Attributes:
        label: The name in the results table.
        among: Labels of the arms.
    """

    label: str
    among: tuple[str, ...]


@dataclass(frozen=True)
class DevSelectedTask:
    """A further name for one intermediate setting of an arm on each target: the one with the best development score.

    The score is that of the target's training on its own development data, the mean over seeds, as a user without
    labels in other languages would choose. Settings that repeat the target's training data can be left out. A target
    without development scores (nothing is trained for it) gets the setting with the best mean gain in development
    scores over the other targets.

    Measures select its rows by the label as recipe, and leave the intermediate setting open:
    `Gain("", target, recipe=label, over_recipe=arm)`.

    Attributes:
        label: The recipe of its rows in the results table.
        arm: The label of the arm.
        among: Names of intermediate settings.
        with_repeated: Whether settings that repeat the target's training data can be selected.
    """

    label: str
    arm: str
    among: tuple[str, ...]
    with_repeated: bool = False


@dataclass(frozen=True)
class Study:
    """A question, its arms and its claims.

    Attributes:
        question: The question, in a sentence or more.
        arms: Grids of runs, each with a label.
        claims: Claims on which there will be a verdict each.
        choices: Further names for arms, or for intermediate settings of an arm, chosen by development scores.
        limits: What a reader must not conclude.
        extras: Further tables of the report.
        prepare: Commands that make what the study needs, to be run before it.

    Raises:
        InputError: Two arms of one encoder have the same label or two arms other numbers of retries, a choice is among
            arms that do not exist, or a claim is about runs that no arm has.
    """

    question: str
    arms: tuple[Arm, ...]
    claims: tuple[Claim, ...]
    choices: tuple[DevSelectedArm | DevSelectedTask, ...] = ()
    limits: tuple[str, ...] = ()
    extras: tuple[ExtraTable | StageTable, ...] = ()
    prepare: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        labels = [(arm.label, name_of(arm.grid.encoder)) for arm in self.arms]
        if len(set(labels)) < len(labels):
            raise InputError(f"arms of one encoder need labels that differ: {', '.join(label for label, _ in labels)}")
        if len(numbers := {arm.grid.retries for arm in self.arms}) > 1:
            raise InputError(
                "arms of one study repeat trainings by one rule: give every grid the same retries, not "
                f"{listed(sorted(numbers))}"
            )
        _refuse_choices(self.choices, self.arms)
        claim_validation.refuse(self.claims, self.settings())

    @property
    def retries(self) -> int:
        """How often a training that ends no better than chance is repeated, the same in all arms."""
        return self.arms[0].grid.retries if self.arms else 0

    def settings(self) -> dict[ArmSelector, tuple[str, ...]]:
        """Return the settings of all arms, also under the labels of choices, with the languages to be measured."""
        settings: dict[ArmSelector, tuple[str, ...]] = {}
        for arm in self.arms:
            for setting, run in arm.settings():
                for label in self.labels(arm.label, setting, run.repeats_training_data):
                    selector = ArmSelector(run.target.name, setting, label, name_of(run.encoder))
                    settings[selector] = tuple(dict.fromkeys(settings.get(selector, ()) + run.measured_languages()))
        return settings

    def labels(self, arm: str, setting: str, repeats: bool) -> tuple[str, ...]:
        """Return the recipes that the rows of a setting may have in the results table.

        Args:
            arm: The label of its arm.
            setting: The name of the intermediate setting.
            repeats: Whether it repeats the target's training data.

        Returns:
            The arm's own label, then those of the choices that it is among.
        """
        chosen_as = (
            choice.label
            for choice in self.choices
            if (isinstance(choice, DevSelectedArm) and arm in choice.among)
            or (
                isinstance(choice, DevSelectedTask)
                and (arm, setting) in {(choice.arm, name) for name in choice.among}
                and (choice.with_repeated or not repeats)
            )
        )
        return (arm, *chosen_as)

    def runs(self, data: Splits | Path | None = None) -> Iterator[Run]:
        """Yield the runs of all arms; of an arm that chooses its learning rate, those at the first rate."""
        return (run for arm in self.arms for run in arm.planned().grid.all_runs(data))

    def trials(self, machine: Runtime) -> list[Stage]:
        """Return the trainings by which arms choose their learning rates, equal ones once."""
        with memoising():
            phases = [phase for arm in self.arms for tried in arm.trials(machine.data).values() for phase in tried]
            return list(dict.fromkeys(phase.stage for phase in phases))

    def stages(self, machine: Runtime) -> list[Stage]:
        """Return the stages of all arms and extra tables with their transitive inputs: a table reads every manifest.

        Of an arm whose learning rate is still to be chosen (`tuned`) they are the trials, and its runs at the first
        rate, which are as many.
        """
        with memoising():
            extras = [extra.stages(machine).values() for extra in self.extras if isinstance(extra, StageTable)]
            grids = (arm.planned().grid.stages(machine) for arm in self.arms)
            return with_inputs(chain(self.trials(machine), *grids, *extras))


def _refuse_choices(choices: Sequence[DevSelectedArm | DevSelectedTask], arms: Sequence[Arm]) -> None:
    """Raise InputError for a choice among arms or settings that do not exist, or with a label that is taken."""
    labels = [arm.label for arm in arms]
    names = set(labels)
    for choice in choices:
        if choice.label in names:
            raise InputError(
                f"the label '{choice.label}' of a choice is that of another arm or choice: give it a different one"
            )
        names.add(choice.label)
        for label in choice.among if isinstance(choice, DevSelectedArm) else (choice.arm,):
            if label not in labels:
                known_labels = listed(dict.fromkeys(labels))
                raise InputError(
                    f"'{choice.label}' cannot be chosen: no arm is labelled '{label}', there are {known_labels}"
                )
        if isinstance(choice, DevSelectedTask):
            settings = {setting for arm in arms if arm.label == choice.arm for setting, _ in arm.settings()}
            for setting in choice.among:
                if setting not in settings:
                    raise InputError(
                        f"'{choice.label}' cannot be chosen: '{choice.arm}' has no setting '{setting}', "
                        f"there are {listed(sorted(settings))}"
                    )


def load(path: Path, scale: str, encoder: str = "") -> Study:
    """Run a study file and return its study at a scale.

    Args:
        path: A Python file with a function `study(scale)` or `study(scale, encoder)` that returns a `Study`.
        scale: One of `SCALES`.
        encoder: A folder or hub id, instead of the encoder that the study takes at this scale; "": that one.

    Returns:
        The study.

    Raises:
        InputError: There is no such file or scale, the file raises an error, there is no such function in it, or the
            function takes no encoder.
    """
    if scale not in SCALES:
        raise InputError(f"unknown scale '{scale}': give {', '.join(SCALES)}")
    if not path.is_file():
        raise InputError(f"no study {path}: give a Python file, as studies/layerwise.py")
    try:
        study = _run_file(path, scale, encoder)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # the user's program, whose errors are the user's to mend
        message = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
        raise InputError(f"{path}{_line(path, error)}: {message}; {NEEDED}") from error
    if not isinstance(study, Study):
        raise InputError(f"{path}: study('{scale}') returned {type(study).__name__} and no Study; {NEEDED}")
    if warning := too_many(study.claims):
        progress.note(f"{path.name}: {warning}")
    return study


def _run_file(path: Path, scale: str, encoder: str) -> Any:
    """Return what the function `study` of a file returns."""
    spec = spec_from_file_location(f"xstilts.studies.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file; {NEEDED}")
    module = sys.modules[spec.name] = module_from_spec(spec)  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    function = getattr(module, "study", None)
    if not callable(function):
        raise InputError(f"{path} has no function study(scale); {NEEDED}")
    given = (scale, encoder) if encoder else (scale,)
    if encoder and len(signature(function).parameters) < len(given):
        raise InputError(f"{path} compares encoders of its own, and none can be given: leave --encoder out")
    try:
        signature(function).bind(*given)
    except TypeError as error:
        line = f", line {function.__code__.co_firstlineno}" if isfunction(function) else ""
        raise InputError(f"{path}{line}: study cannot be called with a scale ({error}); {NEEDED}") from None
    return function(*given)


def _line(path: Path, error: BaseException) -> str:
    """Return ", line N" for the line of a file that raised an error; "" where no line of it did."""
    places = [(frame.filename, frame.lineno) for frame in extract_tb(error.__traceback__)]
    places += [(error.filename, error.lineno)] if isinstance(error, SyntaxError) and error.filename else []
    lines = [line for name, line in places if Path(name).absolute() == path.absolute()]
    return f", line {lines[-1]}" if lines else ""


def build(study: Study, machine: Runtime) -> int:
    """Build the stages of a study that are not finished.

    Args:
        study: The study.
        machine: Store, data folder, device and workers.

    Returns:
        How many stages were built.

    Raises:
        Unbuilt: Some could not be built; those that do not need them were.
    """
    machine.require_device()
    tried = _try(study, machine)
    grids = [arm.grid for arm in tuned(study, machine).arms]
    if study.retries and machine.keep != KEEP_ALL:
        tried += build_by_setting(grids, machine, _build_with_inputs, lambda: _kept(resolved(study, machine), machine))
    _, trained = settle(grids, machine, _build_with_inputs)
    study = resolved(study, machine)
    return tried + trained + _build(study.stages(machine), machine, _kept(study, machine))


def _kept(study: Study, machine: Runtime) -> list[Stage]:
    """Return all stages of a resolved study, those that were repeated included."""
    return [*study.stages(machine), *(stage for arm in study.arms for stage in arm.planned().grid.tries(machine.data))]


def _build_with_inputs(stages: Sequence[Stage], machine: Runtime, keep: Sequence[Stage] = ()) -> int:
    return _build(with_inputs(stages), machine, keep)


def resolved(study: Study, machine: Runtime, partly: bool = True) -> Study:
    """Return a study as the trainings in the store decide it: its learning rates, and which trainings are repeated.

    Args:
        study: The study.
        machine: Names the store and the data folder.
        partly: As for `tuned`.

    Returns:
        The study, with a further table of the rates that were tried.

    Raises:
        InputError: Trials have no development data to choose by.
    """
    study = tuned(study, machine, partly)
    if not study.retries:
        return study
    return replace(study, arms=tuple(replace(arm, grid=arm.grid.resolved(machine)) for arm in study.arms))


def tuned(study: Study, machine: Runtime, partly: bool = True) -> Study:
    """Return a study whose arms have the learning rates that their trials in the store choose.

    Args:
        study: The study.
        machine: Names the store and the data folder.
        partly: Whether rates count whose trials are not finished, as of a loss that became infinite: the others are
            chosen among. If not, such an arm is left as it is.

    Returns:
        The study, with a further table of the rates that were tried.

    Raises:
        InputError: Trials have no development data to choose by.
    """
    if not any(arm.rates for arm in study.arms):
        return study
    with memoising():
        arms, tables = zip(*(_tuned(arm, machine, partly) for arm in study.arms), strict=True)
    rows = tuple(row for table in tables for row in table)
    return replace(study, arms=arms, extras=(*study.extras, TriedRates(rows)) if rows else study.extras)


def _tuned(arm: Arm, machine: Runtime, partly: bool) -> tuple[Arm, tuple[TriedRate, ...]]:
    trials = {
        rate: TriedRate.read(arm.label, name_of(arm.grid.encoder), rate, [phase.stage for phase in phases], machine)
        for rate, phases in arm.trials(machine.data).items()
    }
    finished = {rate: trial for rate, trial in trials.items() if trial.seconds is not None}
    if not trials or (not partly and len(finished) < len(trials)):
        return arm, ()
    if not finished:
        return arm.planned(), ()
    if any(math.isnan(trial.dev) for trial in finished.values()):
        raise InputError(
            f"the learning rate of '{arm.label}' cannot be chosen: an intermediate task has no development data; give "
            "the arm no rates"
        )
    best = max(finished, key=lambda rate: finished[rate].dev)
    return arm.at(best), tuple(replace(trial, chosen=rate == best) for rate, trial in trials.items())


def _try(study: Study, machine: Runtime) -> int:
    """Build the trials of learning rates and return how many were built; a rate that fails is not chosen."""
    trials = study.trials(machine)
    if not trials:
        return 0
    try:
        return _build(with_inputs(trials), machine)
    except Unbuilt as error:
        for reason in dict.fromkeys(filter(None, error.reasons.values())):
            progress.note(f"a learning rate that is tried fails and cannot be chosen: {reason}")
        return error.built


def _build(stages: Sequence[Stage], machine: Runtime, keep: Sequence[Stage] = ()) -> int:
    refused = {key: str(error) for key, error in preflight.failures(stages, machine).items()}
    for reason in dict.fromkeys(refused.values()):
        progress.note(f"what needs it is left out: {reason}")
    reasons = refused | {
        stage.key: ""
        for stage in with_inputs(stages)
        if stage.key not in refused and any(part.key in refused for part in with_inputs([stage]))
    }
    others = [stage for stage in stages if stage.key not in reasons]
    try:
        built = local_executor.build_all(others, machine, keep=keep)
    except Unbuilt as error:
        raise Unbuilt(str(error), reasons | error.reasons, error.built) from error
    if refused:
        shown = "\n".join(dict.fromkeys(refused.values()))
        raise Unbuilt(f"{counted(len(reasons), 'stage')} could not be built.\n{shown}", reasons, built, True)
    return built


def attempt(study: Study, machine: Runtime) -> tuple[int, Unbuilt | None]:
    """Build what can be built of a study, without raising `Unbuilt`.

    Args:
        study: The study.
        machine: Store, data folder, device and workers.

    Returns:
        How many stages were built, and the error that names those that could not be; None if all could.
    """
    try:
        return build(study, machine), None
    except Unbuilt as error:
        return error.built, error


def table(study: Study, machine: Runtime, failed: Collection[str] = ()) -> ResultsTable:
    """Return the results table of a finished study: a row for each run and language, and again under choices' labels.

    Args:
        study: The study.
        machine: Names the store and the data folder.
        failed: Keys of stages that could not be built. Runs that need one are left out, in all languages.

    Returns:
        The table.
    """
    study = resolved(study, machine)
    with memoising():
        rows = tuple(row for arm in study.arms for row in collect_results.rows(arm.label, arm.grid, machine, failed))
    return ResultsTable(rows + tuple(row for choice in study.choices for row in _chosen(choice, rows, failed)))


def write(table: ResultsTable, folder: Path) -> None:
    """Write `table.csv`: a line for each score, with its costs and the keys of the stages behind it.

    Args:
        table: The results.
        folder: The folder; made where it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unwritten = ("examples", "costs", "roles", "at_fixed_layer", "seeds_used", "repeated")
    columns = [item.name for item in fields(Result) if item.name not in unwritten]
    if any(row.seeds_used for row in table.rows):
        columns.insert(columns.index("seed") + 1, "seeds_used")
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    lines.writerow([*columns, "score_at_fixed_layer", *COSTS])
    for row in table.rows:
        spent = [row.costs.get(figure, math.nan) for figure in COSTS]
        fixed = row.at_fixed_layer.score if row.at_fixed_layer else math.nan
        lines.writerow([_cell(value) for value in [*(getattr(row, column) for column in columns), fixed, *spent]])
    whole_files.write(folder / TABLE, text.getvalue())


def chosen(choice: DevSelectedArm, rows: Iterable[Result]) -> dict[str, str]:
    """Return the arm that a choice on development data stands for.

    Args:
        choice: The choice and the recipes' labels that it is among.
        rows: The results of all arms.

    Returns:
        By encoder the label with the best mean development score over seeds; the first of several equal ones.
    """
    scores: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row.recipe in choice.among and not math.isnan(row.dev):
            scores.setdefault(row.encoder, {}).setdefault(row.recipe, []).append(row.dev)
    return {
        encoder: max(choice.among, key=lambda label: fmean(by_label.get(label, [-math.inf])))
        for encoder, by_label in scores.items()
    }


def chosen_tasks(choice: DevSelectedTask, rows: Iterable[Result]) -> dict[tuple[str, str], str]:
    """Return the intermediate settings that a choice on development data stands for.

    Args:
        choice: The choice, and the settings that it is among.
        rows: The results of all arms.

    Returns:
        By encoder and target the setting with the best mean development score over seeds, the first of several equal
        ones; targets are left out for which there is no score to choose by.
    """
    scores: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in rows:
        usable = choice.with_repeated or not row.repeats_training_data
        if row.recipe == choice.arm and row.intermediate in (BASELINE, *choice.among) and usable:
            of_target = scores.setdefault((row.encoder, row.target), {})
            of_target.setdefault(row.intermediate, []).append(row.target_dev)
    means = {
        place: {setting: fmean(values) for setting, values in of_target.items()} for place, of_target in scores.items()
    }
    best = {}
    for (encoder, target), mean_scores in means.items():
        known = {name: mean for name, mean in mean_scores.items() if name != BASELINE and not math.isnan(mean)}
        if not known:
            others = [of_other for (name, _), of_other in means.items() if name == encoder]
            known = _mean_dev_gains([name for name in choice.among if name in mean_scores], others)
        if known:
            best[encoder, target] = max((name for name in choice.among if name in known), key=known.__getitem__)
    return best


def _mean_dev_gains(settings: Iterable[str], targets: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean gain of each setting in development scores, over the targets that have these."""
    gains: dict[str, list[float]] = {}
    for scores, setting in product(targets, settings):
        gain = scores.get(setting, math.nan) - scores.get(BASELINE, math.nan)
        if not math.isnan(gain):
            gains.setdefault(setting, []).append(gain)
    return {setting: fmean(values) for setting, values in gains.items()}


def _chosen(
    choice: DevSelectedArm | DevSelectedTask, rows: Sequence[Result], failed: Collection[str]
) -> Iterator[Result]:
    if isinstance(choice, DevSelectedTask):
        tasks = chosen_tasks(choice, rows)
        if not tasks and not failed:
            raise InputError(f"'{choice.label}' cannot be chosen: no target of '{choice.arm}' has development scores")
        yield from (
            replace(row, recipe=choice.label)
            for row in rows
            if row.recipe == choice.arm and tasks.get((row.encoder, row.target)) == row.intermediate
        )
        return
    best = chosen(choice, rows)
    if not best and not failed:
        raise InputError(f"'{choice.label}' cannot be chosen: {', '.join(choice.among)} have no development scores")
    yield from (replace(row, recipe=choice.label) for row in rows if best.get(row.encoder) == row.recipe)


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return "" if isinstance(value, float) and math.isnan(value) else value
