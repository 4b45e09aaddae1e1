"""Cells: numbers of a report as a reader sees them, with what they are sorted by and the stages behind them.

What was not measured is a dash. Minus signs are true ones; a copy as CSV holds the plain numbers.

>>> signed(-1.234).text, amount(1_234_567_890).text, duration(5400).text, between(0.5, 1.25)
('−1.23', '1.235 G', '1.5 h', '[+0.50, +1.25]')
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from xstilts.reporting.page import NOTHING, Cell

Number = float | int | None
SCALES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
PLAIN = 1e4  # amounts below are written out
TIMES = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


def known(value: Number) -> bool:
    """Say whether a number was measured."""
    return value is not None and math.isfinite(value)


def plain(value: Number, decimals: int = 2, keys: Sequence[str] = ()) -> Cell:
    """Return a number with so many decimals."""
    if value is None or not known(value):
        return Cell(NOTHING, None, tuple(keys))
    return Cell(_minus(f"{value:.{decimals}f}"), float(value), tuple(keys))


def signed(value: Number, decimals: int = 2, keys: Sequence[str] = ()) -> Cell:
    """Return a difference, with its sign."""
    if value is None or not known(value):
        return Cell(NOTHING, None, tuple(keys))
    return Cell(_minus(f"{value:+.{decimals}f}"), float(value), tuple(keys))


def count(value: Number, keys: Sequence[str] = ()) -> Cell:
    """Return a whole number, its thousands apart."""
    return Cell(f"{value:,.0f}", float(value), tuple(keys)) if value is not None and known(value) else Cell(NOTHING)


def amount(value: Number, keys: Sequence[str] = ()) -> Cell:
    """Return an amount of any size: four digits and the unit's prefix."""
    if value is None or not known(value):
        return Cell(NOTHING, None, tuple(keys))
    scales = SCALES if abs(value) >= PLAIN else ()
    size, sign = next(((size, sign) for size, sign in scales if abs(value) >= size), (1, ""))
    return Cell(_minus(f"{value / size:.4g} {sign}".strip()), float(value), tuple(keys))


def duration(seconds: Number, keys: Sequence[str] = ()) -> Cell:
    """Return a time in the unit that suits it; its value stays in seconds."""
    if seconds is None or not known(seconds):
        return Cell(NOTHING, None, tuple(keys))
    size, unit = next(((size, unit) for size, unit in TIMES if seconds >= size), (1.0, "s"))
    return Cell(f"{seconds / size:.3g} {unit}", float(seconds), tuple(keys))


def p_value(value: Number, keys: Sequence[str] = ()) -> Cell:
    """Return a p-value; the smallest are only bounded."""
    if value is None or not known(value):
        return Cell(NOTHING, None, tuple(keys))
    least = 0.001
    return Cell(f"< {least:g}" if value < least else f"{value:.3f}", float(value), tuple(keys))


def between(low: Number, high: Number, decimals: int = 2) -> str:
    """Return the interval of a difference; nothing where there is none."""
    return f"[{signed(low, decimals).text}, {signed(high, decimals).text}]" if known(low) and known(high) else ""


def within(low: Number, high: Number, decimals: int = 2) -> str:
    """Return the interval of a figure that is no difference; nothing where there is none."""
    return f"[{plain(low, decimals).text}, {plain(high, decimals).text}]" if known(low) and known(high) else ""


def figure(name: str, value: Number, keys: Sequence[str] = ()) -> Cell:
    """Return a figure of the bill as its name asks: times as times, all else as amounts."""
    return duration(value, keys) if name.endswith("seconds") else amount(value, keys)


def free(value: object) -> Cell:
    """Return any value of a table that a study made itself."""
    if value is None:
        return Cell(NOTHING)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Cell(str(value))
    return count(value) if isinstance(value, int) else Cell(_minus(f"{value:.4g}"), value)


def _minus(text: str) -> str:
    return text.replace("-", "−") if "e-" not in text else text
