"""Text: lists of names in messages and tables."""

from __future__ import annotations

from collections.abc import Iterable


def listed(names: Iterable[object]) -> str:
    """Return names separated by commas, or by semicolons where a name has a comma.

    >>> listed(["en", "sw"]), listed(["batch 8, tuned", "all"])
    ('en, sw', 'batch 8, tuned; all')
    """
    found = [str(name) for name in names]
    return ("; " if any("," in name for name in found) else ", ").join(found)
