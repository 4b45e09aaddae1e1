"""Bindings: which measure of a study decides which statement of the literature.

A binding is data that users read and edit (`bindings.json`), so each is checked before anything is measured. One that
does not ask what its statement says decides nothing: the expectation must be the statement's own direction, the margin
neither wider nor stricter than its claim, and the published number one that the statement contains.

>>> binding = Binding("SQuAD helps XQuAD.", {"type": "Gain", "intermediate": "squad", "target": "xquad"}, "above")
>>> binding.query
'squad on xquad, Gain, above 0'
>>> mismatch(binding, "down", ())
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
MAX_VALUE = 1e9  # bound of margins and published numbers
EXPECTATIONS = {"up": "above", "down": "below"}  # expectation of a score, by direction of the statement
COST_EXPECTATIONS = {"up": "below", "down": "above"}  # expectation of a saving: falling costs are a saving
SPEED = re.compile(r"\b(?:fast|slow|quick|speed|throughput)", re.IGNORECASE)  # less of these is no saving
EFFECT_UNITS = ("points", "%")  # units of effect sizes; other units are counts


@dataclass(frozen=True)
class Binding:
    """A statement and the measure that decides it.

    Attributes:
        statement: The statement, word for word.
        measure: The measure as JSON, as in a study's report.
        expectation: What is expected of it: "above", "below", "equivalent", ...
        margin: Bound of the expectation, in the measure's unit.
        setting: Encoder, split and metric of the paper.
        published: The paper's number in the measure's sign (negative where the statement says that something falls),
            which the interval must contain; None only if the statement claims no number.
        proposed: Whether it was proposed automatically.

    Raises:
        InputError: A value is of a wrong type or unknown.
    """

    statement: str
    measure: Json
    expectation: str
    margin: float = 0.0
    setting: Json = field(default_factory=dict)
    published: float | None = None
    proposed: bool = False

    def __post_init__(self) -> None:
        for wrong in _problems(self):
            raise InputError(f"the binding of {self.statement!r:.80} {wrong}")

    @property
    def query(self) -> str:
        """The measure in words."""
        settings = {
            name: value for name, value in self.measure.items() if name not in ("type", "intermediate", "target")
        }
        tasks = f"{self.measure.get('intermediate', '')} on {self.measure.get('target', '')}"
        details = f" ({json.dumps(settings, sort_keys=True)})" if settings else ""
        return f"{tasks}, {self.measure['type']}{details}, {self.expectation} {self.margin:g}"


def read(path: Path) -> tuple[Binding, ...]:
    """Read the bindings of a JSON file.

    Raises:
        InputError: The file is unreadable or holds no list of bindings.
    """
    try:
        return bindings_from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: {error}; write a JSON list of bindings") from error


def bindings_from_json(value: Any) -> tuple[Binding, ...]:
    """Return the bindings of a JSON value.

    Raises:
        InputError: It is no list of bindings.
    """
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise InputError(f"{value!r:.80} are no bindings: write a list, each with statement, measure, expectation")
    try:
        return tuple(Binding(**row) for row in value)
    except TypeError as error:
        raise InputError(f"{value!r:.80} are no bindings: {error}; each has statement, measure, expectation") from error


def mismatch(binding: Binding, direction: str, numbers: Sequence[Json]) -> str:
    """Return how a binding differs from what its statement says, "" if it does not.

    Args:
        binding: The binding.
        direction: Direction of the statement, as in the report.
        numbers: Numbers of the statement, as in the report.

    Returns:
        The difference in words.
    """
    if binding.expectation != _expected(binding, direction):
        return f"expects {binding.expectation} {binding.margin:g} of what the statement says '{direction}' of"
    effects = claimed_effects(binding.statement, numbers)
    if effects and binding.published is None:
        return f"names no published number, and the statement claims {_format_values(effects)}"
    if binding.published is not None and abs(Decimal(str(binding.published))) not in effects:
        return f"{binding.published:g} is published, but the statement claims {_format_values(effects) or 'no number'}"
    if binding.expectation == "equivalent":
        return ""
    side = -1 if binding.expectation == "below" else 1
    if (binding.published or 0) * side < 0:
        return f"{binding.published:g} is published, which is not what '{binding.expectation}' expects; mind the sign"
    if not 0 <= binding.margin * side <= (binding.published or 0) * side:
        return f"a margin of {binding.margin:g} is not between 0 and the published number ({binding.published or 0:g})"
    return ""


def claimed_effects(statement: str, numbers: Sequence[Json]) -> list[Decimal]:
    """Return the sizes of effect that a statement claims, all positive.

    Args:
        statement: The statement.
        numbers: Its numbers, as in the report.

    Returns:
        Points, percentages, decimals, and what follows "by"; also the difference in "from 62.1 to 63.0". Counts (of
        seeds, tasks) are left out.
    """
    effects = [number for number in numbers if _of_effect(statement, number)]
    spans = [
        abs(Decimal(before["value"]) - Decimal(after["value"]))
        for before, after in pairwise(effects)
        if f"from {before['text']} to {after['text']}" in statement
    ]
    return [*(abs(Decimal(number["value"])) for number in effects), *spans]


def _of_effect(statement: str, number: Json) -> bool:
    bare = number["unit"] == "" and ("." in number["text"] or f"by {number['text']}" in statement)
    return bare or number["unit"] in EFFECT_UNITS


def _expected(binding: Binding, direction: str) -> str:
    """Return the expectation that fits a statement of a direction, "" if there is none."""
    if direction == "level":
        return "equivalent"
    if binding.measure["type"] == "Saving":
        return "" if SPEED.search(binding.statement) else COST_EXPECTATIONS.get(direction, "")
    return "grows" if binding.expectation == "grows" and direction == "up" else EXPECTATIONS.get(direction, "")


def _format_values(values: Sequence[Decimal]) -> str:
    return ", ".join(f"{value.normalize():f}" for value in values)


def _problems(binding: Binding) -> Iterator[str]:
    """Yield what is wrong with a binding: types first, then unknown names."""
    fields: Any = binding
    if not isinstance(fields.statement, str) or not fields.statement.strip():
        yield "has no statement; copy it from the report"
    if not isinstance(fields.measure, Mapping):
        yield f"has {fields.measure!r:.40} as measure; write it as the report of a study has it"
    if fields.expectation not in get_args(Expectation):
        yield f"has an unknown expectation {fields.expectation!r:.40}; one of {', '.join(get_args(Expectation))}"
    if not _is_number(fields.margin) or not (fields.published is None or _is_number(fields.published)):
        yield f"has margin {fields.margin!r:.40} and published {fields.published!r:.40}; write numbers, without quotes"
    if not isinstance(fields.setting, Mapping) or not all(isinstance(value, str) for value in fields.setting.values()):
        yield f"has {fields.setting!r:.40} as setting; write names of {', '.join(SETTING)}"
    if unknown := set(fields.setting) - set(SETTING):
        yield f"has an unknown entry of a setting {', '.join(sorted(unknown))}; known are {', '.join(SETTING)}"
    if not hasattr(measures.from_json(fields.measure), "of"):
        yield f"measures a {fields.measure['type']}, of which no table has a value; name another"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -MAX_VALUE < value < MAX_VALUE
