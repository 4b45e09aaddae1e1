"""Score: predictions against gold, apart from whatever made them.

A corrected metric scores old predictions again and trains nothing. Each example's contribution is kept, so that
intervals and paired tests need no second look at the model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from xstilts import metrics
from xstilts.data.dataset import EXAMPLES, DatasetSplit
from xstilts.data.examples import Example, PassageExample
from xstilts.data.examples import read as read_examples
from xstilts.data.languages import codes
from xstilts.evaluation.predict import PREDICTIONS
from xstilts.store import names
from xstilts.store.stage import BuildContext, Stage, stage

SCORE = "score.json"
CONTRIBUTIONS = "contributions.jsonl"
Tuned = Mapping[str, Any] | None
FIXED_DEPTH = 14 / 24  # the layer of XLM-R Large that the literature takes for retrieval, as a share of the depth


def _label(predictions: Stage, gold: Stage, metric: str, tuned_from: Stage | None) -> str:
    return f"score-{_data(gold).label}"


@stage(name=names.SCORE, version=1, label=_label, always=("tuned_from",))
def score(site: BuildContext, predictions: Stage, gold: Stage, metric: str, tuned_from: Stage | None = None) -> None:
    """Write `score.json` (metric, values, headline, examples) and `contributions.jsonl`, one line an example.

    tuned_from: the scores of other data, on which what retrieval and mining leave open was chosen: the layer, and
    from which score on a mined pair counts. Without it the layer is the one at the depth that the literature takes,
    and mining's threshold the best on these very data, which the score then says.
    """
    data = _data(gold)
    examples = list(read_examples(site.path(gold) / EXAMPLES, data.format))
    tuned = None if tuned_from is None else read_score(site.path(tuned_from))
    written = scored(examples, read_lines(site.path(predictions)), (data.format, data.language), metric, tuned)
    for name, text in written.items():
        (site.folder / name).write_text(text, encoding="utf-8")


def scored(
    examples: Sequence[Example],
    lines: Sequence[Mapping[str, Any]],
    asked: tuple[str, str],
    metric: str,
    tuned: Tuned = None,
) -> dict[str, str]:
    """Return the two files of a score by name, from gold and predictions; asked: the format and the language."""
    format, language = asked
    if format in LAYERED:
        found, notes = LAYERED[format](examples, lines, metric, tuned)
    else:
        questions = [one for one in examples if not (isinstance(one, PassageExample) and one.side != "query")]
        spoken = codes(language)[0]  # of a pair, the language of the context is the answers'
        found, notes = metrics.metric(metric)(questions, by_id(lines, metric), language=spoken), {}
    result = {"metric": metric, "headline": found.headline, "values": found.values, "examples": len(found.examples)}
    return {
        SCORE: json.dumps({**result, **notes}, indent=1, ensure_ascii=False) + "\n",
        CONTRIBUTIONS: "".join(json.dumps(part) + "\n" for part in found.examples),
    }


def by_id(lines: Sequence[Mapping[str, Any]], metric: str) -> dict[str, Any]:
    """Return predictions by id; where a question may have no answer, none is given if it scores above the best span."""
    if metric != "squad_v2":
        return {line["id"]: line["prediction"] for line in lines}
    found = {}
    for line in lines:
        margin = (line["null_score"] or 0.0) - (line["score"] or 0.0)
        found[line["id"]] = {"answer": "" if margin > 0 else line["prediction"], "null_score": margin}
    return found


def read_score(folder: Path) -> dict[str, Any]:
    """Return what `score.json` says."""
    result: dict[str, Any] = json.loads((folder / SCORE).read_bytes().decode())
    return result


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of `predictions.jsonl`."""
    with (folder / PREDICTIONS).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _retrieved(
    examples: Sequence[Example], lines: Sequence[Mapping[str, Any]], metric: str, tuned: Tuned
) -> tuple[metrics.Score, dict[str, Any]]:
    """Return the score at the layer chosen and the headline at every layer."""
    measure = metrics.metric(metric)
    layers = range(len(lines[0]["prediction"]))
    return _chosen(
        [measure(examples, {line["id"]: line["prediction"][layer] for line in lines}) for layer in layers], tuned
    )


def _mined(
    examples: Sequence[Example], lines: Sequence[Mapping[str, Any]], metric: str, tuned: Tuned
) -> tuple[metrics.Score, dict[str, Any]]:
    """Return the score, at the layer chosen, of pairs above the threshold of each layer."""
    asking = [one for one in examples if isinstance(one, PassageExample) and one.side == "query"]
    gold = {(one.id, target) for one in asking for target in one.targets}
    layers = [{line["id"]: line["prediction"][n] for line in lines} for n in range(len(lines[0]["prediction"]))]
    thresholds = tuned["thresholds"] if tuned else [_threshold(layer, gold) for layer in layers]
    kept = [
        {id: pair[0] if pair and pair[1] >= threshold else None for id, pair in layer.items()}
        for layer, threshold in zip(layers, thresholds, strict=True)
    ]
    found, notes = _chosen([metrics.metric(metric)(asking, pairs) for pairs in kept], tuned)
    source = "other data" if tuned else "these data: the best there is, not a result"
    notes |= {"threshold": thresholds[notes["layer"]], "thresholds": thresholds, "threshold_from": source}
    return found, notes


def _threshold(layer: Mapping[str, Any], gold: set[tuple[str, str]]) -> float:
    return metrics.tune_threshold({(id, pair[0]): pair[1] for id, pair in layer.items() if pair}, gold)


def _chosen(scores: Sequence[metrics.Score], tuned: Tuned) -> tuple[metrics.Score, dict[str, Any]]:
    """Return the score at the layer that is best on the other data, else at the literature's depth; every headline."""
    layer, fixed = _layer(len(scores), tuned), _layer(len(scores), None)
    return scores[layer], {"layer": layer, "fixed_layer": fixed, "by_layer": [found.headline for found in scores]}


def _layer(layers: int, tuned: Tuned) -> int:
    if not tuned:
        return round(FIXED_DEPTH * (layers - 1))
    elsewhere = tuned["by_layer"]
    return max(range(len(elsewhere)), key=lambda number: (elsewhere[number], number))


LAYERED: dict[str, Callable[..., tuple[metrics.Score, dict[str, Any]]]] = {
    "bitext_retrieval": _retrieved,
    "bitext_mining": _mined,
}


def unscored(format: str, layers: int, tuned: Tuned) -> dict[str, Any]:
    """Return what a score would say of data whose answers are withheld: the layer and threshold chosen elsewhere."""
    if format not in LAYERED:
        return {}
    layer = _layer(layers, tuned)
    return {"layer": layer, **({"threshold": tuned["thresholds"][layer]} if tuned and "thresholds" in tuned else {})}


def _data(gold: Stage) -> DatasetSplit:
    data: DatasetSplit = gold.arguments["data"]
    return data
