"""Savings: measures of what runs cost: how much less one takes than another, and how a cost grows with size.

>>> Saving("hours", "squad", "xquad", "top", "all")
Traceback (most recent call last):
xstilts.data.examples.BadInput: unknown figure of cost 'hours': there are intermediate_seconds, ...
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from xstilts.data.examples import BadInput
from xstilts.measurement import Measured, by_encoder, over, shared, sloped
from xstilts.stats import Estimate
from xstilts.claims.results_table import CLOCKED, COSTS, Arm, Missing, Table, arm, replicates


@dataclass(frozen=True)
class Saving:
    """By how many percent a figure of cost (one of `COSTS`) is lower under one recipe than under another.

    intermediate: the setting of both; over: that of the second, where it is another. per: another figure by which it
    is divided first, as seconds by tokens. languages: whose predictions the first makes, over_languages the second;
    all that both have, or the same. Counted figures are exact.
    """

    figure: str
    intermediate: str
    target: str
    recipe: str
    over_recipe: str
    encoder: str = ""
    over: str = ""
    per: str = ""
    languages: tuple[str, ...] = ()
    over_languages: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _known(self.figure, self.per or self.figure)

    def of(self, table: Table) -> Measured:
        """Return the percentage, negative where the first costs more; Missing where a figure was not measured."""
        pair = (self.intermediate, self.recipe), (self.over or self.intermediate, self.over_recipe)
        arms = [arm(table, setting, self.target, self.encoder, recipe) for setting, recipe in pair]
        first = self.languages or shared(arms)
        codes = [first, self.over_languages or first]
        every = tuple(sorted({*codes[0], *codes[1]}))
        seeds = replicates(arms, every)
        figures = self.figure, self.per
        spent = [
            [_rate(rows, *figures, chosen, seed) for seed in seeds] for rows, chosen in zip(arms, codes, strict=True)
        ]
        saved = 100 * (1 - np.array(spent[0]) / np.array(spent[1]))
        found = Estimate(float(saved.mean()), float(saved.var(ddof=1)) if len(saved) > 1 else math.nan, len(saved))
        return replace(over(found, arms, every), exact=not any(one.endswith(CLOCKED) for one in figures if one))


@dataclass(frozen=True)
class Scaling:
    """The exponent with which a figure of cost grows with the encoder's parameters, by a fit of logarithms.

    per: another figure by which it is divided first, as seconds by tokens.
    """

    figure: str
    intermediate: str
    target: str
    recipe: str = ""
    per: str = ""

    def __post_init__(self) -> None:
        _known(self.figure, self.per or self.figure)

    def of(self, table: Table) -> Measured:
        """Return the exponent over all encoders; Missing with fewer than two sizes."""
        found = by_encoder(table, lambda encoder: self.at(table, encoder))
        return sloped(found, [math.log2(measured.estimate.value) for _, measured in found.values()])

    def at(self, table: Table, encoder: str) -> Measured:
        """Return the mean figure of one encoder over seeds."""
        rows = arm(table, self.intermediate, self.target, encoder, self.recipe)
        codes = tuple(sorted({code for code, _ in rows}))
        seeds = replicates([rows], codes)
        values = np.array([_rate(rows, self.figure, self.per, codes, seed) for seed in seeds])
        found = Estimate(float(values.mean()), float(values.var(ddof=1)) if len(seeds) > 1 else math.nan, len(seeds))
        return over(found, [rows], codes)


def _known(*figures: str) -> None:
    for figure in figures:
        if figure not in COSTS:
            raise BadInput(f"unknown figure of cost '{figure}': there are {', '.join(COSTS)}")


def _rate(rows: Arm, figure: str, per: str, codes: tuple[str, ...], seed: int) -> float:
    """Return a figure of one run, divided by another if there is one."""
    return _spent(rows, figure, codes, seed) / (_spent(rows, per, codes, seed) if per else 1)


def _spent(rows: Arm, figure: str, codes: tuple[str, ...], seed: int) -> float:
    """Return a figure of one run: of its trainings, or the sum over what was predicted."""
    chosen = codes if figure.startswith("predict") else codes[:1]
    found = sum(rows[code, seed].costs.get(figure, math.nan) for code in chosen)
    if not found > 0:
        raise Missing(f"no {figure} is known of '{rows[codes[0], seed].intermediate}', seed {seed}")
    return found
