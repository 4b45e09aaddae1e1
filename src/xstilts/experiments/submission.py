"""Submission: the folder of predictions that google-research/xtreme's evaluate.py takes, from finished runs.

An entry is what a run submits in one language: finished predictions on the benchmark's own test set. Every written file
is read back as the leaderboard will read it and scored again; a score that differs from the run's own stops the
writing. Where the answers are withheld, only completeness can be checked. Every language that the suite asks for and
the runs do not have is named, with the reason, in `manifest.json`, which is written last: a folder without it is not
complete.

    report = write(runs, metrics.suite("xtreme"), machine, Path("to-submit"))

>>> Missing("xnli", ("sw", "ur"), "not built in work").task
'xnli'
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from xstilts import metrics
from xstilts.data.dataset import EXAMPLES, examples
from xstilts.data.examples import Example, PassageExample, TaggingExample
from xstilts.data.examples import read as read_examples
from xstilts.data.readers import Report as ReadReport
from xstilts.errors import InputError
from xstilts.evaluation.score import read_lines, read_score, unscored
from xstilts.experiments.run import Run
from xstilts.experiments.submission_formats import Answers, Layout, layout
from xstilts.formats import task_format
from xstilts.metrics import Suite
from xstilts.models.encoder import Encoder
from xstilts.runtime import whole_files
from xstilts.runtime.machine import Runtime
from xstilts.store.build import is_built
from xstilts.store.stage import Stage, StageError, folder_of

MANIFEST = "manifest.json"
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Entry:
    """What a run submits in one language.

    Attributes:
        run: The run.
        language: Code of the language.
        predictions: The predictions.
        score: Their score; None where the answers are withheld.
        tuned_from: Where there is no score: the scores by which a layer or a threshold is chosen, if the task has any.
    """

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
class Missing:
    """Languages of a task that the suite asks for and the runs do not have.

    Attributes:
        task: Name of the task.
        languages: The languages; none where the task is missing as a whole and has no fixed languages.
        reason: Why they are missing.
    """

    task: str
    languages: tuple[str, ...]
    reason: str


def collect(runs: Sequence[Run], suite: Suite, machine: Runtime) -> tuple[list[Entry], list[Missing]]:
    """Sort the tasks of a benchmark into what can be submitted and what is missing.

    Args:
        runs: One run a target.
        suite: The benchmark.
        machine: Names the store and the data folder.

    Returns:
        The entries that can be written, in the suite's order, and the tasks or languages that are missing, with
        reasons.
    """
    by_target = {run.target.name: run for run in runs}
    finished: list[Entry] = []
    missing: list[Missing] = []
    for name, codes in suite.languages.items():
        if name not in by_target:
            missing.append(Missing(name, codes, "there is no run of it"))
            continue
        entries, absent = _finished(by_target[name], codes or by_target[name].target.languages, machine)
        finished += entries
        for reason in dict.fromkeys(absent.values()):
            missing.append(Missing(name, tuple(code for code in absent if absent[code] == reason), reason))
    return finished, missing


def _finished(run: Run, codes: Sequence[str], machine: Runtime) -> tuple[list[Entry], dict[str, str]]:
    """Return the entries of the finished languages, and the reasons of the others."""
    try:
        entries = entries_of(run)
    except InputError as error:  # the training data are missing
        return [], {code: str(error) for code in codes}
    absent: dict[str, str] = {}
    for code in codes:
        if code not in run.measured_languages():
            absent[code] = "the run leaves it out"
        elif code not in entries:
            absent[code] = f"no test data below {machine.data or '(no --data given)'}"
        elif not all(is_built(stage, machine) for stage in entries[code].needed):
            absent[code] = f"not built in {machine.store}"
        elif difference := _other_set(entries[code], machine):
            absent[code] = difference
    return [entries[code] for code in codes if code not in absent], absent


def entries_of(run: Run) -> dict[str, Entry]:
    """Return what a run can submit.

    Args:
        run: A run on test sets.

    Returns:
        Entries by language: scored predictions, and those whose answers are withheld.
    """
    measured = any(run.splits.has(run.target, run.split, code) for code in run.measured_languages())
    scores = run.scores() if measured else {}
    entries = {code: Entry(run, code, score.arguments["predictions"], score) for code, score in scores.items()}
    for code, predictions in run.withheld().items():
        entries[code] = Entry(run, code, predictions, None, run.tuned_from(code))
    return entries


def examples_of(entry: Entry, machine: Runtime) -> list[Example]:
    """Return the examples that an entry predicts.

    Args:
        entry: The entry.
        machine: Names the store.

    Returns:
        The examples in the order of the data set; of passage examples the queries alone.
    """
    gold = folder_of(entry.predictions.arguments["data"], machine) / EXAMPLES
    predicted = read_examples(gold, entry.run.target.format)
    return _queries(predicted)


def _queries(all_examples: Iterable[Example]) -> list[Example]:
    return [
        example for example in all_examples if not (isinstance(example, PassageExample) and example.side != "query")
    ]


def _other_set(entry: Entry, machine: Runtime) -> str:
    """Return how the examples differ from those of the benchmark's own file; "" if they do not, or there is no file.

    Another release of a treebank has other sentences, for example: the leaderboard cannot score its predictions.
    """
    target, folder = entry.run.target, machine.data
    own = replace(target, sources=tuple(source for source in target.sources if source.withheld))
    if folder is None or not any(source.find("test", entry.language, folder) for source in own.sources):
        return ""
    benchmark_sizes = _sizes(_queries(examples(own.data("test", entry.language, folder), folder, ReadReport())))
    entry_sizes = _sizes(examples_of(entry, machine))
    if entry_sizes == benchmark_sizes:
        return ""
    return (
        f"not the benchmark's test set: {len(entry_sizes)} examples and {sum(entry_sizes)} tags or answers where its "
        f"own file has {len(benchmark_sizes)} and {sum(benchmark_sizes)}; predict on a data folder that holds its file "
        "and not the other"
    )


def _sizes(examples: Iterable[Example]) -> list[int]:
    """Return how many answers each example has: a tag for each word of a sentence, else one."""
    return [len(example.tokens) if isinstance(example, TaggingExample) else 1 for example in examples]


@dataclass(frozen=True)
class Written:
    """A file of the folder.

    Attributes:
        task: Name of the task.
        language: Code of the language.
        path: Path below the folder.
        answers: How many examples it answers.
        predictions: Key of the predictions.
        score: Key of their score; None where the answers are withheld.
        values: What the file scores; empty where the answers are withheld.
        note: What keeps the leaderboard from scoring it, if anything does.
    """

    task: str
    language: str
    path: str
    answers: int
    predictions: str
    score: str | None
    values: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class Report:
    """A written submission.

    Attributes:
        suite: Name of the benchmark.
        encoder: The encoder of all runs.
        files: The files.
        missing: What the suite asks for and the runs do not have.
        notes: What a reader must know.
    """

    suite: str
    encoder: str
    files: tuple[Written, ...]
    missing: tuple[Missing, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Return the report as lines of text."""
        counts = Counter((file.task, file.score is not None) for file in self.files)
        checked = {True: "scored again, as in their runs", False: "complete; the answers are withheld"}
        lines = [f"{task}: languages written: {number}, {checked[scored]}" for (task, scored), number in counts.items()]
        for gap in self.missing:
            lines.append(f"{gap.task}: MISSING in {', '.join(gap.languages) or 'every language'}: {gap.reason}")
        return lines + list(self.notes)


