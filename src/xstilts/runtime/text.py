"""TODO runtime.text."""

from __future__ import annotations

from collections.abc import Iterable


def listed(names: Iterable[object]) -> str:
    """Return names as a list, apart by semicolons where one has a comma itself.

    >>> listed(["en", "sw"]), listed(["batch 8, tuned", "all"])
    ('en, sw', 'batch 8, tuned; all')
    """
    found = [str(name) for name in names]
    return ("; " if any("," in name for name in found) else ", ").join(found)
