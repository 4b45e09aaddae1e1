"""Claim: a sentence, a measure of a table, and what is expected of it; checked, it has a verdict.

Nobody decides by looking: a claim holds when the whole 95 % interval satisfies it, fails when the whole interval
contradicts it, and is undecided otherwise, which says what it would take. Of several claims checked together each
verdict also needs a p-value of at most 0.05 after Holm's correction, so that one wrong verdict among all of them has a
probability of at most 5 %; the claims that answer a study's question share half of that, all others the rest. What is
counted and not sampled (parameters, FLOPs) is compared as it is, and is not one of the family.

>>> from xstilts.claims.measures import Gain
>>> from xstilts.claims.results_table import Result, ResultsTable
>>> rows = tuple(Result("tiny", name, "xquad", "sw", seed, score=40.0 + gain * (1 + seed / 10), keys=(f"{name}{seed}",))
...              for name, gain in (("baseline", 0.0), ("squad", 2.0)) for seed in (1, 2, 3))
>>> helps = Claim("SQuAD helps XQuAD", Gain("squad", "xquad"), "above", margin=1.0)
>>> check(helps, ResultsTable(rows)).status
'holds'
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from xstilts import stats
from xstilts.claims.measures import Growth, Measure, Measured, Scaling, Setting
from xstilts.claims.results_table import Missing, ResultsTable
from xstilts.errors import InputError
from xstilts.stats import Estimate

Expectation = Literal["above", "below", "equivalent", "grows"]
Status = Literal["holds", "fails", "undecided", "untested"]
LEVEL = 0.95


@dataclass(frozen=True)
class Claim:
    """A sentence, what it measures and what it expects of that.

    margin: the value to be above or below, the growth to exceed, or how far from 0 still counts as equivalent.
    published: the name of a published figure, if the literature has one. by_construction: why it could not be
    otherwise, where that is so: the figure is then a check of the program, not a finding. answers: whether it is one of
    those that answer the study's question.
    """

    sentence: str
    measure: Measure
    expectation: Expectation
    margin: float = 0.0
    published: str = ""
    by_construction: str = ""
    answers: bool = False

    def __post_init__(self) -> None:
        if self.expectation not in get_args(Expectation):
            raise InputError(f"unknown expectation '{self.expectation}'; one of {', '.join(get_args(Expectation))}")
        if not math.isfinite(self.margin) or (self.expectation == "equivalent" and self.margin <= 0):
            raise InputError(
                f"'{self.sentence}' cannot have margin {self.margin}; say what difference would not matter"
            )
        if self.expectation == "grows" and not isinstance(self.measure, Growth):
            raise InputError(f"'{self.sentence}' expects growth of {self.measure}; measure Growth(...)")


@dataclass(frozen=True)
class Verdict:
    """What became of a claim; NaN where there is nothing to say.

    p: two-sided, of the value being at the margin (of the nearest margin, for equivalence). p_holm: corrected for the
    claims checked together. detectable: the distance from the margin that these replicates find with probability 0.8,
    with the claim's share of the level (for equivalence, the margin within which they find that nothing differs).
    seeds_needed: replicates (for growth, sizes) that would find the observed distance; None where no number would.
    keys: of the stages that it was measured on.
    """

    claim: Claim
    status: Status
    why: str
    estimate: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    p: float = math.nan
    p_holm: float = math.nan
    n_replicates: int = 0
    detectable: float = math.nan
    seeds_needed: int | None = None
    setting: Setting | None = None
    keys: tuple[str, ...] = ()


def check(claim: Claim, table: ResultsTable) -> Verdict:
    """Return the verdict on a claim that stands alone."""
    return check_all([claim], table)[0]


def check_all(claims: Iterable[Claim], table: ResultsTable) -> tuple[Verdict, ...]:
    """Return the verdicts on a family of claims, corrected for their number by Holm; untested ones do not count.

    In a family the p-values that are corrected are the guarded ones of `Estimate.p`, safe at small levels.
    """
    claims = list(claims)
    measured = [_measure(claim, table) for claim in claims]
    counts = [isinstance(found, Measured) and not found.exact for found in measured]
    p = [
        _p(claim, found.estimate, sum(counts) > 1) if isinstance(found, Measured) and not found.exact else math.nan
        for claim, found in zip(claims, measured, strict=True)
    ]
    shares = _shares([claim.answers for claim in claims], counts)
    adjusted = stats.holm(p, shares)
    return tuple(
        _verdict(claim, found, _Family(sum(counts), share, float(corrected)))
        if isinstance(found, Measured)
        else Verdict(claim, "untested", str(found))
        for claim, found, share, corrected in zip(claims, measured, shares, adjusted, strict=True)
    )


@dataclass(frozen=True)
class _Family:
    """What a claim is checked among: how many there are, its share of the level, and its p-value corrected for them."""

    size: int
    share: float
    p: float


def _shares(answers: Sequence[bool], counts: Sequence[bool]) -> list[float]:
    """Return each claim's share of the level: half of it is for those that answer, where there are both."""
    number = Counter(one for one, counted in zip(answers, counts, strict=True) if counted)
    groups = max(len(number), 1)
    return [1 / (groups * max(number[one], 1)) for one in answers]


