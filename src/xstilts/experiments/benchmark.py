"""Benchmark: XTREME's and XTREME-R's averages, from the tables of their tasks.

A task's figure is the mean over the languages that the suite names, English among them where it has English; a group's
is the mean over its tasks. A mean over fewer tasks or languages would be a different figure and is not computed; what
is missing is named. Errors over seeds and gains are as in every score table.

    print(markdown(of(grid.tables(machine), metrics.suite("xtreme"))))

>>> from xstilts import metrics
>>> [task.name for task in targets(metrics.suite("xtreme"))][:3]
['pawsx', 'xnli', 'panx']
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

from rich.table import Table as RichTable

from xstilts.errors import InputError
from xstilts.experiments.run import ENGLISH
from xstilts.experiments.score_table import Column, ScoreTable, cells_of, drawn, header, marked
from xstilts.metrics import Suite, SuiteScore
from xstilts.runtime import whole_files
from xstilts.runtime.text import counted
from xstilts.tasks.base import Task, names, task

FOREIGN = " without English"
FIXED = ", fixed layer"  # rows of retrieval at the literature's depth, as the benchmark's own code measures it


@dataclass(frozen=True)
class Benchmark:
    """The means of a suite.

    Attributes:
        suite: The benchmark.
        columns: One for each setting: by task the mean over languages, and that without English, one a seed.
        languages: The languages of each complete task's mean.
        missing: The languages without a score of each incomplete task; none for a task without a table.
        decimals: Decimals to show.
        widest: The largest difference that two means can have: they are percentages.
    """

    suite: Suite
    columns: tuple[Column, ...]
    languages: Mapping[str, tuple[str, ...]]
    missing: Mapping[str, tuple[str, ...]]
    decimals: int = 1
    widest: float = 100.0

    def rows(self) -> dict[str, tuple[str, ...]]:
        """Return the rows of complete tasks and groups, with the tasks that each is a mean over."""
        rows: dict[str, tuple[str, ...]] = {f"{name} ({self._over(name)})": (name,) for name in self.languages}
        rows |= {f"{name} ({', '.join(tasks)})": tasks for name, tasks in self.suite.groups.items()}
        every = tuple(self.suite.languages)
        rows |= {"mean over all tasks": every}
        rows |= {"mean over all tasks" + FOREIGN: tuple(name + FOREIGN for name in every)}
        rows |= {label + FIXED: self._fixed(tasks) for label, tasks in rows.items() if self._fixed(tasks) != tasks}
        return {label: tasks for label, tasks in rows.items() if self._whole(tasks)}

    def _fixed(self, tasks: Sequence[str]) -> tuple[str, ...]:
        """Return tasks with those at the fixed layer in the place of retrieval at a chosen one."""
        return tuple(name + FIXED if name + FIXED in self.columns[0].scores else name for name in tasks)

    def scores(self) -> dict[str, SuiteScore]:
        """Return the figures of each column, averaged over seeds."""
        return {column.name: self._score(column) for column in self.columns}

    def _score(self, column: Column) -> SuiteScore:
        means = {name: {"headline": fmean(column.scores[name])} for name in self.languages}
        groups = {group: tasks for group, tasks in self.suite.means().items() if self._whole(tasks)}
        return SuiteScore(means, {group: fmean(column.mean(tasks)) for group, tasks in groups.items()})

    def _over(self, name: str) -> str:
        codes = self.languages[name]
        plural = "s" if len(codes) > 1 else ""
        return f"{len(codes)} language{plural}, {'English included' if ENGLISH in codes else 'no English'}"

    def _whole(self, tasks: Iterable[str]) -> bool:
        return all(name in self.columns[0].scores for name in tasks)


def targets(suite: Suite) -> tuple[Task, ...]:
    """Return the tasks of a suite as targets.

    Args:
        suite: The benchmark.

    Returns:
        The tasks that the package has, each in the languages that the suite measures it in.
    """
    task_names = names()
    return tuple(_in_languages(task(name), codes) for name, codes in suite.languages.items() if name in task_names)


def of(tables: Sequence[ScoreTable], suite: Suite) -> Benchmark:
    """Return the means of a suite.

    Args:
        tables: Score tables of its tasks.
        suite: The benchmark.

    Returns:
        The means, with the tasks that are missing or incomplete.

    Raises:
        InputError: No table is of a task of the suite, or they differ in settings or seeds.
    """
    by_task = {table.target: table for table in tables if table.target in suite.languages}
    _comparable(list(by_task.values()), suite)
    missing = {name: gap for name in suite.languages if (gap := _gap(name, suite, by_task)) is not None}
    languages = {
        name: codes or by_task[name].languages for name, codes in suite.languages.items() if name not in missing
    }
    first = next(iter(by_task.values()))
    columns = tuple(_column(number, by_task, languages) for number in range(len(first.columns)))
    return Benchmark(suite, columns, languages, missing)


def render(means: Benchmark) -> RichTable:
    """Return the means of a suite as a table for the terminal.

    Args:
        means: The means.

    Returns:
        The table of rich.
    """
    return drawn(f"{means.suite.name} (means)", _header(means), cells_of(means))


def markdown(means: Benchmark) -> str:
    """Return the means of a suite in Markdown, with remarks.

    Args:
        means: The means.

    Returns:
        A table and a list.
    """
    return marked(f"{means.suite.name} (means)", _header(means), cells_of(means), remarks(means))


def remarks(means: Benchmark) -> list[str]:
    """Return what a reader must know: which means include English, and what is missing."""
    without = [name for name, codes in means.languages.items() if ENGLISH not in codes]
    lines = ["means over languages include English" + (f", but for {', '.join(without)}" if without else "")]
    lines.append(
        "a task is its mean over languages, (EM + F1) / 2 of answers; a group and all tasks are means over tasks"
    )
    if any(name.endswith(FIXED) for name in means.columns[0].scores):
        lines.append(f"rows with '{FIXED.strip(', ')}': retrieval at the literature's depth, else at the chosen layer")
    lines += [
        f"no mean of {name}: no score in {', '.join(gap) or 'any language'}" for name, gap in means.missing.items()
    ]
    if means.missing:
        groups = [name for name, tasks in means.suite.means().items() if means.missing.keys() & set(tasks)]
        lines.append(
            f"without these there is no mean of {', '.join(groups)}: over fewer tasks it would be a different figure"
        )
    return lines + [f"{c.name}: no better than chance after {label}" for c in means.columns for label in c.collapsed]


def save(means: Benchmark, folder: Path) -> None:
    """Write the means to `benchmark.md` and `benchmark.json` in a folder.

    Args:
        means: The means.
        folder: The folder; made where it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    whole_files.write(folder / "benchmark.md", markdown(means))
    text = json.dumps(asdict(means), indent=1, ensure_ascii=False)
    whole_files.write(folder / "benchmark.json", text + "\n")


