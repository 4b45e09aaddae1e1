"""Grid: targets × settings of the intermediate phase × seeds, the baseline always among the settings.

It is what `xstilts run` builds: every run's stages, shared where runs agree, and a table for each target.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from xstilts.errors import InputError
from xstilts.experiments.run import Mlm, Recipes, Run
from xstilts.experiments.score_table import BASELINE, ScoreTable, collect
from xstilts.models.encoder import Encoder
from xstilts.runtime import progress
from xstilts.runtime.machine import Runtime
from xstilts.store import local_executor
from xstilts.store.memo import memoising
from xstilts.store.stage import Stage
from xstilts.tasks.base import Task, task

Tasks = tuple[Task, ...]
UNTRAINED = ("masked_lm", "bitext_retrieval", "bitext_mining")


@dataclass(frozen=True)
class Grid:
    """Runs that differ in target, intermediate tasks and seed only.

    teachers: what targets are learned from instead of their own, by target, or under "" for all. restored: layers that
    the intermediate phase does not keep.
    """

    encoder: Encoder | Stage
    targets: Tasks
    settings: tuple[Tasks, ...]
    recipes: Recipes
    seeds: int
    teachers: Mapping[str, Tasks] = field(default_factory=dict)
    mlm: Mlm | None = None
    split: str = "test"
    only_languages: tuple[str, ...] = ()
    reset_layers: str = ""

    def __post_init__(self) -> None:
        if self.mlm and not self.settings:
            raise InputError("masked-LM runs beside intermediate tasks, and there are none: give --intermediate")
        names = [_named(setting) for setting in self.settings]
        if len(set(names)) < len(names):
            raise InputError(f"settings of one grid need names that differ: {', '.join(names)}; run them one by one")

    def runs(self, target: Task) -> dict[str, list[Run]]:
        """Return the runs of a target by setting, one a seed, the baseline first."""
        named = {BASELINE: (), **{_named(setting): setting for setting in self.settings}}
        seeds = range(1, self.seeds + 1)
        return {name: [self._run(setting, target, seed) for seed in seeds] for name, setting in named.items()}

    def stages(self, machine: Runtime) -> list[Stage]:
        """Promise the scores of all runs."""
        runs = (run for target in self.targets for seeds in self.runs(target).values() for run in seeds)
        with memoising():
            return [score for run in runs for score in run.scores(machine.data).values()]

    def promised(self, machine: Runtime) -> list[Stage]:
        """Promise the scores, and what their test sets share with the training data."""
        with memoising():
            return self.stages(machine) + self.overlaps(machine)

    def overlaps(self, machine: Runtime) -> list[Stage]:
        """Promise what the test sets share with the training data, which is the same for all seeds."""
        runs = (run for target in self.targets for seeds in self.runs(target).values() for run in seeds[:1])
        with memoising():
            return [stage for run in runs for stage in run.overlaps(machine.data)]

    def first(self) -> list[Run]:
        """Return the run of each target in the last setting (the intermediate one where there is one) with seed 1."""
        return [list(self.runs(target).values())[-1][0] for target in self.targets]

    def build(self, machine: Runtime) -> int:
        """Build what is not there; return how many stages that was."""
        machine.torch_device()  # one that is not here is refused before anything is built
        return local_executor.build_all(self.promised(machine), machine)

    def tables(self, machine: Runtime) -> list[ScoreTable]:
        """Return the table of each target from finished runs."""
        with memoising():
            return [collect(self.runs(target), machine) for target in self.targets]

    def _run(self, setting: Tasks, target: Task, seed: int) -> Run:
        teachers = self.teachers.get(target.name, self.teachers.get("")) if target.learned_from else None
        return Run(
            self.encoder,
            setting,
            target,
            self.recipes,
            seed,
            teachers,
            self.mlm if setting else None,
            self.split,
            self.only_languages,
            self.reset_layers,
        )


def _named(setting: Tasks) -> str:
    return "+".join(task.name for task in setting)


def targets_of(names: Sequence[str], suite: str | None) -> Tasks:
    """Return targets by name, those of a suite in its languages; all of the suite where none is named."""
    found = tuple(one for name in names for one in tasks_of(name))
    if suite:
        from xstilts import metrics
        from xstilts.experiments import benchmark

        members = {one.name: one for one in benchmark.targets(metrics.suite(suite))}
        return tuple(members.get(one.name, one) for one in found or members.values())
    if not found:
        raise InputError("nothing to measure: give --target, or --suite for all of a benchmark's")
    return found


def tasks_of(names: str, separator: str = ",") -> Tasks:
    """Return the tasks of a list such as "mnli,squad"; InputError for an unknown name, or none."""
    found = tuple(task(name.strip()) for name in names.split(separator) if name.strip())
    if not found:
        raise InputError(f"expected names of tasks, found '{names}' (`xstilts tasks` lists them)")
    return found


def teachers_of(given: Sequence[str]) -> dict[str, Tasks]:
    """Return teachers by target from "xquad=squadshifts", or for all from "squadshifts"; "a+b" is one after the other.

    The + of a task's languages (`panx:sw+ar`) cannot be told from that: give such a task alone.
    """
    found = {}
    for text in given:
        target, equals, names = text.rpartition("=")
        alone = ":" in names
        found[task(target).name if equals else ""] = (task(names),) if alone else tasks_of(names, "+")
    return found


def feasible(grid: Grid, machine: Runtime, promise: Callable[[Grid, Runtime], list[Stage]] = Grid.stages) -> Grid:
    """Return a grid without the targets for which data are missing, each reported; InputError where none is left."""
    kept, reasons = [], []
    for target in grid.targets:
        try:
            promise(replace(grid, targets=(target,)), machine)
        except InputError as error:
            reasons.append(str(error))
            progress.note(f"left out: {error}")
        else:
            kept.append(target)
    if not kept:
        raise InputError(f"nothing of this can be run: {reasons[0] if reasons else 'no target is given'}")
    return replace(grid, targets=tuple(kept))


def untrained(names: str | None) -> Tasks:
    """Return tasks that are measured without training: what an encoder knows before and after another task."""
    found = tasks_of(names) if names else ()
    for one in found:
        if one.learned_from or one.format not in UNTRAINED:
            raise InputError(f"'{one.name}' cannot be measured without training for it: give raw text or translations")
    return found


def mlm_of(name: str | None, languages: Sequence[str], weight: float, alpha: float, machine: Runtime) -> Mlm | None:
    """Return masked-LM on a raw-text task in those of the languages for which there is text; None without a task."""
    if name is None:
        return None
    text = task(name)
    known = [code for code in languages if not text.languages or code in text.languages]
    found = tuple(code for code in known if text.has("train", code, machine.data))
    if known and not found:
        text.data("train", known[0], machine.data)
    if not found:
        raise InputError(f"'{name}' has text in none of {', '.join(languages)}: leave it out, or take another")
    return Mlm(text, found, weight, alpha)
