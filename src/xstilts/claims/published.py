"""Published: figures from papers, each with its place there, and whether a verdict agrees with them.

A figure is compared only with an estimate on the same encoder and split, in the same metric and, if it is a mean over
languages, over the same languages. The file is TOML, a section for each, named
by what claims call it:

    [some-paper-xquad]
    value = 1.5            # what the claim's measure would be: a gain, a mean
    paper = "..."          # and table, row, column: where it stands
    encoder = "..."        # and split, metric: what it was measured on
    languages = "de en"    # of what it is a mean, where it is one
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal

from xstilts.claims.claim import Verdict
from xstilts.errors import InputError

FIGURES = Path(__file__).with_name("published.toml")


@dataclass(frozen=True)
class Published:
    """A published figure.

    Attributes:
        name: What claims call it.
        value: What the claim's measure would be: a gain, a mean.
        paper: The paper.
        table: The table there; `row` and `column` are the place in it.
        row: The row.
        column: The column.
        encoder: The encoder that it was measured on; `split` and `metric`.
        split: The split.
        metric: The metric.
        languages: The languages that it is a mean over, separated by spaces; "" for none.
        rounding: Half of the last digit that the paper prints.
    """

    name: str
    value: float
    paper: str
    table: str
    row: str
    column: str
    encoder: str
    split: str
    metric: str
    languages: str = ""
    rounding: float = 0.05


@dataclass(frozen=True)
class Comparison:
    """Whether a measured interval contains a published figure, and the reason."""

    status: Literal["agrees", "differs", "not comparable"]
    why: str


@cache
def known() -> dict[str, Published]:
    """Return the published figures that come with the package."""
    return read(FIGURES)


def read(path: Path) -> dict[str, Published]:
    """Return the published figures of a TOML file by name.

    Args:
        path: The file: a table for each figure, with the fields of `Published`.

    Returns:
        The figures.

    Raises:
        InputError: The file is no TOML, or a figure is incomplete.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: {error}; write it as TOML") from error
    return {name: _published(path, name, values) for name, values in entries.items()}


def _published(path: Path, name: str, values: Any) -> Published:
    columns = {field.name: field.default is MISSING for field in fields(Published) if field.name != "name"}
    entry = values if isinstance(values, dict) else {}
    for column in (column for column, required in columns.items() if required):
        if entry.get(column) in (None, ""):
            raise InputError(
                f"{path}: [{name}] has no {column}; say where the figure stands and what it was measured on"
            )
    for column, value in entry.items():
        if column not in columns:
            raise InputError(f"{path}: [{name}] has an unknown entry '{column}'; known are {', '.join(columns)}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number != (column in ("value", "rounding")):
            raise InputError(f"{path}: [{name}] {column} = {value!r}; value and rounding are numbers, the rest texts")
    return Published(name, **entry)


def compare(verdict: Verdict, published: Published) -> Comparison:
    """Return whether a verdict's 95 % interval contains a published figure, up to the figure's rounding.

    Args:
        verdict: The verdict.
        published: The published figure.

    Returns:
        The comparison; "not comparable" where encoder, split, metric or languages differ or there is no interval.
    """
    if verdict.setting is None:
        return Comparison("not comparable", f"not measured: {verdict.why}")
    for column in ("encoder", "split", "metric"):
        measured, expected = getattr(verdict.setting, column), getattr(published, column)
        if measured != expected:
            return Comparison("not comparable", f"other {column}: '{measured}' here, '{expected}' in {published.paper}")
    if other := _other(verdict.setting.languages, published):
        return Comparison("not comparable", other)
    low, high = verdict.interval
    if not low < high:
        return Comparison("not comparable", f"no interval: {verdict.why}")
    place = f"{published.value:g} in {published.paper}, {published.table}"
    inside = low - published.rounding <= published.value <= high + published.rounding
    where = "lies in" if inside else "lies outside of"
    return Comparison("agrees" if inside else "differs", f"{place} {where} [{low:.2f}, {high:.2f}]")


def _other(languages: Sequence[str], published: Published) -> str:
    """Return how the languages of two means differ; "" where they do not, or the figure names none."""
    measured, expected = set(languages), set(published.languages.split())
    if not expected or measured == expected:
        return ""
    apart = [
        f"{', '.join(sorted(codes))} only {where}"
        for codes, where in ((measured - expected, "here"), (expected - measured, f"in {published.paper}"))
        if codes
    ]
    return f"other languages: {'; '.join(apart)}"
