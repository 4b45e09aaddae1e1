"""Score: predictions against gold, apart from whatever made them.

A corrected metric scores old predictions again and trains nothing. Each example's contribution is kept, so that
intervals and paired tests need no second look at the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from xstilts import example, metrics
from xstilts.data import EXAMPLES, Data
from xstilts.example import Example
from xstilts.predict import PREDICTIONS
from xstilts.stage import Site, Stage, stage

SCORE = "score.json"
CONTRIBUTIONS = "contributions.jsonl"
FIXED_DEPTH = 14 / 24  # the layer of XLM-R Large that the literature takes for retrieval, as a share of the depth


def _label(predictions: Stage, gold: Stage, metric: str, layer_from: Stage | None) -> str:
    return f"score-{_data(gold).label}"


@stage(version=1, label=_label)
def score(site: Site, predictions: Stage, gold: Stage, metric: str, layer_from: Stage | None = None) -> None:
    """Write `score.json` (metric, values, headline, examples) and `contributions.jsonl`, one line an example.

    layer_from: for retrieval, the scores of another language by which the layer is chosen; without it the layer is
    the one at the depth that the literature takes.
    """
    data = _data(gold)
    examples = list(example.read(site.path(gold) / EXAMPLES, data.kind))
    lines = read_lines(site.path(predictions))
    found, notes = (
        _by_layer(examples, lines, metric, _chosen_layer(site, layer_from))
        if data.kind == "retrieval"
        else (metrics.metric(metric)(examples, by_id(lines, metric), language=data.language), {})
    )
    result = {"metric": metric, "headline": found.headline, "values": found.values, "examples": len(examples), **notes}
    (site.folder / SCORE).write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    contributions = "".join(json.dumps(part) + "\n" for part in found.examples)
    (site.folder / CONTRIBUTIONS).write_text(contributions, encoding="utf-8")


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
    result: dict[str, Any] = json.loads((folder / SCORE).read_text(encoding="utf-8"))
    return result


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of `predictions.jsonl`."""
    with (folder / PREDICTIONS).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _by_layer(
    examples: Sequence[Example], lines: Sequence[Mapping[str, Any]], metric: str, chosen: int | None
) -> tuple[metrics.Score, dict[str, Any]]:
    """Return the score at the layer chosen (or at the literature's depth) and the headline at every layer."""
    depth, measure = len(lines[0]["prediction"]), metrics.metric(metric)
    scores = [measure(examples, {line["id"]: line["prediction"][layer] for line in lines}) for layer in range(depth)]
    fixed = round(FIXED_DEPTH * (depth - 1))
    layer = fixed if chosen is None else chosen
    notes = {"layer": layer, "fixed_layer": fixed, "by_layer": [found.headline for found in scores]}
    return scores[layer], notes


def _chosen_layer(site: Site, layer_from: Stage | None) -> int | None:
    if layer_from is None:
        return None
    headlines = read_score(site.path(layer_from))["by_layer"]
    return int(max(range(len(headlines)), key=lambda layer: (headlines[layer], layer)))


def _data(gold: Stage) -> Data:
    data: Data = gold.arguments["data"]
    return data
