"""Texts: names as a list, and any text as Markdown that shows it unchanged.

>>> listed(["en", "sw"]), markdown("a|b")
('en, sw', 'a\\\\|b')
"""

from __future__ import annotations

import re
from collections.abc import Iterable

SPECIAL = re.compile(r"[\\`*<>|~]|(?<!\w)_|_(?!\w)|\](?=[(\[:])|&(?=#?\w+;)")
LINE_START = re.compile(
    r"^(?:(?=[#+=-]+(?:\s|$))|\d+(?=[.)](?:\s|$)))"
)  # a backslash goes before it, or after a number


def listed(names: Iterable[object]) -> str:
    """Join names for a message.

    Args:
        names: The names.

    Returns:
        The names, separated by commas, or by semicolons where a name itself has a comma.

    >>> listed(["en", "sw"]), listed(["batch 8, tuned", "all"])
    ('en, sw', 'batch 8, tuned; all')
    """
    texts = [str(name) for name in names]
    return ("; " if any("," in text for text in texts) else ", ").join(texts)


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, which agrees with it.

    >>> counted(1, "seed"), counted(1200, "seed"), counted(2, "study", "studies")
    ('1 seed', '1,200 seeds', '2 studies')
    """
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def bytes_text(number: float) -> str:
    """Return a number of bytes in a unit that suits it.

    >>> bytes_text(999), bytes_text(1536), bytes_text(3 * 2**30)
    ('999 B', '1.5 KiB', '3.0 GiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:,.1f} GiB"


def markdown(text: str) -> str:
    """Return Markdown that shows a text as it is, in one line."""
    return SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


def markdown_paragraph(text: str) -> str:
    """Return Markdown that shows a text as it is at the start of a line, where it makes no list or heading.

    >>> print(markdown_paragraph("# x"))
    \\# x
    """
    return LINE_START.sub(lambda start: f"{start.group(0)}\\", markdown(text))