def _measure(claim: Claim, table: ResultsTable) -> Measured | Missing:
    try:
        return claim.measure.of(table)
    except Missing as missing:
        return missing


def _inside(claim: Claim, found: Estimate) -> bool:
    """Return whether equivalence is what the estimate speaks for."""
    return claim.expectation == "equivalent" and abs(found.value) < claim.margin


def _null(claim: Claim, found: Estimate) -> float:
    """Return the value that decides: the margin, or of two the one on the estimate's side."""
    return math.copysign(claim.margin, found.value) if claim.expectation == "equivalent" else claim.margin


def _p(claim: Claim, found: Estimate, guarded: bool = False) -> float:
    return found.p(_null(claim, found), guarded) if found.error > 0 else math.nan


def _verdict(claim: Claim, measured: Measured, family: _Family) -> Verdict:
    found = measured.estimate
    if measured.exact:
        return _counted(claim, measured)
    low, high = found.interval(LEVEL)
    null = _null(claim, found)
    within = claim.margin if _inside(claim, found) else 0.0
    aim = stats.PowerTarget(1 - (1 - LEVEL) * family.share, family.size > 1, within)
    needed = stats.seeds_needed(found, found.value - (0.0 if within else null), 0.8, aim)
    verdict = Verdict(
        claim,
        "undecided",
        "",
        estimate=found.value,
        interval=(low, high),
        p=_p(claim, found),
        p_holm=family.p,
        n_replicates=found.count,
        detectable=stats.detectable(found, 0.8, aim),
        seeds_needed=needed,
        setting=measured.setting,
        keys=measured.keys,
    )
    said = _said(claim, low, high)
    shown = f"{found.value:+.2f} [{low:+.2f}, {high:+.2f}]"
    if found.count <= found.lost or low == high:
        return replace(verdict, why=_too_little(claim, found))
    if said == "undecided":
        return replace(verdict, why=f"{shown} reaches across {null:g}: {_remedy(claim, verdict)}")
    if family.p > 1 - LEVEL:
        alone = f"{shown} decides alone, but not among {family.size} claims (p {family.p:.3f})"
        return replace(verdict, why=f"{alone}: {_remedy(claim, verdict)}")
    side = "satisfies" if said == "holds" else "contradicts"
    return replace(verdict, status=said, why=f"all of {shown} {side} '{_asked(claim)}'")


def _counted(claim: Claim, measured: Measured) -> Verdict:
    """Return the verdict on a figure that is counted: it is what it is."""
    value = measured.estimate.value
    said = _said(claim, value, value)
    side = "satisfies" if said == "holds" else "contradicts" if said == "fails" else "is exactly at the margin of"
    return Verdict(
        claim,
        said,
        f"{value:+.2f}, counted and not sampled, {side} '{_asked(claim)}'",
        estimate=value,
        interval=(value, value),
        n_replicates=measured.estimate.count,
        setting=measured.setting,
        keys=measured.keys,
    )


def _said(claim: Claim, low: float, high: float) -> Status:
    """Return what the interval alone says."""
    if claim.expectation == "equivalent":
        inside = -claim.margin < low and high < claim.margin
        outside = low > claim.margin or high < -claim.margin
    elif claim.expectation == "below":
        inside, outside = high < claim.margin, low > claim.margin
    else:
        inside, outside = low > claim.margin, high < claim.margin
    return "holds" if inside else "fails" if outside else "undecided"


def _asked(claim: Claim) -> str:
    within = {"equivalent": "equivalent within", "grows": "grows by more than"}
    return f"{within.get(claim.expectation, claim.expectation)} {claim.margin:g}"


def _too_little(claim: Claim, found: Estimate) -> str:
    noun = _counts(claim, "distinct replicates")
    if found.count <= found.lost:
        return f"{found.count} {noun} allow no interval: at least {found.lost + 1} are needed"
    return f"{found.count} replicates do not vary at all, which allows no interval: give their examples, or more seeds"


def _remedy(claim: Claim, verdict: Verdict) -> str:
    noun = _counts(claim, "seeds")
    able = f"{verdict.n_replicates} {noun} find a distance of {verdict.detectable:.2f} four times in five"
    if claim.expectation == "equivalent" and abs(verdict.estimate) < claim.margin:
        able = f"{verdict.n_replicates} {noun} find what is equal within {verdict.detectable:.2f} four times in five"
    if verdict.seeds_needed is None:
        return f"{able}; one as small as this takes more examples or languages, not {noun}"
    return f"{able}, one like this would take {verdict.seeds_needed}"


def _counts(claim: Claim, otherwise: str) -> str:
    """Return what a claim's replicates are: encoders of several sizes, where it is about them."""
    return "sizes" if isinstance(claim.measure, Growth | Scaling) else otherwise
