"""Entry: what a run has to hand in to a leaderboard in one language, and what is not there to be handed in.

Only what is finished, and predicted on the benchmark's own test set, is an entry; every other language of the suite is
a gap with a reason.

    entries, missing = sorted_out(runs, metrics.suite("xtreme"), machine)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xstilts.data.dataset import EXAMPLES, examples
from xstilts.data.examples import Example, PassageExample, TaggingExample
from xstilts.data.examples import read as read_examples
from xstilts.data.readers import Report
from xstilts.errors import InputError
from xstilts.experiments.run import Run
from xstilts.metrics import Suite
from xstilts.runtime.machine import Runtime
from xstilts.store.build import is_built
from xstilts.store.stage import Stage, folder_of


@dataclass(frozen=True)
class Entry:
    """What a run says in one language: predictions, and their score or, where answers are withheld, what chose."""

    run: Run
    language: str
    predictions: Stage
    score: Stage | None
    tuned_from: Stage | None = None

    @property
    def needed(self) -> tuple[Stage, ...]:
        """The stages that must be finished before anything can be written."""
        return tuple(stage for stage in (self.predictions, self.score, self.tuned_from) if stage)


@dataclass(frozen=True)
class Gap:
    """Languages of a task that the suite asks for and the folder does not have, and why."""

    task: str
    languages: tuple[str, ...]
    reason: str


def sorted_out(runs: Sequence[Run], suite: Suite, machine: Runtime) -> tuple[list[Entry], list[Gap]]:
    """Return what can be written, in the suite's order, and what is missing."""
    given = {run.target.name: run for run in runs}
    found: list[Entry] = []
    missing: list[Gap] = []
    for name, codes in suite.languages.items():
        if name not in given:
            missing.append(Gap(name, codes, "there is no run of it"))
            continue
        entries, absent = _finished(given[name], codes or given[name].target.languages, machine)
        found += entries
        for reason in dict.fromkeys(absent.values()):
            missing.append(Gap(name, tuple(code for code in absent if absent[code] == reason), reason))
    return found, missing


def _finished(run: Run, codes: Sequence[str], machine: Runtime) -> tuple[list[Entry], dict[str, str]]:
    """Return the entries of those of the languages that are finished, and why the others are not there."""
    try:
        entries = entries_of(run, machine.data)
    except InputError as error:  # what it is learned from is not there
        return [], {code: str(error) for code in codes}
    absent: dict[str, str] = {}
    for code in codes:
        if code not in run.measured_languages():
            absent[code] = "the run leaves it out"
        elif code not in entries:
            absent[code] = f"no test data below {machine.data or '(no --data given)'}"
        elif not all(is_built(stage, machine) for stage in entries[code].needed):
            absent[code] = f"not built in {machine.store}"
        elif strange := _other_set(entries[code], machine):
            absent[code] = strange
    return [entries[code] for code in codes if code not in absent], absent


def entries_of(run: Run, folder: Path | None) -> dict[str, Entry]:
    """Return what a run has to hand in by language: scored predictions, and those whose answers are withheld."""
    measured = any(run.target.has(run.split, code, folder) for code in run.measured_languages())
    scores = run.scores(folder) if measured else {}
    found = {code: Entry(run, code, score.arguments["predictions"], score) for code, score in scores.items()}
    for code, predictions in run.withheld(folder).items():
        found[code] = Entry(run, code, predictions, None, run.tuned_from(code, folder))
    return found


def asked(entry: Entry, machine: Runtime) -> list[Example]:
    """Return the examples that are to be answered, in the order of the data set."""
    gold = folder_of(entry.predictions.arguments["data"], machine) / EXAMPLES
    read = read_examples(gold, entry.run.target.format)
    return _asking(read)


def _asking(read: Iterable[Example]) -> list[Example]:
    return [one for one in read if not (isinstance(one, PassageExample) and one.side != "query")]


def _other_set(entry: Entry, machine: Runtime) -> str:
    """Return how the examples differ from those of the benchmark's own file, if that is there and they do.

    Another release of a treebank, say, has other sentences: its predictions fit no leaderboard's answers.
    """
    target, folder = entry.run.target, machine.data
    own = replace(target, sources=tuple(source for source in target.sources if source.withheld))
    if folder is None or not any(source.find("test", entry.language, folder) for source in own.sources):
        return ""
    theirs = _sizes(_asking(examples(own.data("test", entry.language, folder), folder, Report())))
    ours = _sizes(asked(entry, machine))
    if ours == theirs:
        return ""
    return (
        f"not the benchmark's test set: {len(ours)} examples and {sum(ours)} tags or answers where its own file has "
        f"{len(theirs)} and {sum(theirs)}; predict on a data folder that holds its file and not the other"
    )


def _sizes(asked: Iterable[Example]) -> list[int]:
    """Return what must agree for tags to fit: how many words each sentence has (1 for what is not in words)."""
    return [len(one.tokens) if isinstance(one, TaggingExample) else 1 for one in asked]
