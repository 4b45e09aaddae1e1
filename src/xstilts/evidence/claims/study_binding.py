"""Binding: a statement of the literature, and the measure of a study that would decide it.

It is data that a person reads and changes (`bindings.json`), so each entry is looked at before anything is measured,
and one that does not ask what its statement says decides nothing: what is expected has to be the statement's own
direction, no margin may be wider or stricter than what it claims, and a number that it claims has to be there.

>>> bound = Binding("SQuAD helps XQuAD.", {"type": "Gain", "intermediate": "squad", "target": "xquad"}, "above")
>>> bound.query
'squad on xquad, Gain, above 0'
>>> mismatch(bound, "down", ())
"expects above 0 of what the statement says 'down' of"
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from xstilts.claims import measures
from xstilts.claims.claim import Expectation
from xstilts.errors import InputError

Json = Mapping[str, Any]
SETTING = ("encoder", "split", "metric")
MOST = 1e9  # of a margin or a published number
EXPECTED = {"up": "above", "down": "below"}  # of a score, by the direction of a statement
OF_COSTS = {"up": "below", "down": "above"}  # of a saving: where costs fall something is saved
SPEED = re.compile(r"\b(?:fast|slow|quick|speed|throughput)", re.IGNORECASE)  # of which less is not a saving
EFFECTS = ("points", "%")  # units of what a statement claims; other units count things


@dataclass(frozen=True)
class Binding:
    """A statement, word for word, and the measure that would decide it; setting: encoder, split, metric of the paper.

    published: the paper's number as the measure would have it (negative where the statement says that something
    falls), which the interval must hold; without one only where the statement claims none. Raises InputError for values
    that are no such thing.
    """

    statement: str
    measure: Json
    expectation: str
    margin: float = 0.0
    setting: Json = field(default_factory=dict)
    published: float | None = None
    proposed: bool = False

    def __post_init__(self) -> None:
        for wrong in _wrong(self):
            raise InputError(f"the binding of {self.statement!r:.80} {wrong}")

    @property
    def query(self) -> str:
        """The measure in words."""
        said = {name: value for name, value in self.measure.items() if name not in ("type", "intermediate", "target")}
        where = f"{self.measure.get('intermediate', '')} on {self.measure.get('target', '')}"
        more = f" ({json.dumps(said, sort_keys=True)})" if said else ""
        return f"{where}, {self.measure['type']}{more}, {self.expectation} {self.margin:g}"


def read(path: Path) -> tuple[Binding, ...]:
    """Return the bindings of a JSON file; InputError for what is none."""
    try:
        return from_plain(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {error}; write a JSON list of bindings") from error


def from_plain(given: Any) -> tuple[Binding, ...]:
    """Return the bindings that JSON has; InputError for what is none."""
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise InputError(f"{given!r:.80} are no bindings: write a list, each with statement, measure, expectation")
    try:
        return tuple(Binding(**one) for one in given)
    except TypeError as error:
        raise InputError(f"{given!r:.80} are no bindings: {error}; each has statement, measure, expectation") from error


def mismatch(one: Binding, direction: str, numbers: Sequence[Json]) -> str:
    """Return in what a binding asks something else than its statement says, "" where it asks just that.

    direction and numbers are those that a report gives of the statement.
    """
    if one.expectation != _expected(one, direction):
        return f"expects {one.expectation} {one.margin:g} of what the statement says '{direction}' of"
    claimed = effects(one.statement, numbers)
    if claimed and one.published is None:
        return f"names no published number, and the statement claims {_listed(claimed)}"
    if one.published is not None and abs(Decimal(str(one.published))) not in claimed:
        return f"{one.published:g} is published, but the statement claims {_listed(claimed) or 'no number'}"
    if one.expectation == "equivalent":
        return ""
    side = -1 if one.expectation == "below" else 1
    if (one.published or 0) * side < 0:
        return f"{one.published:g} is published, which is not what '{one.expectation}' expects; mind the sign"
    if not 0 <= one.margin * side <= (one.published or 0) * side:
        return f"a margin of {one.margin:g} is not between 0 and the published number ({one.published or 0:g})"
    return ""


def effects(statement: str, numbers: Sequence[Json]) -> list[Decimal]:
    """Return what a statement claims in numbers: points, percentages, decimals, and what follows "by"; all above 0.

    What "from 62.1 to 63.0" spans is claimed too. What is counted (seeds, tasks) is not.
    """
    said = [each for each in numbers if _of_effect(statement, each)]
    spans = [
        abs(Decimal(before["value"]) - Decimal(after["value"]))
        for before, after in pairwise(said)
        if f"from {before['text']} to {after['text']}" in statement
    ]
    return [*(abs(Decimal(each["value"])) for each in said), *spans]


def _of_effect(statement: str, number: Json) -> bool:
    bare = number["unit"] == "" and ("." in number["text"] or f"by {number['text']}" in statement)
    return bare or number["unit"] in EFFECTS


def _expected(one: Binding, direction: str) -> str:
    """Return what a statement of a direction makes one expect of a measure, "" where it says nothing of that kind."""
    if direction == "level":
        return "equivalent"
    if one.measure["type"] == "Saving":
        return "" if SPEED.search(one.statement) else OF_COSTS.get(direction, "")
    return "grows" if one.expectation == "grows" and direction == "up" else EXPECTED.get(direction, "")


def _listed(claimed: Sequence[Decimal]) -> str:
    return ", ".join(f"{each.normalize():f}" for each in claimed)


def _wrong(one: Binding) -> Iterator[str]:
    """Yield what of a binding is not of its type, then what is unknown; remedies in the words of its file."""
    given: Any = one
    if not isinstance(given.statement, str) or not given.statement.strip():
        yield "has no statement; copy it from the report"
    if not isinstance(given.measure, Mapping):
        yield f"has {given.measure!r:.40} as measure; write it as the report of a study has it"
    if given.expectation not in get_args(Expectation):
        yield f"has an unknown expectation {given.expectation!r:.40}; one of {', '.join(get_args(Expectation))}"
    if not _is_number(given.margin) or not (given.published is None or _is_number(given.published)):
        yield f"has margin {given.margin!r:.40} and published {given.published!r:.40}; write numbers, without quotes"
    if not isinstance(given.setting, Mapping) or not all(isinstance(value, str) for value in given.setting.values()):
        yield f"has {given.setting!r:.40} as setting; write names of {', '.join(SETTING)}"
    if unknown := set(given.setting) - set(SETTING):
        yield f"has an unknown entry of a setting {', '.join(sorted(unknown))}; known are {', '.join(SETTING)}"
    if not hasattr(measures.from_json(given.measure), "of"):
        yield f"measures a {given.measure['type']}, of which no table has a value; name another"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -MOST < value < MOST
