r"""Field types: what the values of a row may be, for every reader and every task format.

A value is read where it can mean one thing only, and refused with its place where it cannot. Nothing becomes a text by
`str()`: a null would train as "None". Nothing is iterated that may be a text: a list of choices would become letters.
A lone surrogate, which JSON can hold and UTF-8 cannot, becomes U+FFFD and is counted.

>>> boolean("False", "is_impossible", "a.json:1"), boolean(1, "is_impossible", "a.json:1")
(False, True)
>>> text(None, "context", "a.json:3")
Traceback (most recent call last):
xstilts.errors.InputError: a.json:3: expected text in 'context', found null; correct the row or leave it out
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from xstilts.data.readers.row import Report, bad

REMEDY = "correct the row or leave it out"
SURROGATE = re.compile("[\ud800-\udfff]")
INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
SHOWN = 60


def text(value: Any, name: str, place: str, report: Report | None = None) -> str:
    """Return a text as it is, a lone surrogate in it replaced where that can be counted.

    Args:
        value: The value of a field.
        name: Name of the field, for messages.
        place: Place of the row.
        report: Counts what was repaired; None: nothing is, as another call will do it.

    Raises:
        InputError: It is no text but null, a number, a list or another value.
    """
    if not isinstance(value, str):
        raise bad(place, f"expected text in '{name}', found {shown(value)}", REMEDY)
    return _encodable(str(value), name, place, report)


def texts(value: Any, name: str, place: str, report: Report | None = None) -> tuple[str, ...]:
    """Return a list of texts; InputError for a text, which is no list of letters, and for lists of other values."""
    if isinstance(value, str) or not isinstance(value, list | tuple):
        raise bad(place, f"expected a list of texts in '{name}', found {shown(value)}", REMEDY)
    for number, item in enumerate(value, 1):
        if not isinstance(item, str):
            raise bad(place, f"expected texts in '{name}', found {shown(item)} as number {number}", REMEDY)
    return tuple(_encodable(str(item), name, place, report) for item in value)


def boolean(value: Any, name: str, place: str) -> bool:
    """Return a truth value: true and false, 1 and 0, or their names as a text; InputError for anything else."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    known = TRUTHS.get(value.strip().lower()) if isinstance(value, str) else None
    if known is None:
        problem = f"expected true or false in '{name}', found {shown(value)}"
        raise bad(place, problem, "write true or false, or leave the row out")
    return known


def integer(value: Any, name: str, place: str) -> int:
    """Return a whole number, also one in a text or a float without a fraction; InputError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) < SHOWN and INTEGER.fullmatch(value.strip()):
        return int(value)
    raise bad(place, f"expected a whole number in '{name}', found {shown(value)}", REMEDY)


def identifier(value: Any, name: str, place: str, report: Report | None = None) -> str:
    """Return an id, a text or a number, as text; InputError for null, truth values, lists and objects."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value != value:
        raise bad(place, f"expected a text or a number in '{name}', found {shown(value)}", REMEDY)
    return _encodable(str(value), name, place, report)


def label(value: Any, name: str, place: str) -> str:
    """Return a label, a name or a number, as text; InputError for lists, objects and what is no number."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if not isinstance(value, str | int):
        raise bad(place, f"expected a label in '{name}', found {shown(value)}", REMEDY)
    return str(value)


def blank(value: Any) -> bool:
    """Return whether a value is left empty: null, a text of blanks, or a list or an object of nothing else."""
    if isinstance(value, list | tuple):
        return all(blank(item) for item in value)
    return value is None or (isinstance(value, str) and not value.strip())


def shown(value: Any) -> str:
    """Return a value for a message, as JSON writes it where it can, shortened.

    >>> shown(None), shown("None"), shown(True)
    ('null', '"None"', 'true')
    """
    try:
        written = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        written = f"{type(value).__name__} {value!r}"
    return written if len(written) <= SHOWN else written[: SHOWN - 1] + "…"


def parsed(document: str) -> Any:
    """Return the value of a JSON document.

    Raises:
        ValueError: It is no JSON; a `json.JSONDecodeError` where that has a position, and a plain one for numbers and
            nesting that no data set has, and for an object with a key twice, of which either value could be meant.
    """
    try:
        return json.loads(document, object_pairs_hook=_unambiguous)
    except RecursionError:
        raise ValueError("lists or objects nested too deeply") from None


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; ValueError where a key has two values."""
    values = dict(pairs)
    if len(values) < len(pairs):
        for key, value in pairs:
            if value != values[key]:
                raise ValueError(f"an object has the key {key!r} twice, with {shown(value)} and {shown(values[key])}")
    return values


def notated(value: Any) -> Any:
    """Return the list or object that a text writes in JSON's or Python's notation; other values as they are.

    >>> notated('["a", "b"]'), notated("['a', 'b']"), notated("[sic] he [said]"), notated("['a' 'b']")
    (['a', 'b'], ['a', 'b'], '[sic] he [said]', "['a' 'b']")
    """
    text = value.strip() if isinstance(value, str) else ""
    if text[:1] + text[-1:] not in ("[]", "{}"):
        return value
    try:
        return parsed(text)
    except ValueError:
        pass
    try:
        written = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return value
    return written if repr(written) == text else value  # texts side by side would be joined


def check_converted(before: Mapping[str, Any], after: Mapping[str, Any], place: str) -> None:
    """Raise InputError where a task's `convert` made a text of a null, or letters of a text.

    Args:
        before: The values of the row.
        after: The fields that `convert` returned.
        place: Place of the row.
    """
    if _has_null(before) and _mentions_none(after) and not _mentions_none(before):
        raise bad(place, f"expected texts, found null in {shown(dict(before))}", REMEDY)
    choices = after.get("choices")
    if isinstance(choices, tuple | list) and len(choices) > 1 and all(isinstance(item, str) for item in choices):
        for item in _strings(before):
            if len(item) == len(choices) and all(c.endswith(letter) for c, letter in zip(choices, item, strict=True)):
                raise bad(place, f"expected a list of texts for 'choices', found {shown(item)}", REMEDY)


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return [string for item in items for string in _strings(item)]


def _mentions_none(value: Any) -> bool:
    return any("None" in item for item in _strings(value))


def _has_null(value: Any) -> bool:
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return value is None or any(_has_null(item) for item in items)


def _encodable(value: str, name: str, place: str, report: Report | None) -> str:
    if value.isascii() or report is None or not SURROGATE.search(value):
        return value
    report.note(f"repaired: lone surrogate in '{name}' replaced by U+FFFD", place)
    return SURROGATE.sub("\ufffd", value)
