"""Study: a question, the runs that answer it, and claims about them that are written down before anything is run.

A study file is Python: one function `study(scale)` that returns a `Study`. Its arms are grids; what two runs share is
built once, whatever arm they are in. The product is one tidy table, a row a score, and a verdict on each claim.

    asked = load(Path("studies/layerwise.py"), "sandbox")
    build(asked, machine)
    verdicts = claim.check_all(asked.claims, table(asked, machine))
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from importlib.util import module_from_spec, spec_from_file_location
from inspect import isfunction, signature
from itertools import chain, product
from pathlib import Path
from statistics import fmean
from traceback import extract_tb
from typing import Any

from xstilts.claims import claim_validation
from xstilts.claims.claim import Claim
from xstilts.claims.claim_validation import ArmSelector
from xstilts.claims.results_table import COSTS, Result, ResultsTable
from xstilts.errors import InputError
from xstilts.experiments import collect_results
from xstilts.experiments.extra_tables import ExtraTable, StageTable
from xstilts.experiments.grid import Grid
from xstilts.experiments.run import Run
from xstilts.models.naming import name_of
from xstilts.runtime.machine import Runtime
from xstilts.runtime.text import listed
from xstilts.store import local_executor
from xstilts.store.local_executor import Unbuilt
from xstilts.store.memo import memoising
from xstilts.store.stage import Stage, with_inputs

SCALES = ("sandbox", "small", "full")
TABLE = "table.csv"
NEEDED = "a study file is Python with a function study(scale) that returns a Study: see docs/experiments/studies.md"


@dataclass(frozen=True)
class Arm:
    """Runs of one encoder under one set of recipes; the label is the recipe's name in the table."""

    grid: Grid
    label: str = ""

    def firsts(self) -> list[tuple[str, Run]]:
        """Return a run of each setting on each target, by the setting's name."""
        one = replace(self.grid, seeds=1)
        return [(name, run) for target in one.targets for name, (run,) in one.runs(target).items()]


@dataclass(frozen=True)
class DevSelectedArm:
    """A name in the table for that one of several arms whose intermediate training did best on its own dev data."""

    label: str
    among: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """A question, its arms and its claims.

    choices: further names for arms, chosen by development data. limits: what a reader must not conclude. extras:
    tables of its own in the report. prepare: commands that make what the study needs, to be run before it.
    """

    question: str
    arms: tuple[Arm, ...]
    claims: tuple[Claim, ...]
    choices: tuple[DevSelectedArm, ...] = ()
    limits: tuple[str, ...] = ()
    extras: tuple[ExtraTable | StageTable, ...] = ()
    prepare: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        labels = [(arm.label, name_of(arm.grid.encoder)) for arm in self.arms]
        if len(set(labels)) < len(labels):
            raise InputError(f"arms of one encoder need labels that differ: {', '.join(label for label, _ in labels)}")
        _refuse_choices(self.choices, [label for label, _ in labels])
        claim_validation.refuse(self.claims, self.settings())

    def settings(self) -> dict[ArmSelector, tuple[str, ...]]:
        """Return the settings of all arms, also under the names of choices, with the languages that are asked for."""
        found: dict[ArmSelector, tuple[str, ...]] = {}
        for arm in self.arms:
            named = [arm.label, *(choice.label for choice in self.choices if arm.label in choice.among)]
            for (setting, run), label in product(arm.firsts(), named):
                aim = ArmSelector(run.target.name, setting, label, name_of(run.encoder))
                found[aim] = tuple(dict.fromkeys(found.get(aim, ()) + run.measured_languages()))
        return found

    def promised(self, machine: Runtime) -> list[Stage]:
        """Promise the scores of all arms, and all that is behind them: a table needs every record."""
        with memoising():
            probes = [one.promised(machine).values() for one in self.extras if isinstance(one, StageTable)]
            return with_inputs(chain(*(arm.grid.promised(machine) for arm in self.arms), *probes))


def _refuse_choices(choices: Sequence[DevSelectedArm], labels: Sequence[str]) -> None:
    """Raise InputError for a choice among arms that there are not, or that is called as something else is."""
    names = set(labels)
    for choice in choices:
        if choice.label in names:
            raise InputError(
                f"a choice is called '{choice.label}' as another arm or choice is: give it a name of its own"
            )
        names.add(choice.label)
        for label in choice.among:
            if label not in labels:
                there = listed(dict.fromkeys(labels))
                raise InputError(f"'{choice.label}' cannot be chosen: no arm is called '{label}', there are {there}")


