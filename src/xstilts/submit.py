"""Submit: the folder of predictions that google-research/xtreme's evaluate.py takes, from finished runs.

What is written is read back, as the other side will read it, and scored again: a figure that differs from the run's
own stops the writing. Where the answers are withheld, only that nothing is missing can be known. Whatever the suite
asks for and the runs do not have is named in `manifest.json`, which is written last: without it a folder is not whole.

    report = submit.write(runs, metrics.suite("xtreme"), machine, Path("to-hand-in"))
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xstilts import example, metrics
from xstilts.data import EXAMPLES
from xstilts.encoder import Encoder
from xstilts.example import BadInput, Example, Passage
from xstilts.layout import Answers, Layout, layout
from xstilts.machine import Machine
from xstilts.metrics import Suite
from xstilts.run import Run
from xstilts.score import read_lines, read_score, unscored
from xstilts.stage import Stage, StageError, folder_of, is_built

MANIFEST = "manifest.json"
TOLERANCE = 1e-9


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
class Written:
    """A file of the folder, where its answers came from, and what it scored (nothing where answers are withheld)."""

    task: str
    language: str
    path: str
    answers: int
    predictions: str
    score: str | None
    values: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True)
class Gap:
    """Languages of a task that the suite asks for and the folder does not have, and why."""

    task: str
    languages: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Report:
    """What was written from which encoder, what is missing, and what must be known beside it."""

    suite: str
    encoder: str
    files: tuple[Written, ...]
    missing: tuple[Gap, ...]
    notes: tuple[str, ...]

    def said(self) -> list[str]:
        """Return the report in lines for people."""
        counts = Counter((file.task, file.score is not None) for file in self.files)
        checked = {True: "scored again, as in their runs", False: "complete; the answers are withheld"}
        lines = [f"{task}: languages written: {number}, {checked[scored]}" for (task, scored), number in counts.items()]
        for gap in self.missing:
            lines.append(f"{gap.task}: MISSING in {', '.join(gap.languages) or 'every language'}: {gap.reason}")
        return lines + list(self.notes)


def write(runs: Sequence[Run], suite: Suite, machine: Machine, out: Path) -> Report:
    """Write the predictions of finished runs, one a target, to an empty folder; read them back and score them again.

    Raises BadInput, before anything is written, where the folder is not empty, the runs are not one model's on the
    suite's test sets, or nothing is finished; StageError where a file does not score as its run did.
    """
    _refuse(runs, suite, out)
    entries, missing = _sorted_out(runs, suite, machine)
    if not entries:
        raise BadInput(
            f"nothing of {suite.name} is finished in {machine.store}: build the runs with `xstilts run` first "
            f"({missing[0].task}: {missing[0].reason})"
        )
    files = tuple(_write(entry, machine, out) for entry in entries)
    report = Report(suite.name, _called(runs[0].encoder), files, tuple(missing), tuple(_notes(runs, files)))
    text = json.dumps({**asdict(report), "runs": [_described(run) for run in runs]}, indent=1, ensure_ascii=False)
    (out / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return report


def stages(runs: Sequence[Run], machine: Machine) -> list[Stage]:
    """Promise all that `write` needs: scores, and predictions where the answers are withheld."""
    return [stage for run in runs for entry in _entries(run, machine.data).values() for stage in entry.needed]


def _refuse(runs: Sequence[Run], suite: Suite, out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} is not an empty folder: nothing is overwritten, so name another or remove it")
    targets = [run.target.name for run in runs]
    strange = next((name for name in targets if name not in suite.languages), None)
    if strange or not targets:
        raise BadInput(f"'{strange or ''}' is not in {suite.name}: its tasks are {', '.join(suite.languages)}")
    if len(set(targets)) < len(targets):
        raise BadInput(f"expected one run a target, found {', '.join(targets)}: choose a setting and a seed of each")
    if len({run.encoder for run in runs}) > 1:
        encoders = ", ".join(sorted({_called(run.encoder) for run in runs}))
        raise BadInput(f"expected runs of one encoder, found {encoders}: hand in each by itself")
    split = next((run.split for run in runs if run.split != "test"), None)
    if split:
        raise BadInput(f"expected predictions on test, found '{split}': a leaderboard scores test sets")


def _sorted_out(runs: Sequence[Run], suite: Suite, machine: Machine) -> tuple[list[Entry], list[Gap]]:
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


def _finished(run: Run, codes: Sequence[str], machine: Machine) -> tuple[list[Entry], dict[str, str]]:
    """Return the entries of those of the languages that are finished, and why the others are not there."""
    entries, absent = _entries(run, machine.data), {}
    for code in codes:
        if code not in run.asked():
            absent[code] = "the run leaves it out"
        elif code not in entries:
            absent[code] = f"no test data below {machine.data or '(no --data given)'}"
        elif not all(is_built(stage, machine) for stage in entries[code].needed):
            absent[code] = f"not built in {machine.store}"
    return [entries[code] for code in codes if code not in absent], absent


def _entries(run: Run, folder: Path | None) -> dict[str, Entry]:
    measured = any(run.target.has(run.split, code, folder) for code in run.asked())
    scores = run.scores(folder) if measured else {}
    found = {code: Entry(run, code, score.arguments["predictions"], score) for code, score in scores.items()}
    for code, predictions in run.withheld(folder).items():
        found[code] = Entry(run, code, predictions, None, run.tuned_from(code, folder))
    return found


def _write(entry: Entry, machine: Machine, out: Path) -> Written:
    target = entry.run.target
    shape = layout(target.name, target.kind)
    examples, said = _asked(entry, machine), answers(entry, machine)
    path = out / shape.path(entry.language)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(shape.text(examples, said), encoding="ascii", newline="\n")
    values = _checked(entry, shape, examples, path, machine)
    keys = entry.predictions.key, entry.score.key if entry.score else None
    note = shape.note(examples, entry.language)
    return Written(target.name, entry.language, shape.path(entry.language), len(examples), *keys, values, note)


def _asked(entry: Entry, machine: Machine) -> list[Example]:
    """Return the examples that are to be answered, in the order of the data set."""
    gold = folder_of(entry.predictions.arguments["data"], machine) / EXAMPLES
    read = example.read(gold, entry.run.target.kind)
    return [one for one in read if not (isinstance(one, Passage) and one.side != "query")]


def answers(entry: Entry, machine: Machine) -> Answers:
    """Return the predictions as the metric takes them: at the layer and from the threshold that the score names."""
    lines = read_lines(folder_of(entry.predictions, machine))
    found = {line["id"]: line["prediction"] for line in lines}
    chosen = _chosen(entry, len(lines[0]["prediction"]), machine) if found else {}
    if "layer" in chosen:
        found = {id: layers[chosen["layer"]] for id, layers in found.items()}
    if "threshold" in chosen:
        found = {id: pair[0] if pair and pair[1] >= chosen["threshold"] else None for id, pair in found.items()}
    return found


def _chosen(entry: Entry, layers: int, machine: Machine) -> Mapping[str, Any]:
    if entry.score:
        return read_score(folder_of(entry.score, machine))
    tuned = read_score(folder_of(entry.tuned_from, machine)) if entry.tuned_from else None
    return unscored(entry.run.target.kind, layers, tuned)


def _checked(
    entry: Entry, shape: Layout, examples: Sequence[Example], path: Path, machine: Machine
) -> Mapping[str, float]:
    """Return what a written file scores, having seen that it is what its run scored, or at least complete."""
    target = entry.run.target
    found = shape.answers(examples, path.read_text(encoding="ascii"))
    if entry.score is None:
        return {}
    again = metrics.metric(target.metric)(examples, found, language=entry.language).values
    before = read_score(folder_of(entry.score, machine))["values"]
    for name, value in before.items():
        if not math.isclose(again.get(name, math.nan), value, rel_tol=0, abs_tol=TOLERANCE):
            raise StageError(
                f"'{target.name}' in '{entry.language}': {path} scores {name} {again.get(name)}, its run {value} "
                f"(score {entry.score.key}): do not hand it in; score again with `xstilts run` and write anew"
            )
    return again


def _notes(runs: Sequence[Run], files: Sequence[Written]) -> list[str]:
    tasks = {file.task for file in files}
    said = [
        f"{run.target.name}: learned in other languages than English, which the benchmark does not allow"
        for run in runs
        if run.target.name in tasks and not run.zero_shot()
    ]
    said += [f"{file.task} in {file.language}: {file.note}" for file in files if file.note]
    if "lareqa" in tasks:
        said.append("lareqa: evaluate.py has no reader for it; its files are rankings by question, as mewslix's")
    return said


def _called(encoder: Encoder | Stage) -> str:
    return f"{encoder.label}-{encoder.key}" if isinstance(encoder, Stage) else f"{encoder.name}@{encoder.digest}"


def _described(run: Run) -> dict[str, Any]:
    after = [task.label for task in run.intermediate]
    return {"target": run.target.name, "intermediate": after, "recipes": asdict(run.recipes), "seed": run.seed}
