"""Errors that are written for users.

>>> raise InputError("a.csv:3: expected a label, found none; correct the row")
Traceback (most recent call last):
xstilts.errors.InputError: a.csv:3: expected a label, found none; correct the row
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


class InputError(ValueError):
    """Something a user gave is wrong; the message names the place, the value and the remedy."""


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is most like a given one; None where none is (`difflib.get_close_matches`)."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean 'steps'?)" for an unknown name that is like a known one, else nothing."""
    near = nearest(name, known)
    return f" (did you mean '{near}'?)" if near else ""


def did_you_mean(
    name: str, known: Iterable[str], aliases: Mapping[str, str] | None = None, otherwise: str = "there are"
) -> str:
    """Return a hint for an unknown name: the name that is meant, else all names there are.

    Args:
        name: What was given.
        known: The names there are.
        aliases: What other tools call them, from the other name (in lower case) to the one here.
        otherwise: What stands before all names, where none is like it.

    >>> did_you_mean("lr", ["learning_rate", "steps"], {"lr": "learning_rate"})
    "did you mean 'learning_rate'?"
    >>> did_you_mean("step", ["learning_rate", "steps"])
    "did you mean 'steps'?"
    >>> did_you_mean("x", ["learning_rate", "steps"])
    'there are learning_rate, steps'
    """
    names = list(known)
    meant = (aliases or {}).get(name.lower()) or nearest(name, names)
    return f"did you mean '{meant}'?" if meant else f"{otherwise} {', '.join(names)}"
