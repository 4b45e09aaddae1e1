"""Power: what the claims of a planned study could detect, before anything is run.

A claim's detectable difference follows from the number of its seeds (for a slope, of its sizes), its share of the level
and two variances: from seed to seed, and through test examples. These are measured in a pilot, which is the report of
an earlier study at any scale, or else are guesses that say so. The figures are for 80 % power, and for the level that a
claim has at least: Holm's procedure may give it more.

    for claim in plan(study, Variances.of(Path("pilot"))):
        print(claim.describe())

>>> from xstilts.claims.claim import Claim
>>> from xstilts.claims.measures import Gain
>>> helps = Claim("It helps", Gain("squad", "xquad"), "above")
>>> Variances().estimate(helps.measure, seeds=3).count
3
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from xstilts import stats
from xstilts.claims import claim_validation
from xstilts.claims.claim import LEVEL, POWER, Claim, level_shares, too_many
from xstilts.claims.claim_validation import ArmSelector
from xstilts.claims.measures import Gain, Growth, Level, Mean, Saving, Scaling
from xstilts.claims.results_table import Missing, Result, ResultsTable
from xstilts.errors import UNFORESEEN, InputError
from xstilts.experiments.study import Study
from xstilts.models.naming import name_of
from xstilts.stats import Estimate
from xstilts.store.names import BASELINE

SEED_DEVIATION = 1.0  # of one seed's gain on one target, a mean over languages, in points
EXAMPLE_ERROR = 0.5  # of the same gain through its test examples, in points
OFF_LINE = 1.0  # deviation of the gains of encoders from a line over sizes, beside seeds and examples, in points
PERCENT_DEVIATION = 3.0  # of a saving of time between seeds, in percent
EXPONENT_DEVIATION = 0.15  # of costs from a power law over sizes, in doublings
RATIO_DEVIATION = 0.05  # of the ratio of two costs of one encoder, in which what is its own cancels
SHARED = 0.5  # correlation of two gains on one target with one encoder, which share their baseline
GUESS = "assumed variances"


@dataclass(frozen=True)
class Variances:
    """The variances of gains that a plan assumes.

    Attributes:
        seed: The standard deviation between seeds of a gain on one target, in points.
        examples: The standard error of such a gain through test examples, in points.
        source: Where they are from.
        pilot: The results of the pilot, from which variances of a claim's own measure are taken where it has them.
    """

    seed: float = SEED_DEVIATION
    examples: float = EXAMPLE_ERROR
    source: str = GUESS
    pilot: ResultsTable | None = field(default=None, compare=False)

    @classmethod
    def of(cls, folder: Path) -> Variances:
        """Return the variances of a pilot.

        Args:
            folder: The folder of a study's report, at any scale.

        Returns:
            Medians over the gains of the pilot, and its results.

        Raises:
            InputError: There is no such report, or it has no gain over two or more seeds.
        """
        table = _results(folder)
        estimates = [
            gain
            for encoder, recipe, intermediate, target in dict.fromkeys(
                (row.encoder, row.recipe, row.intermediate, row.target) for row in table.rows
            )
            if intermediate != BASELINE
            and (gain := _measured(Gain(intermediate, target, encoder=encoder, recipe=recipe), table)) is not None
        ]
        if not estimates:
            raise InputError(f"{folder} has no gain over two or more seeds: give another pilot, or none for guesses")
        seed = math.sqrt(median(estimate.between for estimate in estimates))
        examples = math.sqrt(median(estimate.units for estimate in estimates))
        return cls(seed, examples, f"the pilot {folder}, medians of {len(estimates)} gains", table)

    def estimate(self, measure: Any, seeds: int, sizes: Sequence[float] = ()) -> Estimate | None:
        """Return an estimate of a measure as it would come out, with the value 0.

        Args:
            measure: The measure of a claim.
            seeds: The number of seeds.
            sizes: For a slope, the parameters without embeddings of each encoder.

        Returns:
            The estimate; None where the measure is not one of the package's, or too few sizes are known.
        """
        if isinstance(measure, Growth | Scaling):
            gain = measure.gain if isinstance(measure, Growth) else None
            ratio = isinstance(measure, Scaling) and bool(measure.over)
            return self._slope(gain, seeds, sizes, RATIO_DEVIATION if ratio else EXPONENT_DEVIATION)
        if isinstance(measure, Saving):
            return None if measure.counted else Estimate(0.0, PERCENT_DEVIATION**2, seeds)
        if isinstance(measure, Level | Gain | Mean):
            share = _shared_variance(measure)
            return Estimate(0.0, self.seed**2 * share, seeds, self.examples**2 * share)
        return None

    def _slope(self, gain: Gain | Mean | None, seeds: int, sizes: Sequence[float], deviation: float) -> Estimate | None:
        count = len(sizes)
        if count < 3 or len(set(sizes)) < 2:
            return None
        if gain is None:
            variance = deviation**2
        else:
            variance = (self.seed**2 / seeds + self.examples**2) * _shared_variance(gain) + OFF_LINE**2
        x = np.log2(np.asarray(sizes))
        return Estimate(0.0, variance / float(((x - x.mean()) ** 2).sum()) * count, count, lost=2)


@dataclass(frozen=True)
class ClaimPower:
    """What one claim could detect.

    Attributes:
        claim: The claim.
        replicates: How many seeds it has, or how many sizes.
        share: The share of the level that it has at least.
        detectable: The difference from the margin that is detected with 80 % power; for equivalence, the margin within
            which a true difference of 0 is shown to lie. NaN where it is not known.
        seeds_needed: For equivalence within a margin that is too small: how many seeds show it; None otherwise, or
            where no number would.
        source: Where the variances are from.
    """

    claim: Claim
    replicates: int
    share: float
    detectable: float
    seeds_needed: int | None
    source: str

    @property
    def too_weak(self) -> bool:
        """Whether the claim is one of equivalence that could not be shown within its margin."""
        return self.claim.expectation == "equivalent" and self.detectable > self.claim.margin

    def describe(self) -> str:
        """Return what the claim can detect, in a sentence."""
        unit = "in the exponent" if self.claim.unit == "exponent" else self.claim.unit
        noun = "encoder sizes" if isinstance(self.claim.measure, Growth | Scaling) else "seeds"
        able = f"with {self.replicates} {noun} we would"
        power = f"{100 * POWER:.0f} % power"
        if math.isnan(self.detectable):
            return f"with {self.replicates} {noun} the power is not known: it takes two seeds, or three known sizes"
        if self.claim.expectation != "equivalent":
            return f"{able} detect a difference of {self.detectable:.2f} {unit} with {power}"
        shown = f"{able} show equivalence within ±{self.detectable:.2f} {unit} with {power} if there is no difference"
        if not self.too_weak:
            return shown
        needed = f", which would need {self.seeds_needed} seeds" if self.seeds_needed else ""
        return f"{shown}: not enough for the margin of {self.claim.margin:g}{needed}"


def plan(study: Study, variances: Variances, sizes: Mapping[str, float] | None = None) -> tuple[ClaimPower, ...]:
    """Return what each tested claim of a study could detect.

    Args:
        study: The study.
        variances: The variances to assume.
        sizes: The parameters without embeddings of its encoders by name, for slopes.

    Returns:
        An entry for each tested claim, in their order.
    """
    arms = [
        (ArmSelector(run.target.name, setting, label, name_of(run.encoder)), arm.grid.seeds)
        for arm in study.arms
        for setting, run in arm.settings()
        for label in study.labels(arm.label, setting, run.repeats_training_data)
    ]
    in_family = [claim.is_tested for claim in study.claims]
    shares = level_shares([claim.answers for claim in study.claims], in_family)
    guarded = sum(in_family) > 1
    return tuple(
        _of_claim(claim, share, guarded, arms, variances, sizes or {})
        for claim, share, tested in zip(study.claims, shares, in_family, strict=True)
        if tested
    )


def _of_claim(
    claim: Claim,
    share: float,
    guarded: bool,
    arms: Sequence[tuple[ArmSelector, int]],
    variances: Variances,
    sizes: Mapping[str, float],
) -> ClaimPower:
    selectors = claim_validation.of(claim.measure)
    matching = [
        (arm.encoder, seeds)
        for arm, seeds in arms
        if any(claim_validation.meets(selector, arm) for selector in selectors)
    ]
    seeds = min((seeds for _, seeds in matching), default=0)
    encoders = [sizes[name] for name in dict.fromkeys(name for name, _ in matching) if name in sizes]
    is_slope = isinstance(claim.measure, Growth | Scaling)
    estimate, source = variances.estimate(claim.measure, seeds, encoders), variances.source
    measured = _measured(claim.measure, variances.pilot) if variances.pilot else None
    if measured is not None:
        # A slope's sizes are the pilot's own; of other measures the pilot gives the variances, the plan the seeds.
        estimate = replace(measured, value=0.0) if is_slope else replace(measured, value=0.0, count=seeds)
        source = f"{variances.source.partition(',')[0]}, this very measure"
    count = estimate.count if estimate else 0
    if estimate is None or not estimate.error > 0:
        return ClaimPower(claim, count, share, math.nan, None, source)
    within = claim.margin if claim.expectation == "equivalent" else 0.0
    target = stats.PowerTarget(1 - (1 - LEVEL) * share, guarded, within)
    detectable = _detectable(replace(estimate, floor=0.0), target)
    needed = None
    if within and detectable > within and not is_slope:
        needed = stats.seeds_needed(estimate, 0.0, POWER, target)
    return ClaimPower(claim, count, share, detectable, needed, source)


@lru_cache(maxsize=1024)
def _detectable(estimate: Estimate, target: stats.PowerTarget) -> float:
    return stats.detectable(estimate, POWER, target)


def _shared_variance(measure: Level | Gain | Mean) -> float:
    """Return the variance of a mean of gains in that of one gain: gains on one target share their baseline."""
    if not isinstance(measure, Mean):
        return 1.0
    by_place = Counter((gain.encoder, gain.target) for gain in measure.gains)
    count = by_place.total()
    pairs = sum(number**2 for number in by_place.values()) - count
    return (count + SHARED * pairs) / count**2


def _measured(measure: Any, table: ResultsTable) -> Estimate | None:
    """Return the estimate of a measure in a pilot; None where it lacks rows or has a single replicate."""
    try:
        estimate: Estimate = measure.of(table).estimate
    except (Missing, InputError):
        return None
    return estimate if estimate.error > 0 else None


def _results(folder: Path) -> ResultsTable:
    """Read the rows of a study's report."""
    path = folder / "report.json"
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
        return ResultsTable(tuple(_result(row) for row in rows))
    except FileNotFoundError:
        raise InputError(f"no report.json in {folder}: give the folder that `xstilts study --out` wrote") from None
    except (OSError, *UNFORESEEN) as error:
        raise InputError(f"{path} is no report of a study ({error}): give the folder of one") from error