def load(path: Path, scale: str) -> Study:
    """Return the study of a file at a scale; the file is a program of yours and is run.

    Raises InputError where there is no such file or scale, where the file cannot be run, or where there is no function
    `study` in it that returns a Study.
    """
    if scale not in SCALES:
        raise InputError(f"unknown scale '{scale}': give {', '.join(SCALES)}")
    if not path.is_file():
        raise InputError(f"no study {path}: give a Python file, as studies/layerwise.py")
    try:
        found = _made(path, scale)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # a program of the user's: whatever it raises is for the user to mend
        said = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
        raise InputError(f"{path}{_line(path, error)}: {said}; {NEEDED}") from error
    if not isinstance(found, Study):
        raise InputError(f"{path}: study('{scale}') returned {type(found).__name__} and no Study; {NEEDED}")
    return found


def _made(path: Path, scale: str) -> Any:
    """Return what the function `study` of a file returns."""
    spec = spec_from_file_location(f"xstilts.studies.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file; {NEEDED}")
    module = sys.modules[spec.name] = module_from_spec(spec)  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    function = getattr(module, "study", None)
    if not callable(function):
        raise InputError(f"{path} has no function study(scale); {NEEDED}")
    try:
        signature(function).bind(scale)
    except TypeError as error:
        line = f", line {function.__code__.co_firstlineno}" if isfunction(function) else ""
        raise InputError(f"{path}{line}: study cannot be called with a scale ({error}); {NEEDED}") from None
    return function(scale)


def _line(path: Path, error: BaseException) -> str:
    """Return the line of a file at which an error came about, as the end of a place; "" where none was."""
    places = [(frame.filename, frame.lineno) for frame in extract_tb(error.__traceback__)]
    places += [(error.filename, error.lineno)] if isinstance(error, SyntaxError) and error.filename else []
    lines = [line for name, line in places if Path(name).absolute() == path.absolute()]
    return f", line {lines[-1]}" if lines else ""


def build(study: Study, machine: Runtime) -> int:
    """Build what is not there; return how many stages that was."""
    machine.torch_device()
    return local_executor.build_all(study.promised(machine), machine)


def attempt(study: Study, machine: Runtime) -> tuple[int, Unbuilt | None]:
    """Build what can be built; return how many stages that was, and what says which could not be, if any."""
    try:
        return build(study, machine), None
    except Unbuilt as error:
        return error.built, error


def table(study: Study, machine: Runtime, failed: Collection[str] = ()) -> ResultsTable:
    """Return the tidy table of a finished study: a row for each run and language, and for each choice's name.

    failed: keys of stages that could not be built; runs that need one are left out, in all languages.
    """
    with memoising():
        rows = tuple(row for arm in study.arms for row in collect_results.rows(arm.label, arm.grid, machine, failed))
    return ResultsTable(rows + tuple(row for one in study.choices for row in _chosen(one, rows, failed)))


def write(found: ResultsTable, folder: Path) -> None:
    """Write `table.csv`: a line for each score, with what it cost and the keys of the stages behind it."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = [one.name for one in fields(Result) if one.name not in ("examples", "costs", "roles")]
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow([*columns, *COSTS])
        for row in found.rows:
            spent = [row.costs.get(figure, math.nan) for figure in COSTS]
            lines.writerow([_cell(value) for value in [*(getattr(row, column) for column in columns), *spent]])


def chosen(choice: DevSelectedArm, rows: Iterable[Result]) -> dict[str, str]:
    """Return by encoder the recipe that a choice stands for: the best mean over seeds of development scores."""
    scores: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row.recipe in choice.among and not math.isnan(row.dev):
            scores.setdefault(row.encoder, {}).setdefault(row.recipe, []).append(row.dev)
    return {
        encoder: max(choice.among, key=lambda label: fmean(found.get(label, [-math.inf])))
        for encoder, found in scores.items()
    }


def _chosen(choice: DevSelectedArm, rows: Sequence[Result], failed: Collection[str]) -> Iterator[Result]:
    best = chosen(choice, rows)
    if not best and not failed:
        raise InputError(f"'{choice.label}' cannot be chosen: {', '.join(choice.among)} have no development scores")
    yield from (replace(row, recipe=choice.label) for row in rows if best.get(row.encoder) == row.recipe)


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return " ".join(value)
    return "" if isinstance(value, float) and math.isnan(value) else value
