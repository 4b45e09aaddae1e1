"""Claim: a sentence, a measure of the results, and what is expected of it; checking it gives a verdict.

The rule is fixed before the numbers are known. A claim holds when its whole 95 % interval satisfies the expectation,
fails when the whole interval contradicts it, and is undecided otherwise; an undecided verdict says how many seeds would
decide it. When several claims are checked together, a verdict also needs a p-value of at most 0.05 after Holm's
correction, so that the probability of any wrong verdict among them is at most 5 %: the claims that answer a study's
question share half of that level, all others the other half. Figures that are counted and not sampled (parameters,
FLOPs) have no uncertainty, are compared as they are, and do not count as members of the family. Nor do descriptive
claims, which are measured and shown without a verdict: every claim in a family makes the others harder to decide, so
that a study should test `MOST_TESTED` at most and describe the rest.

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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from xstilts import stats
from xstilts.claims.measures import Growth, Measure, Measured, Saving, Scaling, Setting
from xstilts.claims.results_table import Missing, ResultsTable
from xstilts.errors import InputError
from xstilts.stats import Estimate

Expectation = Literal["above", "below", "equivalent", "grows"]
Status = Literal["holds", "fails", "undecided", "untested", "descriptive"]
LEVEL = 0.95
POWER = 0.8
MOST_TESTED = 6  # claims of a study: with more, a few seeds can hardly decide any of them
COMPARED = {"equivalent": "within ±", "grows": "growth above "}  # expectations in words, before the margin
UNITS: Mapping[type, str] = {Saving: "percent", Scaling: "exponent", Growth: "points per doubling"}


@dataclass(frozen=True)
class Claim:
    """A sentence, what it measures and what it expects of that.

    Attributes:
        sentence: The claim in words.
        measure: What is estimated from the results.
        expectation: "above" or "below" the margin, "equivalent" within it, or "grows" by more than it.
        margin: The value to compare with, in the measure's unit; for "equivalent", the largest difference from 0 that
            still does not matter.
        published: The name of a published figure to compare the estimate with; "" for none.
        by_construction: Why the claim could not be false, where that is so: it then checks the program.
        answers: Whether the claim answers the study's question.
        descriptive: Whether the measure is only shown, with its interval: there is no verdict, and no share of the
            level is spent on it.

    Raises:
        InputError: The expectation is unknown, the margin or the measure does not suit it, or a descriptive claim is
            to answer the question.
    """

    sentence: str
    measure: Measure
    expectation: Expectation
    margin: float = 0.0
    published: str = ""
    by_construction: str = ""
    answers: bool = False
    descriptive: bool = False

    def __post_init__(self) -> None:
        if self.expectation not in get_args(Expectation):
            raise InputError(f"unknown expectation '{self.expectation}'; one of {', '.join(get_args(Expectation))}")
        if not math.isfinite(self.margin) or (self.expectation == "equivalent" and self.margin <= 0):
            raise InputError(
                f"'{self.sentence}' cannot have margin {self.margin}; give the largest difference that does not matter"
            )
        if self.expectation == "grows" and not isinstance(self.measure, Growth):
            raise InputError(f"'{self.sentence}' expects growth of {self.measure}; measure Growth(...)")
        if self.answers and self.descriptive:
            raise InputError(f"'{self.sentence}' cannot answer a question and be descriptive: choose one of them")

    @property
    def is_tested(self) -> bool:
        """Whether the claim is a member of the family: not only described, and not of a figure that is counted."""
        return not self.descriptive and not (isinstance(self.measure, Saving) and self.measure.counted)

    @property
    def unit(self) -> str:
        """The unit of the measure."""
        return UNITS.get(type(self.measure), "points")

    @property
    def condition(self) -> str:
        """The expectation in words.

        >>> from xstilts.claims.measures import Gain
        >>> Claim("They are as good", Gain("squad", "xquad"), "equivalent", margin=1.0).condition
        'within ±1'
        """
        return f"{COMPARED.get(self.expectation, f'{self.expectation} ')}{self.margin:g}".replace("-", "−")


@dataclass(frozen=True)
class Verdict:
    """The verdict on a claim. Numbers are NaN where they are not known.

    Attributes:
        claim: The claim.
        status: Whether it holds, fails, is undecided, is untested for lack of results, or is descriptive.
        why: The reason, in a sentence.
        estimate: The estimate of its measure.
        interval: The estimate's 95 % interval.
        p: The two-sided p-value of the true value being at the margin (for equivalence, at the nearest margin).
        p_holm: That p-value, corrected for the claims checked together.
        n_replicates: How many seeds (for growth, sizes) the estimate is from.
        detectable: The difference from the margin that as many replicates detect with 80 % power at the claim's share
            of the level; for equivalence, the margin within which they show a true difference of 0 to lie.
        seeds_needed: How many replicates would detect the observed difference with 80 % power; None where no number
            would.
        setting: What the estimate was measured on.
        keys: The keys of the stages that it was measured on.
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
    """Check a single claim; with several, use `check_all`, which corrects for their number.

    Args:
        claim: The claim.
        table: The results of the study.

    Returns:
        The verdict; "untested" where the table lacks rows that the measure needs.
    """
    return check_all([claim], table)[0]


