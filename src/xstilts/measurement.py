"""Measurement: what a measure gives, and what measures share: whose rows they used, and slopes over sizes.

>>> Setting("xlm-r", "test", "accuracy").split
'test'
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from xstilts import stats
from xstilts.stats import Estimate
from xstilts.claims.results_table import Arm, Missing, Row, Table


@dataclass(frozen=True)
class Setting:
    """What a published figure must share with a measured one to be compared."""

    encoder: str
    split: str
    metric: str
    languages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """An estimate and what it was measured on; exact: counted, so that seeds and examples leave no doubt about it."""

    estimate: Estimate
    setting: Setting
    keys: tuple[str, ...] = ()
    exact: bool = False


class Measure(Protocol):
    """Plain values that name an estimate in a table."""

    def of(self, table: Table) -> Measured:
        """Return the estimate; Missing where the table has not all rows."""
        ...


def zero_shot(arms: list[Arm]) -> tuple[str, ...]:
    """Return the languages that all settings have and the target was not learned in; all, if it was in every one."""
    taught = {code for rows in arms for (code, _), row in rows.items() if row.taught}
    found = shared(arms)
    return tuple(code for code in found if code not in taught) or found


def shared(arms: list[Arm]) -> tuple[str, ...]:
    """Return the languages that all settings have."""
    return tuple(sorted(set.intersection(*({code for code, _ in rows} for rows in arms))))


def over(found: Estimate, arms: list[Arm], codes: Iterable[str]) -> Measured:
    """Return an estimate with the setting and the stages of the rows that it was made from."""
    used = [row for rows in arms for (code, _), row in rows.items() if code in set(codes)]
    return Measured(found, _setting(used, codes), tuple(sorted({key for row in used for key in row.keys})))


def _setting(rows: Iterable[Row], codes: Iterable[str]) -> Setting:
    first = next(iter(rows))
    return Setting(first.encoder, first.split, first.metric, tuple(codes))


def by_encoder(table: Table, measure: Callable[[str], Measured]) -> dict[str, tuple[float, Measured]]:
    """Return what is measured by encoder, with its size; Missing with fewer than two known sizes."""
    found = {}
    for encoder in sorted({row.encoder for row in table.rows}):
        sizes = {row.size for row in table.rows if row.encoder == encoder}
        try:
            found[encoder] = (min(sizes), measure(encoder))
        except Missing:
            continue
    if len({size for size, _ in found.values()}) < 2 or any(math.isnan(size) for size, _ in found.values()):
        raise Missing(f"a slope needs encoders of two or more known sizes, found {', '.join(found) or 'none'}")
    return found


def sloped(found: Mapping[str, tuple[float, Measured]], values: list[float]) -> Measured:
    """Return the slope of values against the doublings of the sizes that they were found at."""
    sizes = [size for size, _ in found.values()]
    first = next(measured.setting for _, measured in found.values())
    keys = tuple(sorted({key for _, measured in found.values() for key in measured.keys}))
    return Measured(stats.slope(sizes, values), replace(first, encoder=", ".join(found)), keys)
