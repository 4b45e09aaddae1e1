"""Aims: the settings that a study's claims are about, so that what no arm has is refused before anything is run.

A setting is a place in the table: encoder, recipe, intermediate tasks and target; an aim may leave some of them open.

>>> of(Level("squad", "xquad", recipe="all"))
(ArmSelector(target='xquad', intermediate='squad', recipe='all', encoder='', languages=(), any_encoder=False),)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from xstilts.claims import published
from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain, Growth, Level, Mean, Saving, Scaling
from xstilts.errors import InputError
from xstilts.runtime.text import listed

COLUMNS = ("target", "intermediate", "recipe", "encoder")


@dataclass(frozen=True)
class ArmSelector:
    """A setting as a measure names it: what is "" may be anything, but it must be one; any_encoder: each of them."""

    target: str
    intermediate: str
    recipe: str = ""
    encoder: str = ""
    languages: tuple[str, ...] = ()
    any_encoder: bool = False


Settings = Mapping[ArmSelector, Sequence[str]]
"""The settings of all arms, each with the languages that it is measured in."""


def of(measure: Any) -> tuple[ArmSelector, ...]:
    """Return the settings that a measure is about; none for a measure that is not the package's."""
    if isinstance(measure, Mean):
        return tuple(aim for gain in measure.gains for aim in of(gain))
    if isinstance(measure, Growth):
        return tuple(replace(aim, encoder="", any_encoder=True) for aim in of(measure.gain))
    if isinstance(measure, Scaling):
        return (ArmSelector(measure.target, measure.intermediate, measure.recipe, any_encoder=True),)
    if not isinstance(measure, Level | Gain | Saving):
        return ()
    first = ArmSelector(measure.target, measure.intermediate, measure.recipe, measure.encoder, measure.languages)
    if isinstance(measure, Gain):
        return (first, replace(first, intermediate=measure.over, recipe=measure.over_recipe or measure.recipe))
    if isinstance(measure, Saving):
        over, spoken = measure.over or measure.intermediate, measure.over_languages or measure.languages
        return (first, replace(first, intermediate=over, recipe=measure.over_recipe, languages=spoken))
    return (first,)


def refuse(claims: Iterable[Claim], settings: Settings) -> None:
    """Raise InputError for a claim about what no arm has, or about several arms as if they were one, with the nearest.

    Its published figure must be known, and its sentence give it a name that no other claim has. In which languages
    there are data is only known when these are read: all that are asked for count.
    """
    named: dict[str, str] = {}
    for claim in claims:
        name = slug(claim.sentence)
        if not name:
            raise InputError(f"the claim '{claim.sentence}' has no words to call it by: write a sentence")
        if name in named:
            both = f"'{named[name]}' and '{claim.sentence}'"
            raise InputError(f"claims need sentences that differ in their words: {both} are both called {name}")
        named[name] = claim.sentence
        _refuse_figure(claim)
        for aim in of(claim.measure):
            left = _narrowed(claim, aim, list(settings))
            _refuse_several(claim, aim, left)
            _refuse_languages(claim, aim, {code for one in left for code in settings[one]})


def meets(aim: ArmSelector, setting: ArmSelector) -> bool:
    """Say whether a setting is one of those that an aim is about."""
    return all(getattr(aim, column) in ("", getattr(setting, column)) for column in COLUMNS)


def slug(sentence: str) -> str:
    """Return a sentence as an anchor: its words, joined by dashes."""
    return "-".join("".join(c if c.isalnum() else " " for c in sentence.lower()).split())


def _refuse_figure(claim: Claim) -> None:
    if claim.published and claim.published not in (known := published.known()):
        near = _near(claim.published, known)
        raise InputError(f"{_said(claim)} names '{claim.published}', which is no published figure{near}")


def _narrowed(claim: Claim, aim: ArmSelector, settings: list[ArmSelector]) -> list[ArmSelector]:
    """Return the settings that an aim is about; InputError at the first of its names that none of them has."""
    left, given = settings, ""
    for column in COLUMNS:
        wanted = getattr(aim, column)
        there = {getattr(one, column) for one in left}
        if wanted and wanted not in there:
            raise InputError(
                f"{_said(claim)} is about {column} '{wanted}', which no arm{given} has{_near(wanted, there)}"
            )
        if wanted:
            left = [one for one in left if getattr(one, column) == wanted]
            given += f"{' and' if given else ' with'} {column} '{wanted}'"
    return left


def _refuse_several(claim: Claim, aim: ArmSelector, left: list[ArmSelector]) -> None:
    """Raise InputError where rows of several arms would be taken for replicates of one."""
    groups: dict[str, list[ArmSelector]] = {}
    for one in left:
        groups.setdefault(one.encoder if aim.any_encoder else "", []).append(one)
    for group, column in product(groups.values(), ("recipe", "encoder")):
        found = sorted({getattr(one, column) for one in group})
        if len(found) > 1:
            raise InputError(f"{_said(claim)} is about several arms, of {column} {listed(found)}: name one of them")


def _refuse_languages(claim: Claim, aim: ArmSelector, spoken: set[str]) -> None:
    for code in aim.languages:
        if code not in spoken:
            raise InputError(
                f"{_said(claim)} is about language '{code}', in which {aim.target} is not measured{_near(code, spoken)}"
            )


def _said(claim: Claim) -> str:
    return f"the claim '{claim.sentence}'"


def _near(name: str, known: Iterable[str]) -> str:
    """Return what comes after an unknown name: the nearest, or all there are where none is near."""
    there = sorted(known)
    near = difflib.get_close_matches(name, there, n=1)
    return f"; did you mean '{near[0]}'?" if near else f": there are {listed(filter(None, there))}"