def check_all(claims: Iterable[Claim], table: ResultsTable) -> tuple[Verdict, ...]:
    """Check a family of claims together.

    Args:
        claims: The claims. Untested, counted and descriptive ones do not count for the correction.
        table: The results.

    Returns:
        One verdict for each claim. In a family of two or more, the corrected p-values are the guarded ones of
        `Estimate.p`, which are safe at small levels.
    """
    claims = list(claims)
    outcomes = [_measure(claim, table) for claim in claims]
    in_family = [
        isinstance(outcome, Measured) and not outcome.exact and not claim.descriptive
        for claim, outcome in zip(claims, outcomes, strict=True)
    ]
    p = [
        _p(claim, outcome.estimate, sum(in_family) > 1) if tested and isinstance(outcome, Measured) else math.nan
        for claim, outcome, tested in zip(claims, outcomes, in_family, strict=True)
    ]
    shares = level_shares([claim.answers for claim in claims], in_family)
    adjusted = stats.holm(p, shares)
    return tuple(
        _verdict(claim, outcome, _Family(sum(in_family), share, float(corrected)))
        if isinstance(outcome, Measured)
        else Verdict(claim, "untested", str(outcome))
        for claim, outcome, share, corrected in zip(claims, outcomes, shares, adjusted, strict=True)
    )


@dataclass(frozen=True)
class _Family:
    """The family that a claim is checked in: its size, the claim's share of the level, the corrected p-value."""

    size: int
    share: float
    p: float


def level_shares(answers: Sequence[bool], in_family: Sequence[bool]) -> list[float]:
    """Return the share of the level that each claim has at least: the weights of the weighted Holm procedure.

    Primary claims, which answer the question, share half of the level, secondary ones the other half; where there is
    only one of these groups, it has the whole level.

    Args:
        answers: For each claim, whether it answers the question.
        in_family: For each claim, whether it is tested; the shares of others mean nothing.

    Returns:
        The shares.

    >>> level_shares([True, False, False], [True] * 3)
    [0.5, 0.25, 0.25]
    """
    sizes = Counter(primary for primary, counted in zip(answers, in_family, strict=True) if counted)
    groups = max(len(sizes), 1)
    return [1 / (groups * max(sizes[primary], 1)) for primary in answers]


def _measure(claim: Claim, table: ResultsTable) -> Measured | Missing:
    try:
        return claim.measure.of(table)
    except Missing as missing:
        return missing


def _is_within(claim: Claim, estimate: Estimate) -> bool:
    """Return whether the estimate itself lies within the margin of an equivalence claim."""
    return claim.expectation == "equivalent" and abs(estimate.value) < claim.margin


def _null(claim: Claim, estimate: Estimate) -> float:
    """Return the value to test against: the margin, or for equivalence the one on the estimate's side."""
    return math.copysign(claim.margin, estimate.value) if claim.expectation == "equivalent" else claim.margin


def _p(claim: Claim, estimate: Estimate, guarded: bool = False) -> float:
    return estimate.p(_null(claim, estimate), guarded) if estimate.error > 0 else math.nan


def too_many(claims: Iterable[Claim]) -> str:
    """Say what is wrong with a family of claims that is too large to be decided.

    Args:
        claims: The claims of a study.

    Returns:
        A sentence; "" for `MOST_TESTED` tested claims or fewer.
    """
    count = sum(claim.is_tested for claim in claims)
    if count <= MOST_TESTED:
        return ""
    return (
        f"{count} claims are tested together, and few seeds can hardly decide more than {MOST_TESTED}: "
        "test what the question needs, and give the other claims descriptive=True"
    )


