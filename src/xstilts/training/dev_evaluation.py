"""Look: how far a training is, by what its network says of development data."""

from __future__ import annotations

import math
from typing import Any

from xstilts import metrics
from xstilts.evaluation.predict import predict_units
from xstilts.evaluation.score import by_id
from xstilts.models.network import Network
from xstilts.models.tokenization import Tokenizer
from xstilts.runtime.machine import Runtime
from xstilts.training.training_set import EncodedTrainingSet


def look(
    network: Network, pupils: list[EncodedTrainingSet], tokens: Tokenizer, machine: Runtime, most: int
) -> dict[str, Any]:
    """Score the lessons that take turns on the (first) development examples; say which did not get above chance."""
    looked = {}
    for pupil in pupils:
        lesson, examples = pupil.lesson, pupil.dev[:most]
        if not examples or lesson.weight is not None:
            continue
        units = [unit for unit in pupil.dev_units if unit.example < len(examples)]
        found = predict_units(network, lesson.task, pupil.format, units, tokens, machine)
        lines = pupil.format.decode(found, units, examples, pupil.labels)
        score = metrics.metric(lesson.metric)(examples, by_id(lines, lesson.metric)).headline
        chance = pupil.format.chance(examples)
        looked[lesson.task] = {"score": score, "chance": chance, "collapsed": _collapsed(score, chance, len(examples))}
    return looked


def _collapsed(score: float, chance: float, count: int) -> bool:
    """Say whether a score is no better than chance: not above it by two standard errors, and at least one point."""
    share = chance / 100
    return score < chance + max(1.0, 200 * math.sqrt(share * (1 - share) / count))
