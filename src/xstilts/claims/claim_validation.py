"""Claim validation: claims about settings that no arm of a study has are refused before anything is run.

Each measure names the arms that it is about by target, intermediate tasks, recipe and encoder; it may leave some of
these open.

>>> of(Level("squad", "xquad", recipe="all"))
(ArmSelector(target='xquad', intermediate='squad', recipe='all', encoder='', languages=(), any_encoder=False),)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from xstilts.claims import published
from xstilts.claims.claim import Claim
from xstilts.claims.measures import Gain, Growth, Level, Mean, Saving, Scaling
from xstilts.errors import InputError, nearest
from xstilts.formats import task_format
from xstilts.runtime.text import listed
from xstilts.tasks.base import names, task

COLUMNS = ("target", "intermediate", "recipe", "encoder")


@dataclass(frozen=True)
class ArmSelector:
    """The arm that a measure is about, or a study's own arm.

    Attributes:
        target: The target task.
        intermediate: The intermediate setting.
        recipe: The recipe's label; "" leaves it open, but all rows must have the same.
        encoder: The encoder; "" leaves it open in the same way.
        languages: The languages that the measure names; none for the default.
        any_encoder: Whether the measure is about each encoder that there is.
    """

    target: str
    intermediate: str
    recipe: str = ""
    encoder: str = ""
    languages: tuple[str, ...] = ()
    any_encoder: bool = False


Settings = Mapping[ArmSelector, Sequence[str]]
"""The settings of all arms, each with the languages that it is measured in."""


def of(measure: Any) -> tuple[ArmSelector, ...]:
    """Return the arms that a measure is about.

    Args:
        measure: A measure of a claim.

    Returns:
        A selector for each; none for a measure that the package does not define.
    """
    if isinstance(measure, Mean):
        return tuple(selector for gain in measure.gains for selector in of(gain))
    if isinstance(measure, Growth):
        return tuple(replace(selector, encoder="", any_encoder=True) for selector in of(measure.gain))
    if isinstance(measure, Scaling):
        grown = ArmSelector(measure.target, measure.intermediate, measure.recipe, any_encoder=True)
        against = replace(grown, intermediate=measure.over, recipe=measure.over_recipe or measure.recipe)
        return (grown, against) if measure.over else (grown,)
    if not isinstance(measure, Level | Gain | Saving):
        return ()
    first = ArmSelector(measure.target, measure.intermediate, measure.recipe, measure.encoder, measure.languages)
    if isinstance(measure, Gain):
        return (first, replace(first, intermediate=measure.over, recipe=measure.over_recipe or measure.recipe))
    if isinstance(measure, Saving):
        over, over_languages = measure.over or measure.intermediate, measure.over_languages or measure.languages
        return (first, replace(first, intermediate=over, recipe=measure.over_recipe, languages=over_languages))
    return (first,)


def refuse(claims: Iterable[Claim], settings: Settings) -> None:
    """Check the claims of a study against its arms.

    Args:
        claims: The claims.
        settings: The study's arms with their languages. Whether there are data in a language is only known once they
            are read, so that all requested ones count.

    Raises:
        InputError: A claim is about what no arm has, or about several arms as if they were one; its published figure
            is unknown; or its sentence gives it no name, or another claim's. The message names the nearest match.
    """
    sentences: dict[str, str] = {}
    for claim in claims:
        name = slug(claim.sentence)
        if not name:
            raise InputError(f"the claim '{claim.sentence}' has no words to call it by: write a sentence")
        if name in sentences:
            pair = f"'{sentences[name]}' and '{claim.sentence}'"
            raise InputError(f"claims need sentences that differ in their words: {pair} are both called {name}")
        sentences[name] = claim.sentence
        _refuse_figure(claim)
        _refuse_layer(claim)
        for selector in of(claim.measure):
            remaining = _narrowed(claim, selector, list(settings))
            _refuse_several(claim, selector, remaining)
            _refuse_languages(claim, selector, {code for arm in remaining for code in settings[arm]})


def _refuse_layer(claim: Claim) -> None:
    """Raise InputError for a claim about the fixed layer of a target that is not scored by layers."""
    measure = claim.measure.gain if isinstance(claim.measure, Growth) else claim.measure
    for part in measure.gains if isinstance(measure, Mean) else (measure,):
        if not (isinstance(part, Level | Gain) and part.layer and part.target in names()):
            continue
        if not task_format(task(part.target).format).layered:
            problem = f"claim '{claim.sentence}': '{part.target}' has one score and none by layers"
            raise InputError(f"{problem}: leave out layer='{part.layer}'")


def meets(selector: ArmSelector, arm: ArmSelector) -> bool:
    """Return whether an arm has all the values that a selector gives.

    Args:
        selector: Wanted values; fields at "" match everything.
        arm: The values of one arm.

    Returns:
        Whether all agree.
    """
    return all(getattr(selector, column) in ("", getattr(arm, column)) for column in COLUMNS)


def slug(sentence: str) -> str:
    """Return a sentence as an identifier: its words, joined by dashes.

    Args:
        sentence: The sentence of a claim.

    Returns:
        The identifier; "" for a sentence without words.

    >>> slug("SQuAD helps, by 2 points!")
    'squad-helps-by-2-points'
    """
    return "-".join("".join(c if c.isalnum() else " " for c in sentence.lower()).split())


def _refuse_figure(claim: Claim) -> None:
    if claim.published and claim.published not in (known := published.known()):
        near = _near(claim.published, known)
        raise InputError(f"{_shown(claim)} names '{claim.published}', which is no published figure{near}")


def _narrowed(claim: Claim, selector: ArmSelector, settings: list[ArmSelector]) -> list[ArmSelector]:
    """Return the arms that a selector is about; raise InputError at the first of its values that none of them has."""
    remaining, conditions = settings, ""
    for column in COLUMNS:
        value = getattr(selector, column)
        values = {getattr(arm, column) for arm in remaining}
        if value and value not in values:
            raise InputError(
                f"{_shown(claim)} is about {column} '{value}', which no arm{conditions} has{_near(value, values)}"
            )
        if value:
            remaining = [arm for arm in remaining if getattr(arm, column) == value]
            conditions += f"{' and' if conditions else ' with'} {column} '{value}'"
    return remaining


def _refuse_several(claim: Claim, selector: ArmSelector, remaining: list[ArmSelector]) -> None:
    """Raise InputError where rows of several arms would count as replicates of one."""
    groups: dict[str, list[ArmSelector]] = {}
    for arm in remaining:
        groups.setdefault(arm.encoder if selector.any_encoder else "", []).append(arm)
    for group, column in product(groups.values(), ("recipe", "encoder")):
        values = sorted({getattr(arm, column) for arm in group})
        if len(values) > 1:
            raise InputError(f"{_shown(claim)} is about several arms, of {column} {listed(values)}: name one of them")


def _refuse_languages(claim: Claim, selector: ArmSelector, languages: set[str]) -> None:
    for code in selector.languages:
        if code not in languages:
            raise InputError(
                f"{_shown(claim)} is about language '{code}', "
                f"in which {selector.target} is not measured{_near(code, languages)}"
            )


def _shown(claim: Claim) -> str:
    return f"the claim '{claim.sentence}'"


def _near(name: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown name: the nearest known one, or all of them where none is near."""
    names = sorted(known)
    near = nearest(name, names)
    return f"; did you mean '{near}'?" if near else f": there are {listed(filter(None, names))}"