def _verdict(claim: Claim, measured: Measured, family: _Family) -> Verdict:
    if claim.descriptive:
        return _described(claim, measured)
    if measured.exact:
        return _counted(claim, measured)
    estimate = measured.estimate
    low, high = estimate.interval(LEVEL)
    null = _null(claim, estimate)
    within = claim.margin if _is_within(claim, estimate) else 0.0
    # The level that the claim has at least, whatever the p-values of the others in its family.
    target = stats.PowerTarget(1 - (1 - LEVEL) * family.share, family.size > 1, within)
    verdict = Verdict(
        claim,
        "undecided",
        "",
        estimate=estimate.value,
        interval=(low, high),
        p=_p(claim, estimate),
        p_holm=family.p,
        n_replicates=estimate.count,
        detectable=stats.detectable(estimate, POWER, target),
        seeds_needed=stats.seeds_needed(estimate, estimate.value - (0.0 if within else null), POWER, target),
        setting=measured.setting,
        keys=measured.keys,
    )
    status = _status(claim, low, high)
    span = _span(estimate.value, low, high)
    if estimate.count <= estimate.lost or low == high:
        return replace(verdict, why=_too_few(claim, estimate))
    if status == "undecided":
        edge = f"{null:g}".replace("-", "−")
        return replace(verdict, why=f"{span}: the interval includes {edge}; {_remedy(verdict)}")
    if family.p > 1 - LEVEL:
        alone = (
            f"{span}: the interval would decide this claim by itself, but Holm's correction for {family.size} claims "
            f"gives p = {family.p:.3f}"
        )
        return replace(verdict, why=f"{alone}; {_remedy(verdict)}")
    return replace(verdict, status=status, why=f"{span}: the whole interval is {_where(claim, status)}")


def _described(claim: Claim, measured: Measured) -> Verdict:
    """Return what is shown of a descriptive claim: its estimate and interval."""
    estimate = measured.estimate
    low, high = (estimate.value, estimate.value) if measured.exact else estimate.interval(LEVEL)
    shown = _span(estimate.value, low, high) if low < high else _signed(estimate.value)
    return Verdict(
        claim,
        "descriptive",
        f"{shown}; shown without a test",
        estimate=estimate.value,
        interval=(low, high),
        n_replicates=estimate.count,
        setting=measured.setting,
        keys=measured.keys,
    )


def _counted(claim: Claim, measured: Measured) -> Verdict:
    """Return the verdict on a figure that is counted and has no uncertainty."""
    value = measured.estimate.value
    status = _status(claim, value, value)
    where = "exactly at the margin" if status == "undecided" else _where(claim, status)
    return Verdict(
        claim,
        status,
        f"{_signed(value)}, an exact count without sampling error, is {where}",
        estimate=value,
        interval=(value, value),
        n_replicates=measured.estimate.count,
        setting=measured.setting,
        keys=measured.keys,
    )


def _status(claim: Claim, low: float, high: float) -> Status:
    """Return the status that follows from the interval alone."""
    if claim.expectation == "equivalent":
        inside = -claim.margin < low and high < claim.margin
        outside = low > claim.margin or high < -claim.margin
    elif claim.expectation == "below":
        inside, outside = high < claim.margin, low > claim.margin
    else:
        inside, outside = low > claim.margin, high < claim.margin
    return "holds" if inside else "fails" if outside else "undecided"


def _where(claim: Claim, status: Status) -> str:
    """Return where an interval lies that decides a claim, in words."""
    margin = f"{claim.margin:g}".replace("-", "−")
    if claim.expectation == "equivalent":
        return f"within ±{margin}" if status == "holds" else f"outside ±{margin}"
    return f"{'above' if (claim.expectation == 'below') != (status == 'holds') else 'below'} {margin}"


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _span(value: float, low: float, high: float) -> str:
    """Return an estimate with its interval.

    >>> _span(2.41, -1.52, 6.34)
    '+2.41, 95 % interval −1.52 to +6.34'
    """
    return f"{_signed(value)}, {100 * LEVEL:.0f} % interval {_signed(low)} to {_signed(high)}"


def _too_few(claim: Claim, estimate: Estimate) -> str:
    """Return why an estimate has no interval."""
    noun = _replicates(claim)
    if estimate.count <= estimate.lost:
        given = f"{estimate.count} {noun if estimate.count != 1 else noun.removesuffix('s')}"
        return f"{given} cannot give an interval: at least {estimate.lost + 1} are needed"
    return f"the scores of all {estimate.count} {noun} are the same, which gives no interval: use more {noun}"


def _remedy(verdict: Verdict) -> str:
    """Return what the replicates of an undecided verdict could detect, and how many would decide it."""
    claim = verdict.claim
    noun = _replicates(claim)
    size = f"{verdict.detectable:.2f} {'in the exponent' if claim.unit == 'exponent' else claim.unit}"
    power = f"{100 * POWER:.0f} % power"
    if claim.expectation == "equivalent" and abs(verdict.estimate) < claim.margin:
        able = f"we would show equivalence within ±{size} with {power}"
    else:
        able = f"we would detect a difference of {size} with {power}"
    able = f"with {verdict.n_replicates} {noun} {able}"
    if verdict.seeds_needed is None:
        return f"{able}; no number of {noun} would be enough for this one: it needs more test examples or languages"
    return f"{able}; this one would need {verdict.seeds_needed:,} {noun}"


def _replicates(claim: Claim) -> str:
    """Return what a claim's replicates are: seeds, or sizes where it is about encoders of several sizes."""
    return "encoder sizes" if isinstance(claim.measure, Growth | Scaling) else "seeds"