def write(runs: Sequence[Run], suite: Suite, machine: Runtime, out: Path) -> Report:
    """Write the predictions of finished runs to an empty folder, read them back and score them again.

    Args:
        runs: One run a target, all of one encoder, on test sets.
        suite: The benchmark.
        machine: Names the store and the data folder.
        out: The folder.

    Returns:
        The files with their scores, and what is missing.

    Raises:
        InputError: The folder is not empty, the runs are not of one encoder on the suite's test sets, or nothing is
            finished. Nothing is written then.
        StageError: A file does not score as its run did.
    """
    refuse(runs, suite, out)
    entries, missing = collect(runs, suite, machine)
    if not entries:
        targets = {run.target.name for run in runs}
        reasons = "; ".join(f"{gap.task}: {gap.reason}" for gap in missing if gap.task in targets)
        raise InputError(f"nothing to submit to {suite.name} ({reasons}): build the runs with `xstilts run` first")
    files = tuple(_write(entry, machine, out) for entry in entries)
    report = Report(suite.name, _called(runs[0].encoder), files, tuple(missing), tuple(_notes(runs, files)))
    text = json.dumps({**asdict(report), "runs": [_described(run) for run in runs]}, indent=1, ensure_ascii=False)
    whole_files.write(out / MANIFEST, text + "\n")
    return report


def stages(runs: Sequence[Run]) -> list[Stage]:
    """Return the stages that `write` needs.

    Args:
        runs: One run a target.

    Returns:
        Scores, and predictions where the answers are withheld.
    """
    return [stage for run in runs for entry in entries_of(run).values() for stage in entry.needed]


