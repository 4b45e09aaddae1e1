"""Label measures: macro-F1, and a benchmark's own measures, of finished runs, from their predictions on disk.

Accuracy is what XTREME reports of classification; how rare labels fare is not in it. These measures are computed when
a table is shown, from what the score stages were computed from, so that no stage and no key changes.

    for line in remarks(runs, machine):
        print(line)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from xstilts.data.dataset import EXAMPLES
from xstilts.data.examples import read as read_examples
from xstilts.evaluation.score import read_lines
from xstilts.experiments.run import Run
from xstilts.metrics.confusion import MACRO_F1, Confusion, measure, measure_title
from xstilts.runtime.machine import Runtime
from xstilts.store.stage import Stage, folder_of

MOST_LINES = 300_000  # of predictions that are read for a remark: a second or two


def remarks(runs: Mapping[str, Sequence[Run]], machine: Runtime) -> list[str]:
    """Return a line for each measure of the runs of one target: its mean over seeds and languages by setting.

    Args:
        runs: Finished runs by setting, one a seed.
        machine: Names the store.

    Returns:
        Nothing where the target is not classification.
    """
    target = next(iter(runs.values()))[0].target
    if target.format != "classification":
        return []
    scores = {setting: [score for run in seeds for score in run.scores().values()] for setting, seeds in runs.items()}
    distinct = {score.key: score for of_setting in scores.values() for score in of_setting}
    tables: dict[str, Confusion] = {}
    labels: dict[str, dict[str, Any]] = {}  # by gold stage: the gold label of each example
    lines = 0
    for key, score in distinct.items():
        gold = score.arguments["gold"]
        if gold.key not in labels:
            labels[gold.key] = _gold_labels(gold, machine)
        lines += len(labels[gold.key])
        if lines > MOST_LINES:
            return ["macro-F1 and the scores of each label: xstilts score, for the predictions of one run"]
        tables[key] = _confusion(score, labels[gold.key], target.labels, machine)
    return [_line(name, scores, tables) for name in (MACRO_F1, *target.more_metrics)]


def _line(name: str, scores: Mapping[str, Sequence[Stage]], tables: Mapping[str, Confusion]) -> str:
    means = {
        setting: fmean(float(measure(name, tables[s.key].labels)(tables[s.key].counts)) for s in of_setting)
        for setting, of_setting in scores.items()
    }
    shown = ", ".join(f"{setting} {mean:.1f}" for setting, mean in means.items())
    return f"{measure_title(name)}, mean over languages and seeds: {shown}"


def _gold_labels(gold: Stage, machine: Runtime) -> dict[str, Any]:
    rows: Any = read_examples(folder_of(gold, machine) / EXAMPLES, "classification")
    return {example.id: example.label for example in rows}


def _confusion(score: Stage, gold: Mapping[str, Any], labels: Sequence[str], machine: Runtime) -> Confusion:
    lines = read_lines(folder_of(score.arguments["predictions"], machine))
    return Confusion.of([gold[line["id"]] for line in lines], [line["prediction"] for line in lines], labels)
