"""Answer: the first screen of a study's report: the answer to its question, and what it was measured on.

>>> answer([])
'The study makes no claims.'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from xstilts.claims.claim import LEVEL
from xstilts.experiments.collect_results import INTERMEDIATE
from xstilts.runtime import tables
from xstilts.runtime.tables import is_known
from xstilts.runtime.text import counted, listed
from xstilts.store.names import BASELINE

Json = Mapping[str, Any]
NAMED = 12  # names of a list on the first screen; further ones are counted
METRICS = {  # in words, where a metric's name is not the usual one
    "squad": "F1",
    "squad_v2": "F1",
    "mlqa": "F1",
    "entity_f1": "entity F1",
    "pos_f1": "F1",
    "tag_accuracy": "token accuracy",
    "retrieval_accuracy": "accuracy",
    "mined_f1": "F1 of mined pairs",
    "map20": "mAP@20",
    "mlm_loss": "masked-LM loss, lower is better",
}
MEASURED = {  # what an estimate is called, by the type of its measure
    "Level": "the mean score is",
    "Gain": "the difference is",
    "Mean": "the mean difference is",
    "Saving": "the saving is",
    "Growth": "the slope is",
    "Scaling": "the exponent is",
}


def answer(verdicts: Sequence[Json]) -> str:
    """Return the answer to a study's question in a few sentences.

    Args:
        verdicts: The verdicts, as JSON.

    Returns:
        The verdicts on the claims that answer the question, with the size of each effect and its interval, and how many
        claims hold, do not hold or are undecided.
    """
    if not verdicts:
        return "The study makes no claims."
    primary = [verdict for verdict in verdicts if verdict["answers"]] or verdicts[:1]
    tested = [verdict for verdict in verdicts if not verdict.get("descriptive")]
    counts = Counter(verdict["status"] for verdict in tested)
    tally = [f"{count} {_verb(status, count)}" for status, count in sorted(counts.items())]
    tallied = f"Of {counted(len(tested), 'tested claim')}, {', '.join(tally)}."
    described = len(verdicts) - len(tested)
    further = f"{counted(described, 'further measurement')} {'is' if described == 1 else 'are'} shown without a test."
    return " ".join([*map(_answering, primary), *([tallied] if tested else []), *([further] if described else [])])


def _answering(verdict: Json) -> str:
    statement = f"“{verdict['sentence']}” {_verb(verdict['status'], 1)}"
    low, high = verdict["interval"]
    if not is_known(verdict["estimate"]):
        return f"{statement}: {verdict['why']}."
    noun = MEASURED.get(verdict["measure"]["type"], "the estimate is")
    value = f"{tables.signed(verdict['estimate']).text} {'' if noun.startswith('the exp') else verdict['unit']}".strip()
    span = ""
    if is_known(low) and is_known(high) and low < high:
        span = f" ({100 * LEVEL:.0f} % interval {tables.signed(low).text} to {tables.signed(high).text})"
    return f"{statement}: {noun} {value}{span}."


def _verb(status: str, count: int) -> str:
    """Return a status as a verb: 1 holds, 2 hold, 1 is undecided."""
    plural = count > 1
    verbs = {
        "holds": "hold" if plural else "holds",
        "fails": "do not hold" if plural else "does not hold",
        "untested": "could not be tested",
        "descriptive": "was measured without a test",
    }
    return verbs.get(status, f"{'are' if plural else 'is'} {status}")


def measured_on(settings: Json, trainings: Sequence[Json], collapsed: Sequence[Json]) -> list[list[str]]:
    """Return what a study's answer was measured on.

    Args:
        settings: The report's settings.
        trainings: Its trainings.
        collapsed: Its trainings that ended no better than chance.

    Returns:
        Labels and texts: encoder with size and layers, tasks, languages, seeds, trainings.
    """
    return [[label, text] for label, text in _measured_on(settings, trainings, collapsed) if text]


def _measured_on(settings: Json, trainings: Sequence[Json], collapsed: Sequence[Json]) -> Iterator[tuple[str, str]]:
    encoders = [_encoder(encoder) for encoder in settings["encoders"]]
    yield ("encoder" if len(encoders) == 1 else f"{len(encoders)} encoders"), _named(encoders, "; ")
    middle = [entry for entry in trainings if entry["role"] == INTERMEDIATE]
    tasks = [name for name in settings["intermediates"] if name != BASELINE]
    if tasks:
        yield "intermediate training", " · ".join(filter(None, (f"on {_named(tasks)}", _size(middle))))
    recipes = [label for label in settings["recipes"] if label]
    if len(recipes) > 1:
        yield f"{len(recipes)} settings", _named(recipes, "; ")
    yield (
        "target tasks",
        _named([f"{target['name']} ({metric_name(target['metric'])})" for target in settings["targets"]]),
    )
    languages = settings["languages"]
    learned = {code for target in settings["targets"] for code in target["trained_in"]}
    names = [f"{_language(languages[code], code)}{' (training)' if code in learned else ''}" for code in languages]
    yield counted(len(languages), "language"), _named(sorted(names, key=lambda name: not name.endswith("(training)")))
    yield "seeds", f"{len(settings['seeds'])}: {listed(settings['seeds'])}"
    count = len({key for entry in trainings for key in entry["keys"]})
    at_chance = len({entry["key"] for entry in collapsed})
    chance = f", of which {at_chance} ended no better than chance" if at_chance else ""
    yield "trainings", f"{count:,}{chance}" if count else "none"


def _encoder(encoder: Json) -> str:
    size = f"{tables.amount(encoder['parameters']).text} parameters" if is_known(encoder["parameters"]) else ""
    layers = counted(encoder["layers"], "layer") if encoder.get("layers") else ""
    facts = ", ".join(filter(None, (size, layers)))
    return f"{encoder['name']} ({facts})" if facts else str(encoder["name"])


def _size(entries: Sequence[Json]) -> str:
    """Return how long trainings are: their steps, batch sizes and learning rates."""
    if not entries:
        return ""
    steps = _span(value for entry in entries for value in entry["steps"])
    batch = _span(entry["hyperparameters"]["batch_size"] for entry in entries)
    rate = _span(entry["hyperparameters"]["learning_rate"] for entry in entries)
    return f"{steps} steps of {batch} examples, learning rate {rate}"


def _span(values: Iterable[float]) -> str:
    """Return a number, or the smallest and the largest of several."""
    known = sorted(set(values))
    texts = [f"{value:,}" if isinstance(value, int) else f"{value:g}" for value in known[:1] + known[1:][-1:]]
    return " to ".join(texts)


def metric_name(metric: str) -> str:
    """Return what a metric is called in the field.

    >>> metric_name("pos_f1"), metric_name("accuracy")
    ('F1', 'accuracy')
    """
    return METRICS.get(metric, metric)


def _language(about: Json, code: str) -> str:
    return str(about.get("name") or code)


def _named(names: Sequence[str], between: str = ", ") -> str:
    """Return a list of names, of which those that are too many are counted."""
    more = [f"and {len(names) - NAMED} more"] if len(names) > NAMED + 1 else []
    shown = list(names[: NAMED if more else None])
    between = "; " if any("," in name for name in shown) else between
    return between.join([*shown, *more])
