"""Score: predictions against gold examples, as a stage of its own.

A corrected metric scores old predictions again and trains nothing. Each example's contribution is kept, so that
intervals and paired tests are computed without the model.

    read_score(build(score(predictions, gold, "accuracy"), machine))["headline"]
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xstilts.data.dataset import EXAMPLES, DatasetSplit
from xstilts.data.examples import Example
from xstilts.data.examples import read as read_examples
from xstilts.evaluation.predict import PREDICTIONS
from xstilts.formats import Tuned, chosen_layer, task_format
from xstilts.store import names
from xstilts.store.stage import BuildContext, Stage, stage

SCORE = names.SCORE_FILE
CONTRIBUTIONS = names.CONTRIBUTIONS_FILE
AT_FIXED_LAYER = names.FIXED_LAYER_FILE


def _label(predictions: Stage, gold: Stage, metric: str, tuned_from: Stage | None) -> str:
    return f"score-{_data(gold).label}"


@stage(name=names.SCORE, version=1, label=_label, always=("tuned_from",))
def score(context: BuildContext, predictions: Stage, gold: Stage, metric: str, tuned_from: Stage | None = None) -> None:
    """Write `score.json` (metric, values, headline, examples) and `contributions.jsonl`, one line an example.

    Where another layer than the fixed one is chosen, the contributions at the fixed one are written too.

    Args:
        context: Where the stage is built.
        predictions: A `predict` stage.
        gold: The stage that read the split that was predicted.
        metric: A name that `metrics.metric` knows.
        tuned_from: The score of other data, on which retrieval's layer and mining's threshold were chosen. Without it
            the layer is the one at the depth that the literature takes, and mining's threshold the best on these very
            data, which `score.json` then says.
    """
    data = _data(gold)
    examples = list(read_examples(context.path(gold) / EXAMPLES, data.format))
    tuned = None if tuned_from is None else read_score(context.path(tuned_from))
    lines = read_lines(context.path(predictions))
    for name, text in scored(examples, lines, (data.format, data.language), metric, tuned).items():
        (context.folder / name).write_text(text, encoding="utf-8")


def scored(
    examples: Sequence[Example],
    lines: Sequence[Mapping[str, Any]],
    data: tuple[str, str],
    metric: str,
    tuned: Tuned = None,
) -> dict[str, str]:
    """Score predictions.

    Args:
        examples: Gold examples.
        lines: Lines of `predictions.jsonl`.
        data: Format and language of the split.
        metric: A name that `metrics.metric` knows.
        tuned: The `score.json` of the data on which a layer or threshold was chosen.

    Returns:
        The text of the stage's files, by file name.
    """
    format, language = data
    result, notes = task_format(format).score(examples, lines, metric, language, tuned)
    files = {CONTRIBUTIONS: result}
    if "fixed_layer" in notes and notes["layer"] != notes["fixed_layer"]:
        only = [float(layer == notes["fixed_layer"]) for layer in range(len(notes["by_layer"]))]
        files[AT_FIXED_LAYER], _ = task_format(format).score(
            examples, lines, metric, language, {**(tuned or {}), "by_layer": only}
        )
    summary = {
        "metric": metric,
        "headline": result.headline,
        "values": result.values,
        "examples": len(result.examples),
        **notes,
    }
    return {
        SCORE: json.dumps(summary, indent=1, ensure_ascii=False) + "\n",
        **{name: "".join(json.dumps(part) + "\n" for part in result.examples) for name, result in files.items()},
    }


def read_score(folder: Path) -> dict[str, Any]:
    """Read the result of a `score` stage.

    Args:
        folder: Folder of the stage.

    Returns:
        The content of `score.json`: metric, values, headline, number of examples.
    """
    result: dict[str, Any] = json.loads((folder / SCORE).read_bytes().decode())
    return result


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Read the result of a `predict` stage.

    Args:
        folder: Folder of the stage.

    Returns:
        The lines of `predictions.jsonl`: `id`, `prediction`, and the scores behind it.
    """
    with (folder / PREDICTIONS).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def unscored(format: str, layers: int, tuned: Tuned) -> dict[str, Any]:
    """Return the layer and threshold by which to read predictions of a split whose answers are withheld.

    Args:
        format: The task format.
        layers: How many layers a prediction has, the embeddings included.
        tuned: The `score.json` of development data, if any.

    Returns:
        `layer` and perhaps `threshold`, as `score.json` would have them; empty where the format has no layers.
    """
    if not task_format(format).layered:
        return {}
    layer = chosen_layer(layers, tuned)
    return {"layer": layer, **({"threshold": tuned["thresholds"][layer]} if tuned and "thresholds" in tuned else {})}


def _data(gold: Stage) -> DatasetSplit:
    data: DatasetSplit = gold.arguments["data"]
    return data