def _in_languages(task: Task, codes: tuple[str, ...]) -> Task:
    return replace(task, languages=tuple(code for code in task.languages if not codes or code in codes))


def _comparable(tables: Sequence[ScoreTable], suite: Suite) -> None:
    if not tables:
        raise InputError(f"none of the tables is of {suite.name}: its tasks are {', '.join(suite.languages)}")
    expected = _settings(tables[0])
    for table in tables[1:]:
        if (other := _settings(table)) != expected:
            raise InputError(
                f"expected the settings and seeds of '{tables[0].target}' ({expected}), found in '{table.target}' "
                f"{other}: run all tasks of {suite.name} alike"
            )


def _settings(table: ScoreTable) -> str:
    return ", ".join(f"{c.name}: {counted(len(next(iter(c.scores.values()))), 'seed')}" for c in table.columns)


def _gap(name: str, suite: Suite, by_task: Mapping[str, ScoreTable]) -> tuple[str, ...] | None:
    """Return the languages of a task that have no score (none named where there is no table); None if it is whole."""
    if name not in by_task:
        return ()
    absent = tuple(code for code in suite.languages[name] if code not in by_task[name].languages)
    return absent or None


def _column(number: int, by_task: Mapping[str, ScoreTable], languages: Mapping[str, tuple[str, ...]]) -> Column:
    """Return one setting's means over languages by task, also without English, and of retrieval at the fixed layer.

    Keys name all that they are means of.
    """
    columns = {name: table.columns[number] for name, table in by_task.items()}
    foreign = {name + FOREIGN: tuple(code for code in codes if code != ENGLISH) for name, codes in languages.items()}
    over = {row: codes for row, codes in {**languages, **foreign}.items() if codes}
    scores = {row: columns[row.removesuffix(FOREIGN)].mean(codes) for row, codes in over.items()}
    keys = {row: _keys(columns[row.removesuffix(FOREIGN)], codes) for row, codes in over.items()}
    for row, codes in list(over.items()):
        column = columns[row.removesuffix(FOREIGN)]
        if _layered(row.removesuffix(FOREIGN), by_task):
            scores[row + FIXED] = replace(column, scores=column.at_fixed_layer).mean(codes)
            keys[row + FIXED] = keys[row]
    collapsed = {label for column in columns.values() for label in column.collapsed}
    return Column(next(iter(columns.values())).name, scores, keys, tuple(sorted(collapsed)))


def _layered(name: str, by_task: Mapping[str, ScoreTable]) -> bool:
    """Return whether a task was scored at another layer than the fixed one in any setting."""
    return by_task[name].with_fixed_layer() is not None


def _keys(column: Column, codes: Iterable[str]) -> tuple[str, ...]:
    """Return what names the results behind a mean, one a seed."""
    return tuple("+".join(keys) for keys in zip(*(column.keys[code] for code in codes), strict=True))


def _header(means: Benchmark) -> list[str]:
    return ["mean of", *header(means)[1:]]