def refuse(runs: Sequence[Run], suite: Suite, out: Path) -> None:
    """Check that runs and a folder can make a submission, before anything is built for it.

    Args:
        runs: One run a target.
        suite: The benchmark.
        out: The folder to write to.

    Raises:
        InputError: The folder is not empty, or the runs are not of one encoder on the suite's test sets, one a target.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is not an empty folder: nothing is overwritten, so name another or remove it")
    targets = [run.target.name for run in runs]
    unknown = next((name for name in targets if name not in suite.languages), None)
    if not targets:
        raise InputError(f"expected runs to submit, found none: give one for each task of {suite.name}")
    if unknown:
        raise InputError(f"'{unknown}' is not in {suite.name}: its tasks are {', '.join(suite.languages)}")
    if len(set(targets)) < len(targets):
        raise InputError(f"expected one run a target, found {', '.join(targets)}: choose a setting and a seed of each")
    if len({run.encoder for run in runs}) > 1:
        encoders = ", ".join(sorted({_called(run.encoder) for run in runs}))
        raise InputError(f"expected runs of one encoder, found {encoders}: submit each by itself")
    split = next((run.split for run in runs if run.split != "test"), None)
    if split:
        raise InputError(f"expected predictions on test, found '{split}': a leaderboard scores test sets")


def _write(entry: Entry, machine: Runtime, out: Path) -> Written:
    target = entry.run.target
    form = layout(target.name, target.format)
    gold, predicted = examples_of(entry, machine), answers(entry, machine)
    path = out / form.path(entry.language)
    path.parent.mkdir(parents=True, exist_ok=True)
    whole_files.write(path, form.text(gold, predicted).encode("ascii"))
    values = _checked(entry, form, gold, path, machine)
    keys = entry.predictions.key, entry.score.key if entry.score else None
    note = form.note(gold, entry.language)
    return Written(target.name, entry.language, form.path(entry.language), len(gold), *keys, values, note)


def answers(entry: Entry, machine: Runtime) -> Answers:
    """Return the predictions of an entry as its metric takes them.

    Args:
        entry: The entry.
        machine: Names the store.

    Returns:
        The prediction of each example, by id; of the layer and above the threshold that were chosen on development
        data.
    """
    lines = read_lines(folder_of(entry.predictions, machine))
    predictions = {line["id"]: line["prediction"] for line in lines}
    layered = predictions and task_format(entry.run.target.format).layered
    chosen = _chosen(entry, len(lines[0]["prediction"]), machine) if layered else {}
    if "layer" in chosen:
        predictions = {id: layers[chosen["layer"]] for id, layers in predictions.items()}
    if "threshold" in chosen:
        predictions = {
            id: pair[0] if pair and pair[1] >= chosen["threshold"] else None for id, pair in predictions.items()
        }
    return predictions


def _chosen(entry: Entry, layers: int, machine: Runtime) -> Mapping[str, Any]:
    if entry.score:
        return read_score(folder_of(entry.score, machine))
    tuned = read_score(folder_of(entry.tuned_from, machine)) if entry.tuned_from else None
    return unscored(entry.run.target.format, layers, tuned)


def _checked(entry: Entry, form: Layout, gold: Sequence[Example], path: Path, machine: Runtime) -> Mapping[str, float]:
    """Return what a written file scores; raise StageError unless that is the run's score."""
    target = entry.run.target
    answers_read = form.answers(gold, path.read_text(encoding="ascii"))
    if entry.score is None:
        return {}
    again = metrics.metric(target.metric)(gold, answers_read, language=entry.language).values
    before = read_score(folder_of(entry.score, machine))["values"]
    for name, value in before.items():
        if not math.isclose(again.get(name, math.nan), value, rel_tol=0, abs_tol=TOLERANCE):
            raise StageError(
                f"'{target.name}' in '{entry.language}': {path} scores {name} {again.get(name)}, its run {value} "
                f"(score {entry.score.key}): do not submit it; score again with `xstilts run` and write it again"
            )
    return again


def _notes(runs: Sequence[Run], files: Sequence[Written]) -> list[str]:
    tasks = {file.task for file in files}
    notes = [
        f"{run.target.name}: learned in other languages than English, which the benchmark does not allow"
        for run in runs
        if run.target.name in tasks and not run.zero_shot()
    ]
    notes += [f"{file.task} in {file.language}: {file.note}" for file in files if file.note]
    if "lareqa" in tasks:
        notes.append("lareqa: evaluate.py has no reader for it; its files are rankings by question, as mewslix's")
    return notes


def _called(encoder: Encoder | Stage) -> str:
    return f"{encoder.label}-{encoder.key}" if isinstance(encoder, Stage) else f"{encoder.name}@{encoder.digest}"


def _described(run: Run) -> dict[str, Any]:
    after = [task.label for task in run.intermediate]
    described = {"target": run.target.name, "intermediate": after, "recipes": asdict(run.recipes), "seed": run.seed}
    return described | ({"few_shot": asdict(run.few_shot)} if run.few_shot else {})