def _result(row: Mapping[str, Any]) -> Result:
    names = {item.name for item in fields(Result)} - {"examples"}
    given = {name: value for name, value in row.items() if name in names}
    values: dict[str, Any] = {
        name: math.nan if value is None else tuple(value) if isinstance(value, list) else value
        for name, value in given.items()
    }
    return Result(**values)


def notes(planned: Sequence[ClaimPower], study: Study, variances: Variances) -> tuple[str, ...]:
    """Return in plain words what a plan's power rests on, and what should be changed.

    Args:
        planned: What the claims could detect.
        study: The study.
        variances: The variances that were assumed.

    Returns:
        Sentences.
    """
    described = sum(claim.descriptive for claim in study.claims)
    lines = [
        f"detectable difference: the true distance from the margin at which {100 * POWER:.0f} % of such studies would "
        "reach a verdict, at the significance level that Holm's correction leaves a claim at least: claims that answer "
        f"the question share half of {1 - LEVEL:.2g}, the others the other half",
        f"variances: {variances.source}: {variances.seed:.2f} points from seed to seed and {variances.examples:.2f} "
        "through test examples, for a gain on one target"
        + (
            f"; gains of encoders lie {OFF_LINE:g} points off a line over sizes; times vary by {PERCENT_DEVIATION:g} % "
            f"between seeds. Give --pilot FOLDER, the report of an earlier study, for measured ones"
            if variances.source == GUESS
            else ""
        ),
    ]
    if described:
        lines.append(f"{described} further claims are measured without a test, so that they need no correction")
    lines += [f"not enough seeds: “{power.claim.sentence}”: {power.describe()}" for power in planned if power.too_weak]
    if warning := too_many(study.claims):
        lines.append(warning)
    return tuple(lines)


def to_json(planned: Sequence[ClaimPower], study: Study, variances: Variances) -> dict[str, Any]:
    """Return what the claims of a study could detect as JSON.

    Args:
        planned: What the claims could detect.
        study: The study.
        variances: The variances that were assumed.

    Returns:
        The claims, the variances with their source, and notes; null where a figure is not known.
    """
    return {
        "power": POWER,
        "claims": [
            {
                "claim": power.claim.sentence,
                "answers": power.claim.answers,
                "expectation": power.claim.expectation,
                "margin": power.claim.margin,
                "unit": power.claim.unit,
                "replicates": power.replicates,
                "share_of_level": power.share,
                "detectable": None if math.isnan(power.detectable) else power.detectable,
                "seeds_needed": power.seeds_needed,
                "too_weak": power.too_weak,
                "variances": power.source,
                "meaning": power.describe(),
            }
            for power in planned
        ],
        "described": [claim.sentence for claim in study.claims if claim.descriptive],
        "variances": {
            "between_seeds": variances.seed**2,
            "through_examples": variances.examples**2,
            "source": variances.source,
            "guessed": variances.source == GUESS,
        },
        "notes": list(notes(planned, study, variances)),
    }
