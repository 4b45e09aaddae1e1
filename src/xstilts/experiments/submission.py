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

from xstilts import metrics
from xstilts.data.examples import Example
from xstilts.errors import InputError
from xstilts.evaluation.score import read_lines, read_score, unscored
from xstilts.experiments.run import Run
from xstilts.experiments.submission_entries import Entry, Gap, asked, entries_of, sorted_out
from xstilts.experiments.submission_formats import Answers, Layout, layout
from xstilts.formats import task_format
from xstilts.metrics import Suite
from xstilts.models.encoder import Encoder
from xstilts.runtime.machine import Runtime
from xstilts.store.stage import Stage, StageError, folder_of

MANIFEST = "manifest.json"
TOLERANCE = 1e-9


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


def write(runs: Sequence[Run], suite: Suite, machine: Runtime, out: Path) -> Report:
    """Write the predictions of finished runs, one a target, to an empty folder; read them back and score them again.

    Raises InputError, before anything is written, where the folder is not empty, the runs are not one model's on the
    suite's test sets, or nothing is finished; StageError where a file does not score as its run did.
    """
    refuse(runs, suite, out)
    entries, missing = sorted_out(runs, suite, machine)
    if not entries:
        given = {run.target.name for run in runs}
        reasons = "; ".join(f"{gap.task}: {gap.reason}" for gap in missing if gap.task in given)
        raise InputError(f"nothing to hand in to {suite.name} ({reasons}): build the runs with `xstilts run` first")
    files = tuple(_write(entry, machine, out) for entry in entries)
    report = Report(suite.name, _called(runs[0].encoder), files, tuple(missing), tuple(_notes(runs, files)))
    text = json.dumps({**asdict(report), "runs": [_described(run) for run in runs]}, indent=1, ensure_ascii=False)
    (out / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return report


def stages(runs: Sequence[Run], machine: Runtime) -> list[Stage]:
    """Promise all that `write` needs: scores, and predictions where the answers are withheld."""
    return [stage for run in runs for entry in entries_of(run, machine.data).values() for stage in entry.needed]


def refuse(runs: Sequence[Run], suite: Suite, out: Path) -> None:
    """Raise InputError where runs and a folder are nothing to hand in, before anything is built for it."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is not an empty folder: nothing is overwritten, so name another or remove it")
    targets = [run.target.name for run in runs]
    strange = next((name for name in targets if name not in suite.languages), None)
    if not targets:
        raise InputError(f"expected runs to hand in, found none: give one for each task of {suite.name}")
    if strange:
        raise InputError(f"'{strange}' is not in {suite.name}: its tasks are {', '.join(suite.languages)}")
    if len(set(targets)) < len(targets):
        raise InputError(f"expected one run a target, found {', '.join(targets)}: choose a setting and a seed of each")
    if len({run.encoder for run in runs}) > 1:
        encoders = ", ".join(sorted({_called(run.encoder) for run in runs}))
        raise InputError(f"expected runs of one encoder, found {encoders}: hand in each by itself")
    split = next((run.split for run in runs if run.split != "test"), None)
    if split:
        raise InputError(f"expected predictions on test, found '{split}': a leaderboard scores test sets")


def _write(entry: Entry, machine: Runtime, out: Path) -> Written:
    target = entry.run.target
    shape = layout(target.name, target.format)
    gold, said = asked(entry, machine), answers(entry, machine)
    path = out / shape.path(entry.language)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(shape.text(gold, said), encoding="ascii", newline="\n")
    values = _checked(entry, shape, gold, path, machine)
    keys = entry.predictions.key, entry.score.key if entry.score else None
    note = shape.note(gold, entry.language)
    return Written(target.name, entry.language, shape.path(entry.language), len(gold), *keys, values, note)


def answers(entry: Entry, machine: Runtime) -> Answers:
    """Return the predictions as the metric takes them: at the layer and from the threshold that the score names."""
    lines = read_lines(folder_of(entry.predictions, machine))
    found = {line["id"]: line["prediction"] for line in lines}
    layered = found and task_format(entry.run.target.format).layered
    chosen = _chosen(entry, len(lines[0]["prediction"]), machine) if layered else {}
    if "layer" in chosen:
        found = {id: layers[chosen["layer"]] for id, layers in found.items()}
    if "threshold" in chosen:
        found = {id: pair[0] if pair and pair[1] >= chosen["threshold"] else None for id, pair in found.items()}
    return found


def _chosen(entry: Entry, layers: int, machine: Runtime) -> Mapping[str, Any]:
    if entry.score:
        return read_score(folder_of(entry.score, machine))
    tuned = read_score(folder_of(entry.tuned_from, machine)) if entry.tuned_from else None
    return unscored(entry.run.target.format, layers, tuned)


def _checked(entry: Entry, shape: Layout, gold: Sequence[Example], path: Path, machine: Runtime) -> Mapping[str, float]:
    """Return what a written file scores, having seen that it is what its run scored, or at least complete."""
    target = entry.run.target
    found = shape.answers(gold, path.read_text(encoding="ascii"))
    if entry.score is None:
        return {}
    again = metrics.metric(target.metric)(gold, found, language=entry.language).values
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
